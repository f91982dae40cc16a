"""What the events of all of Exchange's logs have in common: moments, Message-IDs, and how one happening is known again.

A failure stands in message tracking and in the protocol log of the session in which it happened; a refusal in the
protocol log and in that of the agent that refused. Both name the sender and the recipient, and what became of it. Where
a session failed before a recipient was named, the protocol log knows the message, or only the other side's address;
message tracking then quotes the failure, and says so.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan.clock import SECOND, Clock
from logscan.copies import happening
from logscan.spans import DIGITS, Bools, Ints, Spans

PROBES = r"(?i)^<?(?:healthmailbox[0-9a-f]*|inboundproxy|maildeliveryprobe|extest_[0-9a-f]+)@"
"""Addresses of Exchange's own health probes: Managed Availability (2013 on), and the test mailboxes before it."""

# Where the numbers of a stamp such as 2022-09-19T15:02:29 stand.
_PARTS = ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19))
_DIGITS = [place for a, b in _PARTS for place in range(a, b)]


def moments(stamps: Spans, offsets: Ints | None = None, clock: Clock | None = None) -> Ints:
    """Microseconds since 1970 of stamps such as 2022-09-19T15:02:29.450Z; 0 where a row is none.

    A stamp without zone is by the clock; without one, UTC.

    >>> moments(Spans.lines(b"1970-01-01T00:00:01.5Z\\nx\\n")[0]).tolist()
    [1500000, 0]
    """
    stamps = stamps.where(stamps.length >= len("2022-09-19T15:02:29"))
    digit = (
        stamps.buffer.bytes[np.where(stamps.present, stamps.start, 0)[:, None] + np.arange(20)].astype(np.int64) - 48
    )
    good = stamps.present & (digit[:, _DIGITS] >= 0).all(axis=1) & (digit[:, _DIGITS] <= 9).all(axis=1)
    year, month, day, hour, minute, second = (
        (digit[:, a:b] * 10 ** np.arange(b - a)[::-1]).sum(axis=1) for a, b in _PARTS
    )
    good &= (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (year >= 1970) & (year < 2200)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0).astype("M8[M]")
    days = months.astype("M8[D]").astype(np.int64) + day - 1
    part = stamps.skip(20).run(DIGITS, 9)
    fraction, _ = Spans(part.buffer, part.start, np.minimum(part.end, part.start + 6)).number()
    fraction = fraction * 10 ** (6 - np.clip(part.length, 0, 6))
    fraction[digit[:, 19] != ord(".") - ord("0")] = 0
    time = np.where(good, (((days * 24 + hour) * 60 + minute) * 60 + second) * SECOND + fraction, 0)
    zone = stamps.buffer.bytes[np.maximum(np.where(part.length > 0, part.end, stamps.start + 19), 0)]
    walls = np.flatnonzero(good & (zone != ord("Z")))
    if len(walls) and clock is not None and offsets is not None:
        time[walls] = clock.zoned(time[walls], offsets[walls])
    return time


def without_brackets(names: pa.StringArray) -> pa.StringArray:
    """Message-IDs without their angle brackets.

    >>> without_brackets(pa.array(["<1@a>", "2@b", None])).to_pylist()
    ['1@a', '2@b', None]
    """
    return pc.utf8_trim(names, "<>")


def null_path(addresses: pa.StringArray) -> pa.StringArray:
    """Addresses, the null reverse-path as `<>`; others without angle brackets.

    >>> null_path(pa.array(["<a@b>", "<>", "c@d", None])).to_pylist()
    ['a@b', '<>', 'c@d', None]
    """
    bare = pc.utf8_trim(addresses, "<>")
    return pc.if_else(pc.equal(bare, ""), "<>", bare)


def is_probe(addresses: pa.StringArray) -> Bools:
    """Which addresses are of Exchange's own health probes.

    >>> is_probe(pa.array(["HealthMailbox0f3@a.example", "health@a.example", None])).tolist()
    [True, False, False]
    """
    found = pc.match_substring_regex(addresses, PROBES).fill_null(False)
    return np.asarray(found.to_numpy(zero_copy_only=False), bool)


def joined(first: pa.StringArray, second: pa.StringArray) -> pa.DictionaryArray:
    """Two names as one, such as `SMTP/Internet Send`; the first alone where there is no second."""
    both = pc.binary_join_element_wise(first, second, "/")
    return pc.coalesce(both, first, second).dictionary_encode()


def address_of(endpoints: pa.StringArray) -> pa.StringArray:
    """The addresses of endpoints.

    >>> address_of(pa.array(["192.0.2.1:25", "[2001:db8::1]:25", "fe80::1%3", None])).to_pylist()
    ['192.0.2.1', '2001:db8::1', 'fe80::1%3', None]
    """
    bracketed = pc.struct_field(pc.extract_regex(endpoints, r"^\[(?P<address>[^\]]*)\]"), "address")
    single = pc.struct_field(pc.extract_regex(endpoints, r"^(?P<address>[^:]*):\d*$"), "address")
    return pc.coalesce(bracketed, single, endpoints)


def known_again(
    sender: pa.StringArray, recipient: pa.StringArray, action: pa.StringArray, whole: Bools, name: pa.StringArray
) -> pa.Int64Array:
    """What one happening is known by in several logs.

    whole: failures of a whole session, by the `name` of the message, or of the other side's address.
    """
    outcome = pc.if_else(pc.is_in(action, pa.array(["bounced", "expired", "rejected"])), "failed", action)
    mask = pa.array(whole)
    nothing = pa.scalar(None, pa.string())
    return happening(
        pc.if_else(mask, nothing, pc.utf8_lower(sender)),
        pc.if_else(mask, name, pc.utf8_lower(recipient)),
        pc.if_else(mask, "session", outcome),
    )
