"""Signing the interpreter's dumps, which Monty itself does not authenticate.

A dump is loaded only if this server, or one with the same key, made it, for the same session, with the same
interpreter version. Pure functions over an immutable key; any thread. Imported by sealing.py, which
no run calls, by `actors/` and by the wiring.
"""

import hashlib
import hmac
import secrets
from pathlib import Path

from callboard.agent.interpreter import INTERPRETER
from callboard.secret_files import kept_secret

_MAC_BYTES = 32


class Signer:
    """Signs bytes for a purpose (such as a session's id) and verifies them."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.sha256(key).digest()

    def sign(self, dump: bytes, purpose: str) -> bytes:
        """Return the dump behind its 32 bytes of HMAC-SHA256."""
        return self._mac(dump, purpose) + dump

    def open(self, signed: bytes, purpose: str) -> bytes | None:
        """Return the dump, or None where it was made with another key, for another purpose or interpreter."""
        mac, dump = signed[:_MAC_BYTES], signed[_MAC_BYTES:]
        return dump if hmac.compare_digest(mac, self._mac(dump, purpose)) else None

    def _mac(self, dump: bytes, purpose: str) -> bytes:
        header = f"{INTERPRETER}\n{purpose}\n".encode()
        return hmac.digest(self._key, header + dump, "sha256")


def load_key(secret_key: str, data_dir: Path) -> bytes:
    """Return the configured key, or the one in `data_dir/secret.key`, made with mode 0600 if absent."""
    key = secret_key or kept_secret(
        data_dir / "secret.key", lambda: secrets.token_hex(32), setting="CALLBOARD_SECRET_KEY"
    )
    return key.encode()
