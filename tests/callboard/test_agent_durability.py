"""What the agent's work keeps through `kill -9`, cancels and deadlines: model calls, rounds, parallel calls, delegations.

Real processes and real signals; the model is a scripted provider on a real port, which outlives the servers.
"""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.provider import Provider, Reply, Request, running
from callboard import AgentSystem, AwaitEvents, CancelTask, GetTask, Settings, Status, TaskRecord, Topic
from callboard.messages.decisions import DecideTask
from callboard.messages.pauses import Decision
from callboard.messages.tasks import ListTasks
from tests.at_once import LATE_S
from tests.callboard.harness import Gates, Killed, await_status, ended, submit

START = Callable[..., AgentSystem]

SKILLS = '''
import os
import time
from pathlib import Path

from callboard import SkillContext, skill

FOLDER = Path({folder!r})


def effect(name, ctx):
    descriptor = os.open(FOLDER / "effects", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (name + " " + ctx.effect_id + chr(10)).encode())
    os.close(descriptor)


def gate(name):
    (FOLDER / (name + ".entered")).touch()
    while (FOLDER / (name + ".closed")).exists() and not (FOLDER / (name + ".open")).exists():
        time.sleep(0.002)


@skill(replay="keyed")
def pay(name: str, *, ctx: SkillContext) -> str:
    """Pay with an idempotency key."""
    effect("pay-" + name, ctx)
    gate(name)
    return name


@skill(replay="never")
def send(name: str, *, ctx: SkillContext) -> str:
    """Send what cannot be called back."""
    effect("send-" + name, ctx)
    gate(name)
    return name


@skill(replay="pure")
def stand(name: str) -> str:
    """Stop at a gate, off the record."""
    gate(name)
    return name


@skill(replay="safe")
def hold(name: str, *, ctx: SkillContext) -> str:
    """Wait at a gate, or until the task is cancelled."""
    effect("hold-" + name, ctx)
    (FOLDER / (name + ".entered")).touch()
    while not (FOLDER / (name + ".open")).exists():
        if ctx.cancel_event.wait(0.002):
            (FOLDER / (name + "-cancelled.entered")).touch()
            return "cancelled"
    return name
'''


def block(python: str) -> str:
    return f"```python\n{python}\n```"


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


def model(provider: Provider) -> dict[str, Any]:
    return {
        "llm_provider": "openai",
        "llm_base_url": provider.openai_url,
        "llm_model": "test-model",
        "llm_api_key": "secret-key-of-the-test",
    }


def effects(gates: Gates) -> Counter[str]:
    path = gates.folder / "effects"
    return Counter(path.read_text().splitlines() if path.exists() else [])


def by_name(gates: Gates) -> Counter[str]:
    return Counter(line.split()[0] for line in effects(gates).elements())


def wait_for_row(settings: Settings, query: str) -> None:
    """Return once a query finds something in the history of the process that is to be killed."""
    deadline = time.monotonic() + 60
    with closing(sqlite3.connect(settings.data_dir / "callboard.db")) as history:
        while not history.execute(query).fetchall():
            assert time.monotonic() < deadline, query
            threading.Event().wait(0.002)


def topics(system: AgentSystem, task_id: str) -> list[Topic]:
    events = list(system.events(task_id))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [event.topic for event in events]


def test_what_skills_have_noted_stays_when_a_script_goes_on(
    make_settings: Callable[..., Settings], start_system: START, gates: Gates
) -> None:
    """Killed behind the pure call that noted something: the script goes on from its snapshot and does not come there again."""
    (gates.folder / "one.closed").touch()
    process = Killed(make_settings(), gates)
    code = "from skills import pay, query_table\ntotal = query_table('a,b\\n1,x\\n,y\\n2,z', 'sum', 'a')\npay('one')\ntotal"
    task_id = process.submit(block(code))
    gates.wait_entered("one")
    process.kill()
    gates.open("one")
    record = ended(start_system(skills_dir=gates.skills), task_id)
    assert (record.status, record.output) == (Status.COMPLETED, 3)
    assert record.metadata["notes"] == {"missingCells": {"a": 1}}


