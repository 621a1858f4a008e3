"""The history as commands read it where no server is asked: what is there, beside whoever works on it.

Creates nothing and migrates nothing. Called by the command line, in its thread.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from callboard.errors import ConfigurationError, StoreUnavailable
from callboard.persistence.database_file import sqlite_path
from callboard.persistence.engine import database_of, open_readers
from callboard.persistence.faults import not_opened
from callboard.persistence.migrate import ADVICE, is_this_versions, schema_of
from callboard.persistence.reads import SqlReader
from callboard.persistence.shape import lost_of
from callboard.settings import Settings


class OwnReader(SqlReader):
    """A reader that has its connections to itself, and ends them: left to themselves they leave SQLite's files behind."""

    def close(self) -> None:
        super().close()
        self._engine.dispose()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """Have every error of the database told in a sentence: there is no log here for its traceback."""
        try:
            with super()._connection() as connection:
                yield connection
        except DBAPIError as error:
            raise StoreUnavailable(
                f"The history cannot be read: {error.orig}; `callboard doctor` looks at it."
            ) from error


def open_reader(settings: Settings) -> SqlReader | None:
    """Open the history that the settings name, for reading only; None where there is none yet.

    Raises `ConfigurationError` where it was made by another version, is no history or lacks a table or a column,
    `StoreUnavailable` where it cannot be opened.
    """
    url = database_of(settings)
    if url.get_backend_name() == "sqlite":
        path = sqlite_path(url)
        if path.exists() and not path.is_file():  # opening a pipe would wait for its other end
            raise ConfigurationError(f"The history cannot be read from {path}: it is no file; move it away.")
        if not path.exists() or not path.stat().st_size:
            return None
    engine = open_readers(url)
    try:
        with engine.connect() as connection:
            found = schema_of(connection)
            lost = lost_of(connection) if is_this_versions(found, connection) else None
    except DBAPIError as error:
        engine.dispose()
        raise not_opened(error, url) from error
    if found.is_usable and lost is None:
        return OwnReader(engine)
    engine.dispose()
    if lost is not None:
        raise ConfigurationError(lost)
    if found.is_newer:
        what = f"{found.fault}. {ADVICE.removesuffix('.')}"
    elif found.revision is None:
        what = "has no tables of Callboard; set CALLBOARD_DATABASE_URL or CALLBOARD_DATA_DIR"
    else:
        what = "was made by an earlier version; `callboard serve` brings it up to this one"
    raise ConfigurationError(f"The history at {url.render_as_string(hide_password=True)} {what}.")
