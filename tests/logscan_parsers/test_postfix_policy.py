# ruff: noqa: E501 - log lines are as long as they are
"""Postfix's own server, milters and checks as a table: the line, and the event that it must give, or none."""

from __future__ import annotations

from typing import Any

import pytest
from reading import reading

from logscan.parser import Block, Tally
from logscan_parsers.postfix import parser

COLUMNS = (
    "action", "direction", "stage", "code", "enhanced", "reply", "sender", "recipient",
    "remote_host", "remote_ip", "client_host", "client_ip", "queue_id",
)  # fmt: skip


parsed = reading(parser, "Oct 26 18:13:50 mx postfix/smtpd[1]: ", COLUMNS)

NO_EVENT = {
    "connect": "connect from h[192.0.2.1]",
    "disconnect": "disconnect from h[192.0.2.1] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4",
    "permit": "NOQUEUE: permit: RCPT from h[192.0.2.1]: action=dunno for Client host=h; from=<a@b> to=<c@d> proto=ESMTP helo=<h>",
    "info": "NOQUEUE: info: RCPT from h[192.0.2.1]: x; from=<a@b> to=<c@d> proto=ESMTP helo=<h>",
    "prepend": "NOQUEUE: prepend: RCPT from h[192.0.2.1]: x; from=<a@b> to=<c@d> proto=ESMTP helo=<h>",
    "a header's warning": "C3CD21F3E90: warning: header Subject: X from h[192.0.2.1]; from=<a@b> to=<c@d> proto=ESMTP helo=<h>",
    "a header's warning with an outcome in it": "C3CD21F3E90: warning: header Subject: x, to=<a@b>, status=sent (250 2.0.0) from h[192.0.2.1]; from=<a@b> to=<c@d> proto=ESMTP helo=<h>",
    "a login's name with an outcome in it": "C3CD21F3E90: client=h[192.0.2.1], sasl_method=PLAIN, sasl_username=x, to=<y>, status=sent (250 x)",
    "a Message-ID with an outcome in it": "C3CD21F3E90: message-id=<a>, to=<x>, relay=none, dsn=2.0.0, status=sent (250 ok>",
    "a sender with an expiry in it": 'C3CD21F3E90: from=<"a>, status=expired, returned to sender"@x>, size=512, nrcpt=1 (queue active)',
    "postscreen passes": "PASS NEW [192.0.2.1]:43421",
    "postscreen, early talker": r"PREGREET 6 after 1.2 from [216.81.72.72]:43421: RSET\r\n",
    "postscreen, hangs up": "HANGUP after 63 from [192.0.2.1]:43421 in tests after SMTP handshake",
    "anvil": "statistics: max connection rate 1/60s for (smtpd:61.238.241.86) at Oct 26 18:13:50",
    "tls": "Anonymous TLS connection established from h[192.0.2.1]: TLSv1.3 with cipher X",
    "dnsblog": "addr 61.238.241.86 listed by domain psbl.surriel.com as 127.0.0.2",
    "3.11's notification failed": "C3CD21F3E90: sender notification failed",
}


@pytest.mark.parametrize("line", NO_EVENT.values(), ids=NO_EVENT)
def test_what_is_known_and_gives_no_event(line: str) -> None:
    events, tally = parsed(line)
    assert events == []
    assert (tally.unread, tally.other, tally.lines) == (0, 0, 1)


def said(
    action: str, stage: str, code: int | None, enhanced: str | None, reply: str, **more: str | None
) -> dict[str, Any]:
    side = {"remote_host": "h.example", "remote_ip": "192.0.2.1", "client_host": "h.example", "client_ip": "192.0.2.1"}
    columns = {
        "action": action,
        "stage": stage,
        "code": code,
        "enhanced": enhanced,
        "reply": reply,
        "direction": "inbound",
    }
    whole = {**columns, "sender": "a@b.example", "recipient": "c@d.example", **side, **more}
    return {name: value for name, value in whole.items() if value is not None}


H = "h.example[192.0.2.1]"
T = "; from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<h>"
UNKNOWN = {"remote_host": None, "client_host": None}
NOBODY: dict[str, str | None] = {"sender": None, "recipient": None}
QID = {"queue_id": "C3CD21F3E90"}

