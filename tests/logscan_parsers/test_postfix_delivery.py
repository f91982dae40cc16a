# ruff: noqa: E501 - log lines are as long as they are
"""Postfix's deliveries as a table: the line, and the event that it must give; first those that must give none."""

from __future__ import annotations

from typing import Any

import pytest
from reading import reading

from logscan.parser import Tally
from logscan_parsers.postfix import parser

COLUMNS = [
    "action",
    "direction",
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
    "queue_id",
    "delay",
]


parsed = reading(parser, "Oct 26 18:13:50 mx ", COLUMNS)


def event(line: str) -> dict[str, Any]:
    (one,), tally = parsed(line)
    assert tally == Tally(understood=1)
    return one


UNREAD = {
    "cut in the address": "to=<a@x.exam",
    "cut after the address": "to=<a@x.example>",
    "cut in the relay": "to=<a@x.example>, relay=m[192.0",
    "cut before the status": "to=<a@x.example>, relay=m[192.0.2.1]:25, delay=1, delays=0/0/1/0, dsn=5.0.0, sta",
    "cut at the status": "to=<a@x.example>, relay=m[192.0.2.1]:25, delay=1, delays=0/0/1/0, dsn=5.0.0, status=",
    "cut in the status": "to=<a@x.example>, relay=m[192.0.2.1]:25, delay=1, delays=0/0/1/0, dsn=5.0.0, status=boun",
    "cut after the status": "to=<a@x.example>, relay=m[192.0.2.1]:25, delay=1, delays=0/0/1/0, dsn=5.0.0, status=sent",
    "an outcome inside a quoted local part that is all there is": 'to=<"a>, relay=m[192.0.2.1]:25, status=sent (250 ok"@x',
    "a host that said nothing": "host unknown",
    "words of no form": "Message headers: x",
}


@pytest.mark.parametrize("body", UNREAD.values(), ids=UNREAD)
def test_what_states_no_outcome_is_unread(body: str) -> None:
    events, tally = parsed(f"postfix/smtp[1]: C3CD21F3E90: {body}")
    assert events == []
    assert (tally.unread, tally.lines) == (1, 1)


# An outcome at a host; what follows `status=`, and what it says apart from what all these lines say.
AT_HOST = {"direction": "outbound", "queue_id": "C3CD21F3E90", "recipient": "a@x.example", "delay": 1.0}
M = {"remote_host": "m", "remote_ip": "192.0.2.1"}
RCPT = " (in reply to RCPT TO command))"


def said(stage: str | None, code: int | None, enhanced: str | None, reply: str, **more: Any) -> dict[str, Any]:
    columns = {"stage": stage, "code": code, "enhanced": enhanced, "reply": reply, "action": "bounced", **more}
    return {name: value for name, value in columns.items() if value is not None}


