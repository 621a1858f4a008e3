"""The writer's SQL, made by SQLAlchemy Core from tables.py and compiled once.

PERF: each statement takes many rows at once. The sqlite3 module gives up the interpreter lock twice for each row
of an `executemany`, and beside busy HTTP threads each time costs a wait: 72 rows took 2.4 ms that way and 1.1 ms
as two statements of 64 and 8 rows. Core's own execution would add 19 µs a statement, the DB-API cursor adds 1 µs.
Used by the writer's thread; imported within `persistence/` only.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    Column,
    Dialect,
    Float,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    column,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
    values,
)
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.elements import BindParameter

from callboard.messages.tasks import Status
from callboard.persistence.tables import (
    DEAD,
    Id,
    UtcTime,
    answers,
    calls,
    deliveries,
    events,
    files,
    interpreters,
    sessions,
    snapshots,
    tasks,
    totals,
    turns,
    usage,
)

_OF_TASK = usage.c.scope.in_([literal_column("'task'"), literal_column("'subagents'")])
"""The accounts that a task has, and that go with it."""

MOST_ROWS = 64
"""Rows in the largest statement: the limit is 32,766 values in SQLite and 65,535 in PostgreSQL."""

CHANGING = (
    "id",
    "status",
    "attempt",
    "started_at",
    "owner",
    "crashes",
    "failures",
    "not_before",
    "pause",
    "ended_at",
    "execution_time_ms",
    "error_code",
    "metadata",
    "error",
    "output",
)
"""What a task's row is updated with, in the order of `Rows.changed`; the id finds the row."""

STANDING = ("status", "attempt", "started_at", "owner", "crashes", "failures", "not_before", "pause")
"""Where a task stands: what `task_states` reads of it."""

Row = tuple[Any, ...]
Params = list[tuple[BindParameter[Any], ...]]


class ManyRows:
    """A statement over any number of rows, run as the fewest statements whose row counts are powers of two.

    So few texts are ever made that the driver keeps all of them prepared.
    """

    def __init__(
        self, dialect: Dialect, columns: Sequence[Column[Any]], build: Callable[[Params], ClauseElement]
    ) -> None:
        self._dialect = dialect
        self._columns = columns
        self._build = build
        self._texts: dict[int, str] = {}

    def execute(self, cursor: DBAPICursor, rows: Sequence[Row]) -> int:
        """Run the statement over `rows`; return how many rows of the database it touched."""
        start, left, touched = 0, len(rows), 0
        while left:
            size = MOST_ROWS if left >= MOST_ROWS else 1 << (left.bit_length() - 1)
            text = self._texts.get(size) or self._compile(size)
            cursor.execute(text, list(chain.from_iterable(rows[start : start + size])))
            touched += cursor.rowcount
            start += size
            left -= size
        return touched

    def fetch(self, cursor: DBAPICursor, keys: Sequence[Any]) -> list[Row]:
        """Run a SELECT over any number of keys; a key may be asked for twice, to fill a statement."""
        found: list[Row] = []
        for start in range(0, len(keys), MOST_ROWS):
            some = list(keys[start : start + MOST_ROWS])
            size = 1 << (len(some) - 1).bit_length()
            some += some[-1:] * (size - len(some))
            cursor.execute(self._texts.get(size) or self._compile(size), some)
            found += cursor.fetchall()
        return found

    def _compile(self, size: int) -> str:
        rows = [tuple(bindparam(f"{c.name}_{i}", type_=c.type) for c in self._columns) for i in range(size)]
        compiled: Any = self._build(rows).compile(dialect=self._dialect)
        # Invariant: values are bound row by row, each row in the order of the columns.
        assert compiled.positiontup == [p.key for row in rows for p in row]
        self._texts[size] = text = str(compiled)
        return text


class Named:
    """A statement that is run with values by name."""

    def __init__(self, dialect: Dialect, statement: ClauseElement) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self._text = str(compiled)
        self._names: list[str] = compiled.positiontup
        self._given: dict[str, Any] = compiled.params

    def execute(self, cursor: DBAPICursor, **values: Any) -> None:
        given = self._given
        cursor.execute(self._text, [values[name] if name in values else given[name] for name in self._names])


