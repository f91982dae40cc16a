"""Recognising a log by its content: as a table of what may happen to a file, and as a law."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logscan.store.fingerprint import ANCHOR, HEAD, UNREAD, Fingerprint, Fingerprints


class Log(bytes):
    """A content in memory."""

    def read(self, start: int, size: int) -> bytes:
        return self[start : start + size]


def lines(first: int, last: int) -> Log:
    return Log(b"".join(b"Nov 23 12:00:00 mx1 postfix/smtp[1]: line %d\n" % i for i in range(first, last)))


DAY = lines(0, 100)
LONG = lines(0, 5000)


@pytest.mark.parametrize(
    ("read", "met", "resumes"),
    [
        pytest.param([(DAY, len(DAY))], DAY, len(DAY), id="unchanged, or under another name"),
        pytest.param([(DAY, len(DAY))], lines(0, 101), len(DAY), id="grown"),
        pytest.param([(LONG, len(LONG))], lines(0, 5001), len(LONG), id="grown, longer than the head"),
        pytest.param([(DAY, len(DAY))], lines(100, 200), 0, id="rotated: the next day's log"),
        pytest.param([(DAY, len(DAY))], Log(b""), 0, id="empty after copytruncate"),
        pytest.param([(DAY, len(DAY))], Log(DAY[:50] + b"X" + DAY[51:]), 0, id="one byte of the head differs"),
        pytest.param(
            [(LONG, len(LONG))], Log(LONG[: len(LONG) - 2] + b"X\n"), 0, id="one byte before the offset differs"
        ),
        pytest.param(
            [(LONG, len(LONG) // 2), (LONG, len(LONG))], LONG, len(LONG), id="two places of one log: the further one"
        ),
        pytest.param([(DAY, 46), (DAY, len(DAY))], DAY, len(DAY), id="a short head and a longer one: the further one"),
        pytest.param([(lines(0, 90), 90)], DAY, 90, id="the last line was not whole"),
        pytest.param([], DAY, 0, id="nothing read yet"),
    ],
)
def test_resumes(read: list[tuple[Log, int]], met: Log, resumes: int) -> None:
    found = Fingerprints(Fingerprint.of(content, offset) for content, offset in read).find(met)
    assert found.offset == resumes
    assert (found is UNREAD) == (resumes == 0)


def test_the_cases_reach_past_the_head() -> None:
    assert len(LONG) > HEAD + ANCHOR > HEAD > len(DAY)


@given(st.binary(min_size=1, max_size=600), st.binary(max_size=600), st.data())
def test_what_was_read_is_resumed_where_reading_ended(content: bytes, more: bytes, data: st.DataObject) -> None:
    offset = data.draw(st.integers(1, len(content)))
    known = Fingerprints([Fingerprint.of(Log(content), offset)])
    assert known.find(Log(content + more)).offset == offset
    changed = data.draw(st.integers(0, offset - 1))
    other = content[:changed] + bytes([content[changed] ^ 1]) + content[changed + 1 :]
    assert known.find(Log(other + more)) is UNREAD


def test_an_offset_outside_is_an_error() -> None:
    with pytest.raises(ValueError, match="ends before byte 11"):
        Fingerprint.of(Log(b"0123456789"), 11)
