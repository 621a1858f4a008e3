"""Engines: one connection that writes, a pool that reads.

SQLite: write-ahead log, so that readers and the writer never wait for each other; `synchronous=FULL`, so that a
commit is on the disk; and BEGIN IMMEDIATE, so that a transaction waits for the lock at its start, where waiting
works, and not in its middle, where SQLite answers "locked" at once. PostgreSQL: by its address.
Called by `store.py` at start; engines are safe in any thread.
"""

import contextlib
import ctypes
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from weakref import WeakSet

from sqlalchemy import URL, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from callboard import inheritance
from callboard.clock import Clock
from callboard.errors import ConfigurationError
from callboard.installing import install_command
from callboard.paths import written_path
from callboard.persistence.database_file import DatabaseFile, prepare, sqlite_path
from callboard.persistence.tables import dump_json, load_json
from callboard.settings import Settings, environment

LOCK_WAIT_MS = 5000
"""How long a transaction waits for another's lock before the store is called unavailable."""

_PATIENCE = {"connect_timeout": "5", "tcp_user_timeout": "10000"}
"""How long PostgreSQL's driver waits for a host that is silent, in seconds and milliseconds; the address may differ."""

READERS = 8


def database_of(settings: Settings) -> URL:
    """Return the address of the history; raise `ConfigurationError` where it cannot hold one.

    The path of the data folder never goes through the text of an address, where some of its signs would mean something.
    """
    if settings.database_url:
        return parse_url(settings.database_url)
    return URL.create("sqlite+pysqlite", database=str(settings.require_data_dir() / "callboard.db"))


def parse_url(address: str) -> URL:
    """Return the address that CALLBOARD_DATABASE_URL holds, one of SQLite with the full path of its file.

    Raises `ConfigurationError` where it cannot hold the history.
    """
    try:
        url = make_url(address.replace("postgres://", "postgresql://", 1))
        if url.port is not None and not 0 < url.port < 65_536:
            raise ValueError("a port is a number from 1 to 65535")
    except (ArgumentError, ValueError) as error:  # the latter of a port of thousands of digits too
        raise ConfigurationError(
            "CALLBOARD_DATABASE_URL is not a database address; write sqlite:////path/file.db or postgresql://…"
        ) from error
    backend = url.get_backend_name()
    if backend == "sqlite":
        return URL.create("sqlite+pysqlite", database=str(_written_file(url)))
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg", query={**_PATIENCE, **url.query})
    raise ConfigurationError(f"CALLBOARD_DATABASE_URL names {backend}; sqlite and postgresql are supported.")


def open_writer(url: URL, *, clock: Clock, lock_wait_ms: int = LOCK_WAIT_MS) -> Engine:
    """Return the engine of the connection that writes; creates a missing SQLite file and its folder."""
    if url.get_backend_name() == "sqlite":
        prepare(sqlite_path(url))
        engine = create(existing(url), pool_size=1, max_overflow=0)
        event.listen(engine, "connect", _on_sqlite_writer(clock, lock_wait_ms))
        event.listen(engine, "begin", _begin_immediate)
    else:
        engine = create(url, pool_size=1, max_overflow=0)
        event.listen(engine, "connect", _on_postgresql_writer(lock_wait_ms))
    return engine


def open_readers(url: URL, *, lock_wait_ms: int = LOCK_WAIT_MS, file: DatabaseFile | None = None) -> Engine:
    """Return the engine that any thread reads with; each statement is a transaction of its own.

    With `file` a new connection is refused, with `StoreUnavailable`, while the path names another file.
    """
    postgresql = url.get_backend_name() == "postgresql"
    engine = create(
        url if postgresql else existing(url),
        pool_size=READERS,
        max_overflow=-1,
        pool_use_lifo=True,  # few connections stay warm, each with its page cache
        pool_pre_ping=postgresql,
        isolation_level="AUTOCOMMIT",
    )
    if not postgresql:
        event.listen(engine, "connect", _on_sqlite_reader(lock_wait_ms, file))
        event.listen(engine, "handle_error", _on_failed_read)
    return engine


def existing(url: URL, mode: str = "rw") -> URL:
    """Return a SQLite address that opens a file that is there and creates none.

    Creating one would be fatal while the file has been moved away: SQLite deletes the write-ahead log beside an empty
    file, and with it what was committed last.
    """
    return url.set(database=f"file:{quote(str(sqlite_path(url)))}", query={"mode": mode, "uri": "true"})


