"""What Exim tells in several logs: a refusal in mainlog, rejectlog and syslog, which is to be counted once.

    <22>1 ... exim 7 - -  2026-11-23 21:29:43.101 [7] H=h [192.0.2.1] F=<> rejected RCPT <a@b.example>: no     mainlog
    <21>1 ... exim 7 - -  2026-11-23 21:29:43.101 [7] H=h [192.0.2.1] F=<> rejected RCPT <a@b.example>: no     rejectlog

Syslog gets a line for each of the logs that Exim writes to (log.c, log_write; unless `syslog_duplication = false`): of
each two equal ones the second is the rejectlog's or paniclog's. The rejectlog's may have the headers of the message,
and so know its recipient.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan.clock import SECOND
from logscan.columns import put, words
from logscan.copies import HAPPENING, happening
from logscan.spans import Bools, Ints

MAIN, REJECT, PANIC, SYSLOG, AGAIN = LOGS = ("main", "reject", "panic", "syslog", "syslog-reject")

PROCESS = "process_id"
"""The column with the process of an entry that was put together from lines elsewhere."""
_SAME = ("host", PROCESS, "queue_id", "action", "stage", "code", "reply", "sender", "client_host", "client_ip")
_REFUSALS = ("rejected", "discarded", "aborted")
_TWICE = (*_REFUSALS, "deferred", "bounced", "held")


def log_of(source: str) -> str:
    """Which of Exim's logs a file is, by its name (`log_file_path`; exim4/rejectlog, exim_paniclog, reject-20250202).

    >>> [log_of(name) for name in ("/var/log/exim4/rejectlog.1.gz", "exim_mainlog", "-")]
    ['reject', 'main', 'main']
    """
    name = source.replace("\\", "/").rpartition("/")[2]
    return REJECT if "reject" in name else PANIC if "panic" in name else MAIN


def told(events: pa.Table) -> pa.Table:
    """The events with what tells copies: equal numbers for what several logs tell of one happening.

    The moment counts to the second, since a log may have milliseconds and another none.
    """
    if not len(events):
        return events
    inbound = pc.equal(events["direction"].cast(pa.string()), "inbound")
    columns = [_column(events, "queue_id"), _column(events, "remote_ip"), events["action"].cast(pa.string())]
    columns.append(_recipient(events))
    # What was refused has no message id as a rule; its words and addresses say what it was.
    columns += [pc.if_else(inbound, _column(events, name), None) for name in ("reply", "sender")]
    number = happening(*(column.combine_chunks() for column in columns)).to_numpy()
    second = events["time"].cast(pa.int64()).to_numpy() // SECOND
    return put(events, HAPPENING, pa.array(number ^ (second * np.int64(0x9E3779B97F4A7C1))))


def refusals(events: pa.Table) -> Bools:
    """Which events of a syslog are refusals, whose second may stand in another block of lines."""
    return np.asarray(pc.is_in(events["action"].cast(pa.string()), pa.array(_REFUSALS)).to_numpy())


def twins(events: pa.Table) -> pa.Table:
    """Events of a syslog, in order, with their `log`.

    >>> rows = [{"time": 1, "action": "rejected", "reply": "no", "recipient": r} for r in ("a", "a", "b")]
    >>> twins(pa.Table.from_pylist(rows))["log"].to_pylist()
    ['syslog', 'syslog-reject', 'syslog']
    """
    if not len(events):
        return events
    again = np.zeros(len(events), np.int32)
    rows = np.flatnonzero(pc.is_in(events["action"].cast(pa.string()), pa.array(_TWICE)).to_numpy())
    if len(rows):
        codes = _codes(events.take(pa.array(rows)))
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.append(True, codes[order][1:] != codes[order][:-1]))
        sizes = np.diff(np.append(starts, len(order)))
        second = (np.arange(len(order)) - np.repeat(starts, sizes)) % 2 == 1
        again[rows[order[second]]] = 1
        events = _with_recipients(events, rows[order[np.flatnonzero(second) - 1]], rows[order[second]])
    return put(events, "log", words(again, [SYSLOG, AGAIN]))


def _codes(events: pa.Table) -> Ints:
    """A number for each event: equal ones say the same of the same moment."""
    parts = [events["time"].cast(pa.int64()).cast(pa.string())]
    parts += [_column(events, name) for name in _SAME]
    parts.append(_recipient(events))
    keys = pc.binary_join_element_wise(*(pc.fill_null(part, "") for part in parts), "\x00")
    return np.asarray(pc.dictionary_encode(keys).combine_chunks().indices.to_numpy(), np.int64)


def _recipient(events: pa.Table) -> pa.ChunkedArray:
    """The recipient, but of what was refused as a whole message: there the mainlog's line names nobody."""
    whole = pc.and_kleene(
        pc.equal(_column(events, "stage"), "end-of-data"),
        pc.is_in(events["action"].cast(pa.string()), pa.array(_REFUSALS)),
    )
    return pc.if_else(pc.fill_null(whole, False), None, _column(events, "recipient"))


def _column(events: pa.Table, name: str) -> pa.ChunkedArray:
    if name in events.column_names:
        return events[name].cast(pa.string())
    return pa.chunked_array([pa.nulls(len(events), pa.string())])


def _with_recipients(events: pa.Table, originals: Ints, copies: Ints) -> pa.Table:
    if "recipient" not in events.column_names:
        return events
    place = np.arange(len(events))
    place[originals] = copies
    known = pc.coalesce(events["recipient"], events["recipient"].take(pa.array(place)))
    return put(events, "recipient", known)
