"""Bring a database to the schema that this version knows.

Alembic is imported only where there is something to do: it takes 0.1 s and 9 MB that every start would pay.
Called by `store.py` at start, before any actor runs.
"""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from callboard.errors import ConfigurationError
from callboard.persistence.tables import metadata

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every revision under migrations/versions, oldest first; a test compares."""

HEAD_REVISION = REVISIONS[-1]

_ADVISORY_LOCK = 0x63616C6C626F6172  # "callboar": one migration at a time in a PostgreSQL database
_FOLDER = Path(__file__).parent / "migrations"


def migrate(engine: Engine) -> None:
    """Apply the missing migrations in one transaction; raise `ConfigurationError` for a newer or another program's database.

    Safe to call from several processes at once: the first one works, the others wait and find it done.
    """
    with engine.connect() as connection:
        found = current_revision(connection)
        connection.rollback()
    if found == HEAD_REVISION:
        return
    _refuse_newer(found)
    with engine.begin() as connection:  # on SQLite this waits for the write lock
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        _refuse_newer(current_revision(connection))
        _refuse_foreign(connection)
        upgrade(connection, HEAD_REVISION)


def current_revision(connection: Connection) -> str | None:
    """Return the revision a database is at, None for one without our tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(connection: Connection, revision: str) -> None:
    """Run the migrations up to `revision` in the connection's transaction."""
    from alembic import command

    command.upgrade(_config(connection), revision)


def downgrade(connection: Connection, revision: str) -> None:
    """Run the migrations back to `revision` (`base`: none) in the connection's transaction."""
    from alembic import command

    command.downgrade(_config(connection), revision)


def _config(connection: Connection):  # type: ignore[no-untyped-def]  # its type would import alembic
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _refuse_newer(found: str | None) -> None:
    if found is not None and found not in REVISIONS:
        raise ConfigurationError(
            f"The database was made by a newer Callboard (its schema is {found}, this version knows up to "
            f"{HEAD_REVISION}); upgrade Callboard or go back to a backup."
        )


def _refuse_foreign(connection: Connection) -> None:
    """Refuse a file with anybody's tables, and a PostgreSQL database, which programs may share, with ones of our names."""
    found = set(inspect(connection).get_table_names())
    if connection.dialect.name != "sqlite":
        found &= metadata.tables.keys()
    if found and not inspect(connection).has_table("alembic_version"):
        listed = ", ".join(sorted(found)[:10])
        raise ConfigurationError(
            f"It is another program's database: it has tables ({listed}) but none that says which version of Callboard "
            "made them; set CALLBOARD_DATABASE_URL or CALLBOARD_DATA_DIR."
        )