def test_a_finished_model_call_is_never_paid_again(
    make_settings: Callable[..., Settings], start_system: START, gates: Gates, provider: Provider
) -> None:
    """Killed in the second round: the first round's answer, and its failed code's calls, come from the ledger."""
    provider.say(
        Reply(text=block("from skills import pay\npay('one')\n1 / 0")),
        Reply(text=block("from skills import pay\npay('two')\npay('three')")),
        Reply(text="must not be asked"),
    )
    (gates.folder / "three.closed").touch()
    process = Killed(make_settings(), gates, **model(provider))
    task_id = process.submit("pay")
    gates.wait_entered("three")
    process.kill()
    gates.open("three")
    system = start_system(skills_dir=gates.skills, **model(provider))
    record = ended(system, task_id)
    assert (record.status, record.output) == (Status.COMPLETED, "three")
    assert len(provider.requests) == 2
    assert by_name(gates) == {"pay-one": 1, "pay-two": 1, "pay-three": 2}
    assert len(effects(gates)) == 3, "a repeated keyed call has the same effect id"
    assert record.metadata["llmCalls"] == 2
    topics(system, task_id)


def test_a_later_round_knows_what_earlier_ones_have_bound_though_the_server_died_in_between(
    make_settings: Callable[..., Settings], start_system: START, gates: Gates, provider: Provider
) -> None:
    """The script of the second round goes on from its snapshot; names and output of the first are as if nothing was."""
    provider.say(
        Reply(text=block("from skills import pay\nheld = [pay('one')]\nprint('first')")),
        Reply(text=block("from skills import pay\npay('two')\nprint('second')")),
        Reply(text=block("held + ['three']")),
        Reply(text=block("held")),
    )
    (gates.folder / "two.closed").touch()
    process = Killed(make_settings(), gates, **model(provider))
    task_id = process.submit("pay", session_id="s")
    gates.wait_entered("two")
    process.kill()
    gates.open("two")
    system = start_system(skills_dir=gates.skills, **model(provider))
    record = ended(system, task_id)
    assert (record.status, record.output) == (Status.COMPLETED, ["one", "three"])
    assert provider.requests[2].last == "The code printed:\nsecond\n\n\nGo on, or answer."
    assert ended(system, submit(system, "what is held?", session_id="s")).output == ["one"]


def test_a_finished_model_call_without_a_snapshot_is_answered_from_the_ledger(
    make_settings: Callable[..., Settings], start_system: START, gates: Gates, provider: Provider
) -> None:
    """Killed before the script has made any call that is on record: only the model's own row says what it answered."""
    provider.say(Reply(text=block("from skills import stand\nstand('here')")), Reply(text="must not be asked"))
    (gates.folder / "here.closed").touch()
    process = Killed(make_settings(), gates, **model(provider))
    task_id = process.submit("stand")
    gates.wait_entered("here")
    wait_for_row(
        make_settings(), "SELECT 1 FROM calls WHERE kind = 'model' AND state = 'done'"
    )  # which nobody waits for
    process.kill()
    gates.open("here")
    record = ended(start_system(skills_dir=gates.skills, **model(provider)), task_id)
    assert (record.output, len(provider.requests), record.metadata["llmCalls"]) == ("here", 1, 1)


def test_a_model_call_that_was_under_way_is_made_again(
    make_settings: Callable[..., Settings], start_system: START, gates: Gates, provider: Provider
) -> None:
    provider.say(Reply(fault="hang"), Reply(text="here I am"))
    process = Killed(make_settings(), gates, **model(provider))
    task_id = process.submit("hello")
    provider.wait_for(1)
    process.kill()
    record = ended(start_system(skills_dir=gates.skills, **model(provider)), task_id)
    assert record.output == "here I am"
    assert len(provider.requests) == 2


