"""The report's suite for the whole flow: API, event, agent, result, with its timing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import Running


def _when(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_task_goes_from_the_api_through_its_events_to_the_history(shared: Running) -> None:
    started = time.monotonic()
    accepted = shared.execute("What is 12 times 7?", sessionId="flow").json()
    seen: list[dict[str, Any]] = []
    page: dict[str, Any] = {"ended": False, "nextAfter": 0}
    while not page["ended"]:
        params = {"after": page["nextAfter"], "wait": 20}
        page = shared.client.get(f"/agent/tasks/{accepted['taskId']}/events", params=params).json()
        seen += page["events"]
    took_ms = (time.monotonic() - started) * 1000

    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert {event["taskId"] for event in seen} == {accepted["taskId"]}
    topics = [event["topic"] for event in seen]
    assert topics[0] == "agent.task.execute"
    assert {"agent.step.started", "agent.step.completed"} <= set(topics)
    assert topics.index("agent.step.started") < topics.index("agent.task.completed")
    assert "agent.skill.completed" in topics
    times = [_when(event["timestamp"]) for event in seen]
    assert times == sorted(times)

    result = shared.client.get("/agent/results", params={"taskId": accepted["taskId"]}).json()["result"]
    assert (result["success"], result["status"], result["sessionId"]) == (True, "completed", "flow")
    assert "84" in str(result["output"])
    assert 0 < result["executionTime"] <= took_ms
    assert took_ms < 10_000


def test_the_times_of_a_task_are_in_order_and_agree_with_each_other(shared: Running) -> None:
    task_id = shared.result("What is 5 + 6?")["taskId"]
    task = shared.client.get(f"/agent/tasks/{task_id}").json()
    created, began, ended = (_when(task[name]) for name in ("createdAt", "startedAt", "endedAt"))
    assert created <= began <= ended
    assert task["timestamp"] == task["endedAt"]
    assert task["attempt"] == 1


def test_a_session_remembers_between_tasks(shared: Running) -> None:
    shared.result("My name is Alice.", sessionId="memory")
    assert "Alice" in str(shared.result("What is my name?", sessionId="memory")["output"])
    session = shared.client.get("/agent/sessions/memory").json()["session"]
    assert session["tasks"] == 2
    assert [turn["role"] for turn in session["conversation"]] == ["user", "assistant", "user", "assistant"]


def test_tasks_of_one_session_run_in_the_order_they_came(shared: Running) -> None:
    ids = [shared.execute(f"What is {n} + 0?", sessionId="queue").json()["taskId"] for n in range(5)]
    shared.result("What is 9 + 9?", sessionId="queue")
    tasks = [shared.client.get(f"/agent/tasks/{task_id}").json() for task_id in ids]
    ends = [_when(task["endedAt"]) for task in tasks]
    starts = [_when(task["startedAt"]) for task in tasks]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))


def test_fifty_parallel_requests_all_end_with_their_own_answer(shared: Running) -> None:
    def ask(n: int) -> dict[str, Any]:
        return shared.result(f"What is {n} + 1000?")

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    assert [answer["status"] for answer in answers] == ["completed"] * 50
    assert all(str(1000 + n) in str(answer["output"]).replace(",", "") for n, answer in enumerate(answers))
    assert len({answer["taskId"] for answer in answers}) == 50


def test_an_answer_is_in_the_history_after_a_restart(
    start_server: Callable[..., Running], make_settings: Callable[..., Any]
) -> None:
    data_dir = make_settings().data_dir
    first = start_server(data_dir=data_dir)
    task_id = first.result("What is 6 * 9?")["taskId"]
    first.stop()
    first.system.stop()
    second = start_server(data_dir=data_dir)
    result = second.client.get("/agent/results", params={"taskId": task_id}).json()["result"]
    assert "54" in str(result["output"])
