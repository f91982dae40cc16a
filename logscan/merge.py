"""Sorted runs of events on disk, and their merge: how a log of any length is put in order in bounded memory.

Each stretch of log that a worker parsed becomes a run: a file of Arrow batches in the order of time. Reading them back
goes through time window by window; of each run only the batches that reach into the window are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from logscan import spool
from logscan.clock import DAY
from logscan.columns import concat
from logscan.copies import APART, HAPPENING, marked
from logscan.schema import EVENTS

BATCH = 8_192
WINDOW = 65_536

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SortedRun:
    """A file of batches in the order of time. first, last: their times in microseconds; rows: their lengths.

    margin: how far its events are to be seen beyond a window (microseconds): some may be copies of others.
    """

    path: Path
    first: tuple[int, ...]
    last: tuple[int, ...]
    rows: tuple[int, ...]
    margin: int = 0


@dataclass(frozen=True)
class Window:
    """Times from `start` up to, not including, `end`, and the (run, batch, margin) that reach into them."""

    start: int
    end: int
    batches: tuple[tuple[Path, int, int], ...]


def write_run(events: pa.Table, path: Path) -> SortedRun | None:
    """Writes events as a run; None where there are none."""
    if not len(events):
        return None
    events = in_order(events)
    times = micros(events)
    spool.write(events, path, BATCH)
    starts = range(0, len(events), BATCH)
    return SortedRun(
        path,
        tuple(int(times[i]) for i in starts),
        tuple(int(times[min(i + BATCH, len(times)) - 1]) for i in starts),
        tuple(min(BATCH, len(times) - i) for i in starts),
        APART if HAPPENING in events.column_names else 0,
    )


def micros(events: pa.Table) -> Ints:
    """Times of events, microseconds since 1970."""
    return np.asarray(events["time"].to_numpy().astype("M8[us]").astype(np.int64))


def in_order(events: pa.Table) -> pa.Table:
    """Events by time, then source, then offset; equal ones (a repeated line) keep their order."""
    events = events.combine_chunks()
    times, offsets = micros(events), events["offset"].to_numpy()
    source = events["source"].combine_chunks()
    source = source.chunk(0) if isinstance(source, pa.ChunkedArray) and source.num_chunks else source
    names = source.dictionary.to_pylist()
    rank = np.argsort(np.argsort(np.array(names, object))) if len(names) > 1 else np.zeros(max(len(names), 1), np.int64)
    ranks = rank[source.indices.to_numpy()]
    step, same = np.diff(times), np.diff(ranks) == 0
    if ((step > 0) | ((step == 0) & ((np.diff(ranks) > 0) | (same & (np.diff(offsets) >= 0))))).all():
        return events
    return events.take(pa.array(np.lexsort((offsets, ranks, times))))


def windows(runs: list[SortedRun], size: int = WINDOW) -> list[Window]:
    """Windows that cover all runs in the order of time, of about `size` rows each."""
    batches = sorted(
        (first, last, rows, run.path, i)
        for run in runs
        for i, (first, last, rows) in enumerate(zip(run.first, run.last, run.rows, strict=True))
    )
    if not batches:
        return []
    edges, rows = [batches[0][0]], 0
    for first, _, count, _, _ in batches:
        if rows >= size and first > edges[-1]:
            edges.append(first)
            rows = 0
        rows += count
    edges.append(max(last for _, last, _, _, _ in batches) + 1)
    reach = sorted(
        (first - run.margin, last + run.margin, run.path, i, run.margin)
        for run in runs
        for i, (first, last) in enumerate(zip(run.first, run.last, strict=True))
    )
    found = []
    going: list[tuple[int, Path, int, int]] = []
    place = 0
    for start, end in pairwise(edges):
        going = [g for g in going if g[0] >= start]
        while place < len(reach) and reach[place][0] < end:
            going.append(reach[place][1:])
            place += 1
        found.append(Window(start, end, tuple(sorted(g[1:] for g in going))))
    return found


def load(window: Window) -> pa.Table:
    """The events of a window, in order, copies marked."""
    tables = []
    opened: Path | None = None
    for path, i, margin in window.batches:
        if path != opened:
            reader, opened = pa.ipc.open_file(pa.OSFile(str(path), "rb")), path
        table = pa.Table.from_batches([reader.get_batch(i)])
        times = micros(table)
        low, high = np.searchsorted(times, (window.start - margin, window.end + margin))
        tables.append(table.slice(low, high - low))
    tables = [table for table in tables if len(table)]
    if not tables:
        return EVENTS.empty_table()
    events = marked(in_order(concat(tables)))
    low, high = np.searchsorted(micros(events), (window.start, window.end))
    return events.slice(low, high - low).select(EVENTS.names).replace_schema_metadata(EVENTS.metadata)


def by_day(events: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """Events in the order of time, cut at each midnight (UTC): the days since 1970, and those of the day.

    >>> at = pa.array([0, 86_399, 86_400], pa.timestamp("s", "UTC"))
    >>> [(day, len(part)) for day, part in by_day(pa.table({"time": at}))]
    [(0, 2), (1, 1)]
    """
    numbers = micros(events) // DAY
    cuts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    for start, end in pairwise(cuts):
        if end > start:
            yield int(numbers[start]), events.slice(start, end - start)