REPLIES = {
    "one line": (
        f"bounced (host m[192.0.2.1] said: 550 5.1.1 no such user{RCPT}",
        said("rcpt", 550, "5.1.1", "550 5.1.1 no such user"),
    ),
    "no enhanced code": (
        f"bounced (host m[192.0.2.1] said: 550 User unknown{RCPT}",
        said("rcpt", 550, "5.0.9", "550 User unknown"),
    ),
    "lines folded": (
        f"bounced (host m[192.0.2.1] said: 550-5.1.1 The email account 550-5.1.1 that you tried 550 5.1.1 is gone{RCPT}",
        said("rcpt", 550, "5.1.1", "550 5.1.1 The email account that you tried is gone"),
    ),
    "an empty line among folded ones": (
        "bounced (host m[192.0.2.1] said: 550-5.7.26  550-5.7.26  Authentication results: 550 5.7.26 no (in reply to end of DATA command))",
        said("end-of-data", 550, "5.7.26", "550 5.7.26 Authentication results: no"),
    ),
    "an enhanced code in the first line only": (
        f"bounced (host m[192.0.2.1] said: 550-5.1.1 first line has it 550-second has none 550 third: no such user{RCPT}",
        said("rcpt", 550, "5.1.1", "550 5.1.1 first line has it second has none third: no such user"),
    ),
    "lines of two codes: the last counts": (
        f"bounced (host m[192.0.2.1] said: 451-4.3.0 first 550 5.1.1 last{RCPT}",
        said("rcpt", 550, "5.1.1", "550 5.1.1 first last"),
    ),
    "a code with a hash is none; the server's own stands": (
        f"bounced (host m[192.0.2.1] said: 550 #5.1.0 Address rejected.{RCPT}",
        said("rcpt", 550, "5.0.9", "550 #5.1.0 Address rejected."),
    ),
    "two digits of detail": (
        f"bounced (host m[192.0.2.1] said: 550 5.1.10 RESOLVER.ADR{RCPT}",
        said("rcpt", 550, "5.1.10", "550 5.1.10 RESOLVER.ADR"),
    ),
    "code and enhanced code of two classes": (
        f"bounced (host m[192.0.2.1] said: 550 4.2.2 mailbox quota exceeded{RCPT}",
        said("rcpt", 550, "4.2.2", "550 4.2.2 mailbox quota exceeded"),
    ),
    "digits alone": (f"bounced (host m[192.0.2.1] said: 550{RCPT}", said("rcpt", 550, "5.0.9", "550")),
    "no separator": (f"bounced (host m[192.0.2.1] said: 550unknown{RCPT}", said("rcpt", None, "5.0.9", "550unknown")),
    "a reply to nothing asked": (
        "bounced (host m[192.0.2.1] said: 354 Go ahead (in reply to end of DATA command))",
        said("end-of-data", 354, None, "354 Go ahead"),
    ),
    "a code of no class": (
        "bounced (host m[192.0.2.1] said: 999 go away (in reply to MAIL FROM command))",
        said("mail", 999, None, "999 go away"),
    ),
    "bytes that are no UTF-8": (
        f"bounced (host m[192.0.2.1] said: 550 a\udced\udca0\udc80{RCPT}",
        said("rcpt", 550, "5.0.9", "550 a\\xed\\xa0\\x80"),
    ),
    "line ends of other alphabets": (
        f"bounced (host m[192.0.2.1] said: 550 a\u2028b\u0085c\rd{RCPT}",
        said("rcpt", 550, "5.0.9", "550 a\u2028b\u0085c\rd"),
    ),
    "cut in the reply": (
        "bounced (host m[192.0.2.1] said: 550 repeats itself. Th",
        said(None, 550, "5.0.9", "550 repeats itself. Th"),
    ),
    "cut before the last parenthesis": (
        f"bounced (host m[192.0.2.1] said: 550 no{RCPT[:-1]}",
        said("rcpt", 550, "5.0.9", "550 no"),
    ),
    "delivered": (
        "sent (250 2.0.0 Ok: queued as 4XYZ)",
        said("end-of-data", 250, "2.0.0", "250 2.0.0 Ok: queued as 4XYZ", action="delivered"),
    ),
    "delivered, parentheses in the reply": (
        "sent (250 Ok (a) b)",
        said("end-of-data", 250, None, "250 Ok (a) b", action="delivered"),
    ),
    "delivered, cut": ("sent (250 2.0.0 Ok", said("end-of-data", 250, "2.0.0", "250 2.0.0 Ok", action="delivered")),
    "soft bounce": (
        f"SOFTBOUNCE (host m[192.0.2.1] said: 550 x{RCPT}",
        said("rcpt", 550, "5.0.9", "550 x", action="deferred"),
    ),
    "probe, good": (
        f"deliverable (host m[192.0.2.1] said: 250 2.1.5 Ok{RCPT}",
        said("rcpt", 250, "2.1.5", "250 2.1.5 Ok", action="deliverable"),
    ),
    "probe, bad": (
        f"undeliverable (host m[192.0.2.1] said: 550 5.1.1 x{RCPT}",
        said("rcpt", 550, "5.1.1", "550 5.1.1 x", action="undeliverable"),
    ),
    "greeting refused": (
        "deferred (host m[192.0.2.1] refused to talk to me: 554 no)",
        said("connect", 554, "5.0.9", "554 no", action="deferred"),
    ),
    "our login refused": (
        "deferred (SASL authentication failed; server m[192.0.2.1] said: 535 5.7.8 bad)",
        said("auth", 535, "5.7.8", "535 5.7.8 bad", action="deferred"),
    ),
    "starttls refused": (
        "deferred (TLS is required, but host m[192.0.2.1] refused to start TLS: 454 4.7.0 no TLS)",
        said("starttls", 454, "4.7.0", "454 4.7.0 no TLS", action="deferred"),
    ),
    # Words of Postfix itself
    "lost connection": (
        "deferred (lost connection with m[192.0.2.1] while sending RCPT TO)",
        said("rcpt", None, "5.0.9", "lost connection with m[192.0.2.1] while sending RCPT TO", action="deferred"),
    ),
    "timed out": (
        "deferred (conversation with m[192.0.2.1] timed out while receiving the initial server greeting)",
        said(
            "connect",
            None,
            "5.0.9",
            "conversation with m[192.0.2.1] timed out while receiving the initial server greeting",
            action="deferred",
        ),
    ),
    "lost in the handshake": (
        "deferred (lost connection with m[192.0.2.1] while performing the EHLO handshake)",
        said(
            "helo",
            None,
            "5.0.9",
            "lost connection with m[192.0.2.1] while performing the EHLO handshake",
            action="deferred",
        ),
    ),
    "tls failed": (
        "deferred (Cannot start TLS: handshake failure)",
        said("starttls", None, "5.0.9", "Cannot start TLS: handshake failure", action="deferred"),
    ),
    "certificate": (
        "deferred (Server certificate not trusted)",
        said("starttls", None, "5.0.9", "Server certificate not trusted", action="deferred"),
    ),
    "too big": (
        "bounced (message size 100 exceeds size limit 50 of server m[192.0.2.1])",
        said(None, None, "5.0.9", "message size 100 exceeds size limit 50 of server m[192.0.2.1]"),
    ),
    # Forged: the host's words imitate Postfix's
    "reply with a second outcome": (
        "bounced (host m[192.0.2.1] said: 554 5.7.1 spam), to=<v@y.example>, relay=f.example[203.0.113.9]:25, delay=0.1, "
        "delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok (in reply to end of DATA command))",
        said(
            "end-of-data",
            554,
            "5.7.1",
            "554 5.7.1 spam), to=<v@y.example>, relay=f.example[203.0.113.9]:25, delay=0.1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok",
        ),
    ),
    "reply that quotes a host": (
        f"bounced (host m[192.0.2.1] said: 554 5.7.1 host evil[192.0.2.9] said: 250 2.0.0 ok (in reply to MAIL FROM command){RCPT}",
        said("rcpt", 554, "5.7.1", "554 5.7.1 host evil[192.0.2.9] said: 250 2.0.0 ok (in reply to MAIL FROM command)"),
    ),
    "reply that refuses to talk": (
        f"bounced (host m[192.0.2.1] said: 554 5.7.1 x refused to talk to me: 421 y{RCPT}",
        said("rcpt", 554, "5.7.1", "554 5.7.1 x refused to talk to me: 421 y"),
    ),
    "greeting that says": (
        "bounced (host m[192.0.2.1] refused to talk to me: 554 5.7.1 x said: 250 y)",
        said("connect", 554, "5.7.1", "554 5.7.1 x said: 250 y"),
    ),
    "cut reply with its own stage": (
        "bounced (host m[192.0.2.1] said: 554 5.7.1 a (in reply to DATA command) b",
        said(None, 554, "5.7.1", "554 5.7.1 a (in reply to DATA command) b"),
    ),
    "success that speaks of failure": (
        f"sent (250 2.0.0 ok, status=bounced (host evil[192.0.2.9] said: 550 5.1.1 no{RCPT})",
        said(
            "end-of-data",
            250,
            "2.0.0",
            "250 2.0.0 ok, status=bounced (host evil[192.0.2.9] said: 550 5.1.1 no (in reply to RCPT TO command))",
            action="delivered",
        ),
    ),
    "numbers like codes inside the text": (
        f"bounced (host m[192.0.2.1] said: 550 5.1.1 a 550-5.7.1 b 250 c{RCPT}",
        said("rcpt", 550, "5.1.1", "550 5.1.1 a 550-5.7.1 b 250 c"),
    ),
}