GATHER = "import asyncio\nfrom skills import pay, {last}\nawait asyncio.gather(pay('a'), pay('b'), {last}('c'))"


def test_calls_made_at_once_are_each_answered_from_the_ledger_after_a_kill(
    make_settings: Callable[..., Settings], start_system: START, gates: Gates
) -> None:
    (gates.folder / "b.closed").touch()
    process = Killed(make_settings(), gates)
    task_id = process.submit(block(GATHER.format(last="send")))
    for name in "abc":
        gates.wait_entered(name)
    process.kill()
    gates.open("b")
    system = start_system(skills_dir=gates.skills)
    record = settle(system, task_id)
    assert record.output == ["a", "b", "c"]
    counts = by_name(gates)
    assert counts["send-c"] == 1
    assert counts["pay-b"] == 2
    assert len(effects(gates)) == 3


def settle(system: AgentSystem, task_id: str) -> TaskRecord:
    """Return the task's end; where it asks about the call of unknown outcome, say that it was done."""
    while True:
        record = await_pause_or_end(system, task_id)
        if record.status.ended:
            return record
        wish = DecideTask(task_id=task_id, decision=Decision.ASSUME_DONE, result="c")
        system.gateway.ask(wish, timeout_s=30)


def await_pause_or_end(system: AgentSystem, task_id: str) -> TaskRecord:
    """Return the task once it has ended or waits; its log says when to look again."""
    after, deadline = 0, time.monotonic() + 60
    while True:
        record: TaskRecord = system.gateway.ask(GetTask(task_id=task_id), timeout_s=30)
        if record.status.ended or record.status is Status.PAUSED:
            return record
        assert time.monotonic() < deadline, record
        page = system.gateway.ask(AwaitEvents(task_id=task_id, after=after, wait_s=2), timeout_s=30)
        after = page.events[-1].seq if page.events else after


DELEGATING = (
    "import asyncio\nfrom skills import delegate, pay\npay('before')\n"
    "r = await asyncio.gather(delegate('code-reviewer', 'part one'), delegate('code-reviewer', 'part two'))\n"
    "pay('after')\nr"
)


def parts(request: Request) -> Reply:
    if request.last.startswith("part"):
        name = request.last.split()[1]
        return Reply(text=block(f"from skills import pay\npay('{name}')"))
    return Reply(text=block(DELEGATING))


@pytest.fixture
def open_reviewer(tmp_path: Path) -> Path:
    """A reviewer that may call all skills."""
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "code-reviewer.yaml").write_text("name: code-reviewer\ndescription: Does parts.\nsystemPrompt: Do it.\n")
    return folder


PAUSING = (
    "import asyncio\nfrom skills import delegate, summarize\n"
    "r = await asyncio.gather(summarize('One. Two.', 1), delegate('code-reviewer', 'part one'))\nlist(r)"
)


def test_what_a_skill_has_asked_the_model_is_not_paid_again_when_agents_have_ended(
    start_system: START, gates: Gates, provider: Provider, open_reviewer: Path
) -> None:
    """The pure skill is called again where the script goes on; its question is answered from the ledger, counted once."""

    def answer(request: Request) -> Reply:
        if "Summarise the document" in request.last:
            return Reply(text="the summary")
        return parts(request) if request.last.startswith("part") else Reply(text=block(PAUSING))

    provider.say(answer)
    system = start_system(skills_dir=gates.skills, agents_dir=open_reviewer, **model(provider))
    record = ended(system, submit(system, "go"))
    assert record.output == ["the summary", "one"]
    assert len(provider.requests) == 3
    assert record.metadata["own"]["llmCalls"] == 2
    assert record.metadata["subagents"]["tasks"] == 1


