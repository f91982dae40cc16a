"""Cuts lines of CSV into records and fields, all rows at once, whatever a hostile text in them looks like.

A quoted field may hold commas, doubled quotes and line ends, so several lines may be one record, and a line that looks
like a record may stand inside another one's text. Quotes tell: a line with an odd number of them opens or closes a
field. All is decided by what stands near (`QUIET`), so that a block that starts in the middle of a log knows after a
few lines where it is; the lines before that are left open, to be read together with their neighbours.

RFC 4180 is the grammar. Where a row is not of it (a lone quote inside a field), the quote is taken as it stands, if the
row then has as many fields as it must have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan.spans import DIGITS, Bools, Ints, Spans
from logscan_parsers.exchange import layout as layouts
from logscan_parsers.exchange.layout import Layout

QUIET = 16
"""How many lines that begin as records do may stand in a quoted field: after one more without an odd quote, what
stands there are records."""

NEAR = 32
"""How many lines around a header line are looked at for a field that it may stand in."""
MOST_FIELDS = 64
_QUOTE, _HASH, _T = ord('"'), ord("#"), ord("T")
_MARK = b"\xef\xbb\xbf"
_NAMES_A_COLUMN = r"(?i)recipient|session|detail|smtpresponse"
_DATED = rb'^"?(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})'
_FIELD = {mark: re.compile(rb'"(?:[^"]|"")*+"(?=%b|\Z)|[^%b]*+' % (mark, mark), re.S) for mark in (b",", b";", b"\t")}


@dataclass(frozen=True)
class Records:
    """Rows that have every field of their layout, and what to find these by."""

    layout: Layout
    rows: Spans
    line: Ints
    """The first line of each, by its place among the lines given."""
    delimiters: Ints
    """The places of the delimiters between fields."""
    first: Ints
    """Each row's first delimiter, as an index into `delimiters`."""

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, which: Ints | Bools) -> Records:
        """Some of the rows, by index or mask."""
        rows = np.flatnonzero(which) if which.dtype == bool else which
        return Records(self.layout, self.rows.take(rows), self.line[rows], self.delimiters, self.first[rows])

    def spans(self, name: str) -> Spans:
        """A column without the quotes around it; those inside are still doubled. Missing where the layout has none."""
        return self.column(name)[0]

    def text(self, name: str) -> pa.StringArray:
        """A column as strings, each on one line; null where empty."""
        return plain(*self.column(name))

    def column(self, name: str) -> tuple[Spans, Bools]:
        """A column as `spans` gives it, and which rows were in quotes."""
        column, rows = self.layout.column(name), self.rows
        if column < 0:
            return Spans(rows.buffer, rows.start, rows.start - 1), np.zeros(len(rows), bool)
        start = rows.start if column == 0 else self.delimiters[self.first + column - 1] + 1
        end = rows.end if column == len(self.layout.fields) - 1 else self.delimiters[self.first + column]
        opens = (end > start) & (rows.buffer.bytes[start] == _QUOTE)
        quoted = opens & (end - start >= 2) & (rows.buffer.bytes[end - 1] == _QUOTE)
        # A quote that is never closed is none.
        return Spans(rows.buffer, start + opens, end - quoted), quoted


def plain(spans: Spans, quoted: Bools) -> pa.StringArray:
    """Fields as strings, each on one line; null where empty. They must lie in the order of the buffer."""
    text = spans.where(spans.length > 0).to_arrow()
    rows = np.flatnonzero(quoted)
    if not len(rows):
        return text
    some = pc.replace_substring(text.take(pa.array(rows)), '""', '"')
    some = pc.replace_substring_regex(some, r"[\r\n]+", " ")
    return pc.replace_with_mask(text, pa.array(quoted), some)


@dataclass(frozen=True)
class Cut:
    """What lines are, by their places: each is of a record, a header (or empty), junk, or open.

    junk: neither a record nor a part of one. open: to be read together with lines before or after those given, by the
    layout that stands in `open_layouts`. layout: the one in force after the last line.
    """

    records: list[Records]
    header: Ints
    junk: Ints
    open: Ints
    open_layouts: list[Layout]
    layout: Layout


