"""Held requests: what the preference says, and that they never take every thread."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from callboard.http.waiting import preferred_wait_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import Running


@pytest.mark.parametrize(
    ("prefer", "wait_s"),
    [
        (None, None),
        ("", None),
        ("wait=10", 10),
        ("Wait = 10", 10),
        ('wait="10"', 10),
        ("wait=10; foo=bar", 10),
        ("respond-async, wait=10", 10),
        ("respond-async;x, wait=10, wait=20", 10),
        ("return=minimal", None),
        ("wait", None),
        ("wait=", None),
        ("wait=1.5", None),
        ("wait=-1", None),
        ("wait=1e3", None),
        ("await=10", None),
        ("wait=99999999999", None),
        ("," * 100_000, None),
    ],
)
def test_the_preference_is_read_as_the_rfc_has_it(prefer: str | None, wait_s: int | None) -> None:
    assert preferred_wait_s(prefer) == wait_s


def _last(running: Running, task_id: str) -> int:
    """Return the number of the last event of a task that stands at its call."""
    after = 0
    while True:
        page = running.client.get(f"/agent/tasks/{task_id}/events", params={"after": after, "wait": 20}).json()
        after = int(page["nextAfter"])
        if page["events"][-1]["topic"] == "agent.skill.started":
            return int(after)


def _hold(running: Running, task_id: str, after: int) -> socket.socket:
    """Open a long poll that has nothing to be told, and return its connection."""
    connection = socket.create_connection(("127.0.0.1", running.server.port), timeout=20)
    path = f"/agent/tasks/{task_id}/events?after={after}&wait=60"
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    return connection


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline


def test_held_requests_beyond_the_cap_are_answered_at_once_and_others_go_on(
    shared: Running, blocked: Callable[..., str], held_now: Callable[[], int]
) -> None:
    task_id = blocked()
    share = shared.system.settings.max_waiting * 7 // 8
    last = _last(shared, task_id)
    held = [_hold(shared, task_id, last) for _ in range(share)]
    try:
        _until(lambda: held_now() == share)
        started = time.monotonic()
        for answer in (
            shared.client.get(f"/agent/tasks/{task_id}/events", params={"after": last, "wait": 60}),
            shared.client.get(f"/agent/tasks/{task_id}/events", params={"after": last}, headers={"Prefer": "wait=60"}),
            shared.client.get("/agent/events", params={"after": 9_999_999, "wait": 60}),
            shared.client.post("/agent/execute", json={"task": "What is 1 + 1?"}, headers={"Prefer": "wait=60"}),
        ):
            assert (answer.status_code, answer.headers["retry-after"]) == (200, "1")
            assert "preference-applied" not in answer.headers
            assert not answer.json().get("events")
        assert shared.client.get("/health/live").status_code == 200
        assert time.monotonic() - started < 5
        shared.client.post(f"/agent/tasks/{task_id}/cancel")
        assert all(b'"ended":true' in _read(connection) for connection in held)
    finally:
        for connection in held:
            connection.close()


@pytest.mark.parametrize(
    ("query", "prefer", "applied"),
    [
        ("&wait=0.05", {}, "wait=0.05"),
        ("&wait=0.05", {"Prefer": "wait=60"}, "wait=0.05"),
        ("", {"Prefer": "wait=1"}, "wait=1"),
        ("&wait=0", {"Prefer": "wait=60"}, None),
        ("", {"Prefer": "return=minimal"}, None),
    ],
)
def test_a_page_says_that_it_was_held_whichever_way_that_was_asked_for(
    shared: Running, blocked: Callable[..., str], query: str, prefer: dict[str, str], applied: str | None
) -> None:
    task_id = blocked()
    last = _last(shared, task_id)
    for path in (f"/agent/tasks/{task_id}/events?after={last}", "/agent/events?after=9999999"):
        started = time.monotonic()
        answer = shared.client.get(path + query, headers=prefer)
        assert answer.headers.get("preference-applied") == applied
        assert "retry-after" not in answer.headers
        assert applied is None or time.monotonic() - started >= float(applied.removeprefix("wait="))


def test_a_page_that_has_something_at_once_says_that_it_would_have_been_held(
    shared: Running, blocked: Callable[..., str]
) -> None:
    for path in (f"/agent/tasks/{blocked()}/events", "/agent/events"):
        assert shared.client.get(path, params={"wait": 20}).headers["preference-applied"] == "wait=20"


def test_a_server_that_holds_nothing_says_when_to_ask_again(start_server: Callable[..., Running]) -> None:
    _expect_rest(start_server(max_wait_s=0))


def test_a_server_that_is_going_says_when_to_ask_again(shared: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared.system, "closing", True)
    _expect_rest(shared)


def _expect_rest(running: Running) -> None:
    headers = running.client.get("/agent/events", params={"after": 9_999_999, "wait": 20}).headers
    assert headers["retry-after"] == "1"
    assert "preference-applied" not in headers


def _read(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as stream:
        return stream.read()


def test_the_place_of_a_client_that_vanished_is_free_again(
    shared: Running, blocked: Callable[..., str], held_now: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.http.waiting.SLICE_S", 0.05)
    task_id = blocked()
    connection = _hold(shared, task_id, _last(shared, task_id))
    _until(lambda: held_now() == 1)
    connection.close()
    _until(lambda: held_now() == 0)
