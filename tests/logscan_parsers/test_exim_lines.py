# ruff: noqa: E501 - log lines are as long as they are
"""Exim's lines as they come: stamps, ids, syslog envelopes, other programs' lines, damage, and blocks of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import logscan
from logscan.alone import parse_alone
from logscan.guard import check
from logscan.parser import Block, Parsed, Tally
from logscan_parsers.exim import parser
from logscan_parsers.postfix import parser as postfix

NEW, OLD = "10HmaX-000000005vi-0000", "16ZCW1-0005MB-00"
BODY = '=> a@x.example R=r T=smtp H=mx.x.example [192.0.2.1] C="250 OK"'


def parse(*lines: str | bytes) -> Parsed:
    return parser.parse(Block.of(b"".join((x if isinstance(x, bytes) else x.encode()) + b"\n" for x in lines)))


def event(line: str) -> dict[str, Any]:
    found = parse(line)
    assert found.tally == Tally(understood=1)
    (one,) = found.events.to_pylist()
    return one


STAMPS = {
    "plain": ("2026-11-23 21:29:43", "2026-11-23T21:29:43+00:00"),
    "milliseconds": ("2026-11-23 21:29:43.123", "2026-11-23T21:29:43.123000+00:00"),
    "zone": ("2026-11-23 21:29:43 +0100", "2026-11-23T20:29:43+00:00"),
    "all": ("2026-11-23 21:29:43.123 -0230 [4711]", "2026-11-23T23:59:43.123000+00:00"),
    "pid": ("2026-11-23 21:29:43 [4711]", "2026-11-23T21:29:43+00:00"),
}


@pytest.mark.parametrize(("stamp", "want"), STAMPS.values(), ids=STAMPS)
@pytest.mark.parametrize("name", [NEW, OLD])
def test_stamps_and_ids(stamp: str, want: str, name: str) -> None:
    one = event(f"{stamp} {name} {BODY}")
    assert (one["time"].isoformat(), one["queue_id"], one["code"]) == (want, name, 250)


def test_all_stamps_in_one_log() -> None:
    found = parse(*(f"{stamp} {name} {BODY}" for stamp, _ in STAMPS.values() for name in (NEW, OLD)))
    assert [t.isoformat() for t in found.events["time"].to_pylist()] == [
        w for _, w in STAMPS.values() for _ in range(2)
    ]


SYSLOG = {
    "BSD, with Exim's own stamp": f"Nov 23 21:29:59 mx exim[4711]: 2026-11-23 21:29:43.123 [4711] {NEW} {BODY}",
    "RFC 3339": f"2026-11-23T21:29:59.5+00:00 mx exim4[4711]: 2026-11-23 21:29:43.123 {NEW} {BODY}",
    "RFC 5424": f"<22>1 2026-11-23T21:29:59.5+00:00 mx exim 4711 - -  2026-11-23 21:29:43.123 {NEW} {BODY}",
    "a blank for the T": f"2026-11-23 21:29:43.123 mx exim[4711]: {NEW} {BODY}",
    "without Exim's stamp": f"2026-11-23T21:29:43.123Z mx exim[4711]: {NEW} {BODY}",
}


@pytest.mark.parametrize("line", SYSLOG.values(), ids=SYSLOG)
def test_syslog(line: str) -> None:
    one = event(line)
    assert one["time"].isoformat() == "2026-11-23T21:29:43.123000+00:00"
    assert (one["host"], one["queue_id"], one["code"]) == ("mx", NEW, 250)


POSTFIX = "Nov 23 21:29:43 mx postfix/smtpd[1]: NOQUEUE: reject: RCPT from h[192.0.2.1]: 554 5.7.1 <c@d.example>: no"


def test_other_programs_lines_are_others() -> None:
    mine = SYSLOG["BSD, with Exim's own stamp"]
    found = parse(POSTFIX, mine, "Nov 23 21:29:43 mx dovecot: imap-login: Login: user=<a>")
    assert (found.tally, len(found.events)) == (Tally(understood=1, other=2), 1)
    assert found.others.tolist() == [0, 2]


def test_sniffing() -> None:
    own = Block.of(f"2026-11-23 21:29:43 {NEW} {BODY}\n2026-11-23 21:29:43 {NEW} Completed\n".encode())
    theirs = Block.of(f"{POSTFIX}\n".encode())
    assert parser.sniff(own) == 1
    assert parser.sniff(theirs) == 0
    assert parser.sniff(Block.of(f"{REFUSALS[0]}\n".encode())) == 1
    assert postfix.sniff(own) == 0
    assert parser.sniff(Block.of(b"2026-11-23 21:29:43 something else\n")) == 0
    assert parser.sniff(Block.of(b"")) == 0


PIECES = [
    rf"<22>1 2026-11-23T21:29:44Z mx exim 7 - -  [1/2] 2026-11-23 21:29:43 {NEW} ** a@x.example R=r T=t H=mx [192.0.2.1]: "
    "SMTP error from remote mail server after DATA: 550 no such",
    r"<21>1 2026-11-23T21:29:44Z mx exim 8 - -  [1\3] 2026-11-23 21:29:43 H=h.example [192.0.2.3] F=<> rejected after DATA: no",
    "<22>1 2026-11-23T21:29:44Z mx exim 7 - -  [2/2]  user",
    r"<21>1 2026-11-23T21:29:44Z mx exim 8 - -  [2\3] Envelope-to: <c@d.example>",
    "<21>1 2026-11-23T21:29:44Z mx exim 8 - -  [3/3] F From: 2026-11-23 21:29:43 => a@x.example",
]


def test_pieces_of_an_entry_are_put_together() -> None:
    events, tally = whole(PIECES)
    assert tally == Tally(understood=5)
    assert [(e["reply"], e["recipient"]) for e in events] == [
        ("550 no such user", "a@x.example"),
        ("no", "c@d.example"),
    ]


def test_pieces_of_different_processes_are_not_mixed_and_what_is_missing_is_told() -> None:
    events, tally = whole([*PIECES[:2], *PIECES[3:]])
    assert (tally.understood, tally.unread, len(events), len(tally.samples)) == (3, 1, 1, 1)


REFUSAL = "<22>1 2026-11-23T21:29:44Z mx exim 8 - -  2026-11-23 21:29:43.1 [8] H=h [192.0.2.3] F=<> rejected "
REFUSALS = [
    *[REFUSAL + "RCPT <a@x.example>: no"] * 2,
    *[REFUSAL + "RCPT <b@x.example>: no"] * 4,
    REFUSAL + "after DATA: no",
    PIECES[1].replace("21:29:43", "21:29:43.1").replace("h.example", "h"),
    *PIECES[3:],
]


def test_what_syslog_has_twice_is_told_apart() -> None:
    events, tally = whole(REFUSALS)
    assert tally == Tally(understood=10)
    assert [(e["recipient"], e["log"]) for e in events] == [
        ("a@x.example", "syslog"),
        ("a@x.example", "syslog-reject"),
        *[("b@x.example", "syslog"), ("b@x.example", "syslog-reject")] * 2,
        ("c@d.example", "syslog"),
        ("c@d.example", "syslog-reject"),
    ]


def test_a_repeated_refusal_counts_each_time() -> None:
    stamped, _, words = REFUSALS[0].partition("- -  ")
    events, tally = whole([f"{stamped}- -  message repeated 3 times: [ {words}]"])
    assert (tally, len(events)) == (Tally(understood=1), 3)


def test_a_refusal_that_syslog_has_once_is_no_copy() -> None:
    events, tally = whole(REFUSALS[:1])
    assert (tally, [e["log"] for e in events]) == (Tally(understood=1), ["syslog"])


def test_copies_in_other_logs_are_marked(tmp_path: Path) -> None:
    line = "2026-11-23 21:29:43 H=h [192.0.2.3] F=<> rejected RCPT <a@x.example>: no\n"
    delivered = f"2026-11-23 21:29:43 {NEW} {BODY}\n"
    (tmp_path / "mainlog").write_text(line + delivered + line)
    (tmp_path / "rejectlog").write_text(line + line)
    (tmp_path / "syslog").write_text(
        f"2026-11-23T21:29:44.5Z mx exim[8]: {line}" * 4 + f"2026-11-23T21:29:44.5Z mx exim[8]: {delivered}"
    )
    table = logscan.scan(tmp_path, tz="UTC", workers=1)
    counted = table.filter(pc.invert(table["copy"]))
    assert len(table) == 10
    assert sorted(zip(counted["log"].to_pylist(), counted["action"].to_pylist(), strict=True)) == [
        ("main", "delivered"),
        ("main", "rejected"),
        ("main", "rejected"),
    ]


REJECTLOG = """\
2026-11-23 21:29:44 1xVbbc-0005dS-1Y H=h.example [192.0.2.3] F=<a@b.example> rejected after DATA: 550 5.7.1 spam
Envelope-from: <a@b.example>
Envelope-to: <c@d.example>
    <e@d.example>
