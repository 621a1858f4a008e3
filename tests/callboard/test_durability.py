"""What is promised of a task's work across crashes, retries, decisions and shutdowns: real processes, real signals.

The skills here write every effect to a file with its effect id, so that repeats are counted and not believed.
"""

import contextlib
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from callboard import AgentSystem, CancelTask, GetSession, GetTask, Settings, Status, SubmitTask, TaskRecord, Topic
from callboard.errors import TaskNotFound, TaskNotPaused, Unavailable
from callboard.messages.decisions import DecideTask
from callboard.messages.pauses import Decision
from tests.callboard.harness import Gates, Killed, await_status, code, ended, submit

START = Callable[..., AgentSystem]

SKILLS = '''
import os
import signal
from pathlib import Path

from callboard import RetryableError, SkillContext, skill

FOLDER = Path({folder!r})


def effect(name, ctx):
    line = name + " " + ctx.effect_id + chr(10)
    descriptor = os.open(FOLDER / "effects", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def stop_at(name):
    """Say that we are here; wait until the gate is opened, if there is one of this name."""
    (FOLDER / (name + ".entered")).touch()
    if (FOLDER / (name + ".closed")).exists():
        while not (FOLDER / (name + ".open")).exists():
            signal.sigtimedwait([], 0.002)


@skill(replay="pure")
def add(a: int, b: int) -> int:
    """Add two numbers."""
    with (FOLDER / "additions").open("a") as file:
        file.write(f"{{a}}+{{b}}" + chr(10))
    return a + b


@skill(replay="safe")
def look(n: int, *, ctx: SkillContext) -> int:
    """Look something up."""
    effect("look", ctx)
    stop_at(f"look{{n}}")
    return n


@skill(replay="keyed")
def pay(n: int, *, ctx: SkillContext) -> int:
    """Pay with an idempotency key."""
    effect("pay", ctx)
    stop_at(f"pay{{n}}")
    return n


@skill(replay="never")
def send(n: int, *, ctx: SkillContext) -> int:
    """Send a letter that cannot be called back."""
    effect("send", ctx)
    stop_at(f"send{{n}}")
    return n


@skill(replay="keyed")
def flaky(times: int, *, ctx: SkillContext) -> str:
    """Be unavailable a number of times."""
    effect("flaky", ctx)
    tries = (FOLDER / "effects").read_text().splitlines().count("flaky " + ctx.effect_id)
    if tries <= times:
        raise RetryableError("the other side is down")
    return f"after {{tries}} tries"


@skill(replay="safe")
def poison() -> str:
    """Kill the process this runs in."""
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


@skill(replay="never")
def send_to(people: set[str], *, ctx: SkillContext) -> int:
    """Send a letter to several people."""
    effect("send_to", ctx)
    stop_at("send_to")
    return len(people)


@skill(replay="safe")
def complain(how: str) -> str:
    """Raise an error that no database can hold as it is."""
    raise ValueError(how + chr(0xD800) + chr(0))


@skill(replay="pure")
def gate(name: str, *, ctx: SkillContext) -> str:
    """Wait until the gate is opened or the task cancelled."""
    (FOLDER / (name + ".entered")).touch()
    while not (FOLDER / (name + ".open")).exists():
        if ctx.cancel_event.wait(0.002):
            return "cancelled"
    return name
'''

ALL_POLICIES = "\n".join(
    [
        "from skills import add, look, pay, send",
        "total = add(1, 2)",
        "print('begin')",
        *(f"total = total + look({n}) + pay({n}) + send({n})" for n in (1, 2, 3)),
        "print('end')",
        "total",
    ]
)
TOTAL = 3 + 3 * (1 + 2 + 3)


@dataclass(frozen=True, slots=True)
class World:
    """The outside world as the skills see it."""

    gates: Gates

    @property
    def folder(self) -> Path:
        return self.gates.folder

    def close(self, name: str) -> None:
        """Have the call of this name (`pay2`) stop in its middle."""
        (self.folder / f"{name}.closed").touch()

    def open(self, name: str) -> None:
        self.gates.open(name)

    def wait_entered(self, name: str) -> None:
        self.gates.wait_entered(name)

    def effects(self, skill: str = "") -> Counter[str]:
        """Return how often each effect began, by `skill effect-id`."""
        path = self.folder / "effects"
        lines = path.read_text().splitlines() if path.exists() else []
        return Counter(line for line in lines if line.startswith(skill))


