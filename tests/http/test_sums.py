"""What a task took, on the wire: in results, lists, the log, webhooks, statistics, health and the catalogue."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from bench.provider import Reply, Request, running
from tests.http.test_openapi import described
from tests.receiver import Receiver, answer, receiving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.http.conftest import Gate, Running

DELEGATES = "Have it looked at."
PYTHON = "```python\nfrom skills import delegate\ndelegate('data-analyst', 'Look at it.')\n```"
CALL = {"llmCalls": 1, "inputTokens": 100, "outputTokens": 10, "totalTokens": 110, "costUsd": 0.00012}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(answer(200)) as one:
        yield one


@pytest.fixture
def with_model(start_server: Callable[..., Running], receiver: Receiver) -> Iterator[Running]:
    """A server whose model delegates, and one of whose agents answers."""

    def say(request: Request) -> Reply:
        return Reply(text=PYTHON if request.last == DELEGATES else "Fine.", usage=(100, 10))

    assert receiver.url
    with running(say) as provider:
        yield start_server(
            llm_provider="openai",
            llm_base_url=provider.openai_url,
            llm_model="test-model",
            llm_api_key="k",
            llm_input_price=1.0,
            llm_output_price=2.0,
            webhook_allow_private=True,
        )


def test_both_times_and_the_sums_are_wherever_a_result_is(with_model: Running, receiver: Receiver) -> None:
    client = with_model.client
    result = with_model.result(DELEGATES, callbackUrl=receiver.url)
    assert (result["output"], result["status"]) == ("Fine.", "completed"), result
    assert 0 < result["executionTime"] <= result["elapsedTime"]
    own = {**CALL, "skillCalls": 1}
    below = {**CALL, "skillCalls": 0}
    assert result["metadata"]["own"] == own
    assert result["metadata"]["subagents"] == {"tasks": 1, **below}
    assert {name: result["metadata"][name] for name in own} == {name: own[name] + below[name] for name in own}
    task_id = result["taskId"]
    assert client.get("/agent/results", params={"taskId": task_id}).json()["result"] == result
    task = client.get(f"/agent/tasks/{task_id}").json()
    described("GET", "/agent/tasks/{taskId}", 200).validate(task)
    listed = {one["taskId"]: one for one in client.get("/agent/results").json()["results"]}
    message = json.loads(receiver.next().body)
    last = client.get(f"/agent/tasks/{task_id}/events").json()["events"][-1]["data"]
    for name in ("executionTime", "elapsedTime"):
        assert task[name] == listed[task_id][name] == message["data"][name] == last[name] == result[name]
    assert task["metadata"] == listed[task_id]["metadata"] == message["data"]["metadata"] == result["metadata"]
    [child] = [one for one in listed.values() if one["parentId"] == task_id]
    assert {name: child["metadata"][name] for name in below} == below


def test_delegate_and_the_agent_are_counted_in_the_catalogue(with_model: Running) -> None:
    with_model.result(DELEGATES)
    skill = with_model.client.get("/agent/skills/delegate").json()["skill"]
    assert (skill["calls"], skill["failures"]) == (1, 0)
    agents = {one["name"]: one["tasks"] for one in with_model.client.get("/agent/agents").json()["agents"]}
    assert (agents["master"], agents["data-analyst"], agents["code-reviewer"]) == (1, 1, 0)


def test_statistics_and_health_have_the_time_by_the_clock_beside_that_of_work(
    start_server: Callable[..., Running], skills_dir: Any, gate: Gate
) -> None:
    one = start_server(skills_dir=skills_dir, workers=1, health_interval_s=0.05)
    held = one.execute(gate.task).json()["taskId"]
    waits = one.execute("What is 1 + 1?").json()["taskId"]
    for task_id in (held, waits):
        view = one.client.get(f"/agent/tasks/{task_id}").json()
        assert (view["executionTime"], view["elapsedTime"]) == (None, None)
    gate.open()
    waited = _result(one, waits)
    assert waited["elapsedTime"] > waited["executionTime"]
    for busy in _asked_until(lambda: _busy_points(one)):
        assert 0 < busy["p50ElapsedMs"] <= busy["p95ElapsedMs"] <= busy["p99ElapsedMs"]
    metrics = _asked_until(lambda: _metrics_of(one, 2))
    total = sum(_result(one, task_id)["elapsedTime"] for task_id in (held, waits))
    assert metrics["averageElapsedTime"] == pytest.approx(total / 2, abs=0.01)
    assert metrics["averageExecutionTime"] < metrics["averageElapsedTime"]


def _result(one: Running, task_id: str) -> dict[str, Any]:
    reply = one.client.get(f"/agent/tasks/{task_id}/events", params={"wait": 20, "after": 0}).json()
    while not reply["ended"]:
        reply = one.client.get(
            f"/agent/tasks/{task_id}/events", params={"wait": 20, "after": reply["nextAfter"]}
        ).json()
    found: dict[str, Any] = one.client.get(f"/agent/tasks/{task_id}").json()
    return found


def _busy_points(one: Running) -> list[dict[str, Any]]:
    points = one.client.get("/agent/statistics").json()["points"]
    return [point for point in points if point["p99ElapsedMs"] is not None]


def _metrics_of(one: Running, ended: int) -> dict[str, Any] | None:
    metrics: dict[str, Any] = one.client.get("/health").json()["metrics"]
    return metrics if metrics["successfulTasks"] >= ended else None


def _asked_until(ask: Callable[[], Any]) -> Any:
    """Return the first answer that says something: events come to who counts them a little after the client's answer."""
    until_s = time.monotonic() + 60
    while not (found := ask()):
        assert time.monotonic() < until_s
    return found
