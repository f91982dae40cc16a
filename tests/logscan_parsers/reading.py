"""What a parser makes of lines, as its tables of lines state it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from logscan import correlate
from logscan.parser import Block, Parser, Tally

Events = list[dict[str, Any]]


def reading(parser: Parser, prefix: str, columns: Sequence[str]) -> Callable[..., tuple[Events, Tally]]:
    """A function that gives the events of lines, each after the prefix, with those columns that are not null."""

    def parsed(*lines: str) -> tuple[Events, Tally]:
        data = "".join(f"{prefix}{line}\n" for line in lines).encode(errors="surrogateescape")
        found = parser.parse(Block.of(data))
        events = correlate.settle_alone(found.events, found.messages)
        return [{c: row[c] for c in columns if row.get(c) is not None} for row in events.to_pylist()], found.tally

    return parsed
