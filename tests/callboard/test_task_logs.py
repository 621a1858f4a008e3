"""What is logged while a task is worked on names the task and the request behind it, even in a skill's own lines."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callboard import AgentSystem, AwaitTask, Settings, SubmitTask
from callboard.logs import configure_logging

SKILL = '''
import logging

from callboard import skill


@skill(replay="pure")
def chatty() -> str:
    """Say something in the log."""
    logging.getLogger("my.skill").warning("I am at work")
    return "done"
'''


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Put the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_that_a_skill_logs_names_its_task_and_request(
    start_system: Callable[..., AgentSystem],
    make_settings: Callable[..., Settings],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "skills"
    folder.mkdir()
    (folder / "chatty.py").write_text(SKILL)
    system = start_system(skills_dir=folder)
    configure_logging(make_settings(log_format="json"))  # here: pytest gives each phase a standard error of its own
    task = "Run this:\n```python\nfrom skills import chatty\nchatty()\n```"
    accepted = system.gateway.ask(SubmitTask(task=task, request_id="trace-9"), timeout_s=5)
    record = system.gateway.ask(AwaitTask(task_id=accepted.task_id, wait_s=20), timeout_s=25)
    assert record.output == "done"
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    mine = next(line for line in lines if line["logger"] == "my.skill")
    assert mine["event"] == "I am at work"
    assert mine["task_id"] == accepted.task_id
    assert mine["request_id"] == "trace-9"
