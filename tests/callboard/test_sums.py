"""What a task says it took: the time of all attempts and by the clock, and the figures of the agents below it in its own.

A scripted provider on a real port answers in words of a fixed number of tokens; real actors, processes and signals.
"""

import math
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.provider import Provider, Reply, Request, running
from callboard import AgentSystem, CancelTask, DecideTask, Decision, Settings, Status, TaskRecord, Topic
from callboard.budget import Account, Budget
from callboard.clock import Clock
from callboard.messages.tasks import ListTasks, RedriveTask
from callboard.messages.usage import GetAgentUsage, GetSkillUsage
from callboard.task_spec import RetryPolicy
from tests.callboard.harness import Gates, Killed, await_status, ended, submit
from tests.callboard.test_agent_durability import SKILLS, block, wait_for_row
from tests.template import lay_history

START = Callable[..., AgentSystem]

READ, WRITTEN = 100, 10
CALL = READ + WRITTEN
PRICE = READ * 1e-6 + WRITTEN * 2e-6
FIGURES = ("llmCalls", "inputTokens", "outputTokens", "totalTokens", "skillCalls", "costUsd")


def say(text: str, **more: Any) -> Reply:
    return Reply(text=text, usage=(READ, WRITTEN), **more)


@pytest.fixture
def gates(tmp_path: Path) -> Gates:
    made = Gates(tmp_path / "world")
    (made.skills / "gates.py").unlink()
    (made.skills / "world.py").write_text(SKILLS.format(folder=str(made.folder)))
    return made


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running() as made:
        yield made


@pytest.fixture
def told(gates: Gates, provider: Provider, tmp_path: Path) -> dict[str, Any]:
    """Settings: the model, the skills, and two agents that may call all of them."""
    agents = tmp_path / "agents"
    agents.mkdir()
    for name in ("code-reviewer", "data-analyst"):
        (agents / f"{name}.yaml").write_text(f"name: {name}\ndescription: Does parts.\nsystemPrompt: Do it.\n")
    return {
        "llm_provider": "openai",
        "llm_base_url": provider.openai_url,
        "llm_model": "test-model",
        "llm_api_key": "k",
        "llm_input_price": 1.0,
        "llm_output_price": 2.0,
        "llm_retries": 0,
        "agents_dir": str(agents),
        "skills_dir": str(gates.skills),
    }


def family(request: Request) -> Reply:
    """A task on three levels: `outer` has `middle` and `leaf` worked out at once, `middle` has another leaf."""
    match request.last.split():
        case ["outer"]:
            return say(
                block(
                    "import asyncio\nfrom skills import delegate, pay\npay('outer')\n"
                    "await asyncio.gather(delegate('code-reviewer', 'middle'), delegate('data-analyst', 'leaf one'))"
                )
            )
        case ["middle"]:
            return say(block("from skills import delegate\ndelegate('data-analyst', 'leaf two')"))
        case ["leaf", name]:
            return say(block(f"from skills import pay, stand\npay('{name}')\nstand('stand-{name}')"))
        case _:
            raise AssertionError(request.last)


def children(system: AgentSystem, task_id: str) -> dict[str, TaskRecord]:
    return {
        record.task.spec.task: record for record in system.gateway.ask(ListTasks(parent_id=task_id), timeout_s=30).tasks
    }


def assert_rolled_up(system: AgentSystem, record: TaskRecord) -> dict[str, float]:
    """Hold a task's sums against its own part and those of the tasks below it, on each level; return them."""
    metadata = record.metadata
    parts = [assert_rolled_up(system, child) for child in children(system, record.task_id).values()]
    own = metadata.get("own", metadata)
    for name in FIGURES:
        below = sum(part[name] for part in parts)
        assert math.isclose(metadata.get(name, 0), own.get(name, 0) + below, abs_tol=1e-12), (record.task, name)
        if parts:
            assert math.isclose(metadata["subagents"][name], below, abs_tol=1e-12), (record.task, name)
    assert metadata.get("subagents", {}).get("tasks", 0) == len(parts)
    assert metadata["totalTokens"] == metadata.get("inputTokens", 0) + metadata.get("outputTokens", 0)
    return {name: metadata.get(name, 0) for name in FIGURES}


def assert_counted_by_budgets(system: AgentSystem, record: TaskRecord) -> None:
    """Hold what a task says against the account that its budget looks at."""
    account = Account("task", record.task_id)
    spent = system._store.reader.usage([account])[account]
    sums = [record.metadata.get(name, 0) for name in ("llmCalls", "totalTokens", "skillCalls")]
    assert sums == [spent.model_calls, spent.tokens, spent.skill_calls]
    assert math.isclose(record.metadata.get("costUsd", 0), spent.cost_usd, abs_tol=1e-12)