SESSION: dict[str, tuple[str, dict[str, Any]]] = {
    "rcpt": (
        f"NOQUEUE: reject: RCPT from {H}: 550 5.1.1 <c@d.example>: Recipient address rejected: User unknown{T}",
        said("rejected", "rcpt", 550, "5.1.1", "550 5.1.1 <c@d.example>: Recipient address rejected: User unknown"),
    ),
    "after an accepted recipient": (
        f"C3CD21F3E90: reject: RCPT from {H}: 550 5.1.1 no{T}",
        said("rejected", "rcpt", 550, "5.1.1", "550 5.1.1 no", **QID),
    ),
    "unknown client": (
        f"NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 450 4.7.1 Client host rejected: [192.0.2.1]{T}",
        said("rejected", "rcpt", 450, "4.7.1", "450 4.7.1 Client host rejected: [192.0.2.1]", **UNKNOWN),
    ),
    "ipv6, a block list's address": (
        f"NOQUEUE: reject: RCPT from h.example[2001:db8::1]: 554 5.7.1 Service unavailable; Client host [2001:db8::1] blocked using x; https://x/2001:db8::1{T}",
        said(
            "rejected",
            "rcpt",
            554,
            "5.7.1",
            "554 5.7.1 Service unavailable; Client host [2001:db8::1] blocked using x; https://x/2001:db8::1",
            remote_ip="2001:db8::1",
            client_ip="2001:db8::1",
        ),
    ),
    "connect": (
        f"NOQUEUE: reject: CONNECT from {H}: 554 5.7.1 <{H}>: Client host rejected: no; proto=SMTP",
        said("rejected", "connect", 554, "5.7.1", f"554 5.7.1 <{H}>: Client host rejected: no", **NOBODY),
    ),
    "ehlo": (
        f"NOQUEUE: reject: EHLO from {H}: 504 5.5.2 <x>: Helo command rejected: no; proto=SMTP helo=<x>",
        said("rejected", "helo", 504, "5.5.2", "504 5.5.2 <x>: Helo command rejected: no", **NOBODY),
    ),
    "mail": (
        f"NOQUEUE: reject: MAIL from {H}: 552 5.3.4 Message size exceeds fixed limit; proto=ESMTP helo=<h>",
        said("rejected", "mail", 552, "5.3.4", "552 5.3.4 Message size exceeds fixed limit", **NOBODY),
    ),
    "vrfy": (
        f"NOQUEUE: reject: VRFY from {H}: 550 5.1.1 no; to=<c@d.example> proto=SMTP helo=<h>",
        said("rejected", "vrfy", 550, "5.1.1", "550 5.1.1 no", sender=None),
    ),
    "data, of a bounce": (
        f"NOQUEUE: reject: DATA from {H}: 550 5.5.3 <DATA>: no; from=<> proto=ESMTP helo=<h>",
        said("rejected", "data", 550, "5.5.3", "550 5.5.3 <DATA>: no", sender="<>", recipient=None),
    ),
    "end of message": (
        f"C3CD21F3E90: reject: END-OF-MESSAGE from {H}: 554 5.7.1 no{T}",
        said("rejected", "end-of-data", 554, "5.7.1", "554 5.7.1 no", **QID),
    ),
    "etrn": (
        f"NOQUEUE: reject: ETRN from {H}: 459 4.7.1 no; proto=ESMTP helo=<h>",
        said("rejected", "etrn", 459, "4.7.1", "459 4.7.1 no", **NOBODY),
    ),
    "reject_warning": (
        f"NOQUEUE: reject_warning: RCPT from {H}: 450 4.7.1 x{T}",
        said("warned", "rcpt", 450, "4.7.1", "450 4.7.1 x"),
    ),
    "hold": (
        f"NOQUEUE: hold: RCPT from {H}: <c@d.example>: triggers HOLD{T}",
        said("held", "rcpt", None, None, "<c@d.example>: triggers HOLD"),
    ),
    "discard": (f"NOQUEUE: discard: RCPT from {H}: x{T}", said("discarded", "rcpt", None, None, "x")),
    "redirect": (f"NOQUEUE: redirect: RCPT from {H}: x{T}", said("redirected", "rcpt", None, None, "x")),
    "filter": (f"NOQUEUE: filter: RCPT from {H}: x{T}", said("filtered", "rcpt", None, None, "x")),
    "proxy": (
        f"NOQUEUE: proxy-reject: RCPT from {H}: 554 5.7.1 no{T}",
        said("rejected", "rcpt", 554, "5.7.1", "554 5.7.1 no"),
    ),
    "proxy, at the end": (
        "proxy-reject: END-OF-MESSAGE: 554 5.7.1 no; from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<h>",
        said(
            "rejected",
            "end-of-data",
            554,
            "5.7.1",
            "554 5.7.1 no",
            remote_host=None,
            remote_ip=None,
            client_host=None,
            client_ip=None,
        ),
    ),
    "milter": (
        f"NOQUEUE: milter-reject: RCPT from {H}: 451 4.7.1 Greylisting{T}",
        said("rejected", "rcpt", 451, "4.7.1", "451 4.7.1 Greylisting"),
    ),
    "milter, no code": (
        f"C3CD21F3E90: milter-reject: END-OF-MESSAGE from {H}: 5.7.1 Blocked{T}",
        said("rejected", "end-of-data", None, "5.7.1", "5.7.1 Blocked", **QID),
    ),
    "milter holds": (
        f"C3CD21F3E90: milter-hold: END-OF-MESSAGE from {H}: milter triggers HOLD action{T}",
        said("held", "end-of-data", None, None, "milter triggers HOLD action", **QID),
    ),
    "postscreen": (
        "NOQUEUE: reject: RCPT from [192.0.2.1]:43421: 550 5.7.1 Service unavailable; client [192.0.2.1] blocked using x; from=<a@b.example>, to=<c@d.example>, proto=ESMTP, helo=<h>",
        said(
            "rejected",
            "rcpt",
            550,
            "5.7.1",
            "550 5.7.1 Service unavailable; client [192.0.2.1] blocked using x",
            **UNKNOWN,
        ),
    ),
    "postscreen, no code": (
        "NOQUEUE: reject: CONNECT from [192.0.2.1]:43421: too many connections",
        said("rejected", "connect", None, None, "too many connections", **UNKNOWN, **NOBODY),
    ),
    "sasl fields (3.10)": (
        f"NOQUEUE: reject: RCPT from {H}: 550 5.1.1 x{T} sasl_method=PLAIN, sasl_username=u, sasl_sender=s",
        said("rejected", "rcpt", 550, "5.1.1", "550 5.1.1 x"),
    ),
    "quoted recipient": (
        f'NOQUEUE: reject: RCPT from {H}: 550 5.1.1 x; from=<> to=<"a> to=<evil"@d.example> proto=ESMTP helo=<h>',
        said("rejected", "rcpt", 550, "5.1.1", "550 5.1.1 x", sender="<>", recipient='"a> to=<evil"@d.example'),
    ),
    # Forged
    "helo with a second ending": (
        f"NOQUEUE: reject: RCPT from {H}: 554 5.7.1 no; from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<x> from=<e@x> to=<e@y> proto=SMTP helo=<z>",
        said("rejected", "rcpt", 554, "5.7.1", "554 5.7.1 no"),
    ),
    "helo with a second whole ending": (
        f"NOQUEUE: reject: RCPT from {H}: 554 5.7.1 <c@d.example>: no; from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<x>; from=<e@x> to=<e@y> proto=SMTP helo=<z>",
        said("rejected", "rcpt", 554, "5.7.1", "554 5.7.1 <c@d.example>: no"),
    ),
    "helo refused at once, with an ending in it": (
        f"NOQUEUE: reject: EHLO from {H}: 504 5.5.2 <x>; from=<e@x> to=<e@y> proto=SMTP helo=<y>: Helo command rejected: no; proto=SMTP helo=<x>; from=<e@x> to=<e@y> proto=SMTP helo=<y>",
        said(
            "rejected",
            "helo",
            504,
            "5.5.2",
            "504 5.5.2 <x>; from=<e@x> to=<e@y> proto=SMTP helo=<y>: Helo command rejected: no",
            **NOBODY,
        ),
    ),
    "helo refused later, with an ending in it": (
        f"NOQUEUE: reject: RCPT from {H}: 504 5.5.2 <x>; from=<e@x> to=<e@y> proto=SMTP helo=<y>: Helo command rejected: no; from=<a@b.example> to=<c@d.example> proto=SMTP helo=<x>; from=<e@x> to=<e@y> proto=SMTP helo=<y>",
        said(
            "rejected",
            "rcpt",
            504,
            "5.5.2",
            "504 5.5.2 <x>; from=<e@x> to=<e@y> proto=SMTP helo=<y>: Helo command rejected: no",
        ),
    ),
    "recipient with an ending in it": (
        f'NOQUEUE: reject: RCPT from {H}: 550 5.1.1 <"a; from=<e@x> to=<e@y> proto=SMTP helo=<z>"@d.example>: no; from=<a@b.example> to=<"a; from=<e@x> to=<e@y> proto=SMTP helo=<z>"@d.example> proto=ESMTP helo=<h>',
        said(
            "rejected",
            "rcpt",
            550,
            "5.1.1",
            '550 5.1.1 <"a; from=<e@x> to=<e@y> proto=SMTP helo=<z>"@d.example>: no',
            recipient='"a; from=<e@x> to=<e@y> proto=SMTP helo=<z>"@d.example',
        ),
    ),
    "sender with a recipient in it": (
        f'NOQUEUE: reject: RCPT from {H}: 550 5.1.1 no; from=<"x> to=<e@y> proto=SMTP helo=<z"@b.example> to=<c@d.example> proto=ESMTP helo=<h>',
        said("rejected", "rcpt", 550, "5.1.1", "550 5.1.1 no", sender='"x> to=<e@y> proto=SMTP helo=<z"@b.example'),
    ),
    "line ends of other alphabets": (
        f"NOQUEUE: reject: RCPT from {H}: 550 5.1.1 a\u2028b\u0085c\rd; from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<\u2028to=<x>\r>",
        said("rejected", "rcpt", 550, "5.1.1", "550 5.1.1 a\u2028b\u0085c\rd"),
    ),
}


