"""Deliveries: what became of one recipient, and what one host said on the way to it.

    QID: to=<a@b.example>, orig_to=<c@d.example>, relay=mx[192.0.2.1]:25, conn_use=2, delay=1, delays=0/0/1/0, tls=may,
         dsn=5.1.1, status=bounced (host mx[192.0.2.1] said: 550 5.1.1 no such user (in reply to RCPT TO command))
    QID: host mx1.b.example[192.0.2.1] refused to talk to me: 421 too busy
    QID: lost connection with mx1.b.example[192.0.2.1] while sending RCPT TO
    connect to mx1.b.example[192.0.2.1]:25: Connection refused

The last three are attempts: one host's answer, or none; the outcome for the recipient stands in another line.
Sources: smtp/smtp_trouble.c, global/log_adhoc.c, error/, local/, pipe/, virtual/, discard/.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan import reply
from logscan.columns import put, word, words
from logscan.spans import Bools, Ints, Spans
from logscan_parsers.postfix.line import Lines, path, peer, starting

ACTIONS = {"sent": "delivered", "force-expired": "expired", "SOFTBOUNCE": "deferred"}

# What Postfix calls the command it waits on (smtp_proto.c, xfer_request), as a stage.
STAGES = {
    "initial server greeting": "connect",
    "HELO": "helo",
    "EHLO": "helo",
    "LHLO": "helo",
    "STARTTLS": "starttls",
    "AUTH": "auth",
    "MAIL FROM": "mail",
    "RCPT TO": "rcpt",
    "DATA": "data",
    "end of DATA": "end-of-data",
    "QUIT": "quit",
    "RSET": "rset",
    "XFORWARD name/address": "xforward",
    "XFORWARD helo/protocol": "xforward",
}
_WHILE = {
    "receiving the initial server greeting": "connect",
    "performing the EHLO handshake": "helo",
    "performing the HELO handshake": "helo",
    "performing the LHLO handshake": "helo",
    "performing TLS handshake": "starttls",
    "sending MAIL FROM": "mail",
    "sending RCPT TO": "rcpt",
    "receiving the STARTTLS response": "starttls",
    "sending DATA command": "data",
    "sending message body": "data",
    "sending end of data -- message may be sent more than once": "end-of-data",
}

# The words between the host's name and its reply.
_SAID = (b" said: ", b" refused to talk to me: ", b" refused to start TLS: ")
_QUOTES_A_HOST = (b"host ", b"SASL authentication failed; server ", b"TLS is required, but host ")
_NAMES_A_HOST = (b"connect to ", b"lost connection with ", b"conversation with ")
_ATTEMPTS = (
    *_QUOTES_A_HOST,
    *_NAMES_A_HOST,
    b"Cannot start TLS",
    b"TLS is required",
    b"SSL_connect error to ",
    b"SASL authentication failed",
    b"Server certificate not ",
    b"Protocol error: ",
    b"non-",
)
_SUSPENDED = b"delivery temporarily suspended: "


def read(lines: Lines, unread: Bools) -> Iterator[tuple[pa.Table, Ints, bool]]:
    """Tables of events, and the rows they come from."""
    named = lines.queue_id.present
    rows, rest = starting(lines, np.flatnonzero(unread & named), b"to=<")
    if len(rows):
        table, kept = _outcomes(lines, rows)
        yield table, kept, True
    # Without a queue id only failures to connect are attempts.
    alone, others = starting(lines, np.flatnonzero(unread & ~named & ~lines.noqueue), b"connect to ")
    tls, _ = starting(lines, others, b"SSL_connect error to ")
    first = lines.body.take(rest).byte()
    # Most other lines with a queue id start with a lower-case word and `=`: not worth eleven comparisons each.
    rest = rest[np.isin(first, [literal[0] for literal in _ATTEMPTS]) & (lines.body.take(rest).byte(6) != ord("="))]
    hits = np.zeros(len(rest), bool)
    for literal in _ATTEMPTS:
        hits |= lines.body.take(rest).startswith(literal)
    rows = np.sort(np.concatenate((rest[hits], alone, tls)))
    if len(rows):
        yield _attempts(lines, rows), rows, True


def _outcomes(lines: Lines, rows: Ints) -> tuple[pa.Table, Ints]:
    body = lines.body.take(rows)
    recipient, tail = path(body.skip(len(b"to=<")))
    status_tail = tail.after(b", status=")
    # A line cut before its status says nothing of an outcome; it stays unread.
    whole = status_tail.present
    if not whole.all():
        rows, recipient, tail, status_tail = rows[whole], recipient.take(whole), tail.take(whole), status_tail.take(whole)
    head = Spans(tail.buffer, tail.start, status_tail.start)
    status = status_tail.until(b" ")
    text = Spans(status.buffer, status.end, status_tail.end)
    opened = text.startswith(b" (")
    text = text.skip(2 * opened.astype(np.int64))
    text = Spans(text.buffer, text.start, text.end - (opened & text.endswith(b")")))

    relay = head.after(b", relay=").until(b", ")
    answer = _answers(text, relay)
    codes, values, _ = status.tokens(np.zeros(256, bool), 64)
    actions = [ACTIONS.get(value.decode(), value.decode()) for value in values]
    dsn = reply.enhanced_codes(head.after(b", dsn=").until(b", "))
    table = pa.table(
        {
            "queue_id": lines.queue_id.take(rows).to_arrow(),
            "recipient": recipient.where(recipient.length > 0).to_arrow(),
            "direction": words(_direction(lines, rows, relay), ["outbound", "local"]),
            "action": words(codes, actions),
            "delay": head.after(b", delay=").until(b", ").decimal(),
            **answer,
        }
    )
    return put(table, "enhanced", _own_or(dsn, table)), rows


def _own_or(dsn: pa.DictionaryArray, table: pa.Table) -> pa.Array:
    """The reply's own enhanced code; else Postfix's `dsn=`, unless that is of another class than the reply.

    Postfix defers on a refusal of its login or on a 5xx greeting, and says dsn=4.0.0 of a 535 or 554: its own decision.
    """
    own, theirs = table["enhanced"].cast(pa.string()), dsn.cast(pa.string())
    code_class = pc.utf8_slice_codeunits(table["code"].cast(pa.string()), 0, 1)
    agrees = pc.fill_null(pc.equal(code_class, pc.utf8_slice_codeunits(theirs, 0, 1)), True)
    return pc.coalesce(own, pc.if_else(agrees, theirs, None)).dictionary_encode()


def _attempts(lines: Lines, rows: Ints) -> pa.Table:
    body = lines.body.take(rows)
    nothing = body.where(np.zeros(len(rows), bool))
    return pa.table(
        {
            "queue_id": lines.queue_id.take(rows).to_arrow(),
            "direction": word("outbound", len(rows)),
            "action": word("attempt", len(rows)),
            **_answers(body, nothing),
        }
    )


def _answers(text: Spans, relay: Spans) -> dict[str, pa.Array]:
    """Code, enhanced code, text, stage and the other side, of Postfix's words about a delivery.

    The reply is what the host said, where one is quoted; else the words themselves.
    """
    bare = text.skip(np.where(text.startswith(_SUSPENDED), len(_SUSPENDED), 0))
    direct = (bare.byte() >= ord("0")) & (bare.byte() <= ord("9"))
    quoting = np.zeros(len(text), bool)
    naming = np.zeros(len(text), bool)
    words_only = np.flatnonzero(~direct)
    some = bare.take(words_only)
    for literal in _QUOTES_A_HOST:
        quoting[words_only] |= some.startswith(literal)
    for literal in _NAMES_A_HOST:
        naming[words_only] |= some.startswith(literal)

    # The host's own words begin at the first of these; a reply may well hold them again.
    said_at = np.full(len(text), np.iinfo(np.int64).max)
    said_end = said_at.copy()
    rows = np.flatnonzero(quoting)
    for literal in _SAID:
        at = bare.take(rows).find(literal)
        earlier = (at >= 0) & (at < said_at[rows])
        said_at[rows[earlier]] = at[earlier]
        said_end[rows[earlier]] = at[earlier] + len(literal)
    said = said_end < np.iinfo(np.int64).max
    quoted = Spans(bare.buffer, np.where(said, said_end, bare.start), bare.end)

    in_reply = quoted.rfind(b" (in reply to ")
    has_stage = said & (in_reply >= 0)
    command = Spans(quoted.buffer, np.where(has_stage, in_reply + len(b" (in reply to "), quoted.start), quoted.end)
    command = command.until_last(b" command").where(has_stage)
    quoted = Spans(quoted.buffer, quoted.start, np.where(has_stage, in_reply, quoted.end))
    replies = reply.cut(quoted)

    # Words with a dotted number at their start (error(8) texts) state an enhanced code without a reply code.
    wanting = naming & ~said
    waiting = bare.rfind(b" while ")
    during = Spans(bare.buffer, np.where(waiting >= 0, waiting + len(b" while "), bare.start), bare.end)
    during = during.where(wanting & (waiting >= 0))

    stage = np.full(len(text), -1)
    names = [*dict.fromkeys([*STAGES.values(), *_WHILE.values()])]
    for spans, table in ((command, STAGES), (during, _WHILE)):
        rows = np.flatnonzero(spans.present)
        codes, values, _ = spans.take(rows).tokens(np.zeros(256, bool), 80)
        places = [names.index(s) if (s := table.get(v.decode(errors="replace"))) else -1 for v in values]
        stage[rows] = np.array([*places, -1])[codes]
    stage[said & ~has_stage & bare.has(b" refused to talk to me: ")] = names.index("connect")
    stage[direct & replies.code.is_valid().to_numpy(zero_copy_only=False)] = names.index("end-of-data")
    stage[bare.startswith(b"connect to ")] = names.index("connect")
    tls = bare.startswith(b"SSL_connect error") | bare.startswith(b"Cannot start TLS") | bare.startswith(b"TLS is req")
    stage[tls | bare.startswith(b"Server certificate")] = names.index("starttls")
    stage[bare.startswith(b"SASL authentication failed")] = names.index("auth")

    # The other side stands in relay=; where that is `none`, in the words.
    start = bare.start.copy()
    for literal in (*_QUOTES_A_HOST, *_NAMES_A_HOST, b"SSL_connect error to "):
        start = np.where(bare.startswith(literal), bare.start + len(literal), start)
    named = Spans(bare.buffer, start, bare.end).until(b" ").where(start > bare.start)
    named = named.where(named.has(b"["))
    name, number = peer(relay.where(relay.has(b"[")))
    if len(rows := np.flatnonzero(named.present & ~relay.has(b"["))):
        mask = np.zeros(len(text), bool)
        mask[rows] = True
        other_name, other_number = peer(named.take(rows))
        name = pc.replace_with_mask(name, pa.array(mask), other_name)
        number = pc.replace_with_mask(number, pa.array(mask), other_number)
    return {
        "code": replies.code,
        "enhanced": replies.enhanced,
        "reply": replies.text,
        "stage": words(stage, names),
        "remote_host": name,
        "remote_ip": number,
    }


_LOCAL_DAEMONS = frozenset(("lmtp", "local", "virtual", "pipe", "discard"))


def _direction(lines: Lines, rows: Ints, relay: Spans) -> np.ndarray:
    """0 outbound, 1 local: by the daemon, or where its name was cut, by the relay, which names a host in brackets."""
    daemons = [program.rpartition("/")[2] for program in lines.head.programs]
    by_daemon = np.array([1 if d in _LOCAL_DAEMONS else 0 if d in ("smtp", "error", "retry") else -1 for d in daemons])
    direction = by_daemon[lines.head.program[rows]]
    unsure = direction < 0
    if unsure.any():
        remote = (relay.has(b"[") & ~relay.has(b"/")) | relay.is_(b"none")
        direction = np.where(unsure, np.where(remote, 0, 1), direction)
    return direction
