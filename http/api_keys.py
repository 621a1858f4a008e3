"""API keys: known by their hash only, compared in constant time.

Any thread; imported within `http/` only.
"""

import hashlib
import hmac
from collections.abc import Iterable


class ApiKeys:
    """The keys that callers may send.

    # SECURITY: memory holds digests, so a dump of it does not hold a key; every key is compared at every check, so
    # that the time taken says nothing of which one came close.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = tuple(_digest(key.encode()) for key in keys)

    @property
    def asked(self) -> bool:
        """Whether callers must send a key at all."""
        return bool(self._digests)

    def identity(self, key: str) -> str | None:
        """Return the name a valid key goes by in limits and records, None for one that is not valid."""
        sent = _digest(key.encode("latin-1", "replace"))  # how WSGI disguises a header's bytes
        valid = False
        for digest in self._digests:
            valid |= hmac.compare_digest(sent, digest)
        return f"key:{sent[:8].hex()}" if valid else None


def _digest(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=32).digest()
