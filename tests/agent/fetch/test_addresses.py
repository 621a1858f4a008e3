"""Which addresses are public, which are of one's own network, and which are never asked."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.fetch.addresses import is_metadata, is_public, is_reachable, literal, plain_host
from callboard.agent.fetch.special_addresses import OF_NO_HOST, REGISTERED

V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
PRIVATE = [
    "10.0.0.1",
    "172.16.5.5",
    "192.168.1.1",
    "127.0.0.1",
    "169.254.1.1",
    "100.64.0.1",
    "::1",
    "fd00::1",
    "fe80::1",
]
METADATA = ["169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"]
NEVER = ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "2001:db8::1"]


def forms_of(address: IPv4Address) -> list[IPv6Address]:
    """Return the IPv6 addresses that lead to an IPv4 address somewhere: mapped, NAT64 twice, 6to4, Teredo."""
    n = int(address)
    return [
        IPv6Address((0xFFFF << 32) | n),
        IPv6Address((0x0064FF9B << 96) | n),
        IPv6Address((0x0064FF9B0001 << 80) | n),
        IPv6Address((0x2002 << 112) | (n << 80) | 1),
        IPv6Address((0x20010000 << 96) | (0x08080808 << 64) | (n ^ 0xFFFFFFFF)),
    ]


@given(V4)
def test_an_ipv4_address_inside_an_ipv6_address_is_never_public(address: IPv4Address) -> None:
    assert not any(is_public(form) for form in forms_of(address))


@given(V4)
def test_what_a_network_of_ones_own_may_be_asked_for_does_not_depend_on_how_it_is_written(address: IPv4Address) -> None:
    mapped, nat64, own_nat64, six_to_four, _teredo = forms_of(address)
    for form in (mapped, nat64, own_nat64, six_to_four):
        assert is_reachable(form) == is_reachable(address)


@given(V4 | st.integers(0, 2**128 - 1).map(IPv6Address))
def test_a_public_address_is_reachable_and_no_metadata(address: IPv4Address | IPv6Address) -> None:
    if is_public(address):
        assert is_reachable(address)
        assert not is_metadata(address)
        assert address.is_global, "this Python knows no less than we"


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_reachable_where_that_is_allowed_and_not_public(address: str) -> None:
    assert is_reachable(ip_address(address))
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", METADATA)
def test_a_metadata_service_is_never_reachable_in_any_form(address: str) -> None:
    found = ip_address(address)
    assert is_metadata(found)
    for form in [found, *(forms_of(found) if isinstance(found, IPv4Address) else [])]:
        assert not is_reachable(form)
        assert not is_public(form)


@pytest.mark.parametrize("address", NEVER)
def test_what_is_no_host_is_never_reachable(address: str) -> None:
    assert not is_reachable(ip_address(address))


def test_a_zone_hides_nothing() -> None:
    assert is_metadata(ip_address("fd00:ec2::254%eth0"))
    assert not is_public(ip_address("fe80::1%eth0"))


@given(V4)
def test_every_way_to_write_an_address_is_that_address(address: IPv4Address) -> None:
    n = int(address)
    for text in (
        str(address),
        str(n),
        hex(n),
        f"0x{n >> 24:x}.{n & 0xFFFFFF}",
        f"{n >> 24:#o}".replace("0o", "0") + f".{n & 0xFFFFFF}",
    ):
        assert literal(plain_host(text)) == address


@pytest.mark.parametrize("network", [*REGISTERED, *OF_NO_HOST])
def test_every_special_block_is_public_only_where_the_registry_says_that_it_is_reachable(network: str) -> None:
    block = ip_network(network)
    within = block[0], block[-1], block[block.num_addresses // 2]
    around = [other for other in REGISTERED if other != network and _contains(other, network) and not REGISTERED[other]]
    public = REGISTERED.get(network, False) and not around and network != "64:ff9b::/96"  # an IPv4 address is inside
    assert [is_public(address) for address in within] == [public] * 3


def _contains(outer: str, inner: str) -> bool:
    a, b = ip_network(outer), ip_network(inner)
    return a.version == b.version and int(a[0]) <= int(b[0]) and int(b[-1]) <= int(a[-1])


@pytest.mark.parametrize(
    "address",
    [
        *(
            "3fff::1",
            "3fff:fff:ffff::1",
            "5f00::1",
            "64:ff9b:1::1",
            "64:ff9b:1:ffff::808:808",
            "100:0:0:1::1",
            "2001:5::1",
        ),
        *("fec0::1", "fee0::1", "ff0e::1", "::8.8.8.8", "::ffff:0:8.8.8.8", "4000::1", "fe00::1", "200::1", "1::1"),
        *(
            "2001:1ff:ffff::1",
            "2002:808:808::1",
            "192.88.99.2",
            "192.0.0.9",
            "223.255.255.255",
            "224.0.0.1",
            "247.1.1.1",
        ),
    ],
)
def test_what_no_version_of_python_has_to_know_is_not_public(address: str) -> None:
    assert is_public(ip_address(address)) is (address == "223.255.255.255")


@pytest.mark.parametrize("length", [48, 56, 64, 96])
def test_a_metadata_service_behind_a_networks_own_nat64_is_never_reachable(length: int) -> None:
    found, packed = IPv4Address("169.254.169.254").packed, bytearray(IPv6Address("64:ff9b:1::").packed)
    places = {48: (6, 7, 9, 10), 56: (7, 9, 10, 11), 64: (9, 10, 11, 12), 96: (12, 13, 14, 15)}[length]
    for place, byte in zip(places, found, strict=True):
        packed[place] = byte
    assert is_metadata(IPv6Address(bytes(packed)))
    assert not is_reachable(IPv6Address(bytes(packed)))
