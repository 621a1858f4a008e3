"""A field of a task stands in one place, and comes back wherever a task is shown."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic.alias_generators import to_camel

from callboard import Settings
from callboard.client.models import Task
from callboard.persistence.codec import OWN_COLUMN
from callboard.task_spec import KeptSpec
from tests.http.conftest import Running
from tests.receiver import answer, receiving
from tests.template import lay_history

EVERY: dict[str, Any] = {
    "task": "What is 2 + 2?",
    "session_id": "alice",
    "system_prompt": "Be brief.",
    "available_skills": ["calculate"],
    "agent": "master",
    "labels": {"order": 4711, "rate": 0.5, "who": "ana"},
    "timeout_ms": 60_000,
    "priority": 3,
    "retry": {"maxAttempts": 2, "backoffMs": 5, "maxBackoffMs": 6},
    "budget": {"skillCalls": 9, "costUsd": 0.25},
}
"""A value of each field that is stored in a way of its own, as the wire has it; and the address of a receiver."""


def test_what_a_caller_writes_comes_back_with_the_task_and_with_the_one_that_does_it_again(
    start_server: Callable[..., Running],
) -> None:
    with receiving(answer(204)) as receiver:
        _assert_all_comes_back(start_server(webhook_allow_private=True), {**EVERY, "callback_url": receiver.url})


def _assert_all_comes_back(running: Running, asked: dict[str, Any]) -> None:
    assert asked.keys() == OWN_COLUMN
    assert [name for name, value in asked.items() if value == KeptSpec.model_fields[name].default] == []
    first = running.result(**{to_camel(name): value for name, value in asked.items()})["taskId"]
    for task_id in (first, running.client.post(f"/agent/tasks/{first}/retry").json()["taskId"]):
        view = running.client.get(f"/agent/tasks/{task_id}").json()
        task = Task.model_validate(view)
        for name, value in asked.items():
            assert (view[to_camel(name)], getattr(task, name)) == (value, value), name


def test_a_field_needs_no_other_file_than_the_one_of_the_model(tmp_path: Path) -> None:
    """With one more in it, a whole server and its client know it: tests/http/new_field.py says how that is tried."""
    lay_history(Settings(data_dir=tmp_path))
    tried = [sys.executable, "-m", "tests.http.new_field", str(tmp_path)]
    done = subprocess.run(tried, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "described": ["Said to oneself."] * 2,
        "fingerprints differ": True,
        "taken over": "running",
        "done again": "asked",
        "redriven": "dead",
        "after a restart": "asked",
        "on the wire": "asked",
        "said nothing": None,
    }
