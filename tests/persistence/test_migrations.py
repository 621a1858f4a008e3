"""Migrations: what they make, when they are refused, and that a start without work does not load Alembic."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from callboard.clock import Clock
from callboard.conversation import turn_of
from callboard.errors import ConfigurationError
from callboard.messages.events import Topic
from callboard.messages.records import RecordEvents
from callboard.messages.tasks import Status, TaskRecord
from callboard.persistence import migrate
from callboard.persistence.engine import open_writer, parse_url
from callboard.persistence.tables import dump_json, metadata

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker, OpenStore

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "persistence" / "migrations"


@pytest.fixture
def writer(database_url: str) -> Iterator[Engine]:
    engine = open_writer(parse_url(database_url), clock=Clock())
    yield engine
    engine.dispose()


def test_every_revision_is_listed_and_the_last_one_is_the_head() -> None:
    scripts = ScriptDirectory(str(FOLDER))
    listed = [script.revision for script in reversed(list(scripts.walk_revisions()))]
    assert tuple(listed) == migrate.REVISIONS
    assert scripts.get_current_head() == migrate.HEAD_REVISION


def test_migrating_an_empty_database_gives_the_tables_of_the_code(writer: Engine) -> None:
    migrate.migrate(writer)
    with writer.connect() as connection:
        assert migrate.schema_of(connection) == migrate.Schema(migrate.HEAD_REVISION)
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_downgrade_leaves_nothing_and_can_be_undone(writer: Engine) -> None:
    migrate.migrate(writer)
    with writer.begin() as connection:
        migrate.downgrade(connection, "base")
    assert set(inspect(writer).get_table_names()) == {"alembic_version"}
    migrate.migrate(writer)
    assert "tasks" in inspect(writer).get_table_names()


def test_the_index_for_retention_is_partial_on_every_backend(writer: Engine) -> None:
    migrate.migrate(writer)
    [index] = [i for i in inspect(writer).get_indexes("tasks") if i["name"] == "ix_tasks_ended"]
    assert "ended_at IS NOT NULL" in str(index["dialect_options"][f"{writer.dialect.name}_where"])


def test_a_database_of_a_newer_version_is_refused(open_at: "OpenStore", database_url: str, raw_engine: Engine) -> None:
    open_at(database_url).close()
    newer(raw_engine, oldest="9998")
    with pytest.raises(
        ConfigurationError,
        match=rf"newer Callboard.*9999.*9998 or a later.*knows up to {migrate.HEAD_REVISION}.*Upgrade",
    ):
        open_at(database_url)
    with raw_engine.begin() as connection:
        connection.execute(text("DROP TABLE schema"))
    with pytest.raises(ConfigurationError, match=r"newer Callboard.*9999; this version"):
        open_at(database_url)


def newer(engine: Engine, *, oldest: str) -> None:
    """Do to a database what a newer version's migration may do: add, and say which versions may use it."""
    with engine.begin() as connection:
        for statement in (
            "ALTER TABLE tasks ADD COLUMN mood TEXT",
            "ALTER TABLE turns ADD COLUMN weight INTEGER NOT NULL DEFAULT 1",
            "CREATE TABLE moods (id INTEGER PRIMARY KEY)",
            "UPDATE alembic_version SET version_num = '9999'",
            f"UPDATE schema SET oldest = '{oldest}'",
        ):
            connection.execute(text(statement))


def test_a_version_may_go_back_to_where_the_schema_of_a_newer_one_lets_it(
    open_at: "OpenStore", database_url: str, raw_engine: Engine, make: "Maker"
) -> None:
    store = open_at(database_url)
    before = make.acceptance()
    store.writer.write([before])
    store.close()
    newer(raw_engine, oldest=migrate.HEAD_REVISION)
    store, after = open_at(database_url), make.acceptance()
    turns = (turn_of("user", "Hello"), turn_of("assistant", "Hi"))
    ends = [make.result(each, attempt=0, session=make.left("session", *turns)) for each in (before, after)]
    store.writer.write([after, *ends])
    assert [store.reader.task(each.task.task_id).status for each in (before, after)] == [Status.COMPLETED] * 2
    assert len(store.reader.session("session").conversation) == 4
    with raw_engine.connect() as connection:
        assert migrate.schema_of(connection) == migrate.Schema("9999", migrate.HEAD_REVISION), "it is left as it is"


Shape = dict[str, Any]


