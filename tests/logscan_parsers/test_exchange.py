"""Exchange's logs as tables of real rows and what they must give, and the laws that hold for any log."""

from __future__ import annotations

import csv
import io
import itertools
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logscan.columns import concat, put
from logscan.guard import check
from logscan.parser import Block, Tally
from logscan.schema import EVENTS
from logscan_parsers.exchange import layout, parser

TRACKING = layout.guess(30).fields
PROTOCOL = layout.guess(9).fields
STAMP = "2026-03-04T05:06:07.089Z"


def header(fields: tuple[str, ...], kind: str, version: str = "15.0.0.0") -> str:
    return (
        f"#Software: Microsoft Exchange Server\n#Version: {version}\n#Log-type: {kind}\n#Fields: {','.join(fields)}\n"
    )


def row(fields: tuple[str, ...], **values: Any) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([values.get(name.replace("-", "_"), "") for name in fields])
    return out.getvalue()


def track(event: str, status: str = "", recipient: str = "b@to.example", **more: Any) -> str:
    values = {
        "date_time": STAMP,
        "source": "SMTP",
        "event_id": event,
        "internal_message_id": "7",
        "message_id": "<1@from.example>",
        "network_message_id": "6a638d20-1e63-493a-80a2-08da9a4ff8da",
        "recipient_address": recipient,
        "recipient_status": status,
        "total_bytes": "100",
        "recipient_count": "1",
        "sender_address": "a@from.example",
        "return_path": "a@from.example",
    }
    return row(TRACKING, **values | more)


HEAD = header(TRACKING, "Message Tracking Log")


def talk(kind: str, *said: str, session: str = "08DA", first: int = 0, **more: Any) -> str:
    """Rows of a session: `> text`, `< text`, `+`, `- context`, `* context`."""
    rows = ""
    for number, line in enumerate(said, first):
        mark, _, text = line.partition(" ")
        place = {"data": text} if mark in "<>" else {"context": text}
        values = {
            "date_time": STAMP,
            "connector_id": "EX\\Default Frontend EX" if kind == "RECV" else "Internet",
            "session_id": session,
            "sequence_number": number,
            "local_endpoint": "192.0.2.1:25",
            "remote_endpoint": "198.51.100.7:2525" if kind == "RECV" else "198.51.100.7:25",
            "event": mark,
        }
        rows += row(PROTOCOL, **values | place | more)
    return rows


def of(kind: str) -> str:
    return header(PROTOCOL, "SMTP Receive Protocol Log" if kind == "RECV" else "SMTP Send Protocol Log")


def read(*logs: str | bytes, pieces: list[list[int]] | None = None) -> tuple[list[dict[str, Any]], Tally]:
    """Events of logs, each cut after some of its lines, as the pipeline makes them; and the tally."""
    events: list[pa.Table] = []
    parts: list[pa.Table] = []
    tally = Tally()

    def keep(tables: list[pa.Table], table: pa.Table | None, rank: int) -> None:
        if table is not None and len(table):
            table = put(table, "source", pa.array([f"{rank}.LOG"] * len(table)))
            tables.append(put(table, "source_rank", pa.array(np.full(len(table), rank))))

    for rank, log in enumerate(logs):
        data = log.encode() if isinstance(log, str) else log
        preamble = data[: 64 << 10]
        lines = re.findall(rb"[^\n]*\n|[^\n]+$", data)
        borders = sorted({0, len(lines), *(pieces[rank] if pieces else [])})
        for start, end in itertools.pairwise(borders):
            offset = sum(map(len, lines[:start]))
            block = Block.of(b"".join(lines[start:end]), offset, f"{rank}.LOG", preamble=preamble)
            parsed = parser.parse(block)
            check(parsed, block)
            preamble = parsed.preamble or preamble
            tally += parsed.tally
            keep(events, parsed.events, rank)
            keep(parts, parsed.parts, rank)
    if parts:
        assert parser.settle is not None
        settled = parser.settle(concat(parts))
        tally += settled.tally
        if len(settled.events):
            events.append(settled.events)
    found = concat(events).to_pylist() if events else []
    found.sort(key=lambda event: (event["source_rank"], event["offset"], str(event.get("recipient"))))
    return found, tally


