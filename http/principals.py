"""Who callers are: the one place where a caller's id is made, of its key or of its address, and its principal with it.

Keys are known by their hash only, compared in constant time. Any thread; the cache holds addresses and what is made of
them only, and is `functools`' own. Imported within `http/` only.
"""

import hashlib
import hmac
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_network

from callboard.http.client_address import parse_address
from callboard.principal import Limits, Principal

# Invariant: both ids stay what they are. What callers have used of a day's budget, and their idempotency keys, are kept
# under them, and shares counted.


def id_of_key(digest: bytes) -> str:
    """Return the id of who shows a key: the beginning of its digest."""
    return f"key:{digest[:8].hex()}"


@lru_cache(maxsize=4096)
def id_of_address(text: str) -> str:
    """Return the id of who shows nothing but an address: itself, or for IPv6 the /64 it is in.

    # SECURITY: one IPv6 subscriber owns a whole /64, so single addresses of it would never be limited.
    """
    address = parse_address(text)
    if isinstance(address, IPv6Address):
        return f"ip:{ip_network((address, 64), strict=False)}"
    return f"ip:{address or text}"


class Principals:
    """The principals of those who may come in by a key, made at start, and of addresses, made when they are first seen.

    # SECURITY: memory holds digests, so a dump of it does not hold a key; every key is compared at every check, so
    # that the time taken says nothing of which one came close.
    """

    def __init__(self, keys: Iterable[str], limits: Limits) -> None:
        digests = [_digest(key.encode()) for key in keys]
        self._of_keys = [(digest, Principal(id=id_of_key(digest), limits=limits)) for digest in digests]
        self.of_address = lru_cache(4096)(lambda client: Principal(id=id_of_address(client), limits=limits))

    @property
    def keyed(self) -> bool:
        """Whether callers must send a key at all."""
        return bool(self._of_keys)

    def of_key(self, key: str) -> Principal | None:
        """Return whose a key is, None for one that is not valid."""
        sent = _digest(key.encode("latin-1", "replace"))  # how WSGI disguises a header's bytes
        found = None
        for digest, principal in self._of_keys:
            found = principal if hmac.compare_digest(sent, digest) else found
        return found


def _digest(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=32).digest()
