"""Which addresses a webhook may go to."""

import socket
from ipaddress import ip_address
from typing import Any

import pytest

from callboard.actors.webhook_target import allowed_addresses, check_callback
from callboard.agent.fetch.addresses import is_public
from callboard.errors import CallbackRefused

NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.0.9",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2001:4860:4860::8888", "2606:4700:4700::1111"]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_of_the_open_internet_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(CallbackRefused, match="not a public address"):
        check_callback(f"https://{host}:8443/hook")


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_open_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))
    check_callback(f"https://[{address}]/" if ":" in address else f"https://{address}/")


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "１２７.0.0.1",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:0:0:1]",
        "localhost",
        "LOCALHOST.",
        "api.localhost",
        "db.internal",
        "metadata.google.internal",
        "printer.local",
        "host.localdomain",
        "nas.home.arpa",
    ],
)
def test_other_ways_to_write_what_is_not_public_are_refused_too(host: str) -> None:
    with pytest.raises(CallbackRefused, match="CALLBOARD_WEBHOOK_ALLOW_PRIVATE"):
        check_callback(f"http://{host}/hook")


@pytest.mark.parametrize("host", ["example.com", "localhost.example.com", "local.example", "xn--bcher-kva.example"])
def test_a_name_is_left_to_be_resolved(host: str) -> None:
    check_callback(f"http://{host}/hook")


def _resolver(*addresses: str) -> Any:
    def getaddrinfo(_host: str, port: int, **_wishes: Any) -> list[Any]:
        kinds = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [
            (kind, socket.SOCK_STREAM, 6, "", (address, port)) for kind, address in zip(kinds, addresses, strict=True)
        ]

    return getaddrinfo


def test_of_what_a_name_resolves_to_only_public_addresses_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _resolver("10.0.0.1", "1.1.1.1", "1.1.1.1", "fe80::1%eth0", "::1"))
    assert allowed_addresses("example.com", 443, allow_private=False) == ["1.1.1.1"]
    assert len(allowed_addresses("example.com", 443, allow_private=True)) == 4


def test_a_name_that_resolves_to_nothing_public_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _resolver("127.0.0.1", "::1"))
    with pytest.raises(CallbackRefused, match=r"example.com resolves to 127.0.0.1, ::1, which is not a public"):
        allowed_addresses("example.com", 443, allow_private=False)
