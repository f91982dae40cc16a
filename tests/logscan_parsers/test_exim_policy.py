# ruff: noqa: E501 - log lines are as long as they are
"""Refusals by Exim's own server as a table: the line, and the event that it must give."""

from __future__ import annotations

from typing import Any

import pytest

from logscan.parser import Block, Tally
from logscan_parsers.exim import parser

COLUMNS = [
    "action",
    "stage",
    "code",
    "code_implied",
    "enhanced",
    "reply",
    "sender",
    "recipient",
    "client_host",
    "client_ip",
    "queue_id",
]


def parsed(line: str) -> tuple[list[dict[str, Any]], Tally]:
    found = parser.parse(Block.of(f"2026-11-23 21:29:43 {line}\n".encode()))
    rows = found.events.to_pylist()
    assert all(row["direction"] == "inbound" for row in rows)
    return [{c: row[c] for c in COLUMNS if row.get(c) not in (None, False)} for row in rows], found.tally


def refused(stage: str | None, code: int | None, reply: str, **more: Any) -> dict[str, Any]:
    want = {"action": "rejected", "stage": stage, "code": code, "reply": reply}
    want |= {"client_host": "h.example", "client_ip": "192.0.2.3"}
    return {name: value for name, value in (want | more).items() if value is not None}


