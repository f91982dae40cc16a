"""What a cause means, who has to act, and what to do: the catalogue's answer as lines of text."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from logscan.catalogue import Cause, causes


def cause_named(name: str) -> Cause:
    """A cause by its name. Raises `ValueError`, with the nearest name, where there is none of this name.

    >>> cause_named("mailbox-full").actor
    'recipient'
    >>> cause_named("mailbox-ful")
    Traceback (most recent call last):
    ValueError: mailbox-ful: no such cause; did you mean mailbox-full?
    """
    known = causes()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else "`logscan causes` lists them"
        raise ValueError(f"{name}: no such cause; {hint}")
    return known[name]


def describe(names: Sequence[str]) -> Iterator[str]:
    """A line for each cause there is; of given ones, all that is known. Raises `ValueError` for a name that is none.

    >>> print(*describe(["success"]), sep="\\n")
    success: Accepted or delivered.
      who acts: nobody
      send again: no
      - Nothing to do.
      - If the recipient misses the mail, look in the spam folder: acceptance is not delivery to the inbox.
    """
    if not names:
        yield from (f"{name:24} {cause.meaning}" for name, cause in causes().items())
    for cause in [cause_named(name) for name in names]:
        yield f"{cause.name}: {cause.meaning}"
        yield f"  who acts: {cause.actor}"
        yield f"  send again: {cause.retry}"
        yield from (f"  - {step}" for step in cause.steps)