class Statements:
    """Every statement of the writer for one dialect; has no state but the texts, so that all stores share it."""

    _made: ClassVar[dict[type[Dialect], "Statements"]] = {}

    @classmethod
    def of(cls, dialect: Dialect) -> "Statements":
        """Return the statements of a dialect.

        PERF: compiled once in a process: it takes 7 ms, and a store has two who need them.
        """
        kind = type(dialect)
        return cls._made.get(kind) or cls._made.setdefault(kind, cls(dialect))

    def __init__(self, dialect: Dialect) -> None:
        plain = plain_dialect(dialect)
        self.lock_tasks = ManyRows(plain, [tasks.c.id], _lock) if dialect.name == "postgresql" else None
        self.task_states = ManyRows(plain, [tasks.c.id], _states)
        self.below = ManyRows(plain, [tasks.c.root_id], _below)
        self.full_tasks = ManyRows(plain, [tasks.c.id], lambda ids: select(tasks).where(_among(ids)))
        self.insert_tasks = ManyRows(plain, list(tasks.c), lambda rows: insert(tasks).values(_named(tasks, rows)))
        self.insert_events = ManyRows(plain, list(events.c), lambda rows: insert(events).values(_named(events, rows)))
        self.update_tasks = ManyRows(plain, [tasks.c[name] for name in CHANGING], _update)
        dialect_insert = _insert_of(dialect)
        self.keep_sessions = ManyRows(plain, list(sessions.c), lambda rows: _upsert(dialect_insert, sessions, rows))
        self.last_turns = ManyRows(plain, [sessions.c.id], _last_turns)
        self.insert_turns = ManyRows(plain, list(turns.c), lambda rows: insert(turns).values(_named(turns, rows)))
        self.delete_old_turns = Named(plain, _delete_old_turns())
        self.keep_interpreters = ManyRows(
            plain, list(interpreters.c), lambda rows: _upsert(dialect_insert, interpreters, rows)
        )
        self.keep_calls = ManyRows(plain, list(calls.c), lambda rows: _upsert(dialect_insert, calls, rows))
        self.keep_snapshots = ManyRows(plain, list(snapshots.c), lambda rows: _upsert(dialect_insert, snapshots, rows))
        self.insert_files = ManyRows(plain, list(files.c), lambda rows: insert(files).values(_named(files, rows)))
        self.add_usage = ManyRows(plain, list(usage.c), lambda rows: _add_usage(dialect_insert, rows))
        self.keep_deliveries = ManyRows(
            plain, list(deliveries.c), lambda rows: _upsert(dialect_insert, deliveries, rows)
        )
        self.insert_answers = ManyRows(
            plain, list(answers.c), lambda rows: insert(answers).values(_named(answers, rows))
        )
        self.found_sessions = ManyRows(
            plain,
            list(sessions.c),
            lambda rows: dialect_insert(sessions).values(_named(sessions, rows)).on_conflict_do_nothing(),
        )
        self.delete_tasks = ManyRows(plain, [tasks.c.id], lambda ids: delete(tasks).where(_among(ids)))
        self.delete_events = ManyRows(plain, [tasks.c.id], lambda ids: _delete_of(events, ids))
        self.delete_calls = ManyRows(plain, [tasks.c.id], lambda ids: _delete_of(calls, ids))
        self.delete_snapshots = ManyRows(plain, [tasks.c.id], lambda ids: _delete_of(snapshots, ids))
        self.delete_deliveries = ManyRows(plain, [tasks.c.id], lambda ids: _delete_of(deliveries, ids))
        self.delete_files = ManyRows(plain, [tasks.c.id], lambda ids: _delete_of(files, ids))
        self.delete_usage = ManyRows(plain, [tasks.c.id], _delete_usage)
        self.delete_old_usage = Named(plain, _delete_old_usage())
        self.delete_session_usage = Named(plain, _delete_session_usage())
        self.kept_answer = Named(plain, kept_answer(bindparam("caller", type_=Id), bindparam("key", type_=Id)))
        self.delete_answers = Named(plain, _delete_old_answers())
        self.copy_calls = Named(plain, _copy(calls, dialect_insert))
        self.copy_snapshot = Named(plain, _copy(snapshots, dialect_insert))
        self.copy_files = Named(plain, _copy(files, dialect_insert))
        self.copy_usage = Named(plain, _copy_usage(dialect_insert))
        self.spent_by_tasks = ManyRows(plain, [tasks.c.id], _spent_by)
        self.mark_redriven = Named(plain, _mark_redriven())
        self.dead_letter = Named(
            plain, select(tasks.c.redriven_as).where(tasks.c.id == bindparam("dead_id", type_=Id), DEAD)
        )
        self.has_delivery = Named(
            plain, select(deliveries.c.id).where(deliveries.c.id == bindparam("delivery_id", type_=Id))
        )
        self.add_totals = Named(plain, _add_totals())
        self.highest = Named(plain, highest_position())
        self.session_is_busy = Named(plain, unended_of(bindparam("session_id", type_=Id)))
        self.files_are_in_use = Named(plain, unended_below(bindparam("session_id", type_=Id)))
        of_session = bindparam("session_id", type_=Id)
        self.delete_session = Named(plain, delete(sessions).where(sessions.c.id == of_session))
        self.delete_turns = Named(plain, delete(turns).where(turns.c.session_id == of_session))
        self.delete_interpreter = Named(plain, delete(interpreters).where(interpreters.c.session_id == of_session))


