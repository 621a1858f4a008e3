"""Which addresses a webhook may go to: public ones only, unless the operator allows others.

# SECURITY: whoever may post a task names an address that this server then connects to, from inside its network. A
callbackUrl that says outright that it is not public is refused when the task is posted; whatever a name resolves to is
checked when it is about to be connected to, and that very address is connected to.

Pure functions but for `allowed_addresses`, which asks the resolver. Imported by the gateway and the senders.
"""

import socket
import unicodedata
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from callboard.errors import CallbackRefused

_LOCAL_NAMES = ("localhost", "localdomain", "local", "internal", "home.arpa")
"""Names that are never public ones; so is every name that ends in one of them."""

_NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        "100.64.0.0/10",  # carriers' own (RFC 6598), some clouds' metadata too
        "192.0.0.0/24",  # protocol assignments, some clouds' metadata too
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # the metadata of a cloud, though a public address
        "::/96",  # an IPv4 address inside, deprecated
        "::ffff:0:0/96",  # an IPv4 address inside
        "64:ff9b::/96",  # an IPv4 address inside: NAT64
        "64:ff9b:1::/48",  # NAT64 within a network
        "2001::/23",  # protocol assignments, Teredo among them
        "2002::/16",  # an IPv4 address inside: 6to4
        "fec0::/10",  # site-local, deprecated
    )
)
"""What `ipaddress` takes for public, in some version of Python, and is not."""

_HOW = "name a public one, or set CALLBOARD_WEBHOOK_ALLOW_PRIVATE=true on the server"


def check_callback(url: str) -> None:
    """Raise `CallbackRefused` for an address that says by itself that it is not public."""
    host = unicodedata.normalize("NFKC", urlsplit(url).hostname or "").rstrip(".")
    address = _literal(host)
    if address is not None and not is_public(address):
        raise CallbackRefused(f"callbackUrl leads to {address}, which is not a public address; {_HOW}.")
    if address is None and any(host == name or host.endswith(f".{name}") for name in _LOCAL_NAMES):
        raise CallbackRefused(f"callbackUrl leads to {host[:100]}, which is not a public name; {_HOW}.")


def allowed_addresses(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Return the addresses that a name resolves to and a webhook may go to, the resolver's favourite first.

    Raises `CallbackRefused` where there are only others, and `OSError` where there are none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    allowed = [address for address in addresses if allow_private or is_public(ip_address(address))]
    if not allowed:
        listed = ", ".join(addresses[:3])
        raise CallbackRefused(f"{host[:100]} resolves to {listed}, which is not a public address; {_HOW}.")
    return allowed


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Say whether an address is one of the open internet, and of one host."""
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or any(address in network for network in _NOT_PUBLIC)
    )
    return address.is_global and not special


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a host is written as, in any form that resolvers take: 127.1 and 0x7f000001 too."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None
