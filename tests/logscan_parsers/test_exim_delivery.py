# ruff: noqa: E501 - log lines are as long as they are
"""Exim's deliveries as a table: the line after its id, and the event that it must give; first those that give none."""

from __future__ import annotations

from typing import Any

import pytest
from reading import reading

from logscan.parser import Block, Tally
from logscan_parsers.exim import parser

ID = "10HmaX-000000005vi-0000"
COLUMNS = [
    "action",
    "direction",
    "process",
    "stage",
    "code",
    "enhanced",
    "reply",
    "sender",
    "recipient",
    "remote_host",
    "remote_ip",
    "client_host",
    "client_ip",
    "message_id",
    "size",
    "delay",
]


parsed = reading(parser, "2026-11-23 21:29:43 ", COLUMNS)


def event(line: str) -> dict[str, Any]:
    (one,), tally = parsed(f"{ID} {line}")
    assert tally == Tally(understood=1)
    return one


UNREAD = {
    "nothing after the flag": "=> ",
    "cut in the flag": "=",
    "cut in the address": "=> a@x.exam",
    "cut in an address that failed": "** a@x.exam",
    "cut in the host": "** a@x.example R=r T=t H=mx.x.exa",
    "cut before the words": "** a@x.example R=r T=t H=mx.x.example [192.0.2.1]",
    "cut in the errno": "== a@x.example R=r T=t defer (-4",
    "an arrival without a protocol": "<= a@x.example H=mx.x.example [192.0",
    "a host that said nothing": "H=mx.x.example [192.0.2.1]",
    "words of no form": "what is this",
}


@pytest.mark.parametrize("body", UNREAD.values(), ids=UNREAD)
def test_what_states_no_outcome_is_unread(body: str) -> None:
    events, tally = parsed(f"{ID} {body}")
    assert (events, tally.unread, tally.lines) == ([], 1, 1)


def sent(code: int | None, enhanced: str | None, reply: str, **more: Any) -> dict[str, Any]:
    want = {"action": "delivered", "direction": "outbound", "process": "r+smtp", "stage": "end-of-data", "code": code}
    want |= {"enhanced": enhanced} if enhanced else {}
    want |= {"reply": reply, "recipient": "a@x.example", "remote_host": "mx.x.example", "remote_ip": "192.0.2.1"}
    return {name: value for name, value in (want | more).items() if value is not None}


def local(recipient: str, **more: Any) -> dict[str, Any]:
    want = {"action": "delivered", "direction": "local", "process": "r+t", "recipient": recipient}
    return {name: value for name, value in (want | more).items() if value is not None}


