"""What a database driver's error means to a caller.

Two kinds: the database does not take the transaction now (`StoreUnavailable`, `StorageFull`), or one record
cannot be stored (everything else). Drivers are told apart by their error codes, never by their messages.
Pure functions; any thread; imported within `persistence/` only.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from callboard.errors import ConfigurationError, StorageFull, StoreUnavailable

_SQLITE_ERROR = 1  # the statement does not fit the tables
_SQLITE_READONLY = 8
_SQLITE_FULL = 13
_SQLITE_BAD_FILE = frozenset({_SQLITE_ERROR, 11, 14, 26})  # ... corrupt, cannot be opened, not a database

_PG_DISK_FULL = "53100"
_PG_READ_ONLY = "25006"

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
    if sqlite_code == _SQLITE_ERROR or _ABOUT_VALUES.intersection(cls.__name__ for cls in type(error).__mro__):
        return None
    return StoreUnavailable(f"The database does not answer as it should: {error}")


def not_opened(error: DBAPIError) -> StoreUnavailable | StorageFull | ConfigurationError:
    """Return what to raise for an error met while opening the history: a file that will not do is a bad setting."""
    fault = unavailable(error)
    if fault is None or _sqlite_code(error.orig) in _SQLITE_BAD_FILE:
        return ConfigurationError(f"The database cannot hold the history: {error.orig}")
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
