"""Whether a database has all that its schema says: what somebody has dropped is told as that, not by task after task.

Asked of the database's own catalogue in two statements, PERF: under 2 ms, where SQLAlchemy's inspector takes 20 of every start.
Asked at start, by `doctor` and `backup`, by what reads without a server, by every probe of a running one, and when a statement
does not fit the tables. Any thread.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Index, text
from sqlalchemy.schema import CreateIndex

from callboard.errors import ConfigurationError
from callboard.persistence import positions
from callboard.persistence.tables import metadata

_COLUMNS = {
    "sqlite": "SELECT t.name, c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'",
    "postgresql": "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()",
}
_INDEXES = {
    "sqlite": "SELECT name, sql LIKE 'CREATE UNIQUE %' FROM sqlite_master WHERE type = 'index'",
    "postgresql": "SELECT indexname, indexdef LIKE 'CREATE UNIQUE %' FROM pg_indexes WHERE schemaname = current_schema()",
}
_MOST_NAMED = 5
_VERSION = "alembic_version"  # Alembic's own, of no migration

RESTORE = "Callboard drops none of them: go back to a backup, with no server at work (docs/operations.md)."


def refuse_incomplete(connection: Connection) -> None:
    """Raise `ConfigurationError` where tables, columns or indexes are missing, with what to do about it."""
    if found := fault_of(connection):
        raise ConfigurationError(" ".join(found))


def refuse_lost(connection: Connection) -> None:
    """Raise `ConfigurationError` where tables or columns are missing: nothing else can be looked at then."""
    if told := lost_of(connection):
        raise ConfigurationError(told)


def fault_of(connection: Connection) -> tuple[str, str] | None:
    """Return what a database of this version's schema, or of a later one, lacks, and what to do; None where it lacks nothing."""
    if lost := list(_lost(_columns_of(connection))):
        return _sentence(lost), RESTORE
    if indexes := list(_indexes_lost(connection)):
        dropped = [f"DROP INDEX {index.name}; " if there else "" for index, there in indexes]
        made = [str(CreateIndex(index).compile(connection)).strip() for index, _ in indexes]
        twice = any(index.name == positions.INDEX for index, _ in indexes) and positions.are_faulty(connection)
        by_itself = ", and callboard serve gives events that have the positions of others their own" if twice else ""
        again = "; ".join(map("".join, zip(dropped, made, strict=True)))
        return (
            _sentence([f"the {'unique ' if index.unique else ''}index {index.name}" for index, _ in indexes]),
            f"Nothing is lost by that{by_itself}; make it again: {again};",
        )
    return None


def lost_of(connection: Connection) -> str | None:
    """Return in sentences which tables and columns are missing and what to do; None where a program can read and write all."""
    return _told(_columns_of(connection))


def lost_by(cursor: Any, dialect: str) -> str | None:
    """Return what `lost_of` does, asked through a driver's cursor."""
    cursor.execute(_COLUMNS[dialect])
    return _told(cursor.fetchall())


def is_ours(connection: Connection) -> bool:
    """Say whether a database has all of our tables, also where the one that says their version was dropped."""
    return metadata.tables.keys() <= {table for table, _ in _columns_of(connection)}


def _columns_of(connection: Connection) -> Iterable[Any]:
    return connection.execute(text(_COLUMNS[connection.dialect.name]))


def _told(columns: Iterable[Any]) -> str | None:
    lost = list(_lost(columns))
    return f"{_sentence(lost)} {RESTORE}" if lost else None


def _sentence(lost: list[str]) -> str:
    more = len(lost) - _MOST_NAMED
    named = ", ".join(lost[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"The history lacks {named}; somebody has dropped what its schema says that it has."


def _lost(columns: Iterable[Any]) -> Iterator[str]:
    found: dict[str, set[str]] = {}
    for table, column in columns:
        found.setdefault(table, set()).add(column)
    if _VERSION not in found:
        yield f"the table {_VERSION}"
    for name, declared in metadata.tables.items():
        if name not in found:
            yield f"the table {name}"
            continue
        yield from (f"the column {name}.{column.name}" for column in declared.columns if column.name not in found[name])


def _indexes_lost(connection: Connection) -> Iterator[tuple[Index, bool]]:
    """Yield the indexes that are missing, and whether one of the name is there that refuses nothing."""
    found: dict[str, bool] = dict(connection.execute(text(_INDEXES[connection.dialect.name])).all())
    for table in metadata.tables.values():
        for index in sorted(table.indexes, key=str):
            there = index.name in found
            if not there or (index.unique and not found[str(index.name)]):
                yield index, there