HOST = "R=r T=smtp H=mx.x.example [192.0.2.1]"
DELIVERED: dict[str, tuple[str, dict[str, Any]]] = {
    "default selectors": (
        f'=> a@x.example {HOST} X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=yes C="250 2.0.0 OK id=1"',
        sent(250, "2.0.0", "250 2.0.0 OK id=1"),
    ),
    "further recipient": (f'-> a@x.example {HOST} C="250 OK"', sent(250, None, "250 OK")),
    "cutthrough": (f'>> a@x.example {HOST} C="250 OK"', sent(250, None, "250 OK")),
    "suppressed": (
        f'*> a@x.example {HOST} C="delivery bypassed by -N option"',
        sent(None, None, "delivery bypassed by -N option", action="suppressed", stage=None),
    ),
    "tried again too soon": (f'=> a@x.example {HOST}* C="250 OK"', sent(250, None, "250 OK")),
    "port, interface, chunking, all times": (
        '=> a@x.example F=<s@y.example> P=<s@y.example> R=r T=smtp S=434 H=mx.x.example [192.0.2.1]:25 I=[192.0.2.9]:99 L K C="250 OK" QT=1m2.5s DT=0.019s',
        sent(250, None, "250 OK", sender="s@y.example", delay=62.5),
    ),
    "null sender": (
        f'=> a@x.example F=<> P=<> {HOST} C="250 OK" QT=2d1s',
        sent(250, None, "250 OK", sender="<>", delay=172801.0),
    ),
    "a certificate's name with all in it": (
        f'=> a@x.example {HOST} X=TLS1.3:x:256 CV=no DN="CN=evil H=other [192.0.2.9]: SMTP error" C="250 OK"',
        sent(250, None, "250 OK"),
    ),
    "quotes and backslashes of the reply": (
        f'=> a@x.example {HOST} C="250 \\"ok\\" C:\\\\new" DT=1s',
        sent(250, None, '250 "ok" C:\\new'),
    ),
    "lines of the reply": (
        f'=> a@x.example {HOST} C="250-2.0.0 one\\n250 2.0.0 two"',
        sent(250, "2.0.0", "250 2.0.0 one two"),
    ),
    "a reply that imitates the fields": (
        f'=> a@x.example {HOST} C="250 ok\\" R=x T=y H=evil [192.0.2.66] C=\\"550 no"',
        sent(250, None, '250 ok" R=x T=y H=evil [192.0.2.66] C="550 no'),
    ),
    "an IPv6 address": (
        '=> a@x.example R=r T=smtp H=mx.x.example [2001:db8::1]:25 C="250 OK"',
        sent(250, None, "250 OK", remote_ip="2001:db8::1"),
    ),
    "new and old address": (f'=> a@x.example <b@y.example> {HOST} C="250 OK"', sent(250, None, "250 OK")),
    "parents": (
        f'=> a@x.example (c@y.example, d@y.example) <b@y.example> {HOST} C="250 OK"',
        sent(250, None, "250 OK"),
    ),
    "UTF-8": (f'=> 用户@x.example {HOST} C="250 OK"', sent(250, None, "250 OK", recipient="用户@x.example")),
    "a mailbox name": ("=> bob <bob@x.example> R=r T=t", local("bob@x.example")),
    "a mailbox name alone": ("=> bob R=r T=t", local("bob")),
    "LMTP over a socket": (
        '=> a@x.example R=r T=t C="250 2.0.0 <a@x.example> Saved"',
        local("a@x.example", stage="end-of-data", code=250, enhanced="2.0.0", reply="250 2.0.0 <a@x.example> Saved"),
    ),
    "a pipe": ('=> |/bin/sh -c "cat >x" <pipe@x.example> R=r T=t', local("pipe@x.example")),
    "a file": ("=> /var/mail/x <file@x.example> R=r T=t", local("file@x.example")),
    "an automatic answer": ("=> >s@y.example <vac@x.example> R=r T=t", local("vac@x.example")),
    "a black hole": ("=> :blackhole: <x@x.example> R=r", local("x@x.example", process="r")),
    "a system filter's file": ("=> /var/mail/all <system-filter> T=t", local("system-filter", process="t")),
    "a quoted local part loses its quotes": (
        '=> odd, (quoted) <part>@x.example <"odd, (quoted) <part>"@x.example> R=r T=t',
        local('"odd, (quoted) <part>"@x.example'),
    ),
    "what an ACL discarded": (
        "=> blackhole (DATA ACL discarded recipients): no thanks",
        {"action": "discarded", "direction": "inbound"},
    ),
}


@pytest.mark.parametrize(("line", "want"), DELIVERED.values(), ids=DELIVERED)
def test_delivered(line: str, want: dict[str, Any]) -> None:
    assert event(line) == want


def said(stage: str | None, code: int | None, enhanced: str | None, reply: str, **more: Any) -> dict[str, Any]:
    want = {"action": "bounced", "direction": "outbound", "process": "r+smtp", "stage": stage, "code": code}
    want |= {"enhanced": enhanced, "reply": reply, "recipient": "a@x.example"}
    want |= {"remote_host": "mx.x.example", "remote_ip": "192.0.2.1"}
    return {name: value for name, value in (want | more).items() if value is not None}


