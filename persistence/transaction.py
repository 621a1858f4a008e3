"""The writer's transaction on a DB-API connection that it keeps.

PERF: a transaction of six statements takes 10 µs of Python this way and 51 µs through SQLAlchemy's Connection;
with one task waiting for each commit that is most of the writer's work. The engine still makes, prepares and
replaces the connection. The writer's thread; imported by `writes.py` and `retention.py`.
"""

from types import TracebackType

from sqlalchemy import Engine
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.pool import PoolProxiedConnection

from callboard.errors import StoreUnavailable
from callboard.persistence.faults import unavailable


class Transaction:
    """`with transaction as cursor:` commits at the end, or rolls back and raises.

    An error of the database leaves as `StoreUnavailable` or `StorageFull`, with the connection replaced the
    next time; any other error leaves as it is.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._begin = "BEGIN IMMEDIATE" if engine.dialect.name == "sqlite" else None
        self._connection: PoolProxiedConnection | None = None
        self._closed = False

    def __enter__(self) -> DBAPICursor:
        if self._closed:
            raise StoreUnavailable("The store is closed.")
        try:
            if self._connection is None:
                self._connection = self._engine.raw_connection()
            cursor: DBAPICursor = self._connection.cursor()
            if self._begin:
                cursor.execute(self._begin)
        except BaseException as error:
            self._undo(error)
            raise
        return cursor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._undo(error)
            return
        assert self._connection is not None
        try:
            self._connection.commit()
        except BaseException as failed:
            self._undo(failed)
            raise

    def close(self) -> None:
        self._closed = True
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _undo(self, error: BaseException) -> None:
        """Roll back; raise what callers understand if the database is at fault."""
        connection, fault = self._connection, unavailable(error)
        try:
            if connection is not None:
                connection.rollback()
        except Exception as failed:  # noqa: BLE001  # whatever it is, the connection cannot be kept
            fault = fault or unavailable(failed) or StoreUnavailable(f"The transaction cannot be rolled back: {failed}")
        if fault is not None:
            if connection is not None:
                connection.invalidate()
                self._connection = None
            raise fault from error
