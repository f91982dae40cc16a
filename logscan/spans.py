"""Text cut a column at a time: rows of one byte buffer as (start, end) pairs, and the few ways to cut them.

A log line is looked at many times and copied once: everything here moves the two integer columns, and only
`to_arrow` copies bytes. Each method does to all rows at once what a `bytes` method does to one:

>>> rows, _ = Spans.lines(b"to=<a@b.example>, dsn=5.1.1\\nto=<c@d.example>\\n")
>>> rows.skip(4).until(b">").to_arrow().to_pylist()
['a@b.example', 'c@d.example']
>>> rows.after(b"dsn=").to_arrow().to_pylist()
['5.1.1', None]
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]

# Literals are compared eight bytes at a time, wherever a row starts: reads past the end of the last row stay inside.
# The longest are tokens, of 255 bytes.
PADDING = 512
_PAD = bytes(PADDING)
NEWLINE, RETURN = 10, 13

# Bytes of mail logs from the most frequent to rarer ones; what is not named is rarer still. A literal is looked for by
# its rarest byte.
_FREQUENT = b" e0t1.2:,am3onsxi4r5dp-l6c7/8uf9[]=bgh>v@<kwy"
# Of how many words of 64 bytes one may hold what is looked for, to be worth a look at words.
_SELDOM = 2
_RARITY = [len(_FREQUENT) if byte not in _FREQUENT else _FREQUENT.index(byte) for byte in range(256)]


class Buffer:
    """The bytes that rows lie in, and the places of what was searched in them, each searched once."""

    def __init__(self, data: bytes | memoryview):
        self._padded = b"".join((data, _PAD))
        self.size = len(data)
        self.bytes: Bytes = np.frombuffer(self._padded, np.uint8)
        # The eight bytes from each place on, as one integer: comparing a literal is comparing a number.
        self.words: Words = np.ndarray((len(self._padded) - 8,), dtype="<u8", buffer=self._padded, strides=(1,))
        self._places: dict[bytes, Ints] = {}

    def places(self, literal: bytes) -> Ints:
        """Where `literal` starts, ascending."""
        found = self._places.get(literal)
        if found is None:
            if len(literal) == 1:
                # Many bytes are asked for in vain, and one look with memchr is several times faster than a comparison.
                absent = self._padded.find(literal, 0, self.size) < 0
                found = np.empty(0, np.int64) if absent else nonzero(self.bytes[: self.size] == literal[0])
            else:
                pivot = max(range(len(literal)), key=lambda i: _RARITY[literal[i]])
                found = self.places(literal[pivot : pivot + 1]) - pivot
                found = found[(found >= 0) & (found <= self.size - len(literal))]
                found = found[self.equal(found, literal)]
            self._places[literal] = found
        return found

    def equal(self, at: Ints, literal: bytes) -> Bools:
        """Whether `literal` stands at each place."""
        hits = None
        for i in range(0, len(literal), 8):
            mask, want = _as_word(literal[i : i + 8])
            here = (self.words[at + i if i else at] & mask) == want
            hits = here if hits is None else hits & here
            if not hits.any():
                break
        return np.ones(len(at), bool) if hits is None else hits


def nonzero(mask: Bools) -> Ints:
    """Where a mask holds, ascending: as `flatnonzero`, in a third of its time where that is seldom.

    >>> nonzero(np.arange(200) % 99 == 1).tolist()
    [1, 100, 199]
    """
    packed = np.packbits(mask, bitorder="little")
    words = np.zeros(-(-len(packed) // 8), "<u8")
    words.view(np.uint8)[: len(packed)] = packed
    at = np.flatnonzero(words != 0)
    if len(at) > len(words) // _SELDOM:
        return np.flatnonzero(mask)
    words, base, found = words[at], at * 64, []
    while len(words):
        # The lowest bit that is set, and its number as the exponent of a float.
        lowest = words & (~words + np.uint64(1))
        found.append(base + ((lowest.astype(np.float64).view(np.int64) >> 52) - 1023))
        words ^= lowest
        more = np.flatnonzero(words != 0)
        words, base = words[more], base[more]
    return np.sort(np.concatenate(found), kind="stable") if found else at


def _as_word(part: bytes) -> tuple[np.uint64, np.uint64]:
    """Up to eight bytes as an integer, and the mask of that many."""
    return np.uint64((1 << 8 * len(part)) - 1), np.uint64(int.from_bytes(part, "little"))


class Spans:
    """Rows of a buffer. A row whose end lies before its start is missing (null)."""

    __slots__ = ("_heads", "buffer", "end", "start")

    def __init__(self, buffer: Buffer, start: Ints, end: Ints, heads: Words | None = None):
        self.buffer, self.start, self.end = buffer, start, end
        self._heads = heads

    @classmethod
    def lines(cls, data: bytes) -> tuple[Spans, Ints]:
        """The lines of `data` without their ends, and the offset of each in `data`.

        Lines end with LF only (a lone CR, U+2028 or U+0085 may stand inside a hostile line); one CR before it goes.
        Bytes that are not UTF-8 become `\\\\xNN`.

        >>> rows, offsets = Spans.lines(b"caf\\xe9\\r\\nlast\\x85\\rline")
        >>> rows.to_arrow().to_pylist(), offsets.tolist()
        (['caf\\\\xe9', 'last\\\\x85\\rline'], [0, 6])
        """
        whole = np.frombuffer(data, np.uint8)
        ends = nonzero(whole == NEWLINE)
        if len(data) and (not len(ends) or ends[-1] != len(data) - 1):
            ends = np.append(ends, len(data))
        starts = np.empty_like(ends)
        if len(ends):
            starts[0] = 0
            starts[1:] = ends[:-1] + 1
        offsets = starts
        if not data.isascii():
            try:
                data.decode()
            except UnicodeDecodeError:
                data, starts, ends = _escape(data, starts, ends)
        buffer = Buffer(data)
        if b"\r" in data:
            ends = ends - ((ends > starts) & (buffer.bytes[np.maximum(ends - 1, 0)] == RETURN))
        return cls(buffer, starts, ends), offsets

    @classmethod
    def of(cls, texts: pa.StringArray) -> Spans:
        """The rows of an Arrow array; missing where null.

        >>> Spans.of(pa.array(["ab", None, "c"])).to_arrow().to_pylist()
        ['ab', None, 'c']
        """
        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        if not len(texts):
            return cls(Buffer(b""), np.zeros(0, np.int64), np.zeros(0, np.int64))
        _, offsets, data = texts.buffers()
        bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
        base = int(bounds[0])
        bounds -= base
        buffer = Buffer(memoryview(data)[base : base + int(bounds[-1])] if data is not None else b"")
        rows = cls(buffer, bounds[:-1], bounds[1:])
        return rows.where(texts.is_valid().to_numpy(zero_copy_only=False)) if texts.null_count else rows

    def __len__(self) -> int:
        return len(self.start)

    @property
    def length(self) -> Ints:
        """Bytes in each row; negative where missing."""
        return self.end - self.start

    @property
    def present(self) -> Bools:
        """Where a row is not missing."""
        return self.end >= self.start

    def compact(self) -> Spans:
        """The same rows in a buffer of their own: to search few rows without searching all the others' bytes."""
        return Spans.of(self.to_arrow())

    def take(self, which: Ints | Bools) -> Spans:
        """Some of the rows, by index or mask."""
        rows = np.flatnonzero(which) if which.dtype == bool else which  # several times faster than a mask
        heads = None if self._heads is None else self._heads[rows]
        return Spans(self.buffer, self.start[rows], self.end[rows], heads)

    def where(self, keep: Bools) -> Spans:
        """The same rows, missing where not `keep`."""
        return Spans(self.buffer, self.start, np.where(keep, self.end, self.start - 1))

    def or_else(self, other: Spans) -> Spans:
        """These rows; the other's where one is missing."""
        here = self.present
        return Spans(self.buffer, np.where(here, self.start, other.start), np.where(here, self.end, other.end))

    def byte(self, at: int = 0) -> Bytes:
        """The byte at `at` of each row (counted from its end when negative); 0 where the row is too short."""
        inside = self.length > at if at >= 0 else self.length >= -at
        return np.asarray(self.buffer.bytes[(self.start if at >= 0 else self.end) + at] * inside, np.uint8)

    def heads(self, words: int) -> Bytes:
        """The first bytes of each row, eight times `words`, as a matrix; beyond a row's end stands what follows it.

        For much that is asked of where lines begin: the lines of a block lie far apart, their heads close together.

        >>> Spans.lines(b"one 1\\ntwo 2\\n")[0].heads(1)[:, 4].tobytes()
        b'12'
        """
        steps = np.arange(0, 8 * words, 8)
        return np.asarray(self.buffer.words[self.start[:, None] + steps].view(np.uint8))

    def startswith(self, literal: bytes) -> Bools:
        """Which rows start with `literal`."""
        if self._heads is None:
            # Kept, for forms are told apart by asking the same rows for one literal after the other.
            self._heads = self.buffer.words[self.start]
        mask, want = _as_word(literal[:8])
        hits = ((self._heads & mask) == want) & (self.length >= len(literal))
        if len(literal) > 8 and len(rows := np.flatnonzero(hits)):
            hits[rows] = self.buffer.equal(self.start[rows] + 8, literal[8:])
        return np.asarray(hits)

    def endswith(self, literal: bytes) -> Bools:
        """Which rows end with `literal`."""
        return np.asarray(
            (self.length >= len(literal)) & self.buffer.equal(np.maximum(self.end - len(literal), 0), literal)
        )

    def is_(self, literal: bytes) -> Bools:
        """Which rows are `literal`."""
        return np.asarray((self.length == len(literal)) & self.buffer.equal(self.start, literal))

    def skip(self, count: int | Ints) -> Spans:
        """The rows without their first bytes; missing where they are shorter."""
        return Spans(self.buffer, np.minimum(self.start + count, self.end + 1), self.end)

    def drop(self, count: int) -> Spans:
        """The rows without their last bytes; missing where they are shorter."""
        return Spans(self.buffer, self.start, self.end - count)

    def find(self, literal: bytes) -> Ints:
        """Where `literal` first stands in each row, as a place in the buffer; -1 where it does not."""
        places = self.buffer.places(literal)
        if not len(places):
            return np.full(len(self), -1, np.int64)
        if self._each_has_one(places, len(literal)):
            return places.copy()
        index = np.searchsorted(places, self.start)
        at = places[np.minimum(index, len(places) - 1)]
        return np.where((at >= self.start) & (at + len(literal) <= self.end), at, -1)

    def rfind(self, literal: bytes) -> Ints:
        """Where `literal` last stands in each row, as a place in the buffer; -1 where it does not."""
        places = self.buffer.places(literal)
        if not len(places):
            return np.full(len(self), -1, np.int64)
        if self._each_has_one(places, len(literal)):
            return places.copy()
        index = np.searchsorted(places, self.end - len(literal), "right") - 1
        at = places[np.maximum(index, 0)]
        return np.where((index >= 0) & (at >= self.start) & (at + len(literal) <= self.end), at, -1)

    def _each_has_one(self, places: Ints, size: int) -> bool:
        """Whether each row has its one place: so it is with fields that every line has; these need no search."""
        return len(places) == len(self) and bool(
            (places >= self.start).all()
            and (places + size <= self.end).all()
            and (self.end[:-1] <= self.start[1:]).all()
        )

    def has(self, literal: bytes) -> Bools:
        """Which rows hold `literal`."""
        return self.find(literal) >= 0

    def before(self, literal: bytes) -> Spans:
        """What stands before the first `literal`; missing where there is none."""
        return self.partition(literal)[0]

    def after(self, literal: bytes) -> Spans:
        """What stands after the first `literal`; missing where there is none."""
        return self.partition(literal)[1]

    def partition(self, literal: bytes) -> tuple[Spans, Spans]:
        """What stands before the first `literal`, and what after; both missing where there is none."""
        at = self.find(literal)
        hit = at >= 0
        start = np.where(hit, at + len(literal), self.start)
        before = Spans(self.buffer, self.start, np.where(hit, at, self.start - 1))
        return before, Spans(self.buffer, start, np.where(hit, self.end, start - 1))

    def until(self, literal: bytes) -> Spans:
        """What stands before the first `literal`; the whole row where there is none."""
        at = self.find(literal)
        return Spans(self.buffer, self.start, np.where((at >= 0) & self.present, at, self.end))

    def until_last(self, literal: bytes) -> Spans:
        """What stands before the last `literal`; the whole row where there is none."""
        at = self.rfind(literal)
        return Spans(self.buffer, self.start, np.where((at >= 0) & self.present, at, self.end))

    def run(self, belongs: Bools, limit: int) -> Spans:
        """The longest start of each row made of bytes that belong (a table of 256), looked for `limit` bytes far."""
        end = self.end.copy()
        rows = np.flatnonzero(self.present)
        at, stop = self.start[rows], np.minimum(self.end[rows], self.start[rows] + limit)
        while len(rows):
            goes_on = (at < stop) & belongs[self.buffer.bytes[at]]
            if not goes_on.all():
                ended, left = np.flatnonzero(~goes_on), np.flatnonzero(goes_on)
                end[rows[ended]] = at[ended]
                rows, at, stop = rows[left], at[left], stop[left]
            at = at + 1
        return Spans(self.buffer, self.start, end)

    def near(self, byte: int) -> Ints:
        """How far from the start of each row `byte` first stands, if among the first eight bytes; else 8.

        >>> rows, _ = Spans.lines(b"12]: a\\n123456789]: b\\n")
        >>> rows.near(ord("]")).tolist()
        [2, 8]
        """
        # A byte that equals becomes zero, and the lowest zero byte's high bit is the lowest bit that is left set
        # (Warren, Hacker's Delight, 6-1).
        ones = np.uint64(0x0101010101010101)
        word = self.buffer.words[self.start] ^ (ones * np.uint64(byte))
        zeros = (word - ones) & ~word & np.uint64(0x8080808080808080)
        lowest = (zeros & (~zeros + np.uint64(1))).astype(np.float64)
        exponent = (lowest.view(np.int64) >> 52) - 1023
        return np.where(zeros == 0, 8, exponent >> 3)

    def tokens(self, stops: Bools, limit: int = 255, most: int = 64) -> tuple[npt.NDArray[np.int32], list[bytes], Ints]:
        """The first token of each row (up to a stop byte or the row's end) as codes, the distinct tokens, the lengths.

        Made for columns of few distinct values (host, program): the token of the first row still open is compared with
        all open rows at once, `most` times; what is left then is looked up byte by byte. A missing row's is empty.

        >>> rows, _ = Spans.lines(b"mx1 a\\nmx2 b\\nmx1 c\\n")
        >>> codes, tokens, lengths = rows.tokens(table_of(b" "))
        >>> codes.tolist(), tokens, lengths.tolist()
        ([0, 1, 0], [b'mx1', b'mx2'], [3, 3, 3])
        """
        codes = np.zeros(len(self), np.int32)
        lengths = np.zeros(len(self), np.int64)
        open_rows = np.flatnonzero(self.present)
        found: dict[bytes, int] = {} if len(open_rows) == len(self) else {b"": 0}
        at, room = self.start[open_rows], self.length[open_rows]
        # Programs of one server start alike, so that the second word of a token tells more than its first.
        second = self.buffer.words[at + 8]
        for _ in range(most):
            if not len(open_rows):
                return codes, list(found), lengths
            row = self.buffer.bytes[at[0] : at[0] + min(int(room[0]), limit)]
            size = int(np.argmax(stops[row])) if stops[row].any() else len(row)
            token = row[:size].tobytes()
            mask, want = _as_word(token[8:16])
            hit = (room >= size) & ((second & mask) == want)
            likely = np.flatnonzero(hit)
            after = self.buffer.bytes[np.minimum(at[likely] + size, len(self.buffer.bytes) - 1)]
            hit[likely] = self.buffer.equal(at[likely], token) & ((room[likely] == size) | stops[after])
            hit[0] = True
            rows = np.compress(hit, open_rows)
            codes[rows] = found.setdefault(token, len(found))
            lengths[rows] = size
            left = np.flatnonzero(~hit)
            open_rows, at, room, second = open_rows[left], at[left], room[left], second[left]
        rest = self.take(open_rows).run(~stops, limit)
        encoded = rest.to_arrow().view(pa.binary()).dictionary_encode()  # the limit may cut a character
        known = [found.setdefault(token, len(found)) for token in encoded.dictionary.to_pylist()]
        codes[open_rows] = np.array(known, np.int32)[encoded.indices.to_numpy()]
        lengths[open_rows] = rest.length
        return codes, list(found), lengths

    def number(self, limit: int = 18) -> tuple[Ints, Bools]:
        """The rows as whole numbers, and which of them are one (all digits, at most `limit`).

        >>> rows, _ = Spans.lines(b"250\\nx\\n")
        >>> [column.tolist() for column in rows.number()]
        [[250, 0], [True, False]]
        """
        length = self.length
        good = (length > 0) & (length <= limit)
        value = np.zeros(len(self), np.int64)
        for i in range(int(length[good].max(initial=0))):
            rows = good & (length > i)
            digit = self.buffer.bytes[np.where(rows, self.start + i, 0)].astype(np.int64) - 48
            good &= ~rows | ((digit >= 0) & (digit <= 9))
            value = np.where(rows & good, value * 10 + digit, value)
        return np.where(good, value, 0), good

    def decimal(self) -> pa.DoubleArray:
        """The rows as numbers such as 12 or 0.05; null where a row is not one.

        >>> Spans.lines(b"1.25\\n7\\n7..9\\n\\n")[0].decimal().to_pylist()
        [1.25, 7.0, None, None]
        """
        point = self.near(ord("."))
        if len(far := np.flatnonzero((point == 8) & (self.length > 8))):
            point[far] = self.take(far).compact().until(b".").length
        present = point < self.length
        end = np.where(present, self.start + point, self.end)
        whole, good = Spans(self.buffer, self.start, end).number()
        fraction = Spans(self.buffer, end + 1, self.end)
        value, good_fraction = fraction.number()
        scale = 10.0 ** np.where(present & good_fraction, fraction.length, 0)
        bad = ~good | (present & ~good_fraction)
        return pa.array(whole + value / scale, mask=bad)

    def to_arrow(self) -> pa.StringArray:
        """The rows as strings; null where missing. Rows must lie in buffer order and not overlap."""
        if not len(self):
            return pa.array([], pa.string())
        present = self.present
        bounds = np.empty(2 * len(self), np.int32)
        bounds[0::2] = self.start
        bounds[1::2] = np.maximum(self.end, self.start)
        # A missing row may lie anywhere; at the ends, where Arrow looks, it lies at those of the buffer.
        if not present[0]:
            bounds[:2] = 0
        if not present[-1]:
            bounds[-1] = len(self.buffer.bytes)
        # One array holds each row and each gap between rows, without a copy; then every second is taken.
        whole = pa.StringArray.from_buffers(len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(self.buffer.bytes))
        picks = pa.array(np.arange(0, len(bounds), 2, dtype=np.int64), mask=None if present.all() else ~present)
        return whole.take(picks)


def table_of(characters: bytes) -> Bools:
    """A table of 256: which bytes are among `characters`.

    >>> int(table_of(b"0123456789").sum())
    10
    """
    table = np.zeros(256, bool)
    table[list(characters)] = True
    return table


DIGITS = table_of(b"0123456789")


def _escape(data: bytes, starts: Ints, ends: Ints) -> tuple[bytes, Ints, Ints]:
    """The lines with what is not UTF-8 as `\\xNN`, and where they start and end now."""
    lines = [
        line.decode(errors="backslashreplace").encode()
        for line in (data[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True))
    ]
    new_ends = np.cumsum([len(line) + 1 for line in lines]) - 1
    new_starts = np.concatenate(([0], new_ends[:-1] + 1))
    return b"\n".join(lines) + b"\n", new_starts, new_ends