def shape(database: Engine | Connection) -> Shape:
    """Return what an older program may rely on: each table's columns and keys, and which indexes refuse rows."""
    found: Shape = {}
    tables = inspect(database)
    for table in tables.get_table_names():
        for column in tables.get_columns(table):
            made = {key: str(column[key]) for key in ("type", "nullable", "default")}
            found[f"{table}.{column['name']}"] = (made, column["nullable"] or column["default"] is not None)
        found[f"{table} key"] = tables.get_pk_constraint(table)["constrained_columns"]
        for index in tables.get_indexes(table):
            found[f"{table} index {index['name']}"] = (index["column_names"], index["unique"])
    return found


UNIQUE_ANYWAY = {
    "events index ix_events_position": "the writer of every version since 0004 gives the highest position and one"
}
"""Indexes that may refuse rows, since no version since 0007 writes any that they would refuse, and why it does not."""


def broken_for_older(before: Shape, after: Shape) -> list[str]:
    """Return what a migration took away or changed, and what it added to an old table that old programs do not fill."""
    old_tables = {name.split(" ")[0] for name in before if name.endswith(" key")}
    broken = [name for name in before if before[name] != after.get(name)]
    became_unique = {name for name in broken if name in after and before[name] == (after[name][0], 0)}
    broken = [name for name in broken if name not in became_unique & UNIQUE_ANYWAY.keys()]
    for name in after.keys() - before.keys():
        table, _, column = name.partition(".")
        unique = " index " in name and bool(after[name][1]) and name not in UNIQUE_ANYWAY
        if table.split(" ")[0] in old_tables and (unique or (column and not after[name][1])):
            broken.append(name)
    return sorted(broken)


def test_migrations_only_add_since_0007(writer: Engine) -> None:
    shapes = []
    for revision in migrate.REVISIONS[migrate.REVISIONS.index("0006") :]:
        with writer.begin() as connection:
            migrate.upgrade(connection, revision)
        shapes.append(shape(writer))
    taken = [broken_for_older(before, after) for before, after in pairwise(shapes)]
    assert taken[0] == ["sessions.conversation", "sessions.interpreter", "sessions.variables"], "0007 was the last"
    assert taken[1:] == [[] for _ in taken[1:]]
    for change, named in {
        "ALTER TABLE tasks ADD COLUMN mood TEXT": [],
        "ALTER TABLE tasks ADD COLUMN mood TEXT NOT NULL DEFAULT 'fair'": [],
        "CREATE UNIQUE INDEX one_mood ON tasks (created_at)": ["tasks index one_mood"],
        "ALTER TABLE tasks RENAME COLUMN caller TO who": ["tasks.caller"],
        "DROP INDEX ix_events_position": ["events index ix_events_position"],
        "DROP INDEX ix_tasks_status; CREATE UNIQUE INDEX ix_tasks_status ON tasks (status, id)": [
            "tasks index ix_tasks_status"
        ],
    }.items():
        with writer.connect() as connection:
            for statement in change.split(";"):
                connection.execute(text(statement))
            seen = shape(connection)
            connection.rollback()
        assert broken_for_older(shapes[-1], seen) == named, change


def test_a_database_that_holds_other_tables_of_those_names_is_refused(
    open_at: "OpenStore", database_url: str, raw_engine: Engine
) -> None:
    open_at(database_url).close()
    with raw_engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
        connection.execute(text("DROP TABLE deliveries"))
    with pytest.raises(ConfigurationError, match=r"another program's database.*tasks"):
        open_at(database_url)
    with raw_engine.connect() as connection:
        assert migrate.schema_of(connection) == migrate.Schema(), "nothing of a failed migration may stay"


def test_a_file_of_another_program_is_refused(open_at: "OpenStore", sqlite_url: str) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE invoices (id)")
    with pytest.raises(ConfigurationError, match=r"another program's database.*invoices"):
        open_at(sqlite_url)
    with closing(sqlite3.connect(path)) as theirs:
        assert theirs.execute("SELECT name FROM sqlite_master").fetchall() == [("invoices",)]


def test_a_reopened_store_holds_what_was_written(open_at: "OpenStore", database_url: str, make: "Maker") -> None:
    first = open_at(database_url)
    accepted = make.acceptance()
    first.writer.write([accepted])
    first.close()
    assert open_at(database_url).reader.task(accepted.task.task_id) == TaskRecord(task=accepted.task)


