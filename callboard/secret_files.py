"""Secrets that the server makes once and keeps in files that only their owner can read.

Any thread, at start. Imported by whoever needs a secret, `agent/signing.py` and `actors/webhook_signing.py`, and by
`persistence/doctor.py`, which looks at them.
"""

import base64
import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from callboard.errors import ConfigurationError
from callboard.paths import why_not
from callboard.values import decoded

LEAST_CHARS = 32
"""A file that holds fewer is no secret that the server made: it was cut short or overwritten."""

LOSS = {
    "secret.key": "sessions lose their variables, and unfinished scripts start their round again",
    "webhook.secret": "receivers refuse what is signed with another one until they know it",
}
"""What it costs to go on without the secret that a file held."""


def kept_secret(path: Path, make: Callable[[], str], *, setting: str) -> str:
    """Return the secret in a file, or make one and keep it there with mode 0600.

    Raises `ConfigurationError` where it can be neither read nor made, or the file holds none; `setting` is what could
    be set instead.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Two servers may start at once: whoever links its complete file first wins, and both read the winner's.
        if not path.exists():
            mine = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
            try:
                mine.touch(mode=0o600)
                mine.write_text(make())
                _sync(mine)  # what is signed with it outlives a power cut, so the secret must too
                with contextlib.suppress(FileExistsError):
                    os.link(mine, path)
            finally:
                mine.unlink(missing_ok=True)
            _sync(path.parent)
        fault = secret_fault(path)
        secret = "" if fault else decoded(path.read_bytes()).strip()
    except OSError as error:
        raise ConfigurationError(
            f"The secret {path} can be neither read nor made ({why_not(error)}); "
            f"make the folder writable, or set CALLBOARD_DATA_DIR or {setting}."
        ) from error
    if fault:
        raise ConfigurationError(f"{path} {fault}. {remedy(path)}")
    return secret


def secret_fault(path: Path) -> str | None:
    """Return what is wrong with a secret's file, None if it holds one; raise `OSError` where it cannot be read."""
    if not path.is_file():
        return "is not a regular file"
    try:
        chars = len(decoded(path.read_bytes()).strip())
    except UnicodeDecodeError:
        return "is not text, so it is no secret that the server made"
    if chars < LEAST_CHARS:
        return f"holds {chars} characters, but a secret has at least {LEAST_CHARS}"
    return None


def remedy(path: Path) -> str:
    """Return what to do about a secret's file that holds none."""
    return (
        f"Restore it from the backup; or delete it, and the next start makes another secret, which costs this: "
        f"{LOSS[path.name]}."
    )


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_webhook_secret(secret: str) -> str:
    """Return the secret, or raise `ValueError` where it is not one of Standard Webhooks: 24 to 64 random bytes."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError("is not `whsec_` and the base64 of 24 to 64 bytes; `openssl rand -base64 32` makes some")
    return secret