SMTP = "SMTP error from remote mail server after "
NOWHERE = {"remote_host": None, "remote_ip": None}
FAILED: dict[str, tuple[str, dict[str, Any]]] = {
    "RCPT": (
        f"** a@x.example {HOST}: {SMTP}RCPT TO:<a@x.example>: 550 5.1.1 no such user",
        said("rcpt", 550, "5.1.1", "550 5.1.1 no such user"),
    ),
    "a blank before the colon": (f"** a@x.example {HOST} : {SMTP}DATA: 554 no", said("data", 554, None, "554 no")),
    "MAIL with its parameters": (
        f"** a@x.example {HOST}: {SMTP}MAIL FROM:<s@y.example> SIZE=12: 550 no",
        said("mail", 550, None, "550 no"),
    ),
    "pipelined": (
        f"** a@x.example {HOST}: {SMTP}pipelined end of data: 550 5.7.1 no",
        said("end-of-data", 550, "5.7.1", "550 5.7.1 no"),
    ),
    "greeting": (
        f"** a@x.example {HOST}: {SMTP}initial connection: 554 5.7.1 go away",
        said("connect", 554, "5.7.1", "554 5.7.1 go away"),
    ),
    "EHLO": (f"** a@x.example {HOST}: {SMTP}EHLO me.example: 550 no", said("helo", 550, None, "550 no")),
    "an old remote mailer": (
        f"** a@x.example R=r T=smtp: {SMTP.replace('mail server', 'mailer')}RCPT TO:<a@x.example>: host mx.x.example [192.0.2.1]: 550 no",
        said("rcpt", 550, None, "550 no"),
    ),
    "times, certificate with a colon": (
        f'** a@x.example F=<s@y.example> P=<s@y.example> {HOST}:25 I=[192.0.2.9]:1 X=T:x:1 CV=yes DN="C=UK: x": {SMTP}RCPT TO:<a@x.example>: 550 no DT=0.000s',
        said("rcpt", 550, None, "550 no", sender="s@y.example"),
    ),
    "lines of the reply, octal bytes": (
        f"** a@x.example {HOST}: {SMTP}RCPT TO:<a@x.example>: 550-5.1.1 first\\n550-Empf\\303\\244nger\\n550 5.1.1 last",
        said("rcpt", 550, "5.1.1", "550 5.1.1 first Empfänger last"),
    ),
    "cut within a code": (
        f"** a@x.example {HOST}: {SMTP}RCPT TO:<a@x.example>: 550-5.1.1 first\\n55",
        said("rcpt", 550, "5.1.1", "550 5.1.1 first"),
    ),
    "the first code counts": (
        f"== a@x.example R=r T=smtp defer (-44) H=mx.x.example [192.0.2.1]: {SMTP}RCPT TO:<a@x.example>: 451-4.3.0 a\\n550 5.1.1 b",
        said("rcpt", 451, "4.3.0", "451 4.3.0 a b", action="deferred"),
    ),
    "a reply that imitates Exim's words": (
        f"** a@x.example {HOST}: {SMTP}end of data: 550 no: {SMTP}RCPT TO:<b@z.example>: 250 ok H=evil [192.0.2.66]: retry",
        said("end-of-data", 550, None, f"550 no: {SMTP}RCPT TO:<b@z.example>: 250 ok H=evil [192.0.2.66]: retry"),
    ),
    "a quoted recipient with the end of a command in it": (
        f'** "a>: 250 b"@x.example {HOST}: {SMTP}RCPT TO:<"a>: 250 b"@x.example>: 550 no',
        said("rcpt", 550, None, "550 no", recipient='"a>: 250 b"@x.example'),
    ),
    "a quoted recipient with fields in it": (
        f'** "a R=x T=y H=evil [192.0.2.66]"@x.example {HOST}: {SMTP}DATA: 550 no',
        said("data", 550, None, "550 no", recipient='"a R=x T=y H=evil [192.0.2.66]"@x.example'),
    ),
    "digits that are no reply": (
        f"** a@x.example {HOST}: 550 lines of the list are bad",
        said(None, None, None, "550 lines of the list are bad"),
    ),
    "deferred": (
        f"== a@x.example R=r T=smtp defer (-44) H=mx.x.example [192.0.2.1]: {SMTP}RCPT TO:<a@x.example>: 450 4.2.0 later",
        said("rcpt", 450, "4.2.0", "450 4.2.0 later", action="deferred"),
    ),
    "no connection": (
        "== a@x.example R=r T=smtp defer (111): Connection refused",
        said("connect", None, None, "Connection refused", action="deferred", **NOWHERE),
    ),
    "no connection, with its time": (
        "== a@x.example R=r T=smtp defer (110): Connection timed out DT=9s",
        said("connect", None, None, "Connection timed out", action="deferred", **NOWHERE),
    ),
    "the system's words before the host": (
        "== a@x.example R=r T=smtp defer (110): Connection timed out H=mx.x.example [192.0.2.1]:25 DT=9s: SMTP timeout after RCPT TO:<a@x.example>",
        said("rcpt", None, None, "Connection timed out: SMTP timeout after RCPT TO:<a@x.example>", action="deferred"),
    ),
    "closed": (
        "== a@x.example R=r T=smtp defer (-18) H=mx.x.example [192.0.2.1]: Remote host closed connection in response to EHLO me.example",
        said("helo", None, None, "Remote host closed connection in response to EHLO me.example", action="deferred"),
    ),
    "no SMTP": (
        "== a@x.example R=r T=smtp defer (-19) H=mx.x.example [192.0.2.1]: Malformed SMTP reply in response to initial connection: HTTP/1.1 400 Bad Request",
        said(
            "connect",
            None,
            None,
            "Malformed SMTP reply in response to initial connection: HTTP/1.1 400 Bad Request",
            action="deferred",
        ),
    ),
    "TLS": (
        "== a@x.example R=r T=smtp defer (-37) H=mx.x.example [192.0.2.1]: TLS session: (SSL_connect): error:0A000086",
        said("starttls", None, None, "TLS session: (SSL_connect): error:0A000086", action="deferred"),
    ),
    "retry time not reached": (
        "== a@x.example R=r T=smtp defer (-54): retry time not reached for any host for 'x.example'",
        said(None, None, None, "retry time not reached for any host for 'x.example'", action="deferred", **NOWHERE),
    ),
    "while routing": (
        "== a@x.example routing defer (-52): retry time not reached",
        said(None, None, None, "retry time not reached", action="deferred", process=None, **NOWHERE),
    ),
    "by a router": (
        "== a@x.example R=r defer (-1): host lookup did not complete",
        said(None, None, None, "host lookup did not complete", action="deferred", process="r", **NOWHERE),
    ),
    "unrouteable": (
        "** a@x.example: Unrouteable address",
        said(None, None, None, "Unrouteable address", process=None, **NOWHERE),
    ),
    "unrouteable, an older colon": (
        "** a@x.example : Unrouteable address",
        said(None, None, None, "Unrouteable address", process=None, **NOWHERE),
    ),
    "expired": (
        "** a@x.example: retry timeout exceeded",
        said(None, None, None, "retry timeout exceeded", action="expired", process=None, **NOWHERE),
    ),
    "expired after aliasing": (
        "** a@x.example <b@y.example>: retry timeout exceeded",
        said(None, None, None, "retry timeout exceeded", action="expired", process=None, **NOWHERE),
    ),
    "expired with its last words": (
        f"** a@x.example {HOST}: {SMTP}RCPT TO:<a@x.example>: 450 later: retry timeout exceeded",
        said("rcpt", 450, None, "450 later: retry timeout exceeded", action="expired"),
    ),
    "mailbox full": (
        "== bob <a@x.example> R=r T=local defer (-22): mailbox is full (MTA-imposed quota exceeded)",
        said(
            None,
            None,
            None,
            "mailbox is full (MTA-imposed quota exceeded)",
            action="deferred",
            direction="local",
            process="r+local",
            **NOWHERE,
        ),
    ),
    "a file that cannot be written": (
        "== /no/mailbox <a@x.example> R=r T=address_file defer (13): Permission denied: failed to create directories",
        said(
            None,
            None,
            None,
            "Permission denied: failed to create directories",
            action="deferred",
            direction="local",
            process="r+address_file",
            **NOWHERE,
        ),
    ),
    "LMTP over a socket": (
        "** a@x.example R=r T=lmtp: LMTP error after RCPT TO:<a@x.example>: 550 5.1.1 unknown",
        said("rcpt", 550, "5.1.1", "550 5.1.1 unknown", direction="local", process="r+lmtp", **NOWHERE),
    ),
}


