"""What a call does beside what it returns is done again where the ledger answers it: a permission does not live in a live call."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from callboard import AgentSystem, GetTask, RedriveTask, Settings, Status, TaskRecord
from callboard.clock import Clock
from callboard.messages.decisions import DecideTask
from callboard.messages.event_types import TaskFailed
from callboard.messages.pauses import Decision
from callboard.messages.records import RecordResult
from tests.callboard.harness import Gates, Killed, await_status, code, ended, submit
from tests.template import lay_history

SKILLS = '''
from pathlib import Path

from callboard import RetryableError, SkillContext, skill

TRIED = set()


@skill(replay="keyed")
def strict(*, ctx: SkillContext) -> str:
    """Restrict, as a skill of somebody's own may."""
    ctx.host.restrict(frozenset({"strict", "stop", "flaky", "through", "sums", "word-count"}))
    ctx.note("said", {"strict": True})
    return "text"


@skill(replay="keyed")
def failing(*, ctx: SkillContext) -> str:
    """Restrict, and fail."""
    ctx.host.restrict(frozenset({"stop", "flaky"}))
    raise ValueError("after that")


@skill(replay="keyed")
def through(*, ctx: SkillContext) -> str:
    """Have a script read the folder."""
    return ctx.host.run_script("from skills import sums, word_count\\nword_count('a b')\\nsums()", [], None)


@skill(replay="keyed")
def pay(amount: int, *, ctx: SkillContext) -> str:
    """Pay, each call once."""
    with open(Path(__file__).with_name("paid"), "a") as paid:
        paid.write(ctx.effect_id + "\\n")
    return ctx.effect_id


@skill(replay="keyed")
def paying(*, ctx: SkillContext) -> str:
    """Have a script pay."""
    return ctx.host.run_script("from skills import pay\\npay(1)", [], None)


@skill(replay="pure")
def word_count(text: str) -> int:
    """Count."""
    return len(text.split())


@skill(replay="keyed")
def flaky(name: str, *, ctx: SkillContext) -> str:
    """Fail once for each task."""
    if ctx.task_id not in TRIED:
        TRIED.add(ctx.task_id)
        raise RetryableError("not now")
    return name


@skill(replay="keyed", approval=True)
def stop(name: str) -> str:
    """Wait for a person."""
    return name
