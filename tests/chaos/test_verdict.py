"""The verdict finds what it looks for: each kind of wrong is made by hand, and seen."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.load import ROOT
from callboard import AgentSystem, Settings
from chaos import work
from chaos.load import Memory
from chaos.scenario import SKILLS
from chaos.verdict import Verdict


class Scene:
    """A server's folder after one script of four calls, and the clients' memory of it."""

    def __init__(self, folder: Path, task_id: str, memory: Memory) -> None:
        self.folder, self.task_id, self.memory = folder, task_id, memory
        self.database, self.effects = folder / "callboard.db", folder / "effects.jsonl"

    def copy(self, folder: Path) -> "Scene":
        """Return one of its own for a test that spoils it."""
        shutil.copytree(self.folder, folder)
        known = self.memory
        memory = Memory(posted=dict(known.posted), accepted=dict(known.accepted), ends=dict(known.ends))
        return Scene(folder, self.task_id, memory)

    def missed(self) -> list[str]:
        """Return the names of the figures that miss their target."""
        figures = Verdict(self.memory, self.database, self.effects).figures()
        return [figure.name for figure in figures if figure.met is False]

    def sql(self, statement: str, *values: Any) -> None:
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute(statement, values)
            connection.commit()

    def begin_again(self, token: str, **changes: Any) -> None:
        """Put a second begin of a call on record, now."""
        lines = [json.loads(line) for line in self.effects.read_text().splitlines()]
        first = next(line for line in lines if line["token"] == token and line["phase"] == "begin")
        with self.effects.open("a") as file:
            file.write(json.dumps({**first, "at": time.time(), **changes}) + "\n")


@pytest.fixture(scope="module")
def load_that_went_well(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """One for all tests: each spoils a copy."""
    folder, memory = tmp_path_factory.mktemp("verdict"), Memory()
    settings = Settings(
        data_dir=folder,
        port=0,
        skills_dir=SKILLS,
        skill_settings={"chaos_effects": str(folder / "effects.jsonl"), "chaos_delay_ms": "0"},
    )
    done = memory.posted["w"] = work.scripted("w", ("pure", "safe", "keyed", "never"), "script")
    with AgentSystem.start(settings) as system:
        record = system.execute(done.body["task"], labels=done.body["labels"])
    memory.accepted[record.task_id] = done
    memory.ends[record.task_id] = (record.status, record.error_code, record.output)
    return Scene(folder, record.task_id, memory)


@pytest.fixture
def scene(load_that_went_well: Scene, tmp_path: Path) -> Scene:
    return load_that_went_well.copy(tmp_path / "data")


def test_a_load_that_went_well_misses_nothing(scene: Scene) -> None:
    assert scene.missed() == []


def test_a_lost_task_is_missed(scene: Scene) -> None:
    scene.sql("DELETE FROM tasks")
    assert scene.missed() == ["accepted tasks lost"]


def test_a_task_that_did_not_end_is_seen(scene: Scene) -> None:
    scene.sql("UPDATE tasks SET status = 'running'")
    assert "tasks that did not end" in scene.missed()


def test_a_second_terminal_event_is_seen(scene: Scene) -> None:
    scene.sql(
        "INSERT INTO events (task_id, seq, topic, at, data) "
        "SELECT task_id, seq + 1, topic, at, data FROM events ORDER BY seq DESC LIMIT 1"
    )
    assert scene.missed() == ["tasks with two terminal events, or events after one"]


def test_a_gap_in_the_log_is_seen(scene: Scene) -> None:
    scene.sql("DELETE FROM events WHERE seq = 2")
    assert scene.missed() == ["logs with a gap in their numbers"]


def test_a_change_after_the_end_is_seen(scene: Scene) -> None:
    scene.sql("UPDATE tasks SET status = 'failed', error_code = 'dead_letter'")
    assert scene.missed() == ["tasks that changed after their end"]


def test_an_undocumented_outcome_and_a_wrong_output_are_seen(scene: Scene) -> None:
    scene.sql("UPDATE tasks SET status = 'failed', error_code = 'no_such_code'")
    assert "outcomes that are not documented, or not for such a task" in scene.missed()
    scene.sql("UPDATE tasks SET status = 'completed', error_code = NULL, output = '[1]'")
    assert "wrong outputs" in scene.missed()


def test_a_finished_effect_that_began_again_is_seen(scene: Scene) -> None:
    scene.begin_again("w.2")
    assert scene.missed() == ["finished effects repeated"]


def test_a_pure_call_may_begin_again(scene: Scene) -> None:
    scene.begin_again("w.1")
    assert scene.missed() == []


def test_an_unfinished_never_effect_that_began_again_is_seen_unless_it_was_decided(scene: Scene) -> None:
    scene.begin_again("w.4", at=0.0)  # before its completion
    assert scene.missed() == ["never effects begun twice without a decision"]
    scene.memory.retries["w.4"] = 1
    assert scene.missed() == []


def test_another_effect_id_for_the_same_call_is_seen(scene: Scene) -> None:
    scene.begin_again("w.3", at=0.0, effect="another")
    assert scene.missed() == ["calls whose effect id changed"]


def test_one_key_that_made_two_tasks_is_seen(scene: Scene) -> None:
    with closing(sqlite3.connect(scene.database)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(tasks)")]
    listed = ", ".join("id || 'b'" if column == "id" else column for column in columns)
    scene.sql(f"INSERT INTO tasks SELECT {listed} FROM tasks")
    assert "tasks made twice of one Idempotency-Key" in scene.missed()


def test_a_cancellation_that_did_not_stick_is_seen(scene: Scene) -> None:
    scene.memory.cancelled.add(scene.task_id)
    assert scene.missed() == ["cancellations that did not stick"]


APPEND = """
import sys
sys.path.insert(0, sys.argv[1])
from types import SimpleNamespace
import effects
ctx = SimpleNamespace(settings={"chaos_effects": sys.argv[2]}, effect_id="e" * 60, task_id="t" * 36)
print("writing", flush=True)
while True:
    effects._write(ctx, "safe", "x" * 100, "begin")
"""


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[list["subprocess.Popen[bytes]"]]:
    command = [sys.executable, "-c", APPEND, str(SKILLS), str(tmp_path / "effects.jsonl")]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]
    yield started
    for one in started:
        one.kill()
        one.communicate()


def test_a_kill_tears_no_line_of_the_effects(writers: list["subprocess.Popen[bytes]"], tmp_path: Path) -> None:
    path = tmp_path / "effects.jsonl"
    for one in writers:
        assert one.stdout is not None
        assert one.stdout.readline() == b"writing\n"
    while not path.exists() or path.stat().st_size < 100_000:
        assert all(one.poll() is None for one in writers)
    for one in writers:
        os.kill(one.pid, signal.SIGKILL)
        one.wait(10)
    assert {json.loads(line)["token"] for line in path.read_text().splitlines()} == {"x" * 100}
