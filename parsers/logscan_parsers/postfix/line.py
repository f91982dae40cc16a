"""A Postfix line after its envelope: the queue id it may start with, what follows, and what is known and not needed."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan.spans import Bools, Ints, Spans, table_of
from logscan.syslog import Heads

# Short ids are hexadecimal; long ones (2.9+, enable_long_queue_ids) use an alphabet of 52 without vowels, so that no
# word of a message looks like one (global/mail_queue.h).
_SHORT = table_of(b"0123456789ABCDEF")
_LONG = table_of(b"0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz")
_LONGEST_ID = 24

QUOTE, NINE, SLASH = b'"9/'


@dataclass(frozen=True)
class Lines:
    """Postfix's lines. queue_id: missing where a line has none; noqueue: it says NOQUEUE; body: what follows either."""

    head: Heads
    queue_id: Spans
    noqueue: Bools
    body: Spans

    @classmethod
    def of(cls, head: Heads) -> Lines:
        """The lines of some heads."""
        message = head.message
        token = message.run(_LONG | _SHORT, _LONGEST_ID)
        token = token.where(
            (token.length >= 5) & message.buffer.equal(token.end, b": ") & (token.end + 2 <= message.end)
        )
        rows = np.flatnonzero(token.present)
        tokens = token.take(rows)
        # A long id has at least ten letters; a shorter word of its alphabet may be anything.
        named = tokens.length >= 10
        short = tokens.take(~named)
        named[~named] = short.run(_SHORT, _LONGEST_ID).end == short.end
        is_id = np.zeros(len(message), bool)
        is_id[rows] = named
        noqueue = message.startswith(b"NOQUEUE: ")
        start = np.where(is_id, token.end + 2, np.where(noqueue, message.start + len(b"NOQUEUE: "), message.start))
        return cls(head, token.where(is_id), noqueue, Spans(message.buffer, start, message.end))

    def __len__(self) -> int:
        return len(self.body)


def bodies(lines: Lines, rows: Ints) -> Spans:
    """The bodies of some rows in a buffer of their own, to be searched."""
    return lines.body.take(rows).compact()


def starting(lines: Lines, rows: Ints, literal: bytes) -> tuple[Ints, Ints]:
    """The rows whose body starts with `literal`, and those left."""
    hit = lines.body.take(rows).startswith(literal)
    return np.compress(hit, rows), np.compress(~hit, rows)


def path(spans: Spans) -> tuple[Spans, Spans]:
    """An address up to its `>`, and what follows. A quoted local part may hold anything, `>` too (RFC 5321, 4.1.2).

    >>> rows, _ = Spans.lines(b'a@b.example>, relay=x\\n"c>, d"@e.example>, relay=y\\n')
    >>> [part.to_arrow().to_pylist() for part in path(rows)]
    [['a@b.example', '"c>, d"@e.example'], [', relay=x', ', relay=y']]
    """
    start = spans.start.copy()
    for row in np.flatnonzero(spans.byte() == QUOTE).tolist():
        text = spans.buffer.bytes[spans.start[row] : spans.end[row]].tobytes()
        start[row] += _end_of_quoted(text)
    end = Spans(spans.buffer, start, spans.end).find(b">")
    inside = np.where(end >= 0, end, spans.end)
    return (
        Spans(spans.buffer, spans.start, np.where(spans.present, inside, spans.end)),
        Spans(spans.buffer, np.where(end >= 0, end + 1, spans.end), spans.end),
    )


def _end_of_quoted(text: bytes) -> int:
    place = 1
    while place < len(text):
        if text[place] == ord("\\"):
            place += 1
        elif text[place] == QUOTE:
            return place
        place += 1
    return 0


def peer(spans: Spans) -> tuple[pa.StringArray, pa.StringArray]:
    """Host names and addresses of `name[address]` or `name[address]:port`; null where unknown or not an address.

    >>> names = b"mx.example[192.0.2.1]:25\\n[2001:db8::1]:25\\nunknown[unknown]\\nlocal\\nmx[private/lmtp]\\n"
    >>> rows, _ = Spans.lines(names)
    >>> [column.to_pylist() for column in peer(rows)]
    [['mx.example', None, None, None, 'mx'], ['192.0.2.1', '2001:db8::1', None, None, None]]
    """
    name, inside = spans.compact().partition(b"[")
    inside = inside.before(b"]")
    name = name.where((name.length > 0) & ~name.is_(b"unknown"))
    no_address = inside.is_(b"unknown") | (inside.length <= 0)
    # An address that starts with a letter is IPv6 or none: the name of a socket, of which few lines speak.
    if len(rows := np.flatnonzero((inside.byte() > NINE) | (inside.byte() == SLASH))):
        no_address[rows] |= inside.take(rows).compact().has(b"/")
    number = inside.where(~no_address)
    return name.to_arrow(), number.to_arrow()


@cache
def _known_pattern() -> str:
    data = tomllib.loads(files("logscan_parsers.postfix").joinpath("known.toml").read_text("utf-8"))
    return "^(?:" + "|".join(data["pattern"]) + ")"


def sessions(lines: Lines) -> Bools:
    """Which rows say that a session begins or ends, or nothing: many of all lines, known at once, and not needed."""
    body = lines.body
    return body.startswith(b"connect from ") | body.startswith(b"disconnect from ") | (body.length <= 0)


def known(lines: Lines, rows: Ints) -> Bools:
    """Which of other rows are known and not needed."""
    matches = pc.match_substring_regex(lines.body.take(rows).to_arrow(), _known_pattern())
    return np.asarray(matches.to_numpy(zero_copy_only=False), bool)