P Received: from h.example ([192.0.2.3])
\tby mx with esmtp (Exim 4.96)
  Subject: 2026-11-23 21:29:44 1xVbbc-0005dS-1Y => a@x.example R=r
I Message-ID: <1@b.example>
"""


def test_the_headers_in_a_rejectlog_are_known() -> None:
    found = parse(*REJECTLOG.splitlines())
    assert (found.tally, len(found.events)) == (Tally(understood=1, known=7), 1)


DAMAGE = {
    "nothing": (b"", 0),
    "words": (b"hello", 1),
    "a stamp alone": (b"2026-11-23 21:29:43", 1),
    "a stamp that is none": (b"2026-13-43 21:29:43 " + NEW.encode() + b" Completed", 1),
    "a fraction that is none": (b"2026-11-23 21:29:43.12x " + NEW.encode() + b" Completed", 1),
    "an id cut off": (b"2026-11-23 21:29:43 10HmaX-0000", 1),
    "no UTF-8": (b"2026-11-23 21:29:43 \xff\xfe\x00\x01", 1),
    "a hole before it": (b"\0" * 64 + b"hello", 1),
    "binary": (bytes(b for b in range(256) if b not in b"\n") * 9, 1),
    "an escape": (b"\x1b]0;owned\x07", 1),
}


@pytest.mark.parametrize(("line", "unread"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_counted_and_shown_and_harms_no_other_line(line: bytes, unread: int) -> None:
    good = f"2026-11-23 21:29:43 {NEW} {BODY}"
    found = parse(good, line, good + "\r", line, good)
    assert (found.tally.understood, found.tally.unread, len(found.tally.samples)) == (3, 2 * unread, 2 * unread)
    assert found.events["reply"].to_pylist() == ["250 OK"] * 3


def test_every_cut_of_a_line_invents_nothing() -> None:
    line = (
        "2026-11-23 21:29:43 1xVbba-0005Zj-2x ** a@x.example R=r T=t H=mx.x.example [192.0.2.1]: SMTP error from "
        "remote mail server after RCPT TO:<a@x.example>: 550 5.1.1 no such user"
    )
    for length in range(len(line)):
        found = parse(line[:length])
        for row in found.events.to_pylist():
            assert row["recipient"] == "a@x.example"
            assert row["action"] == "bounced"
            assert row["code"] in (550, None)
        assert found.tally.lines == 1


LOG = [
    f"2026-11-23 21:29:42 {NEW} <= s@y.example H=h.example [192.0.2.7] P=esmtp S=5 id=1@y.example",
    "2026-11-23 21:29:42 H=h.example [192.0.2.3] F=<a@b.example> rejected RCPT <c@d.example>: relay not permitted",
    f"2026-11-23 21:29:42 {OLD} <= <> R={NEW} U=mail P=local S=9",
    f"2026-11-23 21:29:43.12x {NEW} broken",
    f"2026-11-23 21:29:43 {NEW} H=mx1.x.example [192.0.2.1]: SMTP error from remote mail server after DATA: 421 busy",
    f"2026-11-23 21:29:43 {NEW} == a@x.example R=r T=t defer (111): Connection refused",
    f"2026-11-23 21:29:43.5 {NEW} {BODY}",
    f"2026-11-23 21:29:43 {OLD} => bob <bob@y.example> R=r T=t",
    "",
    f"2026-11-23 21:29:43 {OLD} Completed",
    "what is this",
    f"2026-11-23 21:29:44 {NEW} ** b@x.example: retry timeout exceeded",
    f"2026-11-23 21:29:44 {NEW} Completed",
    "Nov 23 21:29:44 mx postfix/smtpd[1]: connect from h[192.0.2.1]",
    f"Nov 23 21:29:44 mx exim[1]: 2026-11-23 21:29:44 {OLD} Completed",
]


def whole(lines: list[str], cuts: list[int] | None = None) -> tuple[list[dict[str, Any]], Tally]:
    """The settled events and the tally of lines read in blocks, as the pipeline reads them."""
    offset, blocks, cuts = 0, [], cuts or []
    for a, b in zip([0, *cuts], [*cuts, len(lines)], strict=True):
        data = "".join(line + "\n" for line in lines[a:b]).encode(errors="surrogateescape")
        blocks.append(Block.of(data, offset))
        offset += len(data)
    events, tally = parse_alone(parser, blocks, check)
    rows = events.sort_by("offset").to_pylist() if len(events) else []
    return [{name: value for name, value in row.items() if value not in (None, False)} for row in rows], tally


@given(st.lists(st.sampled_from(LOG), max_size=40), st.data())
@settings(max_examples=60)
def test_the_events_do_not_depend_on_the_borders_of_blocks(lines: list[str], data: st.DataObject) -> None:
    lines = [*LOG, *PIECES[:3], *lines, *PIECES[3:], *REFUSALS]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(lines) - 1), max_size=6)))
    assert whole(lines, cuts) == whole(lines, [])


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=80))
@settings(max_examples=200)
def test_a_reply_comes_through_whatever_it_says(words: str) -> None:
    """Exim logs printable characters as they are, a quote and a backslash with a backslash before them."""
    words = words.replace("\\", "").strip()
    if not words.isprintable() or " DT=" in words:
        return
    escaped = words.replace('"', '\\"')
    (one,) = parse(
        f'2026-11-23 21:29:43 {NEW} => a@x.example R=r T=t H=mx [192.0.2.1] C="250 x{escaped}" QT=1s'
    ).events.to_pylist()
    assert (one["code"], one["reply"], one["remote_ip"]) == (250, f"250 x{words}", "192.0.2.1")
    failed = f"2026-11-23 21:29:43 {NEW} ** a@x.example R=r T=t H=mx [192.0.2.1]: SMTP error from remote mail server after DATA: 550 x{words}"
    (one,) = parse(failed).events.to_pylist()
    assert (one["code"], one["reply"], one["recipient"], one["stage"]) == (550, f"550 x{words}", "a@x.example", "data")


SPICE = [
    '"',
    "\\",
    "<",
    ">",
    "(",
    ")",
    "[",
    "]",
    ": ",
    " R=",
    " H=",
    ' C="',
    ' T="',
    " defer (",
    "\0",
    "\r",
    " F=<",
    "\\n",
]
SPICE += ["550 ", " DT=1s", " QT=", " <", "host ", "[1/2] ", "SMTP error from remote mail server after ", " P=", " id="]
SPICE += [" rejected RCPT <", ' DN="', " S=", "\udcff", "é"]
WHOLE = [*LOG, *PIECES, *SYSLOG.values(), *REJECTLOG.splitlines()]


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """A line with pieces of others and marks in wrong places."""
    line = draw(st.sampled_from(WHOLE))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(line)))
        tail = draw(st.sampled_from(["", line[at:], draw(st.sampled_from(WHOLE))]))
        line = line[:at] + draw(st.sampled_from(SPICE)) + tail
    return line


@given(st.lists(spoiled(), min_size=1, max_size=12))
@settings(max_examples=150)
def test_spoiled_lines_break_nothing(lines: list[str]) -> None:
    block = Block.of("".join(line + "\n" for line in lines).encode(errors="surrogateescape"))
    found = parser.parse(block)
    check(found, block)
    assert found.tally.lines + len(found.parts) == len(lines) == whole(lines)[1].lines
    for table in (found.events, found.messages):
        table.validate(full=True)


def test_through_the_public_function() -> None:
    table = logscan.scan_lines([f"2026-11-23 21:29:43 {NEW} {BODY}"], "exim")
    assert table.select(["mta", "action", "code_class", "recipient_domain"]).to_pylist() == [
        {"mta": "exim", "action": "delivered", "code_class": "2xx", "recipient_domain": "x.example"}
    ]
