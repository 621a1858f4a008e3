"""Where the server of a data folder listens, in a file there: what a command reads where nobody has named a server.

The server writes the file once it listens, and holds a lock on it: the operating system lets go of that when the process
dies, however it dies, so a file that nobody holds is what a server left that was killed. The lock that keeps a second
server from the history tells less: a program without an address has it too.
Written by `callboard serve`, read by the commands that ask; imported by the command line only.
"""

import contextlib
import fcntl
import json
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from callboard import inheritance
from callboard.addresses import server_url
from callboard.cli.text import iso
from callboard.errors import ConfigurationError

NAME = "server.json"
_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFile:
    """What the file says, and whether that server lives."""

    url: str
    pid: int
    started: str
    alive: bool = True


@contextlib.contextmanager
def announced(folder: Path, url: str) -> Iterator[OSError | None]:
    """Have the file in the data folder tell this process's address, until the end; yield why it cannot, where it cannot."""
    told = ServerFile(url=url, pid=os.getpid(), started=iso(datetime.now(UTC)))
    try:
        held = _write(folder, told)
    except OSError as error:
        yield error
        return
    end_withholding = inheritance.withhold(lambda: (held,))
    try:
        yield None
    finally:
        end_withholding()
        with contextlib.suppress(OSError):
            if _same(folder / NAME, held):  # another one's, on another database, may have taken its place
                (folder / NAME).unlink()
        os.close(held)


def read(folder: Path) -> ServerFile | None:
    """Return what the file in a data folder says, None where there is none that can be read.

    Raises `ConfigurationError` for one that must not be believed.
    """
    path = folder / NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if path.is_symlink():
            raise _not_believed(path, "it is a link") from error
        return None
    try:
        if _is_held(descriptor):
            _check_owner(path, os.fstat(descriptor))
            return _parse(path, os.read(descriptor, _MOST_BYTES))
        with contextlib.suppress(ConfigurationError):  # nobody is asked there, and a power cut may have left anything
            return replace(_parse(path, os.read(descriptor, _MOST_BYTES)), alive=False)
        return None
    finally:
        os.close(descriptor)


def _write(folder: Path, told: ServerFile) -> int:
    """Put the file in its place, whole and locked; return its descriptor, which holds the lock."""
    beside = folder / f".{NAME}.{os.getpid()}.{secrets.token_hex(4)}"
    descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fields = {name: value for name, value in asdict(told).items() if name != "alive"}
        os.write(descriptor, f"{json.dumps(fields)}\n".encode())
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        beside.replace(folder / NAME)
    except BaseException:
        os.close(descriptor)
        beside.unlink(missing_ok=True)
        raise
    return descriptor


def _same(path: Path, descriptor: int) -> bool:
    return os.path.samestat(path.lstat(), os.fstat(descriptor))


def _is_held(descriptor: int) -> bool:
    """Say whether a living process holds the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _check_owner(path: Path, found: os.stat_result) -> None:
    """Refuse a file that somebody else may have written.

    # SECURITY: a command sends its API key to the address that stands there. So the file is this user's, or for root,
    # who looks into others' folders, the folder's owner's, and nobody else may read or write it.
    """
    trusted = {os.geteuid()} | ({path.parent.stat().st_uid} if os.geteuid() == 0 else set())
    if not stat.S_ISREG(found.st_mode):
        raise _not_believed(path, "it is no file")
    if found.st_uid not in trusted:
        raise _not_believed(path, "it belongs to another user")
    if found.st_mode & 0o077:
        raise _not_believed(path, f"others may reach it (its mode is {stat.S_IMODE(found.st_mode):03o})")


def _parse(path: Path, data: bytes) -> ServerFile:
    try:
        told = json.loads(data)
        url, pid, started = server_url(told["url"]), int(told["pid"]), str(told["started"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _not_believed(path, "it does not hold what a server writes") from error
    if not (url.startswith("http://") and _is_here(urlsplit(url).hostname or "")):
        raise _not_believed(path, f"its address, {url}, is none of this machine's")
    return ServerFile(url=url, pid=pid, started=started[:40])


def _is_here(host: str) -> bool:
    """Say whether an address, no name, is one of this machine's: only such a one can be listened at. Nothing is sent."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
        with socket.socket(found[0][0], socket.SOCK_DGRAM) as one:
            one.bind(found[0][4])
    except OSError:
        return False
    return True


def _not_believed(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is to say where the server is, and is not believed: {why}; delete it, or name the server with --url."
    )
