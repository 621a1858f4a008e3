"""What is logged of a task or a request names it and the request behind it, even in a skill's own lines."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callboard import AgentSystem, AwaitTask, Principal, Settings, SubmitTask
from callboard.actors.admission import Admission
from callboard.errors import ActorCrashed
from callboard.logs import configure_logging
from callboard.messages.health import Ping

SKILL = '''
import logging

from callboard import skill


@skill(replay="pure")
def chatty() -> str:
    """Say something in the log."""
    logging.getLogger("my.skill").warning("I am at work")
    return "done"
'''


pytestmark = pytest.mark.usefixtures("logging_as_before")


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
    accepted = system.gateway.ask(SubmitTask(task=task), timeout_s=5, request_id="trace-9")
    record = system.gateway.ask(AwaitTask(task_id=accepted.task_id, wait_s=60), timeout_s=65)
    assert record.output == "done"
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    mine = next(line for line in lines if line["logger"] == "my.skill")
    assert mine["event"] == "I am at work"
    assert mine["task_id"] == accepted.task_id
    assert mine["request_id"] == "trace-9"


def test_a_crash_is_logged_with_the_request_that_it_came_over_and_not_with_whose_that_was(
    system: AgentSystem,
    make_settings: Callable[..., Settings],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure_logging(make_settings(log_format="json"))
    asker: dict[str, Any] = {"principal": Principal(id="key:0123"), "request_id": "trace-7"}
    monkeypatch.setattr(Admission, "admit", lambda *_: 1 / 0)
    with pytest.raises(ActorCrashed):
        system.gateway.ask(SubmitTask(task="What is 1 + 1?"), timeout_s=5, **asker)
    system.gateway.ask(Ping(), timeout_s=30)  # it has been started again by now
    [told] = [line for line in map(json.loads, capsys.readouterr().err.splitlines()) if "crashed" in line["event"]]
    assert told["event"].startswith("the gateway crashed (ZeroDivisionError")
    assert told["request_id"] == "trace-7"
    assert "key:0123" not in str(told)