@pytest.mark.parametrize(("line", "want"), SESSION.values(), ids=SESSION)
def test_sessions(line: str, want: dict[str, Any]) -> None:
    assert parsed(line) == ([want], Tally(understood=1))


CONTENT: dict[str, tuple[str, dict[str, Any]]] = {
    "header": (
        f"C3CD21F3E90: reject: header Subject: CHEAP from {H}{T}: 5.7.1 no spam",
        said("rejected", "end-of-data", None, "5.7.1", "5.7.1 no spam", **QID),
    ),
    "body": (
        f"C3CD21F3E90: reject: body viagra from {H}{T}: 5.7.1 no",
        said("rejected", "end-of-data", None, "5.7.1", "5.7.1 no", **QID),
    ),
    "of a milter": (
        f"C3CD21F3E90: milter-header-reject: header Subject: X from {H}{T}: 5.7.1 no",
        said("rejected", "end-of-data", None, "5.7.1", "5.7.1 no", **QID),
    ),
    "hold, without words": (
        f"C3CD21F3E90: hold: header Subject: X from {H}{T}",
        said("held", "end-of-data", None, None, "", **QID),
    ),
    "of our own": (
        "C3CD21F3E90: hold: header Subject: X from local; from=<a@b.example> to=<c@d.example>",
        said(
            "held",
            "end-of-data",
            None,
            None,
            "",
            remote_host=None,
            remote_ip=None,
            client_host=None,
            client_ip=None,
            **QID,
        ),
    ),
    "a colon and from in the header": (
        f"C3CD21F3E90: reject: header Received: from x: y from z from {H}{T}: 5.7.1 no",
        said("rejected", "end-of-data", None, "5.7.1", "5.7.1 no", **QID),
    ),
    "header with an ending in it": (
        f"C3CD21F3E90: reject: header Subject: hi from evil[192.0.2.99]; from=<e@x> to=<e@y> proto=ESMTP helo=<z>: 2.0.0 fine from {H}{T}: 5.7.1 no",
        said("rejected", "end-of-data", None, "5.7.1", "5.7.1 no", **QID),
    ),
    "sender with an ending in it": (
        f'C3CD21F3E90: reject: header Subject: hi from {H}; from=<"x from evil[192.0.2.99]; from=<e@x> to=<e@y> proto=ESMTP helo=<z>: 2.0.0 y"@b.example> to=<c@d.example> proto=ESMTP helo=<h>: 5.7.1 no',
        said(
            "rejected",
            "end-of-data",
            None,
            "5.7.1",
            "5.7.1 no",
            sender='"x from evil[192.0.2.99]; from=<e@x> to=<e@y> proto=ESMTP helo=<z>: 2.0.0 y"@b.example',
            **QID,
        ),
    ),
}


