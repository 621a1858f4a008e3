"""Who a request comes from: the peer's address, or what a trusted proxy says about it.

In the request's waitress thread. The caches hold addresses only and are `functools`' own, safe from any thread.
Imported within `http/` only.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import falcon

from callboard.http.request import Request

Networks = tuple[IPv4Network | IPv6Network, ...]
_MOST_HOPS = 32


@lru_cache(maxsize=4096)
def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address, IPv4 where it is only mapped into IPv6, or None for what is no address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def client_behind(peer: str, forwarded_for: str | None, trusted: Networks) -> str:
    """Return the address of the client.

    # SECURITY: X-Forwarded-For is believed only where a trusted proxy wrote it. Each proxy appends the address it
    # was called from, so the list is read from the right for as long as the one who wrote an entry is trusted;
    # what stands further left is whatever the client chose to send.
    """
    client = peer
    hops = (forwarded_for or "").rsplit(",", _MOST_HOPS)
    while hops and is_trusted(client, trusted):
        hop = parse_address(_without_port(hops.pop().strip()))
        if hop is None:
            break
        client = str(hop)
    return client


@lru_cache(maxsize=4096)
def is_trusted(text: str, networks: Networks) -> bool:
    """Return whether an address is in one of the networks."""
    address = parse_address(text)
    return address is not None and any(address in network for network in networks)


def _without_port(hop: str) -> str:
    """Return the address of `1.2.3.4:567`, `[::1]:567` or an address alone."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


class ClientAddress:
    """The middleware that looks behind trusted proxies; left out where there are none."""

    def __init__(self, trusted: Networks) -> None:
        self._trusted = trusted

    def process_request(self, req: Request, _resp: falcon.Response) -> None:
        req.client = client_behind(req.client, req.env.get("HTTP_X_FORWARDED_FOR"), self._trusted)