def seen(found: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(event[name] for name in names) for event in found]


LED = "[{{LED={}}};{{MSG=}};{{FQDN=mx.to.example}};{{IP=198.51.100.9}};{{LRT=07.10.2020 16:27:19}}]"

NOTHING = {
    "receive": track("RECEIVE", "To"),
    "hop": track("SEND", "250 2.1.5 Recipient OK", connector_id="Intra-Organization SMTP Send Connector"),
    "shadow": track("HAREDIRECT") + track("HARECEIVE") + track("HADISCARD", source="REDUNDANCY"),
    "duplicate": track("DUPLICATEDELIVER", source="STOREDRIVER"),
    "notice": track("DSN", source="DSN") + track("NOTIFYMAPI", source="STOREDRIVER"),
    "group": track("EXPAND", "250 2.1.5 RESOLVER.GRP.Expanded; distribution list expanded", source="ROUTING"),
    "probe": track("DELIVER", recipient="HealthMailbox0a1b@from.example", source="STOREDRIVER"),
    "probe's failure": track("FAIL", "550 5.1.1 x", return_path="inboundproxy@inboundproxy.com"),
    "empty": "",
}


@pytest.mark.parametrize("rows", NOTHING.values(), ids=NOTHING)
def test_tracking_rows_that_give_nothing(rows: str) -> None:
    found, tally = read(HEAD + rows)
    assert not found
    assert (tally.unread, tally.understood) == (0, 0)
    assert tally.lines == HEAD.count("\n") + rows.count("\n")


OUTCOMES = {
    "delivered to a mailbox": (
        track("DELIVER", source="STOREDRIVER"),
        [("delivered", "local", None, None, "b@to.example")],
    ),
    "sent outside": (
        track("SENDEXTERNAL", "250 2.1.5 Ok", server_ip="198.51.100.9", server_hostname="mx.to.example"),
        [("delivered", "outbound", 250, "2.1.5", "b@to.example")],
    ),
    "sent by 2010": (
        track("SEND", "250 2.1.5 Ok", connector_id="Internet"),
        [("delivered", "outbound", 250, "2.1.5", "b@to.example")],
    ),
    "the last reply only in the context": (
        track("SENDEXTERNAL", "", source_context=";250 2.0.0 Ok: queued as 1;ClientSubmitTime:"),
        [("delivered", "outbound", 250, "2.0.0", "b@to.example")],
    ),
    "handed to the mailbox service": (
        track(
            "SEND",
            "250 2.1.5 Recipient OK",
            connector_id="Intra-Organization SMTP Send Connector",
            message_info="2026-03-04T05:06:05.089Z;LSRV=EX:TOTAL-HUB=1.9|SMS=0.076(SMSMBXD=0.071)",
        ),
        [("delivered", "local", 250, "2.1.5", "b@to.example")],
    ),
    "failed, plain": (
        track("FAIL", "550 5.1.1 RESOLVER.ADR.RecipNotFound; not found", source="ROUTING"),
        [("bounced", "local", 550, "5.1.1", "b@to.example")],
    ),
    "failed, LED": (
        track("FAIL", LED.format("550-5.7.26 no 550 5.7.26 at all")),
        [("bounced", "outbound", 550, "5.7.26", "b@to.example")],
    ),
    "expired": (
        track("FAIL", LED.format("550 4.4.7 QUEUE.Expired; message expired"), source="QUEUE"),
        [("expired", "outbound", 550, "4.4.7", "b@to.example")],
    ),
    "deferred, several, each with its own": (
        track(
            "DEFER",
            ";".join(map(LED.format, ("450 4.2.0 a; b", "451 later", "452 4.2.2 full"))),
            "b@to.example;c@to.example;d@to.example",
        ),
        [
            ("deferred", "outbound", 450, "4.2.0", "b@to.example"),
            ("deferred", "outbound", 451, None, "c@to.example"),
            ("deferred", "outbound", 452, "4.2.2", "d@to.example"),
        ],
    ),
    "no digits": (
        track("FAIL", "SMTPSEND.DNS.NonExistentDomain; nonexistent domain", source="DNS"),
        [("bounced", "outbound", None, None, "b@to.example")],
    ),
    "dropped": (
        track("DROP", LED.format("550 4.3.2 QUEUE.TransportAgent; message deleted by transport agent"), source="AGENT"),
        [("discarded", "local", 550, "4.3.2", "b@to.example")],
    ),
}