def test_stores_that_open_a_new_database_at_once_all_succeed(open_at: "OpenStore", database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(open_at, [database_url] * 4))
    for store in opened:
        store.reader.ping()


def test_processes_that_open_a_new_file_at_once_all_succeed(sqlite_url: str) -> None:
    code = f"{OPEN}; SqlStore.open(Settings(database_url={sqlite_url!r})).close()"
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(3)]
    assert [process.wait(30) for process in processes] == [0, 0, 0]


OPEN = "from callboard.persistence.store import SqlStore; from callboard.settings import Settings"


def test_a_start_on_a_migrated_database_does_not_load_alembic(open_at: "OpenStore", sqlite_url: str) -> None:
    open_at(sqlite_url).close()
    unwanted = ("alembic", "sqlalchemy.orm", "sqlalchemy.dialects.postgresql")
    code = f"{OPEN}; import sys; SqlStore.open(Settings(database_url={sqlite_url!r})).close(); "
    code += f"print([name for name in {unwanted!r} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["parent", "root"])
def test_the_indexes_of_delegated_tasks_are_partial_on_every_backend(writer: Engine, name: str) -> None:
    migrate.migrate(writer)
    [index] = [i for i in inspect(writer).get_indexes("tasks") if i["name"] == f"ix_tasks_{name}"]
    assert f"{name}_id IS NOT NULL" in str(index["dialect_options"][f"{writer.dialect.name}_where"])


def test_a_history_from_before_agents_goes_on(
    open_at: "OpenStore", database_url: str, make: "Maker", writer: Engine
) -> None:
    first = open_at(database_url)
    accepted = make.acceptance(labels={"a": 1})
    first.writer.write([accepted, make.start(accepted)])
    first.close()
    with writer.begin() as connection:
        migrate.downgrade(connection, "0002")
    second = open_at(database_url)
    before = second.reader.task(accepted.task.task_id)
    assert (before.task.spec.labels, before.task.depth, before.task.spec.budget, before.task.attachments) == (
        {"a": 1},
        0,
        None,
        (),
    )
    second.writer.write([make.result(accepted)])
    assert second.reader.task(accepted.task.task_id).status is Status.COMPLETED


def test_a_task_without_a_ledger_whose_call_must_not_be_repeated_is_ended_by_the_upgrade(
    open_at: "OpenStore", database_url: str, make: "Maker", writer: Engine
) -> None:
    first = open_at(database_url)
    called, harmless, waiting = (make.acceptance() for _ in range(3))
    first.writer.write([called, harmless, waiting, make.start(called), make.start(harmless)])
    for accepted, replay in ((called, "never"), (harmless, "safe")):
        event = make.event(Topic.SKILL_STARTED, skill="send", replay=replay)
        first.writer.write([RecordEvents(task_id=accepted.task.task_id, attempt=1, events=(event,))])
    first.close()
    with writer.begin() as connection:
        migrate.downgrade(connection, "0001")
    second = open_at(database_url)
    ended = second.reader.task(called.task.task_id)
    assert (ended.status, ended.error_code) == (Status.FAILED, "outcome_unknown")
    assert ended.state.ended_at is not None
    page = second.reader.events(ended.task_id)
    assert page.ended
    assert [event.seq for event in page.events] == [1, 2, 3]
    assert page.events[-1].data["errorCode"] == "outcome_unknown"
    assert {record.task_id for record in second.reader.unfinished()} == {
        harmless.task.task_id,
        waiting.task.task_id,
    }
    totals = second.reader.totals()
    assert (totals.total, totals.failed, totals.live) == (3, 1, 2)


def test_the_average_time_by_the_clock_is_that_of_the_tasks_that_are_stored(
    open_at: "OpenStore", database_url: str, make: "Maker", writer: Engine
) -> None:
    first = open_at(database_url)
    for waited_s in (1, 2, 6):
        accepted = make.acceptance()
        make.tick(waited_s)
        first.writer.write([accepted, make.result(accepted, attempt=0, execution_time_ms=5.0)])
    cancelled = make.acceptance()
    make.tick(100)
    first.writer.write([cancelled, make.cancel(cancelled)])
    assert first.writer.prune_step(older_than=None, keep=3) == 1
    first.close()
    with writer.begin() as connection:
        migrate.downgrade(connection, "0005")
    totals = open_at(database_url).reader.totals()
    assert (totals.completed, totals.execution_ms) == (3, 15.0)
    assert totals.elapsed_ms == pytest.approx(3 * (2000 + 6000) / 2), "a deleted one is taken to have taken as long"


