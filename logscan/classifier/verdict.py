"""What is said of one reply: its codes, its cause, how sure that is, and the words that decided."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """The answer on one reply.

    code, enhanced: as the text states them, or as they were given; None where neither does
    code_class:     2xx, 3xx, 4xx, 5xx or none
    cause:          a name of `logscan.catalogue.causes()`
    rule:           the id of the rule that said so; None for a success, which no rule judges
    confidence:     0 to 1: how often what said so is right, on replies kept apart
    detail:         which list, which of SPF, DKIM and DMARC, what was limited, or whose words it is; None where unsaid
    why:            the words of the text that decided, as they stand there; empty where the codes alone did
    """

    code: int | None
    enhanced: str | None
    code_class: str
    cause: str
    rule: str | None
    confidence: float
    detail: str | None
    why: tuple[str, ...] = ()