@pytest.fixture
def world(tmp_path: Path) -> World:
    gates = Gates(tmp_path / "world")
    (gates.skills / "gates.py").unlink()
    (gates.skills / "world.py").write_text(SKILLS.format(folder=str(gates.folder)))
    return World(gates)


@pytest.fixture
def start(start_system: START, world: World) -> START:
    return lambda **changes: start_system(**{"skills_dir": world.gates.skills, **changes})


@pytest.fixture
def killed_at(make_settings: Callable[..., Settings], world: World) -> Callable[..., str]:
    """Return a function that kills a system while a task is inside a call; returns the task's id."""

    def kill(gate: str, task: str, **spec: Any) -> str:
        world.close(gate)
        process = Killed(make_settings(), world.gates)
        task_id = process.submit(task, **spec)
        world.wait_entered(gate)
        process.kill()
        world.open(gate)
        return task_id

    return kill


def log(system: AgentSystem, task_id: str) -> list[tuple[Topic, Any]]:
    events = list(system.events(task_id))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [(event.topic, event.data) for event in events]


def decide(system: AgentSystem, task_id: str, decision: Decision, **more: Any) -> TaskRecord:
    wish = DecideTask(task_id=task_id, decision=decision, **more)
    record: TaskRecord = system.gateway.ask(wish, timeout_s=30)
    return record


# --- the ledger ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", ["look1", "look3", "pay1", "pay2"])
def test_a_script_goes_on_from_the_call_it_was_killed_in(
    killed_at: Callable[..., str], start: START, world: World, gate: str
) -> None:
    task_id = killed_at(gate, code(ALL_POLICIES))
    system = start()
    record = ended(system, task_id)
    assert (record.output, record.state.attempt) == (TOTAL, 2)
    repeated = {line: count for line, count in world.effects().items() if count > 1}
    assert list(repeated.values()) == [2], "the call it was killed in, with the same effect id"
    assert next(iter(repeated)).startswith(gate[:-1])
    assert (world.folder / "additions").read_text() == "1+2\n", "what came before is not computed again"
    assert record.metadata["skillCalls"] == 10
    assert record.metadata["printed"] == "begin\nend\n"
    topics = [topic for topic, _ in log(system, task_id)]
    assert topics.count(Topic.TASK_REQUEUED) == 1


def test_a_call_that_was_finished_is_answered_from_the_ledger(
    killed_at: Callable[..., str], start: START, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = killed_at("send3", code(ALL_POLICIES))
    system = start()
    paused = await_status(system, task_id, Status.PAUSED)
    assert decide(system, task_id, Decision.ASSUME_DONE, result=3).status is Status.PENDING
    assert ended(system, task_id).output == TOTAL
    assert set(world.effects().values()) == {1}
    replayed = [data for topic, data in log(system, task_id) if data.get("replayed")]
    assert [(data["skill"], data["result"]) for data in replayed] == [("send", 3)]
    assert paused.state.attempt == 2


def test_a_session_keeps_the_variables_of_a_script_that_was_resumed(
    killed_at: Callable[..., str], start: START
) -> None:
    task_id = killed_at("pay1", code(ALL_POLICIES), session_id="s")
    system = start()
    assert ended(system, task_id).output == TOTAL
    assert system.execute(code("total + 1"), session_id="s").output == TOTAL + 1
    session = system.gateway.ask(GetSession(session_id="s"), timeout_s=30)
    assert (session.variables, session.tasks) == (("total",), 2)


def spoil(settings: Settings, change: Callable[[bytes], bytes]) -> None:
    with sqlite3.connect(settings.data_dir / "callboard.db") as connection:
        [(data,)] = connection.execute("SELECT data FROM snapshots").fetchall()
        connection.execute("UPDATE snapshots SET data = ?", (change(data),))
    connection.close()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "signature"),
        (lambda data: data.replace(b"monty-", b"monty-0", 1), "was made by monty-0"),
        (lambda data: data.replace(b"\n", b"\n9", 1), "signature"),
        (lambda _data: b"", "was made by"),
    ],
    ids=["bad signature", "another version", "another call", "empty"],
)
def test_a_snapshot_that_cannot_be_trusted_is_not_loaded_and_nothing_done_is_done_again(
    killed_at: Callable[..., str],
    start: START,
    make_settings: Callable[..., Settings],
    world: World,
    change: Callable[[bytes], bytes],
    why: str,
) -> None:
    task_id = killed_at("pay2", code(ALL_POLICIES))
    spoil(make_settings(), change)
    system = start()
    record = ended(system, task_id)
    assert record.output == TOTAL
    assert why in record.metadata["snapshotRefused"]
    steps = [data for topic, data in log(system, task_id) if topic is Topic.STEP_STARTED]
    assert why in steps[-1]["snapshotRefused"]
    assert (world.folder / "additions").read_text() == "1+2\n1+2\n", "the round starts again"
    assert [count for count in world.effects().values() if count > 1] == [2], "the call it was killed in"
    assert record.metadata["printed"] == "begin\nend\n"


