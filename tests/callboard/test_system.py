"""The whole system from Python, without HTTP: real actors, a real sandbox, a real database."""

import contextlib
import gc
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from callboard import (
    AgentSystem,
    AwaitTask,
    CancelTask,
    DeleteSession,
    GetEvents,
    GetSession,
    GetTask,
    ListTasks,
    Settings,
    Status,
    SubmitTask,
    TaskRecord,
    Topic,
)
from callboard.agent.sandbox import Sandbox
from callboard.errors import (
    Overloaded,
    ReplyTimeout,
    SessionBusy,
    SessionNotFound,
    TaskNotFound,
    Unavailable,
    UnknownSkill,
)
from tests.callboard.harness import Gates, Killed, at_gate, await_status, code, ended, submit

START = Callable[..., AgentSystem]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentSystem]:
    """A system with the defaults of the tests, for those that neither change it nor count what it holds."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("shared"), port=0, rate_limit_max_requests=0, workers=4)
    with AgentSystem.start(settings) as system:
        yield system


@pytest.fixture
def gates(tmp_path: Path) -> Gates:
    return Gates(tmp_path / "gates")


# --- the interface of the README -----------------------------------------------------------------------------------


def test_a_task_is_worked_out_and_returned(shared: AgentSystem) -> None:
    result = shared.execute("What is 12 times 7?")
    assert (result.success, result.output, result.status) == (True, 84, Status.COMPLETED)
    assert result.metadata["planner"] == "offline"
    assert result.metadata["skillCalls"] == 1
    assert result.metadata["llmCalls"] == 0
    assert result.state.execution_time_ms is not None
    assert result.state.execution_time_ms > 0


def test_the_gateway_itself_takes_messages(shared: AgentSystem) -> None:
    accepted = shared.gateway.ask(SubmitTask(task="What is 2 + 2?"), timeout_s=30)
    events = list(shared.events(accepted.task_id))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.topic for event in events] == [
        Topic.TASK_EXECUTE,
        Topic.STEP_STARTED,
        Topic.SKILL_STARTED,
        Topic.SKILL_COMPLETED,
        Topic.STEP_COMPLETED,
        Topic.TASK_COMPLETED,
    ]
    assert events[-1].data["output"] == 4
    assert "calculate" in events[1].data["code"]


def test_the_events_of_an_ended_task_can_be_read_again_from_any_number(shared: AgentSystem) -> None:
    task_id = shared.execute("What is 2 + 2?").task_id
    assert [event.seq for event in shared.events(task_id, after=4)] == [5, 6]
    page = shared.gateway.ask(GetEvents(task_id=task_id, after=6), timeout_s=30)
    assert page.events == ()
    assert page.ended


def test_a_task_that_nothing_fits_fails_and_says_how_to_connect_a_model(shared: AgentSystem) -> None:
    result = shared.execute("Write a sonnet about the sea.")
    assert result.success is False
    assert result.error_code == "no_skill_fits"
    assert "CALLBOARD_LLM_PROVIDER" in str(result.error)
    assert result.output is None


def test_waiting_too_short_leaves_the_task_going_on(start_system: START, gates: Gates) -> None:
    system = start_system(skills_dir=gates.skills)
    with pytest.raises(ReplyTimeout, match="has not ended within"):
        system.execute(at_gate("slow"), wait_s=0.05, session_id="s")
    gates.open("slow")
    page = system.gateway.ask(ListTasks(session_id="s"), timeout_s=30)
    assert ended(system, page.tasks[0].task_id).output == "slow"


def test_unknown_things_are_named(shared: AgentSystem) -> None:
    with pytest.raises(TaskNotFound, match="no-such-task"):
        shared.gateway.ask(GetTask(task_id="no-such-task"), timeout_s=30)
    with pytest.raises(TaskNotFound):
        shared.gateway.ask(CancelTask(task_id="no-such-task"), timeout_s=30)
    with pytest.raises(TaskNotFound):
        shared.gateway.ask(AwaitTask(task_id="no-such-task", wait_s=1), timeout_s=30)
    with pytest.raises(SessionNotFound):
        shared.gateway.ask(GetSession(session_id="no-such-session"), timeout_s=30)
    with pytest.raises(UnknownSkill, match=r"summarise.*summarize"):
        shared.execute("hello", available_skills=["summarise"])


def test_a_bad_task_is_refused_where_it_is_built() -> None:
    for bad in (
        {"task": ""},
        {"task": "  "},
        {"task": "a\x00"},
        {"task": "x", "session_id": "a b"},
        {"task": "x", "n": 1},
    ):
        with pytest.raises(ValueError):
            SubmitTask(**bad)


def test_available_skills_limit_what_code_may_call(shared: AgentSystem) -> None:
    python = "from skills import calculate\ncalculate('1+1')"
    result = shared.execute(code(python), available_skills=["summarize"])
    assert result.error_code == "skill_not_allowed"
    assert "calculate" in str(result.error)
    completed = [e for e in shared.events(result.task_id) if e.topic is Topic.SKILL_STARTED]
    assert completed == [], "the skill must not have been called"


def test_a_skill_from_a_folder_is_called_like_the_built_in_ones(start_system: START, tmp_path: Path) -> None:
    folder = tmp_path / "skills"
    folder.mkdir()
    (folder / "shout.py").write_text(
        'from callboard import skill\n\n\n@skill(replay="pure")\ndef shout(text: str) -> str:\n    """Shout."""\n    return text.upper()\n'
    )
    (folder / "broken.py").write_text("this is not python")
    system = start_system(skills_dir=folder)
    assert system.execute(code("from skills import shout\nshout('hi')")).output == "HI"


def test_a_skill_that_raises_system_exit_fails_its_task_only(start_system: START, gates: Gates) -> None:
    system = start_system(skills_dir=gates.skills, workers=1)
    assert system.execute(code("from skills import suicide\nsuicide()")).error_code == "skill_failed"
    assert system.execute("What is 2 + 2?").output == 4


# --- sessions -------------------------------------------------------------------------------------------------------


def test_a_session_remembers_conversation_and_variables(shared: AgentSystem) -> None:
    shared.execute("My name is Alice", session_id="alice")
    assert "Alice" in str(shared.execute("What is my name?", session_id="alice").output)
    assert "Alice" not in str(shared.execute("What is my name?", session_id="bob").output)
    session = shared.gateway.ask(GetSession(session_id="alice"), timeout_s=30)
    assert [turn.role for turn in session.conversation] == ["user", "assistant"] * 2
    assert "memory" in session.variables


def test_variables_of_a_session_survive_a_restart(start_system: START) -> None:
    first = start_system()
    first.execute(code("numbers = [1, 2]\ndef total() -> int: return sum(numbers)"), session_id="s")
    first.stop()
    second = start_system()
    assert second.execute(code("numbers.append(3)\ntotal()"), session_id="s").output == 6


def test_an_idle_session_leaves_memory_and_comes_back_from_the_store(
    start_system: START, monkeypatch: pytest.MonkeyPatch
) -> None:
    from callboard.actors import master_agent

    monkeypatch.setattr(master_agent, "_EVICT_EVERY_S", 0.02)
    system = start_system(session_idle_s=0.01)
    system.execute(code("x = 41"), session_id="s")
    for _ in range(5):  # each takes longer than the sessions may idle
        system.execute("hello", session_id="other")
    assert system.execute(code("x + 1"), session_id="s").output == 42


def test_tasks_of_one_session_run_one_at_a_time_in_order(start_system: START, gates: Gates) -> None:
    system = start_system(skills_dir=gates.skills)
    first = submit(system, at_gate("one"), session_id="s")
    second = submit(system, at_gate("two"), session_id="s")
    third = submit(system, at_gate("three"), session_id="s")
    gates.wait_entered("one")
    for name in ("three", "two", "one"):
        assert system.gateway.ask(GetTask(task_id=third), timeout_s=30).status is Status.PENDING
        gates.open(name)
    records = [ended(system, task_id) for task_id in (first, second, third)]
    assert [record.output for record in records] == ["one", "two", "three"]
    for before, after in pairwise(records):
        assert before.state.ended_at is not None
        assert after.state.started_at is not None
        assert before.state.ended_at <= after.state.started_at


def test_sessions_run_in_parallel(start_system: START, gates: Gates) -> None:
    system = start_system(skills_dir=gates.skills, workers=3)
    tasks = [submit(system, at_gate(name), session_id=name) for name in ("a", "b", "c")]
    for name in ("a", "b", "c"):
        gates.wait_entered(name)  # all three are inside before any is let out
    for name in ("a", "b", "c"):
        gates.open(name)
    assert [ended(system, task_id).output for task_id in tasks] == ["a", "b", "c"]


def test_a_higher_priority_starts_first(start_system: START, gates: Gates) -> None:
    system = start_system(skills_dir=gates.skills, workers=1)
    blocker = submit(system, at_gate("blocker"))
    gates.wait_entered("blocker")
    low = submit(system, "What is 1 + 1?", priority=-5)
    high = submit(system, "What is 2 + 2?", priority=5)
    # answered by the master agent, which has both by then; that a worker is free may overtake what lies in its inbox
    assert system.gateway.ask(AwaitTask(task_id=high, wait_s=0), timeout_s=30).status is Status.PENDING
    gates.open("blocker")
    for task_id in (blocker, low, high):
        ended(system, task_id)
    # by the feed, whose numbers only rise; the wall clock, which says when a task has started, may be set back
    started = {
        task_id: next(event.position for event in system.events(task_id) if event.topic is Topic.STEP_STARTED)
        for task_id in (low, high)
    }
    assert started[high] < started[low]


def test_a_session_is_forgotten_only_when_no_task_of_it_is_under_way(start_system: START, gates: Gates) -> None:
    system = start_system(skills_dir=gates.skills)
    system.execute("My name is Alice", session_id="s")
    task_id = submit(system, at_gate("busy"), session_id="s")
    with pytest.raises(SessionBusy):
        system.gateway.ask(DeleteSession(session_id="s"), timeout_s=30)
    gates.open("busy")
    ended(system, task_id)
    system.gateway.ask(DeleteSession(session_id="s"), timeout_s=30)
    assert "Alice" not in str(system.execute("What is my name?", session_id="s").output)


WRITE = """```python
from skills import list_files, write_file
write_file("notes.txt", "kept")
[file["name"] for file in list_files()]
```"""


def test_the_files_of_a_session_go_with_it(start_system: START, make_settings: Callable[..., Settings]) -> None:
    system, root = start_system(), make_settings().data_dir / "workspaces"
    for session in ("one", "two"):
        assert system.execute(WRITE, session_id=session).output == ["notes.txt"]
    system.gateway.ask(DeleteSession(session_id="one"), timeout_s=30)
    assert not (root / "one").exists(), "gone before the answer, so that a new session of that name begins empty"
    assert (root / "two" / "notes.txt").read_text() == "kept"
    system.stop()
    assert list((root / "~deleted").iterdir()) == []


def test_the_files_of_a_session_in_use_stay(
    start_system: START, gates: Gates, make_settings: Callable[..., Settings]
) -> None:
    system, root = start_system(skills_dir=gates.skills), make_settings().data_dir / "workspaces"
    system.execute(WRITE, session_id="s")
    task_id = submit(system, at_gate("busy"), session_id="s")
    with pytest.raises(SessionBusy):
        system.gateway.ask(DeleteSession(session_id="s"), timeout_s=30)
    assert (root / "s" / "notes.txt").exists()
    gates.open("busy")
    ended(system, task_id)


def test_a_state_that_somebody_changed_is_not_loaded(
    start_system: START, make_settings: Callable[..., Settings]
) -> None:
    first = start_system()
    first.execute("My name is Alice", session_id="s")
    first.stop()
    database = sqlite3.connect(make_settings().data_dir / "callboard.db")
    database.execute("UPDATE interpreters SET data = randomblob(200)")
    database.commit()
    database.close()
    second = start_system()
    result = second.execute("What is my name?", session_id="s")
    assert result.status is Status.COMPLETED
    assert "Alice" not in str(result.output)
    assert result.metadata["variablesLost"] is True


# --- cancel and deadlines -------------------------------------------------------------------------------------------


def test_a_cancelled_task_that_waits_never_starts(start_system: START, gates: Gates) -> None:
    system = start_system(skills_dir=gates.skills, workers=1)
    blocker = submit(system, at_gate("blocker"))
    gates.wait_entered("blocker")
    waiting = submit(system, at_gate("never"))
    assert system.gateway.ask(CancelTask(task_id=waiting), timeout_s=30).status is Status.CANCELLED
    gates.open("blocker")
    gates.open("never")
    ended(system, blocker)
    system.execute("What is 2 + 2?")
    assert not (gates.folder / "never.entered").exists()
    assert [e.topic for e in system.events(waiting)] == [Topic.TASK_EXECUTE, Topic.TASK_CANCELLED]


def test_a_cancelled_task_in_the_middle_of_a_session_lets_the_next_one_start(start_system: START, gates: Gates) -> None:
    system = start_system(skills_dir=gates.skills)
    first = submit(system, at_gate("one"), session_id="s")
    second = submit(system, at_gate("two"), session_id="s")
    third = submit(system, "What is 2 + 2?", session_id="s")
    system.gateway.ask(CancelTask(task_id=second), timeout_s=30)
    gates.open("one")
    assert ended(system, first).output == "one"
    assert ended(system, third).output == 4
    assert ended(system, second).status is Status.CANCELLED


def test_a_running_loop_is_cancelled_within_a_second(shared: AgentSystem) -> None:
    task_id = submit(shared, code("print('going')\nwhile True: pass"))
    for event in shared.events(task_id):
        if event.topic is Topic.STEP_STARTED:
            break
    before = time.monotonic()
    record = shared.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    assert record.status is Status.CANCELLED
    assert shared.execute("What is 2 + 2?").output == 4
    assert time.monotonic() - before < 5


def test_a_skill_is_told_of_the_cancellation(start_system: START, gates: Gates) -> None:
    system = start_system(skills_dir=gates.skills, workers=1)
    task_id = submit(system, at_gate("inside"))
    gates.wait_entered("inside")
    system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    assert system.execute("What is 2 + 2?", wait_s=5).output == 4, "the only worker must be free again"
    assert ended(system, task_id).status is Status.CANCELLED


def test_cancelling_again_or_too_late_answers_what_is_true(shared: AgentSystem) -> None:
    done = shared.execute("What is 2 + 2?")
    record = shared.gateway.ask(CancelTask(task_id=done.task_id), timeout_s=30)
    assert (record.status, record.output) == (Status.COMPLETED, 4)
    assert [e.topic for e in shared.events(done.task_id)][-1] is Topic.TASK_COMPLETED


def test_a_task_that_overruns_its_timeout_fails_and_says_so(shared: AgentSystem) -> None:
    result = shared.execute(code("while True: pass"), timeout_ms=150)
    assert (result.status, result.error_code) == (Status.FAILED, "deadline_exceeded")


def test_a_waiting_task_that_overruns_its_timeout_fails_without_starting(start_system: START, gates: Gates) -> None:
    system = start_system(skills_dir=gates.skills, workers=1)
    blocker = submit(system, at_gate("blocker"))
    gates.wait_entered("blocker")
    late = ended(system, submit(system, at_gate("late"), timeout_ms=50))
    assert (late.status, late.error_code) == (Status.FAILED, "deadline_exceeded")
    assert "timeoutMs of 50" in str(late.error)
    assert late.state.started_at is None
    gates.open("blocker")
    ended(system, blocker)


def test_the_servers_own_limit_ends_a_task_too(start_system: START, gates: Gates) -> None:
    system = start_system(skills_dir=gates.skills, run_timeout_s=0.1)
    result = ended(system, submit(system, at_gate("slow")))
    assert result.error_code == "deadline_exceeded"
    assert "CALLBOARD_RUN_TIMEOUT_S" in str(result.error)


def test_a_skill_that_ignores_its_cancellation_does_not_block_the_others(
    start_system: START, gates: Gates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.actors.places.STUCK_AFTER_S", 0.05)
    system = start_system(skills_dir=gates.skills, workers=1)
    stuck = submit(system, at_gate("deaf", skill="deaf"))
    gates.wait_entered("deaf")
    system.gateway.ask(CancelTask(task_id=stuck), timeout_s=30)
    assert system.execute("What is 2 + 2?", wait_s=10).output == 4
    gates.open("deaf")
    assert system.execute("What is 3 + 3?", wait_s=10).output == 6
    assert ended(system, stuck).status is Status.CANCELLED


# --- limits, crashes, restarts ----------------------------------------------------------------------------------------


def test_a_full_backlog_refuses_new_tasks_and_keeps_the_accepted_ones(start_system: START, gates: Gates) -> None:
    system = start_system(skills_dir=gates.skills, max_backlog=3, workers=1)
    accepted = [submit(system, at_gate("gate")) for _ in range(3)]
    with pytest.raises(Overloaded, match="limit of 3 tasks"):
        submit(system, "hello")
    gates.open("gate")
    # asking is refused, too, while the master agent's inbox of ten is full of what was accepted
    assert all(system_result(system, task_id).success for task_id in accepted)
    assert submit(system, "hello")


def test_a_draining_system_takes_no_new_tasks(system: AgentSystem) -> None:
    system.drain()
    with pytest.raises(Unavailable, match="shutting down"):
        submit(system, "hello")


@pytest.mark.parametrize(
    "name",
    ["gateway", "master agent", "result logger", "history reader 1", "event bus", "rate limiter", "health monitor"],
)
def test_no_accepted_task_is_lost_when_an_actor_crashes(start_system: START, name: str) -> None:
    system = start_system()
    accepted = []
    for number in range(60):
        if number % 20 == 10:
            system._addresses[name].tell("a message that nothing knows")
        try:
            accepted.append(submit(system, f"What is {number} + 1?", session_id=f"s{number % 7}"))
        except Unavailable:
            continue
    outputs = [system_result(system, task_id) for task_id in accepted]
    assert [record for record in outputs if not record.success] == []
    assert len(accepted) > 30
    for record in outputs:
        events = list(system.events(record.task_id))
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert sum(event.topic is Topic.TASK_COMPLETED for event in events) == 1


def system_result(system: AgentSystem, task_id: str) -> TaskRecord:
    """Wait for a task's end although the actor that keeps our question may crash."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(Unavailable):
            return ended(system, task_id)
    raise AssertionError("no answer")


