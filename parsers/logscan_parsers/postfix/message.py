"""What Postfix says of a message besides its deliveries: who handed it in, its size, its end.

QID: client=mail.example[192.0.2.1], sasl_method=PLAIN, sasl_username=u       smtpd: begins the message's life
QID: uid=0 from=<root>                                                       pickup: begins it too
QID: message-id=<1@example>                                                  cleanup
QID: from=<a@example>, size=512, nrcpt=1 (queue active)                       qmgr
QID: from=<a@example>, status=expired, returned to sender                     qmgr: an event
QID: sender non-delivery notification: QID2                                   bounce: an event
QID: removed                                                                 qmgr: ends it
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan.columns import word
from logscan.parser import BEGIN, END
from logscan.spans import Bools, Ints, Spans
from logscan_parsers.postfix.line import Lines, bodies, path, peer, starting


def read(lines: Lines, unread: Bools) -> Iterator[tuple[pa.Table, Ints, bool]]:
    """Tables of facts and of the events among them, and the rows they come from."""
    rest = np.flatnonzero(unread & lines.queue_id.present)
    rows, rest = starting(lines, rest, b"from=<")
    if len(rows):
        yield from _queue_manager(lines, rows)
    rows, rest = starting(lines, rest, b"removed")
    canceled, rest = starting(lines, rest, b"canceled")
    rows = np.concatenate((rows, canceled))
    rows = rows[lines.body.take(rows).length <= len(b"canceled")]
    if len(rows):
        yield _facts(lines, rows, END), rows, False
    rows, rest = starting(lines, rest, b"message-id=")
    if len(rows):
        body = bodies(lines, rows).skip(len(b"message-id="))
        bracket = (body.byte() == ord("<")) & body.endswith(b">")
        name = Spans(body.buffer, body.start + bracket, body.end - bracket)
        yield _facts(lines, rows, 0, message_id=name.where(name.length > 0).to_arrow()), rows, False
    rows, rest = starting(lines, rest, b"client=")
    if len(rows):
        client_host, client_ip = peer(bodies(lines, rows).skip(len(b"client=")).until(b", "))
        yield _facts(lines, rows, BEGIN, client_host=client_host, client_ip=client_ip), rows, False
    rows, rest = starting(lines, rest, b"uid=")
    if len(rows):
        # Its from= is the submitting user's short name; the queue manager's line has the envelope sender.
        yield _facts(lines, rows, BEGIN), rows, False
    rows, rest = starting(lines, rest, b"sender ")
    postmaster, rest = starting(lines, rest, b"postmaster ")
    rows = np.sort(np.concatenate((rows, postmaster)))
    rows = rows[bodies(lines, rows).has(b"notification: ")]
    if len(rows):
        yield _notices(lines, rows), rows, True


def _queue_manager(lines: Lines, rows: Ints) -> Iterator[tuple[pa.Table, Ints, bool]]:
    sender, tail = path(bodies(lines, rows).skip(len(b"from=<")))
    ended = tail.startswith(b", status=")
    size, sized = tail.after(b", size=").until(b",").number()
    queued = ~ended & sized
    if queued.any():
        facts = _facts(
            lines,
            rows[queued],
            0,
            sender=_sender(sender.take(queued)),
            size=pa.array(size[queued]),
        )
        yield facts, rows[queued], False
    if ended.any():
        some = rows[ended]
        table = pa.table(
            {
                "queue_id": lines.queue_id.take(some).to_arrow(),
                "sender": _sender(sender.take(ended)),
                "direction": word("outbound", len(some)),
                "action": word("expired", len(some)),
                "reply": tail.take(ended).skip(len(b", status=")).to_arrow(),
            }
        )
        yield table, some, True


def _notices(lines: Lines, rows: Ints) -> pa.Table:
    return pa.table(
        {
            "queue_id": lines.queue_id.take(rows).to_arrow(),
            "direction": word("local", len(rows)),
            "action": word("notified", len(rows)),
            "reply": lines.body.take(rows).to_arrow(),
        }
    )


def _facts(lines: Lines, rows: Ints, mark: int, **facts: pa.Array) -> pa.Table:
    marks = pa.array(np.full(len(rows), mark, np.int8))
    return pa.table({"queue_id": lines.queue_id.take(rows).to_arrow(), "mark": marks, **facts})


def _sender(sender: Spans) -> pa.StringArray:
    """Reverse-paths; the null one is told as `<>`, since null is what a log does not say."""
    texts = sender.to_arrow()
    return pc.if_else(pc.equal(texts, ""), "<>", texts)
