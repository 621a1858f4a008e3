"""The hold on a history in SQLite: two locks, both of which the operating system lets go of with the process.

The one on the database itself is on its inode, so it holds whatever the file is called: through a symlink, a hard link, a bind
mount. The one on `<file>.lock` beside it is on its name, where SQLite keeps the write-ahead log: it holds though the database was
replaced, and it is the only one where the system has no lock of the first kind.

POSIX drops the locks that SQLite has on a file, in the whole process, when any descriptor of it is closed. So the database is
opened here before SQLite opens it, not at all while this process has it, and closed when SQLite has it no more.
Any thread; imported by `claim.py`.
"""

import contextlib
import errno
import fcntl
import json
import logging
import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from callboard import inheritance, processes
from callboard.errors import ConfigurationError, StoreUnavailable
from callboard.paths import why_not
from callboard.persistence.database_file import (
    DatabaseFile,
    Identity,
    check_place,
    identity_of,
    prepare,
    real_path,
    refuse_log_of_another_name,
)

logger = logging.getLogger("callboard.store")

_PATIENCE_S = 0.5
"""How long a lock is tried for: a server that was killed while it started a program leaves its locks to that one until it is
loaded, a few milliseconds or, on a busy machine, a few hundred."""

_BYTE = 1 << 62
"""Which byte of the database is locked: one that no file has, and that SQLite never locks."""

_OFD = sys.platform == "linux"  # locks of an opening, which no other descriptor's end drops; NFS has them too
_STRUCT_FLOCK = struct.Struct("hhqqi0q")
_UNKNOWN = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
"""What systems say that have no locks of an opening, such as some sandboxes for containers."""

_NOTE_BYTES = 4096

# Guards `_held` and what is opened and closed for it: between a look at whether this process has the database and the
# opening of it nobody may begin to have it. An actor can't: systems of one process share nothing else.
_lock = threading.Lock()
_held: set[Identity] = set()


class FileClaim:
    """The locks on the database at a path, which is made where there is none."""

    def __init__(self, path: Path) -> None:
        """Raise `ConfigurationError` where another server, in this process or any other, has one of them."""
        self._path, self._lock_path = path, _lock_of(path)
        check_place(path)
        with contextlib.ExitStack() as undo:
            self._name = self._by_name()
            undo.callback(os.close, self._name)
            prepare(
                path
            )  # not before: where the file of a server that is at work has been moved away, none is to be in its place
            with _lock:
                self._identity, self._database = self._by_inode()
                _held.add(self._identity)
            undo.pop_all()
        self._file = DatabaseFile(path)
        try:
            refuse_log_of_another_name(path)
        except BaseException:
            self._unlock()
            raise
        _write_note(self._name)
        self._end_withholding = inheritance.withhold(lambda: (self._name, self._database))

    @property
    def lost(self) -> bool:
        """Whether the path names another database by now, or none; any thread."""
        return self._file.lost

    def renew(self) -> None:
        self._file.check_identity()
        if identity_of(str(self._lock_path)) != _identity(os.fstat(self._name)):
            self._name_again()

    def watch(self, on_loss: Callable[[], None]) -> None:
        """Do nothing: such a lock ends with the process alone, and each transaction looks whether the file is still there."""

    def let_go(self) -> None:
        self._end_withholding()
        self._unlock()

    def _unlock(self) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._name, 0)
        os.close(self._name)
        with _lock:
            _held.discard(self._identity)
            if self._database >= 0:
                _set_lock(self._database, fcntl.F_UNLCK)
                close_beside_nobody(self._database)

    def _name_again(self) -> None:
        """Make the file beside the database anew, which somebody has deleted."""
        try:
            fresh = self._by_name()
        except ConfigurationError as error:
            raise StoreUnavailable(error.message) from None
        os.dup2(fresh, self._name, inheritable=False)
        os.close(fresh)
        _write_note(self._name)

    def _by_name(self) -> int:
        """Return the locked file beside the database: the one that is there under its name, and not one just deleted."""
        until_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise ConfigurationError(
                    f"The history cannot be kept at {self._path.parent}: {why_not(error)}."
                ) from error
            try:
                _patiently(lambda: fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB), until_s)  # noqa: B023
                if identity_of(str(self._lock_path)) == _identity(os.fstat(descriptor)):
                    return descriptor
            except OSError:  # who has it is in the sentence
                os.close(descriptor)
                raise self._taken() from None
            os.close(descriptor)

    def _by_inode(self) -> tuple[Identity, int]:
        """Return what the database is, and its locked descriptor; -1 where the system has no such lock."""
        found = identity_of(str(self._path))
        if found in _held:
            raise self._taken()
        if not _OFD:
            return found or Identity(0, 0), -1
        try:
            descriptor = os.open(self._path, os.O_RDWR)
        except OSError as error:
            raise ConfigurationError(f"The history cannot be kept in {self._path}: {why_not(error)}.") from error
        opened = _identity(os.fstat(descriptor))
        if opened in _held:  # put there between the look and the opening; to close it would drop SQLite's locks
            raise self._taken()
        try:
            _patiently(lambda: _set_lock(descriptor, fcntl.F_WRLCK), time.monotonic() + _PATIENCE_S)
        except OSError as error:
            close_beside_nobody(descriptor)
            if isinstance(error, BlockingIOError | PermissionError):
                raise self._taken() from None
            if error.errno in _UNKNOWN:
                logger.warning(
                    "%s cannot be locked by its inode here; only its path keeps a second server away", self._path
                )
                return opened, -1
            raise ConfigurationError(
                f"{self._path} cannot be locked: {why_not(error)}; put the data folder on a local disk."
            ) from error
        return opened, descriptor

    def _taken(self) -> ConfigurationError:
        return taken(str(self._path), holder_of(self._path))