@pytest.mark.parametrize("gate", ["before", "one", "two", "after"])
def test_delegations_go_on_after_a_kill_with_nothing_done_twice(
    make_settings: Callable[..., Settings],
    start_system: START,
    gates: Gates,
    provider: Provider,
    open_reviewer: Path,
    gate: str,
) -> None:
    provider.say(parts)
    (gates.folder / f"{gate}.closed").touch()
    told = {**model(provider), "agents_dir": str(open_reviewer)}
    process = Killed(make_settings(), gates, **told)
    task_id = process.submit("whole")
    gates.wait_entered(gate)
    if gate in ("one", "two"):  # or the other part's call may be under way as well, and be made again
        wait_for_row(make_settings(), "SELECT 1 FROM tasks WHERE parent_id IS NOT NULL AND status = 'completed'")
    process.kill()
    gates.open(gate)
    asked = len(provider.requests)
    system = start_system(skills_dir=gates.skills, **told)
    record = ended(system, task_id)
    assert record.output == ["one", "two"], record.error
    assert all(count <= (2 if name == f"pay-{gate}" else 1) for name, count in by_name(gates).items())
    assert len(effects(gates)) == 4
    assert len(provider.requests) <= max(3, asked + 2)
    children = system.gateway.ask(ListTasks(parent_id=task_id), timeout_s=30).tasks
    assert [child.status for child in children] == [Status.COMPLETED] * 2
    assert len(children) == 2
    topics(system, task_id)


@pytest.fixture
def holding(start_system: START, gates: Gates, provider: Provider, open_reviewer: Path) -> AgentSystem:
    """A system whose model has the reviewer wait at the gate `inner`, two levels down."""

    def answer(request: Request) -> Reply:
        if request.last == "hold":
            return Reply(text=block("from skills import hold\nhold('inner')"))
        if request.last == "middle":
            return Reply(text=block("from skills import delegate\ndelegate('code-reviewer', 'hold')"))
        return Reply(text=block("from skills import delegate\ndelegate('code-reviewer', 'middle')"))

    provider.say(answer)
    return start_system(skills_dir=gates.skills, agents_dir=open_reviewer, **model(provider))


def below(system: AgentSystem, task_id: str) -> list[TaskRecord]:
    found = list(system.gateway.ask(ListTasks(parent_id=task_id), timeout_s=30).tasks)
    return found + [inner for child in found for inner in below(system, child.task_id)]


def test_a_cancel_passes_down_to_every_level(holding: AgentSystem, gates: Gates) -> None:
    task_id = submit(holding, "outer")
    gates.wait_entered("inner")
    assert [record.task.depth for record in below(holding, task_id)] == [1, 2]
    holding.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    for record in below(holding, task_id):
        assert ended(holding, record.task_id).status is Status.CANCELLED
    gates.wait_entered("inner-cancelled")


def test_a_deadline_passes_down_to_every_level(holding: AgentSystem, gates: Gates) -> None:
    started_s = time.monotonic()
    task_id = submit(holding, "outer", timeout_ms=3000)
    gates.wait_entered("inner")
    assert ended(holding, task_id).error_code == "deadline_exceeded"
    for record in below(holding, task_id):
        assert ended(holding, record.task_id).status in (Status.CANCELLED, Status.FAILED)
    assert time.monotonic() - started_s < 3 + LATE_S


def test_delegating_holds_no_worker(holding: AgentSystem, gates: Gates) -> None:
    """More tasks wait for their agents than there are workers, and their agents still run."""
    tasks = [submit(holding, "outer") for _ in range(holding.settings.workers * 2)]
    gates.wait_entered("inner")
    gates.open("inner")
    assert {ended(holding, task_id).output for task_id in tasks} == {"inner"}


def test_an_agent_does_not_delegate_deeper_than_the_limit(
    start_system: START, gates: Gates, provider: Provider, open_reviewer: Path
) -> None:
    provider.say(Reply(text=block("from skills import delegate\ndelegate('code-reviewer', 'again')")))
    system = start_system(
        skills_dir=gates.skills, agents_dir=open_reviewer, max_depth=2, max_rounds=1, **model(provider)
    )
    record = ended(system, submit(system, "outer"))
    assert record.error_code == "rounds_exhausted"
    assert max(child.task.depth for child in below(system, record.task_id)) == 2