# --- agents' figures are in those of the task above ---


@pytest.mark.parametrize("budget", [None, Budget(tokens=100_000, skill_calls=50)], ids=["no budget", "a budget"])
def test_the_figures_of_two_levels_of_agents_are_in_those_of_the_task_above(
    start_system: START, provider: Provider, told: dict[str, Any], budget: Budget | None
) -> None:
    provider.say(family)
    system = start_system(**told)
    record = system.execute("outer", budget=budget, wait_s=20)
    assert record.status is Status.COMPLETED, record.error
    sums = assert_rolled_up(system, record)
    assert sums["llmCalls"] == len(provider.requests) == 4
    assert sums["totalTokens"] == 4 * CALL
    assert sums["costUsd"] == pytest.approx(4 * PRICE)
    assert sums["skillCalls"] == 3 + 1 + 2 + 2, "delegate is a call like any other"
    assert record.metadata["own"]["llmCalls"] == 1
    assert record.metadata["subagents"]["tasks"] == 2
    assert children(system, record.task_id)["middle"].metadata["totalTokens"] == 2 * CALL
    assert_counted_by_budgets(system, record)


@pytest.mark.parametrize("gate", ["outer", "one", "two", "stand-two"])
def test_nothing_is_lost_of_the_figures_and_nothing_is_in_them_twice_after_a_kill(
    make_settings: Callable[..., Settings],
    start_system: START,
    gates: Gates,
    provider: Provider,
    told: dict[str, Any],
    gate: str,
) -> None:
    provider.say(family)
    (gates.folder / f"{gate}.closed").touch()
    process = Killed(make_settings(), gates, **told)
    task_id = process.submit("outer")
    gates.wait_entered(gate)
    if gate != "outer":
        wait_for_row(
            make_settings(),
            "SELECT 1 FROM tasks WHERE task = 'leaf one' AND status = 'completed'" if "two" in gate else "SELECT 1",
        )
    process.kill()
    gates.open(gate)
    system = start_system(**told)
    record = ended(system, task_id)
    assert record.status is Status.COMPLETED, record.error
    sums = assert_rolled_up(system, record)
    assert sums["llmCalls"] == 4
    assert sums["totalTokens"] == 4 * CALL
    assert sums["skillCalls"] == 8
    assert_counted_by_budgets(system, record)
    assert ended_data(system, task_id)["executionTime"] == record.state.execution_time_ms


def ended_data(system: AgentSystem, task_id: str) -> dict[str, Any]:
    return dict(list(system.events(task_id))[-1].data)


def test_an_agent_that_failed_and_was_tried_again_counts_with_all_it_took(
    start_system: START, provider: Provider, told: dict[str, Any]
) -> None:
    asked: list[str] = []

    def answer(request: Request) -> Reply:
        asked.append(request.last)
        if request.last == "inner":
            return Reply(status=503) if asked.count("inner") == 1 else say(block("raise ValueError('no')"))
        if "no" in request.last and "ValueError" in request.last:
            return say(block("raise ValueError('no')"))
        return say(
            block(
                "from skills import delegate\ntry:\n    delegate('data-analyst', 'inner')\nexcept Exception as e:\n    pass\n'gave up'"
            )
        )

    provider.say(answer)
    system = start_system(**told, max_rounds=2)
    record = system.execute("outer", retry=RetryPolicy(max_attempts=2, backoff_ms=1), wait_s=20)
    assert record.output == "gave up", record.error
    [inner] = children(system, record.task_id).values()
    assert (inner.status, inner.state.attempt) == (Status.FAILED, 2)
    assert inner.metadata["llmCalls"] == 3
    assert inner.metadata["totalTokens"] == 2 * CALL
    sums = assert_rolled_up(system, record)
    assert sums["llmCalls"] == len(provider.requests) == 4
    assert_counted_by_budgets(system, record)
    assert_counted_by_budgets(system, inner)


def test_a_task_that_is_cancelled_has_what_its_agents_had_taken_on_every_level(
    start_system: START, gates: Gates, provider: Provider, told: dict[str, Any]
) -> None:
    provider.say(family)
    for name in ("stand-one", "stand-two"):
        (gates.folder / f"{name}.closed").touch()
    system = start_system(**told)
    task_id = submit(system, "outer")
    for name in ("stand-one", "stand-two"):
        gates.wait_entered(name)
    system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    for child in children(system, task_id).values():
        ended(system, child.task_id)
        for inner in children(system, child.task_id).values():
            ended(system, inner.task_id)
    for name in ("stand-one", "stand-two"):
        gates.open(name)
    record = ended(system, task_id)
    assert record.status is Status.CANCELLED
    sums = assert_rolled_up(system, record)
    assert (sums["llmCalls"], sums["totalTokens"], sums["skillCalls"]) == (4, 4 * CALL, 8)
    assert record.state.execution_time_ms is not None
    assert record.elapsed_ms is not None
    assert 0 < record.state.execution_time_ms <= record.elapsed_ms
    assert_counted_by_budgets(system, record)


