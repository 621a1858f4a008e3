"""Doing an ended task again, over REST and from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from callboard import RetryTask
from callboard.clock import Clock, new_id
from callboard.errors import TaskNotEnded
from callboard.messages.event_types import TaskExecute
from callboard.messages.records import RecordAcceptance
from callboard.messages.tasks import AwaitTask, TaskRecord
from tests.http.test_openapi import NO_TASK, described
from tests.tasks import make_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import Gate, Running


def retry(running: Running, task_id: str, **headers: str) -> Any:
    return running.client.post(f"/agent/tasks/{task_id}/retry", headers=headers)


def end_of(running: Running, task_id: str) -> TaskRecord:
    record: TaskRecord = running.system.gateway.ask(AwaitTask(task_id=task_id, wait_s=60), timeout_s=65)
    assert record.status.ended
    return record


def test_an_ended_task_is_done_again_as_a_new_one_with_all_that_was_asked(shared: Running) -> None:
    asked: dict[str, Any] = {
        "systemPrompt": "Be brief.",
        "availableSkills": ["calculate", "read-file"],
        "agent": "master",
        "labels": {"order": 4711},
        "timeoutMs": 60_000,
        "priority": 7,
        "retry": {"maxAttempts": 2, "backoffMs": 10, "maxBackoffMs": 100},
        "budget": {"skillCalls": 1},
        "sessionId": "again",
    }
    file = {"name": "a.csv", "mediaType": "text/csv", "data": "YSxiCg=="}
    task = "```python\nfrom skills import read_file\nread_file('a.csv')\n```"
    first = shared.result(task, **asked, attachments=[file])
    assert first["output"] == "a,b\n"
    answer = retry(shared, first["taskId"])
    assert answer.status_code == 200, answer.text
    described("POST", "/agent/tasks/{taskId}/retry", 200).validate(answer.json())
    accepted = answer.json()
    assert (accepted["task"], accepted["sessionId"]) == (task, "again")
    assert accepted["taskId"] != first["taskId"]
    # the budget of one skill call holds for each of the two
    assert end_of(shared, accepted["taskId"]).output == "a,b\n"
    again = shared.client.get(f"/agent/tasks/{accepted['taskId']}").json()
    assert {name: again[name] for name in asked} == asked
    assert again["attachments"] == [{"name": "a.csv", "mediaType": "text/csv", "size": 4}]
    assert (again["redriveOf"], again["attempt"], again["requestId"]) == (None, 1, answer.headers["x-request-id"])
    log = shared.client.get(f"/agent/tasks/{accepted['taskId']}/events").json()["events"]
    assert (log[0]["topic"], log[0]["data"]["attachments"]) == ("agent.task.execute", ["a.csv"])


def test_a_task_that_has_not_ended_is_409_and_an_unknown_one_404(
    shared: Running, blocked: Callable[..., str], assert_problem: Callable[..., dict[str, Any]]
) -> None:
    task_id = blocked()
    body = assert_problem(retry(shared, task_id), 409, "task_not_ended")
    assert task_id in body["message"]
    for unknown in (NO_TASK, "no.id"):
        assert_problem(retry(shared, unknown), 404, "task_not_found")
    shared.client.post(f"/agent/tasks/{task_id}/cancel")
    assert retry(shared, task_id).status_code == 200


def test_a_body_that_wishes_for_something_is_refused(
    shared: Running, assert_problem: Callable[..., dict[str, Any]]
) -> None:
    task_id = shared.result("What is 1 + 1?")["taskId"]
    path = f"/agent/tasks/{task_id}/retry"
    assert shared.client.post(path, json={}).status_code == 200
    assert_problem(shared.client.post(path, json={"task": "Something else"}), 400, "invalid_request")
    assert_problem(shared.client.post(f"{path}?wait=1"), 400, "invalid_request")


def test_a_retry_is_admitted_as_if_it_were_submitted_now(
    start_server: Callable[..., Running], gate: Gate, skills_dir: Any, assert_problem: Callable[..., dict[str, Any]]
) -> None:
    first = start_server(skills_dir=skills_dir)
    skilled = first.result("What is 1 + 1?", availableSkills=["wait-for-file"])["taskId"]
    plain = first.result("What is 1 + 2?")["taskId"]
    first.stop()
    first.system.stop()
    second = start_server(max_backlog=1)
    assert_problem(retry(second, skilled), 400, "unknown_skill")
    assert retry(second, plain).status_code == 200
    second.system.drain()
    assert_problem(retry(second, plain), 503, "unavailable")


def test_a_full_backlog_refuses_a_retry(
    start_server: Callable[..., Running], gate: Gate, skills_dir: Any, assert_problem: Callable[..., dict[str, Any]]
) -> None:
    running = start_server(skills_dir=skills_dir, max_backlog=1)
    done = running.result("What is 1 + 1?")["taskId"]
    running.execute(gate.task)
    assert_problem(retry(running, done), 503, "overloaded")


def test_a_retry_that_is_sent_twice_with_one_key_is_done_once(
    shared: Running, assert_problem: Callable[..., dict[str, Any]]
) -> None:
    one, other = (shared.result(f"What is 1 + {n}?")["taskId"] for n in (1, 2))
    first = retry(shared, one, **{"Idempotency-Key": "retry-1"})
    again = retry(shared, one, **{"Idempotency-Key": "retry-1"})
    assert again.json() == first.json()
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert_problem(retry(shared, other, **{"Idempotency-Key": "retry-1"}), 422, "idempotency_conflict")
    assert_problem(retry(shared, one, **{"Idempotency-Key": "k" * 256}), 400, "invalid_request")
    end_of(shared, first.json()["taskId"])


def test_a_delegated_task_is_done_again_as_nobodys(shared: Running) -> None:
    now, task_id, parent = Clock().now(), new_id(), shared.result("What is 1 + 1?")["taskId"]
    delegated = {"parent_id": parent, "root_id": parent, "depth": 1}
    task = make_task(task_id, "What is 2 + 3?", created_at=now, **delegated)
    event = TaskExecute(at=now, task=task.spec.task, session_id=task_id)
    shared.system._addresses["result logger"].ask(RecordAcceptance(task=task, event=event), timeout_s=30)
    end_of(shared, task_id)
    again = end_of(shared, retry(shared, task_id).json()["taskId"])
    assert (again.task.parent_id, again.task.root_id, again.task.depth, again.session_id) == (None, None, 0, task_id)
    assert again.output == 5


def test_a_task_can_be_retried_from_python(shared: Running, blocked: Callable[..., str]) -> None:
    done = shared.result("What is 6 * 7?")["taskId"]
    accepted = shared.system.gateway.ask(RetryTask(task_id=done), timeout_s=30)
    assert end_of(shared, accepted.task_id).output == 42
    with pytest.raises(TaskNotEnded):
        shared.system.gateway.ask(RetryTask(task_id=blocked()), timeout_s=30)