@pytest.mark.parametrize(("status", "want"), REPLIES.values(), ids=REPLIES)
def test_replies(status: str, want: dict[str, Any]) -> None:
    line = f"postfix/smtp[1]: C3CD21F3E90: to=<a@x.example>, relay=m[192.0.2.1]:25, delay=1, delays=0/0/1/0, dsn=5.0.9, status={status}"
    assert event(line) == AT_HOST | M | want


BOUNCED = "dsn=5.0.9, status=bounced (x)"
X = {
    "direction": "outbound",
    "action": "bounced",
    "enhanced": "5.0.9",
    "reply": "x",
    "recipient": "a@x.example",
    "queue_id": "C3CD21F3E90",
    "delay": 1.0,
}
FORGED = ">, relay=evil[192.0.2.9]:25, dsn=2.0.0, status=sent (250 ok"
HEADS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": (f"C3CD21F3E90: to=<a@x.example>, relay=m[192.0.2.1]:25, delay=1, delays=0/0/1/0, {BOUNCED}", M),
    "orig_to": (
        f"C3CD21F3E90: to=<a@x.example>, orig_to=<b@y.example>, relay=m[192.0.2.1]:25, delay=1, delays=0/0/1/0, {BOUNCED}",
        M,
    ),
    "conn_use": (
        f"C3CD21F3E90: to=<a@x.example>, relay=m[192.0.2.1]:25, conn_use=3, delay=1, delays=0/0/1/0, {BOUNCED}",
        M,
    ),
    "tls= (3.11)": (
        f"C3CD21F3E90: to=<a@x.example>, relay=m[192.0.2.1]:25, delay=1, delays=0/0/1/0, tls=may|dane/requiretls, {BOUNCED}",
        M,
    ),
    "before 2.3": (
        "C3CD21F3E90: to=<a@x.example>, relay=m[192.0.2.1], delay=1, status=bounced (x)",
        M | {"enhanced": None},
    ),
    "a delay of days": (
        f"C3CD21F3E90: to=<a@x.example>, relay=m[192.0.2.1]:25, delay=432000, delays=1/2/3/4, {BOUNCED}",
        M | {"delay": 432000.0},
    ),
    "a delay in hundredths": (
        f"C3CD21F3E90: to=<a@x.example>, relay=m[192.0.2.1]:25, delay=0.05, delays=0/0/0/0, {BOUNCED}",
        M | {"delay": 0.05},
    ),
    "ipv6": (
        f"C3CD21F3E90: to=<a@x.example>, relay=m[2001:db8::1]:25, delay=1, delays=0/0/1/0, {BOUNCED}",
        {"remote_host": "m", "remote_ip": "2001:db8::1"},
    ),
    "nowhere": (f"C3CD21F3E90: to=<a@x.example>, relay=none, delay=1, delays=0/0/1/0, {BOUNCED}", {}),
    "no recipient": (f"C3CD21F3E90: to=<>, relay=none, delay=1, delays=0/0/1/0, {BOUNCED}", {"recipient": None}),
    "a local name": (f"C3CD21F3E90: to=<root>, relay=none, delay=1, delays=0/0/1/0, {BOUNCED}", {"recipient": "root"}),
    "smtputf8": (
        f"C3CD21F3E90: to=<zoë@bücher.example>, relay=none, delay=1, delays=0/0/1/0, {BOUNCED}",
        {"recipient": "zoë@bücher.example"},
    ),
    "quoted": (
        f'C3CD21F3E90: to=<"a b"@x.example>, relay=none, delay=1, delays=0/0/1/0, {BOUNCED}',
        {"recipient": '"a b"@x.example'},
    ),
    "quoted, with an outcome in it": (
        f'C3CD21F3E90: to=<"a{FORGED}"@x.example>, relay=none, delay=1, delays=0/0/1/0, {BOUNCED}',
        {"recipient": f'"a{FORGED}"@x.example'},
    ),
    "quoted, escaped quotes and an outcome in it": (
        rf'C3CD21F3E90: to=<"a\"{FORGED}\\\"{FORGED}\\"@x.example>, relay=none, delay=1, delays=0/0/1/0, {BOUNCED}',
        {"recipient": rf'"a\"{FORGED}\\\"{FORGED}\\"@x.example'},
    ),
    "an alias with an outcome in it": (
        f'C3CD21F3E90: to=<a@x.example>, orig_to=<"b{FORGED}"@y.example>, relay=none, delay=1, delays=0/0/1/0, {BOUNCED}',
        {},
    ),
    "an alias with fields in it": (
        f'C3CD21F3E90: to=<a@x.example>, orig_to=<"b, relay=evil[192.0.2.9]:25, delay=9, dsn=2.0.0, "@y.example>, relay=none, delay=1, delays=0/0/1/0, {BOUNCED}',
        {},
    ),
    "short id, 5 digits": (
        f"4A5B6: to=<a@x.example>, relay=none, delay=1, delays=0/0/1/0, {BOUNCED}",
        {"queue_id": "4A5B6"},
    ),
    "short id, 15 digits": (
        f"0123456789ABCDE: to=<a@x.example>, relay=none, delay=1, delays=0/0/1/0, {BOUNCED}",
        {"queue_id": "0123456789ABCDE"},
    ),
    "long id": (
        f"3Pt2mN2VXxznjll: to=<a@x.example>, relay=none, delay=1, delays=0/0/1/0, {BOUNCED}",
        {"queue_id": "3Pt2mN2VXxznjll"},
    ),
    "long id that begins with a letter": (
        f"Bt2mN2VXxznjll4: to=<a@x.example>, relay=none, delay=1, delays=0/0/1/0, {BOUNCED}",
        {"queue_id": "Bt2mN2VXxznjll4"},
    ),
}