@pytest.mark.parametrize(("line", "want"), CONTENT.values(), ids=CONTENT)
def test_content_checks(line: str, want: dict[str, Any]) -> None:
    assert parsed(line) == ([want], Tally(understood=1))


# Sessions that ended badly: the line itself is what is told.
ENDINGS = {
    "lost after data": (f"lost connection after DATA (7774180 bytes) from {H}", "aborted", "data"),
    "lost after auth": (f"lost connection after AUTH from {H}", "aborted", "auth"),
    "timeout": (f"timeout after END-OF-MESSAGE from {H}", "aborted", "end-of-data"),
    "too many errors": (f"too many errors after RCPT from {H}", "rejected", "rcpt"),
    "pipelining": (rf"improper command pipelining after EHLO from {H}: QUIT\r\n", "rejected", "helo"),
    "pipelining, an outcome in it": (
        f"improper command pipelining after DATA from {H}: C3CD21F3E90: to=<a@b>, relay=none, delay=1, status=sent (250 ok)",
        "rejected",
        "data",
    ),
    "login": (f"warning: {H}: SASL LOGIN authentication failed: UGFzc3dvcmQ6", "rejected", "auth"),
    "login, an outcome in it": (
        f"warning: {H}: SASL LOGIN authentication failed: x: to=<a>, relay=none, status=sent (x)",
        "rejected",
        "auth",
    ),
    "tls": (f"SSL_accept error from {H}: lost connection", "aborted", "starttls"),
    "rate": (f"warning: Connection rate limit exceeded: 4 from {H} for service smtpd", "rejected", "connect"),
    "concurrency": (
        f"warning: Connection concurrency limit exceeded: 4 from {H} for service smtpd",
        "rejected",
        "connect",
    ),
    "no smtp": (f"warning: non-SMTP command from {H}: GET / HTTP/1.1", "rejected", "connect"),
    "syntax": (f"warning: Illegal address syntax from {H} in MAIL command: <x>", "rejected", "mail"),
}