@pytest.mark.parametrize(("line", "want"), FAILED.values(), ids=FAILED)
def test_failed(line: str, want: dict[str, Any]) -> None:
    assert event(line) == want


ATTEMPTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a reply": (
        f"H=mx.x.example [192.0.2.1]:25: {SMTP}initial connection: 421 busy",
        {"stage": "connect", "code": 421, "reply": "421 busy"},
    ),
    "a port and a reply that names the recipient": (
        f"H=mx.x.example [192.0.2.1]:25 {SMTP}RCPT TO:<a@x.example>: 452 4.2.2 full",
        {"stage": "rcpt", "code": 452, "enhanced": "4.2.2", "reply": "452 4.2.2 full", "recipient": "a@x.example"},
    ),
    "no connection": (
        "H=mx.x.example [192.0.2.1] Connection refused",
        {"stage": "connect", "reply": "Connection refused"},
    ),
    "no connection, old": (
        "mx.x.example [192.0.2.1] No route to host",
        {"stage": "connect", "reply": "No route to host"},
    ),
    "no TLS": (
        "H=mx.x.example [192.0.2.1]: a TLS session is required, but the server did not offer TLS support",
        {"stage": "starttls", "reply": "a TLS session is required, but the server did not offer TLS support"},
    ),
    "an older reply": (
        f"{SMTP}RCPT TO:<a@x.example>: host mx.x.example [192.0.2.1]: 451 later",
        {"stage": "rcpt", "code": 451, "reply": "451 later", "recipient": "a@x.example"},
    ),
    "an older lost connection": (
        "Remote host mx.x.example [192.0.2.1] closed connection in response to initial connection",
        {"reply": "Remote host mx.x.example [192.0.2.1] closed connection in response to initial connection"},
    ),
    "a login": (
        "plain authenticator failed H=mx.x.example [192.0.2.1] 535 5.7.8 Error: authentication failed",
        {"stage": "auth", "code": 535, "enhanced": "5.7.8", "reply": "535 5.7.8 Error: authentication failed"},
    ),
}


