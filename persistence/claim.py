"""One server's hold on a history: a second one that worked on the same tasks would run them twice.

SQLite: a lock on a file beside the database, which the operating system lets go of when the process dies, however it
dies. PostgreSQL: an advisory lock of a connection that is kept open, and looked at by the health monitor: where it broke
the lock is taken again, and where another server has it meanwhile, health says so. Taken and released by the wiring.
"""

import fcntl
import logging
import os
import threading
import time
from pathlib import Path
from typing import Protocol

from sqlalchemy import URL, Connection, Engine, NullPool, text
from sqlalchemy.exc import DBAPIError

from callboard.errors import ConfigurationError, StoreUnavailable
from callboard.paths import why_not
from callboard.persistence.database_file import sqlite_path
from callboard.persistence.engine import create, database_of
from callboard.persistence.faults import not_opened, reported
from callboard.settings import Settings

logger = logging.getLogger("callboard.store")

_ADVISORY_KEY = 0x63616C6C  # "call"; a number of ours within the database
_LET_GO_S = 1.0
_PATIENCE_S = 0.5
"""How long a lock on a file is tried for."""

# PostgreSQL asks whether we are still there, so that it lets go of a lock whose holder it cannot reach: within half a
# minute, and not after the two hours of most systems. In seconds; no matter on a Unix socket.
_KEEPALIVES = {"tcp_keepalives_idle": 15, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}


class Claim(Protocol):
    """The hold on a history; both methods in any thread."""

    def renew(self) -> None:
        """Make sure of the hold, and take it again if it got lost; raise `StoreUnavailable` if it cannot be had."""

    def let_go(self) -> None:
        """End the hold."""


def claim(settings: Settings) -> Claim:
    """Take the history that the settings name for this server alone.

    Raises `ConfigurationError` if another server, in this process or any other, has it.
    """
    url = database_of(settings)
    if url.get_backend_name() == "postgresql":
        return _PostgresqlClaim(url)
    return _FileClaim(_lock_of(url))


def is_claimed(settings: Settings) -> bool:
    """Say whether some server has the history, without taking it."""
    url = database_of(settings)
    if url.get_backend_name() == "postgresql":
        return _holder(create(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")) is not None
    try:
        descriptor = os.open(_lock_of(url), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock_of(url: URL) -> Path:
    path = sqlite_path(url)
    return path.with_name(f"{path.name}.lock")


class _FileClaim:
    """A lock on a file: it cannot get lost while the process lives."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigurationError(f"The history cannot be kept at {path.parent}: {why_not(error)}.") from error
        try:
            self._take()
        except OSError as error:
            os.close(self._descriptor)
            raise _taken(str(path.with_suffix(""))) from error

    def _take(self) -> None:
        """Lock the file; raise `OSError` where another server has it.

        A server that was killed while it started a process leaves the lock to that one until the program is loaded, a few
        milliseconds or, on a busy machine, a few hundred: whoever restarts it at once must not be refused.
        """
        until_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > until_s:
                    raise
            threading.Event().wait(0.01)

    def renew(self) -> None:
        """Do nothing."""

    def let_go(self) -> None:
        os.close(self._descriptor)


class _PostgresqlClaim:
    """An advisory lock, which is gone as soon as PostgreSQL ends the connection that took it."""

    def __init__(self, url: URL) -> None:
        self._where = url.render_as_string(hide_password=True)
        self._engine = create(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        # guards the connection: the health monitor may be at renewing it when the wiring, which ends, lets go
        self._lock = threading.Lock()
        self._over = False
        self._pid = 0  # of the connection that took the lock last, at PostgreSQL's end
        try:
            self._connection = self._take()
        except DBAPIError as error:
            raise not_opened(error) from error
        if self._connection is None:
            raise _taken(self._where)

    def renew(self) -> None:
        with self._lock, reported():
            try:
                if not self._over and not self._alive():
                    self._take_again()
            finally:
                if self._over:
                    self._close()

    def let_go(self) -> None:
        self._over = True
        if self._lock.acquire(timeout=_LET_GO_S):  # otherwise whoever renews closes it
            try:
                self._close()
            finally:
                self._lock.release()

    def _take(self) -> Connection | None:
        """Return a connection that holds the lock, or None if another one does."""
        connection = self._engine.connect()
        try:
            for setting, value in _KEEPALIVES.items():
                connection.execute(text(f"SET {setting} = {value}"))
            if connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_KEY}).scalar_one():
                self._pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def _take_again(self) -> None:
        self._connection = self._take()
        if self._connection is None:
            raise self._lost()
        logger.warning("the connection that held the history had broken; another one holds it now")

    def _alive(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.execute(text("SELECT 1"))
        except DBAPIError:
            self._close()
            return False
        return True

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _lost(self) -> StoreUnavailable:
        if _holder(self._engine) == self._pid:
            return StoreUnavailable(
                f"The connection that holds the history {self._where} broke, and PostgreSQL has not noticed it yet; "
                "it is tried again."
            )
        return StoreUnavailable(
            f"Another server has taken the history {self._where}, "
            "since the connection that held it broke; stop one of them."
        )


def _holder(engine: Engine) -> int | None:
    """Return the process, at PostgreSQL's end, that holds the history of a database."""
    held = text(
        "SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database AND d.datname = current_database() "
        "WHERE locktype = 'advisory' AND classid = 0 AND objid = :key AND objsubid = 1 AND granted"
    )
    with engine.connect() as connection:
        pid: int | None = connection.execute(held, {"key": _ADVISORY_KEY}).scalar()
        return pid


def _taken(where: str) -> ConfigurationError:
    return ConfigurationError(
        f"Another server is at work on the history {where}; stop it first, "
        "or give this one a history of its own with CALLBOARD_DATA_DIR or CALLBOARD_DATABASE_URL."
    )
