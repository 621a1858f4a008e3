"""The id that ties a request, its task and the log together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.http.conftest import Running


@pytest.mark.parametrize("sent", ["a", "A.b_c-9", "x" * 128, "0198c0de-0000-7000-8000-000000000000"])
def test_a_sane_id_is_returned(shared: Running, sent: str) -> None:
    assert shared.client.get("/health/live", headers={"X-Request-Id": sent}).headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "a,b", "<script>", "é", "a\tb", "../etc"])
def test_any_other_is_replaced_by_a_fresh_one(shared: Running, sent: str) -> None:
    headers = {b"X-Request-Id": sent.encode()}
    ids = [shared.client.get("/health/live", headers=headers).headers["x-request-id"] for _ in range(2)]
    assert sent not in ids
    assert ids[0] != ids[1]
    assert all(len(made) >= 16 for made in ids)


def test_an_id_sent_twice_is_not_taken(shared: Running) -> None:
    answer = shared.raw(b"GET /health/live HTTP/1.0\r\nX-Request-Id: a\r\nX-Request-Id: b\r\n\r\n")
    assert answer.headers["x-request-id"] not in ("a", "b", "a, b")


def test_the_id_is_kept_with_the_task_and_in_its_log(shared: Running) -> None:
    reply = shared.client.post(
        "/agent/execute", json={"task": "What is 3 + 3?"}, headers={"X-Request-Id": "trace-7", "Prefer": "wait=20"}
    )
    task_id = reply.json()["taskId"]
    assert shared.client.get(f"/agent/tasks/{task_id}").json()["requestId"] == "trace-7"
    first = shared.client.get(f"/agent/tasks/{task_id}/events").json()["events"][0]
    assert first["data"]["requestId"] == "trace-7"