def taken(where: str, holder: str) -> ConfigurationError:
    """Return what to raise where another server has a history; `holder` says who, and how to end it."""
    return ConfigurationError(
        f"Another server is at work on the history {where}: {holder}. Stop it first, "
        "or give this one a history of its own with CALLBOARD_DATA_DIR or CALLBOARD_DATABASE_URL."
    )


def is_held(path: Path) -> bool:
    """Say whether a server, in this process or any other, has the database at a path."""
    found = identity_of(str(path))
    with _lock:
        if found in _held:
            return True
        return _is_named(_lock_of(path)) or (_OFD and found is not None and _is_locked(path))


def holder_of(path: Path) -> str:
    """Return who has the database at a path, as the end of a sentence that says how to end them."""
    lock_path = _lock_of(path)
    if identity_of(str(path)) in _held:
        return processes.who([os.getpid()], otherwise="")
    files = [found for name in (path, lock_path) if (found := identity_of(str(name))) is not None]
    pids = sorted({pid for found in files for pid in processes.lockers(*found)} - {os.getpid()})
    return processes.who(pids, otherwise=_noted(lock_path))


def close_beside_nobody(descriptor: int) -> None:
    """Close a descriptor of a database, unless this process has another one: whoever that is may be SQLite, with locks."""
    mine = _identity(os.fstat(descriptor))
    others = [link for link, found in processes.descriptors() if _identity(found) == mine]
    if len(others) < 2:
        os.close(descriptor)


def _is_locked(path: Path) -> bool:
    """Ask the kernel whether a process has the lock on the database."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        asked = _STRUCT_FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _BYTE, 1, 0)
        answer = _STRUCT_FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked))
        return bool(answer[0] != fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        close_beside_nobody(descriptor)


def _is_named(lock_path: Path) -> bool:
    try:
        descriptor = os.open(lock_path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _set_lock(descriptor: int, kind: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _STRUCT_FLOCK.pack(kind, os.SEEK_SET, _BYTE, 1, 0))


def _patiently(take: Callable[[], None], until_s: float) -> None:
    while True:
        try:
            return take()
        except (BlockingIOError, PermissionError):
            if time.monotonic() > until_s:
                raise
        threading.Event().wait(0.01)


def _lock_of(path: Path) -> Path:
    real = real_path(path)
    return real.with_name(f"{real.name}.lock")


def _identity(found: os.stat_result) -> Identity:
    return Identity(found.st_dev, found.st_ino)


def _write_note(descriptor: int) -> None:
    """Say in the file beside the database who has it; only sentences are made of it."""
    note = {"pid": os.getpid(), "started": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"}
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{json.dumps(note)}\n".encode(), 0)


def _noted(lock_path: Path) -> str:
    """Return who has it by what it has written: where /proc does not say, as of another user's or another container's."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        note = json.loads(lock_path.read_bytes()[:_NOTE_BYTES])
        pid, started = int(note["pid"]), str(note["started"])[:40]
        return (
            f"{lock_path.name} names process {pid}, at work since {started}, maybe another user's or another container's, "
            f"which `kill {pid}` ends there"
        )
    return f"it is not told here which process that is; `sudo fuser -v {lock_path}` names it"
