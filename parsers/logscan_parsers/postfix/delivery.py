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
from logscan.spans import Bools, Ints, Spans, table_of
from logscan_parsers.postfix.line import Lines, bodies, path, peer, starting

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

_BLANK = table_of(b" ")
_STAGE_NAMES = [*dict.fromkeys([*STAGES.values(), *_WHILE.values()])]
_STAGE_OF_WORDS = {
    b"connect to ": "connect",
    b"SSL_connect error": "starttls",
    b"Cannot start TLS": "starttls",
    b"TLS is required": "starttls",
    b"Server certificate": "starttls",
    b"SASL authentication failed": "auth",
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
    if hits.any():
        rest = rest[hits]
        some = bodies(lines, rest)
        said = np.logical_or.reduce([some.has(words) for words in _SAID])
        hits = said | ~some.startswith(b"host ")
    rows = np.sort(np.concatenate((rest[hits], alone, tls)))
    if len(rows):
        yield _attempts(lines, rows), rows, True


def _outcomes(lines: Lines, rows: Ints) -> tuple[pa.Table, Ints]:
    body = bodies(lines, rows)
    recipient, tail = path(body.skip(len(b"to=<")))
    aliased = tail.startswith(b", orig_to=<")
    if aliased.any():
        _, rest = path(tail.where(aliased).skip(len(b", orig_to=<")))
        tail = rest.where(aliased).or_else(tail)
    status_tail = tail.after(b", status=")
    codes, values, length = status_tail.tokens(_BLANK, 64)
    text = status_tail.skip(length)
    head = Spans(tail.buffer, tail.start, status_tail.start)
    # A line cut before its status is whole says nothing of an outcome; it stays unread.
    whole = np.flatnonzero(text.startswith(b" ("))
    if len(whole) < len(rows):
        rows, codes = rows[whole], codes[whole]
        recipient, head, text = recipient.take(whole), head.take(whole), text.take(whole)
    text = text.skip(2)
    text = Spans(text.buffer, text.start, text.end - text.endswith(b")"))

    relay = head.after(b", relay=").until(b",")
    answer = _answers(text, relay)
    actions = [ACTIONS.get(value.decode(), value.decode()) for value in values]
    dsn = reply.enhanced_codes(head.after(b", dsn=").until(b","))
    table = pa.table(
        {
            "queue_id": lines.queue_id.take(rows).to_arrow(),
            "recipient": recipient.where(recipient.length > 0).to_arrow(),
            "direction": words(_direction(lines, rows, relay), ["outbound", "local"]),
            "action": words(codes, actions),
            "delay": head.after(b", delay=").until(b",").decimal(),
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
    body = bodies(lines, rows)
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

    The reply is what the host said, where one is quoted; else the words themselves. Most deliveries succeed, and their
    words are the reply itself: only the others need a closer look.
    """
    remote_host, remote_ip = peer(relay.where(relay.has(b"[")))
    digit = text.byte()
    wordy = np.flatnonzero((digit < ord("0")) | (digit > ord("9")))
    plain = text.where((digit >= ord("0")) & (digit <= ord("9")))
    replies = reply.cut(plain)
    stage = np.where(replies.code.is_valid().to_numpy(zero_copy_only=False), _STAGE_NAMES.index("end-of-data"), -1)
    answer = {"code": replies.code, "enhanced": replies.enhanced, "reply": replies.text}
    answer |= {"remote_host": remote_host, "remote_ip": remote_ip}
    if len(wordy):
        found, stage[wordy] = _words(text.take(wordy).compact())
        nowhere = ~relay.take(wordy).has(b"[")
        mask = np.zeros(len(text), bool)
        mask[wordy] = True
        elsewhere = np.zeros(len(text), bool)
        elsewhere[wordy[nowhere]] = True
        for name, column in found.items():
            # The other side stands in relay=; where that says `none`, in the words.
            only = name.startswith("remote_")
            use, values = (elsewhere, column.filter(pa.array(nowhere))) if only else (mask, column)
            into = answer[name].cast(pa.string()) if name == "enhanced" else answer[name]
            answer[name] = pc.replace_with_mask(into, pa.array(use), values)
        answer["enhanced"] = answer["enhanced"].dictionary_encode()
    return answer | {"stage": words(stage, _STAGE_NAMES)}


def _words(text: Spans) -> tuple[dict[str, pa.Array], Ints]:
    """The columns, and the stage, of words that are not a reply themselves."""
    bare = text.skip(np.where(text.startswith(_SUSPENDED), len(_SUSPENDED), 0))
    start = bare.start.copy()
    quoting = np.zeros(len(text), bool)
    for literal in (*_QUOTES_A_HOST, *_NAMES_A_HOST, b"SSL_connect error to "):
        starts = bare.startswith(literal)
        start = np.where(starts, bare.start + len(literal), start)
        quoting |= starts & (literal in _QUOTES_A_HOST)

    # The host's own words begin at the first of these; a reply may well hold them again.
    none = np.iinfo(np.int64).max
    said_at, said_end = np.full(len(text), none), np.full(len(text), none)
    for literal in _SAID:
        at = bare.find(literal)
        earlier = quoting & (at >= 0) & (at < said_at)
        said_at = np.where(earlier, at, said_at)
        said_end = np.where(earlier, at + len(literal), said_end)
    said = said_end < none
    # What another daemon's words were, error(8) repeats: then a reply may start right here.
    quoted = Spans(bare.buffer, np.where(said, said_end, bare.start), bare.end)
    # Postfix ends with it. A line that was cut does not, but its reply may hold the same words.
    in_reply = quoted.rfind(b" (in reply to ")
    has_stage = said & (in_reply >= 0) & (bare.endswith(b" command)") | bare.endswith(b" command"))
    command = Spans(bare.buffer, np.where(has_stage, in_reply + len(b" (in reply to "), bare.start), bare.end)
    command = command.until_last(b" command").where(has_stage)
    quoted = Spans(quoted.buffer, quoted.start, np.where(has_stage, in_reply, quoted.end))
    replies = reply.cut(quoted)

    waiting = bare.rfind(b" while ")
    during = Spans(bare.buffer, np.where(waiting >= 0, waiting + len(b" while "), bare.start), bare.end)
    during = during.where((start > bare.start) & ~said & (waiting >= 0))

    stage = np.full(len(text), -1, np.int64)
    for spans, table in ((command, STAGES), (during, _WHILE)):
        rows = np.flatnonzero(spans.present)
        codes, values, _ = spans.take(rows).tokens(np.zeros(256, bool), 80)
        places = [_STAGE_NAMES.index(s) if (s := table.get(v.decode(errors="replace"))) else -1 for v in values]
        stage[rows] = np.array([*places, -1])[codes]
    for literal, name in _STAGE_OF_WORDS.items():
        stage[bare.startswith(literal)] = _STAGE_NAMES.index(name)
    stage[said & ~has_stage & bare.has(b" refused to talk to me: ")] = _STAGE_NAMES.index("connect")

    named = Spans(bare.buffer, start, bare.end).until(b" ").where(start > bare.start)
    host, address = peer(named.where(named.has(b"[")))
    columns = {
        "code": replies.code,
        "enhanced": replies.enhanced.cast(pa.string()),
        "reply": replies.text,
        "remote_host": host,
        "remote_ip": address,
    }
    return columns, stage


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
