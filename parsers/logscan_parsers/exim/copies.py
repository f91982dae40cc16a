"""What Exim writes to syslog twice: refusals, and what goes to the paniclog, once for each of its own logs.

    <22>1 ... exim 7 - -  2026-11-23 21:29:43.101 [7] H=h [192.0.2.1] F=<> rejected RCPT <a@b.example>: no     mainlog
    <21>1 ... exim 7 - -  2026-11-23 21:29:43.101 [7] H=h [192.0.2.1] F=<> rejected RCPT <a@b.example>: no     rejectlog

The second is a copy unless `syslog_duplication = false` (log.c, log_write). The rejectlog's may have the headers of the
message, and so know its recipient.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan.columns import put

_SAME = ("host", "queue_id", "action", "stage", "code", "reply", "sender", "client_host", "client_ip")
_TWICE = ("rejected", "discarded", "aborted", "deferred", "bounced", "held")


def once(events: pa.Table) -> pa.Table:
    """The events of a syslog without the second of each two that are equal in all they say, their moment included.

    >>> rows = [{"time": 1, "action": "rejected", "reply": "no", "recipient": r} for r in ("a", "a", "b", "a", "a")]
    >>> once(pa.Table.from_pylist(rows))["recipient"].to_pylist()
    ['a', 'b', 'a']
    """
    action = events["action"].cast(pa.string())
    rows = np.flatnonzero(pc.is_in(action, pa.array(_TWICE)).to_numpy())
    if len(rows) < 2:
        return events
    some = events.take(pa.array(rows))
    parts = [some["time"].cast(pa.int64()).cast(pa.string())]
    parts += [some[name].cast(pa.string()) for name in _SAME if name in some.column_names]
    nothing = pa.nulls(len(some), pa.string())
    recipient, stage = (
        some[n].cast(pa.string()) if n in some.column_names else nothing for n in ("recipient", "stage")
    )
    # Of a whole message the mainlog's line names nobody.
    parts.append(pc.if_else(pc.fill_null(pc.equal(stage, "end-of-data"), False), "", recipient))
    keys = pc.binary_join_element_wise(*(pc.fill_null(part, "") for part in parts), "\x00")
    codes = pc.dictionary_encode(keys).combine_chunks().indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.append(True, codes[order][1:] != codes[order][:-1]))
    nth = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    copies = order[nth % 2 == 1]
    if not len(copies):
        return events
    originals = order[np.flatnonzero(nth % 2 == 1) - 1]
    place = np.arange(len(events))
    place[rows[originals]] = rows[copies]
    if "recipient" in events.column_names:
        known = pc.coalesce(events["recipient"], events["recipient"].take(pa.array(place)))
        events = put(events, "recipient", known)
    keep = np.ones(len(events), bool)
    keep[rows[copies]] = False
    return events.filter(pa.array(keep))
