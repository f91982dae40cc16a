"""Merges sorted tables in bounded memory: a day's events of before, and those that came late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from logscan.columns import concat
from logscan.merge import in_order, micros

ROWS = 65_536


def tables_of(path: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The rows of a Parquet file, some at a time, with all columns or some."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS, columns=columns):
            yield pa.Table.from_batches([batch])


def in_time(streams: Sequence[Iterator[pa.Table]]) -> Iterator[pa.Table]:
    """The rows of streams of tables, each in the order of time, all together in that order.

    >>> from datetime import datetime, UTC
    >>> from logscan.schema import EVENTS
    >>> def at(*minutes):
    ...     rows = [{"time": datetime(2026, 11, 23, 12, m, tzinfo=UTC), "source": "a", "offset": m} for m in minutes]
    ...     return pa.Table.from_pylist(rows, schema=EVENTS)
    >>> [table["offset"].to_pylist() for table in in_time([iter([at(1, 5), at(6)]), iter([at(2, 3)])])]
    [[1, 2], [3], [5], [6]]
    """
    parts = [_Part(stream) for stream in streams]
    while True:
        for part in parts:
            if not part.ended and not len(part.rows):
                part.more()
        parts = [part for part in parts if len(part.rows)]
        if len(parts) < 2:
            for part in parts:
                yield part.rows
                yield from part.stream
            return
        # Younger rows than the last in sight of any stream may still come before the others' of that time.
        horizon = min((part.last for part in parts if not part.ended), default=None)
        ready = [table for part in parts if len(table := part.take(horizon))]
        if ready:
            yield in_order(concat(ready))
            continue
        for part in parts:
            if not part.ended and part.last == horizon:
                part.more()


class _Part:
    """A stream, and the rows of it that are in sight and not given yet."""

    def __init__(self, stream: Iterator[pa.Table]):
        self.stream = stream
        self.rows = pa.table({})
        self.ended = False

    @property
    def last(self) -> int:
        return int(micros(self.rows)[-1])

    def more(self) -> None:
        found = next((table for table in self.stream if len(table)), None)
        if found is None:
            self.ended = True
        else:
            self.rows = concat([self.rows, found]) if len(self.rows) else found

    def take(self, horizon: int | None) -> pa.Table:
        """The rows before `horizon`; all without one."""
        cut = len(self.rows) if horizon is None else int(np.searchsorted(micros(self.rows), horizon))
        taken, self.rows = self.rows.slice(0, cut), self.rows.slice(cut)
        return taken
