"""`callboard doctor`: looks at the data folder and the history, and says what is wrong and what to do.

Reads only: it creates nothing, migrates nothing, and takes no server's place. Works beside a running server.
Called by the command line, in its thread.
"""

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, NullPool, event, text
from sqlalchemy.exc import DBAPIError

from callboard.clock import Clock
from callboard.errors import ConfigurationError
from callboard.persistence.claim import claimed_by, is_claimed
from callboard.persistence.database_file import OLDEST_SQLITE, real_path, refuse_orphaned_log, sqlite_path
from callboard.persistence.engine import create, database_of, existing
from callboard.persistence.faults import RESTORE_FILE
from callboard.persistence.findings import Finding, Level, of_tables
from callboard.persistence.migrate import ADVICE, HEAD_REVISION, REVISIONS, Schema, is_this_versions, schema_of
from callboard.persistence.shape import fault_of
from callboard.secret_files import LOSS, check_webhook_secret, remedy, secret_fault
from callboard.settings import Settings
from callboard.values import decoded

LOW_BYTES = 200 << 20
NONE_BYTES = 10 << 20
"""Free space below which the disk is called nearly full, and full."""


def examine(settings: Settings, *, clock: Clock | None = None) -> Iterator[Finding]:
    """Look at everything that the settings name, in order; raise `ConfigurationError` for an address that is none."""
    url = database_of(settings)
    try:
        yield from _examine(url, settings, clock or Clock())
    except OSError as error:
        what = f"{error.filename or settings.data_dir} cannot be looked at: {error.strerror}."
        yield _found("error", "folder", what, "Let this user read and write it, or run this as the server's user.")


def _examine(url: URL, settings: Settings, clock: Clock) -> Iterator[Finding]:
    sqlite = url.get_backend_name() == "sqlite"
    yield from _folder(settings)
    if (
        sqlite and sqlite_path(url).exists() and not sqlite_path(url).is_file()
    ):  # to open a pipe would wait for its other end
        yield _found(
            "error", "database", f"{sqlite_path(url)} is no file.", "Move it away, or put a backup in its place."
        )
        return
    if sqlite:
        yield from _file(sqlite_path(url))
        if not sqlite_path(url).exists() or _is_empty(sqlite_path(url)):
            return
    try:
        yield from _database(url, settings, clock)
    except DBAPIError as error:
        yield _found("error", "database", f"The database cannot be read: {error.orig}.", RESTORE_FILE if sqlite else "")


def _found(level: Level, check: str, message: str, advice: str = "") -> Finding:
    return Finding(level=level, check=check, message=message, advice=advice)


# --- files ------------------------------------------------------------------------------------------------------------


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.require_data_dir()
    if not folder.is_dir():
        advice = "Start the server, which makes it, or set CALLBOARD_DATA_DIR."
        yield _found("error", "folder", f"There is no data folder {folder}.", advice)
        return
    yield _writable("folder", folder) or _privacy("folder", folder, f"chmod 700 {folder}")
    yield _secret("key", folder / "secret.key", "CALLBOARD_SECRET_KEY" if settings.secret_key else "")
    webhook_setting = "CALLBOARD_WEBHOOK_SECRET" if settings.webhook_secret else ""
    yield _secret("webhook", folder / "webhook.secret", webhook_setting)
    free = shutil.disk_usage(folder).free
    level: Level = "error" if free < NONE_BYTES else "warning" if free < LOW_BYTES else "ok"
    advice = "" if level == "ok" else "Free some space, or set CALLBOARD_RETENTION_DAYS."
    yield _found(level, "disk", f"{free / (1 << 20):,.0f} MB are free at {folder}.", advice)


def _writable(check: str, path: Path) -> Finding | None:
    """Return an error where the server could not write, None where it can."""
    advice = "Make it writable for the server's user: without that the server cannot start here."
    try:
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return _found("error", check, f"The file system of {path} is read-only.", advice)
        if not os.access(path, os.W_OK | (os.X_OK if path.is_dir() else 0)):
            return _found("error", check, f"{path} cannot be written.", advice)
    except OSError as error:
        return _found("error", check, f"{path} cannot be looked at: {error.strerror}.", advice)
    return None


def _secret(check: str, path: Path, setting: str) -> Finding:
    """Look at a secret's file; `setting` is what is used instead of it, if anything."""
    if setting:
        return _found("ok", check, f"{setting} is set.")
    if not os.path.lexists(path):  # a link to nothing is there, and no start makes a secret behind it
        advice = f"Put it back from a backup if there was one; without it {LOSS[path.name]}."
        return _found("warning", check, f"There is no {path}; the next start makes another one.", advice)
    try:
        fault = secret_fault(path)
        if fault is None and check == "webhook":
            check_webhook_secret(decoded(path.read_bytes()).strip())
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
    except ValueError as error:
        fault = str(error)
    if fault:
        return _found("error", check, f"{path} {fault}.", remedy(path))
    return _privacy(check, path, f"chmod 600 {path}")


