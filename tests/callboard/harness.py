"""What the tests of a whole system share: skills that wait at gates, and a system in a process of its own, to be killed."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

from callboard import AgentSystem, AwaitEvents, AwaitTask, GetTask, Settings, Status, SubmitTask, TaskRecord
from tests.callboard.forked_system import forker

GATE_SKILLS = '''
import time
from pathlib import Path

from callboard import SkillContext, skill

FOLDER = Path({folder!r})


@skill(replay="pure")
def gate(name: str, *, ctx: SkillContext) -> str:
    """Say that we are here, and wait until the gate is opened or the task cancelled."""
    (FOLDER / (name + ".entered")).touch()
    while not (FOLDER / (name + ".open")).exists():
        if ctx.cancel_event.wait(0.002):
            return "cancelled"
    return name


@skill(replay="never")
def charge(amount: int, *, ctx: SkillContext) -> str:
    """Charge a card, on record."""
    with (FOLDER / "charges").open("a") as file:
        file.write(ctx.effect_id + "\\n")
    (FOLDER / "charged.entered").touch()
    while not (FOLDER / "charged.open").exists():
        time.sleep(0.002)
    return "charged"


@skill(replay="pure")
def deaf(name: str) -> str:
    """Wait for the gate and ignore any cancellation."""
    (FOLDER / (name + ".entered")).touch()
    while not (FOLDER / (name + ".open")).exists():
        time.sleep(0.002)
    return name


@skill(replay="pure")
def suicide() -> str:
    """Try to end the server."""
    raise SystemExit(1)
'''


class Gates:
    """Gates that skills wait at; the test opens them.

    Files, because some of the skills are in another process; `charge` and `deaf` look again and again, since they
    stand for skills that listen to nobody.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.skills = folder / "skills"
        self.skills.mkdir()
        (self.skills / "gates.py").write_text(GATE_SKILLS.format(folder=str(folder)))

    def wait_entered(self, name: str) -> None:
        deadline = time.monotonic() + 60  # a process starts, and may import a vendor's client
        while not (self.folder / f"{name}.entered").exists():
            assert time.monotonic() < deadline, f"nobody came to the gate {name}"
            threading.Event().wait(0.002)

    def open(self, name: str) -> None:
        (self.folder / f"{name}.open").touch()


def code(python: str) -> str:
    return f"Run this:\n```python\n{python}\n```"


def at_gate(name: str, skill: str = "gate") -> str:
    return code(f"from skills import {skill}\n{skill}({name!r})")


def submit(system: AgentSystem, task: str, **spec: Any) -> str:
    accepted = system.gateway.ask(SubmitTask(task=task, **spec), timeout_s=30)
    return str(accepted.task_id)


def ended(system: AgentSystem, task_id: str, wait_s: float = 60) -> TaskRecord:
    record: TaskRecord = system.gateway.ask(AwaitTask(task_id=task_id, wait_s=wait_s), timeout_s=wait_s + 5)
    assert record.status.ended, record
    return record


def await_status(system: AgentSystem, task_id: str, status: Status) -> TaskRecord:
    """Return the task once it stands so; the log says when to look again."""
    after, deadline = 0, time.monotonic() + 60
    while True:
        record: TaskRecord = system.gateway.ask(GetTask(task_id=task_id), timeout_s=30)
        if record.status is status:
            return record
        assert not record.status.ended, record
        assert time.monotonic() < deadline, record
        page = system.gateway.ask(AwaitEvents(task_id=task_id, after=after, wait_s=2), timeout_s=30)
        after = page.events[-1].seq if page.events else after


class Killed:
    """A system in a process of its own, to be killed."""

    left: ClassVar[list["Killed"]] = []
    """Those that have not ended: of a test that fails, for `end_all` to kill."""

    def __init__(self, settings: Settings, gates: Gates, **more: Any) -> None:
        fields = {"data_dir": str(settings.data_dir), "skills_dir": str(gates.skills), "port": 0, "workers": 2}
        stdin, wishes = os.pipe()
        answers, stdout = os.pipe()
        self._wishes, self._answers = os.fdopen(wishes, "w"), os.fdopen(answers)
        self.pid = forker().fork({**fields, "rate_limit_max_requests": 0, **more}, stdin, stdout)
        for theirs in (stdin, stdout):
            os.close(theirs)
        self.left.append(self)

    @classmethod
    def end_all(cls) -> None:
        for process in list(cls.left):
            process.kill()

    def submit(self, task: str, **spec: Any) -> str:
        return self._ask(wish="submit", task=task, **spec)

    def decide(self, task_id: str, decision: str, result: Any = None, arguments: Any = None) -> None:
        self._ask(wish="decide", task_id=task_id, decision=decision, result=result, arguments=arguments)

    def _ask(self, **wish: Any) -> str:
        self._wishes.write(json.dumps(wish) + "\n")
        self._wishes.flush()
        return self._answers.readline().strip()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.wait_dead()

    def wait_dead(self) -> None:
        forker().wait(self.pid)
        self.left.remove(self)
        for stream in (self._wishes, self._answers):
            stream.close()
