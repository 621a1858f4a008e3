"""Addresses that are special, as the registries say and not as this Python's `ipaddress` knew them when it was released.

Every row of IANA's IPv4 and IPv6 Special-Purpose Address Registries (https://www.iana.org/assignments/iana-ipv4-special-registry
and …/iana-ipv6-special-registry, RFC 6890 and RFC 8190; as they stood on 2025-10-09), and what stands in other registries:
multicast, the site-local and IPv4-compatible addresses that are deprecated, and that IPv6 addresses are given to hosts out of
2000::/3 only (https://www.iana.org/assignments/ipv6-address-space). When IANA adds a row, it is added here, and to the test.

Imported by `addresses.py` only, which everything asks that decides about an address.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address

REGISTERED: dict[str, bool] = {
    "0.0.0.0/8": False,  # this network
    "0.0.0.0/32": False,  # this host
    "10.0.0.0/8": False,  # private use
    "100.64.0.0/10": False,  # shared by carriers
    "127.0.0.0/8": False,  # loopback
    "169.254.0.0/16": False,  # link-local
    "172.16.0.0/12": False,  # private use
    "192.0.0.0/24": False,  # protocol assignments
    "192.0.0.0/29": False,  # IPv4 service continuity
    "192.0.0.8/32": False,  # dummy address
    "192.0.0.9/32": True,  # anycast of PCP
    "192.0.0.10/32": True,  # anycast of TURN
    "192.0.0.170/32": False,  # NAT64/DNS64 discovery
    "192.0.0.171/32": False,  # NAT64/DNS64 discovery
    "192.0.2.0/24": False,  # documentation
    "192.31.196.0/24": True,  # AS112
    "192.52.193.0/24": True,  # AMT
    "192.88.99.0/24": False,  # relays of 6to4, deprecated
    "192.88.99.2/32": False,  # relay of 6a44
    "192.168.0.0/16": False,  # private use
    "192.175.48.0/24": True,  # AS112, delegated directly
    "198.18.0.0/15": False,  # benchmarks
    "198.51.100.0/24": False,  # documentation
    "203.0.113.0/24": False,  # documentation
    "240.0.0.0/4": False,  # reserved
    "255.255.255.255/32": False,  # broadcast
    "::1/128": False,  # loopback
    "::/128": False,  # unspecified
    "::ffff:0:0/96": False,  # IPv4-mapped
    "64:ff9b::/96": True,  # IPv4 translated (NAT64)
    "64:ff9b:1::/48": False,  # IPv4 translated within a network
    "100::/64": False,  # discard only
    "100:0:0:1::/64": False,  # dummy prefix
    "2001::/23": False,  # protocol assignments
    "2001::/32": False,  # Teredo
    "2001:1::1/128": True,  # anycast of PCP
    "2001:1::2/128": True,  # anycast of TURN
    "2001:1::3/128": True,  # anycast of DNS-SD registration
    "2001:2::/48": False,  # benchmarks
    "2001:3::/32": True,  # AMT
    "2001:4:112::/48": True,  # AS112
    "2001:10::/28": False,  # ORCHID, deprecated
    "2001:20::/28": True,  # ORCHIDv2
    "2001:30::/28": True,  # tags of drones
    "2001:db8::/32": False,  # documentation
    "2002::/16": False,  # 6to4
    "2620:4f:8000::/48": True,  # AS112, delegated directly
    "3fff::/20": False,  # documentation
    "5f00::/16": False,  # segment routing
    "fc00::/7": False,  # unique local
    "fe80::/10": False,  # link-local
}
"""The rows of both registries, and whether they are globally reachable (where that does not apply: no)."""

OF_NO_HOST = (
    "224.0.0.0/4",  # multicast
    "ff00::/8",  # multicast
    "fec0::/10",  # site-local, deprecated
    "::/96",  # IPv4-compatible, deprecated
)
"""What other registries have set aside."""

_GIVEN_TO_HOSTS = IPv6Network("2000::/3")


def _networks(texts: list[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text) for text in texts)


# What lies within a block that is not reachable is not either, whatever its own row says: those are anycast addresses of
# protocols, names of drones, ciphers of keys, and no hosts that anybody means.
_NOT_PUBLIC = _networks([*(network for network, reachable in REGISTERED.items() if not reachable), *OF_NO_HOST])


def is_special(address: Address) -> bool:
    """Say whether an address is none of a host on the open internet."""
    if isinstance(address, IPv6Address) and address not in _GIVEN_TO_HOSTS:
        return True
    return any(address in network for network in _NOT_PUBLIC)