def test_a_call_of_unknown_outcome_pauses_before_a_round_starts_again(
    killed_at: Callable[..., str], start: START, make_settings: Callable[..., Settings], world: World
) -> None:
    task_id = killed_at("send2", code(ALL_POLICIES))
    spoil(make_settings(), lambda _data: b"nothing")
    system = start()
    await_status(system, task_id, Status.PAUSED)
    decide(system, task_id, Decision.ASSUME_DONE, result=2)
    assert ended(system, task_id).output == TOTAL
    assert set(world.effects().values()) == {1}


def test_the_ledger_holds_each_call_and_the_snapshot_goes_with_the_task(
    start: START, make_settings: Callable[..., Settings]
) -> None:
    system = start()
    task_id = system.execute(code(ALL_POLICIES)).task_id
    with sqlite3.connect(make_settings().data_dir / "callboard.db") as connection:
        rows = connection.execute("SELECT kind, name, replay, state, effect_id FROM calls ORDER BY number").fetchall()
        snapshots = connection.execute("SELECT count(*) FROM snapshots").fetchone()
    connection.close()
    assert [row[1] for row in rows] == ["offline", *["look", "pay", "send"] * 3]
    assert {row[3] for row in rows} == {"done"}
    assert rows[0][:3] == ("model", "offline", "safe")
    assert rows[1][4] == f"{task_id}:2"
    assert snapshots == (0,)


def test_a_pure_script_leaves_no_row_in_the_ledger(start: START, make_settings: Callable[..., Settings]) -> None:
    start().execute(code("from skills import add\nadd(1, 2)"))
    with sqlite3.connect(make_settings().data_dir / "callboard.db") as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (0,)
    connection.close()


def test_a_call_that_raised_raises_again_and_is_not_made_again(
    killed_at: Callable[..., str], start: START, world: World
) -> None:
    python = "\n".join(
        [
            "from skills import flaky, pay",
            "try:",
            "    flaky(99)",
            "    text = 'well'",
            "except RuntimeError as error:",
            "    text = str(error)",
            "pay(7)",
            "text",
        ]
    )
    task_id = killed_at("pay7", code(python))
    record = ended(start(), task_id)
    assert record.output == "flaky: The skill flaky is not available now: the other side is down"
    assert list(world.effects("flaky").values()) == [1]


# --- decisions ----------------------------------------------------------------------------------------------------


def test_a_decision_to_retry_makes_the_call_once_more(
    killed_at: Callable[..., str], start: START, world: World
) -> None:
    task_id = killed_at("send1", code(ALL_POLICIES))
    system = start()
    paused = await_status(system, task_id, Status.PAUSED)
    assert paused.state.pause is not None
    assert (paused.state.pause.skill, paused.state.pause.args, paused.state.pause.effect_id) == (
        "send",
        [1],
        f"{task_id}:4",
    )
    decide(system, task_id, Decision.RETRY, reason="the post office never saw it")
    assert ended(system, task_id).output == TOTAL
    assert world.effects()[f"send {task_id}:4"] == 2
    told = [data for topic, data in log(system, task_id) if topic is Topic.TASK_REQUEUED]
    assert told[-1]["decision"] == "retry"
    assert told[-1]["decisionReason"] == "the post office never saw it"


def test_a_decision_to_fail_ends_the_task(killed_at: Callable[..., str], start: START, world: World) -> None:
    task_id = killed_at("send1", code(ALL_POLICIES))
    system = start()
    await_status(system, task_id, Status.PAUSED)
    record = decide(system, task_id, Decision.FAIL)
    assert (record.status, record.error_code) == (Status.FAILED, "outcome_unknown")
    assert log(system, task_id)[-1][0] is Topic.TASK_FAILED
    assert set(world.effects().values()) == {1}


