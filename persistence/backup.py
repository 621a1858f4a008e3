"""Copying the history while a server runs: SQLite's backup API into a file beside the target, checked, then renamed.

A copy appears under its name whole or not at all. Called by the command line, in its thread.
"""

import fcntl
import glob
import os
import sqlite3
import stat
import tempfile
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, NullPool

from callboard.errors import BackupFailed, CallboardError, ConfigurationError, StorageFull
from callboard.persistence.database_file import sqlite_path
from callboard.persistence.engine import create, database_of, existing
from callboard.persistence.migrate import is_this_versions, schema_of
from callboard.persistence.shape import fault_of
from callboard.settings import Settings

_UNFINISHED = ".unfinished"
POSITIONS_AHEAD = 1_000_000_000
"""How far a copy's next position is above the history's: further than that goes on before somebody goes back to the copy."""

_STEP_PAGES = 1024
"""Pages copied at a time; between two steps the server may write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A copy that was made and checked; `lacks` says what the history, and so the copy, has lost, None where it is whole."""

    path: Path
    size_bytes: int
    tasks: int
    lacks: str | None


def back_up(settings: Settings, target: Path) -> Backup:
    """Copy the history to `target`, which must not exist, readable by its owner only.

    Raises `BackupFailed`, or `StorageFull` if the target's disk has no room. Nothing is left behind then.
    """
    url = database_of(settings)
    if url.get_backend_name() != "sqlite":
        raise BackupFailed("The history is in PostgreSQL, which has its own tool; use pg_dump (docs/operations.md).")
    source = sqlite_path(url)
    if not source.exists():
        raise BackupFailed(f"There is no history at {source}; set CALLBOARD_DATA_DIR to the server's data folder.")
    if target.exists() or target.is_symlink():
        raise BackupFailed(f"{target} is there already; name another file, or remove it first.")
    try:
        _delete_left_behind(target)
        descriptor, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=_UNFINISHED, dir=target.parent
        )  # mode 0600
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until it is closed: somebody is at work on it
    except OSError as error:
        raise BackupFailed(f"No file can be made in {target.parent}: {error.strerror}.") from error
    beside = Path(name)
    try:
        _copy(source, beside)
        tasks, lacks = _look_into(beside)
        return Backup(path=target, size_bytes=_publish(beside, target), tasks=tasks, lacks=lacks)
    except sqlite3.Error as error:
        raise _failed(error, source) from error
    finally:
        for file in (beside, Path(f"{beside}-journal")):
            with suppress(FileNotFoundError):
                file.unlink()
        os.close(descriptor)


def _delete_left_behind(target: Path) -> None:
    """Delete what an earlier backup to this name has left that was killed; nobody holds its lock any more."""
    for path in target.parent.glob(f".{glob.escape(target.name)}.*{_UNFINISHED}"):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for left in (path, Path(f"{path}-journal")):
                    left.unlink(missing_ok=True)
            finally:
                os.close(descriptor)


def _copy(source: Path, target: Path) -> None:
    """Copy the pages, have SQLite check them, and leave room above the positions for those that are given meanwhile."""
    with (
        # Not read-only: such a connection would leave an empty log behind where no server is at work.
        closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True, isolation_level=None)) as live,
        closing(sqlite3.connect(target)) as copy,
    ):
        live.execute("PRAGMA query_only=ON")
        # One read transaction, so that what the server writes meanwhile does not make the copy begin anew.
        live.execute("BEGIN")
        live.backup(copy, pages=_STEP_PAGES)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, which needs no log beside it
        found = [row[0] for row in copy.execute("PRAGMA integrity_check(1)")]
        if found != ["ok"]:
            raise BackupFailed(f"The copy is damaged ({found[0]}), so the history is; run callboard doctor.")
        _leave_room(copy)


def _leave_room(copy: sqlite3.Connection) -> None:
    """Have what goes on with the copy give positions that nobody was told of.

    Else who has followed the history would take them for those that it knows, and miss them.
    """
    try:
        copy.execute(
            "UPDATE totals SET position = max(position, (SELECT coalesce(max(position), 0) FROM events)) + ?",
            (POSITIONS_AHEAD,),
        )
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        return  # a table or a column is lost, of which is told below, or it is from before there were positions
    copy.commit()


def _look_into(copy: Path) -> tuple[int, str | None]:
    """Return how many tasks a copy holds, and what of this version's schema has been dropped from it.

    Of another version's schema nothing is known. Raises SQLite's error where it is no history at all.
    """
    engine = create(existing(URL.create("sqlite+pysqlite", database=str(copy)), "ro"), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            lost = fault_of(connection) if is_this_versions(schema_of(connection), connection) else None
    finally:
        engine.dispose()
    with closing(sqlite3.connect(copy)) as connection:
        try:
            tasks: int = connection.execute("SELECT count(*) FROM tasks").fetchone()[0]
        except sqlite3.OperationalError:
            if lost is None:
                raise
            tasks = 0
    return tasks, None if lost is None else " ".join(lost)


def _publish(beside: Path, target: Path) -> int:
    """Bring the copy to the disk and give it its name; return its size in bytes."""
    with beside.open("rb") as file:
        os.fsync(file.fileno())
        size = os.fstat(file.fileno())
    assert stat.S_IMODE(size.st_mode) == 0o600
    try:
        os.link(beside, target)  # unlike a rename it never replaces a file that has come up meanwhile
    except FileExistsError as error:
        raise BackupFailed(f"{target} has come up meanwhile; name another file.") from error
    except OSError:  # a file system without links
        beside.rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return size.st_size


def _failed(error: sqlite3.Error, source: Path) -> CallboardError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageFull("The disk of the copy is full; free some space or name a file on another one.")
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
        return ConfigurationError(f"{source} is not a history of Callboard: {error}.")
    return BackupFailed(f"{source} cannot be copied: {error}; run callboard doctor.")