IMPLIED: dict[str, Any] = {"code_implied": True}
RCPT = {"sender": "a@b.example", "recipient": "c@d.example"}
NO_NAME = {"client_host": None}
NOBODY = {"client_host": None, "client_ip": None}
VERDICTS: dict[str, tuple[str, dict[str, Any]]] = {
    "no code in the ACL's words": (
        "H=h.example [192.0.2.3] F=<a@b.example> rejected RCPT <c@d.example>: relay not permitted",
        refused("rcpt", 550, "relay not permitted", **RCPT, **IMPLIED),
    ),
    "its code": (
        "H=h.example (helo) [192.0.2.3]:99 I=[192.0.2.9]:25 F=<a@b.example> rejected RCPT <c@d.example>: 554 5.7.1 no",
        refused("rcpt", 554, "554 5.7.1 no", enhanced="5.7.1", **RCPT),
    ),
    "temporarily": (
        "H=h.example [192.0.2.3] F=<a@b.example> temporarily rejected RCPT <c@d.example>: greylisted",
        refused("rcpt", 451, "greylisted", **RCPT, **IMPLIED),
    ),
    "temporarily, with a code": (
        "H=(helo) [192.0.2.3] F=<> temporarily rejected RCPT <c@d.example>: 452 4.2.2 full",
        refused("rcpt", 452, "452 4.2.2 full", enhanced="4.2.2", sender="<>", recipient="c@d.example", **NO_NAME),
    ),
    "a code of another class is not sent": (
        "H=h.example [192.0.2.3] F=<a@b.example> rejected RCPT <c@d.example>: 451 odd",
        refused("rcpt", 550, "451 odd", **RCPT, **IMPLIED),
    ),
    "digits that are no code": (
        "H=h.example [192.0.2.3] F=<a@b.example> rejected RCPT <c@d.example>: 192.0.2.3 is listed at bl.example",
        refused("rcpt", 550, "192.0.2.3 is listed at bl.example", **RCPT, **IMPLIED),
    ),
    "no words": (
        "H=h.example [192.0.2.3] F=<a@b.example> rejected RCPT <c@d.example>",
        refused("rcpt", 550, "rejected RCPT <c@d.example>", **RCPT, **IMPLIED),
    ),
    "TLS, login and other fields": (
        'H=h.example ([192.0.2.8]) [192.0.2.3]:99 Ci=7 U=x X=TLS1.3:x:256 CV=no DN="CN=x y" SNI=s F=<a@b.example> A=plain:u rejected RCPT <c@d.example>: no',
        refused("rcpt", 550, "no", **RCPT, **IMPLIED),
    ),
    "an older line without brackets": (
        "H=(helo) [192.0.2.3]:99 I=[192.0.2.9]:25 F=a@b.example rejected RCPT c@d.example: relay not permitted",
        refused("rcpt", 550, "relay not permitted", **RCPT, **IMPLIED, **NO_NAME),
    ),
    "a quoted recipient": (
        'H=h.example [192.0.2.3] F=<a@b.example> rejected RCPT <"x> y"@d.example>: no',
        refused("rcpt", 550, "no", sender="a@b.example", recipient='"x> y"@d.example', **IMPLIED),
    ),
    "a HELO name that imitates a verdict": (
        "H=(x rejected RCPT <v@d.example>: 550 forged) [192.0.2.3] F=<a@b.example> rejected RCPT <c@d.example>: no",
        refused("rcpt", 550, "no", **RCPT, **IMPLIED, **NO_NAME),
    ),
    "a HELO name with an address in it": (
        "H=(x [203.0.113.9]) [192.0.2.3] F=<a@b.example> rejected RCPT <c@d.example>: no",
        refused("rcpt", 550, "no", **RCPT, **IMPLIED, **NO_NAME),
    ),
    "an address in the words": (
        'H=h.example [192.0.2.3]:9 F=<a@b.example> rejected RCPT <c@d.example>: "x (y) [203.0.113.9]:5 is in a list"',
        refused("rcpt", 550, '"x (y) [203.0.113.9]:5 is in a list"', **RCPT, **IMPLIED),
    ),
    "lines of the words": (
        "H=h.example [192.0.2.3] F=<a@b.example> rejected RCPT <c@d.example>: 550-no\\n550 never",
        refused("rcpt", 550, "550 no never", **RCPT),
    ),
    "a callout's code": (
        "H=h.example [192.0.2.3] F=<a@b.example> rejected RCPT <c@d.example>: 192.0.2.5 [192.0.2.5] : SMTP error from remote mail server after RCPT TO:<c@d.example>: 550 5.1.1 who",
        refused(
            "rcpt",
            550,
            "192.0.2.5 [192.0.2.5] : SMTP error from remote mail server after RCPT TO:<c@d.example>: 550 5.1.1 who",
            enhanced="5.1.1",
            **RCPT,
        ),
    ),
    "on connection": (
        'H=h.example [192.0.2.3] rejected connection in "connect" ACL: 550 disliked',
        refused("connect", 550, "550 disliked"),
    ),
    "on HELO": (
        "H=(helo) [192.0.2.3] rejected EHLO or HELO helo: you are not",
        refused("helo", 550, "you are not", **IMPLIED, **NO_NAME),
    ),
    "on MAIL": (
        "H=h.example [192.0.2.3] rejected MAIL <a@b.example>: Sender verify failed",
        refused("mail", 550, "Sender verify failed", sender="a@b.example", **IMPLIED),
    ),
    "after DATA": (
        "10HmaX-000000005vi-0000 H=h.example [192.0.2.3] F=<a@b.example> rejected after DATA: 550 5.7.1 spam",
        refused(
            "end-of-data",
            550,
            "550 5.7.1 spam",
            enhanced="5.7.1",
            sender="a@b.example",
            queue_id="10HmaX-000000005vi-0000",
        ),
    ),
    "by local_scan": (
        "16ZCW1-0005MB-00 F=a@b.example H=h.example [192.0.2.3] P=smtp rejected by local_scan(): hits=7.5",
        refused("end-of-data", 550, "hits=7.5", sender="a@b.example", queue_id="16ZCW1-0005MB-00", **IMPLIED),
    ),
    "AUTH": (
        "H=(helo) [192.0.2.3] rejected AUTH plain: STARTTLS required before AUTH",
        refused("auth", 503, "STARTTLS required before AUTH", **IMPLIED, **NO_NAME),
    ),
    "VRFY has no code of its own": (
        "H=[192.0.2.3] rejected VRFY foo@b.example",
        refused("vrfy", None, "rejected VRFY foo@b.example", **NO_NAME),
    ),
    "a local caller": (
        "U=root F=<a@b.example> rejected RCPT <c@d.example>: no",
        refused("rcpt", 550, "no", **RCPT, **IMPLIED, **NOBODY),
    ),
    "not by SMTP": (
        "10HmaX-000000005vi-0000 F=<a@b.example> rejected by non-SMTP ACL: no",
        refused(None, None, "no", sender="a@b.example", queue_id="10HmaX-000000005vi-0000", **NOBODY),
    ),
}


@pytest.mark.parametrize(("line", "want"), VERDICTS.values(), ids=VERDICTS)
def test_verdicts(line: str, want: dict[str, Any]) -> None:
    assert parsed(line) == ([want], Tally(understood=1))


def whole(stage: str | None, **more: Any) -> dict[str, Any]:
    """The whole line is the reply."""
    return refused(stage, None, "", **more)


FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "no HELO": ("rejected MAIL from h.example [192.0.2.3]: no HELO/EHLO given", whole("mail")),
    "a bad HELO": (
        "rejected EHLO from h.example [192.0.2.3]:9 I=[192.0.2.9]:25: syntactically invalid argument(s): [999.1",
        whole("helo"),
    ),
    "too big": (
        "rejected MAIL FROM:<a@b.example> H=h.example (helo) [192.0.2.3]: message too big: size=9 max=1",
        whole("mail", sender="a@b.example"),
    ),
    "too big in the end": (
        "rejected from <a@b.example> H=h.example (helo) [192.0.2.3]:9: message too big: read=9 max=1",
        whole("end-of-data", sender="a@b.example"),
    ),
    "unqualified": (
        "unqualified recipient rejected: <bob> H=h.example (helo) [192.0.2.3] (failed to find host name from IP address)",
        whole("rcpt", recipient="bob"),
    ),
    "too many recipients": (
        "too many recipients: excess temporarily rejected: sender=<a@b.example> H=h.example [192.0.2.3]",
        whole("rcpt", sender="a@b.example"),
    ),
    "too many connections": (
        "Connection from [192.0.2.3]:9 I=[192.0.2.9]:25 refused: too many connections from that IP address",
        whole("connect", **NO_NAME),
    ),
    "talks too early": (
        'SMTP protocol synchronization error (input sent without waiting for greeting): rejected connection from H=h.example [192.0.2.3] input="GET /"',
        whole("connect"),
    ),
    "pipelines": (
        'SMTP protocol synchronization error (next input sent too soon: pipelining was not advertised): rejected "mail from:<x>" H=h.example [192.0.2.3] next input="rcpt"',
        whole("mail"),
    ),
    "a command out of order": (
        'SMTP protocol error in "DATA" H=h.example [192.0.2.3]:9 valid RCPT command must precede DATA',
        whole("data"),
    ),
    "no command": ('SMTP syntax error in "GET / HTTP/1.1" H=h.example [192.0.2.3] unrecognized command', whole(None)),
    "too many mistakes": (
        'SMTP call from h.example [192.0.2.3] dropped: too many unrecognized commands (last was "x")',
        whole(None),
    ),
    "a timeout": (
        "SMTP command timeout on connection from h.example (helo) [192.0.2.3]:9",
        whole(None, action="aborted"),
    ),
    "a lost connection": (
        "unexpected disconnection while reading SMTP command from h.example [192.0.2.3] (error: Connection reset by peer) D=9s",
        whole(None, action="aborted"),
    ),
    "lost in the message": (
        "SMTP connection from h.example [192.0.2.3] lost while reading message data (header)",
        whole("data", action="aborted"),
    ),
    "no TLS": (
        "TLS error on connection from h.example [192.0.2.3] (SSL_accept): error:0A000076",
        whole("starttls", action="aborted"),
    ),
    "thrown away": (
        "H=h.example [192.0.2.3] F=<a@b.example> RCPT <c@d.example>: discarded by RCPT ACL: no",
        whole("rcpt", action="discarded", **RCPT),
    ),
}


@pytest.mark.parametrize(("line", "want"), FORMS.values(), ids=FORMS)
def test_other_forms(line: str, want: dict[str, Any]) -> None:
    assert parsed(line) == ([want | {"reply": line}], Tally(understood=1))


LOGINS = {
    "plain": "login authenticator failed for h.example (helo) [192.0.2.3]: 535 Incorrect authentication data (set_id=u)",
    "a HELO name in brackets": "login authenticator failed for h.example ([192.0.2.9]) [192.0.2.3]:9 I=[192.0.2.9]:25: 535 Incorrect authentication data",
    "with H=": "plain authenticator failed for H=h.example [192.0.2.3] U=x: 535 Incorrect authentication data (set_id=u)",
    "a user name that imitates": "plain authenticator failed for h.example [192.0.2.3]: 535 Incorrect authentication data (set_id=x [203.0.113.9]: 235 ok)",
}


@pytest.mark.parametrize("line", LOGINS.values(), ids=LOGINS)
def test_failed_logins(line: str) -> None:
    (event,), _ = parsed(line)
    assert event == refused("auth", 535, line[line.index("535 ") :])


KNOWN = {
    "the daemon": "exim 4.98 daemon started: pid=1, -q5s, listening for SMTP on [192.0.2.9]:25",
    "a queue run": "Start queue run: pid=21416",
    "a command": "cwd=/var/spool 5 args: /usr/sbin/exim4 -Mc 1xVbby-0006O4-2j",
    "a connection": "SMTP connection from [192.0.2.3]:9 (TCP/IP connection count = 3)",
    "its end": "SMTP connection from h.example [192.0.2.3]:9 closed by QUIT",
    "a warning that quotes a verdict": "H=h.example [192.0.2.3] Warning: would be rejected RCPT <c@d.example>: 550 no",
    "a sender's check": "H=h.example [192.0.2.3] sender verify fail for <a@b.example>: Unrouteable address",
    "a signature": "10HmaX-000000005vi-0000 DKIM: d=b.example s=s c=simple/simple a=rsa-sha256 b=1024 [verification succeeded]",
    "a locked file": "16ZCW1-0005MB-00 Spool file is locked (another process is handling this message)",
    "a frozen message": "16ZCW1-0005MB-00 Message is frozen",
}


@pytest.mark.parametrize("line", KNOWN.values(), ids=KNOWN)
def test_known_and_not_needed(line: str) -> None:
    assert parsed(line) == ([], Tally(known=1))
