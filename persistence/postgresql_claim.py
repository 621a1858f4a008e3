"""The hold on a history in PostgreSQL: an advisory lock, which is gone as soon as PostgreSQL ends the connection that took it.

The connection is watched, so that its end is known at once and not at the next look of the health monitor: the lock is then
taken again, and where another server was faster, work stops until that one has gone.
Threads: the watch is one of its own, until the hold is let go of; everything else any. Imported by `claim.py`.
"""

import contextlib
import logging
import os
import select
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, text
from sqlalchemy.exc import DBAPIError

from callboard import inheritance
from callboard.errors import StoreUnavailable, Unavailable
from callboard.persistence.engine import create
from callboard.persistence.faults import not_opened, reported
from callboard.persistence.file_claim import taken

logger = logging.getLogger("callboard.store")

ADVISORY_KEY = 0x63616C6C
"""What is locked: "call", a number of ours within the database."""

_LET_GO_S = 1.0
_LOOK_S = 1.0
"""How often the watch looks whether it is over."""

# PostgreSQL asks whether we are still there, so that it lets go of a lock whose holder it cannot reach: within half a
# minute, and not after the two hours of most systems. In seconds; no matter on a Unix socket.
_KEEPALIVES = {"tcp_keepalives_idle": 15, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}


class PostgresqlClaim:
    """The lock, and the connection that has it."""

    def __init__(self, url: URL) -> None:
        self._where = url.render_as_string(hide_password=True)
        self._engine = _engine(url)
        # Guards the connection: the watch and the health monitor may be at renewing it when the wiring, which ends, lets go.
        # An actor can't: it must hold while no actor runs yet, and none any more.
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._pid = 0  # of the connection that took the lock last, at PostgreSQL's end
        try:
            self._connection = self._take()
        except DBAPIError as error:
            raise not_opened(error, url) from error
        if self._connection is None:
            raise taken(self._where, str(_holder(self._engine) or "it has ended meanwhile"))
        self._end_withholding = inheritance.withhold(self._descriptors)
        self._watch: threading.Thread | None = None
        self._woken, self._wake = os.pipe()

    @property
    def lost(self) -> bool:
        return self._connection is None and not self._over.is_set()

    def renew(self) -> None:
        with self._lock, reported():
            try:
                if not self._over.is_set() and not self._alive():
                    self._take_again()
            finally:
                if self._over.is_set():
                    self._close()

    def watch(self, on_loss: Callable[[], None]) -> None:
        self._watch = threading.Thread(target=self._renew_at_its_end, args=[on_loss], name="claim", daemon=True)
        self._watch.start()

    def let_go(self) -> None:
        self._end_withholding()
        self._over.set()
        os.close(self._wake)
        if self._watch is not None:
            self._watch.join(_LET_GO_S)
        if self._watch is None or not self._watch.is_alive():
            os.close(self._woken)
        if self._lock.acquire(timeout=_LET_GO_S):  # otherwise whoever renews closes it
            try:
                self._close()
            finally:
                self._lock.release()

    def _renew_at_its_end(self, on_loss: Callable[[], None]) -> None:
        """Renew the hold as soon as its connection says anything, for that can only be its end; the watch's thread."""
        while not self._over.is_set():
            if not _says(self._descriptors(), self._woken) and not self.lost:
                continue
            with contextlib.suppress(Unavailable, DBAPIError):  # the next probe tells it
                self.renew()
            if self.lost:
                on_loss()
                self._over.wait(_LOOK_S)

    def _descriptors(self) -> list[int]:
        connection = self._connection
        driver: Any = None
        with contextlib.suppress(Exception):  # it may be closed at this moment
            driver = connection and connection.connection.driver_connection
            return [] if driver is None or driver.closed else [driver.fileno()]
        return []

    def _take(self) -> Connection | None:
        """Return a connection that holds the lock, or None if another one does."""
        connection = self._engine.connect()
        try:
            for setting, value in _KEEPALIVES.items():
                connection.execute(text(f"SET {setting} = {value}"))
            connection.execute(text("SELECT set_config('application_name', :name, false)"), {"name": _name()})
            if connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_KEY}).scalar_one():
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
            raise self._taken_meanwhile()
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

    def _taken_meanwhile(self) -> StoreUnavailable:
        other = _holder(self._engine)
        if other is not None and other.pid == self._pid:
            return StoreUnavailable(
                f"The connection that holds the history {self._where} broke, and PostgreSQL has not noticed it yet; "
                "it is tried again."
            )
        return StoreUnavailable(
            f"Another server has taken the history {self._where}, since the connection that held it broke: "
            f"{other or 'it has ended meanwhile'}. Stop one of them."
        )


@dataclass(frozen=True, slots=True)
class Holder:
    """The connection that holds a history, as PostgreSQL knows it: the number is that of its own process."""

    pid: int
    name: str
    address: str
    since: str

    def __str__(self) -> str:
        return (
            f"the connection {self.pid} of {self.name or 'a program without a name'}, from {self.address}, since {self.since}, "
            f"has it; end that program, or its connection with `SELECT pg_terminate_backend({self.pid})`"
        )


def holder(url: URL) -> Holder | None:
    """Return which connection holds the history of a database."""
    return _holder(_engine(url))


def _engine(url: URL) -> Engine:
    return create(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")


def _holder(engine: Engine) -> Holder | None:
    held = text(
        "SELECT pid, coalesce(application_name, ''), coalesce(host(client_addr), 'this machine'), "
        "to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"') "
        "FROM pg_locks JOIN pg_database d ON d.oid = database AND d.datname = current_database() "
        "LEFT JOIN pg_stat_activity USING (pid) "
        "WHERE locktype = 'advisory' AND classid = 0 AND objid = :key AND objsubid = 1 AND granted"
    )
    with engine.connect() as connection:
        row = connection.execute(held, {"key": ADVISORY_KEY}).first()
        return None if row is None else Holder(row[0], row[1], row[2], row[3] or "a time that is not told")


def _name() -> str:
    """Return what this process is called in PostgreSQL's list of connections, which has room for 63 bytes."""
    return f"callboard, process {os.getpid()} on {socket.gethostname()}"[:63]


def _says(descriptors: Iterable[int], woken: int) -> bool:
    """Wait until one of them has something to read, or the watch is woken; say whether it was one of them."""
    poll = select.poll()
    for descriptor in (*descriptors, woken):
        poll.register(descriptor, select.POLLIN)
    return any(descriptor != woken for descriptor, _event in poll.poll(_LOOK_S * 1000))
