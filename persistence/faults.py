"""What a database driver's error means to a caller.

Two kinds: the database does not take the transaction now (`StoreUnavailable`, `StorageFull`), or one record
cannot be stored (everything else). Drivers are told apart by their error codes, never by their messages.
Pure functions; any thread; imported within `persistence/` only.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from callboard.errors import ConfigurationError, StorageFull, StoreUnavailable

POSITIONS = "ix_events_position"
"""The index that has no position given twice: by two writers, of which PostgreSQL lets one go on."""

RESTORE_FILE = "Go back to a backup, with no server at work (docs/operations.md)."

_SQLITE_ERROR = 1  # the statement does not fit the tables
_SQLITE_READONLY = 8
_SQLITE_FULL = 13
_SQLITE_BAD_FILE = frozenset({_SQLITE_ERROR, 11, 14, 26})  # ... corrupt, cannot be opened, not a database

_PG_DISK_FULL = "53100"
_PG_READ_ONLY = "25006"
_PG_TWICE = "23505"
_PG_NO_SUCH = frozenset({"42P01", "42703"})  # table, column

# PEP 249 names that both drivers use for errors that lie in the statement's values.
_ABOUT_VALUES = frozenset({"IntegrityError", "DataError", "ProgrammingError", "NotSupportedError"})


def unavailable(error: BaseException) -> StoreUnavailable | StorageFull | None:
    """Return what to raise for an error of the database itself, or None where a record is at fault."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    if isinstance(error, StoreUnavailable | StorageFull):
        return error
    if isinstance(error, PoolTimeout):
        return StoreUnavailable("Every connection to the database is busy; try again.")
    if not _is_driver_error(error):
        return None
    sqlite_code, pg_code = _sqlite_code(error), getattr(error, "sqlstate", None)
    if sqlite_code == _SQLITE_FULL or pg_code == _PG_DISK_FULL:
        return StorageFull("The disk that holds the history is full; free some space.")
    if sqlite_code == _SQLITE_READONLY or pg_code == _PG_READ_ONLY:
        return StoreUnavailable("The database is read-only; make it writable.")
    if pg_code == _PG_TWICE and error.diag.constraint_name == POSITIONS:  # type: ignore[attr-defined]  # psycopg's
        return StoreUnavailable("Somebody else writes to the history, too, and was quicker; try again.")
    if sqlite_code == _SQLITE_ERROR or _ABOUT_VALUES.intersection(cls.__name__ for cls in type(error).__mro__):
        return None
    return StoreUnavailable(f"The database does not answer as it should: {error}")


def does_not_fit(error: BaseException) -> bool:
    """Say whether a statement may have met a table or column that is missing; the catalogue knows (`shape.py`)."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    return _is_driver_error(error) and (
        _sqlite_code(error) == _SQLITE_ERROR or getattr(error, "sqlstate", None) in _PG_NO_SUCH
    )


def not_opened(error: DBAPIError, url: URL) -> StoreUnavailable | StorageFull | ConfigurationError:
    """Return what to raise for an error met while opening the history: a file that will not do is a bad setting."""
    fault = unavailable(error)
    if fault is None or _sqlite_code(error.orig) in _SQLITE_BAD_FILE:
        sqlite, why = url.get_backend_name() == "sqlite", str(error.orig).strip().removesuffix(".")
        where = url.database if sqlite else url.render_as_string(hide_password=True)
        advice = f"{RESTORE_FILE} Or set CALLBOARD_DATA_DIR." if sqlite else "Set CALLBOARD_DATABASE_URL."
        return ConfigurationError(f"The database cannot hold the history: {where}: {why}. {advice}")
    return fault


def _sqlite_code(error: BaseException | None) -> int | None:
    """Return SQLite's primary result code, the low byte of the extended one."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _is_driver_error(error: BaseException) -> bool:
    """Say whether a DB-API driver made the error, without importing the driver."""
    return any(
        cls.__name__ == "Error" and cls.__module__.partition(".")[0] in ("sqlite3", "psycopg")
        for cls in type(error).__mro__
    )


@contextmanager
def reported() -> Iterator[None]:
    """Turn an error of the database into `StoreUnavailable` or `StorageFull`."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        fault = unavailable(error)
        if fault is None:
            raise
        raise fault from error
