"""What Exim says of a message besides its deliveries: who handed it in, its size, its end, its stay in the queue.

ID <= a@b.example H=mail.b.example (helo) [192.0.2.1]:2525 P=esmtps X=... S=512 id=1@b.example T="subject" for c@d
ID <= <> R=ID2 U=Debian-exim P=local S=2859          a notice of ID2's failure or delay: an event too
ID Completed                                         ends it
ID Frozen (delivery error message)                   an event

`<=` begins the life of a message in the log, but for cutthrough deliveries, whose `>>` stands before it. Message ids
are made of time, process and a counter (string.c), so they come once. Sources: receive.c, deliver.c, queue.c.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan.columns import word
from logscan.parser import BEGIN, END
from logscan.spans import DIGITS, Bools, Ints, Spans
from logscan_parsers.exim.line import ARRIVED, COMPLETED, FAKE, Lines
from logscan_parsers.exim.peer import address

# What befalls a message as a whole, by the words that its line starts with (deliver.c, queue.c, receive.c).
QUEUED = {
    b"Frozen": "held",
    b"frozen by ": "held",
    b"*** Frozen": "held",
    b"cancelled by ": "discarded",
    b"removed by ": "discarded",
}
_LONGEST_NUMBER = 18


def read(lines: Lines, unread: Bools) -> Iterator[tuple[pa.Table, Ints, bool]]:
    """Tables of facts, of notices and of what befell messages in the queue, and the rows they come from."""
    rows = np.flatnonzero(unread & ((lines.flag == ARRIVED) | (lines.flag == FAKE)))
    if len(rows):
        yield from _arrivals(lines, rows)
    rows = np.flatnonzero(unread & (lines.flag == COMPLETED))
    rows = rows[lines.body.take(rows).startswith(b"Completed")]
    if len(rows):
        yield _facts(lines, rows, END), rows, False
    rows = np.flatnonzero(unread & lines.queue_id.present & (lines.flag < 0))
    for literal, action in QUEUED.items():
        hit = lines.body.take(rows).startswith(literal)
        if hit.any():
            yield _in_queue(lines, rows[hit], action), rows[hit], True
            rows = rows[~hit]


def _arrivals(lines: Lines, rows: Ints) -> Iterator[tuple[pa.Table, Ints, bool]]:
    body = lines.body.take(rows).compact()
    start = body.start.copy()
    for row in np.flatnonzero(body.byte() == ord('"')).tolist():
        text = body.buffer.bytes[body.start[row] : body.end[row]].tobytes()
        start[row] += _end_of_quoted(text)
    # The sender ends at the first field; which one is first depends on where the message came from.
    rest = Spans(body.buffer, start, body.end)
    first, protocol = rest.find(b" H="), rest.find(b" P=")
    # Those of this machine, and those with a host whose sender has a reference before it, are few on most servers.
    local = np.flatnonzero((first < 0) | (first > protocol) | (rest.byte() == ord("<")))
    if len(local):
        some = rest.take(local)
        alone = some.compact()
        shift = some.start - alone.start
        ends = [alone.find(literal) for literal in (b" H=", b" P=", b" R=", b" U=")]
        first[local] = shift + np.minimum.reduce([np.where(end >= 0, end, alone.end) for end in ends])
    subject = rest.find(b' T="') if rest.has(b'"').any() else np.full(len(rest), -1)
    end = np.where(subject >= 0, subject, rest.end)
    # A line cut before its protocol says too little; it stays unread.
    whole = np.flatnonzero((protocol >= 0) & (protocol < end))
    if len(whole) < len(rows):
        rows, body, first, end, protocol = rows[whole], body.take(whole), first[whole], end[whole], protocol[whole]
    if not len(rows):
        return
    buffer = body.buffer
    sender = Spans(buffer, body.start, first)
    host, ip = _client(Spans(buffer, first, protocol))
    stated = Spans(buffer, protocol, end)
    number = stated.after(b" S=").run(DIGITS, _LONGEST_NUMBER)
    size, sized = number.number()
    facts = {
        "sender": sender.to_arrow(),
        "client_host": host.to_arrow(),
        "client_ip": address(ip.to_arrow()),
        "message_id": _message_id(stated, number),
        "size": pa.array(size, mask=~sized),
    }
    yield _facts(lines, rows, BEGIN, **facts), rows, False
    reference = Spans(buffer, first, protocol)
    notices = np.flatnonzero(sender.is_(b"<>") & reference.startswith(b" R="))
    if len(notices):
        yield _notices(lines, rows[notices], reference.take(notices)), rows[notices], True


def _end_of_quoted(text: bytes) -> int:
    place = 1
    while place < len(text) and text[place] != ord('"'):
        place += 2 if text[place] == ord("\\") else 1
    return min(place, len(text))


def _client(fields: Spans) -> tuple[Spans, Spans]:
    """Name and address of ` H=name (helo) [address]:port I=[...]:25 U=ident`; missing where the log has none.

    >>> rows, _ = Spans.lines(b" H=h.example (x [9.9.9.9]) [192.0.2.1]:9 I=[::1]:25\\n H=(x) [::2]\\n U=root\\n")
    >>> [part.to_arrow().to_pylist() for part in _client(rows)]
    [['h.example', None, None], ['192.0.2.1', '::2', None]]
    """
    fields = fields.compact()
    peer = fields.after(b" H=")
    bracket = peer.rfind(b"[")
    if ((peer.byte(-1) != ord("]")) | (bracket != peer.find(b"["))).any():
        peer = peer.until(b" I=[").until(b" U=")
        bracket = peer.rfind(b"[")
    inside = Spans(peer.buffer, np.where(bracket >= 0, bracket + 1, peer.end + 1), peer.end)
    name = peer.until(b" (").until(b" [")
    named = (name.length > 0) & (name.byte() != ord("(")) & (name.byte() != ord("["))
    return name.where(named & peer.present), inside.before(b"]")


def _message_id(stated: Spans, size: Spans) -> pa.StringArray:
    """The Message-ID: most often the last word, right after the size."""
    at = np.where(size.present, size.end, stated.end)
    name = Spans(stated.buffer, at, stated.end)
    next_ = name.startswith(b" id=")
    if len(others := np.flatnonzero(~next_)):
        some = stated.take(others)
        alone = some.compact()
        found = alone.after(b" id=").or_else(alone.after(b" id*="))
        name.start[others] = np.where(found.present, found.start - alone.start + some.start, some.end + 1)
    name = Spans(name.buffer, name.start + np.where(next_, 4, 0), name.end)
    alone = name.where(name.length > 0).compact()
    more = alone.has(b"=") | alone.has(b" f")
    return (alone.until(b" ") if more.any() else alone).to_arrow()


def _notices(lines: Lines, rows: Ints, reference: Spans) -> pa.Table:
    """The notices: events of the message that they tell of."""
    return pa.table(
        {
            "queue_id": reference.skip(len(b" R=")).compact().until(b" ").to_arrow(),
            "direction": word("local", len(rows)),
            "action": word("notified", len(rows)),
            "reply": pc.binary_join_element_wise("sender notified by ", lines.ids(rows), ""),
        }
    )


def _in_queue(lines: Lines, rows: Ints, action: str) -> pa.Table:
    return pa.table(
        {
            "queue_id": lines.ids(rows),
            "direction": word("local", len(rows)),
            "action": word(action, len(rows)),
            "reply": lines.body.take(rows).to_arrow(),
        }
    )


def _facts(lines: Lines, rows: Ints, mark: int, **facts: pa.Array) -> pa.Table:
    marks = pa.array(np.full(len(rows), mark, np.int8))
    return pa.table({"queue_id": lines.ids(rows), "mark": marks, **facts})
