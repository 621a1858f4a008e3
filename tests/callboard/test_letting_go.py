"""When a task has ended, its worker is free within two seconds, whatever it was at; calls that have not begun do not begin.

With one worker, a short task that is submitted at the end of a long one shows when it was free: a worker that does not come
back is replaced after five seconds only.
"""

import base64
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.provider import Reply, running
from callboard import AgentSystem, Attachment, AwaitEvents, CancelTask, Settings, Status, Topic
from tests.at_once import LATE_S
from tests.callboard.harness import code, ended, submit
from tests.template import lay_history

SKILLS = '''
import time
from pathlib import Path

from callboard import SkillContext, skill

HERE = Path(__file__).parent


@skill(replay="never")
def slow(name: str) -> str:
    """Take a twentieth of a second, and hear of no cancel."""
    with (HERE / "made").open("a") as file:
        file.write(name + "\\n")
    time.sleep(0.05)
    return name


@skill(replay="pure")
def nested(source: str, *, ctx: SkillContext) -> str:
    """Run a script."""
    return str(ctx.host.run_script(source, [], None))
'''
LET_GO_S = 2.0


def gathered(calls: int) -> str:
    listed = ", ".join(f"slow('{n}')" for n in range(calls))
    return f"import asyncio\nfrom skills import slow\nlen(await asyncio.gather({listed}))"