def cut(
    lines: Spans, before: Layout, *, begun: bool = True, ended: bool = True, head: bytes = b"", source: str = ""
) -> Cut:
    """Cuts lines that start in the layout `before`; `head` and `source` are the source's first lines and its name.

    begun, ended: whether the lines before the first and after the last are none, so that nothing can reach across.

    >>> layout = Layout("agent", ("timestamp", "agent", "action", "smtpresponse"))
    >>> lines, _ = Spans.lines(b'2025-01-01T00:00:00Z,"a, b",-,no\\n2025-01-01T00:00:01Z,c,-,"x ""y""\\nz"')
    >>> (records,) = cut(lines, layout).records
    >>> records.text("agent").to_pylist(), records.text("smtpresponse").to_pylist()
    (['a, b', 'c'], ['no', 'x "y" z'])
    """
    lines = _bare(lines)
    header, met = _headers(lines, before, head, source)
    found: list[Records] = []
    junk, opened, open_layouts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], []
    start = 0
    for end, layout in zip([*header, len(lines)], [before, *met], strict=True):
        if end > start:
            piece = _Piece(lines.take(np.arange(start, end)), layout, head, source)
            a, b = piece.certain(begun or start > 0, ended or end < len(lines))
            records, rest = piece.records(a, b)
            found += [replace(r, line=r.line + start) for r in records]
            junk.append(rest + start)
            left = np.concatenate((np.arange(start, start + a), np.arange(start + b, end)))
            opened.append(left)
            open_layouts += [layout] * len(left)
        start = end + 1
    return Cut(
        found,
        np.array(header, np.int64),
        np.concatenate(junk),
        np.concatenate(opened),
        open_layouts,
        met[-1] if met else before,
    )


def _bare(lines: Spans) -> Spans:
    """The lines without a byte order mark or a run of NUL bytes before them."""
    first = lines.byte()
    start = lines.start.copy()
    for row in np.flatnonzero(((first == 0) & (lines.length > 0)) | (first == _MARK[0])).tolist():
        text = lines.buffer.bytes[start[row] : lines.end[row]].tobytes()
        start[row] += len(text) - len(text.removeprefix(_MARK).lstrip(b"\0").removeprefix(_MARK))
    return Spans(lines.buffer, start, lines.end)


def _headers(lines: Spans, before: Layout, head: bytes, source: str) -> tuple[list[int], list[Layout]]:
    """The lines of header blocks, and the layout after each."""
    first = lines.byte()
    marked = np.flatnonzero(first == _HASH)
    # A plain CSV header begins with a letter, or a quote and a letter, which records do not.
    letter = lines.buffer.bytes[lines.start + (first == _QUOTE)] | 0x20
    plain_ones = np.flatnonzero((letter >= ord("a")) & (letter <= ord("z")) & (lines.length > 0))
    named = pc.match_substring_regex(lines.take(plain_ones).to_arrow(), _NAMES_A_COLUMN)
    plain_ones = plain_ones[named.to_numpy(zero_copy_only=False)]
    header: list[int] = []
    met: list[Layout] = []
    layout = before
    for row in np.sort(np.concatenate((marked, plain_ones))).tolist():
        line = lines.buffer.bytes[lines.start[row] : min(lines.end[row], lines.start[row] + 4096)].tobytes()
        after = layouts.read(line, layout)
        if after is not None and not _in_quotes(lines, row, layout, head, source):
            layout = layouts.settled(after, before, head, source)
            header.append(row)
            met.append(layout)
    return header, met


def _in_quotes(lines: Spans, row: int, layout: Layout, head: bytes, source: str) -> bool:
    """Whether a line stands inside a field of a record."""
    start = max(row - NEAR, 0)
    near = lines.take(np.arange(start, min(row + NEAR, len(lines))))
    if not (near.buffer.bytes[near.start[0] : near.end[-1]] == _QUOTE).any():
        return False
    piece = _Piece(near, layout, head, source)
    odd = np.flatnonzero(piece.odd) + start
    before, after = odd[odd < row], odd[odd >= row]
    return bool(len(before) and len(after)) and piece.holds(int(before[-1]) - start, int(after[0]) - start)


