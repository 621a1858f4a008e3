"""The highest priority that a server takes, whichever way a task comes in."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from callboard import Client, SubmitTask
from callboard.actors.ready_tasks import ReadyTasks
from callboard.cli.main import main
from callboard.client.errors import InvalidRequestError
from callboard.errors import InvalidRequest
from tests.http.conftest import Running
from tests.tasks import make_task


def test_a_priority_above_the_setting_is_refused_over_http_from_python_and_by_the_clients(
    start_server: Callable[..., Running], assert_problem: Callable[..., dict[str, Any]]
) -> None:
    running = start_server(max_priority=5)
    named = "priority is 6, and the highest that this server takes is 5 (CALLBOARD_MAX_PRIORITY)"
    body = assert_problem(running.execute("What is 1 + 1?", priority=6), 400, "invalid_request")
    assert body["message"] == f"{named}; ask for that or less."
    assert [fault["field"] for fault in body["details"]["fields"]] == ["priority"]
    assert running.result("What is 1 + 1?", priority=5)["output"] == 2
    document = running.client.get("/openapi.json").json()
    assert document["components"]["schemas"]["TaskSpec"]["properties"]["priority"]["maximum"] == 5
    with pytest.raises(InvalidRequest, match="CALLBOARD_MAX_PRIORITY"):
        running.system.gateway.ask(SubmitTask(task="x", priority=6), timeout_s=30)
    with Client(running.server.url) as client, pytest.raises(InvalidRequestError, match="CALLBOARD_MAX_PRIORITY"):
        client.submit("x", priority=6)
    asked = CliRunner().invoke(main, ["run", "--url", running.server.url, "--priority", "6", "What is 1 + 1?"])
    assert (asked.exit_code, named in asked.stderr) == (1, True), asked.output


def test_a_task_from_before_the_setting_goes_before_nobody() -> None:
    ready = ReadyTasks(0)
    for task_id, priority in (("one", 0), ("before", 100), ("low", -1), ("last", 0)):
        ready.add(make_task(task_id, priority=priority), 1)
    assert [entry[-2] for entry in iter(ready.take, None)] == ["one", "before", "last", "low"]
