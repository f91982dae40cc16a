"""Whose an address is: by published ranges, only where the host's name tells nothing, whatever text stands there."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logscan import catalogue
from logscan.catalogue.site import RulesError, SiteFile
from logscan.classifier import classify
from logscan.classifier.ranges import Ranges

RANGED = [provider for provider in catalogue.providers() if provider.ranges]


def owners(hosts: list[str | None], addresses: list[str | None]) -> list[str | None]:
    columns = {"remote_host": pa.array(hosts, pa.string()), "remote_ip": pa.array(addresses, pa.string())}
    found: list[str | None] = classify(pa.table(columns))["provider"].to_pylist()
    return found


@pytest.mark.parametrize(
    ("host", "address", "provider"),
    [
        (None, "74.125.200.27", "google"),
        ("mx.customer.example", "2a00:1450:400c:c0b::1a", "google"),
        (None, "2A00:1450:400C:0C0B:0:0:0:1A", "google"),
        (None, "::ffff:17.1.2.3", "apple"),
        ("mta5.am0.yahoodns.net", "17.1.2.3", "yahoo"),
        ("mx.customer.example", "104.47.0.1", "microsoft"),
        (None, "18.0.0.0", None),
        (None, "16.255.255.255", None),
        (None, "2001:db8::1", None),
        (None, None, None),
        (None, "", None),
        (None, "17.1.2", None),
        (None, "17.1.2.300", None),
        (None, "17.1.2.3.4", None),
        (None, "fe80::1%eth0", None),
        (None, ":" * 45, None),
        (None, "17.1.2.3'; DROP TABLE events", None),
        (None, "17.1.2.3\n", None),
        (None, "١٧.١.٢.٣", None),
        (None, "17." * 400_000, None),
        (None, "f" * 1_000_000, None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_address_is_asked_where_the_name_tells_nothing(
    host: str | None, address: str | None, provider: str | None
) -> None:
    assert owners([host], [address]) == [provider]


def test_without_the_column_nothing_is_asked() -> None:
    assert classify(pa.table({"remote_host": ["mx.example"]}))["provider"].to_pylist() == [None]


ADDRESSES = st.one_of(st.ip_addresses().map(str), st.text(max_size=12), st.none())
NETWORKS = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), st.tuples(st.ip_addresses(v=6), st.integers(0, 128))
).map(lambda pair: str(ipaddress.ip_network((pair[0], pair[1]), strict=False)))


@given(st.lists(NETWORKS, max_size=6), st.lists(ADDRESSES, max_size=6))
def test_it_agrees_with_the_standard_library(networks: list[str], addresses: list[str | None]) -> None:
    # The edges of each range are where a search goes wrong.
    edges = [str(end) for text in networks for end in (lambda n: (n[0], n[-1]))(ipaddress.ip_network(text))]
    asked = [*addresses, *edges]
    found = Ranges((text, number) for number, text in enumerate(networks)).owners(pa.array(asked, pa.string()))
    assert found.tolist() == [_slow(networks, address) for address in asked]


def _slow(networks: list[str], text: str | None) -> int:
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return -1
    if address.version == 6 and address.scope_id:
        return -1
    if address.version == 6 and address.ipv4_mapped and text and "." in text:
        address = address.ipv4_mapped
    holding = [(n.prefixlen, i) for i, n in enumerate(map(ipaddress.ip_network, networks)) if address in n]
    return max(holding, default=(0, -1))[1]


@pytest.mark.parametrize("provider", RANGED, ids=lambda provider: provider.name)
def test_a_provider_s_ranges_are_its_own_and_their_source_is_named(provider: catalogue.Provider) -> None:
    assert provider.published.startswith(("https://", "the SPF record"))
    own = list(map(ipaddress.ip_network, provider.ranges))
    assert not any(network.is_private for network in own)
    others = [(other, ipaddress.ip_network(text)) for other in RANGED for text in other.ranges if other != provider]
    assert not [other.name for other, net in others for one in own if one.version == net.version and one.overlaps(net)]
    assert owners([None] * len(own), [str(network[0]) for network in own]) == [provider.name] * len(own)


SITE = "[[provider]]\nname = 'ours'\nranges = [\n  '74.125.1.0/24',\n  '2001:db8::/32',\n]\n"


def test_a_site_names_ranges_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(SITE, encoding="utf-8")
    events = pa.table({"remote_ip": ["74.125.1.9", "74.125.2.9", "2001:db8::9"]})
    assert classify(events, SiteFile(path).site)["provider"].to_pylist() == ["ours", "google", "ours"]


@pytest.mark.parametrize(
    ("wrong", "line", "met"),
    [
        ("2001:db8::/129", 5, "no range of addresses: '2001:db8::/129'"),
        ("2001:db8::1/32", 5, "no range of addresses: 2001:db8::1/32 has host bits set"),
        ("mx.example", 5, "no range of addresses: 'mx.example'"),
    ],
)
def test_a_wrong_range_is_told_with_its_line(tmp_path: Path, wrong: str, line: int, met: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(SITE.replace("2001:db8::/32", wrong), encoding="utf-8")
    with pytest.raises(RulesError) as told:
        SiteFile(path)
    assert f"rules.toml:{line}: {met}" in str(told.value)


def test_a_provider_needs_a_name_or_a_range(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[[provider]]\nname = 'ours'\nranges = '74.125.1.0/24'\n", encoding="utf-8")
    with pytest.raises(RulesError, match="a provider has a name and suffixes, a list of host names, or ranges"):
        SiteFile(path)