'''

FOLDER = "---\nname: sums\ndescription: Adds.\nallowed-tools: stop flaky\n---\nDo as scripts/add.py does.\n"


def lay_skills(folder: Path) -> Path:
    (folder / "sums" / "scripts").mkdir(parents=True)
    (folder / "sums" / "SKILL.md").write_text(FOLDER)
    (folder / "sums" / "notes.md").write_text("More of it.")
    (folder / "sums" / "scripts" / "add.py").write_text("1 + 1")
    (folder / "effects.py").write_text(SKILLS)
    return folder


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentSystem]:
    """A system in which reading the folder needs a person's approval, so that the ledger has it."""
    folder = tmp_path_factory.mktemp("effects")
    settings = Settings(
        data_dir=folder / "data",
        port=0,
        rate_limit_max_requests=0,
        workers=2,
        skills_dir=lay_skills(folder / "skills"),
        approve_skills=("sums",),
    )
    with AgentSystem.start(lay_history(settings)) as system:
        yield system


def change(settings: Settings, statement: str, task_id: str) -> None:
    with closing(sqlite3.connect(settings.data_dir / "callboard.db")) as history, history:
        assert history.execute(statement, (task_id,)).rowcount


def approve(system: AgentSystem, task_id: str) -> None:
    await_status(system, task_id, Status.PAUSED)
    system.gateway.ask(DecideTask(task_id=task_id, decision=Decision.APPROVE), timeout_s=30)


def redriven(system: AgentSystem, task_id: str) -> str:
    """End a paused task as one that servers die of, and give it another chance."""
    now = Clock().now()
    event = TaskFailed(at=now, error="It died.", error_code="dead_letter")
    end = RecordResult(
        task_id=task_id, attempt=None, status=Status.FAILED, at=now, events=(event,), error_code="dead_letter"
    )
    system._addresses["result logger"].ask(end, timeout_s=30)
    return str(system.gateway.ask(RedriveTask(task_id=task_id), timeout_s=30).task_id)


READS = {
    "its instructions": ("sums()", 1),
    "a file of it": ("sums('notes.md')", 1),
    "a skill that restricts": ("strict()", 0),
    "a script in a skill": ("through()", 1),
}
"""How a text that restricts reaches a task, and how often a person is asked meanwhile."""

GOES_ON = (
    "from skills import calculate, flaky, failing, stop, strict, sums, through\n{read}\n{then}\n"
    "try:\n    calculate('6 * 7')\n    r = 'called'\nexcept RuntimeError as error:\n    r = str(error)\nr"
)


@pytest.mark.parametrize("with_snapshot", [True, False], ids=["snapshot", "no snapshot"])
@pytest.mark.parametrize("way", ["decision", "retry", "redrive"])
@pytest.mark.parametrize("read", READS)
def test_a_task_stays_restricted_when_the_read_is_answered_from_the_ledger(
    system: AgentSystem, read: str, way: str, with_snapshot: bool
) -> None:
    call, asked = READS[read]
    # a retry begins anew after an approval, whose snapshot is taken away as it waits
    then = "stop('x')\nflaky('x')" if way == "retry" else "stop('x')"
    policy = {"maxAttempts": 3, "backoffMs": 0}
    task_id = submit(system, code(GOES_ON.format(read=call, then=then)), retry=policy)
    for _ in range(asked):
        approve(system, task_id)
    await_stop(system, task_id)
    if not with_snapshot:
        change(system.settings, "DELETE FROM snapshots WHERE task_id = ?", task_id)
    if way == "redrive":
        task_id = redriven(system, task_id)
        await_stop(system, task_id)
    approve(system, task_id)
    record = ended(system, task_id)
    assert "not among the allowed-tools" in str(record.output), record


def await_stop(system: AgentSystem, task_id: str) -> None:
    """Wait until a task asks about `stop`."""
    while True:
        pause = await_status(system, task_id, Status.PAUSED).state.pause
        if pause is not None and pause.skill == "stop":
            return


def test_a_call_that_restricts_and_then_fails_has_restricted(system: AgentSystem) -> None:
    caught = "try:\n    failing()\nexcept RuntimeError:\n    pass"
    task_id = submit(system, code(GOES_ON.format(read=caught, then="stop('x')")))
    await_stop(system, task_id)
    change(system.settings, "DELETE FROM snapshots WHERE task_id = ?", task_id)
    approve(system, task_id)
    assert "not among the allowed-tools" in str(ended(system, task_id).output)


def test_a_row_of_a_server_before_restricts_as_the_folder_does_today(system: AgentSystem) -> None:
    for read, restricted in (("sums()", True), ("sums('scripts/add.py', [])", False)):
        task_id = submit(system, code(GOES_ON.format(read=read, then="stop('x')")))
        approve(system, task_id)
        await_stop(system, task_id)
        change(system.settings, "DELETE FROM snapshots WHERE task_id = ?", task_id)
        change(system.settings, "UPDATE calls SET effects = NULL WHERE task_id = ?", task_id)
        approve(system, task_id)
        assert ("not among the allowed-tools" in str(ended(system, task_id).output)) is restricted, read


def test_a_script_of_a_folder_restricts_nobody_in_the_ledger_either(system: AgentSystem) -> None:
    task_id = submit(system, code(GOES_ON.format(read="sums('scripts/add.py', [])", then="stop('x')")))
    approve(system, task_id)
    await_stop(system, task_id)
    change(system.settings, "DELETE FROM snapshots WHERE task_id = ?", task_id)
    approve(system, task_id)
    assert ended(system, task_id).output == "called"


def test_notes_and_the_count_of_calls_are_those_of_a_run_that_was_not_interrupted(system: AgentSystem) -> None:
    """What is counted is what a budget of calls looks at: a call with two more inside of it is three."""

    def run(*, interrupted: bool) -> TaskRecord:
        task_id = submit(system, code("from skills import strict, stop, through\nstrict()\nthrough()\nstop('x')"))
        approve(system, task_id)
        await_stop(system, task_id)
        if interrupted:
            change(system.settings, "DELETE FROM snapshots WHERE task_id = ?", task_id)
        approve(system, task_id)
        return ended(system, task_id)

    plain, again = run(interrupted=False), run(interrupted=True)
    for record in (plain, again):
        assert record.output == "x", record.error
        assert (record.metadata["skillCalls"], record.metadata["notes"]) == (5, {"said": {"strict": True}})


@pytest.mark.parametrize("interrupted", [False, True], ids=["once", "again"])
def test_a_call_like_one_that_was_made_inside_another_is_made_for_itself(
    system: AgentSystem, interrupted: bool
) -> None:
    """The ledger has one of the same name and arguments left where the call that it was made inside of is answered from it."""
    task_id = submit(
        system, code("from skills import pay, paying, stop\nfirst = paying()\nstop('x')\n[first, pay(1), pay(1)]")
    )
    await_stop(system, task_id)
    if interrupted:
        change(system.settings, "DELETE FROM snapshots WHERE task_id = ?", task_id)
    approve(system, task_id)
    record = ended(system, task_id)
    assert len(set(record.output)) == 3, record.output
    assert system.settings.skills_dir is not None
    paid = (system.settings.skills_dir / "paid").read_text().split()
    assert sorted(line for line in paid if line.startswith(task_id)) == sorted(record.output)


def test_a_task_stays_restricted_when_another_server_takes_it_over(
    make_settings: Callable[..., Settings], start_system: Callable[..., AgentSystem], tmp_path: Path
) -> None:
    """Killed in the call behind the one that reads the folder, beside it: the snapshot is from before both."""
    gates = Gates(tmp_path / "world")
    lay_skills(gates.skills)
    (gates.skills / "sums" / "SKILL.md").write_text(FOLDER.replace("stop flaky", "charge"))
    python = (
        "import asyncio\nfrom skills import calculate, charge, strict\nasync def both():\n    return await asyncio.gather(strict(), charge(1))\n"
        "await both()\ncalculate('6 * 7')"
    )
    process = Killed(make_settings(), gates)
    task_id = process.submit(code(python))
    gates.wait_entered("charged")
    wait_for_row(make_settings(), "SELECT 1 FROM calls WHERE name = 'strict' AND state = 'done'")
    process.kill()
    system = start_system(skills_dir=gates.skills)
    record: Any = await_status(system, task_id, Status.PAUSED)
    assert record.state.pause.reason == "outcome_unknown"
    system.gateway.ask(DecideTask(task_id=task_id, decision=Decision.ASSUME_DONE, result="charged"), timeout_s=30)
    assert ended(system, task_id).error_code == "skill_not_allowed"
    assert system.gateway.ask(GetTask(task_id=task_id), timeout_s=30).metadata["notes"] == {"said": {"strict": True}}


def wait_for_row(settings: Settings, query: str) -> None:
    with closing(sqlite3.connect(settings.data_dir / "callboard.db")) as history:
        while not history.execute(query).fetchall():
            threading.Event().wait(0.002)