@pytest.mark.parametrize(("rows", "wanted"), OUTCOMES.values(), ids=OUTCOMES)
def test_tracking(rows: str, wanted: list[tuple[Any, ...]]) -> None:
    found, tally = read(HEAD + rows)
    assert seen(found, "action", "direction", "code", "enhanced", "recipient") == wanted
    assert {(event["sender"], event["message_id"], event["queue_id"], event["size"]) for event in found} == {
        ("a@from.example", "1@from.example", "7", 100)
    }
    assert (tally.understood, tally.unread) == (1, 0)
    assert str(found[0]["time"]) == "2026-03-04 05:06:07.089000+00:00"


def test_a_delivery_takes_as_long_as_since_its_origin() -> None:
    found, _ = read(HEAD + track("DELIVER", source="STOREDRIVER", message_info="2026-03-04T05:06:05.089Z"))
    assert seen(found, "delay") == [(2.0,)]


@pytest.mark.parametrize(
    "head",
    [
        pytest.param("", id="none"),
        pytest.param("\ufeff" + HEAD, id="with a mark"),
        pytest.param(HEAD.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(track("RECEIVE") + HEAD, id="in mid-file"),
        pytest.param(HEAD.replace("#Log-type", "#Log-Type"), id="other capitals"),
        pytest.param(",".join(TRACKING) + "\n", id="a plain CSV header"),
    ],
)
def test_headers(head: str) -> None:
    found, tally = read(head + track("FAIL", "550 5.1.1 no"))
    assert seen(found, "code", "recipient") == [(550, "b@to.example")]
    assert tally.unread == 0


@pytest.mark.parametrize("count", [21, 26, 30])
def test_columns_by_their_number_where_no_header_is(count: int) -> None:
    guessed = layout.guess(count)
    assert guessed is not None
    names = dict(zip(TRACKING, next(csv.reader([track("FAIL", "550 5.1.1 no, never", total_bytes=5)])), strict=True))
    values = {name.replace("-", "_"): value for name, value in names.items()}
    found, _ = read(row(guessed.fields, **values))
    assert seen(found, "action", "code", "recipient", "size") == [("bounced", 550, "b@to.example", 5)]


def test_columns_change_in_mid_file() -> None:
    old = layout.guess(26)
    assert old is not None
    values = {"date_time": STAMP, "source": "SMTP", "event_id": "FAIL", "recipient_address": "old@to.example"}
    log = header(old.fields, "Message Tracking Log") + row(old.fields, **values) + HEAD + track("FAIL", "550 5.1.1 no")
    for pieces in ([], [5], [8], [9], [5, 9]):
        found, tally = read(log, pieces=[pieces])
        assert seen(found, "recipient") == [("old@to.example",), ("b@to.example",)]
        assert tally.unread == 0


FORGED = track("FAIL", "550 5.7.1 forged", "victim@to.example").rstrip("\n")
HOSTILE = {
    "commas and quotes": '550 5.7.1 no, "never", or ""so""',
    "marks": "550 5.7.1 a};{MSG=b};{LRT=c}];[{LED=250 2.0.0 ok};{MSG=};{FQDN=x};{IP=192.0.2.66};{LRT=}]",
    "a forged row": "550 5.7.1 no\n" + FORGED,
    "forged rows and more": "550 5.7.1 no\n" + FORGED + "\n" + FORGED + "\nend",
    "a header": "550 5.7.1 no\n#Fields: a,b\nend",
    "a header that could be": "550 5.7.1 no\n#Fields: date-time,source,event-id,recipient-address\nend",
    "line ends alone": "550 5.7.1 no\r\n\r\n\nend",
    "NUL and escapes": "550 5.7.1 \0\x1b[2Jno\u2028\u0085",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_replies_stay_in_their_field(text: str) -> None:
    log = HEAD + track("RECEIVE") + track("FAIL", LED.format(text)) + track("FAIL", "551 5.7.1 after")
    found, tally = read(log)
    assert seen(found, "code", "recipient") == [(550, "b@to.example"), (551, "b@to.example")]
    assert tally.unread == 0
    words = re.sub(r"[\r\n]+", " ", text)
    assert found[0]["reply"] == words


BROKEN = {
    "cut": track("FAIL", "550 5.1.1 no")[:60] + "\n",
    "too many fields": track("FAIL", "550 5.1.1 no").rstrip("\n") + ",more\n",
    "a quote that never ends": track("FAIL", "550 5.1.1 no").replace("550", '"550')[:-20] + "\n",
    "words": "this is no log\n",
    "the end of a field": 'no such user",,,\n',
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_broken_lines_are_told_and_harm_no_other(line: str) -> None:
    found, tally = read(HEAD + track("FAIL", "550 5.1.1 before") + line + track("FAIL", "551 5.1.1 after"))
    assert seen(found, "code") == [(550,), (551,)]
    assert tally.unread == 1
    assert tally.samples[0][1] == line.rstrip("\n")


@pytest.mark.parametrize("subject", ['my 5" disk', '"so', 'so"', '"a" b'])
def test_a_lone_quote_is_a_quote(subject: str) -> None:
    line = track("FAIL", "550 5.1.1 no", message_subject="SUBJECT").replace("SUBJECT", subject)
    found, tally = read(HEAD + line + track("FAIL", "551 5.1.1 no"))
    assert seen(found, "code") == [(550,), (551,)]
    assert tally.unread == 0


def test_nul_bytes_before_a_row() -> None:
    found, tally = read(HEAD + "\0\0\0" + track("FAIL", "550 5.1.1 no"))
    assert (len(found), tally.unread) == (1, 0)


# Rows of a session, as `talk` takes them, with a bar between.
SESSIONS = {
    "refused recipient, the other taken": (
        "RECV",
        "+ | > 220 ready | < EHLO c | > 250 hello | < MAIL FROM:<a@x.example> SIZE=9 | > 250 2.1.0 ok | < "
        "RCPT TO:<b@y.example> | > 550 5.1.1 no | < RCPT TO:<c@y.example> | > 250 2.1.5 ok | < DATA | > 354 "
        "go | > 250 2.6.0 <1@x> [InternalId=77, Hostname=EX] Queued | < QUIT | > 221 bye | - Local",
        [("rejected", "rcpt", 550, "b@y.example"), ("accepted", "end-of-data", 250, "c@y.example")],
    ),
    "pipelined": (
        "SEND",
        "*  | + | < 220 mx.y.example ready | > EHLO e | < 250 hello | > MAIL FROM:<a@x.example> | > RCPT "
        "TO:<b@y.example> | > RCPT TO:<c@y.example> | < 250 ok | < 451 4.7.1 later | < 250 ok | > DATA | < "
        "354 go | < 250 2.0.0 queued | > QUIT | - Remote",
        [("deferred", "rcpt", 451, "b@y.example"), ("delivered", "end-of-data", 250, "c@y.example")],
    ),
    "a row for each line": (
        "RECV",
        "+ | > 220 x | < EHLO c | > 250-hello | > 250-SIZE | > 250 CHUNKING | < MAIL FROM:<a@x.example> | > "
        "550-5.7.1 we do not | > 550 5.7.1 like you | - Remote",
        [("rejected", "mail", 550, None)],
    ),
    "a row for a reply of several lines": (
        "SEND",
        "+ | < 220 x | > EHLO e | < 250 x | > MAIL FROM:<> | > RCPT TO:<b@y.example> | > RCPT "
        "TO:<c@y.example> | < 250 ok | < 550-5.1.1 no 550 5.1.1 one | < 550-5.1.1 nor 550 5.1.1 this | > QUIT"
        " | - Local",
        [("bounced", "rcpt", 550, "b@y.example"), ("bounced", "rcpt", 550, "c@y.example")],
    ),
    "what follows a refusal": (
        "RECV",
        "+ | > 220 x | < HELO c | > 250 x | < MAIL FROM:<a@x.example> | < RCPT TO:<b@y.example> | < DATA | > "
        "554 5.7.1 no | > 503 5.5.2 need mail | > 503 5.5.2 need rcpt | - Remote",
        [("rejected", "mail", 554, None)],
    ),
    "a refused sender is for each recipient": (
        "SEND",
        "+ | < 220 x | > EHLO e | < 250 x | > MAIL FROM:<a@x.example> | > RCPT TO:<b@y.example> | > RCPT "
        "TO:<c@y.example> | < 550 5.7.1 no | < 503 need mail | < 503 need mail | > QUIT | - Local",
        [("bounced", "mail", 550, "b@y.example"), ("bounced", "mail", 550, "c@y.example")],
    ),
    "refused login": (
        "RECV",
        "+ | > 220 x | < EHLO c | > 250 x | < AUTH LOGIN | > 334 VXNlcm5hbWU6 | < eA== | > 334 UGFzc3dvcmQ6 |"
        " < eA== | > 535 5.7.3 Authentication unsuccessful | - Remote",
        [("rejected", "auth", 535, None)],
    ),
    "its words not logged": (
        "RECV",
        "+ | > 220 x | < EHLO c | > 250 x | < AUTH LOGIN | > 334 VXNlcm5hbWU6 | > 535 5.7.3 no | - Remote",
        [("rejected", "auth", 535, None)],
    ),
    "refused at once": (
        "RECV",
        "+ | > 421 4.3.2 too many connections | - Local",
        [("rejected", "connect", 421, None)],
    ),
    "refused greeting": (
        "SEND",
        "+ | < 554 no service | > QUIT | - Local",
        [("deferred", "connect", 554, None)],
    ),
    "no SMTP": (
        "SEND",
        "+ | < HTTP/1.1 400 Bad Request | - Local",
        [("deferred", "connect", None, None)],
    ),
    "no connection": (
        "SEND",
        "* attempting to connect | * Failed to connect. Winsock error code: 10061, Win32 error code: 10061",
        [("deferred", "connect", None, None)],
    ),
    "lost": (
        "SEND",
        "+ | < 220 x | > EHLO e | < 250 x | > MAIL FROM:<a@x.example> | < 250 x | > RCPT TO:<b@y.example> | <"
        " 250 x | > DATA | - Remote(ConnectionReset)",
        [("deferred", "data", None, "b@y.example")],
    ),
    "in chunks": (
        "SEND",
        "+ | < 220 x | > EHLO e | < 250 x | > MAIL FROM:<> | < 250 x | > RCPT TO:<b@y.example> | < 250 x | > "
        "BDAT 10 | < 250 x | > BDAT 5 LAST | < 250 2.6.0 all | > QUIT | < 221 x | - Remote",
        [("delivered", "end-of-data", 250, "b@y.example")],
    ),
    "HELO where EHLO was refused": (
        "SEND",
        "+ | < 220 x | > EHLO e | < 502 what? | > HELO e | < 250 x | > QUIT | < 221 x | - Local",
        [],
    ),
    "proxied": (
        "RECV",
        "+ | > 220 x | < XPROXYFROM SID=1 | > 250 x | < MAIL FROM:<a@b> | > 550 no | - Local",
        [],
    ),
}


@pytest.mark.parametrize(("kind", "said", "wanted"), SESSIONS.values(), ids=SESSIONS)
def test_sessions(kind: str, said: str, wanted: list[tuple[Any, ...]]) -> None:
    found, tally = read(of(kind) + talk(kind, *said.split(" | ")))
    assert seen(found, "action", "stage", "code", "recipient") == wanted
    assert tally.unread == 0


def test_interleaved_sessions() -> None:
    said = ["+", "> 220 x", "< MAIL FROM:<{}@x>", "> 250 x", "< RCPT TO:<{}@y>", "> 550 5.1.1 no {}", "- Remote"]
    rows = [talk("RECV", *(line.format(*name * 2) for line in said), session=name).splitlines(True) for name in "pqr"]
    mixed = "".join("".join(lines) for lines in zip(*rows, strict=True))
    found, _ = read(of("RECV") + mixed)
    assert seen(found, "sender", "recipient", "reply") == [
        (f"{name}@x", f"{name}@y", f"550 5.1.1 no {name}") for name in "pqr"
    ]


def test_a_session_without_its_start() -> None:
    log = talk("RECV", "< RCPT TO:<b@y.example>", "> 250 2.1.0 Sender OK", "> 550 5.7.1 Unable to relay", first=38)
    found, _ = read(of("RECV") + log)
    assert seen(found, "code", "recipient", "stage") == [(550, "b@y.example", "rcpt")]


def test_rows_of_2010_without_a_header() -> None:
    said = "+ | < 220 x | > EHLO e | < 250-hello | < 250-SIZE 9 | < 250 DSN | > MAIL FROM:<> | < 250 x"
    said += " | > RCPT TO:<b@y> | < 550-see rule 550 of ours | < 550 5.1.1 no | > QUIT | - Local"
    found, _ = read(talk("SEND", *said.split(" | ")))
    assert seen(found, "code", "enhanced", "recipient") == [(550, "5.1.1", "b@y")]


def test_a_session_goes_on_in_the_next_file() -> None:
    said = ["+", "> 220 x", "< MAIL FROM:<a@x>", "> 250 x", "< RCPT TO:<b@y>", "> 550 5.1.1 no", "- Remote"]
    for at in range(len(said) + 1):
        first, second = talk("RECV", *said[:at]), talk("RECV", *said[at:], first=at)
        found, _ = read(of("RECV") + first, of("RECV") + second)
        assert seen(found, "sender", "recipient", "code", "source") == [
            ("a@x", "b@y", 550, "0.LOG" if at > 5 else "1.LOG")
        ]


def test_what_a_send_session_knows() -> None:
    log = talk(
        "SEND",
        *["+", "< 220 mx.y.example ESMTP", "> EHLO e", "< 250 x"],
        "* sending message with RecordId 55 and InternetMessageId <1@x>",
        *["> MAIL FROM:<a@x> SIZE=2048", "< 250 x", "> RCPT TO:<b@y>", "< 550 5.1.1 no", "> QUIT", "- Local"],
    )
    found, _ = read(of("SEND") + log)
    known = ("message_id", "queue_id", "size", "remote_host", "remote_ip", "log", "direction")
    assert seen(found, *known) == [("1@x", "55", 2048, "mx.y.example", "198.51.100.7", "smtp-send", "outbound")]


AGENT = layout.guess(20).fields


def test_agents() -> None:
    values = {"timestamp": STAMP, "p1fromaddress": "a@x", "recipient": "b@y;c@y", "agent": "Content Filter Agent"}
    refused = {"action": "RejectMessage", "smtpresponse": "550 5.7.1 spam", "event": "OnEndOfData"}
    log = row(AGENT, **values | refused) + row(AGENT, **values | {"action": "AcceptMessage", "event": "OnEndOfData"})
    found, tally = read(header(AGENT, "Agent Log") + log)
    assert seen(found, "action", "stage", "code", "sender", "recipient", "log") == [
        ("rejected", "end-of-data", 550, "a@x", "b@y", "agent"),
        ("rejected", "end-of-data", 550, "a@x", "c@y", "agent"),
    ]
    assert tally.unread == 0


def test_connectivity() -> None:
    fields = layout.guess(6).fields
    values = {"date_time": STAMP, "session": "1", "source": "SMTP", "destination": "y.example"}
    log = row(fields, **values | {"direction": ">", "description": "Established connection to 192.0.2.9"})
    log += row(fields, **values | {"direction": ">", "description": "Failed connection to 192.0.2.9:25 (TimedOut)"})
    found, _ = read(header(fields, "Transport Connectivity Log") + log)
    assert seen(found, "action", "remote_host", "remote_ip") == [("attempt", "y.example", "192.0.2.9")]


TRACE = '"Received","SenderAddress","RecipientAddress","Subject","Status","ToIP","FromIP","Size","MessageId"\r\n'
DATES = {
    "American": ("7/1/2025 1:26:17 AM", "2025-07-01 01:26:17"),
    "British": ("01/07/2025 01:26:17", "2025-07-01 01:26:17"),
    "German": ("01.07.2025 01:26:17", "2025-07-01 01:26:17"),
    "Dutch": ("1-7-2025 01:26:17", "2025-07-01 01:26:17"),
    "ISO": ("2025-07-01T01:26:17.9200000Z", "2025-07-01 01:26:17.920000"),
    "Swedish": ("2025-07-01 01:26:17", "2025-07-01 01:26:17"),
}


@pytest.mark.parametrize(("date", "wanted"), DATES.values(), ids=DATES)
def test_online_dates(date: str, wanted: str) -> None:
    line = f'"{date}","a@x","b@y","He said ""no"", twice","Failed","","192.0.2.1","886058","<1@x>"\r\n'
    found, tally = read("#TYPE Selected.Object\r\n" + TRACE + line)
    assert seen(found, "action", "recipient", "size", "message_id") == [("bounced", "b@y", 886058, "1@x")]
    assert str(found[0]["time"]) == wanted + "+00:00"
    assert tally.unread == 0


def test_one_date_tells_how_the_others_are_meant() -> None:
    rest = ',"a@x","b@y","","Failed","","","1","<1@x>"\r\n'
    found, _ = read(TRACE + '"01/02/2025 03:04:05"' + rest + '"01/31/2025 03:04:05"' + rest)
    assert [str(event["time"])[:10] for event in found] == ["2025-01-02", "2025-01-31"]


def test_online_reports() -> None:
    detail = '"Date","Event","Detail","MessageId","SenderAddress","RecipientAddress"\r\n'
    why = "Reason: [{LED=554 5.2.2 mailbox full; STOREDRV};{MSG=};{FQDN=};{IP=};{LRT=}]. OutboundProxyTargetIP: . "
    detail += f'"2025-06-30T23:08:56.2430000Z","Fail","{why}","<1@x>","a@x","b@y"\r\n'
    found, _ = read(detail)
    assert seen(found, "action", "code", "enhanced", "recipient") == [("bounced", 554, "5.2.2", "b@y")]
    summary = "origin_timestamp_utc,sender_address,recipient_status,message_id\r\n"
    summary += '2025-06-30T23:13:09.0800000Z,a@x,"b@y##Receive, Deliver;c@y##Receive, Fail;d@y##Receive",<1@x>\r\n'
    found, _ = read(summary)
    assert seen(found, "action", "recipient") == [("delivered", "b@y"), ("bounced", "c@y")]


def test_one_happening_in_two_logs() -> None:
    failed, _ = read(HEAD + track("FAIL", "550 5.1.1 no", "b@y.example", return_path="a@x.example"))
    said = [
        "+",
        "< 220 x",
        "> MAIL FROM:<a@x.example>",
        "< 250 x",
        "> RCPT TO:<b@y.example>",
        "< 550 5.1.1 no",
        "- Local",
    ]
    refused, _ = read(of("SEND") + talk("SEND", *said))
    assert seen(failed, "happening") == seen(refused, "happening")
    lost, _ = read(
        HEAD
        + track(
            "DEFER",
            LED.format(
                "451 4.4.0 Error encountered while communicating with primary target IP address: "
                '"Failed to connect. Winsock error code: 10061, Win32 error code: 10061."'
            ).replace("198.51.100.9", "198.51.100.7"),
        )
    )
    alone, _ = read(of("SEND") + talk("SEND", "* Failed to connect. Winsock error code: 10061"))
    assert seen(lost, "happening") == seen(alone, "happening")


def test_it_knows_its_logs() -> None:
    for log in (HEAD, HEAD + track("FAIL"), track("FAIL"), of("SEND"), talk("RECV", "+", "> 220 x"), TRACE):
        assert parser.sniff(Block.of(log.encode())) > 0.5, log
    for other in (b"", b"Oct 26 18:13:50 mx postfix/smtp[1]: connect to x\n", b"a,b,c\n1,2,3\n"):
        assert parser.sniff(Block.of(other)) == 0


WORDS = st.text(st.sampled_from('ab ,;"{}[]=\n\r#5-.'), max_size=25)


@st.composite
def hostile_rows(draw: st.DrawFn) -> tuple[str, list[tuple[Any, ...]]]:
    """Tracking rows with any text in reply and subject, and the events that they must give."""
    log, wanted = "", []
    for number in range(draw(st.integers(1, 12))):
        code = draw(st.sampled_from((450, 550)))
        forged = draw(st.sampled_from(("", "\n" + FORGED, "\n" + FORGED + "\n" + FORGED)))
        text = f"{code} 5.7.1 x{draw(WORDS)}{forged}"
        status = draw(st.sampled_from((LED.format(text), text)))
        recipient = f"r{number}@to.example"
        log += track("FAIL", status, recipient, message_subject=draw(WORDS))
        wanted.append((code, recipient))
    return log, wanted


@given(hostile_rows(), st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_is_lost_and_nothing_invented_wherever_the_log_is_cut(made: Any, data: st.DataObject) -> None:
    rows, wanted = made
    log = HEAD + rows
    if re.search(r"^#(Software|Version|Log-type|Date|Fields|TYPE)\b", rows, re.M | re.I):
        return
    whole, tally = read(log)
    assert seen(whole, "code", "recipient") == wanted
    assert tally.unread == 0
    lines = log.count("\n")
    pieces = data.draw(st.lists(st.integers(0, lines), max_size=8))
    again, tally_again = read(log, pieces=[pieces])
    assert again == whole
    assert replace(tally_again, samples=()) == replace(tally, samples=())


@given(st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_sessions_are_the_same_wherever_the_logs_are_cut(data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(sorted(SESSIONS)), min_size=1, max_size=6))
    kind = data.draw(st.sampled_from(("RECV", "SEND")))
    sessions = [
        talk(kind, *SESSIONS[name][1].split(" | "), session=f"S{number}").splitlines(True)
        for number, name in enumerate(chosen)
        if SESSIONS[name][0] == kind
    ]
    mixed: list[str] = []
    while any(sessions):
        some = data.draw(st.sampled_from([rows for rows in sessions if rows]))
        mixed.append(some.pop(0))
    at = data.draw(st.integers(0, len(mixed)))
    logs = [of(kind) + "".join(part) for part in (mixed[:at], mixed[at:])]
    whole, tally = read(*logs)
    cuts = [data.draw(st.lists(st.integers(0, log.count("\n")), max_size=6)) for log in logs]
    again, tally_again = read(*logs, pieces=cuts)
    assert again == whole
    assert tally_again == tally


@given(st.lists(st.one_of(WORDS, st.just(FORGED[:-9]), st.just(FORGED)), max_size=60), st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_lines_are_the_same_wherever_they_are_cut(texts: list[str], data: st.DataObject) -> None:
    log = HEAD + "\n".join(texts) + "\n"
    whole, tally = read(log)
    pieces = data.draw(st.lists(st.integers(0, log.count("\n")), max_size=6))
    again, tally_again = read(log, pieces=[pieces])
    assert again == whole
    assert tally_again == tally
    assert tally.lines == log.count("\n")


def test_events_have_columns_of_the_schema_only() -> None:
    found, _ = read(HEAD + track("FAIL", "550 5.1.1 no"))
    assert set(found[0]) - {"happening", "source_rank"} <= set(EVENTS.names) | {"log"}
