"""Holds that each way to cut a column does to every row what the `bytes` method of that name does to one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logscan.spans import DIGITS, Buffer, Spans, table_of

# Few letters, so that literals are met often, overlap, and straddle the ends of rows.
LETTERS = st.sampled_from([b"a", b"b", b"ab", b"aab", b" ", b".", b"0", b"7", b"\0", b"\xff", b"\xc3\xa9", b"ba: "])
BYTES = st.lists(LETTERS, max_size=30).map(b"".join)
LITERAL = st.lists(st.sampled_from(list(b"ab .0\0\xff\xc3")), min_size=1, max_size=12).map(bytes)


@dataclass
class Column:
    """Rows and the bytes that each holds, None where it is missing."""

    spans: Spans
    rows: list[bytes | None]


@st.composite
def columns(draw: st.DrawFn, *, ordered: bool = False) -> Column:
    data = draw(BYTES)
    places = st.integers(0, len(data))
    bounds = draw(st.lists(st.tuples(places, places, st.booleans()), max_size=8))
    if ordered:
        cuts = sorted(place for low, high, _ in bounds for place in (low, high))
        bounds = [
            (low, high, missing)
            for (low, high), (_, _, missing) in zip(zip(cuts[::2], cuts[1::2], strict=True), bounds, strict=True)
        ]
    starts = np.array([min(low, high) for low, high, _ in bounds], np.int64)
    ends = np.array([min(low, high) - 1 if missing else max(low, high) for low, high, missing in bounds], np.int64)
    rows = [None if b < a else data[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    return Column(Spans(Buffer(data), starts, ends), rows)


def held(spans: Spans) -> list[bytes | None]:
    data = spans.buffer.bytes.tobytes()
    return [None if b < a else data[a:b] for a, b in zip(spans.start.tolist(), spans.end.tolist(), strict=True)]


@given(columns(), LITERAL)
def test_places_and_tests_are_those_of_bytes(column: Column, literal: bytes) -> None:
    spans, rows = column.spans, column.rows
    starts = spans.start.tolist()

    def place(at: int, start: int) -> int:
        return at + start if at >= 0 else -1

    found = [-1 if r is None else place(r.find(literal), s) for r, s in zip(rows, starts, strict=True)]
    last = [-1 if r is None else place(r.rfind(literal), s) for r, s in zip(rows, starts, strict=True)]
    assert spans.find(literal).tolist() == found
    assert spans.rfind(literal).tolist() == last
    assert spans.has(literal).tolist() == [r is not None and literal in r for r in rows]
    assert spans.startswith(literal).tolist() == [r is not None and r.startswith(literal) for r in rows]
    assert spans.endswith(literal).tolist() == [r is not None and r.endswith(literal) for r in rows]
    assert spans.is_(literal).tolist() == [r == literal for r in rows]


@given(columns(), LITERAL)
def test_cuts_are_those_of_partition(column: Column, literal: bytes) -> None:
    spans, rows = column.spans, column.rows
    assert held(spans.before(literal)) == [
        r.partition(literal)[0] if r is not None and literal in r else None for r in rows
    ]
    assert held(spans.after(literal)) == [
        r.partition(literal)[2] if r is not None and literal in r else None for r in rows
    ]
    assert held(spans.until(literal)) == [None if r is None else r.partition(literal)[0] for r in rows]
    assert held(spans.until_last(literal)) == [
        r if r is None or literal not in r else r.rpartition(literal)[0] for r in rows
    ]


@given(columns(), st.integers(0, 12))
def test_skip_drop_and_byte(column: Column, count: int) -> None:
    spans, rows = column.spans, column.rows
    assert held(spans.skip(count)) == [None if r is None or len(r) < count else r[count:] for r in rows]
    assert held(spans.drop(count)) == [None if r is None or len(r) < count else r[: len(r) - count] for r in rows]
    assert spans.byte(count).tolist() == [r[count] if r and count < len(r) else 0 for r in rows]
    assert spans.byte(-count - 1).tolist() == [r[-count - 1] if r and count < len(r) else 0 for r in rows]
    assert spans.present.tolist() == [r is not None for r in rows]
    assert [size for size in spans.length.tolist() if size >= 0] == [len(r) for r in rows if r is not None]


@given(columns(), columns(), st.data())
def test_where_take_and_or_else(column: Column, other: Column, data: st.DataObject) -> None:
    count = len(column.rows)
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool)
    assert held(column.spans.where(keep)) == [r if k else None for r, k in zip(column.rows, keep, strict=True)]
    assert held(column.spans.take(keep)) == [r for r, k in zip(column.rows, keep, strict=True) if k]
    fallback = column.spans.until(b"a")
    assert held(column.spans.where(keep).or_else(fallback)) == [
        r if k else f for r, k, f in zip(column.rows, keep, held(fallback), strict=True)
    ]


@given(columns(), st.sampled_from([b"ab", b"0123456789", b"\0\xff", b""]), st.integers(0, 40))
def test_run_is_the_longest_start_that_belongs(column: Column, belonging: bytes, limit: int) -> None:
    def run(row: bytes) -> bytes:
        return row[: len(row) - len(row.lstrip(belonging))][:limit] if belonging else b""

    assert held(column.spans.run(table_of(belonging), limit)) == [None if r is None else run(r) for r in column.rows]


@given(columns(ordered=True), st.sampled_from([b" ", b"[: ", b"\0", b""]), st.integers(1, 9), st.integers(0, 3))
def test_tokens(column: Column, stops: bytes, limit: int, most: int) -> None:
    """Also when the distinct ones are too many to compare one with all, and where the limit cuts a character."""
    table = table_of(stops)
    codes, tokens, lengths = column.spans.tokens(table, limit, most)
    want = [(r or b"")[:limit] for r in column.rows]
    want = [w[: next((i for i, b in enumerate(w) if table[b]), len(w))] for w in want]
    assert [tokens[code] for code in codes.tolist()] == want
    assert np.maximum(lengths, 0).tolist() == [len(w) for w in want]
    assert len(set(tokens)) == len(tokens)


@given(columns(), st.sampled_from(b"ab0]\0\xff"))
def test_near(column: Column, byte: int) -> None:
    data = column.spans.buffer.bytes.tobytes()
    starts = column.spans.start.tolist()
    assert column.spans.near(byte).tolist() == [(data[s : s + 8] + bytes([byte])).index(byte) for s in starts]


NUMBERS = st.sampled_from(
    [b"", b"0", b"7", b"007", b"12.5", b"0.05", b".5", b"5.", b"1..2", b"1.2.3", b"-1", b"x", b" 1"]
)
LONG = st.integers(0, 10**25).map(lambda n: b"%d" % n)


@given(st.lists(st.one_of(NUMBERS, LONG, BYTES.map(lambda b: b.replace(b"\n", b""))), max_size=8))
@example([b"999999999999999999", b"1000000000000000000"])
def test_numbers(rows: list[bytes]) -> None:
    bounds = np.cumsum([0, *[len(r) for r in rows]])
    spans = Spans(Buffer(b"".join(rows)), bounds[:-1], bounds[1:])
    values, good = spans.number()
    is_number = [0 < len(r) <= 18 and all(b in b"0123456789" for b in r) for r in rows]
    assert good.tolist() == is_number
    assert values.tolist() == [int(r) if g else 0 for r, g in zip(rows, is_number, strict=True)]

    def decimal(row: bytes) -> float | None:
        whole, point, fraction = row.partition(b".")
        parts = [whole, fraction] if point else [whole]
        if not all(0 < len(p) <= 18 and all(b in b"0123456789" for b in p) for p in parts):
            return None
        return float(row)

    got = spans.decimal().to_pylist()
    want = [decimal(r) for r in rows]
    assert [g is None for g in got] == [w is None for w in want]
    assert [g for g in got if g is not None] == pytest.approx([w for w in want if w is not None])


@given(columns(ordered=True))
def test_to_arrow_and_back(column: Column) -> None:
    assert column.spans.to_arrow().cast(pa.binary()).to_pylist() == column.rows
    assert held(column.spans.compact()) == column.rows
    assert held(column.spans.compact().skip(1)) == [None if not r else r[1:] for r in column.rows]


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=8), st.integers(0, 8))
def test_of_arrow(texts: list[str | None], start: int) -> None:
    """Slices of arrays, arrays of nulls and arrays without any buffer too."""
    array = pa.array(texts, pa.string())[start:]
    assert Spans.of(array).to_arrow().to_pylist() == texts[start:]
    assert Spans.of(pa.chunked_array([array, array])).to_arrow().to_pylist() == texts[start:] * 2


@settings(max_examples=200)
@given(
    st.binary(max_size=60)
    | st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\0", b"\x85", "é\u2028".encode()]), max_size=20).map(b"".join)
)
@example(b"\xff")
@example(b"\n\n")
@example(b"\r\n\r\r\n")
@example(b"\xff\r")
def test_lines(data: bytes) -> None:
    spans, offsets = Spans.lines(data)
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    places = np.cumsum([0, *[len(line) + 1 for line in lines]])[:-1]
    assert offsets.tolist() == places.tolist()
    assert spans.to_arrow().to_pylist() == [
        line.removesuffix(b"\r").decode(errors="backslashreplace") for line in lines
    ]


def test_a_missing_row_at_the_very_end_can_be_cut_on_and_on() -> None:
    spans, _ = Spans.lines(b"a\nb")
    for _ in range(300):
        spans = spans.skip(1)
        assert not spans.startswith(b"abcdefghi").any()
        assert not spans.byte().any()
        assert held(spans.run(DIGITS, 9)) == held(spans.until(b"x")) == [None, None] or spans.present.any()


def test_missing_rows_may_lie_anywhere() -> None:
    rows, _ = Spans.lines(b"ab\ncd\nef\n")
    starts, ends = np.array([9, 3, 0]), np.array([8, 5, -1])
    assert Spans(rows.buffer, starts, ends).to_arrow().to_pylist() == [None, "cd", None]
