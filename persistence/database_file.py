"""The SQLite file under a running server: is it still the one that was opened, may it be written, is there room?

SQLite goes on writing through its open descriptors when a file is deleted, moved, replaced or made read-only. What it
writes then is committed and yet lost with the process, so the writer asks here before each transaction.
Any thread; imported within `persistence/` only.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import URL

from callboard.errors import ConfigurationError, StorageFull, StoreUnavailable
from callboard.paths import why_not

OLDEST_SQLITE = (3, 35, 0)

LEAST_ROOM_BYTES = 1 << 20
"""After a fault the disk counts as full until this much is free: a task with its events needs some of it."""


class Identity(NamedTuple):
    """What tells one file from another that has taken its name."""

    device: int
    inode: int


def sqlite_path(url: URL) -> Path:
    """Return the path of the file that an address of `engine.database_of` names: a full one, as it stands."""
    assert url.database is not None
    return Path(url.database)


def real_path(path: Path) -> Path:
    """Return the path without links: beside that one SQLite keeps the write-ahead log."""
    return Path(os.path.realpath(path))


def check_place(path: Path) -> None:
    """Make sure of the folder of a database's file, and that nothing else is in its place."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise ConfigurationError(f"SQLite {sqlite3.sqlite_version} is too old; 3.35 or later is needed.")
    refuse_orphaned_log(path)
    if path.exists() and not path.is_file():  # opening a pipe would wait for its other end
        raise ConfigurationError(f"The history cannot be kept in {path}: it is no file; move it away.")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"The history cannot be kept in {path}: {why_not(error)}.") from error


def prepare(path: Path) -> None:
    """Make sure of a database's file, readable by its owner only; SQLite gives its -wal and -shm the same mode.

    # Invariant: a file that is there is not opened: to close it again would drop the locks that SQLite has on it in this process.
    """
    check_place(path)
    try:
        if path.exists():
            return
        with contextlib.suppress(FileExistsError):  # somebody else's, made meanwhile
            os.close(os.open(real_path(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise ConfigurationError(f"The history cannot be kept in {path}: {why_not(error)}.") from error


class DatabaseFile:
    """The file that a store has opened.

    PERF: `check` and `log_identity` take 7 µs together, beside 100 µs and more of a commit.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = f"{real_path(path)}-wal"
        self._opened = identity_of(str(path))

    def check(self) -> None:
        """Raise `StoreUnavailable` unless the path names the file that was opened, and it may be written."""
        self.check_identity()
        if not os.access(self.path, os.W_OK):
            raise StoreUnavailable(f"The database file {self.path} is read-only; make it writable.")

    @property
    def lost(self) -> bool:
        """Whether the path names another file than the one that was opened, or none."""
        return identity_of(str(self.path)) != self._opened

    def check_identity(self) -> None:
        """Raise `StoreUnavailable` unless the path names the file that was opened."""
        if self.lost:
            raise StoreUnavailable(
                f"The database file {self.path} is gone or another one is in its place; put it back, "
                "or restart the server."
            )

    def check_room(self) -> None:
        """Raise `StorageFull` if next to nothing is free on the disk."""
        disk = os.statvfs(self.path.parent)
        if disk.f_bavail * disk.f_frsize < LEAST_ROOM_BYTES:
            raise StorageFull("The disk that holds the history is full; free some space.")

    def log_identity(self) -> Identity | None:
        """Return which file the write-ahead log is now, None where there is none."""
        return identity_of(self._log)


def refuse_orphaned_log(path: Path) -> None:
    """Raise `ConfigurationError` for a write-ahead log without its file: SQLite would delete it beside a new one."""
    real = real_path(path)
    log = real.with_name(f"{real.name}-wal")
    with contextlib.suppress(OSError):
        if log.stat().st_size and not (path.exists() and path.stat().st_size):
            raise ConfigurationError(
                f"{path} is missing or empty, but {log.name} is there and may hold tasks; put the file back, "
                f"or delete {log.name} to begin a new history."
            )


def refuse_log_of_another_name(path: Path) -> None:
    """Raise `ConfigurationError` where the write-ahead log stands beside another hard link of the file, in the same folder.

    SQLite looks for it beside the name that it is given: by this one it would miss what was committed last, and spoil the file.
    """
    real, mine = real_path(path), path.stat()
    if mine.st_nlink < 2:
        return
    for other in real.parent.iterdir():
        log = other.with_name(f"{other.name}-wal")
        with contextlib.suppress(OSError):
            if other.name != real.name and os.path.samestat(other.stat(), mine) and log.stat().st_size:
                raise ConfigurationError(
                    f"{path} and {other.name} are one file, and {log.name} holds what was committed last; "
                    f"start the server on {other}, or stop it there in order, and delete the other name."
                )


def identity_of(path: str) -> Identity | None:
    """Return which file a path names, through links; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  # PERF: a third of what Path.stat takes
    except OSError:
        return None
    return Identity(found.st_dev, found.st_ino)
