"""`callboard backup`: copies made beside a working store, and what it refuses."""

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
from callboard.persistence.backup import back_up
from callboard.persistence.store import SqlStore

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
    store.write([accepted])
    made = back_up(settings, tmp_path / "copy.db")
    assert (made.tasks, made.size_bytes) == (1, (tmp_path / "copy.db").stat().st_size)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["copy.db"]
    assert open_at(f"sqlite:///{made.path}").task(accepted.record.task_id) == accepted.record


def test_a_copy_beside_a_busy_writer_is_whole(
    store: SqlStore, make: "Maker", settings: Settings, tmp_path: Path
) -> None:
    store.write([make.acceptance(task="x" * 50_000) for _ in range(100)])
    over, went_on = threading.Event(), threading.Event()

    def write() -> None:
        while not over.is_set():
            one = make.acceptance()
            store.write([one, make.start(one), make.events(one)])
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
    store.write([make.acceptance()])
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