def test_no_more_tasks_are_delegated_than_the_limit(start_system: START, open_reviewer: Path) -> None:
    system = start_system(agents_dir=open_reviewer, max_subagents=3)
    python = "from skills import delegate\nfor i in range(9):\n    delegate('code-reviewer', f'What is {i} + 1?')"
    record = ended(system, submit(system, block(python)))
    assert record.error_code == "delegation_refused"
    assert len(below(system, record.task_id)) == 3


def test_a_subagent_may_call_only_what_the_task_above_it_may(
    start_system: START, gates: Gates, provider: Provider, open_reviewer: Path
) -> None:
    def answer(request: Request) -> Reply:
        if request.last == "inner":
            return Reply(text=block("from skills import send\nsend('x')"))
        return Reply(text=block("from skills import delegate\ndelegate('code-reviewer', 'inner')"))

    provider.say(answer)
    system = start_system(skills_dir=gates.skills, agents_dir=open_reviewer, max_rounds=1, **model(provider))
    record = ended(system, submit(system, "outer", available_skills=("delegate", "pay")))
    assert "skill_not_allowed" in str(record.error)
    assert not effects(gates)


def test_a_subagent_has_a_share_of_the_budget_and_what_it_spends_counts(
    start_system: START, gates: Gates, provider: Provider, open_reviewer: Path
) -> None:
    provider.say(parts)
    system = start_system(
        skills_dir=gates.skills, agents_dir=open_reviewer, task_budget="modelCalls=10", **model(provider)
    )
    record = ended(system, submit(system, "whole"))
    assert record.status is Status.COMPLETED, record.error
    children = below(system, record.task_id)
    assert {child.task.spec.budget.model_calls for child in children if child.task.spec.budget} == {3}
    again = ended(system, submit(system, "whole", budget={"modelCalls": 2}))
    assert again.error_code in ("agent_failed", "budget_exceeded", "rounds_exhausted")


FAULTS: dict[str, tuple[Reply, set[str]]] = {
    "429": (Reply(status=429, error_type="rate_limit_error"), {"model_rate_limited"}),
    "429 for long": (Reply(status=429, headers={"Retry-After": "3600"}), {"model_rate_limited"}),
    "500": (Reply(status=500), {"model_unavailable"}),
    "401": (Reply(status=401, message="bad key secret-key-of-the-test"), {"model_rejected"}),
    "hang": (Reply(fault="hang"), {"model_timeout", "deadline_exceeded"}),
    "stall": (Reply(text="x" * 100, fault="stall"), {"model_timeout", "deadline_exceeded"}),
    "one byte a second": (Reply(text="x" * 100, fault="dribble"), {"model_timeout", "deadline_exceeded"}),
    "reset": (Reply(text="x" * 100, fault="reset"), {"model_unavailable", "model_bad_reply"}),
    "garbage": (Reply(fault="garbage"), {"model_bad_reply"}),
    "no end": (Reply(text="x" * 100, fault="no_end"), {"model_bad_reply"}),
    "refusal": (Reply(refusal="I will not."), {"model_refused"}),
    "endless loops": (Reply(text=block("while True: pass")), {"rounds_exhausted", "deadline_exceeded"}),
    "rejected code": (Reply(text=block("from skills import pay\npay(1)")), {"rounds_exhausted"}),
}


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_the_provider_does_the_task_ends_in_time_with_a_code_that_says_why(
    start_system: START, gates: Gates, provider: Provider, fault: str, dialect: str
) -> None:
    reply, codes = FAULTS[fault]
    provider.say(reply)
    url = provider.openai_url if dialect == "openai" else provider.anthropic_url
    told = {**model(provider), "llm_provider": dialect, "llm_base_url": url, "llm_retries": 1, "sandbox_time_s": 0.2}
    system = start_system(skills_dir=gates.skills, **told)
    started_s = time.monotonic()
    # one that the time does not end has time enough, however busy the machine is
    within_s = 1.5 if "deadline_exceeded" in codes else 20
    record = ended(system, submit(system, "do it", timeout_ms=round(within_s * 1000)), wait_s=30)
    assert time.monotonic() - started_s < within_s + LATE_S
    assert (record.status, record.error_code in codes) == (Status.FAILED, True), (record.error_code, record.error)
    told_text = str(record) + str([event.data for event in system.events(record.task_id)])
    assert "secret-key-of-the-test" not in told_text


