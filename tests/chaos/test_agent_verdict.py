"""The verdict on an agent's load finds what it looks for: each kind of wrong is made by hand, and seen."""

import json
import random
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.provider import running
from callboard import AgentSystem, AwaitTask, DecideTask, Decision, GetTask, Settings, Status, SubmitTask
from callboard.messages.events import AwaitEvents
from chaos.agent import AGENTS
from chaos.agent_verdict import AgentVerdict
from chaos.agent_work import family, part
from chaos.load import Memory
from chaos.model import Scripted
from chaos.scenario import SKILLS
from chaos.work import Work, approval_on, code, edited

APPROVE, EDIT = (next(f"t{n}" for n in range(100) if approval_on(f"t{n}") == wish) for wish in ("approve", "edit"))


class Scene:
    """A server's folder after one task with agents and one with approvals, and what the clients and the model know."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory = Memory()
        self.ids: dict[str, str] = {}

    def copy(self, folder: Path) -> "Scene":
        """Return one of its own for a test that spoils it."""
        shutil.copytree(self.folder, folder)
        made, known = Scene(folder), self.memory
        made.ids = dict(self.ids)
        made.memory = Memory(
            posted=dict(known.posted),
            accepted=dict(known.accepted),
            ends=dict(known.ends),
            approvals=dict(known.approvals),
        )
        return made

    def run(self, system: AgentSystem, work: Work) -> None:
        task_id = system.gateway.ask(
            SubmitTask(task=work.body["task"], labels=work.body["labels"]), timeout_s=10
        ).task_id
        while (pause := self._pause(system, task_id)) is not None:
            token = pause.args[0]
            self.memory.approvals.setdefault(token, time.time())
            wish: dict[str, Any] = {"decision": Decision(approval_on(token))}
            wish |= {"arguments": {"token": edited(token)}} if approval_on(token) == "edit" else {}
            system.gateway.ask(DecideTask(task_id=task_id, **wish), timeout_s=30)
        record = system.gateway.ask(AwaitTask(task_id=task_id, wait_s=60), timeout_s=65)
        self.memory.posted[work.name] = self.memory.accepted[task_id] = work
        self.memory.ends[task_id] = (record.status, record.error_code, record.output)
        self.ids[work.name] = task_id

    @staticmethod
    def _pause(system: AgentSystem, task_id: str) -> Any:
        """Return what the task asks a person, None once it has ended."""
        after, until_s = 0, time.monotonic() + 60
        while time.monotonic() < until_s:
            record = system.gateway.ask(GetTask(task_id=task_id), timeout_s=30)
            if record.status.ended:
                return None
            if record.status is Status.PAUSED and (pause := record.state.pause) and pause.reason == "approval":
                return pause
            page = system.gateway.ask(AwaitEvents(task_id=task_id, after=after, wait_s=2), timeout_s=30)
            after = page.events[-1].seq if page.events else after
        raise AssertionError(record)

    def missed(self) -> list[str]:
        found = AgentVerdict(self.memory, self.folder / "callboard.db", self.effects, self.asked, [])
        return [figure.name for figure in found.figures() if figure.met is False]

    @property
    def effects(self) -> Path:
        return self.folder / "effects.jsonl"

    @property
    def asked(self) -> Path:
        return self.folder / "asked.jsonl"

    def sql(self, statement: str, *values: Any) -> None:
        with closing(sqlite3.connect(self.folder / "callboard.db")) as connection:
            connection.execute(statement, values)
            connection.commit()

    def child(self) -> str:
        with closing(sqlite3.connect(self.folder / "callboard.db")) as connection:
            found = connection.execute("SELECT id FROM tasks WHERE parent_id = ?", (self.ids["f"],)).fetchone()
        return str(found[0])

    def ask(self, **line: Any) -> None:
        with self.asked.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def effect(self, token: str, at: float, like: str) -> None:
        lines = [json.loads(line) for line in self.effects.read_text().splitlines()]
        first = next(line for line in lines if line["token"] == like)
        with self.effects.open("a") as file:
            file.write(json.dumps({**first, "token": token, "at": at}) + "\n")


@pytest.fixture(scope="module")
def load_that_went_well(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """One for all tests: each spoils a copy."""
    scene = Scene(tmp_path_factory.mktemp("verdict"))
    with running(Scripted(scene.asked)) as provider:
        settings = Settings(
            data_dir=scene.folder,
            port=0,
            skills_dir=SKILLS,
            agents_dir=AGENTS,
            skill_settings={"chaos_effects": str(scene.effects), "chaos_delay_ms": "0"},
            llm_provider="openai",
            llm_base_url=provider.openai_url,
            llm_model="scripted",
            llm_api_key="scripted",
        )
        with AgentSystem.start(settings) as system:
            scene.run(system, family("f", random.Random(14), retried=False))
            calls = f"from skills import approved_keyed\n[approved_keyed({APPROVE!r}), approved_keyed({EDIT!r})]"
            scene.run(system, part("a", "approval", [code(calls)], [APPROVE, edited(EDIT)]))
    return scene


@pytest.fixture
def scene(load_that_went_well: Scene, tmp_path: Path) -> Scene:
    return load_that_went_well.copy(tmp_path / "data")


def test_a_load_that_went_well_misses_nothing(scene: Scene) -> None:
    assert scene.missed() == []


def test_a_model_that_is_asked_what_it_has_answered_is_seen(scene: Scene) -> None:
    scene.ask(name="f", round=1, at=time.time())
    assert scene.missed() == [
        "finished model calls asked again",
        "model calls asked again without a kill in between",
    ]


def test_a_request_that_the_script_does_not_have_is_seen(scene: Scene) -> None:
    scene.ask(name="f", round=9, at=time.time())
    assert scene.missed() == ["requests that the script does not have"]


def test_wrong_counts_of_model_calls_and_of_agents_are_seen(scene: Scene) -> None:
    scene.sql("UPDATE tasks SET metadata = json_set(metadata, '$.llmCalls', 9) WHERE id = ?", scene.ids["f"])
    assert scene.missed() == ["tasks that miscount their model calls or their agents"]
    scene.sql("UPDATE tasks SET metadata = json_remove(metadata, '$.subagents', '$.llmCalls')")
    assert scene.missed() == ["tasks that miscount their model calls or their agents"]


def test_an_agents_task_made_twice_is_seen(scene: Scene) -> None:
    with closing(sqlite3.connect(scene.folder / "callboard.db")) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(tasks)")]
    listed = ", ".join("id || 'b'" if column == "id" else column for column in columns)
    scene.sql(f"INSERT INTO tasks SELECT {listed} FROM tasks WHERE id = ?", scene.child())
    assert "agents' tasks made twice, or not asked for" in scene.missed()


def test_an_agents_task_that_is_missing_is_seen(scene: Scene) -> None:
    scene.sql("DELETE FROM tasks WHERE id = ?", scene.child())
    assert "agents' tasks missing from a completed task" in scene.missed()


def test_an_agents_task_that_outlived_its_parent_is_seen(scene: Scene) -> None:
    scene.sql("UPDATE tasks SET ended_at = ended_at + 60000000 WHERE id = ?", scene.child())
    assert scene.missed() == ["agents' tasks that outlived the task above them"]


def test_a_task_that_waits_for_agents_that_have_ended_is_seen(scene: Scene) -> None:
    scene.sql("UPDATE tasks SET pause = ? WHERE id = ?", '{"reason": "subagents"}', scene.ids["f"])
    assert scene.missed() == ["tasks that wait for agents that have ended"]


def test_an_agents_answer_that_did_not_reach_its_parent_is_seen(scene: Scene) -> None:
    scene.sql("UPDATE tasks SET output = '[]' WHERE id = ?", scene.child())
    assert "wrong outputs" in scene.missed()


def test_an_approval_that_was_asked_for_twice_is_seen(scene: Scene) -> None:
    scene.sql(
        "INSERT INTO events (task_id, seq, topic, at, position, data) "
        "SELECT task_id, seq + 1000, topic, at, position + 100000, data FROM events WHERE task_id = ? AND topic = 'agent.task.paused'",
        scene.ids["a"],
    )
    assert "approvals asked for twice" in scene.missed()


def test_a_call_made_before_its_approval_is_seen(scene: Scene) -> None:
    scene.effect(APPROVE, 0.0, like=APPROVE)
    assert scene.missed() == ["calls made before they were approved, or though they were rejected"]


def test_an_edited_call_made_as_it_was_is_seen(scene: Scene) -> None:
    scene.effect(EDIT, time.time(), like=edited(EDIT))
    assert scene.missed() == ["edited calls made with the arguments before"]


def test_an_approved_call_that_was_not_made_is_seen(scene: Scene) -> None:
    kept = [line for line in scene.effects.read_text().splitlines() if json.loads(line)["token"] != APPROVE]
    scene.effects.write_text("".join(f"{line}\n" for line in kept))
    assert scene.missed() == ["approved calls that were not made"]
