"""Recognising a log by its content: as a table of what may happen to a file, and as a law."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logscan.gathered import Gathered
from logscan.store.fingerprint import ANCHOR, HEAD, LINES, Fingerprint, Fingerprints, Kind


class Log(bytes):
    """A content in memory."""

    def read(self, start: int, size: int) -> bytes:
        return self[start : start + size]


def lines(first: int, last: int) -> Log:
    return Log(b"".join(b"Nov 23 12:00:00 mx1 postfix/smtp[1]: line %d\n" % i for i in range(first, last)))


DAY = lines(0, 100)
LONG = lines(0, 5000)
SHORT = lines(0, 3)
OTHER = lines(7000, 7100)


def test_the_cases_reach_past_all_bounds() -> None:
    assert len(LONG) > HEAD > len(DAY) > ANCHOR
    assert DAY.count(b"\n") > LINES > SHORT.count(b"\n")


@pytest.mark.parametrize(
    ("read", "met", "kind", "resumes"),
    [
        pytest.param([], DAY, "new", 0, id="nothing read yet"),
        pytest.param([DAY], DAY, "known", len(DAY), id="unchanged, or under another name"),
        pytest.param([DAY], lines(0, 101), "known", len(DAY), id="grown"),
        pytest.param([LONG], lines(0, 5001), "known", len(LONG), id="grown, longer than the head"),
        pytest.param([SHORT], DAY, "known", len(SHORT), id="read when it had three lines"),
        pytest.param([SHORT, DAY, LONG], LONG, "known", len(LONG), id="read thrice: the furthest"),
        pytest.param([DAY], Log(b"550 no end"), "new", 0, id="one unfinished line"),
        pytest.param([Log(b"550 no end")], Log(b"550 no end"), "known", 10, id="a last line without end, read whole"),
        pytest.param([DAY], lines(100, 200), "new", 0, id="rotated: the next day's log"),
        pytest.param([DAY], Log(b""), "new", 0, id="empty after copytruncate"),
        pytest.param([DAY], lines(0, 50), "part", 0, id="half copied"),
        pytest.param([LONG], lines(0, 3000), "part", 0, id="half copied, long"),
        pytest.param([LONG], lines(0, 1), "part", 0, id="a line copied"),
        pytest.param([LONG], Log(LONG[:100_000]), "part", 0, id="half copied, within a line"),
        pytest.param([DAY], Log(DAY[:50] + b"X" + DAY[51:]), "new", 0, id="another first line"),
        pytest.param([SHORT], lines(0, 1) + OTHER, "new", 0, id="the same first line, then another log"),
        pytest.param([DAY], lines(0, 1) + b"new\n", "new", 0, id="the same first line, then another log, shorter"),
        pytest.param([LONG], lines(0, 2000) + lines(7000, 8000), "cut", 65_536, id="cut, and gone on; shorter"),
        pytest.param([LONG], lines(0, 3000) + OTHER, "part", 0, id="cut, and gone on a little: may be a copy still"),
        pytest.param([LONG], lines(0, 4990) + OTHER, "cut", 131_072, id="cut, and gone on; longer"),
        pytest.param(
            [LONG, lines(0, 2000)], lines(0, 2500) + OTHER, "known", len(lines(0, 2000)), id="cut, a place known"
        ),
    ],
)
def test_what_it_is(read: list[Log], met: bytes, kind: str, resumes: int) -> None:
    known = Fingerprints(Fingerprint.of(content, len(content)) for content in read)
    found = known.find(Log(met), met.rfind(b"\n") + 1)
    assert found.kind is Kind(kind)
    if kind == "cut":
        assert resumes <= found.offset <= len(LONG) - ANCHOR
    else:
        assert found.offset == resumes


@given(st.binary(min_size=1, max_size=600), st.binary(max_size=600), st.data())
def test_what_was_read_is_resumed_where_reading_ended(content: bytes, more: bytes, data: st.DataObject) -> None:
    offset = data.draw(st.integers(1, len(content)))
    known = Fingerprints([Fingerprint.of(Log(content), offset)])
    assert known.find(Log(content + more), 0).offset == offset
    # Of a text of few lines each byte counts.
    changed = data.draw(st.integers(0, min(offset, known.known[0].begin.offset) - 1))
    other = content[:changed] + bytes([content[changed] ^ 1]) + content[changed + 1 :]
    assert known.find(Log(other + more), 0).kind is Kind.NEW


@given(
    st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"") + b"\n"), min_size=1, max_size=40), st.data()
)
def test_a_beginning_by_whole_lines_is_a_part(text: list[bytes], data: st.DataObject) -> None:
    whole, part = b"".join(text), b"".join(text[: data.draw(st.integers(1, len(text)))])
    found = Fingerprints([Fingerprint.of(Log(whole), len(whole))]).find(Log(part), len(part))
    assert found.kind is (Kind.PART if len(part) < len(whole) else Kind.KNOWN)


def test_an_offset_outside_is_an_error() -> None:
    with pytest.raises(ValueError, match="ends before byte 11"):
        Fingerprint.of(Log(b"0123456789"), 11)


@given(st.integers(1, 300_000), st.integers(1, 40_000))
def test_what_is_gathered_in_passing_is_what_reading_gives(size: int, piece: int) -> None:
    content, gathered = Log(LONG[:size]), Gathered()
    for at in range(0, len(content), piece):
        gathered.add(at, content[at : at + piece])
    assert Fingerprint.of(gathered, len(content)) == Fingerprint.of(content, len(content))
