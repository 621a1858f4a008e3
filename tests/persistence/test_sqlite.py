"""What holds for a SQLite file only: modes, the write-ahead log, and what is told when the file will not do."""

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from callboard.errors import ConfigurationError, StorageFull, StoreUnavailable
from callboard.messages.health import Totals
from callboard.messages.records import RecordAcceptance, RecordResult
from callboard.messages.tasks import ListTasks, TaskRecord
from callboard.persistence.database_file import sqlite_path
from callboard.persistence.engine import open_readers, parse_url
from callboard.persistence.faults import unavailable
from callboard.persistence.reads import SqlReader
from callboard.persistence.store import SqlStore

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker, OpenStore


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "callboard.db"


@pytest.fixture
def beside(store: SqlStore, path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody else to the store's file."""
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


def test_the_file_and_its_folder_are_the_owners_alone(
    open_at: "OpenStore", sqlite_url: str, make: "Maker", path: Path
) -> None:
    store = open_at(sqlite_url)  # which makes them, since nothing is there
    store.writer.write([make.acceptance()])
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in [path.parent, *path.parent.iterdir()]}
    assert modes == {"data": 0o700, "callboard.db": 0o600, "callboard.db-wal": 0o600, "callboard.db-shm": 0o600}


def test_an_orderly_end_leaves_one_file(store: SqlStore, make: "Maker", path: Path) -> None:
    store.writer.write([make.acceptance()])
    store.reader.ping()
    store.close()
    assert [file.name for file in path.parent.iterdir()] == ["callboard.db"]


def test_commits_are_on_the_disk_and_readers_do_not_wait(store: SqlStore, beside: sqlite3.Connection) -> None:
    with store._transaction as cursor:
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone() == (2,), "FULL"
        assert beside.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store.reader.totals() == Totals()


@pytest.fixture
def statements(store: SqlStore) -> list[str]:
    """What the writer's connection executes from now on."""
    seen: list[str] = []
    with store._transaction:
        assert store._transaction._connection is not None
        connection = store._transaction._connection.driver_connection
        assert isinstance(connection, sqlite3.Connection)
    connection.set_trace_callback(seen.append)
    return seen


def test_a_batch_is_one_transaction_of_a_few_statements(store: SqlStore, make: "Maker", statements: list[str]) -> None:
    old, new = [make.acceptance() for _ in range(8)], [make.acceptance() for _ in range(8)]
    store.writer.write([*old, *[make.start(a) for a in old]])
    statements.clear()
    events = [make.events(a) for a in old]

    def result(accepted: RecordAcceptance) -> RecordResult:
        return make.result(accepted, session=make.left(accepted.task.task_id), metadata={"llmCalls": 0})

    store.writer.write([*new, *events, *events, *[result(a) for a in old]])
    kinds = [statement.split()[0] for statement in statements]
    # 32 rows of events in one statement; sessions, like tasks, in one of 8.
    assert kinds == [
        *("BEGIN", "SELECT", "SELECT", "INSERT", "INSERT", "WITH", "DELETE", "INSERT"),
        *("INSERT", "UPDATE", "COMMIT"),  # the one row of the agent that ended them all, and the totals
    ]


