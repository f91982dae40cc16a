"""Entries that syslog carries in several lines, put together again.

    Nov 23 21:29:55 mx exim[23315]: [1/2] 2026-11-23 21:29:55.145 10HmaX-000000005vi-0000 ** a@b.example ... 550 no
    Nov 23 21:29:55 mx exim[23315]: [2/2]  such user
    Nov 23 21:29:56 mx exim[23316]: [1\\\\3] 2026-11-23 21:29:56.001 H=(h) [192.0.2.1] rejected after DATA: spam
    Nov 23 21:29:56 mx exim[23316]: [2\\\\3] Envelope-from: <a@b.example>
    Nov 23 21:29:56 mx exim[23316]: [3/3] Envelope-to: <c@d.example>

A stroke says that the line goes on in the next piece, a backslash that it ends there: what follows are the headers of a
refused message, as in the rejectlog (log.c, write_syslog). Pieces of one entry are of one process.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logscan.spans import Bools, Ints, Spans
from logscan.syslog import Heads

_PIECE = r"^\[(?P<number>\d{1,4})(?P<joint>[/\\])(?P<count>\d{1,4})\] (?P<text>(?s:.*))$"
_PROCESS = (
    r"^(?:<\d+>1 [^ ]+ [^ ]+ [^ ]+ (?P<named>\d{1,10}) "
    r"|.*? [^ ]*exim[^ \[]*\[(?P<bracketed>\d{1,10})\]: "
    r'|\{.*?"_PID" ?: ?"(?P<journal>\d{1,10})")'
)


@dataclass(frozen=True)
class Entries:
    """What pieces were put together: the row of each entry's first piece, its line, and its only recipient if told.

    order, starts, ends: the rows of all pieces in order, and where each entry stands in them; rest: rows of pieces
    whose entry is not whole.
    """

    first: Ints
    text: pa.StringArray
    recipient: pa.StringArray
    order: Ints
    starts: Ints
    ends: Ints
    rest: Ints


def find(head: Heads) -> tuple[Bools, pa.StructArray]:
    """Which of a syslog's lines are pieces; and number, joint, count and text of these."""
    rows = np.flatnonzero(head.message.byte() == ord("["))
    found = pc.extract_regex(head.message.take(rows).to_arrow(), _PIECE)
    hit = found.is_valid()
    mask = np.zeros(len(head.rows), bool)
    mask[rows[hit.to_numpy(zero_copy_only=False)]] = True
    return mask, found.filter(hit)


def processes(lines: Spans) -> pa.StringArray:
    """The process ids in syslog lines; empty where a line has none.

    >>> rows, _ = Spans.lines(b"Nov 23 21:29:55 mx exim[23]: a\\n<22>1 2026-11-23T21:29:55Z mx exim 24 - -  b\\n"
    ...     b'{"_PID":"25","MESSAGE":"c"}\\n?\\n')
    >>> processes(rows).to_pylist()
    ['23', '24', '25', '']
    """
    found = pc.extract_regex(lines.to_arrow(), _PROCESS)
    # Of the three, two are empty.
    ids = pc.binary_join_element_wise(*(found.field(name) for name in ("named", "bracketed", "journal")), "")
    return pc.if_else(found.is_valid(), ids, "")


def join(parts: pa.Table, order: list[npt.NDArray[np.int64]]) -> Entries:
    """Entries from pieces: `host`, `queue_id` (the process), `number`, `count`, `joint` and `text`.

    order: keys as of `numpy.lexsort`, in which the pieces of one process stand.

    >>> parts = pa.table({"host": ["mx"] * 4, "queue_id": ["7", "8", "7", "7"], "number": [1, 2, 2, 1],
    ...     "count": [2, 2, 2, 3], "joint": ["/", "/", "/", "/"], "text": ["no such", "x", " user", "y"]})
    >>> entries = join(parts, [np.arange(4)])
    >>> entries.first.tolist(), entries.text.to_pylist(), entries.rest.tolist()
    ([0], ['no such user'], [1, 3])
    """
    if not len(parts):
        none, nothing = np.empty(0, np.int64), pa.array([], pa.string())
        return Entries(none, nothing, nothing, none, none, none, none)
    keys = [pc.dictionary_encode(parts[name].cast(pa.string())).combine_chunks() for name in ("queue_id", "host")]
    process, host = (key.indices.fill_null(-1).to_numpy(zero_copy_only=False) for key in keys)
    rows = np.lexsort((*order, process, host))
    number, count = (parts[name].to_numpy().astype(np.int64)[rows] for name in ("number", "count"))
    begins = np.ones(len(rows), bool)
    begins[1:] = (process[rows][1:] != process[rows][:-1]) | (host[rows][1:] != host[rows][:-1])
    begins[1:] |= (number[1:] != number[:-1] + 1) | (count[1:] != count[:-1])
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(rows))
    whole = (number[starts] == 1) & (number[ends - 1] == count[starts])
    in_whole = np.repeat(whole, ends - starts)
    starts, ends = starts[whole], ends[whole]

    text = parts["text"].combine_chunks().take(pa.array(rows))
    ended = parts["joint"].combine_chunks().take(pa.array(rows)).to_numpy(zero_copy_only=False) == "\\"
    places = np.where(ended, np.arange(len(rows)), len(rows))
    line_end = np.minimum.accumulate(places[::-1])[::-1] if len(rows) else places
    last = np.minimum(line_end[starts] + 1, ends)
    sizes = last - starts
    picks = np.repeat(starts, sizes) + np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    lists = pa.ListArray.from_arrays(
        pa.array(np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)), text.take(pa.array(picks))
    )
    recipients = _recipients(text, starts, ends)
    return Entries(rows[starts], pc.binary_join(lists, ""), recipients, rows, starts, ends, np.sort(rows[~in_whole]))


def _recipients(text: pa.StringArray, starts: Ints, ends: Ints) -> pa.StringArray:
    """The recipient of each entry that names exactly one in the headers that it has."""
    found = pc.extract_regex(text, r"^Envelope-to: <(?P<recipient>.*)>$")
    named = pc.if_else(found.is_valid(), found.field("recipient"), None)
    at = np.flatnonzero(named.is_valid().to_numpy(zero_copy_only=False))
    more = pc.starts_with(text, "    <").to_numpy(zero_copy_only=False)
    at = at[~np.append(more, False)[at + 1]]
    entry = np.searchsorted(starts, at, "right") - 1
    inside = (entry >= 0) & (at < np.append(ends, 0)[entry])
    place = np.full(len(starts), -1, np.int64)
    place[entry[inside]] = at[inside]
    return named.take(pa.array(place, mask=place < 0))
