"""Rows on disk by bucket: how all rows of a message meet again, however many stretches they came from.

Each stretch writes its open rows sorted by bucket. When all are written it is known how many there are, and as many
buckets are read together as fit into memory: all of them for a usual log, a few for one whose messages never end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from logscan import spool
from logscan.correlate import bucket

BUCKETS = 1024
ROWS_AT_ONCE = 262_144


@dataclass(frozen=True)
class Bucketed:
    """A file of rows sorted by bucket; those of bucket `i` are rows `edges[i]` to `edges[i + 1]`."""

    path: Path
    kind: str
    edges: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Slice:
    """Some rows of a bucketed file."""

    path: Path
    kind: str
    start: int
    end: int


def write_bucketed(table: pa.Table, path: Path, kind: str) -> Bucketed | None:
    """Writes rows with `host` and `queue_id` sorted by bucket; None where there are none."""
    if not len(table):
        return None
    places = bucket(table, BUCKETS)
    order = np.argsort(places, kind="stable")
    spool.write(table.take(pa.array(order)), path)
    return Bucketed(path, kind, np.searchsorted(places[order], np.arange(BUCKETS + 1)))


def groups(files: Iterable[Bucketed], size: int = ROWS_AT_ONCE) -> list[list[Slice]]:
    """What to read together: neighbouring buckets, with about `size` rows in all (a bucket is never cut).

    >>> edges = np.repeat([0, 3, 5], [1, 500, BUCKETS - 500])
    >>> [[(s.start, s.end) for s in group] for group in groups([Bucketed(Path("a"), "events", edges)], size=3)]
    [[(0, 3)], [(3, 5)]]
    """
    files = list(files)
    rows = sum((file.edges for file in files), np.zeros(BUCKETS + 1, np.int64))
    cuts = [0]
    while cuts[-1] < BUCKETS:
        reach = int(np.searchsorted(rows, rows[cuts[-1]] + size, "right")) - 1
        cuts.append(min(max(reach, cuts[-1] + 1), BUCKETS))
    found = []
    for low, high in pairwise(cuts):
        slices = [Slice(f.path, f.kind, int(f.edges[low]), int(f.edges[high])) for f in files]
        if slices := [s for s in slices if s.end > s.start]:
            found.append(slices)
    return found


def load(slices: Iterable[Slice], kind: str) -> list[pa.Table]:
    """The rows of a kind, a table for each file."""
    return [spool.read(part.path).slice(part.start, part.end - part.start) for part in slices if part.kind == kind]
