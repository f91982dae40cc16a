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

from logscan import syslog
from logscan.clock import Clock
from logscan.copies import happening
from logscan.spans import Bools, Ints, Spans

PROBES = r"(?i)^<?(?:healthmailbox[0-9a-f]*|inboundproxy|maildeliveryprobe|extest_[0-9a-f]+)@"
"""Addresses of Exchange's own health probes: Managed Availability (2013 on), and the test mailboxes before it."""


def moments(stamps: Spans, offsets: Ints | None = None, clock: Clock | None = None) -> Ints:
    """Microseconds since 1970 of stamps such as 2022-09-19T15:02:29.450Z; 0 where a row is none.

    A stamp without zone is by the clock; without one, UTC.

    >>> moments(Spans.lines(b"1970-01-01T00:00:01.5Z\\nx\\n")[0]).tolist()
    [1500000, 0]
    """
    time, kind, _ = syslog.stamps(stamps)
    walls = np.flatnonzero(kind == syslog.NO_ZONE)
    if len(walls) and clock is not None and offsets is not None:
        time[walls] = clock.zoned(time[walls], offsets[walls])
    return np.where((kind == syslog.UTC_TIME) | (kind == syslog.NO_ZONE), time, 0)


def timestamps(micros: Ints) -> pa.TimestampArray:
    """Microseconds since 1970 as the column `time`."""
    return pa.array(micros.astype("M8[us]")).cast(pa.timestamp("us", "UTC"))


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