class _Piece:
    """Lines under one layout, with the places of quotes and delimiters in them."""

    def __init__(self, lines: Spans, layout: Layout, head: bytes, source: str):
        self.lines, self.layout = lines, layout
        self._head, self._source = head, source
        self._mark = layout.delimiter.encode()
        base, end = int(lines.start[0]), int(lines.end[-1])
        body = lines.buffer.bytes[base:end]
        places = np.flatnonzero((body == self._mark[0]) | (body == _QUOTE)) + base
        low, high = np.searchsorted(places, lines.start), np.searchsorted(places, lines.end)
        count = high - low
        self.low: Ints = np.cumsum(count) - count
        self.high: Ints = self.low + count
        if len(places) > count.sum():
            # Between the lines stand others.
            places = places[np.repeat(low - self.low, count) + np.arange(count.sum())]
        self.places: Ints = places
        self.quote: Bools = lines.buffer.bytes[places] == _QUOTE
        self.quotes: Ints = np.concatenate(([0], np.cumsum(self.quote)))
        self.odd: Bools = (self.quotes[self.high] - self.quotes[self.low]) % 2 == 1
        if layout.lines_are_records:
            self.odd[:] = False
        self.begins = self._begins()

    def _begins(self) -> Bools:
        """Which lines begin as a record does: with its time."""
        lines = self.lines
        if self.layout.time > 0:
            return lines.length > 0
        if self.layout.log in (layouts.TRACE, layouts.DETAIL, layouts.SUMMARY):
            heads = Spans(lines.buffer, lines.start, np.minimum(lines.end, lines.start + 12))
            return np.asarray(
                pc.match_substring_regex(heads.to_arrow().view(pa.binary()), _DATED).to_numpy(False), bool
            )
        start = lines.start + (lines.byte() == _QUOTE)
        shape = {4: b"-", 7: b"-", 10: b"T", 13: b":", 16: b":"}
        good: Bools = lines.length > 18
        for at in range(19):
            byte = lines.buffer.bytes[start + at]
            good &= byte == shape[at][0] if at in shape else DIGITS[byte]
        return good

    def certain(self, begun: bool, ended: bool) -> tuple[int, int]:
        """The lines, from one to before another, of which it is certain what they are."""
        if self.layout.lines_are_records or (begun and ended):
            return 0, len(self.lines)
        odd = np.flatnonzero(self.odd)
        calm = np.cumsum(self.begins & ~self.odd)
        last = np.concatenate(([-1], odd))[np.searchsorted(odd, np.arange(len(self.lines)), "right")]
        streak: Ints = calm - np.where(last >= 0, calm[last], 0)
        sure = np.flatnonzero(streak > QUIET)
        start, end = 0, len(self.lines)
        if not begun:
            if not len(sure):
                return 0, 0
            start = int(last[sure[0]]) + 1
        if not ended:
            after = odd[odd > (sure[-1] if len(sure) else -1)]
            end = int(after[0]) if len(after) else end
        return start, end

    def records(self, a: int, b: int) -> tuple[list[Records], Ints]:
        """The records among the lines from `a` to before `b`, and the lines that are none."""
        inside = np.zeros(len(self.lines), bool)
        inside[a:b] = True
        last = np.arange(len(self.lines))
        whole = self.begins & inside
        taken = whole | (self.lines.length <= 0) | ~inside
        odd = np.flatnonzero(self.odd & inside).tolist()
        at = 0
        while at + 1 < len(odd):
            i, j = odd[at : at + 2]
            if self.holds(i, j):
                last[i] = j
                whole[i + 1 : j + 1] = False
                taken[i + 1 : j + 1] = True
                at += 1
            at += 1
        first = np.flatnonzero(whole)
        records, bad = self._rows(first, last[first])
        return records, np.sort(np.concatenate((np.flatnonzero(~taken), bad)))

    def holds(self, i: int, j: int) -> bool:
        """Whether the lines `i` to `j` are one record, by the grammar and the number of its fields."""
        if not self.begins[i] or self.begins[i + 1 : j + 1].sum() > QUIET:
            return False
        ends, strict = self._fields(self._raw(i, j))
        wanted = len(self.layout.fields)
        return strict and (len(ends) == wanted if wanted else layouts.guess(len(ends)) is not None)

    def _raw(self, i: int, j: int) -> bytes:
        return self.lines.buffer.bytes[self.lines.start[i] : self.lines.end[j]].tobytes()

    def _fields(self, raw: bytes) -> tuple[list[int], bool]:
        """Where the fields end, and whether all keep to the grammar."""
        pattern = _FIELD[self._mark]
        ends: list[int] = []
        strict, at = True, 0
        while len(ends) < MOST_FIELDS and (found := pattern.match(raw, at)):
            ends.append(found.end())
            strict &= raw[at : at + 1] == b'"' or b'"' not in found[0]
            # A quoted field that is not closed was taken as it stands.
            strict &= not (raw[at : at + 1] == b'"' and (len(found[0]) < 2 or not found[0].endswith(b'"')))
            if found.end() >= len(raw):
                break
            at = found.end() + 1
        return ends, strict

    def _rows(self, first: Ints, last: Ints) -> tuple[list[Records], Ints]:
        """Records of the rows that have the fields they must, and the lines of the others."""
        lines = self.lines
        if self.odd.any() or self.layout.lines_are_records:
            since = self.quotes[self.low]
            for i, j in zip(first[last > first].tolist(), last[last > first].tolist(), strict=True):
                since[i : j + 1] = since[i]
            parity = self.quotes[:-1] - np.repeat(since, self.high - self.low)
        else:
            parity = self.quotes[:-1]
        outside = ~self.quote & (parity % 2 == 0)
        delimiters = self.places[outside]
        before = np.concatenate(([0], np.cumsum(outside)))
        start = before[self.low[first]]
        count = before[self.high[last]] - start
        rows = Spans(lines.buffer, lines.start[first], lines.end[last])
        wanted = len(self.layout.fields)
        quoted = self.quotes[self.high[last]] > self.quotes[self.low[first]]
        fits = count == wanted - 1 if wanted else np.isin(count, _GUESSED)
        more: list[int] = []
        # A quote that is none shifts what counts as inside of it.
        for row in np.flatnonzero(~fits & quoted).tolist():
            ends, _ = self._fields(self._raw(first[row], last[row]))
            if len(ends) == wanted or (not wanted and len(ends) - 1 in _GUESSED):
                start[row], count[row] = len(delimiters) + len(more), len(ends) - 1
                fits[row] = True
                more += [int(rows.start[row]) + end for end in ends[:-1]]
        delimiters = np.concatenate((delimiters, np.array(more, np.int64)))
        records = []
        for number in [wanted - 1] if wanted else np.unique(count[fits]).tolist():
            layout = self.layout if wanted else self._guess(number + 1)
            some = np.flatnonzero(fits & (count == number))
            made = Records(layout, rows.take(some), first[some], delimiters, start[some])
            if not wanted:
                good = _borne_out(made)
                fits[some[~good]] = False
                made = made.take(good)
            if len(made):
                records.append(made)
        return records, first[~fits]

    def _guess(self, fields: int) -> Layout:
        layout = layouts.guess(fields)
        if layout is None:
            raise ValueError(f"no log has {fields} columns")
        known = replace(layout, version=self.layout.version)
        return layouts.settled(known, self.layout, self._head, self._source)