@pytest.mark.parametrize(("line", "want"), HEADS.values(), ids=HEADS)
def test_heads(line: str, want: dict[str, Any]) -> None:
    assert event(f"postfix/smtp[1]: {line}") == {k: v for k, v in (X | want).items() if v is not None}


# The other side stands in the words alone where relay=none.
NOWHERE = {
    "refused": ("connect to m.y[192.0.2.7]:25: Connection refused", ("connect", None, "4.0.9", None)),
    "unreachable": ("connect to m.y[192.0.2.7]:25: Network is unreachable", ("connect", None, "4.0.9", None)),
    "timed out, before 2.3's port": (
        "connect to m.y[192.0.2.7]: Connection timed out",
        ("connect", None, "4.0.9", None),
    ),
    "greeting": (
        "host m.y[192.0.2.7] refused to talk to me: 421 4.3.2 busy",
        ("connect", 421, "4.3.2", "421 4.3.2 busy"),
    ),
    "suspended, with a reply": (
        "delivery temporarily suspended: host m.y[192.0.2.7] refused to talk to me: 553 5.7.2 no",
        ("connect", 553, "5.7.2", "553 5.7.2 no"),
    ),
    "suspended, without": (
        "delivery temporarily suspended: connect to m.y[192.0.2.7]:25: Connection timed out",
        ("connect", None, "4.0.9", "connect to m.y[192.0.2.7]:25: Connection timed out"),
    ),
    "lost": (
        "lost connection with m.y[192.0.2.7] while receiving the initial server greeting",
        ("connect", None, "4.0.9", None),
    ),
}