LONG = "é" * 60_000 + "x" * 60_000
CUT = "é" * 50_000 + "\n… [20000 more characters left out]\n" + "x" * 50_000


def test_conversations_and_variables_of_before_are_moved(
    open_at: "OpenStore", database_url: str, writer: Engine
) -> None:
    with writer.begin() as connection:
        migrate.upgrade(connection, "0006")
        for name, said, names, dump in (
            ("alice", [["user", 'Say "hi" — 日本\n'], ["assistant", "hi"]], ["x", "y"], b"dump"),
            ("bob", [["user", LONG], ["assistant", "x" * 100_000]], [], None),
            ("carol", [], [], None),
        ):
            values = {"id": name, "said": dump_json(said), "names": dump_json(names), "dump": dump}
            at = "0" if connection.dialect.name == "sqlite" else "to_timestamp(0)"
            connection.execute(
                text(
                    "INSERT INTO sessions (id, created_at, updated_at, tasks, variables, conversation, interpreter) "
                    f"VALUES (:id, {at}, {at}, 3, :names, :said, :dump)"
                ),
                values,
            )
    store = open_at(database_url)
    alice, bob = store.reader.session_of_task("alice"), store.reader.session("bob")
    assert alice is not None
    assert (alice.tasks, alice.variables, alice.interpreter) == (3, ("x", "y"), b"dump")
    assert [(turn.number, turn.role, turn.content) for turn in alice.conversation] == [
        (1, "user", 'Say "hi" — 日本\n'),
        (2, "assistant", "hi"),
    ]
    assert [turn.content for turn in bob.conversation] == [CUT, "x" * 100_000]
    assert store.reader.session("carol").conversation == ()
    store.close()
    with writer.begin() as connection:
        migrate.downgrade(connection, "0006")
        rows = connection.execute(text("SELECT conversation, variables, interpreter FROM sessions ORDER BY id")).all()
    found = [(json.loads(row[0]) if isinstance(row[0], str) else row[0], row[2]) for row in rows]
    assert found[0] == ([["user", 'Say "hi" — 日本\n'], ["assistant", "hi"]], b"dump")
    assert found[2] == ([], None)


DROPPED = {
    "DROP TABLE alembic_version": ["the table alembic_version", "go back to a backup"],
    "DROP TABLE deliveries": ["the table deliveries", "go back to a backup"],
    "ALTER TABLE tasks DROP COLUMN owner": ["the column tasks.owner", "go back to a backup"],
    "DROP INDEX ix_events_position": [
        "the unique index ix_events_position",
        "make it again: CREATE UNIQUE INDEX ix_events_position ON events (position);",
    ],
    "DROP INDEX ix_events_position; CREATE INDEX ix_events_position ON events (position)": [
        "the unique index ix_events_position",
        "make it again: DROP INDEX ix_events_position; CREATE UNIQUE INDEX ix_events_position ON events (position);",
    ],
}


@pytest.mark.parametrize("statement", DROPPED)
def test_what_was_dropped_is_named_at_the_start_with_the_way_out(
    open_at: "OpenStore", database_url: str, raw_engine: Engine, statement: str
) -> None:
    open_at(database_url).close()
    with raw_engine.begin() as connection:
        for each in statement.split(";"):
            connection.execute(text(each))
    with pytest.raises(ConfigurationError) as refused:
        open_at(database_url)
    assert all(part in refused.value.message for part in DROPPED[statement]), refused.value.message


@pytest.mark.parametrize(
    "statements",
    ["DROP INDEX ix_tasks_dead", "DROP INDEX ix_events_position; CREATE INDEX ix_events_position ON events (at)"],
)
def test_an_index_that_was_dropped_is_made_again_by_what_the_sentence_says(
    open_at: "OpenStore", database_url: str, raw_engine: Engine, statements: str
) -> None:
    open_at(database_url).close()
    with raw_engine.begin() as connection:
        for each in statements.split(";"):
            connection.execute(text(each))
    with pytest.raises(ConfigurationError) as refused:
        open_at(database_url)
    with raw_engine.begin() as connection:
        for each in refused.value.message.partition("make it again: ")[2].rstrip(";").split(";"):
            connection.execute(text(each))
    open_at(database_url).close()