@pytest.mark.parametrize(("line", "want"), ATTEMPTS.values(), ids=ATTEMPTS)
def test_attempts(line: str, want: dict[str, Any]) -> None:
    other_side = {"remote_host": "mx.x.example", "remote_ip": "192.0.2.1"}
    assert event(line) == {"action": "attempt", "direction": "outbound"} | want | other_side


OWN_SESSIONS = {
    "a warning": 'H=h.example [192.0.2.3] Warning: "SpamAssassin detected message as NOT spam (0.1)"',
    "a sender's check": "H=h.example [192.0.2.3] sender verify fail for <a@b.example>: Unrouteable address",
}


@pytest.mark.parametrize("line", OWN_SESSIONS.values(), ids=OWN_SESSIONS)
def test_lines_of_our_own_sessions_are_no_attempts(line: str) -> None:
    assert parsed(f"{ID} {line}") == ([], Tally(known=1))


def test_an_attempt_was_for_the_recipient_of_the_next_outcome() -> None:
    events, _ = parsed(
        f"{ID} H=mx1.x.example [192.0.2.1]: {SMTP}initial connection: 421 busy",
        f"{ID} == a@x.example R=r T=t defer (-44) H=mx2.x.example [192.0.2.2]: {SMTP}DATA: 451 later",
        f'{ID} => b@y.example {HOST} C="250 OK"',
    )
    assert [e["recipient"] for e in events] == ["a@x.example", "a@x.example", "b@y.example"]


