"""Keeps beside a day's events what tells copies of them (copies.py), so that a later scan can tell of them too.

It lies in a file of its own: the events have the columns of the schema and no others. A row of it has the place of its
event in the day's file; events that only one log ever tells have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from logscan.copies import HAPPENING, TELLING
from logscan.parquet import DIFFERENCES
from logscan.schema import EVENTS

ROW = "row"
FORM = pa.schema(
    [(ROW, pa.int64()), EVENTS.field("time"), EVENTS.field("copy"), (HAPPENING, pa.int64()), (TELLING[1], pa.int8())]
)
BATCH = 65_536


class Tellings:
    """Writes them, while events go by."""

    def __init__(self, path: Path):
        self.path = path
        self._writer: pq.ParquetWriter | None = None
        self._seen = self._rows = 0

    def apart(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Tables of events without what tells copies of them, which is written."""
        for table in tables:
            if HAPPENING in table.column_names:
                self._write(table)
            self._seen += len(table)
            yield table.select(EVENTS.names)

    def _write(self, table: pa.Table) -> None:
        valid = table[HAPPENING].is_valid()
        rows = np.flatnonzero(valid.to_numpy())
        if not len(rows):
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self.path,
                FORM,
                compression="zstd",
                use_dictionary=[TELLING[1]],
                column_encoding=dict.fromkeys((ROW, DIFFERENCES[0]), "DELTA_BINARY_PACKED"),
            )
        told = table.select(FORM.names[1:]).filter(valid).add_column(0, ROW, pa.array(rows + self._seen))
        self._writer.write_table(told.cast(FORM))
        self._rows += len(told)

    def close(self) -> int:
        """How many were written; without any there is no file."""
        if self._writer:
            self._writer.close()
        return self._rows


def told(events: Iterable[pa.Table], path: Path) -> Iterator[pa.Table]:
    """The events of a day, all from the first on, with what is written at `path` of them."""
    with pq.ParquetFile(path) as file:
        batches = file.iter_batches(BATCH, columns=[ROW, *TELLING])
        waiting, seen = FORM.empty_table().select([ROW, *TELLING]), 0
        for table in events:
            end = seen + len(table)
            while not len(waiting) or waiting[ROW][-1].as_py() < end:
                if (batch := next(batches, None)) is None:
                    break
                waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])]).combine_chunks()
            rows = waiting[ROW].to_numpy()
            mine = waiting.slice(0, int(np.searchsorted(rows, end)))
            waiting = waiting.slice(len(mine))
            place = np.full(len(table), -1, np.int64)
            place[mine[ROW].to_numpy() - seen] = np.arange(len(mine))
            for name in TELLING:
                table = table.append_column(name, mine[name].take(pa.array(place, mask=place < 0)))
            seen = end
            yield table


def between(path: Path, low: datetime, high: datetime) -> pa.Table:
    """What is written at `path` of events from `low` up to, not including, `high`."""
    time = pc.field("time")
    return pq.read_table(path, columns=FORM.names[1:], filters=(time >= low) & (time < high))