def test_a_paused_task_survives_another_kill_and_can_be_cancelled(
    killed_at: Callable[..., str], start: START, make_settings: Callable[..., Settings], world: World
) -> None:
    task_id = killed_at("send1", code(ALL_POLICIES))
    first = start()
    await_status(first, task_id, Status.PAUSED)
    first.stop()
    system = start()
    assert system.gateway.ask(GetTask(task_id=task_id), timeout_s=30).status is Status.PAUSED
    record = system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    assert record.status is Status.CANCELLED
    assert set(world.effects().values()) == {1}


def test_there_is_nothing_to_decide_about_a_task_that_is_not_paused(start: START) -> None:
    system = start()
    task_id = system.execute("What is 2 + 2?").task_id
    with pytest.raises(TaskNotPaused, match="completed, not paused"):
        decide(system, task_id, Decision.RETRY)
    with pytest.raises(TaskNotFound):
        decide(system, "no-such-task", Decision.RETRY)


def test_a_session_waits_for_its_paused_task_and_goes_on_after_it(killed_at: Callable[..., str], start: START) -> None:
    task_id = killed_at("send1", code(ALL_POLICIES), session_id="s")
    system = start()
    await_status(system, task_id, Status.PAUSED)
    behind = submit(system, "What is 2 + 2?", session_id="s")
    assert system.execute("What is 1 + 1?", session_id="other").output == 2
    assert system.gateway.ask(GetTask(task_id=behind), timeout_s=30).status is Status.PENDING
    decide(system, task_id, Decision.ASSUME_DONE, result=1)
    assert ended(system, task_id).output == TOTAL
    assert ended(system, behind).output == 4


def test_a_paused_task_ends_when_nobody_decides_in_time(killed_at: Callable[..., str], start: START) -> None:
    task_id = killed_at("send1", code(ALL_POLICIES))
    record = ended(start(decision_timeout_s=0.2), task_id)
    assert (record.status, record.error_code) == (Status.FAILED, "decision_expired")


def test_a_paused_task_keeps_its_own_deadline(killed_at: Callable[..., str], start: START) -> None:
    task_id = killed_at("send1", code(ALL_POLICIES), timeout_ms=5000)  # in which a busy machine comes to the call
    record = ended(start(), task_id)
    assert (record.status, record.error_code) == (Status.FAILED, "deadline_exceeded")


# --- recovery -----------------------------------------------------------------------------------------------------


def test_a_task_that_kills_its_server_again_and_again_becomes_a_dead_letter(
    make_settings: Callable[..., Settings], start: START, world: World
) -> None:
    process = Killed(make_settings(), world.gates)
    task_id = process.submit(code("from skills import poison\npoison()"))
    process.wait_dead()
    for _ in range(2):
        process = Killed(make_settings(), world.gates)
        process.wait_dead()
    with sqlite3.connect(make_settings().data_dir / "callboard.db") as connection:
        # before it is started in this very process
        assert connection.execute("SELECT attempt, crashes FROM tasks").fetchall() == [(3, 2)]
    connection.close()
    system = start()
    record = ended(system, task_id)
    assert (record.status, record.error_code, record.state.attempt) == (Status.FAILED, "dead_letter", 3)
    crashes = [data["crashes"] for topic, data in log(system, task_id) if topic is Topic.TASK_REQUEUED]
    assert crashes == [1, 2]
    assert system.execute("What is 2 + 2?").output == 4


def test_a_task_that_gets_further_each_time_is_no_dead_letter(
    make_settings: Callable[..., Settings], start: START, world: World
) -> None:
    task_id = ""
    for gate in ("pay1", "look2", "pay2", "look3", "pay3"):
        world.close(gate)
        process = Killed(make_settings(), world.gates)
        task_id = task_id or process.submit(code(ALL_POLICIES))
        world.wait_entered(gate)
        process.kill()
        world.open(gate)
    record = ended(start(), task_id)
    assert (record.output, record.state.attempt) == (TOTAL, 6)


