"""The tables of the history and the types of their columns.

`migrations/` creates them; a test holds the two equal. No foreign keys: every row is written by `writes.py`
and deleted by `retention.py`, each in one transaction, and a check for each event would cost more than it finds.
Immutable after import, so any thread; imported within `persistence/` only.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.types import TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def time_number(moment: datetime) -> int:
    """Return a time as SQLite stores it: whole microseconds since 1970, exactly.

    PERF: 0.2 µs, where ISO text takes 0.8 µs, some twelve times a task; and 8 bytes instead of 32 in each row.
    """
    return (moment - _EPOCH) // _MICROSECOND


def time_of(number: int) -> datetime:
    """Return the time that `time_number` was given."""
    return _EPOCH + timedelta(microseconds=number)


def dump_json(value: Any) -> str:
    """Return compact JSON; raise `ValueError` for what JSON does not have. The engines' serializer.

    PERF: 0.4 µs for an event's data, where `json.dumps` takes 2.6 µs.
    """
    return to_json(value, inf_nan_mode="strings", fallback=_plain).decode()


def _plain(value: Any) -> Any:
    """Return what an immutable mapping holds; messages carry them and pydantic does not know them."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is not JSON")


def load_json(text: str | bytes) -> Any:
    """Return what `dump_json` was given. The engines' deserializer."""
    return from_json(text)