def _privacy(check: str, path: Path, remedy: str) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return _found("warning", check, f"Others may reach {path} (its mode is {mode:03o}).", f"Run: {remedy}")
    return _found("ok", check, f"{path} is its owner's alone.")


def _file(path: Path) -> Iterator[Finding]:
    version = sqlite3.sqlite_version_info
    if version < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE[:2]))
        yield _found("error", "sqlite", f"SQLite {sqlite3.sqlite_version} is too old.", f"Install {wanted} or later.")
    else:
        yield _found("ok", "sqlite", f"SQLite {sqlite3.sqlite_version}.")
    try:
        refuse_orphaned_log(path)
    except ConfigurationError as error:
        yield _found("error", "file", error.message, RESTORE_FILE)
        return
    if not path.exists():
        yield _found("warning", "file", f"There is no history at {path} yet.", "Start the server, which makes it.")
    elif _is_empty(path):
        yield _writable("file", path) or _found("ok", "file", f"{path} is empty: there is no history yet.")
    else:
        yield _writable("file", path) or _privacy("file", path, f"chmod 600 {path}")
        if (names := path.stat().st_nlink) > 1:
            message = (
                f"{path} has {names} names (hard links), and SQLite keeps its log beside the one that it is opened by."
            )
            yield _found("warning", "names", message, "Delete the others: who opens it by another name misses the log.")


def _is_empty(path: Path) -> bool:
    """Say whether a database's file has no bytes, on which the server starts as if it were not there."""
    return path.is_file() and not path.stat().st_size


# --- the database -----------------------------------------------------------------------------------------------------


def _database(url: URL, settings: Settings, clock: Clock) -> Iterator[Finding]:
    served = is_claimed(settings)
    yield _found(
        "ok",
        "server",
        f"A server is at work on it: {claimed_by(settings)}." if served else "No server is at work on it.",
    )
    engine = _reading_engine(url, served=served)
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                yield _integrity(connection)
            schema = schema_of(connection)
            fault = fault_of(connection) if is_this_versions(schema, connection) else None
            yield _schema(schema) if fault is None else _found("error", "schema", *fault)
            if schema.is_usable and fault is None:
                yield from of_tables(connection, now=clock.now(), served=served)
    finally:
        engine.dispose()


def _reading_engine(url: URL, *, served: bool) -> Engine:
    """Return an engine whose connection sees one moment of the database, and cannot change it."""
    if url.get_backend_name() == "postgresql":
        engine = create(url, poolclass=NullPool, isolation_level="REPEATABLE READ")
        first = "SET TRANSACTION READ ONLY"
    else:
        engine = create(_at_rest(url) if not served else existing(url, "ro"), poolclass=NullPool)
        event.listen(engine, "connect", _on_connect)
        first = "BEGIN"

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(first)

    event.listen(engine, "begin", begin)
    return engine


def _at_rest(url: URL) -> URL:
    """Return the address of a file that nobody writes, so that SQLite makes no log beside it; a log that is there
    is read too.
    """
    path = real_path(sqlite_path(url))
    log = path.with_name(f"{path.name}-wal")
    address = existing(url, "ro")
    return address if log.exists() else address.update_query_dict({"immutable": "1"})


def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute("PRAGMA query_only=ON")


def _integrity(connection: Connection) -> Finding:
    found = [row[0] for row in connection.execute(text("PRAGMA integrity_check(3)"))]
    if found == ["ok"]:
        return _found("ok", "integrity", "SQLite's integrity_check finds nothing.")
    return _found("error", "integrity", f"The file is damaged: {'; '.join(found)}.", RESTORE_FILE)


def _schema(found: Schema) -> Finding:
    revision = found.revision
    if revision == HEAD_REVISION:
        return _found("ok", "schema", f"The schema is {HEAD_REVISION}, this version's.")
    if revision is None:
        return _found("error", "schema", "The database has no tables of Callboard.", "Set CALLBOARD_DATABASE_URL.")
    if found.is_usable:
        message = f"The schema is {revision}, a newer version's, which those that know {found.oldest} may use; so may this one."
        return _found("ok", "schema", message)
    if found.is_newer:
        return _found("error", "schema", f"The database {found.fault}.", ADVICE)
    missing = ", ".join(REVISIONS[REVISIONS.index(revision) + 1 :])
    advice = "Make a backup, then start the server: it applies them."
    return _found("warning", "schema", f"The schema is {revision}; migrations are missing: {missing}.", advice)
