"""One happening told by several logs of a server is counted once: which events are copies, and of what.

Exim writes a refusal into its main log, its reject log and to syslog; Exchange a failed delivery into message tracking
and into the protocol log. A parser gives the events of such logs a `happening`, a number made of what identifies it,
and names its logs in the order of preference. All events are kept; those that a preferred log tells as well are marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logscan.clock import SECOND
from logscan.columns import put
from logscan.spans import Spans

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

HAPPENING, PREFERENCE = "happening", "preference"
# How far apart the logs of a server may tell of one happening: Exchange's differ by the seconds that a refusal takes
# from the protocol into message tracking.
APART = 10 * SECOND

_ODD = np.uint64(0x9E3779B97F4A7C15)
_LONGEST = 512
_FIRST_BYTES = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)


def happening(*columns: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A number (int64) for each row of some columns of strings: equal rows have equal ones, others hardly ever.

    >>> numbers = happening(pa.array(["a@b.example", "a@b.example", None]), pa.array(["deferred", "bounced", None]))
    >>> numbers[0] == happening(pa.array(["a@b.example"]), pa.array(["deferred"]))[0], numbers[0] == numbers[1]
    (True, False)
    """
    total = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        total = (total ^ _numbers(column)) * _ODD
        total ^= total >> np.uint64(29)
    return pa.array(total.view(np.int64))


def _numbers(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.DictionaryArray):
        known = np.append(_numbers(column.dictionary), _numbers(pa.nulls(1, pa.string())))
        return np.asarray(known[column.indices.fill_null(len(known) - 1).to_numpy()], np.uint64)
    spans = Spans.of(column.cast(pa.string()))
    length = np.minimum(spans.length, _LONGEST)
    number = (length + 2).astype(np.uint64) * _ODD
    rows = np.flatnonzero(length > 0)
    at, left, mixed = spans.start[rows], length[rows], number[rows]
    while len(rows):
        mixed = (mixed ^ (spans.buffer.words[at] & _FIRST_BYTES[np.minimum(left, 8)])) * _ODD
        mixed ^= mixed >> np.uint64(31)
        number[rows] = mixed
        at, left = at + 8, left - 8
        going_on = np.flatnonzero(left > 0)
        if len(going_on) < len(rows):
            rows, at, left, mixed = rows[going_on], at[going_on], left[going_on], mixed[going_on]
    return number


def preferred(events: pa.Table, mta: str, logs: Sequence[str]) -> pa.Table:
    """Events of one parser with the place of their log in its order of preference; happenings are its own alone."""
    if HAPPENING not in events.column_names:
        return events
    log = events["log"].combine_chunks()
    log = log if pa.types.is_dictionary(log.type) else log.cast(pa.string()).dictionary_encode()
    order = {name: place for place, name in enumerate(logs)}
    places = np.array([*(order.get(name, len(logs)) for name in log.dictionary.to_pylist()), len(logs)], np.int8)
    events = put(events, PREFERENCE, pa.array(places[log.indices.fill_null(-1).to_numpy()]))
    return put(events, HAPPENING, pc.bit_wise_xor(events[HAPPENING].cast(pa.int64()), _of_parser(mta)))


@cache
def _of_parser(mta: str) -> int:
    return int(happening(pa.array([mta]))[0].as_py())


def marked(events: pa.Table) -> pa.Table:
    """The events, in the order of time, with `copy` (bool) in the place of what tells it.

    A copy has an event of a preferred log, of the same happening, at most ten seconds before or after it. Of events
    that lie within ten seconds of the table's first or last, others may have to be seen.

    >>> times = pa.array([0, 1, 30], pa.timestamp("s", "UTC")).cast(pa.timestamp("us", "UTC"))
    >>> events = pa.table({"time": times, "happening": [7, 7, 7], "preference": pa.array([1, 0, 1], pa.int8())})
    >>> marked(events)["copy"].to_pylist()
    [True, False, False]
    """
    if HAPPENING not in events.column_names:
        return put(events, "copy", pa.array(np.zeros(len(events), bool)))
    copy = np.zeros(len(events), bool)
    rows = np.flatnonzero(events[HAPPENING].is_valid().to_numpy())
    if len(rows):
        number = events[HAPPENING].take(pa.array(rows)).to_numpy()
        time = events["time"].to_numpy().astype("M8[us]").astype(np.int64)[rows]
        place = events[PREFERENCE].take(pa.array(rows)).to_numpy()
        copy[rows] = _told_better(np.unique(number, return_inverse=True)[1], time, place)
    return put(events.drop_columns([HAPPENING, PREFERENCE]), "copy", pa.array(copy))


def _told_better(number: Ints, time: Ints, place: npt.NDArray[np.int8]) -> Bools:
    told = np.zeros(len(number), bool)
    # Numbers and times as one key that a sorted search can use; `time` is in order, so its first is the least.
    key = number * (int(time[-1] - time[0]) + 2 * APART + 1) + (time - time[0]) + APART
    for this in np.unique(place)[1:]:
        better = np.sort(key[place < this])
        mine = np.flatnonzero(place == this)
        nearest = np.searchsorted(better, key[mine] - APART)
        told[mine] = (nearest < len(better)) & (better[np.minimum(nearest, len(better) - 1)] <= key[mine] + APART)
    return told