@pytest.mark.parametrize(("line", "action", "stage"), ENDINGS.values(), ids=ENDINGS)
def test_sessions_that_ended_badly(line: str, action: str, stage: str) -> None:
    assert parsed(line) == ([said(action, stage, None, None, line, **NOBODY)], Tally(understood=1))


OF_THE_MESSAGE = {
    "expired": (
        "C3CD21F3E90: from=<a@b.example>, status=expired, returned to sender",
        {"action": "expired", "direction": "outbound", "reply": "expired, returned to sender", "sender": "a@b.example"},
    ),
    "force-expired": (
        "C3CD21F3E90: from=<>, status=force-expired, returned to sender",
        {"action": "expired", "direction": "outbound", "reply": "force-expired, returned to sender", "sender": "<>"},
    ),
    "bounce": (
        "C3CD21F3E90: sender non-delivery notification: ADD2F8052",
        {"action": "notified", "direction": "local", "reply": "sender non-delivery notification: ADD2F8052"},
    ),
    "delay": (
        "C3CD21F3E90: sender delay notification: ADD2F8052",
        {"action": "notified", "direction": "local", "reply": "sender delay notification: ADD2F8052"},
    ),
    "postmaster": (
        "C3CD21F3E90: postmaster non-delivery notification: ADD2F8052",
        {"action": "notified", "direction": "local", "reply": "postmaster non-delivery notification: ADD2F8052"},
    ),
}


@pytest.mark.parametrize(("line", "want"), OF_THE_MESSAGE.values(), ids=OF_THE_MESSAGE)
def test_events_of_a_message(line: str, want: dict[str, Any]) -> None:
    assert parsed(line) == ([{**want, **QID}], Tally(understood=1))


FACTS: dict[str, tuple[str, dict[str, Any]]] = {
    "client": ("client=h.example[192.0.2.1]", {"client_host": "h.example", "client_ip": "192.0.2.1", "mark": 1}),
    "client with a login": (
        "client=unknown[2001:db8::1], sasl_method=PLAIN, sasl_username=u",
        {"client_ip": "2001:db8::1", "mark": 1},
    ),
    "pickup, whose from= is a short name": ("uid=0 from=<root>", {"mark": 1}),
    "message-id": ("message-id=<1@x.example>", {"message_id": "1@x.example", "mark": 0}),
    "no message-id": ("message-id=<>", {"mark": 0}),
    "message-id without brackets": ("message-id=1@x.example", {"message_id": "1@x.example", "mark": 0}),
    "queue": (
        "from=<a@b.example>, size=512, nrcpt=1 (queue active)",
        {"sender": "a@b.example", "size": 512, "mark": 0},
    ),
    "null sender": ("from=<>, size=512, nrcpt=1 (queue active)", {"sender": "<>", "size": 512, "mark": 0}),
    "quoted sender": (
        'from=<"a>, size=1, "@b.example>, size=512, nrcpt=1 (queue active)',
        {"sender": '"a>, size=1, "@b.example', "size": 512, "mark": 0},
    ),
    "removed": ("removed", {"mark": 2}),
    "canceled (3.10)": ("canceled", {"mark": 2}),
}


@pytest.mark.parametrize(("text", "want"), FACTS.values(), ids=FACTS)
def test_facts(text: str, want: dict[str, Any]) -> None:
    found = parser.parse(Block.of(f"Oct 26 18:13:50 mx postfix/x[1]: C3CD21F3E90: {text}\n".encode()))
    assert found.tally == Tally(understood=1)
    (row,) = found.messages.drop_columns(["time", "host", "offset"]).to_pylist()
    assert {k: v for k, v in row.items() if v is not None} == {**want, **QID}
