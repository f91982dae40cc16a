"""The envelope of a syslog line: when, which machine, which program, and where the message starts.

Every form that syslog daemons and journald write, mixed in one file if need be:

    Oct 26 18:13:50 mx postfix/smtpd[24510]: connect from ...      BSD (RFC 3164); the day padded by space or zero
    <22>Oct 26 18:13:50 mx ...   <mail.info>Oct 26 ...             with its priority before it
    2025-02-02T09:50:42.211184+01:00 mx postfix/smtpd[24510]: ...  RFC 3339; also `+0100` (journalctl -o short-iso)
    <22>1 2025-02-02T09:50:42.211Z mx postfix/smtpd 24510 - - ...  RFC 5424
    {"__REALTIME_TIMESTAMP":"1738486242211184","_HOSTNAME":"mx", ...}  journalctl -o json

Parsers of anything that logs through syslog start from `read`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from logscan.clock import DAY, SECOND
from logscan.columns import stretches
from logscan.parser import Block
from logscan.spans import DIGITS, Bools, Buffer, Ints, Spans, table_of

_PRIORITY = table_of(b"0123456789abcdefghijklmnopqrstuvwxyz.")
_NOT_CLOSED = ~table_of(b"]")
_TAG_STOPS = table_of(b"[: ")
_LAST = b"last message repeated "

_MONTHS = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"]
_MONTH_KEYS = np.array([int.from_bytes(m, "little") for m in _MONTHS], np.int64)
_MONTH_ORDER = np.argsort(_MONTH_KEYS)
_LEAP_DAYS = np.array([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)
_LEAP_DAYS_BEFORE = np.concatenate(([0], np.cumsum(_LEAP_DAYS)[:-1]))
_LEAP_START = int((np.datetime64("2000-01-01", "us") - np.datetime64(0, "us")).astype(np.int64))

UTC_TIME, NO_ZONE, NO_YEAR = 0, 1, 2


@dataclass(frozen=True)
class Heads:
    """Lines with their envelope read. Column by column, a row each.

    rows: the line's index in the block; time: microseconds since 1970 UTC; host, program: codes into the lists
    beside them; message: what follows; repeats: how many times the line stands for itself.
    """

    rows: Ints
    time: Ints
    host: npt.NDArray[np.int32]
    hosts: list[str]
    program: npt.NDArray[np.int32]
    programs: list[str]
    message: Spans
    repeats: Ints

    def take(self, which: Bools | Ints) -> Heads:
        """Some of the lines."""
        which = np.flatnonzero(which) if which.dtype == bool else which
        return Heads(
            self.rows[which],
            self.time[which],
            self.host[which],
            self.hosts,
            self.program[which],
            self.programs,
            self.message.take(which),
            self.repeats[which],
        )


@dataclass(frozen=True)
class Envelopes:
    """What `read` makes of a block: one `Heads` for each way that its lines are kept, and lines without envelope."""

    parts: tuple[Heads, ...]
    unread: Ints


def read(block: Block) -> Envelopes:
    """The envelopes of a block's lines.

    >>> block = Block.of(b"2025-02-02T09:50:42.5+01:00 mx postfix/smtpd[24510]: connect from unknown[192.0.2.1]\\n?\\n")
    >>> envelopes = read(block)
    >>> head, = envelopes.parts
    >>> [head.hosts[h] for h in head.host], [head.programs[p] for p in head.program]
    (['mx'], ['postfix/smtpd'])
    >>> head.message.to_arrow().to_pylist(), envelopes.unread.tolist()
    (['connect from unknown[192.0.2.1]'], [1])
    >>> str(head.time.astype("M8[us]")[0])
    '2025-02-02T08:50:42.500000'
    """
    lines = _past_nul(block.spans)
    first = lines.byte()
    is_json = first == ord("{")
    text = np.flatnonzero(~is_json & (lines.length > 0))
    parts = []
    bad = np.empty(0, np.int64)
    if len(text):
        head, readable = _text(block, lines.take(text), text)
        parts.append(head)
        bad = text[~readable]
    if is_json.any():
        rows = np.flatnonzero(is_json)
        head, readable = _journal(block, rows)
        parts.append(head)
        bad = np.sort(np.concatenate((bad, rows[~readable])))
    return Envelopes(tuple(parts), bad)


def stamps(lines: Spans) -> tuple[Ints, npt.NDArray[np.int8], Spans]:
    """The stamp that each line starts with: microseconds, what they count from, and the rest of the line.

    UTC_TIME: since 1970 UTC. NO_ZONE: since 1970 on the wall. NO_YEAR: as `clock.stamp`. -1: no stamp was found, and
    the rest is missing.
    """
    lines, _ = _past_priority(_past_nul(lines))
    first = lines.byte()
    time = np.zeros(len(lines), np.int64)
    kind = np.full(len(lines), -1, np.int8)
    rest = Spans(lines.buffer, lines.start, lines.start - 1)
    for rows, cut in (
        (np.flatnonzero((first >= ord("A")) & (first <= ord("Z"))), _bsd),
        (np.flatnonzero((first >= ord("0")) & (first <= ord("9"))), _iso),
    ):
        if len(rows) == len(lines):
            time, kind, rest = cut(lines)
        elif len(rows):
            time[rows], kind[rows], part = cut(lines.take(rows))
            rest.start[rows], rest.end[rows] = part.start, part.end
    return time, kind, rest


def _past_nul(lines: Spans) -> Spans:
    # A run of NUL bytes stands where a crash left a hole in the file.
    rows = np.flatnonzero((lines.byte() == 0) & (lines.length > 0))
    if not len(rows):
        return lines
    start = lines.start.copy()
    for row in rows.tolist():
        line = lines.buffer.bytes[lines.start[row] : lines.end[row]]
        start[row] += int(np.argmax(line != 0)) if (line != 0).any() else len(line)
    return Spans(lines.buffer, start, lines.end)


def _past_priority(lines: Spans) -> tuple[Spans, Bools]:
    """Lines without `<22>` or `<mail.info>`; and which of them go on as RFC 5424 does, with its version `1`."""
    no = np.zeros(len(lines), bool)
    rows = np.flatnonzero(lines.byte() == ord("<"))
    if not len(rows):
        return lines, no
    marked = lines.take(rows).skip(1)
    name = marked.run(_PRIORITY, 20)
    closed = (name.end < marked.end) & (lines.buffer.bytes[name.end] == ord(">"))
    start = lines.start.copy()
    start[rows] = np.where(closed, name.end + 1, start[rows])
    lines = Spans(lines.buffer, start, lines.end)
    no[rows] = closed & lines.take(rows).startswith(b"1 ")
    start[no] += 2
    return lines, no


def _digits(word: Ints, *shifts: int) -> Ints:
    value = np.zeros(len(word), np.int64)
    for shift in shifts:
        value = value * 10 + ((word >> shift) & 15)
    return value


def _fits(word: npt.NDArray[np.uint64], pattern: bytes) -> Bools:
    """Whether eight bytes fit a pattern: `9` is a digit, `_` anything, else the byte itself."""
    good = np.ones(len(word), bool)
    literal = sum(0xFF << 8 * i for i, b in enumerate(pattern) if b not in b"9_")
    want = sum(b << 8 * i for i, b in enumerate(pattern) if b not in b"9_")
    if literal:
        good &= (word & np.uint64(literal)) == np.uint64(want)
    nine = sum(0xFF << 8 * i for i, b in enumerate(pattern) if b == ord("9"))
    if nine:
        # A byte is a digit when its high half is 3 and adding 6 does not carry out of its low half.
        high = np.uint64(nine & 0xF0F0F0F0F0F0F0F0)
        threes = np.uint64(nine & 0x3030303030303030)
        sixes = np.uint64(nine & 0x0606060606060606)
        good &= ((word & high) == threes) & (((word + sixes) & high) == threes)
    return good


def _words(lines: Spans, at: int) -> npt.NDArray[np.uint64]:
    return lines.buffer.words[lines.start + at]


def _bsd(lines: Spans) -> tuple[Ints, npt.NDArray[np.int8], Spans]:
    date, clock = _words(lines, 0), _words(lines, 8)
    first, which = stretches(date, clock)
    date, clock = date[first], clock[first]
    padded = date | np.uint64(0x10 << 32)  # a day padded by space becomes one padded by zero
    good = _fits(padded, b"___ 99 9") & _fits(clock, b"9:99:99 ")
    key = (date & np.uint64(0xFFFFFF)).astype(np.int64)
    month = _MONTH_ORDER[np.minimum(np.searchsorted(_MONTH_KEYS, key, sorter=_MONTH_ORDER), 11)]
    high, low = padded.astype(np.int64), clock.astype(np.int64)
    day = _digits(high, 32, 40)
    hour = ((high >> 56) & 15) * 10 + (low & 15)
    minute, second = _digits(low, 16, 24), _digits(low, 40, 48)
    good &= (_MONTH_KEYS[month] == key) & (day >= 1) & (day <= _LEAP_DAYS[month])
    good &= (hour < 24) & (minute < 60) & (second < 61)
    time = (_LEAP_DAYS_BEFORE[month] + day - 1) * DAY + ((hour * 60 + minute) * 60 + second) * SECOND + _LEAP_START
    readable = good[which] & (lines.length >= 16)
    kind = np.where(readable, NO_YEAR, -1).astype(np.int8)
    return time[which], kind, Spans(lines.buffer, lines.start + 16, np.where(readable, lines.end, lines.start))


def _iso(lines: Spans) -> tuple[Ints, npt.NDArray[np.int8], Spans]:
    date, clock, tail = _words(lines, 0), _words(lines, 8), _words(lines, 16)
    middle = (clock >> np.uint64(16)) & np.uint64(0xFF)
    good = (lines.length >= 20) & _fits(date, b"9999-99-") & _fits(clock, b"99_99:99") & _fits(tail, b":99_____")
    good &= (middle == ord("T")) | (middle == ord(" "))
    d, c, s = date.astype(np.int64), clock.astype(np.int64), tail.astype(np.int64)
    year, month, day = _digits(d, 0, 8, 16, 24), _digits(d, 40, 48), _digits(c, 0, 8)
    hour, minute, second = _digits(c, 24, 32), _digits(c, 48, 56), _digits(s, 8, 16)
    good &= (year >= 1900) & (year < 2200)  # other years are damage, and no calendar has them all
    good &= (month >= 1) & (month <= 12) & (hour < 24) & (minute < 60) & (second < 61)
    months = (np.where(good, year, 1970) - 1970) * 12 + np.where(good, month, 1) - 1
    first, next_first = (m.astype("M8[M]").astype("M8[D]").astype(np.int64) for m in (months, months + 1))
    good &= (day >= 1) & (day <= next_first - first)
    time = (first + day - 1) * DAY + ((hour * 60 + minute) * 60 + second) * SECOND

    rest = Spans(lines.buffer, lines.start + 19, np.where(good, lines.end, lines.start))
    point = np.isin(rest.byte(), (ord("."), ord(",")))
    if point.any():
        fraction = rest.skip(1).run(DIGITS, 9)
        six = Spans(rest.buffer, fraction.start, np.minimum(fraction.end, fraction.start + 6))
        value, isnumber = six.number()
        micro = value * 10 ** (6 - np.clip(six.length, 0, 6))
        time += np.where(point & isnumber, micro, 0)
        rest = Spans(rest.buffer, np.where(point & isnumber, fraction.end, rest.start), rest.end)

    mark = rest.byte()
    zulu, ahead = mark == ord("Z"), np.isin(mark, (ord("+"), ord("-")))
    zone, size = np.zeros(len(lines), np.int64), zulu.astype(np.int64)
    if ahead.any():
        word = _words(rest, 0)
        colon, plain = _fits(word, b"_99:99__"), _fits(word, b"_9999___")
        w = word.astype(np.int64)
        hours, past = _digits(w, 8, 16), np.where(colon, _digits(w, 32, 40), _digits(w, 24, 32))
        minutes = hours * 60 + past
        zone = np.where(ahead, np.where(mark == ord("-"), -minutes, minutes), 0)
        size = np.where(ahead, np.where(colon, 6, 5), size)
        good &= ~ahead | ((colon | plain) & (hours < 24) & (past < 60))
    rest = Spans(rest.buffer, rest.start + size, rest.end)
    good &= rest.byte() == ord(" ")
    kind = np.where(good, np.where(zulu | ahead, UTC_TIME, NO_ZONE), -1).astype(np.int8)
    return time - zone * 60 * SECOND, kind, Spans(rest.buffer, rest.start + 1, np.where(good, rest.end, rest.start))


def _text(block: Block, lines: Spans, rows: Ints) -> tuple[Heads, Bools]:
    lines, is_5424 = _past_priority(lines)
    time, kind, rest = stamps(lines)
    offsets = block.offsets[rows]
    if (no_year := kind == NO_YEAR).any():
        time = (
            np.where(no_year, block.clock.utc(time, offsets), time)
            if not no_year.all()
            else block.clock.utc(time, offsets)
        )
    if (no_zone := kind == NO_ZONE).any():
        time[no_zone] = block.clock.zoned(time[no_zone], offsets[no_zone])

    late_priority = rest.byte() == ord("<")  # FreeBSD's syslogd -v: the priority after the stamp
    if late_priority.any():
        rest = rest.where(~late_priority).or_else(rest.after(b"> "))

    host, hosts, size = rest.tokens(table_of(b" "))
    rest = rest.skip(size + 1)
    program, programs, size = rest.tokens(_TAG_STOPS)
    message = _message(rest.skip(size))
    # Older daemons do not repeat the words: what they stand for is the line before, which may lie in another block.
    wordless = rest.startswith(_LAST) | rest.startswith(b"--- " + _LAST) | message.startswith(_LAST)
    readable = (size > 0) & (size < rest.length) & ~wordless
    if is_5424.any():
        message = message.where(~is_5424).or_else(_message_5424(rest.skip(size + 1)).where(is_5424))
    # A line without a tag (`-- MARK --`) has an envelope and no message of ours.
    message = message.where(message.start <= message.end).or_else(Spans(rest.buffer, rest.end, rest.end))
    solaris = message.startswith(b"[ID ")
    if solaris.any():
        message = message.after(b"] ").where(solaris).or_else(message)
    repeats = np.ones(len(lines), np.int64)
    repeated = message.startswith(b"message repeated ")
    if repeated.any():
        count, good = message.skip(len(b"message repeated ")).until(b" ").number(6)
        inner = message.after(b" times: [")
        inner = inner.skip(inner.startswith(b" ").astype(np.int64))
        inner = Spans(inner.buffer, inner.start, inner.end - inner.endswith(b"]"))
        use = repeated & good & inner.present
        message = inner.where(use).or_else(message)
        repeats = np.where(use, count, 1)
    heads = Heads(rows, time, host, _decode(hosts), program, _decode(programs), message, repeats)
    return heads.take(readable) if not readable.all() else heads, readable


def _message(rest: Spans) -> Spans:
    """What follows `[pid]: ` or `: `; missing where neither stands there."""
    number = rest.skip(1)
    end = number.start + number.near(ord("]"))
    longer = np.flatnonzero(~rest.buffer.equal(end, b"]"))
    end[longer] = number.take(longer).run(_NOT_CLOSED, 16).end
    with_pid = (rest.byte() == ord("[")) & rest.buffer.equal(end, b"]: ") & (end + 3 <= rest.end)
    start = np.where(with_pid, end + 3, rest.start + 2)
    return Spans(rest.buffer, start, np.where(with_pid | rest.startswith(b": "), rest.end, start - 1))


# RFC 5424, 6.3: a value may hold blanks and, some senders forget to escape it, "]".
_STRUCTURED_DATA = r'^(?P<data>(?:\[[^ \]="]+(?: [^ \]="]+="(?:[^"\\]|\\.)*")*\])+)'


def _message_5424(rest: Spans) -> Spans:
    """What follows PROCID, MSGID and STRUCTURED-DATA (RFC 5424, 6), without a byte order mark or leading blanks."""
    data = rest.after(b" ").after(b" ")
    message = data.skip(1).where(data.byte() == ord("-"))
    elements = data.byte() == ord("[")
    if elements.any():
        rows = np.flatnonzero(elements)
        cut = pc.extract_regex(data.take(rows).to_arrow(), _STRUCTURED_DATA)
        size = pc.fill_null(pc.binary_length(cut.field("data")), 0).to_numpy().astype(np.int64)
        whole = np.zeros(len(rest), np.int64)
        whole[rows] = size
        message = message.or_else(data.skip(whole).where(whole > 0))
    message = Spans(message.buffer, message.run(table_of(b" "), 8).end, message.end).where(message.present)
    return message.skip(3 * message.startswith(b"\xef\xbb\xbf").astype(np.int64))


def _decode(tokens: Sequence[bytes]) -> list[str]:
    return [token.decode(errors="backslashreplace") for token in tokens]


# journald's names of what an envelope holds; systemd.journal-fields(7).
_JOURNAL = pa.schema(
    [(name, pa.string()) for name in ("__REALTIME_TIMESTAMP", "_HOSTNAME", "SYSLOG_IDENTIFIER", "MESSAGE")]
)


def _journal(block: Block, rows: Ints) -> tuple[Heads, Bools]:
    lines = block.spans.take(rows)
    table = _journal_table(lines)
    micros = pc.cast(
        pc.if_else(
            pc.match_substring_regex(table["__REALTIME_TIMESTAMP"], r"^\d{1,16}$"), table["__REALTIME_TIMESTAMP"], None
        ),
        pa.int64(),
    )
    readable = pc.and_(pc.is_valid(micros), pc.is_valid(table["MESSAGE"])).to_numpy(zero_copy_only=False)
    kept = table.filter(pa.array(readable))
    text = kept["MESSAGE"].combine_chunks()
    bounds = (
        np.frombuffer(text.buffers()[1], np.int32)[text.offset : text.offset + len(text) + 1].astype(np.int64)
        if len(text)
        else np.zeros(1, np.int64)
    )
    data = text.buffers()[2].to_pybytes() if len(text) and text.buffers()[2] is not None else b""
    message = Spans(Buffer(data), bounds[:-1].copy(), bounds[1:].copy())
    message = Spans(message.buffer, message.run(table_of(b" "), 8).end, message.end)
    host = pc.fill_null(kept["_HOSTNAME"], "").combine_chunks().dictionary_encode()
    program = pc.fill_null(kept["SYSLOG_IDENTIFIER"], "").combine_chunks().dictionary_encode()
    heads = Heads(
        rows[readable],
        pc.drop_null(micros).to_numpy().astype(np.int64)
        if len(text) == len(table)
        else micros.filter(pa.array(readable)).to_numpy().astype(np.int64),
        host.indices.to_numpy().astype(np.int32),
        host.dictionary.to_pylist(),
        program.indices.to_numpy().astype(np.int32),
        program.dictionary.to_pylist(),
        message,
        np.ones(len(text), np.int64),
    )
    return heads, readable


def _journal_table(lines: Spans) -> pa.Table:
    """The four fields of each line; null where a line is not JSON or lacks one."""
    texts = lines.to_arrow()
    # A message that journald thinks unprintable comes as an array of byte numbers, which Arrow's reader cannot mix in.
    if not lines.has(b'"MESSAGE":[').any() and not lines.has(b'"MESSAGE" : [').any():
        data = io.BytesIO(b"\n".join(text.encode() for text in texts.to_pylist()) + b"\n")
        options = pyarrow.json.ParseOptions(explicit_schema=_JOURNAL, unexpected_field_behavior="ignore")
        try:
            table = pyarrow.json.read_json(data, parse_options=options).combine_chunks()
            if len(table) == len(texts):
                return table
        except pa.ArrowInvalid:
            pass  # one line is not what it should be: then each for itself, and the broken one is counted
    fields = [_journal_fields(text) for text in texts.to_pylist()]
    return pa.Table.from_pylist(fields, schema=_JOURNAL)


def _journal_fields(text: str) -> dict[str, str | None]:
    try:
        entry: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(entry, dict):
        return {}
    message = entry.get("MESSAGE")
    if isinstance(message, list):
        try:
            entry["MESSAGE"] = bytes(message).decode(errors="backslashreplace")
        except (ValueError, TypeError):
            return {}
    return {name: _word(entry.get(name)) for name in _JOURNAL.names}


def _word(value: Any) -> str | None:
    """A field's text; tools that pass entries on make numbers of those that look like one."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    return str(value) if type(value) is int else None