def test_a_redriven_task_goes_on_with_the_figures_of_the_dead_letter(
    make_settings: Callable[..., Settings], start_system: START, gates: Gates, provider: Provider, told: dict[str, Any]
) -> None:
    provider.say(lambda _: say(block("from skills import pay, stand\npay('once')\nstand('deadly')")))
    (gates.folder / "deadly.closed").touch()
    process = Killed(make_settings(), gates, **told, max_crashes=1)
    task_id = process.submit("die")
    gates.wait_entered("deadly")
    process.kill()
    gates.open("deadly")
    system = start_system(**told, max_crashes=1)
    dead = ended(system, task_id)
    assert dead.error_code == "dead_letter"
    assert (dead.metadata["llmCalls"], dead.metadata["totalTokens"]) == (1, CALL)
    again = system.gateway.ask(RedriveTask(task_id=task_id), timeout_s=30)
    record = ended(system, again.task_id)
    assert record.status is Status.COMPLETED, record.error
    assert (record.metadata["llmCalls"], record.metadata["totalTokens"], record.metadata["skillCalls"]) == (1, CALL, 2)
    assert len(provider.requests) == 1


# --- what counts as a call ---


def counts(system: AgentSystem, name: str) -> tuple[int, int]:
    usage = system.gateway.ask(GetSkillUsage(), timeout_s=30).get(name)
    return (0, 0) if usage is None else (usage.skill_calls, usage.failures)


def test_delegate_and_the_agents_are_counted_once_with_their_failures(
    start_system: START, provider: Provider, told: dict[str, Any]
) -> None:
    def answer(request: Request) -> Reply:
        if request.last == "good":
            return say("fine")
        if request.last == "bad":
            return Reply(status=401)
        return say(
            block(
                "import asyncio\nfrom skills import delegate\n"
                "await asyncio.gather(delegate('data-analyst', 'good'), delegate('code-reviewer', 'good'))\n"
                "try:\n    delegate('code-reviewer', 'bad')\nexcept Exception:\n    pass\n"
                "try:\n    delegate('data-analyst', ' ')\nexcept Exception:\n    pass\n'done'"
            )
        )

    provider.say(answer)
    system = start_system(**told)
    record = system.execute("outer", wait_s=20)
    assert record.output == "done", record.error
    assert record.metadata["own"]["skillCalls"] == 4
    assert counts(system, "delegate") == (4, 2)
    agents = system.gateway.ask(GetAgentUsage(), timeout_s=30)
    found = {name: (usage.tasks, usage.failures) for name, usage in agents.items()}
    assert found == {"master": (1, 0), "data-analyst": (1, 0), "code-reviewer": (2, 1)}
    refused = [event.data for event in system.events(record.task_id) if event.topic is Topic.SKILL_COMPLETED][-1]
    assert (refused["call"], refused["ok"], refused["errorCode"]) == (4, False, "skill_failed")


@pytest.mark.parametrize("decision", [Decision.APPROVE, Decision.REJECT])
def test_a_delegation_that_waits_for_approval_is_counted_once(
    start_system: START, told: dict[str, Any], provider: Provider, decision: Decision
) -> None:
    script = "from skills import delegate\ntry:\n    r = delegate('data-analyst', 'good')\nexcept Exception as e:\n    r = str(e)\nr"
    provider.say(lambda request: say("fine") if request.last == "good" else say(block(script)))
    system = start_system(**told, approve_skills=("delegate",))
    task_id = submit(system, "outer")
    await_status(system, task_id, Status.PAUSED)
    system.gateway.ask(DecideTask(task_id=task_id, decision=decision), timeout_s=30)
    record = ended(system, task_id)
    approved = decision is Decision.APPROVE
    assert record.status is Status.COMPLETED, record.error
    assert record.output == "fine" if approved else "rejected" in str(record.output)
    assert record.metadata["skillCalls"] == 1
    assert counts(system, "delegate") == ((1, 0) if approved else (0, 0)), "what was rejected was not called"