def create(url: URL, **options: Any) -> Engine:
    """Return an engine; raise `ConfigurationError` if its driver is not installed."""
    if url.get_backend_name() == "sqlite":
        options["connect_args"] = {"factory": _Connection}
    try:
        engine = create_engine(url, json_serializer=dump_json, json_deserializer=load_json, **options)
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigurationError(
            f"The driver of {url.drivername} is missing; install it with: {install_command('postgres')}"
        ) from error
    event.listen(engine, "connect", lambda connection, _record: _connections.add(connection))
    return engine


class _Connection(sqlite3.Connection):
    """A connection that can be referred to weakly, as those of PostgreSQL's driver can."""


_connections: "WeakSet[Any]" = WeakSet()


def _sockets() -> Iterator[int]:
    """Yield the descriptors of PostgreSQL's connections: a copy's end must not keep one open, with its locks, nor close it."""
    for connection in list(_connections):
        if not isinstance(connection, sqlite3.Connection) and not connection.closed:
            yield connection.fileno()


def _keep_for_ever() -> None:
    """Have the copy never close a connection of SQLite's, not at its end either.

    A copy has none of the locks that its SQLite takes for its own: to close a connection is to roll back what the server is
    writing, and maybe to delete its write-ahead log. Left alone the descriptors do nothing.
    """
    for connection in list(_connections):
        if isinstance(connection, sqlite3.Connection):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


inheritance.withhold(_sockets)
inheritance.in_copies(_keep_for_ever)


def _written_file(url: URL) -> Path:
    """Return the path of the file that an address of SQLite names, plainly or as a `file:` URI."""
    path, in_memory = url.database or "", url.query.get("mode") == "memory"
    if path.startswith("file:"):
        parts = urlsplit(path)
        path, in_memory = unquote(parts.path, errors="surrogateescape"), in_memory or "mode=memory" in parts.query
    if in_memory or path in ("", ":memory:"):
        raise ConfigurationError("CALLBOARD_DATABASE_URL names an in-memory SQLite; give it a file's path.")
    try:
        return written_path(path, environment())
    except ValueError as error:
        raise ConfigurationError(f"CALLBOARD_DATABASE_URL: the path of the file {error}.") from error


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _on_sqlite_writer(clock: Clock, lock_wait_ms: int) -> Any:
    def connect(connection: sqlite3.Connection, _record: object) -> None:
        # The driver must not begin transactions of its own: they would be deferred ones.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={lock_wait_ms}")
        _enter_wal(connection, clock, lock_wait_ms / 1000)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA journal_size_limit=67108864")

    return connect


def _enter_wal(connection: sqlite3.Connection, clock: Clock, wait_s: float) -> None:
    """Switch the file to a write-ahead log, once and for all.

    SQLite does not wait for a lock here, so two processes that open a new file at once have to try again.
    """
    deadline = clock.monotonic() + wait_s
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or clock.monotonic() > deadline:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise ConfigurationError(
            f"SQLite cannot keep a write-ahead log there (it says {mode!r}); put the data folder on a local disk."
        )


def _on_sqlite_reader(lock_wait_ms: int, file: DatabaseFile | None) -> Any:
    def connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA busy_timeout={lock_wait_ms}")
        connection.execute("PRAGMA query_only=ON")
        if file is None:
            return
        try:
            # SQLite opens the write-ahead log by its path, at the first read: from here on the connection has both files.
            with contextlib.suppress(sqlite3.OperationalError):  # it is told where the connection is used
                connection.execute("PRAGMA schema_version").fetchone()
            file.check_identity()
        except BaseException:
            connection.close()
            raise

    return connect


def _on_failed_read(context: ExceptionContext) -> None:
    """Have a connection closed that met an error of the file: what it has open may be another file, for good."""
    if context.is_disconnect or context.connection is None:
        return
    code = getattr(context.original_exception, "sqlite_errorcode", sqlite3.SQLITE_BUSY) & 0xFF
    if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_INTERRUPT):
        context.is_disconnect, context.invalidate_pool_on_disconnect = True, False


def _on_postgresql_writer(lock_wait_ms: int) -> Any:
    def connect(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {lock_wait_ms}")
        connection.commit()

    return connect
