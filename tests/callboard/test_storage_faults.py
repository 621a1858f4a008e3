"""A whole system while its database's file is away: what callers are told, what work does, what health shows."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from callboard import AgentSystem, Settings, SubmitTask
from callboard.errors import StoreUnavailable
from callboard.messages.tasks import AwaitTask, CancelTask, GetTask, ListTasks, Status, TaskRecord
from tests.at_once import LATE_S

SKILL = '''
from pathlib import Path

from callboard import SkillContext, skill


@skill(replay="never")
def note(name: str, *, ctx: SkillContext) -> str:
    """Note a call, and return when a file of that name is there."""
    folder = Path(ctx.settings["folder"])
    with (folder / "effects").open("a") as file:
        file.write(f"{name} {ctx.effect_id}\\n")
    while not (folder / name).exists() and not ctx.cancelled:
        ctx.cancel_event.wait(0.01)
    return name
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the skill's files."""
    (tmp_path / "skills").mkdir()
    (tmp_path / "skills" / "note.py").write_text(SKILL)
    return tmp_path


@pytest.fixture
def system(start_system: Callable[..., AgentSystem], folder: Path) -> AgentSystem:
    """A system whose health is looked at often."""
    skill_settings = {"folder": str(folder)}
    system = start_system(skills_dir=folder / "skills", skill_settings=skill_settings, health_interval_s=0.2)
    assert system.wait_until_probed(10)
    return system


@pytest.fixture
def file(make_settings: Callable[..., Settings]) -> Path:
    return make_settings().data_dir / "callboard.db"


def noting(*names: str) -> str:
    calls = "\n".join(f"note({name!r})" for name in names)
    return f"Run this:\n```python\nfrom skills import note\n{calls}\n```"


def submit(system: AgentSystem, task: str) -> str:
    accepted = system.gateway.ask(SubmitTask(task=task), timeout_s=30)
    return str(accepted.task_id)


def ended(system: AgentSystem, task_id: str) -> TaskRecord:
    record: TaskRecord = system.gateway.ask(AwaitTask(task_id=task_id, wait_s=60), timeout_s=65)
    assert record.status.ended, record
    return record


def wait_for(condition: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        threading.Event().wait(0.01)


def refusal(system: AgentSystem) -> str:
    try:
        submit(system, "What is 3 + 3?")
    except StoreUnavailable as error:
        return error.message
    return ""


def effects(folder: Path) -> list[str]:
    noted = folder / "effects"
    return [line.split()[0] for line in noted.read_text().splitlines()] if noted.exists() else []


def test_a_call_that_must_be_on_record_waits_until_it_can_be(system: AgentSystem, folder: Path, file: Path) -> None:
    task_id = submit(system, noting("first", "second"))
    wait_for(lambda: effects(folder) == ["first"])
    away = file.rename(file.with_name("away"))
    (folder / "first").touch()
    (folder / "second").touch()
    wait_for(lambda: system.health().status == "unhealthy")
    assert effects(folder) == ["first"], "the second call is not on record yet"
    away.rename(file)
    record = ended(system, task_id)
    assert (record.status, record.output) == (Status.COMPLETED, "second")
    assert effects(folder) == ["first", "second"]
    events = list(system.events(task_id))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


def test_callers_are_refused_at_once_and_reads_go_on(system: AgentSystem, file: Path) -> None:
    task_id = system.execute("What is 2 + 2?").task_id
    away = file.rename(file.with_name("away"))
    wait_for(lambda: not system.health().services["store"])
    assert any("put it back" in problem for problem in system.health().problems)
    began_s = time.monotonic()
    for _ in range(20):
        with pytest.raises(StoreUnavailable, match="put it back"):
            submit(system, "What is 3 + 3?")
    assert time.monotonic() - began_s < LATE_S  # a patience of 10 s each would take 200 s
    assert system.gateway.ask(GetTask(task_id=task_id), timeout_s=30).output == 4
    away.rename(file)
    wait_for(lambda: system.health().status == "healthy", 5)
    assert system.execute("What is 3 + 3?").output == 6
    assert len(system.gateway.ask(ListTasks(), timeout_s=30).tasks) == 2, "what was refused was not accepted"


def test_a_cancel_that_was_refused_is_carried_out_when_it_can_be(system: AgentSystem, folder: Path, file: Path) -> None:
    task_id = submit(system, noting("never"))
    wait_for(lambda: effects(folder) == ["never"])
    away = file.rename(file.with_name("away"))
    with pytest.raises(StoreUnavailable):
        system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    wait_for(lambda: system.health().status == "unhealthy")
    away.rename(file)
    assert ended(system, task_id).status is Status.CANCELLED


def test_an_idle_system_notices_by_itself_and_comes_back_by_itself(system: AgentSystem, file: Path) -> None:
    away = file.rename(file.with_name("away"))
    wait_for(lambda: system.health().status == "unhealthy")
    away.rename(file)
    wait_for(lambda: system.health().status == "healthy", 5)


LOSSES = {
    "ALTER TABLE events RENAME TO away": ("the table events", "ALTER TABLE away RENAME TO events"),
    "ALTER TABLE tasks RENAME COLUMN owner TO away": (
        "the column tasks.owner",
        "ALTER TABLE tasks RENAME COLUMN away TO owner",
    ),
    "ALTER TABLE alembic_version RENAME TO away": (
        "the table alembic_version",
        "ALTER TABLE away RENAME TO alembic_version",
    ),
    "ALTER TABLE deliveries RENAME TO away": ("the table deliveries", "ALTER TABLE away RENAME TO deliveries"),
}
"""What somebody does to the tables under a running server, what is missing then, and how it is put back."""


@pytest.mark.parametrize("loss", LOSSES)
def test_a_table_or_column_that_is_lost_is_named_by_health_and_refusals_and_costs_no_accepted_task(
    system: AgentSystem, folder: Path, file: Path, loss: str
) -> None:
    missing, back = LOSSES[loss]
    task_id = submit(system, noting("first", "second"))
    wait_for(lambda: effects(folder) == ["first"])
    change(file, loss)
    wait_for(lambda: any(f"lacks {missing}" in problem for problem in system.health().problems))
    assert system.health().status == "unhealthy"
    wait_for(lambda: f"lacks {missing}" in refusal(system))  # health may have seen it before who writes has
    (folder / "first").touch()
    (folder / "second").touch()
    assert any(f"lacks {missing}" in problem and "backup" in problem for problem in system.health().problems)
    assert not any("restart the server" in problem for problem in system.health().problems)
    change(file, back)
    record = ended(system, task_id)
    assert (record.status, record.output) == (Status.COMPLETED, "second")
    assert effects(folder) == ["first", "second"]


def test_a_read_that_meets_a_lost_table_says_which(system: AgentSystem, file: Path) -> None:
    task_id = system.execute("What is 2 + 2?").task_id
    change(file, "ALTER TABLE events RENAME TO away")
    with pytest.raises(StoreUnavailable, match="lacks the table events"):
        list(system.events(task_id))
    change(file, "ALTER TABLE away RENAME TO events")
    wait_for(lambda: system.health().status == "healthy")
    assert list(system.events(task_id))


def change(file: Path, statement: str) -> None:
    """Change the tables beside the server."""
    with closing(sqlite3.connect(file, timeout=5, isolation_level=None)) as connection:
        connection.execute(statement)
