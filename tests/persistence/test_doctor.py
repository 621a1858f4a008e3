"""`callboard doctor`: what it finds on both backends, each fault made on purpose."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from sqlalchemy import Engine, text

from callboard import Settings
from callboard.budget import Account, Usage
from callboard.cli.main import main
from callboard.errors import ConfigurationError
from callboard.messages.events import Topic
from callboard.messages.pauses import Pause, PauseReason
from callboard.messages.records import RecordPause
from callboard.messages.tasks import AttachedFile, Status
from callboard.persistence.claim import claim
from callboard.persistence.doctor import examine
from callboard.persistence.findings import Finding
from callboard.persistence.store import SqlStore
from callboard.secret_files import kept_secret

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker

Examined = Callable[[], dict[str, Finding]]


@pytest.fixture
def settings(make_settings: Callable[..., Settings], database_url: str) -> Settings:
    return make_settings(database_url=database_url, secret_key="k" * 32, webhook_secret=f"whsec_{'a' * 32}")


@pytest.fixture
def examined(settings: Settings, store: SqlStore) -> Examined:
    """Return a function that examines the store and returns the findings by the name of their check."""
    settings.data_dir.mkdir(mode=0o700, exist_ok=True)
    return lambda: {finding.check: finding for finding in examine(settings)}


def test_a_history_with_everything_in_order_is_found_sound(store: SqlStore, make: "Maker", examined: Examined) -> None:
    one, other = make.acceptance(callback_url="http://192.0.2.1/hook"), make.acceptance()
    store.writer.write([one, make.start(one), make.events(one), other])
    store.writer.write([make.result(one)])
    found = examined()
    assert {f.level for name, f in found.items() if name not in ("disk", "deliveries")} == {"ok"}, found
    assert "2 tasks were accepted; 1 ended ones are stored and 1 have not ended" in found["totals"].message


SPOILED = {
    "orphans": "DELETE FROM tasks WHERE id = 'task-00000001'",
    "events": "DELETE FROM events WHERE task_id = 'task-00000001' AND seq = 2",
    "totals": "UPDATE totals SET live = 7",
    "schema": "UPDATE alembic_version SET version_num = '9999'; UPDATE schema SET oldest = '9998'",
}


@pytest.mark.parametrize("check", SPOILED)
def test_what_cannot_be_is_an_error(
    store: SqlStore, make: "Maker", examined: Examined, raw_engine: Engine, check: str
) -> None:
    one = make.acceptance()
    store.writer.write([one, make.start(one), make.events(one), make.events(one)])
    with raw_engine.begin() as connection:
        for statement in SPOILED[check].split(";"):
            connection.execute(text(statement))
    found = examined()
    assert found[check].level == "error"
    assert found[check].advice


def test_a_table_that_was_dropped_is_named(store: SqlStore, raw_engine: Engine, examined: Examined) -> None:
    store.close()
    with raw_engine.begin() as connection:
        connection.execute(text("DROP TABLE turns"))
    found = examined()
    assert (found["schema"].level, "the table turns" in found["schema"].message) == ("error", True)
    assert "backup" in found["schema"].advice
    assert "orphans" not in found


def test_what_waits_for_somebody_is_a_warning(store: SqlStore, make: "Maker", examined: Examined) -> None:
    paused, dead, running = (make.acceptance(callback_url="http://192.0.2.1/hook") for _ in range(3))
    pause = RecordPause(
        task_id=paused.task.task_id,
        attempt=1,
        at=make.now,
        pause=Pause(reason=PauseReason.OUTCOME_UNKNOWN),
        events=(make.event(Topic.TASK_PAUSED),),
    )
    store.writer.write([paused, dead, running, *[make.start(one) for one in (paused, dead, running)], pause])
    store.writer.write([make.result(dead, Status.FAILED, error_code="dead_letter")])
    assert make.now < datetime.now(UTC)
    found = examined()
    warned = {name for name, f in found.items() if f.level == "warning"} - {"disk"}
    assert warned == {"paused", "dead-letters", "running", "deliveries"}
    assert all(found[name].advice for name in warned)
    named = re.findall(r"`callboard ([^`]+)`", found["paused"].advice + found["dead-letters"].advice)
    assert named == ["approvals", "decide", "dead-letters list", "dead-letters redrive"]
    for words in named:
        command: click.Command = main
        for word in words.split():
            assert isinstance(command, click.Group)
            command = command.commands[word]


def test_a_task_that_waits_for_agents_waits_for_nobody_to_decide(
    store: SqlStore, make: "Maker", examined: Examined
) -> None:
    one = make.acceptance()
    store.writer.write([one, make.start(one)])
    events, child = (make.event(Topic.TASK_PAUSED),), make.acceptance(parent_id=one.task.task_id)
    pause = Pause(reason=PauseReason.SUBAGENTS)
    task_id = one.task.task_id
    store.writer.write([replace(make.events(one), children=(child,))])
    store.writer.write([RecordPause(task_id=task_id, attempt=1, at=make.now, pause=pause, events=events)])
    assert examined()["paused"].level == "ok"


def test_accounts_and_files_of_no_task_are_an_error(
    store: SqlStore, make: "Maker", examined: Examined, raw_engine: Engine
) -> None:
    file = AttachedFile(name="a.txt", media_type="text/plain", data=b"a")
    one = replace(make.acceptance(), files=(file,))
    spent = ((Account("task", one.task.task_id), Usage(model_calls=1)), (Account("session", "s"), Usage()))
    store.writer.write([one, make.start(one), replace(make.events(one), charges=spent)])
    assert examined()["orphans"].level == "ok"
    with raw_engine.begin() as connection:
        connection.execute(text("DELETE FROM tasks"))
    assert "1 in files" in examined()["orphans"].message
    assert "1 in usage" in examined()["orphans"].message


def test_running_tasks_with_a_server_are_in_order(
    store: SqlStore, make: "Maker", examined: Examined, settings: Settings
) -> None:
    one = make.acceptance()
    store.writer.write([one, make.start(one)])
    held = claim(settings)
    try:
        found = examined()
        assert examined()["server"].message == found["server"].message
        assert found["server"].message.startswith("A server is at work on it: ")
    finally:
        held.let_go()
    assert (found["running"].level, found["running"].message) == ("ok", "1 task is running.")
    assert examined()["server"].message == "No server is at work on it."


def test_it_makes_and_changes_nothing(sqlite_url: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", database_url=sqlite_url)
    assert [f.check for f in examine(settings) if f.level == "error"] == ["folder"]
    assert not settings.data_dir.exists()
    SqlStore.open(settings).close()
    before = {file.name: file.stat().st_mtime_ns for file in settings.data_dir.iterdir()}
    list(examine(settings))
    assert {file.name: file.stat().st_mtime_ns for file in settings.data_dir.iterdir()} == before


def test_files_that_others_may_read_and_files_that_are_missing_are_told(sqlite_url: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", database_url=sqlite_url)
    store = SqlStore.open(settings)
    store.close()
    settings.data_dir.chmod(0o755)
    (settings.data_dir / "callboard.db").chmod(0o644)
    found = {finding.check: finding for finding in examine(settings)}
    assert {name for name, f in found.items() if f.level != "ok"} - {"disk"} == {
        "folder", "file", "key", "webhook",
    }  # fmt: skip
    (settings.data_dir / "secret.key").write_text("k" * 64)
    (settings.data_dir / "secret.key").chmod(0o640)
    assert "chmod 600" in {finding.check: finding for finding in examine(settings)}["key"].advice


def _spoil(path: Path, how: str) -> None:
    match how:
        case "empty":
            path.touch()
        case "short":
            path.write_text("k" * 31 + "\n")
        case "bytes":
            path.write_bytes(b"\xff" * 64)
        case "folder":
            path.mkdir()
        case "link to nothing":
            path.symlink_to("nowhere")
        case _:
            pass


@pytest.mark.parametrize(("check", "name"), [("key", "secret.key"), ("webhook", "webhook.secret")])
@pytest.mark.parametrize("how", ["empty", "short", "bytes", "folder", "link to nothing"])
def test_a_file_that_holds_no_secret_is_an_error_and_stops_a_start(
    make_settings: Callable[..., Settings], check: str, name: str, how: str
) -> None:
    settings = make_settings()
    settings.data_dir.mkdir(mode=0o700)
    path = settings.data_dir / name
    _spoil(path, how)
    found = {finding.check: finding for finding in examine(settings)}[check]
    assert found.level == "error"
    assert str(path) in found.message
    assert "Restore it from the backup" in found.advice
    with pytest.raises(ConfigurationError, match=name) as refused:
        kept_secret(path, lambda: "k" * 64, setting="CALLBOARD_SECRET_KEY")
    assert refused.value.message == f"{found.message} {found.advice}"


def test_a_webhook_secret_that_does_not_follow_the_standard_is_an_error(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    settings.data_dir.mkdir(mode=0o700)
    (settings.data_dir / "webhook.secret").write_text("k" * 64)
    found = {finding.check: finding for finding in examine(settings)}["webhook"]
    assert (found.level, "whsec_" in found.message) == ("error", True)


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    made = kept_secret(tmp_path / "new" / "secret.key", lambda: "k" * 64, setting="CALLBOARD_SECRET_KEY")
    assert kept_secret(tmp_path / "new" / "secret.key", lambda: "l" * 64, setting="CALLBOARD_SECRET_KEY") == made
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["secret.key"]


def test_an_empty_file_is_no_history_yet(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    settings.data_dir.mkdir(mode=0o700)
    (settings.data_dir / "callboard.db").touch()
    found = {finding.check: finding for finding in examine(settings)}
    assert (found["file"].level, "no history yet" in found["file"].message) == ("ok", True)
    assert "database" not in found
    SqlStore.open(settings).close()


@pytest.mark.parametrize("how", ["a read-only file system", "not allowed"])
def test_a_folder_that_cannot_be_written_is_an_error(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    settings = make_settings()
    SqlStore.open(settings).close()
    if how == "not allowed":
        monkeypatch.setattr(os, "access", lambda _path, _mode: False)  # the tests' user may be root, who may all
    else:
        statvfs = os.statvfs
        flag = statvfs(settings.data_dir).f_flag | os.ST_RDONLY
        monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result([*statvfs(path)[:8], flag, 255]))
    found = {finding.check: finding for finding in examine(settings)}
    assert {found[check].level for check in ("folder", "file")} == {"error"}
    assert all("cannot start here" in found[check].advice for check in ("folder", "file"))


def test_a_damaged_file_is_an_error(make: "Maker", sqlite_url: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", database_url=sqlite_url)
    store = SqlStore.open(settings)
    store.writer.write([make.acceptance(task="x" * 2000) for _ in range(50)])
    store.close()
    with (settings.data_dir / "callboard.db").open("r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xff" * 4096 * 10)
    errors = [finding for finding in examine(settings) if finding.level == "error"]
    assert {finding.check for finding in errors} & {"integrity", "database"}
    assert any("backup" in finding.advice for finding in errors)
