"""The report's suite for the execution API, and `Prefer: wait`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import msgpack  # type: ignore[import-untyped]
import pytest

from callboard.errors import ReplyTimeout
from callboard.messages.tasks import ExecuteTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import Running

ACCEPTED = {"success", "message", "taskId", "task", "sessionId", "status"}
ENDED = {
    "success", "taskId", "task", "sessionId", "status", "output",
    "error", "errorCode", "executionTime", "elapsedTime", "metadata", "timestamp",
}  # fmt: skip


def test_a_simple_task_is_accepted_with_the_reports_body(shared: Running) -> None:
    reply = shared.execute("What is 2 + 2?")
    body = reply.json()
    assert reply.status_code == 200
    assert body.keys() == ACCEPTED
    assert body["success"] is True
    assert body["message"] == "Task submitted for execution"
    assert body["task"] == "What is 2 + 2?"
    assert body["status"] in ("pending", "running", "completed")


@pytest.mark.parametrize("content_type", ["application/json", "application/msgpack"])
def test_a_byte_order_mark_in_front_of_text_is_not_text(shared: Running, content_type: str) -> None:
    wish = {"task": "\ufeffWhat is 2 + 2?", "labels": {"\ufeffa": "\ufeffb"}, "systemPrompt": "\ufeffBe brief."}
    packed = msgpack.packb(wish) if "msgpack" in content_type else b"\xef\xbb\xbf" + json.dumps(wish).encode()
    headers = {"Content-Type": content_type, "Accept": "application/json", "Prefer": "wait=20"}
    result = shared.client.post("/agent/execute", content=packed, headers=headers).json()
    assert (result["task"], result["output"]) == ("What is 2 + 2?", 4)
    kept = shared.client.get(f"/agent/tasks/{result['taskId']}").json()
    assert (kept["labels"], kept["systemPrompt"]) == ({"a": "b"}, "Be brief.")


def test_an_accepted_task_is_in_the_history_at_once(shared: Running) -> None:
    task_id = shared.execute("What is 2 + 3?").json()["taskId"]
    result = shared.client.get("/agent/results", params={"taskId": task_id}).json()["result"]
    assert (result["taskId"], result["task"]) == (task_id, "What is 2 + 3?")


def test_a_session_of_the_callers_choice_is_kept(shared: Running) -> None:
    assert shared.execute("Hello", sessionId="s-1.a:b_c").json()["sessionId"] == "s-1.a:b_c"


def test_a_session_is_made_up_when_absent(shared: Running) -> None:
    one, two = (shared.execute("Hello").json()["sessionId"] for _ in range(2))
    assert one
    assert two
    assert one != two


def test_a_task_may_name_the_skills_it_may_use(shared: Running) -> None:
    body = shared.result("Summarize: The cat sat. The dog ran. The bird flew.", availableSkills=["summarize"])
    assert body["status"] == "completed", body
    task = shared.client.get(f"/agent/tasks/{body['taskId']}").json()
    assert task["availableSkills"] == ["summarize"]


def test_a_skill_outside_the_list_is_not_run(shared: Running) -> None:
    body = shared.result(
        "```python\nfrom skills import calculate\ncalculate('1+1')\n```", availableSkills=["summarize"]
    )
    assert (body["status"], body["errorCode"]) == ("failed", "skill_not_allowed")


def test_an_unknown_skill_is_refused_with_the_known_ones(
    shared: Running, assert_problem: Callable[..., dict[str, Any]]
) -> None:
    body = assert_problem(shared.execute("Hello", availableSkills=["fly"]), 400, "unknown_skill")
    assert "fly" in body["message"]
    assert "summarize" in body["message"]


def test_an_unknown_agent_is_refused_with_the_known_ones(
    shared: Running, assert_problem: Callable[..., dict[str, Any]]
) -> None:
    body = assert_problem(shared.execute("Hello", agent="nobody"), 400, "unknown_agent")
    assert "master" in body["message"]


def test_everything_asked_for_is_kept_with_the_task(shared: Running) -> None:
    asked = {
        "sessionId": "kept",
        "systemPrompt": "Be brief.",
        "availableSkills": ["calculate"],
        "agent": "master",
        "labels": {"team": "blue", "n": 3, "x": 0.5},
        "timeoutMs": 60_000,
        "priority": 7,
    }
    task_id = shared.execute("What is 2 * 2?", **asked).json()["taskId"]
    task = shared.client.get(f"/agent/tasks/{task_id}").json()
    assert {name: task[name] for name in asked} == asked


def test_waiting_answers_the_ended_task(shared: Running) -> None:
    reply = shared.client.post("/agent/execute", json={"task": "What is 6 * 7?"}, headers={"Prefer": "wait=20"})
    body = reply.json()
    assert reply.status_code == 200
    assert reply.headers["preference-applied"] == "wait=20"
    assert body.keys() == ENDED
    assert (body["success"], body["status"], body["error"], body["errorCode"]) == (True, "completed", None, None)
    assert "42" in str(body["output"])
    assert body["executionTime"] > 0
    assert {"llmCalls", "skillCalls", "totalTokens"} <= body["metadata"].keys()


def test_a_failed_task_is_answered_with_a_sentence_and_a_code(shared: Running) -> None:
    body = shared.result("Please paint the fence.")
    assert (body["success"], body["status"], body["errorCode"], body["output"]) == (
        False, "failed", "no_skill_fits", None,
    )  # fmt: skip
    assert len(body["error"]) > 20


def test_when_the_time_is_up_the_accepted_task_is_answered(shared: Running, blocked: Callable[..., str]) -> None:
    blocked(sessionId="busy")
    started = time.monotonic()
    reply = shared.client.post(
        "/agent/execute", json={"task": "What is 1 + 1?", "sessionId": "busy"}, headers={"Prefer": "wait=1"}
    )
    assert time.monotonic() - started >= 1
    assert reply.json().keys() == ACCEPTED
    assert reply.headers["preference-applied"] == "wait=1"


@pytest.mark.parametrize("prefer", ["", "wait", "wait=x", "wait=-1", "respond-async", "wait=1.5"])
def test_a_preference_that_cannot_be_read_is_ignored(shared: Running, prefer: str) -> None:
    reply = shared.client.post("/agent/execute", json={"task": "What is 1 + 1?"}, headers={"Prefer": prefer})
    assert reply.json().keys() == ACCEPTED
    assert "preference-applied" not in reply.headers


def test_beyond_the_cap_on_waiting_the_answer_comes_at_once(start_server: Callable[..., Running]) -> None:
    running = start_server(max_waiting=0)
    reply = running.client.post("/agent/execute", json={"task": "What is 1 + 1?"}, headers={"Prefer": "wait=20"})
    assert reply.json().keys() == ACCEPTED
    assert "preference-applied" not in reply.headers


def test_a_wait_is_capped_by_the_setting(start_server: Callable[..., Running]) -> None:
    running = start_server(max_wait_s=5)
    reply = running.client.post("/agent/execute", json={"task": "What is 1 + 1?"}, headers={"Prefer": "wait=3600"})
    assert reply.headers["preference-applied"] == "wait=5"


def test_a_committed_task_is_never_answered_with_an_error_because_waiting_failed(
    shared: Running, fail_with: Callable[..., None]
) -> None:
    fail_with(shared, ReplyTimeout("no reply"), ExecuteTask, after=True)
    reply = shared.client.post("/agent/execute", json={"task": "What is 1 + 1?"}, headers={"Prefer": "wait=20"})
    assert reply.status_code == 200
    assert reply.json()["output"] == 2


def test_a_task_that_was_not_committed_is_answered_with_the_error(
    shared: Running, fail_with: Callable[..., None]
) -> None:
    fail_with(shared, ReplyTimeout("no reply"), ExecuteTask)
    reply = shared.client.post("/agent/execute", json={"task": "What is 1 + 1?"}, headers={"Prefer": "wait=20"})
    assert (reply.status_code, reply.json()["code"]) == (503, "reply_timeout")
