"""Says what a file is before anybody trusts a report on it: whose lines it holds, how sure that is, and what is odd.

A log of a known format is told with its envelope, its span of time and the programs in it; an unknown one with what it
looks like (likeness.py) and the first line that does not fit. A few bytes of each file are looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

import numpy as np
import pyarrow.compute as pc

from logscan import neighbours, plugins, syslog
from logscan.clock import SECOND
from logscan.guard import SURE_ENOUGH, Guard
from logscan.likeness import SHOWN, Doubt, Likeness, likeness
from logscan.parser import Block, Parser
from logscan.plan import beside, heads, sniffed
from logscan.run import Problem
from logscan.sources import Source
from logscan.turns import turns

# What a line of each envelope starts with: the first that fits.
ENVELOPES = {
    "journalctl -o json": r'^\s*\{.*"__REALTIME_TIMESTAMP"',
    "syslog of RFC 5424": r"^<\d{1,3}>1 ",
    "syslog with RFC 3339 stamps": r"^(?:<[0-9a-z.]+>)?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^ ]* [^ ]+ [^ ]+?: ",
    "BSD syslog, its stamps without a year": r"^(?:<[0-9a-z.]+>)?[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d ",
}


@dataclass(frozen=True)
class Recognised:
    """A file, and either its format with its contents, or what it looks like instead. confidence: 0 to 1."""

    source: Source
    encoding: str
    parser: str | None = None
    confidence: float = 0.0
    contents: Contents | None = None
    likeness: Likeness | None = None


def recognise(paths: list[str], zone: tzinfo | None = None) -> tuple[list[Recognised], list[Problem]]:
    """What each file of some paths is, by name, and what is wrong with those that cannot be read."""
    parsers, problems = plugins.load(plugins.PARSERS, Parser)
    found = []
    for source, head, block in heads(paths, problems, zone):
        name, confidence, block = sniffed(parsers, source, block, problems)
        encoding = _encoding(head)
        if confidence < SURE_ENOUGH:
            found.append(Recognised(source, encoding, confidence=confidence, likeness=likeness(head)))
        else:
            found.append(Recognised(source, encoding, name, confidence, contents(parsers, name, block, problems)))
    return found, list(dict.fromkeys(problems))


def _encoding(head: bytes) -> str:
    r"""The encoding of a head, as far as it tells.

    >>> _encoding(b"a"), _encoding("ü".encode()), _encoding(b"\xfc\n")
    ('ASCII', 'UTF-8', 'not all UTF-8')
    """
    if head.isascii():
        return "ASCII"
    try:
        head.decode()
    except UnicodeDecodeError:
        return "not all UTF-8"
    return "UTF-8"


@dataclass(frozen=True)
class Contents:
    """What a few thousand lines of a file are.

    lines: all of them; formats: those that each parser understands or knows, by its name; neighbours, servers, others:
    those of other mail programs, of mail servers that none of the parsers reads, and of programs that have nothing to
    do with mail, by their syslog tag. unread: how many are left, with the first of them as doubt. first, last: moments
    (microseconds since 1970 UTC), None where no line has an envelope.
    """

    lines: int
    envelope: str
    formats: Mapping[str, int]
    neighbours: Counter[str] = field(default_factory=Counter)
    servers: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    unread: int = 0
    doubt: Doubt | None = None
    first: int | None = None
    last: int | None = None


def contents(
    parsers: Mapping[str, Parser], surest: str, block: Block, problems: list[Problem] | None = None
) -> Contents:
    """What the lines of a block are, by the parser that is surest of them and those that may have lines beside it.

    What is wrong with a parser goes to `problems`.

    >>> lines = b"Nov 24 08:00:00 mx dovecot: imap-login: Login\\nNov 24 08:00:00 mx cron[1]: hourly\\n"
    >>> from logscan.parser import Parsed, Tally
    >>> import pyarrow as pa
    >>> nobody = lambda block: Parsed(pa.table({}), pa.table({}), Tally(other=len(block)), np.arange(len(block)))
    >>> found = contents({"x": Parser("x", "X", lambda block: 0.0, nobody)}, "x", Block.of(lines))
    >>> found.envelope, found.neighbours, found.others
    ('BSD syslog, its stamps without a year', Counter({'dovecot': 1}), Counter({'cron': 1}))
    """
    guards = [Guard(parsers[name]) for name in (surest, *beside(parsers, surest))]
    answers, tally, left = turns(guards, block)
    if problems is not None:
        problems += [problem for guard in guards for problem in guard.problems]
    formats = {
        parser.name: mine
        for parser, parsed in answers
        if (mine := parsed.tally.understood + parsed.tally.known + len(parsed.parts))
    }
    unread, doubts = tally.unread, tally.samples
    groups: dict[str, Counter[str]] = {"neighbours": Counter(), "servers": Counter(), "others": Counter()}
    for program, count in neighbours.programs(left).items():
        group = "neighbours" if neighbours.neighbour(program) else "servers" if neighbours.server(program) else "others"
        groups[group][program] += count
    times = np.concatenate([np.empty(0, np.int64), *(part.time for part in syslog.read(block).parts)])
    doubt = None
    if doubts:
        offset, text = min(doubts)
        # Where the block is not the file's head, nobody has counted the lines before it.
        line = int(np.searchsorted(block.offsets, offset)) + 1
        doubt = Doubt(f"byte {offset}" if block.offsets[0] else f"line {line}", text[:SHOWN])
    return Contents(
        len(block),
        _envelope(block),
        formats,
        **groups,
        unread=unread,
        doubt=doubt,
        first=int(times.min()) if len(times) else None,
        last=int(times.max()) if len(times) else None,
    )


def _envelope(block: Block) -> str:
    lines = block.lines
    counts = {
        name: pc.sum(pc.match_substring_regex(lines, pattern)).as_py() or 0 for name, pattern in ENVELOPES.items()
    }
    name = max(counts, key=lambda name: counts[name], default="")
    return name if counts[name] * 2 > len(block) else ""


def moment(micros: int) -> str:
    """A moment to the minute, UTC.

    >>> moment(1_700_000_000_000_000)
    '2023-11-14 22:13'
    """
    return datetime.fromtimestamp(micros // SECOND, UTC).strftime("%Y-%m-%d %H:%M")