def test_a_task_that_nobody_works_on_is_taken_up_while_the_server_runs(
    start: START, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.actors.master_agent._REAP_EVERY_S", 0.1)
    system = start()
    done = system.execute(code("from skills import pay\npay(1)")).task_id
    with sqlite3.connect(make_settings().data_dir / "callboard.db") as connection:  # what a dead server leaves
        columns = [row[1] for row in connection.execute("PRAGMA table_info(tasks)") if row[1] != "id"]
        changed = {"status": "'running'", "owner": "'a dead one'", "ended_at": "NULL", "output": "NULL"}
        values = ", ".join(changed.get(name, name) for name in columns)
        connection.execute(
            f"INSERT INTO tasks (id, {', '.join(columns)}) SELECT 'stray', {values} FROM tasks WHERE id = ?", (done,)
        )
    connection.close()
    record = await_status(system, "stray", Status.COMPLETED)
    assert (record.output, record.state.attempt) == (1, 2)


# --- retries ------------------------------------------------------------------------------------------------------


def test_an_error_that_is_marked_retryable_is_retried_from_the_call_that_raised_it(start: START, world: World) -> None:
    system = start()
    python = "from skills import pay, flaky\npay(1)\nflaky(2)"
    record = system.execute(code(python), retry={"maxAttempts": 5, "backoffMs": 1})
    assert (record.output, record.state.attempt, record.state.failures) == ("after 3 tries", 3, 2)
    assert list(world.effects("pay").values()) == [1]
    assert list(world.effects("flaky").values()) == [3]
    told = [data for topic, data in log(system, record.task_id) if topic is Topic.TASK_REQUEUED]
    assert [data["reason"] for data in told] == ["retry", "retry"]
    assert told[0]["errorCode"] == "skill_unavailable"


def test_retries_end(start: START, world: World) -> None:
    record = start().execute(code("from skills import flaky\nflaky(99)"), retry={"maxAttempts": 3, "backoffMs": 1})
    assert (record.status, record.error_code, record.state.attempt) == (Status.FAILED, "skill_unavailable", 3)
    assert list(world.effects("flaky").values()) == [3]


def test_a_task_without_a_retry_policy_fails_at_the_first_error(start: START) -> None:
    record = start().execute(code("from skills import flaky\nflaky(1)"))
    assert (record.status, record.error_code, record.state.attempt) == (Status.FAILED, "skill_unavailable", 1)


def test_an_error_that_is_not_marked_is_not_retried(start: START) -> None:
    record = start().execute(code("1 / 0"), retry={"maxAttempts": 5, "backoffMs": 1})
    assert (record.error_code, record.state.attempt) == ("script_error", 1)


def test_a_retry_that_could_only_come_too_late_is_not_waited_for(start: START) -> None:
    task = code("from skills import flaky\nflaky(1)")
    record = start().execute(task, retry={"maxAttempts": 5, "backoffMs": 60_000}, timeout_ms=5000)
    assert (record.error_code, record.state.attempt) == ("skill_unavailable", 1)


def test_a_task_that_waits_for_its_retry_holds_no_worker_and_can_be_cancelled(start: START) -> None:
    system = start(workers=1)
    task_id = submit(system, code("from skills import flaky\nflaky(1)"), retry={"backoffMs": 60_000})
    for event in system.events(task_id):
        if event.topic is Topic.TASK_REQUEUED:
            break
    assert system.execute("What is 2 + 2?").output == 4
    assert system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30).status is Status.CANCELLED


def test_a_call_before_the_last_one_is_made_again_where_the_script_comes_to_it(start: START, world: World) -> None:
    python = "\n".join(
        [
            "from skills import flaky, pay",
            "try:",
            "    text = flaky(1)",
            "except RuntimeError as error:",
            "    pay(1)",
            "    raise",
            "text",
        ]
    )
    record = start().execute(code(python), retry={"backoffMs": 1})
    assert (record.output, record.state.attempt) == ("after 2 tries", 2)
    assert list(world.effects("flaky").values()) == [2]
    assert list(world.effects("pay").values()) == [1]


# --- cancelling ---------------------------------------------------------------------------------------------------


def test_a_cancelled_task_keeps_what_it_had_printed_and_its_log(start: START, world: World) -> None:
    system = start()
    python = "from skills import add, gate\nprint('so far', add(1, 2))\ngate('g')\nprint('no further')"
    task_id = submit(system, code(python))
    world.wait_entered("g")
    record = system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    assert (record.status, record.output) == (Status.CANCELLED, "so far 3\n")
    assert record.metadata["skillCalls"] == 2
    assert record.state.execution_time_ms is not None
    topics = [topic for topic, _ in log(system, task_id)]
    assert topics.count(Topic.SKILL_STARTED) == 2
    assert topics[-1] is Topic.TASK_CANCELLED
    again = system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    assert again == record