BRANCHES = "def f(x: int) -> int:\n    y = 0\n" + "".join(
    f"    if x == {n} and y != {n}:\n        y = x + {n}\n" for n in range(1500)
)
WORK = {
    "planning on a table": "What is the average of v by name in rows.csv, sorted?",
    "planning": "Summarize: " + "Mr. word 1. " * 8000,
    "a busy loop": code("while True: pass"),
    "a loop that prints": code("while True: print('x')"),
    "a type check": code(f"{BRANCHES}\nf(1)"),
    "calls at once": code(gathered(100)),
    "a script in a script": code("from skills import nested\nnested('while True: pass')"),
    "a scan": code(
        "from skills import security_scan\n"
        "lines = [f'subprocess.call(\"ls {n}\" % a, shell=True)' for n in range(4300)]\n"
        "security_scan('import subprocess\\n' + '\\n'.join(lines))['summary']"
    ),
    "a summary": code(
        "from skills import summarize\nlen(summarize(' '.join(f'Mr. word{n}.' for n in range(14000)), 20))"
    ),
    "a table": code("from skills import describe_table\ndescribe_table('a;b\\n' + '€1;2\\n' * 150000)['rows']"),
    "a document": code("from skills import read_file\nread_file('page.html', rendered=True)"),
    "a quantity": code("from skills import convert_units\nconvert_units('1' * 100000 + ' km', 'm')"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("letting go")
    (folder / "works.py").write_text(SKILLS)
    return folder


@pytest.fixture(scope="module")
def system(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentSystem]:
    data = tmp_path_factory.mktemp("data")
    settings = Settings(data_dir=data, port=0, rate_limit_max_requests=0, workers=1, skills_dir=folder)
    with AgentSystem.start(lay_history(settings)) as system:
        ended(system, submit(system, code("6 * 7")))  # what is made for the first task is made
        yield system


def begin(system: AgentSystem, task: str, **spec: object) -> str:
    """Submit a task and return when its code is being carried out, or it has ended."""
    page = b"<html>" + b"<div><p>some words <a href='x'>and a link</a>" * 40_000
    files = {"page.html": page, "rows.csv": b"name,v\n" + b"a,1\n" * 240_000}
    attached = [Attachment(name=name, data=base64.b64encode(files[name]).decode()) for name in files if name in task]
    more = {"attachments": tuple(attached)} if attached else {}
    task_id = submit(system, task, **more, **spec)
    after = 0
    while "```" in task:  # what has none is planned, which nothing tells of before it is over
        found = system.gateway.ask(AwaitEvents(task_id=task_id, after=after, wait_s=60), timeout_s=65)
        topics = {event.topic for event in found.events}
        if topics & {Topic.STEP_STARTED, Topic.TASK_COMPLETED, Topic.TASK_FAILED}:
            return task_id
        after = found.events[-1].seq if found.events else after
    return task_id


def await_made(folder: Path) -> None:
    """Wait until the first of the slow calls is being made; files tell nobody when they come to be."""
    until_s = time.monotonic() + 60
    while not (folder / "made").exists():
        assert time.monotonic() < until_s
        threading.Event().wait(0.002)


def let_go_s(system: AgentSystem) -> float:
    """Return how long it takes until the one worker has worked another task out."""
    begun_s = time.monotonic()
    assert ended(system, submit(system, "What is 12 times 7?")).output == 84
    return time.monotonic() - begun_s


@pytest.mark.parametrize("work", WORK)
def test_a_worker_lets_go_of_a_task_that_is_cancelled(system: AgentSystem, work: str) -> None:
    task_id = begin(system, WORK[work])
    system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    assert ended(system, task_id).status in (Status.CANCELLED, Status.COMPLETED, Status.FAILED)
    assert let_go_s(system) < LET_GO_S


@pytest.mark.parametrize("work", WORK)
def test_a_worker_lets_go_of_a_task_whose_time_is_up(system: AgentSystem, work: str) -> None:
    assert ended(system, begin(system, WORK[work], timeout_ms=200)).status.ended
    assert let_go_s(system) < LET_GO_S


def test_of_calls_that_are_awaited_at_once_those_that_have_not_begun_are_not_made(
    system: AgentSystem, folder: Path
) -> None:
    (folder / "made").unlink(missing_ok=True)
    task_id = begin(system, code(gathered(100)))
    await_made(folder)
    system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    assert ended(system, task_id).status is Status.CANCELLED
    let_go_s(system)
    assert len((folder / "made").read_text().splitlines()) < 60


def test_an_argument_that_holds_itself_over_and_over_is_an_error_of_the_script(system: AgentSystem) -> None:
    script = "from skills import describe_table\na = [1] * 10\nfor _ in range(12): a = [a] * 10\n"
    begun_s = time.monotonic()
    task = ended(system, submit(system, code(script + "from typing import Any\nb: Any = a\ndescribe_table(b)")))
    assert (task.status, task.error_code) == (Status.FAILED, "script_error")
    assert "more than 1,000,000 values" in str(task.error)
    assert time.monotonic() - begun_s < 2 * LATE_S  # half a second, where nobody else works


def test_of_an_error_of_megabytes_only_the_ends_are_read(system: AgentSystem) -> None:
    begun_s = time.monotonic()
    task = ended(system, submit(system, code("raise ValueError('x' * 8_000_000 + 'end')")))
    assert (task.error_code, len(task.error or "") < 25_000) == ("script_error", True)
    assert (task.error or "").startswith("The code raised ValueError: xxx")
    assert time.monotonic() - begun_s < 2 * LATE_S  # half a second, where nobody else works


def test_a_worker_lets_go_of_a_model_that_dribbles(start_system: Callable[..., AgentSystem]) -> None:
    with running(Reply(text="x" * 100, fault="dribble"), Reply(text="84")) as provider:
        system = start_system(
            workers=1, llm_provider="openai", llm_base_url=provider.openai_url, llm_model="m", llm_api_key="k"
        )
        task_id = submit(system, "wait")
        provider.wait_for(1)
        system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
        begun_s = time.monotonic()
        assert ended(system, submit(system, "next")).output == "84"
        assert time.monotonic() - begun_s < LATE_S  # it dribbles for half a minute


def test_calls_that_had_not_begun_at_the_end_of_a_server_are_made_by_the_next_and_none_twice(
    start_system: Callable[..., AgentSystem], folder: Path
) -> None:
    (folder / "made").unlink(missing_ok=True)
    settings = {"workers": 1, "skills_dir": folder, "parallel_calls": 4, "drain_s": 0.6}
    first = start_system(**settings)
    task_id = begin(first, code(gathered(100)))
    await_made(folder)
    assert first.stop()
    begun = len((folder / "made").read_text().splitlines())
    assert 0 < begun < 100
    task = ended(start_system(**settings), task_id)
    assert (task.status, task.output) == (Status.COMPLETED, 100), task.error
    assert Counter((folder / "made").read_text().splitlines()) == Counter(map(str, range(100)))
