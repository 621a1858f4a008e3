"""A system whose tasks are worked on in processes, skills from hell, and what they have put on record."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from callboard import (
    AgentSystem,
    AwaitEvents,
    AwaitTask,
    CancelTask,
    DecideTask,
    Decision,
    GetTask,
    Status,
    SubmitTask,
    TaskRecord,
)
from callboard.messages.pauses import PauseReason

OPEN = Path("/proc/self/fd")
PACK = Path("chaos/hell_pack").resolve()


def wait_for(met: Callable[[], Any], what: str, within_s: float = 60.0) -> Any:
    """Return what `met` returns as soon as that is something."""
    until_s = time.monotonic() + within_s
    while not (found := met()):
        assert time.monotonic() < until_s, what
        threading.Event().wait(0.01)
    return found


def code(lines: str) -> str:
    return f"Run this:\n```python\n{lines}\n```"


def calling(skill: str, *arguments: str) -> str:
    return code(f"from skills import {skill}\n{skill}({', '.join(map(repr, arguments))})")


class Hell:
    """A system of worker processes, and what its skills have done."""

    def __init__(self, start: Callable[..., AgentSystem], folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._start = start
        self.system: AgentSystem

    def start(self, **changes: Any) -> "Hell":
        given = {"worker_processes": 1, "skills_dir": PACK, "skill_settings": {"hell": str(self.folder)}, "workers": 8}
        self.system = self._start(**{**given, **changes})
        wait_for(lambda: all(one["ready"] for one in self.processes), "the workers are not ready")
        return self

    @property
    def processes(self) -> list[dict[str, Any]]:
        return self.system._workforce.described()

    @property
    def pids(self) -> set[int]:
        return {one["pid"] for one in self.processes}

    def submit(self, task: str, **spec: Any) -> str:
        return str(self.system.gateway.ask(SubmitTask(task=task, **spec), timeout_s=30).task_id)

    def task(self, task_id: str) -> TaskRecord:
        found: TaskRecord = self.system.gateway.ask(GetTask(task_id=task_id), timeout_s=30)
        return found

    def ended(self, task_id: str, wait_s: float = 60) -> TaskRecord:
        record: TaskRecord = self.system.gateway.ask(AwaitTask(task_id=task_id, wait_s=wait_s), timeout_s=wait_s + 5)
        assert record.status.ended, record
        return record

    def in_doubt(self, task_id: str) -> str:
        """Wait until a task is paused since nobody knows what came of a call; return what its question says."""
        wait_for(lambda: self.task(task_id).status is Status.PAUSED, f"not paused: {self.task(task_id)}")
        pause = self.task(task_id).state.pause
        assert pause is not None
        assert pause.reason is PauseReason.OUTCOME_UNKNOWN
        return str(pause.message)

    def requeued(self, task_id: str) -> list[Mapping[str, Any]]:
        """Return what a task's log says of each time that it was set back."""
        page = self.system.gateway.ask(AwaitEvents(task_id=task_id, after=0, wait_s=0), timeout_s=30)
        return [event.data for event in page.events if event.topic == "agent.task.requeued"]

    def reasons(self, task_id: str) -> list[str]:
        """Return why a task was set back, in order."""
        return [data["reason"] for data in self.requeued(task_id)]

    def calls(self, token: str, phase: str = "begin") -> list[dict[str, Any]]:
        """Return the calls of a token that are on record."""
        file = self.folder / "calls.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [one for one in map(json.loads, lines) if (one["token"], one["phase"]) == (token, phase)]

    def wait_begun(self, token: str, times: int = 1) -> dict[str, Any]:
        wait_for(lambda: len(self.calls(token)) >= times, f"nobody has begun {token}")
        return self.calls(token)[times - 1]

    def open(self, gate: str) -> None:
        (self.folder / gate).touch()

    def decide(self, task_id: str, decision: Decision, result: Any = None) -> None:
        self.system.gateway.ask(DecideTask(task_id=task_id, decision=decision, result=result), timeout_s=30)

    def cancel(self, task_id: str) -> None:
        self.system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)

    def innocents(self, *policies: str) -> dict[str, str]:
        """Have tasks begin that mean well, each in a call at the gate; by token."""
        found = {policy: self.submit(calling(f"held_{policy}", policy, "gate")) for policy in policies}
        for token in found:
            self.wait_begun(token)
        return found


@pytest.fixture
def hell(start_system: Callable[..., AgentSystem], tmp_path: Path) -> Iterator[Hell]:
    """A system that is not started yet; stopped at the end, when nothing of it may be left."""
    me = psutil.Process()
    before = {child.pid for child in me.children(recursive=True)}
    descriptors = set(OPEN.iterdir())
    hell = Hell(start_system, tmp_path / "hell")
    yield hell
    hell.open("gate")
    if hasattr(hell, "system"):
        hell.system.stop()

    def left() -> list[str]:
        found = []
        for child in me.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if child.pid not in before and child.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join([str(child.pid), *child.cmdline()[:4]]))
        return found

    wait_for(lambda: not left(), f"processes are left: {left()}", 10)
    opened = {}
    for number in set(OPEN.iterdir()) - descriptors:
        with contextlib.suppress(OSError):  # that of the listing itself
            opened[number] = number.readlink()
    assert not opened