def test_what_was_accepted_before_an_ordered_stop_is_worked_out_after_the_next_start(
    start_system: START, gates: Gates
) -> None:
    first = start_system(skills_dir=gates.skills, workers=1, drain_s=0.3)
    running = submit(first, at_gate("gate"))
    waiting = submit(first, "What is 2 + 2?")
    gates.wait_entered("gate")
    assert not first.stop(), "one task was still at its gate"
    gates.open("gate")
    second = start_system(skills_dir=gates.skills)
    assert ended(second, waiting).output == 4
    record = ended(second, running)
    assert record.output == "gate"
    assert record.state.attempt == 2


def test_accepted_tasks_survive_kill_9_and_end(
    start_system: START, make_settings: Callable[..., Settings], gates: Gates
) -> None:
    killed = Killed(make_settings(), gates)
    done = killed.submit("What is 1 + 1?")
    running = [killed.submit(at_gate(f"gate{n}")) for n in range(2)]
    waiting = [killed.submit(f"What is {n} + 2?") for n in range(5)]
    gates.wait_entered("gate0")
    killed.kill()
    for n in range(2):
        gates.open(f"gate{n}")
    system = start_system(skills_dir=gates.skills)
    assert ended(system, done).output == 2
    assert [ended(system, task_id).output for task_id in running] == ["gate0", "gate1"]
    assert [ended(system, task_id).output for task_id in waiting] == [2, 3, 4, 5, 6]
    events = list(system.events(running[0]))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