def _insert_of(dialect: Dialect) -> Any:
    """Return the `insert` that knows ON CONFLICT; PostgreSQL's is loaded only where it is used."""
    if dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        return sqlite_insert
    from sqlalchemy.dialects.postgresql import insert as postgresql_insert

    return postgresql_insert


def _named(table: Any, rows: Params) -> list[dict[str, Any]]:
    return [dict(zip(table.c.keys(), row, strict=True)) for row in rows]


def _among(ids: Params) -> Any:
    return tasks.c.id.in_([row[0] for row in ids])


def _lock(ids: Params) -> ClauseElement:
    """Lock rows in one order everywhere, so that two writers never wait for each other."""
    return select(tasks.c.id).where(_among(ids)).order_by(tasks.c.id).with_for_update()


def _states(ids: Params) -> ClauseElement:
    """Select what decides a record's fate. On PostgreSQL after `lock_tasks`: its snapshot must be younger."""
    last_seq = select(func.coalesce(func.max(events.c.seq), literal_column("0"))).where(events.c.task_id == tasks.c.id)
    wanted = [tasks.c[name] for name in STANDING]
    return select(tasks.c.id, *wanted, last_seq.scalar_subquery(), tasks.c.session_id, tasks.c.agent).where(_among(ids))


def _below(roots: Params) -> ClauseElement:
    """Count the tasks below the first one of each line."""
    below = tasks.c.root_id.in_([row[0] for row in roots])
    return select(tasks.c.root_id, func.count()).where(below).group_by(tasks.c.root_id)


def _update(rows: Params) -> ClauseElement:
    # PostgreSQL takes a column of NULLs for text unless it is told otherwise, and SQLAlchemy tells all but floats.
    typed = [tuple(cast(p, p.type) if isinstance(p.type, Float) else p for p in row) for row in rows]
    columns = [column(name, tasks.c[name].type) for name in CHANGING]
    changed = values(*columns, name="changed").data(typed).cte("changed")
    renewed = {name: changed.c[name] for name in CHANGING if name != "id"}
    return update(tasks).values(renewed).where(tasks.c.id == changed.c.id)


def _upsert(dialect_insert: Any, table: Table, rows: Params) -> ClauseElement:
    statement = dialect_insert(table).values(_named(table, rows))
    keys = [c.name for c in table.primary_key]
    replaced = {c.name: statement.excluded[c.name] for c in table.c if c.name not in (*keys, "created_at")}
    result: ClauseElement = statement.on_conflict_do_update(index_elements=keys, set_=replaced)
    return result


def _last_turns(ids: Params) -> ClauseElement:
    """Select the number of each session's last turn; sessions have their rows by then."""
    last = select(func.coalesce(func.max(turns.c.number), literal_column("0")))
    last = last.where(turns.c.session_id == sessions.c.id)
    return select(sessions.c.id, last.scalar_subquery()).where(sessions.c.id.in_([row[0] for row in ids]))


def _delete_old_turns() -> ClauseElement:
    of_session = turns.c.session_id == bindparam("session_id", type_=Id)
    return delete(turns).where(of_session, turns.c.number <= bindparam("last", type_=BigInteger))


def _copy(table: Table, dialect_insert: Any) -> ClauseElement:
    """Copy a task's rows to another task, which has not attempted anything yet."""
    others = [c for c in table.c if c.name != "task_id"]
    copied = [literal_column("0") if c.name == "attempt" else c for c in others]
    old = select(bindparam("new_id", type_=Id), *copied).where(table.c.task_id == bindparam("dead_id", type_=Id))
    result: ClauseElement = dialect_insert(table).from_select(["task_id", *(c.name for c in others)], old)
    return result


