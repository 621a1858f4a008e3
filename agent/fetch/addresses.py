"""Which addresses this server connects to when somebody else names them.

# SECURITY: a webhook's address, an attachment's, one that a model makes up: each would be connected to from inside this
server's network. What a name resolves to is checked when it is about to be connected to, and that very address is
connected to, so that a name which resolves differently a moment later gains nothing.

Pure functions but for `resolve`, which asks the resolver; any thread. Imported by the webhooks' senders and by `wire`'s
users.
"""

import socket
import unicodedata
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from callboard.agent.fetch.special_addresses import Address, is_special

Rule = Callable[[Address], bool]

LOCAL_NAMES = ("localhost", "localdomain", "local", "internal", "home.arpa")
"""Names that are never public ones; so is every name that ends in one of them."""

METADATA_NAMES = (
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "instance-data",
    "instance-data.ec2.internal",
)
"""Names of the services by which a cloud tells its machines their secrets."""

_OWN_NETWORKS = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
"""What private, loopback and link-local means, and carriers' own."""

_METADATA = frozenset(
    ip_address(address)
    for address in (
        "169.254.169.254",  # AWS, Google, Azure, Oracle, DigitalOcean, Hetzner, OpenStack
        "169.254.170.2",  # AWS, credentials of containers
        "169.254.170.23",  # AWS, credentials of pods
        "169.254.0.23",  # Tencent
        "169.254.42.42",  # Scaleway
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS, credentials of pods
        "fd20:ce::254",  # Google
        "fd00:42::42",  # Scaleway
        "fe80::a9fe:a9fe",  # OpenStack
    )
)

_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_PLACES = ((12, 13, 14, 15), (6, 7, 9, 10), (7, 9, 10, 11), (9, 10, 11, 12))
"""Which bytes are the IPv4 address in a prefix of /96, /48, /56 and /64 (RFC 6052); a network chooses the length of its own."""

_COMPATIBLE = IPv6Network("::/96")


class AddressNotAllowed(Exception):
    """A name resolves to addresses, and none of them may be connected to."""

    def __init__(self, host: str, addresses: list[str]) -> None:
        super().__init__(f"{host[:100]} resolves to {', '.join(addresses[:3])}")
        self.host = host
        self.addresses = addresses


def is_public(address: Address) -> bool:
    """Say whether an address is one of the open internet, and of one host."""
    return not is_special(address) and not is_metadata(address)


def is_reachable(address: Address) -> bool:
    """Say whether an address is public, or one of a network of one's own; metadata services are neither.

    An IPv4 address inside an IPv6 address counts as what it is.
    """
    if is_metadata(address):
        return False
    within = next(_embedded(address), address)
    return is_public(within) or any(within in network for network in _OWN_NETWORKS)


def is_metadata(address: Address) -> bool:
    """Say whether an address, or one inside it, is that of a cloud's metadata service."""
    return any(_plain(found) in _METADATA for found in (address, *_embedded(address)))


def is_local_name(host: str) -> bool:
    """Say whether a name says by itself that it is not public; `host` as `plain_host` returns it."""
    return any(host == name or host.endswith(f".{name}") for name in LOCAL_NAMES)


def plain_host(host: str) -> str:
    """Return a host's name as names are compared."""
    return unicodedata.normalize("NFKC", host).rstrip(".").lower()


def literal(host: str) -> Address | None:
    """Return the address that a host is written as, in any form that resolvers take: 127.1 and 0x7f000001 too."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def resolve(host: str, port: int, allowed: Rule) -> list[str]:
    """Return the addresses that a name resolves to and that are allowed, the resolver's favourite first.

    Those that are not allowed are left out: only what is returned is connected to. Raises `AddressNotAllowed` where
    there are only others, and `OSError` where there are none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    kept = [address for address in addresses if allowed(ip_address(address))]
    if not kept:
        raise AddressNotAllowed(host, addresses)
    return kept


def _embedded(address: Address) -> Iterator[IPv4Address]:
    """Return the IPv4 addresses inside an IPv6 address: mapped, compatible, NAT64, 6to4, Teredo; first what it likely is."""
    if not isinstance(address, IPv6Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from reversed(address.teredo)
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if any(_plain(address) in network for network in _NAT64):
        for places in _PLACES:
            yield IPv4Address(bytes(address.packed[place] for place in places))
    if _plain(address) in _COMPATIBLE and int(low) > 0xFFFFFF:  # below that are `::`, `::1` and nothing
        yield low


def _plain(address: Address) -> Address:
    """Return the address without its zone, with which it is equal to nothing."""
    return IPv6Address(int(address)) if isinstance(address, IPv6Address) else address
