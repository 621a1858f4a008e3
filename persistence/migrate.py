"""Bring a database to the schema that this version knows.

Since 0007 migrations only add, and the table `schema` says what is the oldest revision whose program may use what they
made: so after an upgrade a program may mostly go back to the version before. Alembic is imported only where there is
something to do: it takes 0.1 s and 9 MB that every start would pay. Called by `store.py` at start, before any actor runs.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from callboard import __version__
from callboard.errors import ConfigurationError
from callboard.persistence import positions
from callboard.persistence.shape import is_ours, refuse_incomplete, refuse_lost
from callboard.persistence.tables import metadata

logger = logging.getLogger("callboard.history")

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012")
"""Every revision under migrations/versions, oldest first; a test compares."""

HEAD_REVISION = REVISIONS[-1]

ONLY_ADDING_SINCE = "0007"
"""Migrations behind this one take nothing away and change nothing that an older program relies on."""

ADVICE = "Upgrade Callboard, or go back to a backup from before the upgrade."

_ADVISORY_LOCK = 0x63616C6C626F6172  # "callboar": one migration at a time in a PostgreSQL database
_FOLDER = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class Schema:
    """What a database says of its schema: its revision, and the oldest one whose program may use it.

    Both None for a database without our tables, `oldest` for one from before that was written down.
    """

    revision: str | None = None
    oldest: str | None = None

    @property
    def is_newer(self) -> bool:
        """Whether a newer version made it."""
        return self.revision is not None and self.revision not in REVISIONS

    @property
    def is_usable(self) -> bool:
        """Whether this version can use it as it is."""
        if not self.is_newer:
            return self.revision == HEAD_REVISION
        return self.oldest is not None and self.oldest in REVISIONS

    @property
    def fault(self) -> str:
        """Why this version cannot use a newer one."""
        least = "" if self.oldest is None else f", for versions that know schema {self.oldest} or a later one"
        return (
            f"was made by a newer Callboard (its schema is {self.revision}{least}; this version, {__version__}, knows up to "
            f"{HEAD_REVISION})"
        )


def migrate(engine: Engine) -> None:
    """Apply the missing migrations in one transaction; leave a newer schema that this version may use as it is.

    Raises `ConfigurationError` for a newer one that it may not use, for another program's database, and for one of which
    something was dropped. Safe to call from
    several processes at once: the first one works, the others wait and find it done.
    """
    with engine.connect() as connection:
        found = schema_of(connection)
        if found.is_usable:
            refuse_lost(connection)
            if not positions.are_faulty(connection):
                refuse_incomplete(connection)
                return
    _refuse_newer(found)
    with engine.begin() as connection:  # on SQLite this waits for the write lock
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        found = schema_of(connection)
        if not found.is_usable:
            _refuse_newer(found)
            _refuse_foreign(connection)
            upgrade(connection, HEAD_REVISION)
        elif positions.are_faulty(connection):
            positions.put_right(connection)
            logger.warning("events had positions that are none, or that others have too; they were given others")
        refuse_incomplete(connection)


def schema_of(connection: Connection) -> Schema:
    """Return what a database says of its schema."""
    names = inspect(connection)
    if not names.has_table("alembic_version"):
        return Schema()
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if revision is None or revision in REVISIONS or not names.has_table("schema"):
        return Schema(revision)
    return Schema(revision, connection.execute(text("SELECT oldest FROM schema")).scalar())


def is_this_versions(found: Schema, connection: Connection) -> bool:
    """Say whether a database has to have this version's tables: it says so, or has them all but the one that would."""
    return found.is_usable or (found.revision is None and is_ours(connection))


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


def _refuse_newer(found: Schema) -> None:
    if found.is_newer:
        raise ConfigurationError(f"The database {found.fault}. {ADVICE}")


def _refuse_foreign(connection: Connection) -> None:
    """Refuse a file with anybody's tables, and a PostgreSQL database, which programs may share, with ones of our names."""
    if is_this_versions(schema_of(connection), connection):
        refuse_incomplete(connection)
    found = set(inspect(connection).get_table_names())
    if connection.dialect.name != "sqlite":
        found &= metadata.tables.keys()
    if found and not inspect(connection).has_table("alembic_version"):
        listed = ", ".join(sorted(found)[:10])
        raise ConfigurationError(
            f"It is another program's database: it has tables ({listed}) but none that says which version of Callboard "
            "made them; set CALLBOARD_DATABASE_URL or CALLBOARD_DATA_DIR."
        )