class UtcTime(TypeDecorator[datetime]):
    """A `datetime` that is aware and UTC in Python, `timestamptz` on PostgreSQL and microseconds on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return time_number(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # the base's
        if type(value) is int:
            return _EPOCH + timedelta(microseconds=value)
        return None if value is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """A JSON value; None is SQL NULL, and JSON null is never stored.

    Text on SQLite, where a column declared JSON would turn 1.0 into 1. JSON and not JSONB on PostgreSQL, because
    JSONB reorders the keys of a task's output.
    """

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else JSON(none_as_null=True))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return dump_json(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return load_json(value) if value is not None and dialect.name == "sqlite" else value


# Ids compare byte by byte everywhere, so that PostgreSQL sorts them as SQLite does whatever its locale.
Id = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData()

tasks = Table(
    "tasks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("session_id", Id, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("execution_time_ms", Float(53)),
    Column("timeout_ms", Integer),
    Column("agent", Text),
    Column("error_code", Text),
    Column("request_id", Text),
    Column("caller", Text),
    Column("owner", Text),
    Column("crashes", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("not_before", UtcTime),
    Column("redrive_of", Id),
    Column("redriven_as", Id),
    Column("parent_id", Id),
    Column("root_id", Id),
    Column("depth", Integer, nullable=False, server_default="0"),
    Column("callback_url", Text),
    Column("retry", Json),
    Column("budget", Json),
    Column("pause", Json),
    # Long values stand last: SQLite walks a long row's overflow pages to reach what follows them.
    Column("attachments", Json),
    Column("available_skills", Json),
    Column("spec", Json),  # what the caller wrote that has no column of its own
    Column("labels", Json, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("error", Text),
    Column("output", Json),
    Column("system_prompt", Text),
    Column("task", Text, nullable=False),
)

# One index for each way to page through the history; each ends in the id, which is the order of a page.
DEAD = tasks.c.error_code == "dead_letter"
"""What makes a task a dead letter."""

Index("ix_tasks_session", tasks.c.session_id, tasks.c.id)
Index("ix_tasks_status", tasks.c.status, tasks.c.id)
Index("ix_tasks_session_status", tasks.c.session_id, tasks.c.status, tasks.c.id)
# For retention; partial, so that a task enters it once, when it ends. PERF: it is partial on PostgreSQL too, by its
# migration; saying so here would load that dialect at every start, 19 ms and 2 MB.
Index("ix_tasks_ended", tasks.c.ended_at, sqlite_where=tasks.c.ended_at.is_not(None))

# Partial like the one above: dead letters are few, and so are tasks that another one has delegated, or that name their agent.
Index("ix_tasks_dead", tasks.c.id, sqlite_where=DEAD)
Index("ix_tasks_parent", tasks.c.parent_id, tasks.c.id, sqlite_where=tasks.c.parent_id.is_not(None))
Index("ix_tasks_root", tasks.c.root_id, sqlite_where=tasks.c.root_id.is_not(None))
Index("ix_tasks_agent", tasks.c.agent, tasks.c.id, sqlite_where=tasks.c.agent.is_not(None))

events = Table(
    "events",
    metadata,
    # Invariant: within a task, seq counts 1, 2, 3, … without a gap.
    Column("task_id", Id, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("topic", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    # Invariant: over all events, position is unique and goes up in the order of the commits. It may have gaps.
    Column("position", BigInteger, nullable=False, server_default="0"),
    Column("data", Json, nullable=False),
    Column("caller", Text),
    sqlite_with_rowid=False,
)
Index("ix_events_position", events.c.position, unique=True)

# The ledger: a row for each call of a model or of a skill that is not pure, written before it and again after it.
calls = Table(
    "calls",
    metadata,
    Column("task_id", Id, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("replay", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("effect_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("error", Json),
    Column("edited", Json),  # the whole arguments: [args, kwargs, digest, edited, defaults, digest of the binding]
    Column("result", Json),
    Column("effects", Json),
    sqlite_with_rowid=False,
)

# What came with a task: the bytes, or the address to get them from. Kept as long as the task.
files = Table(
    "files",
    metadata,
    Column("task_id", Id, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("url", Text),
    Column("data", LargeBinary),
)

# One row an account: what was spent, added to in the transaction of what it was spent on; rollup.py says which a task has. `day` is empty but for callers.
usage = Table(
    "usage",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("name", Id, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("model_calls", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost_usd", Float(53), nullable=False),
    Column("skill_calls", BigInteger, nullable=False),
    Column("failures", BigInteger, nullable=False),
    Column("wall_ms", Float(53), nullable=False),
    Column("tasks", BigInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

# One row a task that has not ended (or is a dead letter): the interpreter as it stood at its last call.
snapshots = Table(
    "snapshots",
    metadata,
    Column("task_id", Id, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

# The first answer to each idempotency key, kept for a day or longer.
answers = Table(
    "answers",
    metadata,
    Column("caller", Id, primary_key=True),
    Column("key", Id, primary_key=True),
    Column("created_at", UtcTime, nullable=False, index=True),
    Column("fingerprint", Text, nullable=False),
    Column("task_id", Id),
    Column("answer", Json, nullable=False),
)

# Webhooks: one row a message, made in the transaction of the result it tells of.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("task_id", Id, nullable=False),
    Column("state", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("next_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("status_code", Integer),
    Column("receiver", Text, nullable=False),
    Column("error", Text),
    Column("url", Text, nullable=False),
    Column("site", Text, nullable=False, server_default=""),
    Column("caller", Text, nullable=False, server_default=""),
)
Index("ix_deliveries_task", deliveries.c.task_id, deliveries.c.id)
Index("ix_deliveries_state", deliveries.c.state, deliveries.c.id)
Index("ix_deliveries_next", deliveries.c.next_at)
# What waits, with all that it is chosen by: PERF: 10,000 that wait for one receiver are passed over without reading their rows.
Index(
    "ix_deliveries_due",
    *(deliveries.c.next_at, deliveries.c.receiver, deliveries.c.site, deliveries.c.caller, deliveries.c.id),
    sqlite_where=deliveries.c.next_at.is_not(None),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("tasks", Integer, nullable=False),
)
Index("ix_sessions_updated", sessions.c.updated_at, sessions.c.id)

# The conversation: a row for each turn, so that a task writes its own two however many there are.
turns = Table(
    "turns",
    metadata,
    Column("session_id", Id, primary_key=True),
    # Invariant: within a session numbers go up by one; the oldest turns are deleted first, so there is no gap.
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("role", Text, nullable=False),
    Column("task_id", Id),
    Column("content", Text, nullable=False),
    sqlite_with_rowid=False,
)

# What a session's code has bound: names, and the signed dump with the values. Apart from the session's row, which
# changes with every task and would drag up to 4 MB along.
interpreters = Table(
    "interpreters",
    metadata,
    Column("session_id", Id, primary_key=True),
    Column("variables", Json, nullable=False),
    Column("data", LargeBinary),
)

# One row, id 1: the oldest revision whose program may use this schema. Since 0007 migrations only add, so a program that
# is older than the schema, but not older than this, reads and writes it rightly.
schema = Table(
    "schema",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("oldest", Text, nullable=False),
)

# One row, id 1, brought up to date in the transaction of what it counts. `stored` counts the ended tasks
# that retention has not deleted; the rest counts deleted ones too, the milliseconds those that completed or failed. `position` is the highest one of an event by the
# last time a task began or ended: with the highest one of the events that are stored it is the highest ever given.
totals = Table(
    "totals",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("total", BigInteger, nullable=False),
    Column("completed", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("cancelled", BigInteger, nullable=False),
    Column("live", BigInteger, nullable=False),
    Column("stored", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False, server_default="0"),
    Column("execution_ms", Float(53), nullable=False),
    Column("elapsed_ms", Float(53), nullable=False, server_default="0"),
)
