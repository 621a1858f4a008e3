"""The same contract in msgpack, in both directions, errors included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import msgpack  # type: ignore[import-untyped]
import pytest

from callboard.http.codec import MSGPACK_TYPES

if TYPE_CHECKING:
    from tests.http.conftest import Running

MSGPACK = "application/msgpack"


def _unpacked(reply: httpx.Response) -> Any:
    return msgpack.unpackb(reply.content)


@pytest.mark.parametrize("media_type", MSGPACK_TYPES)
def test_a_task_goes_round_in_msgpack(shared: Running, media_type: str) -> None:
    reply = shared.client.post(
        "/agent/execute",
        content=msgpack.packb({"task": "What is 6 * 7?", "labels": {"größe": 2**63 - 1, "half": 0.5}}),
        headers={"Content-Type": media_type, "Accept": media_type, "Prefer": "wait=20"},
    )
    assert (reply.status_code, reply.headers["content-type"]) == (200, media_type)
    body = _unpacked(reply)
    assert body["status"] == "completed"
    params = {"taskId": body["taskId"]}
    as_json = shared.client.get("/agent/results", params=params).json()
    assert _unpacked(shared.client.get("/agent/results", params=params, headers={"Accept": media_type})) == as_json
    task = _unpacked(shared.client.get(f"/agent/tasks/{body['taskId']}", headers={"Accept": media_type}))
    assert task["labels"] == {"größe": 2**63 - 1, "half": 0.5}


@pytest.mark.parametrize(
    ("sent", "accept", "answered"),
    [
        ("application/json", "*/*", "application/json"),
        (MSGPACK, "*/*", MSGPACK),
        (MSGPACK, "application/json", "application/json"),
        ("application/json", MSGPACK, MSGPACK),
        ("application/json", "application/json;q=0.5, application/msgpack", MSGPACK),
        ("application/json; charset=UTF-8", "text/html, */*;q=0.1", "application/json"),
    ],
)
def test_the_answer_is_in_the_form_that_is_accepted_else_in_that_of_the_body(
    shared: Running, sent: str, accept: str, answered: str
) -> None:
    task = {"task": "What is 1 + 1?"}
    content = msgpack.packb(task) if sent == MSGPACK else httpx.Request("POST", "http://x", json=task).content
    headers = {"Content-Type": sent, "Accept": accept}
    reply = shared.client.post("/agent/execute", content=content, headers=headers)
    assert (reply.status_code, reply.headers["content-type"]) == (200, answered)


@pytest.mark.parametrize("path", ["/nothing", "/agent/tasks/x", "/agent/results?limit=0"])
def test_errors_are_in_msgpack_too(shared: Running, path: str) -> None:
    reply = shared.client.get(path, headers={"Accept": MSGPACK})
    assert reply.headers["content-type"] == MSGPACK
    assert _unpacked(reply).keys() == {"error", "message", "code", "requestId"}


def test_health_is_in_msgpack_for_who_asks(shared: Running) -> None:
    assert _unpacked(shared.client.get("/health", headers={"Accept": MSGPACK}))["version"]
