"""Tells whose an address is, by the ranges that providers publish: where a log has an address and no telling name."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logscan.classifier.words import Ints

_IPV4 = r"^(?:::ffff:)?(?P<a>\d{1,3})\.(?P<b>\d{1,3})\.(?P<c>\d{1,3})\.(?P<d>\d{1,3})$"
# Longest as text: RFC 4291, section 2.2. A zone (fe80::1%eth0) is nobody's.
_IPV6 = r"^[0-9A-Fa-f:.]{2,45}$"


class Ranges:
    """Ranges and their owners, ready to be asked for many addresses at once.

    >>> ranges = Ranges([("192.0.2.0/24", 0), ("192.0.2.128/25", 1), ("2001:db8::/32", 0)])
    >>> ranges.owners(pa.array(["192.0.2.7", "192.0.2.200", "2001:DB8::5", "192.0.3.1", "x", None])).tolist()
    [0, 1, 0, -1, -1, -1]
    """

    def __init__(self, ranges: Iterable[tuple[str, int]]):
        """Takes pairs of a range in CIDR notation (RFC 4632) and the number of its owner.

        Of ranges within each other the smallest counts, of equal ones the last. Raises ValueError for what is no range.
        """
        networks = [(ipaddress.ip_network(text), owner) for text, owner in ranges]
        ordered = sorted(networks, key=lambda pair: pair[0].prefixlen)
        self._ipv4 = _borders([pair for pair in ordered if pair[0].version == 4], 4)
        self._ipv6 = _borders([pair for pair in ordered if pair[0].version == 6], 16)

    def owners(self, addresses: pa.StringArray) -> Ints:
        """The owner of each address, -1 where it is nobody's, null, or no address at all."""
        found = np.full(len(addresses), -1, np.int64)
        parts = pc.extract_regex(addresses, _IPV4)
        rows = np.flatnonzero(np.asarray(parts.is_valid()))
        some = parts.take(pa.array(rows))
        number = np.zeros(len(rows), np.int64)
        fits = np.ones(len(rows), np.bool_)
        for name in "abcd":
            part = pc.struct_field(some, name).cast(pa.int64()).to_numpy(zero_copy_only=False)
            fits &= part <= 255
            number = number * 256 + part
        found[rows[fits]] = _owner(self._ipv4, number[fits].astype(">u4").view("S4"))
        rest = pc.and_(parts.is_null(), pc.fill_null(pc.match_substring_regex(addresses, _IPV6), False))
        rows = np.flatnonzero(np.asarray(rest))
        packed = [_packed(text) for text in addresses.take(pa.array(rows)).to_pylist()]
        known = np.array([one is not None for one in packed], np.bool_)
        found[rows[known]] = _owner(self._ipv6, np.array([one for one in packed if one is not None], "S16"))
        return found


_Borders = tuple[npt.NDArray[np.bytes_], Ints]


def _borders(ranges: list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, int]], size: int) -> _Borders:
    """Where the owner changes, as addresses in network order, and who owns what follows."""
    spans = [(int(net.network_address), int(net.broadcast_address) + 1, owner) for net, owner in ranges]
    places = sorted({0, *(place for first, end, _ in spans for place in (first, end))})
    owner = np.full(len(places), -1, np.int64)
    for first, end, whose in spans:
        owner[places.index(first) : places.index(end)] = whose
    # Behind the last address there is nothing to own.
    within = [place.to_bytes(size, "big") for place in places if place < 256**size]
    return np.array(within, f"S{size}"), owner


def _owner(borders: _Borders, addresses: npt.NDArray[np.bytes_]) -> Ints:
    places, owner = borders
    return owner[np.searchsorted(places, addresses, side="right") - 1]


def _packed(text: str) -> bytes | None:
    try:
        return socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return None