FACTS: dict[str, tuple[str, dict[str, Any]]] = {
    "everything": (
        '<= s@y.example H=mail.y.example (helo.example) [192.0.2.7]:2525 I=[192.0.2.9]:25 P=esmtps X=T:x:1 CV=no A=plain:s S=512 M8S=0 RT=0.01s id=1@y.example T="S=9 id=x" from <s@y.example> for a@x.example',
        {
            "sender": "s@y.example",
            "client_host": "mail.y.example",
            "client_ip": "192.0.2.7",
            "message_id": "1@y.example",
            "size": 512,
        },
    ),
    "the last bracket is the client's": (
        "<= s@y.example H=([203.0.113.9]) [192.0.2.7] P=esmtp S=5 id=1@y.example",
        {"sender": "s@y.example", "client_ip": "192.0.2.7", "message_id": "1@y.example", "size": 5},
    ),
    "an ident that looks like an address": (
        "<= s@y.example H=h.example [192.0.2.7] U=[203.0.113.9] P=esmtp S=5",
        {"sender": "s@y.example", "client_host": "h.example", "client_ip": "192.0.2.7", "size": 5},
    ),
    "from this machine": ("<= root@y.example U=root P=local S=5", {"sender": "root@y.example", "size": 5}),
    "a quoted sender with fields in it": (
        '<= "a H=evil [203.0.113.9] S=9"@y.example H=h.example [192.0.2.7] P=esmtp S=5',
        {
            "sender": '"a H=evil [203.0.113.9] S=9"@y.example',
            "client_host": "h.example",
            "client_ip": "192.0.2.7",
            "size": 5,
        },
    ),
    "a fake rejection": (
        "(= s@y.example H=h.example [192.0.2.7] P=esmtp S=5",
        {"sender": "s@y.example", "client_host": "h.example", "client_ip": "192.0.2.7", "size": 5},
    ),
}


@pytest.mark.parametrize(("line", "want"), FACTS.values(), ids=FACTS)
def test_facts_of_the_message(line: str, want: dict[str, Any]) -> None:
    events, tally = parsed(f"{ID} {line}", f"{ID} => bob <bob@x.example> R=r T=t", f"{ID} Completed")
    assert tally == Tally(understood=3)
    names = ("sender", "client_host", "client_ip", "message_id", "size")
    assert {name: events[0][name] for name in names if name in events[0]} == want


def test_a_notice_is_an_event_of_the_message_it_tells_of() -> None:
    found = parser.parse(
        Block.of(b"2026-11-23 21:29:43 1xVbba-0005Zj-2x <= <> R=1xVbba-0005Zj-36 U=mail P=local S=9\n")
    )
    (event,) = found.events.to_pylist()
    assert (event["action"], event["queue_id"]) == ("notified", "1xVbba-0005Zj-36")
    assert found.messages["sender"].to_pylist() == ["<>"]


@pytest.mark.parametrize(
    ("line", "action"),
    [
        ("Frozen (delivery error message)", "held"),
        ("frozen by ACL", "held"),
        ("removed by root", "discarded"),
        ("cancelled by timeout_frozen_after", "discarded"),
    ],
)
def test_what_befalls_a_message_in_the_queue(line: str, action: str) -> None:
    assert event(line) == {"action": action, "direction": "local", "reply": line}