_GUESSED = np.array([n - 1 for n in range(MOST_FIELDS) if layouts.guess(n)])


def _borne_out(records: Records) -> Bools:
    """Which rows of a guessed layout are what they should be."""
    log = records.layout.log
    if log == layouts.TRACKING:
        good = np.ones(len(records), bool)
        for name in ("total-bytes", "recipient-count"):
            number = records.spans(name)
            good &= (number.length <= 0) | number.number()[1]
        for name in ("source", "event-id"):
            word = records.spans(name)
            good &= (word.length > 0) & (word.byte() >= ord("A")) & (word.byte() <= ord("Z"))
        # What follows the message-id is a GUID since 2013, and the recipient before.
        has_number = "network-message-id" in records.layout.fields
        number = records.spans("network-message-id" if has_number else "recipient-address")
        guid = number.length == len("00000000-0000-0000-0000-000000000000")
        for at in (8, 13, 18, 23):
            guid &= number.byte(at) == ord("-")
        return np.asarray(good & ((guid | (number.length <= 0)) if has_number else ~guid))
    if log == layouts.CONNECTIVITY:
        return np.isin(records.spans("direction").byte(), list(b"+->"))
    if log == layouts.AGENT:
        event = records.spans("event")
        return event.startswith(b"On")
    mark = records.spans("event")
    return np.asarray((mark.length == 1) & np.isin(mark.byte(), list(b"+-*<>")))