def test_a_deadline_keeps_what_was_printed(start: START) -> None:
    record = start().execute(code("print('so far')\nwhile True: pass"), timeout_ms=2500)
    assert (record.error_code, record.output) == ("deadline_exceeded", "so far\n")


# --- shutdown -----------------------------------------------------------------------------------------------------


def test_a_running_script_is_handed_back_and_goes_on_after_the_next_start(start: START, world: World) -> None:
    first = start(drain_s=0.5)
    python = "from skills import pay, send\na = send(1) + pay(1)\nn = 0\nwhile n < 30_000_000: n += 1\na"
    task_id = submit(first, code(python))
    world.wait_entered("pay1")
    assert first.stop(), "everything ended in time"
    system = start(run_timeout_s=2)
    record = ended(system, task_id)
    assert record.state.attempt == 2
    told = [data for topic, data in log(system, task_id) if topic is Topic.TASK_REQUEUED]
    assert [data["reason"] for data in told] == ["drain"]
    assert set(world.effects().values()) == {1}


def test_a_skill_that_returns_during_the_shutdown_is_not_called_again(start: START, world: World) -> None:
    world.close("send1")
    first = start(drain_s=3)
    task_id = submit(first, code("from skills import send, pay\nsend(1) + pay(1)"))
    world.wait_entered("send1")
    first.drain()
    first.hand_back()
    world.open("send1")
    assert first.stop()
    system = start()
    assert ended(system, task_id).output == 2
    assert set(world.effects().values()) == {1}


def test_the_snapshot_of_a_call_is_a_few_kilobytes(
    start: START, make_settings: Callable[..., Settings], world: World
) -> None:
    world.close("pay3")
    system = start()
    task_id = submit(system, code(ALL_POLICIES))
    world.wait_entered("pay3")
    with sqlite3.connect(make_settings().data_dir / "callboard.db") as connection:
        [(size,)] = connection.execute("SELECT length(data) FROM snapshots").fetchall()
    connection.close()
    world.open("pay3")
    assert ended(system, task_id).output == TOTAL
    assert size < 16_000


def test_a_task_of_a_retry_survives_a_kill_while_it_waits(
    make_settings: Callable[..., Settings], start: START, world: World
) -> None:
    process = Killed(make_settings(), world.gates)
    task = code("from skills import pay, flaky\npay(9)\nflaky(1)")
    task_id = process.submit(task, retry={"backoffMs": 300})
    world.wait_entered("pay9")
    process.kill()
    record = ended(start(), task_id)
    assert record.output == "after 2 tries"
    assert world.effects(f"pay {task_id}:2")[f"pay {task_id}:2"] in (1, 2), "twice if it was killed in the call"


def test_an_effect_id_can_be_told_from_another_tasks(start: START, world: World) -> None:
    system = start()
    ids = [system.gateway.ask(SubmitTask(task=code("from skills import pay\npay(1)")), timeout_s=30) for _ in range(3)]
    for accepted in ids:
        ended(system, accepted.task_id)
    assert world.effects() == Counter({f"pay {accepted.task_id}:2": 1 for accepted in ids})


# --- what a review and an attack found ----------------------------------------------------------------------------


def test_a_call_with_a_set_is_known_again_in_another_process(
    killed_at: Callable[..., str], start: START, world: World
) -> None:
    names = ", ".join(repr(f"person {n}") for n in range(12))
    task_id = killed_at("send_to", code(f"from skills import send_to\nsend_to({{{names}}})"))
    system = start()
    await_status(system, task_id, Status.PAUSED)
    decide(system, task_id, Decision.ASSUME_DONE, result=12)
    assert ended(system, task_id).output == 12
    assert set(world.effects().values()) == {1}


def test_a_skill_that_outlasts_the_shutdown_is_no_crash(start: START, world: World) -> None:
    world.close("pay1")
    first = start(drain_s=0.6)
    task_id = submit(first, code("from skills import pay\npay(1)"))
    world.wait_entered("pay1")
    assert not first.stop(), "the skill was left behind"
    world.open("pay1")
    system = start()
    record = ended(system, task_id)
    assert (record.output, record.state.crashes) == (1, 0)
    told = [data for topic, data in log(system, task_id) if topic is Topic.TASK_REQUEUED]
    assert [data["reason"] for data in told] == ["drain"]
    assert set(world.effects().values()) == {2}, "keyed: again with the same key"


