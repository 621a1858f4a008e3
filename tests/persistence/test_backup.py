"""`callboard backup`: copies made beside a working store, and what it refuses."""

import fcntl
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from callboard import Settings
from callboard.errors import BackupFailed, CallboardError, ConfigurationError
from callboard.messages.tasks import TaskRecord
from callboard.persistence.backup import back_up
from callboard.persistence.store import SqlStore
from tests.callboard.in_process import in_process
from tests.template import lay_history

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker, OpenStore


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings()


def test_a_copy_holds_what_was_committed_and_opens_as_a_history(
    store: SqlStore, make: "Maker", settings: Settings, open_at: "OpenStore", tmp_path: Path
) -> None:
    accepted = make.acceptance()
    store.writer.write([accepted])
    made = back_up(settings, tmp_path / "copy.db")
    assert (made.tasks, made.size_bytes) == (1, (tmp_path / "copy.db").stat().st_size)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["copy.db"]
    assert open_at(f"sqlite:///{made.path}").reader.task(accepted.task.task_id) == TaskRecord(task=accepted.task)


def test_what_a_backup_that_was_killed_has_left_is_deleted_by_the_next_one_and_one_at_work_keeps_its_own(
    store: SqlStore, settings: Settings, tmp_path: Path
) -> None:
    left, at_work = tmp_path / ".copy.db.abc.unfinished", tmp_path / ".copy.db.def.unfinished"
    others = tmp_path / ".other.db.abc.unfinished"
    for path in (left, tmp_path / f"{left.name}-journal", at_work, others):
        path.write_text("half")
    with at_work.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        back_up(settings, tmp_path / "copy.db")
    assert {file.name for file in tmp_path.iterdir() if file.is_file()} == {"copy.db", at_work.name, others.name}


def test_a_copy_beside_a_busy_writer_is_whole(
    store: SqlStore, make: "Maker", settings: Settings, tmp_path: Path
) -> None:
    store.writer.write([make.acceptance(task="x" * 50_000) for _ in range(100)])
    over, went_on = threading.Event(), threading.Event()

    def write() -> None:
        while not over.is_set():
            one = make.acceptance()
            store.writer.write([one, make.start(one), make.events(one)])
            went_on.set()

    writer = threading.Thread(target=write)
    writer.start()
    went_on.wait(10)
    try:
        made = back_up(settings, tmp_path / "copy.db")
    finally:
        over.set()
        writer.join()
    with closing(sqlite3.connect(made.path)) as copy:
        total, live = copy.execute("SELECT total, live FROM totals").fetchone()
        assert total == live == made.tasks == copy.execute("SELECT count(*) FROM tasks").fetchone()[0]
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_copy_of_a_history_at_rest_leaves_nothing_beside_it(
    store: SqlStore, make: "Maker", settings: Settings, tmp_path: Path
) -> None:
    store.writer.write([make.acceptance()])
    store.close()
    back_up(settings, tmp_path / "copy.db")
    assert [file.name for file in settings.data_dir.iterdir()] == ["callboard.db"]


@pytest.mark.parametrize(
    ("prepare", "kind", "why"),
    [
        (lambda target: target.write_text("mine"), BackupFailed, "is there already"),
        (lambda target: target.symlink_to("nowhere"), BackupFailed, "is there already"),
        (lambda target: target.parent.rmdir(), BackupFailed, "No file can be made"),
    ],
)
def test_a_target_that_cannot_be_new_is_refused(
    store: SqlStore,
    settings: Settings,
    tmp_path: Path,
    prepare: Callable[[Path], object],
    kind: type[CallboardError],
    why: str,
) -> None:
    target = tmp_path / "backups" / "copy.db"
    target.parent.mkdir()
    prepare(target)
    with pytest.raises(kind, match=why):
        back_up(settings, target)
    assert not target.parent.exists() or [file.name for file in target.parent.iterdir()] == ["copy.db"]


def test_what_is_no_history_is_not_copied(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="There is no history"):
        back_up(settings, tmp_path / "copy.db")
    settings.data_dir.mkdir()
    (settings.data_dir / "callboard.db").write_text("hello " * 1000)
    with pytest.raises(ConfigurationError, match="not a history"):
        back_up(settings, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_a_history_in_postgresql_has_its_own_tool(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="pg_dump"):
        back_up(make_settings(database_url="postgresql://127.0.0.1/none"), tmp_path / "copy.db")


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ("DROP TABLE events", "the table events"),
        ("DROP TABLE tasks", "the table tasks"),
        ("DROP TABLE alembic_version", "the table alembic_version"),
        ("ALTER TABLE tasks DROP COLUMN owner", "the column tasks.owner"),
        ("DROP INDEX", "the index"),
    ],
)
def test_a_copy_of_a_history_that_lacks_something_is_written_and_told_with_a_status(
    make_settings: Callable[..., Settings], tmp_path: Path, change: str, missing: str
) -> None:
    settings = lay_history(make_settings())
    with closing(sqlite3.connect(settings.data_dir / "callboard.db")) as connection:
        if change.startswith("DROP INDEX"):
            named = "SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite_%'"
            change = f"DROP INDEX {connection.execute(named).fetchone()[0]}"
        connection.executescript(change)
    done = in_process("backup", str(tmp_path / "copy.db"), home=tmp_path, CALLBOARD_DATA_DIR=str(settings.data_dir))
    assert done.returncode == 1
    assert f"lacks {missing}" in done.stderr
    assert "integrity_check ok" not in done.stdout
    assert (tmp_path / "copy.db").exists()