@pytest.mark.parametrize(("words", "want"), NOWHERE.values(), ids=NOWHERE)
def test_the_other_side_in_the_words(words: str, want: tuple[str, int | None, str, str | None]) -> None:
    stage, code, enhanced, reply = want
    line = f"postfix/smtp[1]: C3CD21F3E90: to=<a@x.example>, relay=none, delay=1, delays=0/0/1/0, dsn=4.0.9, status=deferred ({words})"
    assert event(line) == AT_HOST | {"remote_host": "m.y", "remote_ip": "192.0.2.7"} | said(
        stage, code, enhanced, reply or words, action="deferred"
    )


NOBODY = {
    "no such domain": "Host or domain name not found. Name service error for name=x.example type=MX: Host not found",
    "loops": "mail for x.example loops back to myself",
    "null MX": "Domain x.example does not accept mail (nullMX)",
    "transport": "mail transport unavailable",
    "too many hops": "too many hops",
}


@pytest.mark.parametrize("words", NOBODY.values(), ids=NOBODY)
def test_no_other_side(words: str) -> None:
    line = f"postfix/smtp[1]: C3CD21F3E90: to=<a@x.example>, relay=none, delay=1, delays=0/0/1/0, dsn=5.0.9, status=bounced ({words})"
    assert event(line) == AT_HOST | said(None, None, "5.0.9", words)