def test_a_decision_is_a_fresh_start_for_the_count_of_crashes(
    make_settings: Callable[..., Settings], killed_at: Callable[..., str], start: START, world: World
) -> None:
    task_id = killed_at("send1", code("from skills import send, pay\nsend(1) + pay(1)"))
    first = start()
    assert await_status(first, task_id, Status.PAUSED).state.crashes == 1
    first.stop()
    world.close("pay1")
    process = Killed(make_settings(), world.gates)
    process.decide(task_id, "assume_done", 1)
    world.wait_entered("pay1")
    process.kill()
    world.open("pay1")
    record = ended(start(), task_id)
    assert (record.output, record.state.crashes) == (2, 1)


def test_bystanders_of_a_task_that_kills_servers_live(
    make_settings: Callable[..., Settings], start: START, world: World
) -> None:
    process = Killed(make_settings(), world.gates)
    bystander = process.submit(code("from skills import gate\ngate('by')"), session_id="bystander")
    world.wait_entered("by")
    poison = process.submit(code("from skills import poison\npoison()"), session_id="poison")
    process.wait_dead()
    Killed(make_settings(), world.gates).wait_dead()
    third = Killed(make_settings(), world.gates)  # their last chance: one at a time
    world.open("by")
    third.wait_dead()
    system = start()
    assert ended(system, bystander).output == "by"
    assert ended(system, poison).error_code == "dead_letter"


def test_in_threads_suspects_go_one_at_a_time_and_one_that_waits_holds_nobody_up(
    make_settings: Callable[..., Settings], start: START, world: World
) -> None:
    process = Killed(make_settings(), world.gates)
    suspects = [process.submit(code(f"from skills import gate\ngate('g{n}')\n{n}")) for n in range(2)]
    for n in range(2):
        world.wait_entered(f"g{n}")
    process.kill()
    with sqlite3.connect(make_settings().data_dir / "callboard.db") as connection:  # the takeover counts one more
        connection.execute("UPDATE tasks SET crashes = 1")
    connection.close()
    for n in range(2):
        (world.folder / f"g{n}.entered").unlink()
    system = start(workers=4)
    world.wait_entered("g0")
    assert system.execute("6*7", wait_s=20).output == 42
    system._addresses["master agent"].tell("a message that nothing knows")  # the next instance knows of it too
    assert system.execute("6*8", wait_s=20).output == 48
    assert not (world.folder / "g1.entered").exists()
    for n in range(2):
        world.wait_entered(f"g{n}")
        world.open(f"g{n}")
        assert ended(system, suspects[n]).output == n