def test_a_call_that_must_not_be_repeated_is_not_repeated_after_kill_9(
    start_system: START, make_settings: Callable[..., Settings], gates: Gates
) -> None:
    killed = Killed(make_settings(), gates)
    task_id = killed.submit(code("from skills import charge\ncharge(5)"))
    gates.wait_entered("charged")
    killed.kill()
    gates.open("charged")
    system = start_system(skills_dir=gates.skills)
    paused = await_status(system, task_id, Status.PAUSED)
    assert paused.state.pause is not None
    assert (paused.state.pause.reason, paused.state.pause.skill) == ("outcome_unknown", "charge")
    assert paused.state.pause.args == [5]
    assert (gates.folder / "charges").read_text().splitlines() == [paused.state.pause.effect_id]


@pytest.mark.slow  # SQLite waits 5 s for a lock
def test_a_locked_database_refuses_and_loses_nothing(
    start_system: START, make_settings: Callable[..., Settings], gates: Gates
) -> None:
    system = start_system(skills_dir=gates.skills, ask_timeout_s=60)
    task_id = submit(system, at_gate("gate"))
    gates.wait_entered("gate")
    locker = sqlite3.connect(make_settings().data_dir / "callboard.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        system.gateway.ask(SubmitTask(task="What is 2 + 2?"), timeout_s=60)
    gates.open("gate")  # the task ends while nothing can be written
    locker.execute("ROLLBACK")
    locker.close()
    assert ended(system, task_id, 30).output == "gate"
    assert system.execute("What is 2 + 2?").output == 4


# --- health -----------------------------------------------------------------------------------------------------------


def test_health_shows_every_part_and_counts_tasks(system: AgentSystem) -> None:
    assert system.wait_until_probed(10)
    report = system.health()
    assert report.status == "healthy"
    assert all(report.services.values())
    assert set(report.services) >= {"api", "agent", "sandbox", "llm", "store"}
    system.execute("What is 2 + 2?")
    system.execute("Write a sonnet.")
    deadline = time.monotonic() + 60
    while (totals := system.health().totals).completed + totals.failed < 2 and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert (totals.total, totals.completed, totals.failed, totals.live) == (2, 1, 1, 0)


def test_an_actor_that_was_given_up_turns_health_unhealthy(system: AgentSystem) -> None:
    assert system.wait_until_probed(10)
    for _ in range(4):
        system._addresses["event bus"].tell("a message that nothing knows")
    deadline = time.monotonic() + 60
    while system.health().status != "unhealthy" and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    report = system.health()
    assert report.status == "unhealthy"
    assert "event bus keeps crashing" in report.problems[0]


def test_what_a_failed_task_made_is_freed_without_the_cyclic_collector(system: AgentSystem) -> None:
    gc.disable()
    try:
        assert system.execute(code("list(range(300_001))")).error_code == "output_limit"
        system.execute("What is 2 + 2?")
        assert [len(o) for o in gc.get_objects() if type(o) is list and len(o) == 300_001] == []
    finally:
        gc.enable()


def test_a_start_that_fails_lets_go_of_the_history(
    start_system: START, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_interpreter(_sandbox: Sandbox) -> None:
        raise OSError("no interpreter")

    with monkeypatch.context() as broken:
        broken.setattr(Sandbox, "start", no_interpreter)
        with pytest.raises(OSError, match="no interpreter"):
            AgentSystem.start(make_settings())
    assert start_system().execute("What is 2 + 2?").output == 4


def test_stopping_twice_is_harmless(start_system: START) -> None:
    system = start_system()
    assert system.stop()
    assert system.stop()
    with pytest.raises(Unavailable):
        system.execute("hello")


def test_retention_by_count_keeps_the_newest_ended_tasks(start_system: START) -> None:
    before = start_system()
    ids = [before.execute(f"What is {number} + 1?").task_id for number in range(6)]
    before.stop()
    system = start_system(retention_tasks=3)  # it looks a second after its start, and then once a minute
    deadline = time.monotonic() + 60
    while len(listed(system)) > 3:
        assert time.monotonic() < deadline, "nothing was pruned"
        threading.Event().wait(0.02)
    assert listed(system) == ids[:2:-1]
    with pytest.raises(TaskNotFound):
        system.gateway.ask(GetEvents(task_id=ids[0]), timeout_s=30)
    assert system.wait_until_probed(60)
    assert system.health().totals.total == 6, "the counts go on over what was pruned"


def listed(system: AgentSystem) -> list[str]:
    page = system.gateway.ask(ListTasks(limit=100), timeout_s=30)
    return [task.task_id for task in page.tasks]


def test_a_full_inbox_of_the_gateway_refuses_and_the_system_goes_on(start_system: START) -> None:
    """Forty callers at once, an inbox of ten: each gets its task accepted or is told to come back."""
    system = start_system(inbox_limit=10)
    outcomes: list[str] = []

    def call() -> None:
        for number in range(10):
            try:
                outcomes.append(submit(system, f"What is {number} + 1?"))
            except Overloaded as error:
                outcomes.append("refused" if error.retry_after_s >= 1 else "refused for ever")

    threads = [threading.Thread(target=call) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(outcomes) == 400
    accepted = [outcome for outcome in outcomes if outcome != "refused"]
    assert all(_ended_at_last(system, task_id).success for task_id in accepted)


def _ended_at_last(system: AgentSystem, task_id: str) -> TaskRecord:
    """Return the task's end; as long as the inbox is full of what was accepted, ask again as the refusal says."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return ended(system, task_id)
        except Overloaded:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
