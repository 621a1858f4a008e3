"""What the agent's parts do to each other: nested scripts, pauses in later rounds, retries, drains, budgets."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.provider import Provider, Reply, Request, running
from callboard import AgentSystem, CancelTask, DecideTask, Decision, Settings, Status
from callboard.budget import Budget
from callboard.messages.tasks import ListTasks, RedriveTask
from callboard.task_spec import RetryPolicy
from tests.callboard.harness import Gates, Killed, await_status, code, ended, submit

START = Callable[..., AgentSystem]

SKILLS = '''
from pathlib import Path

from callboard import RetryableError, SkillContext, skill

FOLDER = Path(__file__).parent


def count(name):
    with (FOLDER / name).open("a") as file:
        file.write("x")
    return len((FOLDER / name).read_text())


@skill(replay="safe")
def flaky(name: str) -> str:
    """Fail once."""
    if count("flaky-" + name) == 1:
        raise RetryableError("down")
    return name


@skill(replay="pure")
def think(prompt: str, *, ctx: SkillContext) -> str:
    """Ask the model."""
    return str(ctx.host.ask_model(prompt))


@skill(replay="safe")
def ponder(prompt: str, *, ctx: SkillContext) -> str:
    """Ask the model, on record."""
    return str(ctx.host.ask_model(prompt))


@skill(replay="never", approval=True)
def pay(amount: int) -> str:
    """Pay."""
    count("paid-" + str(amount))
    return "paid " + str(amount)


@skill(replay="safe")
def note(text: str) -> str:
    """Note something."""
    count("noted")
    return text
'''


@pytest.fixture
def skills(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "own.py").write_text(SKILLS)
    return folder


def folder_skill(skills: Path, name: str, script: str) -> None:
    (skills / name / "scripts").mkdir(parents=True)
    (skills / name / "SKILL.md").write_text(f"---\nname: {name}\ndescription: Does {name}.\n---\nBody.\n")
    (skills / name / "scripts" / "run.py").write_text(script)


def model(provider: Provider) -> dict[str, Any]:
    return {
        "llm_provider": "openai",
        "llm_base_url": provider.openai_url,
        "llm_model": "test-model",
        "llm_api_key": "k",
        "llm_input_price": 1.0,
        "llm_output_price": 1.0,
    }


def decide(system: AgentSystem, task_id: str, decision: Decision = Decision.APPROVE, **more: Any) -> None:
    await_status(system, task_id, Status.PAUSED)
    system.gateway.ask(DecideTask(task_id=task_id, decision=decision, **more), timeout_s=30)


# --- scripts of skill folders ---


def test_a_folders_script_may_run_another_folders_script(start_system: START, skills: Path) -> None:
    folder_skill(skills, "inner", "from skills import note\nnote('in')")
    folder_skill(
        skills,
        "outer",
        "import asyncio\nfrom skills import inner\n"
        "await asyncio.gather(inner('scripts/run.py', []), inner('scripts/run.py', []))",
    )
    system = start_system(skills_dir=skills)
    record = ended(system, submit(system, code("from skills import outer\nouter('scripts/run.py', [])")))
    assert record.output == ["in", "in"], record.error


def test_a_script_that_runs_itself_is_stopped(start_system: START, skills: Path) -> None:
    folder_skill(skills, "again", "from skills import again\nagain('scripts/run.py', [])")
    system = start_system(skills_dir=skills)
    record = ended(system, submit(system, code("from skills import again\nagain('scripts/run.py', [])")))
    assert "deep" in str(record.error), record


def test_a_cancel_stops_code_that_has_run_a_folders_script(start_system: START, skills: Path) -> None:
    folder_skill(skills, "one", "1")
    system = start_system(skills_dir=skills, sandbox_time_s=60.0)
    python = "from skills import one, note\none('scripts/run.py', [])\nnote('x')\nwhile True: pass"
    task_id = submit(system, code(python))
    while not (skills / "noted").exists():
        threading.Event().wait(0.002)
    system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    assert ended(system, task_id).status is Status.CANCELLED
    free = threading.Event()
    for _ in range(500):
        if system.idle:
            break
        free.wait(0.01)
    else:
        raise AssertionError("the worker still runs it")


# --- pauses ---


def test_variables_of_earlier_rounds_stay_after_a_pause(start_system: START, skills: Path) -> None:
    with running(
        Reply(text=code("kept = 40\nprint(kept)")),
        Reply(text=code("from skills import pay\nprint(pay(1))")),
        Reply(text=code("kept + 2")),
        Reply(text=code("kept + 3")),
    ) as provider:
        system = start_system(skills_dir=skills, max_rounds=3, **model(provider))
        task_id = submit(system, "go", session_id="s")
        decide(system, task_id)
        assert ended(system, task_id).output == 42, ended(system, task_id).error
        assert ended(system, submit(system, "and then", session_id="s")).output == 43


@pytest.mark.parametrize("awaited", ["await x", "(await asyncio.gather(x))[0]"])
def test_a_call_that_is_awaited_later_outlives_a_pause(start_system: START, skills: Path, awaited: str) -> None:
    system = start_system(skills_dir=skills)
    python = f"import asyncio\nfrom skills import note, pay\nx = note('later')\ny = pay(1)\n[{awaited}, y]"
    task_id = submit(system, code(python))
    decide(system, task_id)
    record = ended(system, task_id)
    assert record.output == ["later", "paid 1"], record.error


def test_calls_that_wait_for_approval_are_counted_once(start_system: START, skills: Path) -> None:
    system = start_system(skills_dir=skills)
    python = "import asyncio\nfrom skills import pay, note\nawait asyncio.gather(note('a'), pay(1), pay(2))"
    task_id = submit(system, code(python), budget=Budget(skill_calls=3))
    decide(system, task_id)
    decide(system, task_id)
    record = ended(system, task_id)
    assert record.output == ["a", "paid 1", "paid 2"], record.error
    assert record.metadata["skillCalls"] == 3


def test_an_edited_delegation_is_the_one_that_is_made(start_system: START) -> None:
    system = start_system(approve_skills=("delegate",))
    python = "from skills import delegate\ndelegate('data-analyst', 'What is 1 + 1?')"
    task_id = submit(system, code(python))
    arguments = {"agent": "code-reviewer", "task": "What is 2 + 3?"}
    decide(system, task_id, Decision.EDIT, arguments=arguments)
    record = ended(system, task_id)
    [child] = system.gateway.ask(ListTasks(parent_id=task_id), timeout_s=30).tasks
    assert (child.task.spec.agent, child.task.spec.task) == ("code-reviewer", "What is 2 + 3?")
    assert ":" not in child.task_id
    assert record.output == child.output


# --- retries ---


RETRY = RetryPolicy(max_attempts=2, backoff_ms=1)


@pytest.mark.parametrize("skill", ["think", "ponder"])
def test_a_skill_whose_model_call_failed_is_retried_with_the_model(
    start_system: START, skills: Path, skill: str
) -> None:
    asked: list[str] = []

    def answer(request: Request) -> Reply:
        asked.append(request.last)
        return Reply(text="deep") if len(asked) > 1 else Reply(status=503)

    script = f"from skills import {skill}\n{skill}('why')"
    with running(lambda request: Reply(text=code(script)) if request.last == "go" else answer(request)) as provider:
        system = start_system(skills_dir=skills, llm_retries=0, **model(provider))
        record = ended(system, submit(system, "go", retry=RETRY))
        assert record.output == "deep", record.error


def test_gathered_calls_that_failed_alike_are_all_retried(start_system: START, skills: Path) -> None:
    system = start_system(skills_dir=skills)
    python = "import asyncio\nfrom skills import flaky\nawait asyncio.gather(flaky('a'), flaky('b'))"
    record = ended(system, submit(system, code(python), retry=RETRY))
    assert record.output == ["a", "b"], record.error


def test_a_call_of_a_folders_script_is_retried(start_system: START, skills: Path) -> None:
    folder_skill(skills, "one", "from skills import flaky\nflaky('a')")
    system = start_system(skills_dir=skills)
    record = ended(system, submit(system, code("from skills import one\none('scripts/run.py', [])"), retry=RETRY))
    assert record.output == "a", record.error


# --- drain ---


def test_a_drain_while_a_skill_asks_the_model_fails_nothing(start_system: START, skills: Path) -> None:
    script = "from skills import ponder\nponder('why')"
    with running(lambda request: Reply(text=code(script)) if request.last == "go" else Reply(fault="hang")) as provider:
        system = start_system(skills_dir=skills, drain_s=1.0, **model(provider))
        task_id = submit(system, "go")
        provider.wait_for(2)
        system.stop()
    with running(Reply(text="deep")) as provider:
        again = start_system(skills_dir=skills, **model(provider))
        record = ended(again, task_id)
        assert (record.output, record.metadata["rounds"]) == ("deep", 1), record.error


# --- what cannot be stored ---


@pytest.mark.parametrize("char", ["\\x00", "\\ud800"])
def test_text_that_no_database_holds_ends_no_task(start_system: START, skills: Path, char: str) -> None:
    system = start_system(skills_dir=skills)
    python = f"from skills import note\nprint('a{char}b')\nx = note('c{char}d')\nx"
    failed = ended(system, submit(system, code(f"raise ValueError('a{char}b')")))
    assert "a\N{REPLACEMENT CHARACTER}b" in str(failed.error)
    task_id = submit(system, code(python))
    record = ended(system, task_id)
    assert record.output == "c\N{REPLACEMENT CHARACTER}d", record.error
    seqs = [event.seq for event in system.events(task_id)]
    assert seqs == list(range(1, len(seqs) + 1))
    told = json.dumps([[dict(event.data) for event in system.events(task_id)], record.metadata], ensure_ascii=False)
    assert "\\u0000" not in told
    assert "\ud800" not in told


def test_a_log_tells_things_in_the_order_they_happened(start_system: START, skills: Path) -> None:
    system = start_system(skills_dir=skills)
    for _ in range(40):
        task_id = submit(system, code("from skills import note\nx = note('a')\ny = note('b')\nx + y"))
        assert ended(system, task_id).output == "ab"
        assert [event.topic.split(".", 1)[1] for event in system.events(task_id)] == [
            *("task.execute", "step.started", "skill.started", "skill.completed", "skill.started", "skill.completed"),
            *("step.completed", "task.completed"),
        ]


# --- budgets ---


def test_model_calls_that_fail_are_spent(start_system: START, skills: Path) -> None:
    with running(Reply(status=503)) as provider:
        system = start_system(llm_retries=0, **model(provider))
        retry = RetryPolicy(max_attempts=5, backoff_ms=1)
        record = ended(system, submit(system, "go", retry=retry, budget=Budget(model_calls=2)))
        assert record.error_code == "budget_exceeded"
        assert len(provider.requests) == 2


def delegating(request: Request) -> Reply:
    if request.last.startswith("part"):
        return Reply(text=code("print(1)")) if len(request.turns) < 3 else Reply(text="done")
    return Reply(
        text=code(
            "from skills import delegate\nn = 0\n"
            "try:\n    for i in range(8):\n        delegate('worker', f'part {i}')\n        n = n + 1\n"
            "except Exception:\n    pass\nn"
        )
    )


@pytest.fixture
def workers(tmp_path: Path) -> Path:
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "worker.yaml").write_text("name: worker\ndescription: Does parts.\nsystemPrompt: Do it.\n")
    (folder / "boss.yaml").write_text(
        "name: boss\ndescription: Delegates.\nsystemPrompt: Do it.\nbudget: {modelCalls: 8}\n"
    )
    return folder


def test_what_agents_spend_counts_on_the_budget_of_the_agent_above(
    start_system: START, skills: Path, workers: Path
) -> None:
    with running(delegating) as provider:
        system = start_system(agents_dir=workers, **model(provider))
        ended(system, submit(system, "go", agent="boss"))
        assert len(provider.requests) <= 8


def test_agents_do_not_pass_the_budget_of_the_session_above(start_system: START, workers: Path) -> None:
    with running(delegating) as provider:
        system = start_system(agents_dir=workers, session_budget="modelCalls=4", **model(provider))
        ended(system, submit(system, "go", session_id="s"))
        assert len(provider.requests) <= 4


# --- a second chance ---


def test_a_redriven_part_outlives_a_restart_after_the_task_that_delegated_it(
    make_settings: Callable[..., Settings], start_system: START, tmp_path: Path, workers: Path
) -> None:
    gates = Gates(tmp_path / "world")
    (gates.skills / "own.py").write_text(SKILLS)
    part = code("from skills import gate, note\nnote('begun')\ngate('part')")  # its start is committed before the note
    process = Killed(make_settings(), gates, agents_dir=str(workers))
    quoted = repr(part).replace("`", "\\x60")  # a fence within the fence would end it
    task_id = process.submit(code(f"from skills import delegate\ndelegate('worker', {quoted})"))
    gates.wait_entered("part")
    process.kill()
    system = start_system(skills_dir=gates.skills, agents_dir=workers, max_crashes=1, drain_s=1.0)
    assert ended(system, task_id).error_code == "agent_failed"
    [dead] = system.gateway.ask(ListTasks(parent_id=task_id), timeout_s=30).tasks
    assert dead.error_code == "dead_letter"
    (gates.folder / "part.entered").unlink()
    redriven = system.gateway.ask(RedriveTask(task_id=dead.task_id), timeout_s=30)
    gates.wait_entered("part")
    system.hand_back()
    system.stop()
    again = start_system(skills_dir=gates.skills, agents_dir=workers)
    gates.open("part")
    record = ended(again, redriven.task_id)
    assert (record.status, record.output) == (Status.COMPLETED, "part"), record