def test_a_call_is_one_call_however_it_came_about(start_system: START, gates: Gates, told: dict[str, Any]) -> None:
    """Calls of a folder's script, calls at once, refused ones: what the log numbers is what is counted, and what budgets count."""
    folder = gates.skills / "twice"
    (folder / "scripts").mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: twice\ndescription: Pays twice.\n---\nBody.\n")
    (folder / "scripts" / "run.py").write_text("from skills import pay, calculate\npay('nested')\ncalculate('1 + 1')\n")
    told["llm_provider"] = "offline"
    system = start_system(**told)
    python = (
        "import asyncio\nfrom skills import twice, pay, calculate, send\n"
        "twice('scripts/run.py', [])\nawait asyncio.gather(pay('a'), calculate('1'))\n"
        "try:\n    send('x')\nexcept Exception:\n    pass\n'done'"
    )
    skills = ("twice", "pay", "calculate")
    record = system.execute(block(python), available_skills=skills, budget=Budget(skill_calls=6), wait_s=20)
    assert record.output == "done", record.error
    log = [event.data for event in system.events(record.task_id) if event.topic is Topic.SKILL_COMPLETED]
    assert sorted(data["call"] for data in log) == [1, 2, 3, 4, 5, 6]
    assert record.metadata["skillCalls"] == 6
    assert [counts(system, name) for name in (*skills, "send")] == [(1, 0), (2, 0), (2, 0), (0, 0)]
    assert_counted_by_budgets(system, record)
    short = system.execute(block(python), available_skills=skills, budget=Budget(skill_calls=5), wait_s=20)
    assert (short.error_code, short.metadata["skillCalls"]) == ("budget_exceeded", 5)


def test_a_call_that_is_made_again_after_a_kill_is_one_call_of_the_task(
    make_settings: Callable[..., Settings], start_system: START, gates: Gates
) -> None:
    (gates.folder / "again.closed").touch()
    process = Killed(make_settings(), gates)
    python = "from skills import calculate, pay, stand\ncalculate('1')\npay('a')\ncalculate('2')\nstand('again')\npay('b')\n'done'"
    task_id = process.submit(block(python), budget={"skillCalls": 5})
    gates.wait_entered("again")
    process.kill()
    gates.open("again")
    system = start_system(skills_dir=gates.skills)
    record = ended(system, task_id)
    assert record.output == "done", record.error
    assert record.metadata["skillCalls"] == 5
    assert_counted_by_budgets(system, record)


# --- how long it took ---


def others_work(system: AgentSystem) -> float:
    """Have other tasks worked out; return how many milliseconds that took at least."""
    started_s = time.monotonic()
    for _ in range(10):
        system.execute("What is 1 + 1?", wait_s=20)
    return (time.monotonic() - started_s) * 1000


def times(record: TaskRecord) -> tuple[float, float]:
    assert record.state.execution_time_ms is not None
    assert record.elapsed_ms is not None
    return record.state.execution_time_ms, record.elapsed_ms


def test_the_attempts_before_a_pause_are_work_and_the_pause_is_none(start_system: START, gates: Gates) -> None:
    system = start_system(skills_dir=gates.skills, approve_skills=("pay",))
    (gates.folder / "before.closed").touch()
    (gates.folder / "after.closed").touch()
    task_id = submit(system, block("from skills import pay, stand\nstand('before')\npay('a')\nstand('after')"))
    worked_ms = 0.0
    for gate in ("before", "after"):
        gates.wait_entered(gate)
        worked_ms += others_work(system)
        gates.open(gate)
        if gate == "before":
            paused = await_status(system, task_id, Status.PAUSED)
            assert (paused.state.execution_time_ms, paused.elapsed_ms) == (None, None)
            waited_ms = others_work(system)
            system.gateway.ask(DecideTask(task_id=task_id, decision=Decision.APPROVE), timeout_s=30)
    record = ended(system, task_id)
    work_ms, elapsed_ms = times(record)
    assert work_ms >= worked_ms
    assert elapsed_ms - work_ms >= waited_ms
    data = ended_data(system, task_id)
    assert (data["executionTime"], data["elapsedTime"]) == (work_ms, elapsed_ms)