def test_a_task_on_its_last_chance_starts_as_soon_as_the_one_before_it_has_ended_or_waits(
    make_settings: Callable[..., Settings], start: START, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Killed(make_settings(), world.gates)
    tasks = [process.submit(code(f"from skills import gate\ngate('g')\n{n}")) for n in range(4)]
    waiting = [process.submit(code("from skills import gate, pay\ngate('g')\npay(1)")) for _ in range(2)]
    process.kill()
    with sqlite3.connect(make_settings().data_dir / "callboard.db") as connection:  # the takeover counts one for those
        connection.execute("UPDATE tasks SET crashes = 2 - (status = 'running')")
    connection.close()
    world.open("g")
    for name in ("_REAP_EVERY_S", "_EVICT_EVERY_S"):
        monkeypatch.setattr(f"callboard.actors.master_agent.{name}", 60.0)  # only an end or a pause wakes it
    system = start(approve_skills=("pay",))
    assert [ended(system, task_id).output for task_id in tasks] == [0, 1, 2, 3]
    for task_id in waiting:
        await_status(system, task_id, Status.PAUSED)


def test_an_error_that_no_database_can_hold_is_mended(start: START) -> None:
    python = "from skills import complain\ntry:\n    complain('oh')\nexcept RuntimeError as error:\n    text = str(error)\ntext"
    record = start().execute(code(python))
    assert record.output == "complain: The skill complain failed: ValueError: oh\ufffd\ufffd"


def test_arguments_nested_deeply_are_journaled(start: START) -> None:
    python = "from skills import look\na = [1]\nfor i in range(300):\n    a = [a]\ntry:\n    look(a)\nexcept Exception as e:\n    t = 'caught'\nt"
    record = start().execute(code(python))
    assert record.error_code in ("type_check_failed", None)


def test_a_script_with_much_in_memory_writes_no_snapshot_and_still_repeats_nothing(
    killed_at: Callable[..., str], start: START, world: World, make_settings: Callable[..., Settings]
) -> None:
    python = "from skills import look, pay\nbig = 'x' * 8_000_000\nn = look(1) + look(2) + pay(3)\nn + len(big)"
    task_id = killed_at("pay3", code(python))
    with sqlite3.connect(make_settings().data_dir / "callboard.db") as connection:
        assert connection.execute("SELECT count(*) FROM snapshots").fetchone() == (0,)
    connection.close()
    assert ended(start(), task_id).output == 6 + 8_000_000
    assert sorted(world.effects().values()) == [1, 1, 2]


def test_a_cancel_outlives_a_crash_of_the_result_logger(start: START, world: World) -> None:
    system = start()
    task_id = submit(system, code("from skills import gate\ngate('g')"))
    world.wait_entered("g")
    logger = system._addresses["result logger"]
    cancel = system.gateway.ask_later(CancelTask(task_id=task_id))
    logger.tell("a message that nothing knows")
    with contextlib.suppress(Unavailable):
        cancel.get(timeout_s=10)
    assert await_status(system, task_id, Status.CANCELLED)


def test_a_server_that_lost_its_history_to_another_changes_nothing(start: START, world: World) -> None:
    system = start()
    task_id = submit(system, code("from skills import gate, pay\ngate('g')\npay(1)"))
    world.wait_entered("g")
    with sqlite3.connect(system.settings.data_dir / "callboard.db") as connection:  # another one began the same attempt
        connection.execute("UPDATE tasks SET owner = 'another' WHERE id = ?", (task_id,))
    connection.close()
    world.open("g")
    while system._pool.running:
        pass
    assert world.effects() == Counter(), "a call is not made without its row"
    record = system.gateway.ask(GetTask(task_id=task_id), timeout_s=30)
    assert (record.status, record.state.owner) == (Status.RUNNING, "another")


def test_an_actor_that_dies_while_the_store_is_away_comes_back_with_it(start: START) -> None:
    system = start()
    assert system.execute("What is 1 + 1?").output == 2
    history = system.settings.data_dir / "callboard.db"
    history.rename(history.with_name("away.db"))
    for name in ("master agent", "result logger"):
        for _ in range(2):
            system._addresses[name].tell("a message that nothing knows")
    with pytest.raises(Unavailable):
        system.gateway.ask(SubmitTask(task="What is 2 + 2?"), timeout_s=2)
    history.with_name("away.db").rename(history)
    deadline = time.monotonic() + 30
    while True:
        try:
            assert system.execute("What is 2 + 2?", wait_s=20).output == 4
            break
        except Unavailable:
            assert time.monotonic() < deadline, "they did not come back"
            threading.Event().wait(0.02)
    assert not [problem for problem in system.health().problems if "keeps crashing" in problem]


def test_a_gateway_that_dies_while_the_server_drains_still_takes_no_task(start: START) -> None:
    system = start()
    system.drain()
    system._addresses["gateway"].tell("a message that nothing knows")
    for _ in range(3):
        with pytest.raises(Unavailable):
            system.gateway.ask(SubmitTask(task="What is 2 + 2?"), timeout_s=30)


def test_skills_that_never_return_leave_room_for_other_tasks(
    start: START, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.actors.places.STUCK_AFTER_S", 0.1)
    system = start(workers=1)
    for name in ("look1", "look2"):
        world.close(name)
        task_id = submit(system, code(f"from skills import look\nlook({name[-1]})"))
        world.wait_entered(name)
        system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
        # another worker stands in after a while
        assert system.execute("What is 2 + 2?", wait_s=30).output == 4
    for name in ("look1", "look2"):
        world.open(name)


def test_a_script_goes_on_in_another_process_when_that_of_its_sandbox_dies(start: START, world: World) -> None:
    others = set(psutil.Process().children(recursive=True))
    system = start()
    python = "from skills import pay, gate\na = pay(1)\ngate('g')\na + pay(2)"
    task_id = submit(system, code(python))
    world.wait_entered("g")
    mine = set(psutil.Process().children(recursive=True)) - others
    assert mine
    for child in mine:
        child.kill()
    world.open("g")
    record = ended(system, task_id)
    assert (record.output, record.state.attempt) == (3, 2)
    assert set(world.effects().values()) == {1}