def test_the_writer_holds_no_task_that_has_ended(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    store.writer.write([accepted, make.acceptance()])
    store.writer.write([make.result(accepted, attempt=0)])
    assert len(store.writer._records._live) == 1


def test_readers_cannot_write(store: SqlStore) -> None:
    with store.reader._connection() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.exec_driver_sql("DELETE FROM tasks")


def test_a_connection_that_has_not_read_yet_reads_the_file_that_was_opened_when_another_takes_its_place(
    store: SqlStore, make: "Maker", path: Path
) -> None:
    accepted = make.acceptance()
    store.writer.write([accepted])
    with store.reader._engine.connect():  # connected, and back in the pool without a statement
        pass
    path.rename(path.with_name("away"))
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE tasks (id TEXT)")
    assert [store.reader.task(accepted.task.task_id) for _ in range(2)] == [TaskRecord(task=accepted.task)] * 2


def test_a_connection_that_met_an_error_of_the_file_is_not_used_again(
    store: SqlStore, make: "Maker", path: Path, sqlite_url: str
) -> None:
    accepted = make.acceptance()
    store.writer.write([accepted])
    engine = open_readers(parse_url(sqlite_url))  # which does not know what file it is to be
    connections: list[object] = []
    event.listen(engine, "connect", lambda connection, _record: connections.append(connection))
    with engine.connect():
        pass
    path.rename(path.with_name("away"))
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE tasks (id TEXT)")
    reader = SqlReader(engine)
    with pytest.raises(StoreUnavailable):
        reader.task(accepted.task.task_id)  # it has one file, and the log of the other
    path.with_name("away").rename(path)
    store.writer.write([make.acceptance()])
    assert reader.tasks(ListTasks()).tasks[-1].task == accepted.task
    assert len(connections) == 2
    engine.dispose()


def test_a_file_that_stays_locked_is_unavailable_until_the_lock_is_gone(
    open_at: "OpenStore", sqlite_url: str, make: "Maker", path: Path
) -> None:
    store = open_at(sqlite_url, lock_wait_ms=20)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    accepted = make.acceptance()
    with pytest.raises(StoreUnavailable, match="locked"):
        store.writer.write([accepted])
    with pytest.raises(StoreUnavailable, match="locked"):
        store.writer.prune_step(older_than=None, keep=0)
    store.reader.ping()
    other.execute("COMMIT")
    other.close()
    assert store.writer.write([accepted])[0].value == TaskRecord(task=accepted.task)


def test_a_full_disk_is_told_and_leaves_nothing_of_the_batch(store: SqlStore, make: "Maker") -> None:
    first = make.acceptance()
    store.writer.write([first, make.start(first)])
    with store._transaction as cursor:
        cursor.execute("PRAGMA page_count")
        row = cursor.fetchone()
        assert row is not None
    with store._transaction as cursor:
        cursor.execute(f"PRAGMA max_page_count={row[0]}")
    large = make.acceptance(task="x" * 100_000)
    with pytest.raises(StorageFull):
        store.writer.write([make.events(first), large])
    assert len(store.reader.events(first.task.task_id).events) == 1
    assert store.reader.totals() == Totals(total=1, live=1)
    # The connection is replaced after a fault, and its limit with it: space has been made.
    outcomes = store.writer.write([make.events(first), large])
    assert [event.seq for event in outcomes[0].events] == [2]
    assert store.reader.totals() == Totals(total=2, live=2)


def test_a_read_only_file_is_unavailable(store: SqlStore, make: "Maker", path: Path) -> None:
    read_only = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as caught:
        read_only.execute("DELETE FROM tasks")
    read_only.close()
    fault = unavailable(caught.value)
    assert isinstance(fault, StoreUnavailable)
    assert "read-only" in fault.message


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("sqlite:////a/b.db", "/a/b.db"),
        ("sqlite:///b.db", "{here}/b.db"),
        ("sqlite:///~/b.db", "{here}/home/b.db"),
        ("sqlite:////a%2541b/q%3Fx.db", "/a%41b/q?x.db"),
        ("sqlite:///file:/a%2541b.db?uri=true", "/aAb.db"),
        ("sqlite:///file:///a/b.db?mode=rw&uri=true", "/a/b.db"),
        ("sqlite:///file:b.db?uri=true", "{here}/b.db"),
    ],
)
def test_an_address_of_sqlite_names_a_file_with_its_full_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert str(sqlite_path(parse_url(address))) == path.format(here=tmp_path)


def test_a_home_that_an_address_names_and_is_not_there_is_a_bad_setting() -> None:
    with pytest.raises(ConfigurationError, match=r"CALLBOARD_DATABASE_URL: .* no user is called that"):
        parse_url("sqlite:///~no-such-user/b.db")


@pytest.mark.parametrize(
    "address",
    ["sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true", "sqlite:///file:x?mode=memory&uri=true"],
)
def test_an_in_memory_database_is_refused(open_at: "OpenStore", address: str) -> None:
    with pytest.raises(ConfigurationError, match="in-memory"):
        open_at(address)


@pytest.mark.parametrize("address", ["mysql://localhost/x", "nonsense", "oracle://x"])
def test_an_address_of_no_supported_database_is_refused(open_at: "OpenStore", address: str) -> None:
    with pytest.raises(ConfigurationError, match="CALLBOARD_DATABASE_URL"):
        open_at(address)


def test_a_folder_that_cannot_be_made_is_refused(open_at: "OpenStore", tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be kept"):
        open_at(f"sqlite:///{tmp_path}/file/callboard.db")


def test_a_file_that_is_no_database_is_refused(open_at: "OpenStore", sqlite_url: str, path: Path) -> None:
    path.parent.mkdir()
    path.write_text("hello " * 1000)
    with pytest.raises(ConfigurationError, match="not a database"):
        open_at(sqlite_url)


@pytest.mark.parametrize("port", ["0", "65536", "1" * 5000], ids=["none", "too large", "of many digits"])
def test_an_address_whose_port_cannot_be_is_refused(port: str) -> None:
    with pytest.raises(ConfigurationError, match="CALLBOARD_DATABASE_URL is not a database address"):
        parse_url(f"postgresql://host:{port}/tasks")
