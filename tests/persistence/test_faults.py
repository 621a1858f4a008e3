"""The SQLite file under an open store: moved away, replaced, its log deleted; and what the store does about it."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from callboard.errors import ConfigurationError, StoreUnavailable
from callboard.messages.tasks import TaskRecord
from callboard.persistence.store import SqlStore

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker, OpenStore


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "callboard.db"


def stored(path: Path, into: Path) -> int:
    """Return how many tasks a server would find that started now, after a `kill -9` of this one."""
    into.mkdir()
    for file in path.parent.glob("callboard.db*"):
        shutil.copy(file, into)
    with closing(sqlite3.connect(into / path.name)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        count: int = connection.execute("SELECT count(*) FROM tasks").fetchone()[0]
        return count


def test_nothing_is_written_to_a_file_that_was_moved_away(store: SqlStore, make: "Maker", path: Path) -> None:
    first, second = make.acceptance(), make.acceptance()
    store.writer.write([first])
    store.reader.totals()
    away = path.rename(path.with_name("away"))
    with pytest.raises(StoreUnavailable, match=r"callboard.db is gone .* put it back"):
        store.writer.write([second])
    with pytest.raises(StoreUnavailable, match="gone"):
        store.writer.check()
    assert store.reader.task(first.task.task_id) == TaskRecord(task=first.task), "what is open can be read"
    away.rename(path)
    assert store.writer.write([second])[0].value == TaskRecord(task=second.task)


def test_another_file_in_its_place_is_neither_written_nor_read(store: SqlStore, make: "Maker", path: Path) -> None:
    store.writer.write([make.acceptance()])
    path.rename(path.with_name("away"))
    shutil.copy(path.with_name("away"), path)
    with pytest.raises(StoreUnavailable, match="another one is in its place"):
        store.writer.write([make.acceptance()])
    with pytest.raises(StoreUnavailable, match="another one is in its place"):
        store.reader.totals()


def test_a_read_makes_no_file_where_the_file_is_gone(store: SqlStore, path: Path) -> None:
    path.rename(path.with_name("away"))
    with pytest.raises(StoreUnavailable):
        store.reader.totals()
    assert not path.exists()


def test_a_deleted_log_costs_nothing_that_was_committed(
    store: SqlStore, make: "Maker", path: Path, tmp_path: Path
) -> None:
    store.writer.write([make.acceptance() for _ in range(20)])
    assert store.reader.totals().total == 20
    path.with_name("callboard.db-wal").unlink()
    store.writer.write([make.acceptance()])
    assert stored(path, tmp_path / "killed") == 21
    assert store.reader.totals().total == 21


def test_a_look_at_the_store_is_enough_to_save_a_deleted_log(
    store: SqlStore, make: "Maker", path: Path, tmp_path: Path
) -> None:
    store.writer.write([make.acceptance() for _ in range(20)])
    path.with_name("callboard.db-wal").unlink()
    store.writer.check()
    assert stored(path, tmp_path / "killed") == 20


def test_a_log_without_its_file_stops_the_start_and_stays(
    open_at: "OpenStore", sqlite_url: str, make: "Maker", path: Path
) -> None:
    path.parent.mkdir()
    log = path.with_name("callboard.db-wal")
    log.write_bytes(b"what was committed last")
    with pytest.raises(ConfigurationError, match="put the file back"):
        open_at(sqlite_url)
    assert not path.exists()
    assert log.exists()


def test_after_a_refusal_the_next_ones_come_soon_until_one_succeeds(
    open_at: "OpenStore", sqlite_url: str, make: "Maker", path: Path
) -> None:
    store = open_at(sqlite_url, lock_wait_ms=300)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="locked"):
                store.writer.write([make.acceptance()])
        other.execute("ROLLBACK")
    assert busy_timeout(store) == 100, "its successor waits shortly"
    assert busy_timeout(store) == 300, "and patiently after a commit"


def busy_timeout(store: SqlStore) -> int:
    with store._transaction as cursor:
        cursor.execute("PRAGMA busy_timeout")
        row = cursor.fetchone()
        assert row is not None
        return int(row[0])


def test_a_trial_changes_nothing(store: SqlStore, make: "Maker") -> None:
    store.writer.write([make.acceptance()])
    before = store.reader.totals()
    store.writer.check(trial=True)
    assert store.reader.totals() == before
