"""Says what a file looks like that no parser knows: a web server's log, a mailbox, a syslog of other programs.

What there is to look like is data, in catalogue/lookalikes.toml. A few bytes of the file's head are looked at.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pyarrow.compute as pc

from logscan import neighbours, syslog
from logscan.parser import Block

# A share of control bytes that no log has.
BINARY = 0.1
SHOWN = 120


@dataclass(frozen=True)
class Doubt:
    """A line that does not fit: where it stands (`line 3`, `byte 81920`), its text, what is wrong."""

    place: str
    text: str
    wrong: str = "does not fit"


@dataclass(frozen=True)
class Likeness:
    """What a file that no parser knows looks like, what to do with it, and the first line that does not fit that."""

    what: str
    advice: str
    doubt: Doubt | None = None

    def __str__(self) -> str:
        but = f', but {self.doubt.place} {self.doubt.wrong}: "{self.doubt.text}"' if self.doubt else ""
        return f"looks like {self.what}{but}"


@cache
def _lookalikes() -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads(files("logscan.catalogue").joinpath("lookalikes.toml").read_text("utf-8"))


def likeness(head: bytes) -> Likeness:
    """What a head looks like that no parser is sure of.

    >>> print(likeness(b'192.0.2.1 - - [23/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 512\\noops\\n'))
    looks like a web server's access log, but line 2 does not fit: "oops"
    >>> print(likeness(b"Nov 24 08:00:00 mx sshd[1]: Accepted publickey for root\\n"))
    looks like a syslog of other programs (sshd)
    >>> likeness(b"PK\\x03\\x04").advice
    'unpack it first'
    """
    for magic in _lookalikes()["magic"]:
        if head.startswith(bytes.fromhex(magic["bytes"])):
            return Likeness(magic["what"], magic["do"])
    sample = np.frombuffer(head[:4096], np.uint8)
    if ((sample < 32) & ~np.isin(sample, (9, 10, 12, 13, 27))).mean() > BINARY:
        return Likeness("binary data", "name the log files themselves")
    block = Block.of(head)
    filled = np.flatnonzero(block.spans.length > 0)
    lines = block.lines.take(filled)
    best, most, fits = None, 0, np.zeros(len(filled), bool)
    for entry in _lookalikes()["lookalike"]:
        hits = pc.match_substring_regex(lines, entry["pattern"]).to_numpy(zero_copy_only=False).astype(bool)
        if entry.get("first"):
            hits = np.full(len(filled), bool(hits[:1].any()))
        if hits.sum() > most:
            best, most, fits = entry, int(hits.sum()), hits
    programs = neighbours.programs(block)
    del programs[""]
    if programs.total() >= max(most, 1):
        readable = np.ones(len(block), bool)
        readable[syslog.read(block).unread] = False
        return _syslog(programs, _doubt(block, filled, readable[filled]))
    if best is None:
        return Likeness("text", "name the mail server's log", _doubt(block, filled, fits, "has no time stamp"))
    return Likeness(best["what"], best["do"], _doubt(block, filled, fits))


def _syslog(programs: Counter[str], doubt: Doubt | None) -> Likeness:
    servers = dict.fromkeys(name for tag, _ in programs.most_common() if (name := neighbours.server(tag)))
    if servers:
        names = ", ".join(servers)
        return Likeness(f"a syslog with lines of {names}", "no parser here reads that; see CONTRIBUTING.md", doubt)
    if mail := Counter({tag: count for tag, count in programs.items() if neighbours.neighbour(tag)}):
        what = f"a syslog of other mail programs ({listed(mail)})"
        return Likeness(what, "the mail server itself may log into another file", doubt)
    return Likeness(f"a syslog of other programs ({listed(programs)})", "name the mail server's log", doubt)


def _doubt(block: Block, filled: np.ndarray, fits: np.ndarray, wrong: str = "does not fit") -> Doubt | None:
    """The first line that does not fit."""
    misfits = filled[~fits]
    if not len(misfits):
        return None
    row = int(misfits[0])
    return Doubt(f"line {row + 1}", block.lines[row].as_py()[:SHOWN], wrong)


def listed(counts: Counter[str], most: int = 3) -> str:
    """The most frequent words of a count.

    >>> listed(Counter({"a": 5, "b": 4, "c": 3, "d": 2, "e": 1}))
    'a, b, c and 2 more'
    """
    shown = ", ".join(word or "no name" for word, _ in counts.most_common(most))
    return shown + (f" and {len(counts) - most} more" if len(counts) > most else "")
