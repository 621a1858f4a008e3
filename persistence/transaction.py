"""The writer's transaction on a DB-API connection that it keeps.

PERF: a transaction of six statements takes 10 µs of Python this way and 51 µs through SQLAlchemy's Connection;
with one task waiting for each commit that is most of the writer's work. The engine still makes, prepares and
replaces the connection. The writer's thread; imported by `writes.py` and `retention.py`.
"""

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.pool import PoolProxiedConnection

from callboard.errors import StoreInDoubt, StoreUnavailable
from callboard.persistence.database_file import DatabaseFile, Identity
from callboard.persistence.faults import does_not_fit, unavailable
from callboard.persistence.shape import lost_by

logger = logging.getLogger("callboard.store")

SHORT_WAIT_MS = 100
"""How long a transaction waits for SQLite's lock after one that was refused: whoever asks is told soon."""


class Transaction:
    """`with transaction as cursor:` commits at the end, or rolls back and raises.

    An error of the database leaves as `StoreUnavailable` or `StorageFull`, with the connection replaced the
    next time; any other error leaves as it is. `file` is the SQLite file to watch over, `on_renewed` is called when
    every other connection to it has to be replaced too. While `lost` says so there is none.
    """

    def __init__(
        self,
        engine: Engine,
        file: DatabaseFile | None = None,
        on_renewed: Callable[[], None] = lambda: None,
        lost: Callable[[], bool] = lambda: False,
    ) -> None:
        self._engine = engine
        self._file = file
        self._on_renewed = on_renewed
        self._lost = lost
        self._sqlite = engine.dialect.name == "sqlite"
        self._connection: PoolProxiedConnection | None = None
        self._log: Identity | None = None  # the write-ahead log that the connection writes
        self._wait_ms = 0  # what `busy_timeout` was before it was shortened; 0: it stands
        self._refused = False
        self._closed = False
        self.lost_connection = False
        """Whether the last fault was a connection that broke before the commit, so that another one may do at once."""
        self.doubtful: str | None = None
        """PostgreSQL's number of the transaction during whose commit the connection broke, None where none did."""

    def __enter__(self) -> DBAPICursor:
        if self._closed:
            raise StoreUnavailable("The store is closed.")
        if self._file is not None:
            self._watch(self._file)
        if self._lost():
            self._refused = True
            raise StoreUnavailable(
                "Another server may have the history by now, so nothing is written; /health says who."
            )
        try:
            cursor = self._cursor()
            if self._sqlite:
                cursor.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            self._undo(error)
            raise
        if self._file is not None and self._log is None:
            self._log = self._file.log_identity()
        return cursor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._undo(error)
            return
        assert self._connection is not None
        number = None
        try:
            number = self._number()
            self._connection.commit()
        except BaseException as failed:
            self._undo(failed, number)
            raise
        if self._refused:
            self._be_patient()

    def took_effect(self, number: str) -> bool:
        """Say what became of a PostgreSQL transaction; raise `StoreInDoubt` while the server still works on it."""
        with self as cursor:
            cursor.execute("SELECT pg_xact_status(%s::xid8)", (number,))
            row = cursor.fetchone()
        if row is not None and row[0] == "in progress":
            raise StoreInDoubt("The database has not ended a transaction whose connection broke; try again.")
        return row is not None and row[0] == "committed"

    def lack(self, error: BaseException) -> StoreUnavailable | None:
        """Return what to raise for an error of a statement where a table or a column is missing: no record is at fault then."""
        if self._connection is None or not does_not_fit(error):
            return None
        lost = lost_by(self._connection.cursor(), self._engine.dialect.name)
        return None if lost is None else StoreUnavailable(lost)

    def shut(self) -> None:
        """Take no more transactions, and leave the connection as it is."""
        self._closed = True

    def close(self) -> None:
        self.shut()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _cursor(self) -> DBAPICursor:
        if self._connection is not None:
            return self._connection.cursor()
        self._connection, self._log = self._engine.raw_connection(), None
        cursor = self._connection.cursor()
        if self._sqlite and self._refused:
            cursor.execute("PRAGMA busy_timeout")
            row = cursor.fetchone()
            self._wait_ms = row[0] if row else 0
            cursor.execute(f"PRAGMA busy_timeout={min(self._wait_ms, SHORT_WAIT_MS)}")
        return cursor

    def _be_patient(self) -> None:
        """Wait for locks as before the fault."""
        self._refused = False
        if self._wait_ms and self._connection is not None:
            self._connection.cursor().execute(f"PRAGMA busy_timeout={self._wait_ms}")
        self._wait_ms = 0

    def _number(self) -> str | None:
        """Return PostgreSQL's number of the transaction, None where it has written nothing."""
        if self._sqlite:
            return None
        cursor = self._connection.cursor()  # type: ignore[union-attr]  # there is one until the end
        cursor.execute("SELECT pg_current_xact_id_if_assigned()::text")
        row = cursor.fetchone()
        return None if row is None else row[0]

    def _watch(self, file: DatabaseFile) -> None:
        """Raise `StoreUnavailable` where SQLite would write to a file that nobody will find again."""
        try:
            file.check()
        except StoreUnavailable:
            self._refused = True
            raise
        if self._log is not None and file.log_identity() != self._log:
            self._save_log(file)

    def _save_log(self, file: DatabaseFile) -> None:
        """Bring what a deleted write-ahead log holds into the file, then begin another log with fresh connections."""
        assert self._connection is not None
        cursor = self._connection.cursor()
        try:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            row = cursor.fetchone()
        except Exception as error:
            # Invariant: this connection is kept, for it alone still reaches the log
            raise unavailable(error) or error from error
        if row is None or row[0]:
            raise StoreUnavailable(f"{file.path}-wal is gone and what it held is being saved; try again.")
        logger.error("%s-wal was deleted or replaced under the server; what it held was saved", file.path)
        self._drop()
        self._on_renewed()

    def _undo(self, error: BaseException, committing: str | None = None) -> None:
        """Roll back; raise what callers understand if the database is at fault."""
        connection, fault = self._connection, unavailable(error)
        lost = not self._sqlite and connection is not None and self._broken(connection)
        self.lost_connection = lost and committing is None
        self.doubtful = committing if lost else None
        try:
            if connection is not None:
                connection.rollback()
                fault = fault or self.lack(error)
        except Exception as failed:  # noqa: BLE001  # whatever it is, the connection cannot be kept
            fault = fault or unavailable(failed) or StoreUnavailable(f"The transaction cannot be rolled back: {failed}")
        if fault is not None:
            self._refused = True
            self._drop()
            if self.doubtful is not None:
                raise StoreInDoubt("The connection to the database broke during a commit; try again.") from error
            raise fault from error

    @staticmethod
    def _broken(connection: PoolProxiedConnection) -> bool:
        driver: Any = connection.driver_connection
        return bool(driver is None or driver.closed or driver.broken)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection = None
            self._log = None
            self._wait_ms = 0
