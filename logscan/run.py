"""What a scan tells of itself: which sources it read, as what, how much it understood, what went wrong."""

from __future__ import annotations

from dataclasses import dataclass

from logscan.parser import Tally


@dataclass(frozen=True)
class Problem:
    """Something that an admin must know: where, what was met, what to do next.

    >>> str(Problem("mail.log.2.gz", "the compressed data ends too early", "copy the file again", offset=4096))
    'mail.log.2.gz: byte 4096: the compressed data ends too early; copy the file again'
    """

    source: str
    met: str
    advice: str = ""
    offset: int | None = None
    fatal: bool = True
    """Whether lines may be missing for it; then the exit code says so."""

    def __str__(self) -> str:
        place = f"{self.source}: " + (f"byte {self.offset}: " if self.offset is not None else "")
        return place + self.met + (f"; {self.advice}" if self.advice else "")


@dataclass(frozen=True)
class SourceRead:
    """One source as it was read: its format, how sure that is (0 to 1), its lines and its events.

    Where lines of several servers stand in it: `postfix + exim`, the surest first.
    """

    source: str
    parser: str
    confidence: float
    bytes: int
    tally: Tally
    events: int


@dataclass(frozen=True)
class Run:
    """A whole scan: sources in log order, and what went wrong.

    >>> run = Run((SourceRead("mail.log", "postfix", 1.0, 80, Tally(understood=1, unread=1), 1),), ())
    >>> run.tally.lines, run.tally.share_understood
    (2, 0.5)
    """

    sources: tuple[SourceRead, ...]
    problems: tuple[Problem, ...]

    @property
    def tally(self) -> Tally:
        """The tallies of all sources, added up."""
        return sum((s.tally for s in self.sources), Tally())