LOCAL = {
    "local, unknown": (
        "postfix/local[1]",
        "local",
        'bounced (unknown user: "c")',
        said(None, None, "5.0.9", 'unknown user: "c"'),
    ),
    "local, mailbox": (
        "postfix/local[1]",
        "local",
        "sent (delivered to mailbox)",
        said(None, None, "5.0.9", "delivered to mailbox", action="delivered"),
    ),
    "virtual": (
        "postfix/virtual[1]",
        "virtual",
        "sent (delivered to maildir)",
        said(None, None, "5.0.9", "delivered to maildir", action="delivered"),
    ),
    "pipe, a command that imitates": (
        "postfix/pipe[1]",
        "dovecot",
        "bounced (user unknown. Command output: 550 no, status=sent (250 x))",
        said(None, None, "5.0.9", "user unknown. Command output: 550 no, status=sent (250 x)"),
    ),
    "lmtp over a socket": (
        "postfix/lmtp[1]",
        "mx1[private/dovecot-lmtp]",
        "deferred (host mx1[private/dovecot-lmtp] said: 452 4.2.2 <b@x> Quota exceeded (mailbox for user is full) (in reply to end of DATA command))",
        said(
            "end-of-data",
            452,
            "4.2.2",
            "452 4.2.2 <b@x> Quota exceeded (mailbox for user is full)",
            action="deferred",
            remote_host="mx1",
        ),
    ),
    "discard": ("postfix/discard[1]", "none", "sent (x)", said(None, None, "5.0.9", "x", action="delivered")),
    "a name that was cut (RFC 5424)": (
        "postfix[1]",
        "local",
        "sent (delivered to mailbox)",
        said(None, None, "5.0.9", "delivered to mailbox", action="delivered"),
    ),
}


@pytest.mark.parametrize(("tag", "relay", "status", "want"), LOCAL.values(), ids=LOCAL)
def test_local_deliveries(tag: str, relay: str, status: str, want: dict[str, Any]) -> None:
    line = f"{tag}: C3CD21F3E90: to=<a@x.example>, relay={relay}, delay=1, delays=0/0/1/0, dsn=5.0.9, status={status}"
    assert event(line) == AT_HOST | {"direction": "local"} | want


@pytest.mark.parametrize(
    "tag", ["postfix/smtp", "postfix/relay/smtp", "postfix-out/smtp", "mx/out/smtp", "postfix", "any-word/smtp"]
)
def test_tags(tag: str) -> None:
    line = f"{tag}[1]: C3CD21F3E90: to=<a@x.example>, relay=m[192.0.2.1]:25, delay=1, delays=0/0/1/0, {BOUNCED}"
    assert event(line) == X | M


