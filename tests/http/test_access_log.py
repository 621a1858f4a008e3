"""One JSON line for each request: complete, whole, and without secrets."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import Running


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that returns the lines of requests written since it was last called."""

    def read() -> list[dict[str, Any]]:
        out = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
        return [line for line in out if line["event"] == "request"]

    return read


def test_a_request_is_one_line_with_everything_named(shared: Running, lines: Any) -> None:
    reply = shared.client.post(
        "/agent/execute?", json={"task": "What is 1 + 1?"}, headers={"User-Agent": "tester/1", "X-Request-Id": "mine"}
    )
    (line,) = lines()
    assert datetime.fromisoformat(line.pop("timestamp"))
    assert 0 < line.pop("duration_ms") < 10_000
    assert line == {
        "level": "info",
        "logger": "callboard.http",
        "event": "request",
        "method": "POST",
        "path": "/agent/execute",
        "status": 200,
        "client": "127.0.0.1",
        "user_agent": "tester/1",
        "request_id": "mine",
        "task_id": reply.json()["taskId"],
    }


def test_a_line_tells_the_task_where_the_path_or_query_names_it(shared: Running, lines: Any) -> None:
    task_id = shared.result("What is 1 + 1?")["taskId"]
    lines()
    shared.client.get(f"/agent/tasks/{task_id}")
    shared.client.get("/agent/results", params={"taskId": task_id})
    shared.client.post(f"/agent/tasks/{task_id}/cancel")
    assert [line["task_id"] for line in lines()] == [task_id] * 3


def test_refusals_are_logged_too(shared: Running, lines: Any) -> None:
    shared.client.get("/nothing")
    shared.raw(b"nonsense\r\n\r\n")
    shared.raw(
        b"POST /agent/execute HTTP/1.1\r\nHost: localhost\r\nUser-Agent: big\r\nContent-Length: 99999999\r\n\r\n"
    )
    found = lines()
    assert [line["status"] for line in found] == [404, 400, 413]
    assert (found[2]["method"], found[2]["path"], found[2]["user_agent"]) == ("POST", "/agent/execute", "big")
    assert all(line["request_id"] and line["client"] == "127.0.0.1" for line in found)


def test_a_refusal_says_what_is_no_secret_of_the_request(shared: Running, lines: Any) -> None:
    shared.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
    shared.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-API-Key: sesame\0\r\n\r\n")
    tls, header = lines()
    assert "https://" in tls["reason"]
    assert "sesame" not in str(header)


def test_neither_key_nor_body_nor_query_is_logged(
    start_server: Callable[..., Running], capsys: pytest.CaptureFixture[str]
) -> None:
    running = start_server(api_key=("sesame-key",))
    for key in ("sesame-key", "wrong-key"):
        running.client.post("/agent/execute", json={"task": "my-private-task"}, headers={"X-API-Key": key})
        running.client.get(
            "/agent/results?sessionId=my-query", headers={"X-API-Key": key, "Authorization": "Bearer t0k"}
        )
    running.stop()
    written = "".join(capsys.readouterr())
    assert written.count('"event":"request"') == 4
    for secret in ("sesame", "wrong-key", "my-private-task", "my-query", "t0k"):
        assert secret not in written


def test_nothing_that_is_sent_can_forge_a_line(shared: Running, lines: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shared.client.get(
        "/%0A%7B%22event%22:%22forged%22%7D%0D", headers={b"User-Agent": 'a"}\x85\xa0b'.encode("latin-1")}
    )
    err = capsys.readouterr().err
    assert len(err.splitlines()) == len(err.split("\n")) - 1 == 1
    line = json.loads(err)
    assert (line["event"], line["status"]) == ("request", 404)
    assert line["user_agent"].startswith('a"}')


def test_what_is_logged_has_a_length(shared: Running, lines: Any) -> None:
    shared.client.get("/" + "x" * 10_000, headers={"User-Agent": "y" * 10_000})
    (line,) = lines()
    assert len(json.dumps(line)) < 1500


def test_lines_of_parallel_requests_do_not_mix(shared: Running, capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: shared.client.get("/health/live", headers={"X-Request-Id": f"p{n}"}), range(200)))
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {line["request_id"] for line in found} == {f"p{n}" for n in range(200)}


def test_the_proxys_client_is_the_one_that_is_logged(start_server: Callable[..., Running], lines: Any) -> None:
    running = start_server(trusted_proxies=("127.0.0.0/8",))
    lines()
    running.client.get("/health/live", headers={"X-Forwarded-For": "9.9.9.9"})
    assert [line["client"] for line in lines()] == ["9.9.9.9"]


def test_above_the_info_level_requests_are_not_logged(start_server: Callable[..., Running], lines: Any) -> None:
    running = start_server(log_level="warning")
    lines()
    running.client.get("/health/live")
    assert lines() == []
