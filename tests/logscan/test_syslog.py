"""The envelope of a syslog line as a table of its forms; and what is none, told as unread."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logscan import syslog
from logscan.clock import Clock, stamp
from logscan.parser import Block

MIDDLE_OF_2000 = Clock(UTC, np.zeros(1, np.int64), np.array([stamp(7, 1)]))
MESSAGE = "connect from unknown[192.0.2.1]"
Line = tuple[str, str, str, str]


def lines_of(data: bytes) -> tuple[dict[int, Line], list[int], dict[int, int]]:
    """By line: time, host, program, message; the unread lines; how often each stands for itself."""
    envelopes = syslog.read(Block.of(data, clock=MIDDLE_OF_2000))
    found: dict[int, Line] = {}
    repeats: dict[int, int] = {}
    for head in envelopes.parts:
        texts = head.message.to_arrow().to_pylist()
        times = head.time.astype("M8[us]").astype(str).tolist()
        for i, row in enumerate(head.rows.tolist()):
            found[row] = (times[i], head.hosts[head.host[i]], head.programs[head.program[i]], texts[i])
            repeats[row] = int(head.repeats[i])
    return found, envelopes.unread.tolist(), repeats


def one(line: bytes | str) -> Line | None:
    found, unread, _ = lines_of(line.encode() if isinstance(line, str) else line)
    assert len(found) + len(unread) == 1
    return found.get(0)


NO_ENVELOPE = {
    "a word": "hello",
    "a month alone": "Oct",
    "a month of no calendar": "Okt 26 18:13:50 mx postfix/smtpd[1]: x",
    "february 30": "Feb 30 18:13:50 mx postfix/smtpd[1]: x",
    "day 0": "Oct 00 18:13:50 mx postfix/smtpd[1]: x",
    "day 32": "Oct 32 18:13:50 mx postfix/smtpd[1]: x",
    "hour 25": "Oct 26 25:00:00 mx postfix/smtpd[1]: x",
    "hour 24": "Oct 26 24:00:00 mx postfix/smtpd[1]: x",
    "minute 61": "Oct 26 18:61:50 mx postfix/smtpd[1]: x",
    "second 61": "Oct 26 18:13:61 mx postfix/smtpd[1]: x",
    "an unpadded day": "Oct 6 18:13:50 mx postfix/smtpd[1]: x",
    "cut in the stamp": "Oct 26 18:13",
    "cut after the stamp": "Oct 26 18:13:50",
    "cut after the stamp's blank": "Oct 26 18:13:50 ",
    "cut in the host": "Oct 26 18:13:50 mx",
    "cut in the program": "Oct 26 18:13:50 mx postfix/sm",
    "iso february 30": "2025-02-30T09:50:42+01:00 mx postfix/smtpd[1]: x",
    "iso february 29 of a common year": "2025-02-29T09:50:42+01:00 mx postfix/smtpd[1]: x",
    "iso february 29 of 1900": "1900-02-29T09:50:42+01:00 mx postfix/smtpd[1]: x",
    "iso april 31": "2025-04-31T09:50:42+01:00 mx postfix/smtpd[1]: x",
    "iso month 13": "2025-13-01T09:50:42+01:00 mx postfix/smtpd[1]: x",
    "iso month 0": "2025-00-01T09:50:42+01:00 mx postfix/smtpd[1]: x",
    "iso hour 25": "2025-02-02T25:61:00+01:00 mx postfix/smtpd[1]: x",
    "iso cut": "2025-02-02T09:50",
    "iso cut in the fraction": "2025-02-02T09:50:42.21",
    "iso cut in the zone": "2025-02-02T09:50:42.211184+01:",
    "iso with a zone of nowhere": "2025-02-02T09:50:42+0A:00 mx postfix/smtpd[1]: x",
    "iso with a zone of 99 hours": "2025-02-02T09:50:42+99:00 mx postfix/smtpd[1]: x",
    "iso with a zone of 61 minutes": "2025-02-02T09:50:42+01:61 mx postfix/smtpd[1]: x",
    "iso, a year before any log": "0000-02-02T09:50:42Z mx postfix/smtpd[1]: x",
    "iso, a year that no calendar has in UTC": "9999-12-31T23:59:59-12:00 mx postfix/smtpd[1]: x",
    "json, a time past all years": '{"__REALTIME_TIMESTAMP":"99999999999999999","MESSAGE":"x"}',
    "a point without a fraction": "2025-02-02T09:50:42.+01:00 mx postfix/smtpd[1]: x",
    "rfc 5424 without a stamp": "<22>1 - mx postfix/smtpd 1 - - x",
    "a priority alone": "<22>",
    "an open priority": "<22",
    "json without a message": '{"__REALTIME_TIMESTAMP":"1738486242211184","_HOSTNAME":"mx","SYSLOG_IDENTIFIER":"p/s"}',
    "json without a time": '{"_HOSTNAME":"mx","SYSLOG_IDENTIFIER":"postfix/smtpd","MESSAGE":"x"}',
    "json with a time of words": '{"__REALTIME_TIMESTAMP":"now","_HOSTNAME":"mx","MESSAGE":"x"}',
    "json null message": '{"__REALTIME_TIMESTAMP":"1738486242211184","MESSAGE":null}',
    "json list of no bytes": '{"__REALTIME_TIMESTAMP":"1738486242211184","MESSAGE":[256]}',
    "json nested list": '{"__REALTIME_TIMESTAMP":"1738486242211184","MESSAGE":[[1]]}',
    "json cut": '{"__REALTIME_TIMESTAMP":"1738486242211184","MESSAGE":"x',
    "json twice": '{"__REALTIME_TIMESTAMP":"1","MESSAGE":"x"} {"__REALTIME_TIMESTAMP":"1","MESSAGE":"x"}',
    "an open brace": "{",
    "deep json": '{"MESSAGE":' + "[" * 100_000,
}


@pytest.mark.parametrize("line", NO_ENVELOPE.values(), ids=NO_ENVELOPE)
def test_what_has_no_envelope_is_unread(line: str) -> None:
    assert one(line) is None


BSD, ISO = "2000-10-26T18:13:50.000000", "2025-02-02T08:50:42.000000"
TAIL = f"mx postfix/smtpd[24510]: {MESSAGE}"
FORMS: dict[str, tuple[str, str]] = {
    # the year is the clock's: 2000 by default
    "bsd": (f"Oct 26 18:13:50 {TAIL}", BSD),
    "bsd, a day padded by space": (f"Oct  6 18:13:50 {TAIL}", "2000-10-06T18:13:50.000000"),
    "bsd, a day padded by zero (postlogd)": (f"Oct 06 18:13:50 {TAIL}", "2000-10-06T18:13:50.000000"),
    "bsd, leap second": (f"Jun 30 23:59:60 {TAIL}", "2000-07-01T00:00:00.000000"),
    "bsd, leap day": (f"Feb 29 00:00:00 {TAIL}", "2000-02-29T00:00:00.000000"),
    "bsd with a priority": (f"<22>Oct 26 18:13:50 {TAIL}", BSD),
    "bsd with a word of priority": (f"<mail.info>Oct 26 18:13:50 {TAIL}", BSD),
    "bsd with a word of priority after (FreeBSD)": (f"Oct 26 18:13:50 <mail.info> {TAIL}", BSD),
    "bsd with a number of priority after (FreeBSD -vv)": (f"Oct 26 18:13:50 <2.6> {TAIL}", BSD),
    "solaris": (f"Oct 26 18:13:50 mx postfix/smtpd[24510]: [ID 197553 mail.info] {MESSAGE}", BSD),
    "a crash's hole before": (f"\0\0\0\0Oct 26 18:13:50 {TAIL}", BSD),
    "a crash's hole before a priority": (f"\0<22>Oct 26 18:13:50 {TAIL}", BSD),
    "crlf": (f"Oct 26 18:13:50 {TAIL}\r\n", BSD),
    "iso": (f"2025-02-02T09:50:42+01:00 {TAIL}", ISO),
    "iso, microseconds": (f"2025-02-02T09:50:42.211184+01:00 {TAIL}", "2025-02-02T08:50:42.211184"),
    "iso, milliseconds": (f"2025-02-02T09:50:42.211+01:00 {TAIL}", "2025-02-02T08:50:42.211000"),
    "iso, nanoseconds": (f"2025-02-02T09:50:42.211184999+01:00 {TAIL}", "2025-02-02T08:50:42.211184"),
    "iso, one digit": (f"2025-02-02T09:50:42.5Z {TAIL}", "2025-02-02T09:50:42.500000"),
    "iso, fraction after a comma": (f"2025-02-02T09:50:42,211184+01:00 {TAIL}", "2025-02-02T08:50:42.211184"),
    "iso, Zulu": (f"2025-02-02T08:50:42Z {TAIL}", ISO),
    "iso, zone without colon (journalctl -o short-iso)": (f"2025-02-02T09:50:42+0100 {TAIL}", ISO),
    "iso, west": (f"2025-02-02T01:20:42-07:30 {TAIL}", ISO),
    "iso, -0000": (f"2025-02-02T08:50:42-00:00 {TAIL}", ISO),
    "iso, Nepal": (f"2025-02-02T14:35:42+05:45 {TAIL}", ISO),
    "iso, blank for T": (f"2025-02-02 08:50:42 {TAIL}", ISO),
    "iso, no zone": (f"2025-02-02T08:50:42 {TAIL}", ISO),
    "iso, leap day": (f"2024-02-29T08:50:42Z {TAIL}", "2024-02-29T08:50:42.000000"),
    "iso, before 1970": (f"1969-12-31T23:59:59Z {TAIL}", "1969-12-31T23:59:59.000000"),
    "iso with a priority": (f"<22>2025-02-02T09:50:42+01:00 {TAIL}", ISO),
    "rfc 5424, nil": (f"<22>1 2025-02-02T08:50:42Z mx postfix/smtpd 24510 - - {MESSAGE}", ISO),
    "rfc 5424, rsyslog's two blanks": (f"<22>1 2025-02-02T08:50:42Z mx postfix/smtpd 24510 - -  {MESSAGE}", ISO),
    "rfc 5424, no pid": (f"<22>1 2025-02-02T08:50:42Z mx postfix/smtpd - - - {MESSAGE}", ISO),
    "rfc 5424, message id": (f"<22>1 2025-02-02T08:50:42Z mx postfix/smtpd 24510 ID47 - {MESSAGE}", ISO),
    "rfc 5424, structured data": (f'<22>1 2025-02-02T08:50:42Z mx postfix/smtpd 1 - [a@1 b="c"] {MESSAGE}', ISO),
    "rfc 5424, two elements": (f'<22>1 2025-02-02T08:50:42Z mx postfix/smtpd 1 - [a@1 b="c"][d] {MESSAGE}', ISO),
    "rfc 5424, a bracket in a value": (
        rf'<22>1 2025-02-02T08:50:42Z mx postfix/smtpd 1 - [a@1 b="c\] d" e="\"] x"][f g="\\"] {MESSAGE}',
        ISO,
    ),
    "rfc 5424, an unescaped bracket in a value": (
        f'<22>1 2025-02-02T08:50:42Z mx postfix/smtpd 1 - [a@1 b="[x] y"] {MESSAGE}',
        ISO,
    ),
    "rfc 5424 without a zone, though it must": (f"<22>1 2025-02-02T08:50:42 mx postfix/smtpd 1 - - {MESSAGE}", ISO),
    "rfc 5424, byte order mark": (f"<22>1 2025-02-02T08:50:42Z mx postfix/smtpd 1 - - \ufeff{MESSAGE}", ISO),
}


@pytest.mark.parametrize(("line", "time"), FORMS.values(), ids=FORMS)
def test_stamps_and_envelopes(line: str, time: str) -> None:
    assert one(line) == (time, "mx", "postfix/smtpd", MESSAGE)


def test_all_forms_mixed_in_one_file() -> None:
    """Each line reads as it does alone: what is near changes nothing."""
    mixed = {**{name: line for name, (line, _) in FORMS.items()}, **NO_ENVELOPE}
    texts = [line.removesuffix("\r\n") for line in mixed.values()] * 2
    found, unread, _ = lines_of("\n".join(texts).encode())
    assert [found.get(i) for i in range(len(texts))] == [one(text) for text in texts]
    assert sorted([*found, *unread]) == list(range(len(texts)))


def test_many_bad_lines_among_many_hosts() -> None:
    """More distinct hosts and bad lines than a column of few values has."""
    texts = [f"?{i}" for i in range(70)] + [f"Oct 26 18:13:50 h{i} postfix/smtpd[1]: m{i}" for i in range(200)]
    found, unread, _ = lines_of("\n".join(texts).encode())
    assert unread == list(range(70))
    assert [(f[1], f[3]) for f in found.values()] == [(f"h{i}", f"m{i}") for i in range(200)]


def test_long_host_names_cut_in_a_character() -> None:
    texts = [f"Oct 26 18:13:50 x{'é' * 200}{i} postfix/smtpd[1]: m" for i in range(70)]
    found, _, _ = lines_of("\n".join([*texts, f"Oct 26 18:13:50 {TAIL}"]).encode())
    assert found[70][1] == "mx"


TAGS: dict[str, tuple[str, tuple[str, str] | None]] = {
    "no tag": ("last message", ("last", "")),
    "a line that repeats another (sysklogd)": ("last message repeated 3 times", None),
    "a line that repeats another (FreeBSD)": ("syslogd: last message repeated 3 times", None),
    "a line that repeats another (macOS)": ("--- last message repeated 3 times ---", None),
    "mark": ("-- MARK --", ("--", "")),
    "instance and service": ("postfix-out/submission/smtpd[1]: x", ("postfix-out/submission/smtpd", "x")),
    "no pid": ("postfix/smtpd: x", ("postfix/smtpd", "x")),
    "a message of nothing": ("postfix/smtpd[1]: ", ("postfix/smtpd", "")),
    "a pid of words": ("postfix/smtpd[a b]: x", ("postfix/smtpd", "x")),
    "an open pid": ("postfix/smtpd[12", ("postfix/smtpd", "")),
    "brackets and colons in the message": ("postfix/smtpd[1]: [2]: a: b", ("postfix/smtpd", "[2]: a: b")),
    "a bracket for Solaris that is not closed": ("postfix/smtpd[1]: [ID 1 x", ("postfix/smtpd", "[ID 1 x")),
    "blanks kept": ("postfix/smtpd[1]:  x ", ("postfix/smtpd", " x ")),
}


@pytest.mark.parametrize(("rest", "want"), TAGS.values(), ids=TAGS)
def test_tags(rest: str, want: tuple[str, str] | None) -> None:
    line = one(f"Oct 26 18:13:50 mx {rest}")
    assert (line and line[2:]) == want


def test_what_is_not_utf8_is_shown_and_nothing_splits_a_line_but_lf() -> None:
    line = one(b"Oct 26 18:13:50 m\xff postfix/smtpd[1]: a\xe9\r\x0b\x0c\x1c\x85b\xc2\x85\xe2\x80\xa8c\0d")
    assert line == (BSD, "m\\xff", "postfix/smtpd", "a\\xe9\r\x0b\x0c\x1c\\x85b\x85\u2028c\0d")


# journalctl -o json


def entry(**fields: Any) -> str:
    known = {"__REALTIME_TIMESTAMP": "1738486242211184", "_HOSTNAME": "mx", "SYSLOG_IDENTIFIER": "postfix/smtpd"}
    return json.dumps({k: v for k, v in {**known, "MESSAGE": MESSAGE, **fields}.items() if v is not ...})


AT = "2025-02-02T08:50:42.211184"
JOURNAL: dict[str, tuple[str, Line]] = {
    "strings": (entry(), (AT, "mx", "postfix/smtpd", MESSAGE)),
    "tight": (entry().replace(": ", ":").replace(", ", ","), (AT, "mx", "postfix/smtpd", MESSAGE)),
    "blanks before colons": (entry().replace('": ', '" : '), (AT, "mx", "postfix/smtpd", MESSAGE)),
    "bytes": (entry(MESSAGE=list(b"caf\xe9")), (AT, "mx", "postfix/smtpd", "caf\\xe9")),
    "bytes and blanks": (entry(MESSAGE=[104, 105]).replace('": ', '"  :  '), (AT, "mx", "postfix/smtpd", "hi")),
    "utf-8": (entry(MESSAGE="zoë\u2028"), (AT, "mx", "postfix/smtpd", "zoë\u2028")),
    "escapes": (entry(MESSAGE='a"b\\c\td/'), (AT, "mx", "postfix/smtpd", 'a"b\\c\td/')),
    "a lone surrogate": (
        entry(MESSAGE="X").replace('"X"', '"a\\ud800b"'),
        (AT, "mx", "postfix/smtpd", "a\\ud800b"),
    ),
    "no host": (entry(_HOSTNAME=...), (AT, "", "postfix/smtpd", MESSAGE)),
    "no program": (entry(SYSLOG_IDENTIFIER=...), (AT, "mx", "", MESSAGE)),
    "a null host": (entry(_HOSTNAME=None), (AT, "", "postfix/smtpd", MESSAGE)),
    "time as a number": (entry(__REALTIME_TIMESTAMP=1738486242211184), (AT, "mx", "postfix/smtpd", MESSAGE)),
    "unknown fields of any kind": (
        entry(_PID=1, PRIORITY="6", A=[1, {"b": None}], B={"MESSAGE": "no"}, C=True, D=1.5),
        (AT, "mx", "postfix/smtpd", MESSAGE),
    ),
    "a field twice": (
        entry()[:-1] + ', "MESSAGE": "second"}',
        (AT, "mx", "postfix/smtpd", "second"),
    ),
    "leading blanks of a message": (entry(MESSAGE="  x"), (AT, "mx", "postfix/smtpd", "x")),
    "a message of nothing": (entry(MESSAGE=""), (AT, "mx", "postfix/smtpd", "")),
}


@pytest.mark.parametrize(("line", "want"), JOURNAL.values(), ids=JOURNAL)
def test_journal(line: str, want: Line) -> None:
    assert one(line) == want


def test_journal_lines_of_all_kinds_together() -> None:
    """Broken lines cost the good ones beside them nothing."""
    broken = [line for line in NO_ENVELOPE.values() if line.startswith("{")]
    texts = [line for line, _ in JOURNAL.values()]
    mixed = [text for pair in zip(texts, broken * 2, strict=False) for text in pair] + texts
    found, unread, _ = lines_of("\n".join(mixed).encode())
    assert [found.get(i) for i in range(len(mixed))] == [one(text) for text in mixed]
    assert len(found) + len(unread) == len(mixed)


# repeats


def test_message_repeated() -> None:
    head = "Oct 26 18:13:50 mx postfix/smtpd[1]: "
    texts = [
        "message repeated 3 times: [ A1: removed]",
        "message repeated 2 times: [ a] b]",
        "message repeated x times: [ a]",
        "message repeated 3 times",
        "message repeated 3 times: [ cut",
        "message repeated 0 times: [ a]",
        "message repeated 999999 times: [ a]",
        "message repeated 2 times: [a]",
    ]
    found, unread, repeats = lines_of("\n".join(head + text for text in texts).encode())
    assert not unread
    assert [(found[i][3], repeats[i]) for i in range(len(texts))] == [
        ("A1: removed", 3),
        ("a] b", 2),
        (texts[2], 1),
        (texts[3], 1),
        ("cut", 3),
        ("a", 0),
        ("a", 999999),
        ("a", 2),
    ]


@given(
    st.lists(st.sampled_from([line for line, _ in FORMS.values()] + list(NO_ENVELOPE.values())[:-1]), max_size=6),
    st.data(),
)
def test_no_cut_and_no_mixture_fails(texts: list[str], data: st.DataObject) -> None:
    whole = "\n".join(texts).encode()
    cut = whole[data.draw(st.integers(0, max(len(whole) - 1, 0))) :]
    found, unread, _ = lines_of(cut)
    lines = cut.split(b"\n")
    empty = [i for i, line in enumerate(lines) if not line.strip(b"\r\0")]
    assert sorted({*found, *unread, *empty}) == list(range(len(lines)))


@given(st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")), max_size=8))
def test_random_bytes_never_fail(rows: list[bytes]) -> None:
    found, unread, _ = lines_of(b"\n".join(rows))
    assert len(found) + len(unread) <= len(rows)