def _add_usage(dialect_insert: Any, rows: Params) -> ClauseElement:
    """Add to accounts; those that have no row get one."""
    statement = dialect_insert(usage).values(_named(usage, rows))
    added = {c.name: c + statement.excluded[c.name] for c in usage.c if not c.primary_key}
    result: ClauseElement = statement.on_conflict_do_update(index_elements=list(usage.primary_key), set_=added)
    return result


def _delete_usage(ids: Params) -> ClauseElement:
    return delete(usage).where(_OF_TASK, usage.c.name.in_([row[0] for row in ids]))


def _spent_by(ids: Params) -> ClauseElement:
    return select(usage).where(_OF_TASK, usage.c.name.in_([row[0] for row in ids]))


def _delete_old_usage() -> ClauseElement:
    """Delete what callers have spent on days that no budget looks at any more."""
    old = usage.c.day < bindparam("before", type_=Text)
    return delete(usage).where(usage.c.scope == literal_column("'caller'"), old)


def _delete_session_usage() -> ClauseElement:
    of_session = usage.c.name == bindparam("session_id", type_=Id)
    return delete(usage).where(usage.c.scope == literal_column("'session'"), of_session)


def _copy_usage(dialect_insert: Any) -> ClauseElement:
    """Copy what a task has spent to the task that goes on with it, so that its budget does not begin anew."""
    spent = [c for c in usage.c if not c.primary_key]
    old = select(usage.c.scope, bindparam("new_id", type_=Id), usage.c.day, *spent)
    old = old.where(_OF_TASK, usage.c.name == bindparam("dead_id", type_=Id))
    result: ClauseElement = dialect_insert(usage).from_select([c.name for c in usage.c], old)
    return result


def _mark_redriven() -> ClauseElement:
    return (
        update(tasks)
        .values(redriven_as=bindparam("new_id", type_=Id))
        .where(tasks.c.id == bindparam("dead_id", type_=Id))
    )


def kept_answer(caller: Any, key: Any) -> Select[Any]:
    """Select the first answer to a caller's idempotency key."""
    kept: Select[Any] = select(answers.c.fingerprint, answers.c.task_id, answers.c.answer)
    return kept.where(answers.c.caller == caller, answers.c.key == key)


def _delete_old_answers() -> ClauseElement:
    return delete(answers).where(answers.c.created_at < bindparam("before", type_=UtcTime))


def _add_totals() -> ClauseElement:
    counted = [c for c in totals.c if c.name != "id"]
    return update(totals).values({c: c + bindparam(f"more_{c.name}", type_=c.type) for c in counted})


def highest_position() -> Select[Any]:
    """Select the highest position that the totals know of, and the highest one that is stored (NULL: none)."""
    return select(totals.c.position, select(func.max(events.c.position)).scalar_subquery())


def _delete_of(table: Table, ids: Params) -> ClauseElement:
    return delete(table).where(table.c.task_id.in_([row[0] for row in ids]))


def unended_of(session_id: Any) -> Select[Any]:
    """Select when the oldest task of a session that has not ended was made."""
    return select(tasks.c.created_at).where(tasks.c.session_id == session_id, _unended()).order_by(tasks.c.id).limit(1)


def _unended() -> Any:
    return tasks.c.status.in_([literal_column(f"'{status.value}'") for status in Status if not status.ended])


def unended_below(session_id: Any) -> Select[Any]:
    """Select a task that works on the files of a session though it is of another one: a part of a task of it.

    PERF: from the tasks that have not ended, whose number the backlog bounds; those of a session are any number.
    """
    first = tasks.alias("first")
    of_first = select(first.c.session_id).where(first.c.id == tasks.c.root_id).scalar_subquery()
    return select(tasks.c.id).where(_unended(), tasks.c.root_id.is_not(None), of_first == session_id).limit(1)


def plain_dialect(dialect: Dialect) -> Dialect:
    """Return the dialect with positional placeholders, so that a row is a tuple; psycopg's would name them."""
    cls: Any = type(dialect)
    plain: Dialect = cls(paramstyle="qmark" if dialect.name == "sqlite" else "format")
    return plain
