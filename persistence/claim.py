"""One server's hold on a history: a second one that worked on the same tasks would run them twice.

SQLite: a lock on a file beside the database, which the operating system lets go of when the process dies, however it
dies. PostgreSQL: an advisory lock of a connection that is kept open. Taken and released by the wiring; any thread.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL, NullPool, text
from sqlalchemy.exc import DBAPIError

from callboard.errors import ConfigurationError
from callboard.persistence.engine import create, parse_url
from callboard.persistence.faults import not_opened
from callboard.settings import Settings

_ADVISORY_KEY = 0x63616C6C  # "call"; a number of ours within the database


def claim(settings: Settings) -> Callable[[], None]:
    """Take the history that the settings name for this server alone; return what lets go of it.

    Raises `ConfigurationError` if another server, in this process or any other, has it.
    """
    url = parse_url(settings.resolved_database_url)
    if url.get_backend_name() == "postgresql":
        return _claim_postgresql(url)
    assert url.database is not None
    return _claim_file(Path(f"{url.database.removeprefix('file:')}.lock"))


def _claim_file(path: Path) -> Callable[[], None]:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(f"The history cannot be kept at {path.parent}: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise _taken(str(path.with_suffix(""))) from error
    return lambda: os.close(descriptor)


def _claim_postgresql(url: URL) -> Callable[[], None]:
    engine = create(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        connection = engine.connect()
        taken = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_KEY}).scalar_one()
    except DBAPIError as error:
        raise not_opened(error) from error
    if not taken:
        connection.close()
        raise _taken(url.render_as_string(hide_password=True))
    return connection.close


def _taken(where: str) -> ConfigurationError:
    return ConfigurationError(
        f"Another server is at work on the history {where}; stop it first, "
        "or give this one a history of its own with CALLBOARD_DATA_DIR or CALLBOARD_DATABASE_URL."
    )
