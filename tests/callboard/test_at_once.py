"""What calls that are made at once may not pass together, each of which sees that there is still room."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.provider import Provider, Reply, Request, running
from callboard import AgentSystem
from callboard.clock import Clock, new_id
from callboard.messages.event_types import TaskExecute
from callboard.messages.records import RecordAcceptance
from tests.callboard.harness import code, ended, submit
from tests.tasks import make_task

SKILLS = '''
import threading

from callboard import SkillContext, skill

TOGETHER = threading.Barrier(4, timeout=20)


@skill(replay="pure")
def ask(number: int, *, ctx: SkillContext) -> str:
    """Ask the model when all four are here."""
    TOGETHER.wait()
    try:
        return ctx.host.ask_model(f"question {number}") or ""
    except Exception as error:
        return "refused" if "modelCalls" in str(error) else str(error)


@skill(replay="pure")
def script(times: int, *, ctx: SkillContext) -> int:
    """Call a skill so many times inside."""
    source = "from skills import calculate\\nfor n in range(int(argv[0])):\\n    calculate('1 + 1')\\n1"
    return ctx.host.run_script(source, [str(times)], None)
'''


@pytest.fixture
def skills(tmp_path: Path) -> Path:
    folder = tmp_path / "skills"
    folder.mkdir()
    (folder / "at_once.py").write_text(SKILLS)
    return folder


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running() as made:
        yield made


def test_questions_asked_at_once_do_not_pass_a_budget_of_model_calls(
    start_system: Callable[..., AgentSystem], skills: Path, provider: Provider
) -> None:
    python = "import asyncio\nfrom skills import ask\nlist(await asyncio.gather(ask(1), ask(2), ask(3), ask(4)))"

    def answer(request: Request) -> Reply:
        return Reply(text="answer" if request.last.startswith("question") else f"```python\n{python}\n```")

    provider.say(answer)
    told: dict[str, Any] = {"llm_provider": "openai", "llm_base_url": provider.openai_url, "llm_model": "test-model"}
    system = start_system(skills_dir=skills, llm_api_key="k" * 20, parallel_calls=4, **told)
    record = ended(system, submit(system, "Ask", budget={"modelCalls": 3}))
    assert sorted(record.output) == ["answer", "answer", "refused", "refused"], record.error
    assert len(provider.requests) == record.metadata["llmCalls"] == 3


@pytest.mark.parametrize("limit", ["the limit of calls", "a budget"])
def test_calls_inside_calls_count_together(start_system: Callable[..., AgentSystem], skills: Path, limit: str) -> None:
    """Each script inside a call has a count of its own, which stays below the limit."""
    system = start_system(skills_dir=skills, sandbox_skill_calls=10 if limit == "the limit of calls" else 1000)
    python = "import asyncio\nfrom skills import script\nlist(await asyncio.gather(*[script({}) for _ in range(3)]))"
    budget = {"skillCalls": 10} if limit == "a budget" else None
    fitting = ended(system, submit(system, code(python.format(2)), budget=budget))
    assert (fitting.output, fitting.metadata["skillCalls"]) == ([1, 1, 1], 9)
    record = ended(system, submit(system, code(python.format(3)), budget=budget))
    assert record.error_code == ("call_limit" if budget is None else "budget_exceeded")
    assert record.metadata["skillCalls"] <= 10


def test_a_part_of_a_task_that_is_no_more_works_in_its_own_session(system: AgentSystem) -> None:
    """As a dead letter does that is redriven after retention has taken the first task of its line."""
    task_id, now = new_id(), Clock().now()
    line: dict[str, Any] = {"parent_id": "gone", "root_id": "gone", "depth": 1, "redrive_of": "dead"}
    text = code("from skills import write_file, list_files\nwrite_file('a.txt', 'a')\nlist_files()[0]['name']")
    task = make_task(task_id, text, created_at=now, **line)
    event = TaskExecute(at=now, task=text, session_id=task_id)
    system._addresses["result logger"].ask(RecordAcceptance(task=task, event=event), timeout_s=30)
    done = ended(system, task_id)
    assert done.output == "a.txt", done.error
