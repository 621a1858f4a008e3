"""The limit of tasks below the first one of a line, whoever of them delegates, however many at once, and after whatever crash.

What is asked for is written in Python, so that no model is needed.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from callboard import AgentSystem, CancelTask, Settings, Status, TaskRecord, Topic
from callboard.agent.delegation import too_many
from callboard.messages.decisions import DecideTask
from callboard.messages.pauses import Decision
from callboard.messages.records import TooManyBelow
from callboard.messages.tasks import ListTasks
from tests.callboard.harness import Gates, Killed, await_status, ended, submit

START = Callable[..., AgentSystem]

STOP = '''
from callboard import skill


@skill(replay="keyed", approval=True)
def stop(name: str) -> str:
    """Wait for a person."""
    return name
'''


def block(python: str) -> str:
    return f"```python\n{python}\n```"


def delegating(*tasks: str) -> str:
    """Return code that gives all of these to agents at once, and answers with what became of each."""
    return (
        "import asyncio\nfrom skills import delegate\nasync def one(task):\n    try:\n"
        "        return await delegate('worker', task)\n    except RuntimeError as error:\n        return str(error)\n"
        f"await asyncio.gather(*[one(task) for task in {_written(tasks)}])"
    )


def _written(tasks: tuple[str, ...]) -> str:
    """Return a list of tasks as code that may stand in a fenced block, whatever fences they have themselves."""
    fenced = any("```" in task for task in tasks)
    written = repr([task.replace("```", "~~~") for task in tasks])
    return f"[task.replace('~~~', chr(96) * 3) for task in {written}]" if fenced else written


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """A skill that waits for a person, and a worker that may call all skills."""
    skills, agents = tmp_path / "stops", tmp_path / "agents"
    for folder in (skills, agents):
        folder.mkdir()
    (skills / "stops.py").write_text(STOP)
    (agents / "worker.yaml").write_text("name: worker\ndescription: Does parts.\nsystemPrompt: Do it.\n")
    return {"skills_dir": skills, "agents_dir": agents}


def below(system: AgentSystem, task_id: str) -> list[TaskRecord]:
    found = list(system.gateway.ask(ListTasks(parent_id=task_id, limit=100), timeout_s=30).tasks)
    return found + [inner for child in found for inner in below(system, child.task_id)]


def test_tasks_that_delegate_at_once_do_not_pass_the_limit_together(
    start_system: START, folders: dict[str, Path]
) -> None:
    system = start_system(max_subagents=9, workers=8, **folders)
    middle = block(delegating("What is 1 + 1?", "What is 1 + 2?"))
    record = ended(system, submit(system, block(delegating(*[middle] * 6))))
    assert record.status is Status.COMPLETED, record.error
    assert len(below(system, record.task_id)) == 8  # six, and the two of the one that came first
    refused = [answer for answers in record.output for answer in answers if isinstance(answer, str)]
    assert len(refused) == 10
    assert all("would pass the limit of 9 (CALLBOARD_MAX_SUBAGENTS)" in answer for answer in refused)
    told = [event.data for child in below(system, record.task_id) for event in system.events(child.task_id)]
    assert sum(data.get("errorCode") == "delegation_refused" for data in told) == 10


CAUGHT = (
    "from skills import delegate, stop\nr = []\nfor i in range(3):\n    try:\n        r.append(delegate('worker', f'What is {i} + 1?'))\n"
    "    except RuntimeError as error:\n        r.append('refused' if 'CALLBOARD_MAX_SUBAGENTS' in str(error) else str(error))\n"
)


def test_what_was_refused_stays_refused_when_the_script_begins_anew(
    start_system: START, folders: dict[str, Path]
) -> None:
    """By a server that would take more: the script must come to the same calls as before."""
    system = start_system(max_subagents=2, **folders)
    task_id = submit(system, block(f"{CAUGHT}stop('x')\nr"))
    await_stop(system, task_id)
    system.stop()
    with closing(sqlite3.connect(system.settings.data_dir / "callboard.db")) as history, history:
        assert history.execute("DELETE FROM snapshots").rowcount == 1
    system = start_system(max_subagents=20, **folders)
    system.gateway.ask(DecideTask(task_id=task_id, decision=Decision.APPROVE), timeout_s=30)
    record = ended(system, task_id)
    assert record.output == [1, 2, "refused"], record.error
    assert len(below(system, task_id)) == 2
    replayed = [event.data for event in system.events(task_id) if event.data.get("errorCode") == "delegation_refused"]
    assert [data.get("replayed") for data in replayed] == [None, True]


def await_stop(system: AgentSystem, task_id: str) -> None:
    while (pause := await_status(system, task_id, Status.PAUSED).state.pause) is None or pause.skill != "stop":
        pass


def test_calls_that_run_at_once_in_a_task_hand_over_one_after_the_other(
    start_system: START, folders: dict[str, Path]
) -> None:
    """Each script of a skill has a thread of its own; a share of the budget is one of what those before have left."""
    script = "from callboard import SkillContext, skill\n@skill(replay='pure')\ndef through(number: int, *, ctx: SkillContext) -> int:\n    'Delegate.'\n"
    script += '    return ctx.host.run_script(\'from skills import delegate\\ndelegate("worker", f"What is {argv[0]} + 1?")\', [str(number)], None)\n'
    (folders["skills_dir"] / "through.py").write_text(script)
    system = start_system(max_subagents=3, **folders)
    python = "import asyncio\nfrom skills import through\nawait asyncio.gather(through(1), through(2), through(3))"
    record = ended(system, submit(system, block(python), budget={"skillCalls": 100}))
    assert record.output == [2, 3, 4], record.error
    given = sorted(below(system, record.task_id), key=lambda child: child.task.created_at)
    assert len(given) == 3
    for before, child in pairwise(given):
        assert before.state.ended_at is not None
        assert child.task.created_at >= before.state.ended_at


def test_a_task_that_is_cancelled_while_it_delegates_leaves_nothing_running(
    start_system: START, folders: dict[str, Path]
) -> None:
    system = start_system(**folders)
    for _ in range(5):
        task_id = submit(system, block(delegating(*["```python\nfrom skills import stop\nstop('x')\n```"] * 5)))
        for event in system.events(task_id):
            if event.topic is Topic.SKILL_STARTED:
                system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
        for child in below(system, task_id):
            assert ended(system, child.task_id).status is Status.CANCELLED


def test_a_server_that_is_killed_as_agents_have_begun_gives_their_tasks_once(
    make_settings: Callable[..., Settings], start_system: START, tmp_path: Path
) -> None:
    """Killed between the commit that accepts them and the pause, or behind it: in either case they are there."""
    gates, agents = Gates(tmp_path / "world"), tmp_path / "agents"
    agents.mkdir()
    (agents / "worker.yaml").write_text("name: worker\ndescription: Does parts.\nsystemPrompt: Do it.\n")
    process = Killed(make_settings(), gates, agents_dir=str(agents), max_subagents=2)
    task_id = process.submit(
        block(delegating("```python\nfrom skills import gate\ngate('one')\n```", "What is 1 + 2?"))
    )
    gates.wait_entered("one")
    process.kill()
    with closing(sqlite3.connect(make_settings().data_dir / "callboard.db")) as history, history:
        # as it stands where the pause has not come to the store
        history.execute("UPDATE tasks SET status = 'running', pause = NULL WHERE id = ?", (task_id,))
        history.execute("UPDATE calls SET state = 'started' WHERE task_id = ? AND state = 'waiting'", (task_id,))
    gates.open("one")
    system = start_system(skills_dir=gates.skills, agents_dir=agents, max_subagents=2)
    record = ended(system, task_id)
    assert record.output == ["one", 3], record.error
    assert len(below(system, task_id)) == 2


def test_what_agents_have_spent_counts_in_the_sessions_budget_of_a_task_that_is_cancelled_meanwhile(
    start_system: START, folders: dict[str, Path]
) -> None:
    system = start_system(session_budget="skillCalls=20", **folders)
    spend = "```python\nfrom skills import calculate, stop\nfor n in range(6):\n    calculate('1 + 1')\nstop('x')\n```"
    task_id = submit(system, block(delegating(spend)), session_id="s")
    await_status(system, task_id, Status.PAUSED)
    [child] = below(system, task_id)
    await_stop(system, child.task_id)
    system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    assert ended(system, child.task_id).metadata["skillCalls"] == 7
    calls = "from skills import calculate\nfor n in range({}):\n    calculate('1 + 1')"  # 8 of 20 are spent
    within = ended(system, submit(system, block(calls.format(12)), session_id="s"))
    assert within.status is Status.COMPLETED, within.error
    beyond = ended(system, submit(system, block(calls.format(1)), session_id="s"))
    assert beyond.error_code == "budget_exceeded"
    system.stop()
    again = start_system(session_budget="skillCalls=20", **folders)
    assert ended(again, submit(again, block(calls.format(1)), session_id="s")).error_code == "budget_exceeded"


@pytest.mark.parametrize("name", ["MAX_SUBAGENTS", "MAX_DEPTH"])
def test_where_nothing_may_be_delegated_that_is_said(start_system: START, folders: dict[str, Path], name: str) -> None:
    system = start_system(**folders, **{name.lower(): 0})
    record = system.execute(block("from skills import delegate\ndelegate('worker', '1 + 1')"), wait_s=20)
    if name == "MAX_SUBAGENTS":
        assert record.error is not None
        assert "Delegation is off here (CALLBOARD_MAX_SUBAGENTS is 0); do the work itself." in record.error
    assert record.status is Status.FAILED


@pytest.mark.parametrize(("there", "said"), [(0, "are 0 tasks"), (1, "is 1 task"), (2, "are 2 tasks")])
def test_the_tasks_that_are_there_are_counted_in_english(there: int, said: str) -> None:
    assert str(too_many(TooManyBelow(there=there, new=3), 2)).startswith(
        f"There {said} below the first one of this line"
    )
