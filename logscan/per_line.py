r"""Makes a parser of a pattern, or of a function that reads one line: a first plugin is ten lines long.

A whole plugin for lines such as `2026-11-23T08:00:00Z 550 <ann@a.example> mx.a.example no such user`:

>>> parser = per_line(
...     "acme",
...     "Acme MTA",
...     r"(?P<time>\S+) (?P<code>\d{3}) <(?P<recipient>[^>]*)> (?P<remote_host>\S+) (?P<reply>.*)",
...     direction="outbound",
...     action="bounced",
... )
>>> block = Block.of(b"2026-11-23T08:00:00Z 550 <ann@a.example> mx.a.example no such user\nwhat?\n")
>>> parsed = parser.parse(block)
>>> parsed.events.select(["code", "recipient", "action"]).to_pylist()
[{'code': 550, 'recipient': 'ann@a.example', 'action': 'bounced'}]
>>> parsed.tally
Tally(understood=1, known=0, other=0, unread=1, samples=((67, 'what?'),))

In its package's pyproject.toml: `[project.entry-points."logscan.parsers"]`, then `acme = "acme_logscan:parser"`.
A Python loop over lines reads some 100,000 of them a second; a format that matters deserves a columnar parser.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import regex  # type: ignore[import-untyped]

from logscan import reply, syslog
from logscan.columns import timestamps
from logscan.parser import MAX_SAMPLES, SAMPLE_LENGTH, Block, Parsed, Parser, Tally
from logscan.schema import EVENTS
from logscan.spans import Bools, Ints, Spans

__all__ = ["TIMEOUT", "UNREAD", "Event", "Unread", "per_line"]

TIMEOUT = 0.05
"""Seconds that a pattern may take for a line."""

LINES_SNIFFED = 100
# What the pipeline decides, not a parser.
_DERIVED = {
    "mta",
    "source",
    "offset",
    "sender_domain",
    "recipient_domain",
    "provider",
    "code_class",
    "cause",
    "rule",
    "detail",
}
_STATED = [name for name in EVENTS.names if name not in _DERIVED]


class Unread(Enum):
    """Said of a line that the format should know and does not."""

    UNREAD = "unread"


_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)

UNREAD = Unread.UNREAD
Event = Mapping[str, Any]


def per_line(
    name: str,
    title: str,
    read: str | Callable[[str], Event | Unread | None],
    *,
    reads: str = "",
    timeout: float = TIMEOUT,
    **same: Any,
) -> Parser:
    """A parser that reads each line by itself.

    read:    a pattern of the `regex` package that must fit a whole line and whose named groups are columns; it may take
             `timeout` seconds a line. Or a function: it is given a line and gives the columns of its event, None where
             the line is known and states none, or `UNREAD`. A line for which it raises `ValueError` or `TimeoutError`
             (a pattern with `timeout=`) is unread too.
    same:    columns that are the same in every event: `direction="outbound"`, `host="mx1"`.

    `time` is a datetime, or text as syslog writes stamps (ISO 8601, `Nov 23 08:00:00`); numbers may be text. A `reply`
    that begins with its codes gives `code` and `enhanced` where these are not stated. Raises `ValueError` where a
    column is none of `schema.EVENTS`, or is decided elsewhere (`cause`, `recipient_domain`).
    """
    _check(same)
    if isinstance(read, str):
        pattern = regex.compile(read)
        _check(pattern.groupindex)
        read = partial(_matched, pattern, timeout)

    def parse(block: Block) -> Parsed:
        events: list[Event] = []
        rows: list[int] = []
        unread: list[int] = []
        known = 0
        for row, line in enumerate(block.lines.to_pylist()):
            event = _read(read, line) if line else None
            if isinstance(event, Unread):
                unread.append(row)
            elif event is None:
                known += 1
            else:
                events.append({**same, **event})
                rows.append(row)
        table, timeless = _table(events, block.offsets[np.array(rows, np.int64)], block)
        unread = sorted([*unread, *(rows[i] for i in timeless)])
        samples = tuple((int(block.offsets[row]), block.lines[row].as_py()[:SAMPLE_LENGTH]) for row in unread)
        return Parsed(table, pa.table({}), Tally(len(table), known, unread=len(unread), samples=samples[:MAX_SAMPLES]))

    def sniff(block: Block) -> float:
        lines = [line for line in block.lines[:LINES_SNIFFED].to_pylist() if line]
        events = [_read(read, line) for line in lines]
        # A function that knows every line and makes nothing of it is not sure of anything.
        if all(event is None or isinstance(event, Unread) for event in events):
            return 0.0
        return sum(not isinstance(event, Unread) for event in events) / len(lines)

    return Parser(name, title, sniff, parse, reads)


def _matched(pattern: regex.Pattern[str], timeout: float, line: str) -> Event | Unread:
    found = pattern.fullmatch(line, timeout=timeout)
    return {name: text for name, text in found.groupdict().items() if text is not None} if found else UNREAD


def _read(read: Callable[[str], Event | Unread | None], line: str) -> Event | Unread | None:
    try:
        event = read(line)
    except (ValueError, TimeoutError):
        return UNREAD
    if event is None or isinstance(event, Unread):
        return event
    _check(event)
    try:
        return {name: _VALUE.get(name, str)(value) for name, value in event.items() if value is not None}
    except ValueError:
        return UNREAD


def _check(columns: Iterable[str]) -> None:
    for name in columns:
        if name not in _STATED:
            near = difflib.get_close_matches(name, _STATED, 1)
            raise ValueError(f"a parser has no column {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def _whole(value: Any, most: int) -> int:
    number = int(value)
    if not 0 <= number <= most:
        raise ValueError(f"{number} is not from 0 to {most}")
    return number


def _seconds(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is no time")
    return number


_VALUE: dict[str, Callable[[Any], Any]] = {
    "time": lambda value: value if isinstance(value, datetime) else str(value),
    "code": partial(_whole, most=999),
    "size": partial(_whole, most=2**63 - 1),
    "delay": _seconds,
    "code_implied": bool,
}


def _table(events: list[Event], offsets: Ints, block: Block) -> tuple[pa.Table, Ints]:
    """The events that have a time, and the indices of those that have none."""
    times, timed = _moments([event.get("time") for event in events], offsets, block)
    kept = [event for event, good in zip(events, timed, strict=True) if good]
    names = [name for name in _STATED if name != "time" and any(name in event for event in kept)]
    columns = {name: _column([event.get(name) for event in kept], EVENTS.field(name).type) for name in names}
    columns["time"] = timestamps(times[timed])
    columns["offset"] = pa.array(offsets[timed])
    columns.setdefault("host", pa.nulls(len(kept), pa.string()))
    if "reply" in columns:
        replies = reply.cut(Spans.of(columns["reply"]))
        columns["reply"] = replies.text
        for name, of_reply in (("code", replies.code), ("enhanced", replies.enhanced.cast(pa.string()))):
            columns[name] = pc.coalesce(columns[name], of_reply) if name in columns else of_reply
    return pa.table(columns), np.flatnonzero(~timed)


def _column(values: list[Any], type_: pa.DataType) -> pa.Array:
    return pa.array(values, pa.string() if pa.types.is_dictionary(type_) else type_)


def _moments(values: list[Any], offsets: Ints, block: Block) -> tuple[Ints, Bools]:
    """Microseconds since 1970 UTC, and which of the values are a time."""
    stamps = pa.array([f"{value} " if isinstance(value, str) else "" for value in values], pa.string())
    time, kind, _ = syslog.stamps(Spans.of(stamps))
    for row, value in enumerate(values):
        if isinstance(value, datetime):
            kind[row] = syslog.UTC_TIME if value.tzinfo else syslog.NO_ZONE
            time[row] = (value - (_EPOCH if value.tzinfo else _EPOCH.replace(tzinfo=None))) // _MICROSECOND
    no_year, no_zone = kind == syslog.NO_YEAR, kind == syslog.NO_ZONE
    time[no_year] = block.clock.utc(time[no_year], offsets[no_year])
    time[no_zone] = block.clock.zoned(time[no_zone], offsets[no_zone])
    return time, kind >= 0