@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_a_task_that_ends_while_it_is_paused_has_what_it_had_done(
    start_system: START, gates: Gates, provider: Provider, told: dict[str, Any], end: str
) -> None:
    provider.say(say(block("from skills import pay, stand\nstand('before')\npay('a')")))
    (gates.folder / "before.closed").touch()
    system = start_system(**told, approve_skills=("pay",), decision_timeout_s=0.5 if end == "failed" else 600.0)
    task_id = submit(system, "pay")
    gates.wait_entered("before")
    worked_ms = others_work_beside(provider, system)
    gates.open("before")
    await_status(system, task_id, Status.PAUSED)
    if end == "cancelled":
        system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    record = ended(system, task_id)
    assert record.status.value == end
    work_ms, elapsed_ms = times(record)
    assert worked_ms <= work_ms <= elapsed_ms
    if end == "failed":
        assert elapsed_ms - work_ms >= 450, "nobody decided for half a second"
    assert [record.metadata[name] for name in ("llmCalls", "totalTokens", "skillCalls")] == [1, CALL, 2]
    assert record.metadata["costUsd"] == pytest.approx(PRICE)


def others_work_beside(provider: Provider, system: AgentSystem) -> float:
    """As `others_work`, where there is a model."""
    provider.say(say("two"))
    return others_work(system)


def test_what_a_killed_server_had_on_record_is_work(
    make_settings: Callable[..., Settings], start_system: START, gates: Gates
) -> None:
    for name in ("first", "second"):
        (gates.folder / f"{name}.closed").touch()
    process = Killed(make_settings(), gates)
    started_s = time.monotonic()
    task_id = process.submit(block("from skills import pay, stand\nstand('first')\npay('on record')\nstand('second')"))
    gates.wait_entered("first")
    entered_s = time.monotonic()
    for _ in range(5):
        process.submit("What is 1 + 1?")
    worked_ms = (time.monotonic() - entered_s) * 1000
    gates.open("first")
    gates.wait_entered("second")
    process.kill()
    killed_s = time.monotonic()
    gates.open("second")
    system = start_system(skills_dir=gates.skills)
    work_ms, elapsed_ms = times(ended(system, task_id))
    down_ms = (time.monotonic() - killed_s) * 1000
    assert worked_ms <= work_ms <= elapsed_ms
    assert elapsed_ms <= (time.monotonic() - started_s) * 1000 + 1
    assert work_ms <= elapsed_ms - down_ms * 0.2, "while no server was there nobody worked"


def test_waiting_for_another_try_and_for_the_session_is_no_work(start_system: START, gates: Gates) -> None:
    (gates.skills / "flaky.py").write_text(FLAKY.format(folder=str(gates.folder)))
    system = start_system(skills_dir=gates.skills)
    retry = RetryPolicy(max_attempts=2, backoff_ms=300)
    first = submit(system, block("from skills import flaky\nflaky()"), retry=retry, session_id="s")
    second = submit(system, "What is 1 + 1?", session_id="s")
    for task_id in (first, second):
        record = ended(system, task_id)
        assert record.status is Status.COMPLETED, record.error
        work_ms, elapsed_ms = times(record)
        assert elapsed_ms - work_ms >= 260


FLAKY = '''
from pathlib import Path

from callboard import RetryableError, skill


@skill(replay="safe")
def flaky() -> str:
    """Fail once."""
    mark = Path({folder!r}) / "flaky"
    if not mark.exists():
        mark.touch()
        raise RetryableError("down")
    return "up"
'''


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_set_makes_no_time_negative_and_no_work_of_it(
    make_settings: Callable[..., Settings], gates: Gates, hours: int
) -> None:
    shift = timedelta()
    settings = make_settings(skills_dir=gates.skills, approve_skills=("pay",))
    (gates.folder / "a.closed").touch()
    clock = Clock(now=lambda: datetime.now(UTC) + shift)
    system = AgentSystem.start(lay_history(settings), clock=clock)
    try:
        task_id = submit(system, block("from skills import pay\npay('a')"))
        await_status(system, task_id, Status.PAUSED)
        system.gateway.ask(DecideTask(task_id=task_id, decision=Decision.APPROVE), timeout_s=30)
        gates.wait_entered("a")
        shift = timedelta(hours=hours)
        gates.open("a")
        work_ms, elapsed_ms = times(ended(system, task_id))
        assert 0 < work_ms < 60_000
        assert elapsed_ms == work_ms if hours < 0 else elapsed_ms > hours * 3_600_000
    finally:
        system.stop()


def test_a_task_that_nobody_worked_on_has_a_time_by_the_clock_alone(start_system: START, gates: Gates) -> None:
    system = start_system(skills_dir=gates.skills, workers=1)
    (gates.folder / "busy.closed").touch()
    busy = submit(system, block("from skills import stand\nstand('busy')"))
    gates.wait_entered("busy")
    task_id = submit(system, "What is 1 + 1?")
    system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    record = ended(system, task_id)
    gates.open("busy")
    ended(system, busy)
    assert record.state.execution_time_ms is None
    assert record.elapsed_ms is not None
    assert ended_data(system, task_id).keys() == {"elapsedTime"}
