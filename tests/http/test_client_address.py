"""Who a request comes from, with and without proxies in between."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.http.client_address import client_behind
from callboard.http.principals import id_of_address

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("2001:db8:ffff::/48"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("1.2.3.4", None, "1.2.3.4"),
        ("1.2.3.4", "9.9.9.9", "1.2.3.4"),  # a peer that is not trusted says what it likes
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "9.9.9.9", "9.9.9.9"),
        ("10.0.0.1", "6.6.6.6, 9.9.9.9", "9.9.9.9"),  # the left one was sent by 9.9.9.9
        ("10.0.0.1", "6.6.6.6, 9.9.9.9, 10.0.0.2", "9.9.9.9"),  # two proxies of ours
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "9.9.9.9, nonsense", "10.0.0.1"),
        ("10.0.0.1", "9.9.9.9:4711", "9.9.9.9"),
        ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "9.9.9.9", "9.9.9.9"),
        ("2001:db8:ffff::1", "9.9.9.9", "9.9.9.9"),
        ("10.0.0.1", "," * 10_000, "10.0.0.1"),
        ("unix", "9.9.9.9", "unix"),
    ],
)
def test_the_client_is_the_first_address_from_the_right_that_is_not_trusted(
    peer: str, forwarded: str | None, client: str
) -> None:
    assert client_behind(peer, forwarded, TRUSTED) == client


@given(st.text())
def test_whatever_a_client_sends_it_is_the_address_the_proxy_saw(sent: str) -> None:
    assert client_behind("10.0.0.1", f"{sent}, 9.9.9.9", TRUSTED) == "9.9.9.9"
    assert client_behind("8.8.8.8", sent, TRUSTED) == "8.8.8.8"


@pytest.mark.parametrize(
    ("address", "its_id"),
    [
        ("1.2.3.4", "ip:1.2.3.4"),
        ("::ffff:1.2.3.4", "ip:1.2.3.4"),
        ("2001:db8:1:2:3:4:5:6", "ip:2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "ip:2001:db8:1:2::/64"),
        ("unix", "ip:unix"),
    ],
)
def test_an_ipv6_address_is_limited_with_its_whole_network(address: str, its_id: str) -> None:
    assert id_of_address(address) == its_id