def test_a_model_call_is_cancelled_at_once(start_system: START, provider: Provider) -> None:
    provider.say(Reply(fault="hang"))
    system = start_system(**model(provider))
    task_id = submit(system, "wait")
    provider.wait_for(1)
    started_s = time.monotonic()
    system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    assert ended(system, task_id).status is Status.CANCELLED
    provider.wait_left(timeout_s=5)
    assert time.monotonic() - started_s < LATE_S


def test_the_second_provider_answers_when_the_first_does_not(start_system: START, provider: Provider) -> None:
    with running(Reply(status=500)) as broken:
        told = {**model(broken), "llm_retries": 0}
        told |= {
            "llm_fallback_provider": "anthropic",
            "llm_fallback_base_url": provider.anthropic_url,
            "llm_fallback_model": "second",
            "llm_fallback_api_key": "k",
        }
        provider.say(Reply(text="from the second"))
        system = start_system(**told)
        record = ended(system, submit(system, "hello"))
    assert record.output == "from the second"
    assert record.metadata["model"] == "anthropic/second"


def test_an_open_circuit_shows_in_health(start_system: START, provider: Provider) -> None:
    provider.say(Reply(status=500))
    system = start_system(**model(provider), llm_retries=0, health_interval_s=0.05)
    deadline = time.monotonic() + 60
    while system.health().services["llm"] or system.health().status == "healthy":
        assert time.monotonic() < deadline
        ended(system, submit(system, "hello"))
    assert system.health().status == "degraded"


def test_tasks_that_wait_for_a_person_hold_no_thread(start_system: START, gates: Gates) -> None:
    system = start_system(skills_dir=gates.skills, approve_skills=("pay",))
    threads = threading.active_count()
    tasks = [submit(system, block(f"from skills import pay\npay('{n}')")) for n in range(200)]
    for task_id in tasks:
        await_status(system, task_id, Status.PAUSED)
    deadline = time.monotonic() + 20
    while threading.active_count() > threads:  # one that has paused its task may still be on its way back
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    for task_id in tasks[:10]:
        system.gateway.ask(DecideTask(task_id=task_id, decision=Decision.APPROVE), timeout_s=30)
    assert [ended(system, task_id).status for task_id in tasks[:10]] == [Status.COMPLETED] * 10


def test_whoever_decides_about_an_edited_call_of_unknown_outcome_is_shown_the_edited_arguments(
    make_settings: Callable[..., Settings], start_system: START, gates: Gates, provider: Provider
) -> None:
    provider.say(Reply(text=block("from skills import send\nsend('script')")))
    (gates.folder / "person.closed").touch()
    more = {**model(provider), "approve_skills": ["send"]}
    system = start_system(skills_dir=gates.skills, **more)
    task_id = submit(system, "send")
    await_status(system, task_id, Status.PAUSED)
    system.stop()
    process = Killed(make_settings(), gates, **more)
    process.decide(task_id, "edit", arguments={"name": "person"})
    gates.wait_entered("person")
    process.kill()
    gates.open("person")
    pause = await_status(start_system(skills_dir=gates.skills, **more), task_id, Status.PAUSED).state.pause
    assert pause is not None
    assert (pause.reason, pause.args, pause.edited) == ("outcome_unknown", ["script"], {"name": "person"})