@pytest.mark.parametrize("tag", ["dovecot", "amavis", "opendkim", "smtp", "/smtp", "x/y", "postgrey"])
def test_other_programs_lines_are_not_postfix_s(tag: str) -> None:
    events, tally = parsed(
        f"{tag}[1]: C3CD21F3E90: to=<a@x.example>, relay=m[192.0.2.1]:25, delay=1, delays=0/0/1/0, {BOUNCED}"
    )
    assert (events, tally) == ([], Tally(other=1))


# Attempts: one host's answer on the way, in a line without recipient.
ATTEMPTS = {
    "greeting": (
        "C3CD21F3E90: host m[192.0.2.1] refused to talk to me: 421 too busy",
        said("connect", 421, None, "421 too busy", **M),
    ),
    "refusal": (
        "C3CD21F3E90: host m[192.0.2.1] said: 452-4.2.2 a 452 4.2.2 b (in reply to RCPT TO command)",
        said("rcpt", 452, "4.2.2", "452 4.2.2 a b", **M),
    ),
    "a socket": (
        "C3CD21F3E90: host m[private/x] said: 450 no (in reply to MAIL FROM command)",
        said("mail", 450, None, "450 no", remote_host="m"),
    ),
    "lost": (
        "C3CD21F3E90: lost connection with m[192.0.2.1] while sending end of data -- message may be sent more than once",
        said(
            "end-of-data",
            None,
            None,
            "lost connection with m[192.0.2.1] while sending end of data -- message may be sent more than once",
            **M,
        ),
    ),
    "timed out": (
        "C3CD21F3E90: conversation with m[192.0.2.1] timed out while performing the HELO handshake",
        said("helo", None, None, "conversation with m[192.0.2.1] timed out while performing the HELO handshake", **M),
    ),
    "tls": (
        "C3CD21F3E90: Cannot start TLS: handshake failure",
        said("starttls", None, None, "Cannot start TLS: handshake failure"),
    ),
    "connect, no queue id": (
        "connect to m[192.0.2.1]:25: Connection refused",
        said("connect", None, None, "connect to m[192.0.2.1]:25: Connection refused", queue_id=None, **M),
    ),
    "tls, no queue id": (
        "SSL_connect error to m[192.0.2.1]:25: -1",
        said("starttls", None, None, "SSL_connect error to m[192.0.2.1]:25: -1", **M),
    ),
}


@pytest.mark.parametrize(("line", "want"), ATTEMPTS.values(), ids=ATTEMPTS)
def test_attempts(line: str, want: dict[str, Any]) -> None:
    own = {"queue_id": "C3CD21F3E90"} if line.startswith("C3CD") else {}
    assert event(f"postfix/smtp[1]: {line}") == {**want, "direction": "outbound", "action": "attempt", **own}


def test_many_stages_that_no_table_has() -> None:
    """More distinct words than are compared one by one, cut within a character: hosts choose them."""
    lines = [
        f"postfix/smtp[1]: C3CD21F3E90: host m[192.0.2.1] said: 550 x (in reply to {'é' * 60}{i} command)"
        for i in range(70)
    ]
    events, tally = parsed(*lines)
    assert tally == Tally(understood=70)
    assert (
        events
        == [
            {
                "direction": "outbound",
                "action": "attempt",
                "code": 550,
                "reply": "550 x",
                "queue_id": "C3CD21F3E90",
                **M,
            }
        ]
        * 70
    )


def test_a_repeated_line_counts_each_time() -> None:
    line = f"postfix/smtp[1]: message repeated 3 times: [ C3CD21F3E90: to=<a@x.example>, relay=m[192.0.2.1]:25, delay=1, delays=0/0/1/0, {BOUNCED}]"
    events, tally = parsed(line)
    assert events == [X | M] * 3
    assert tally == Tally(understood=1)
