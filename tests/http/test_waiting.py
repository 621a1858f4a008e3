"""Held requests: what the preference says, and that they never take every thread."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

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


def _hold(running: Running, task_id: str) -> socket.socket:
    """Open a long poll that has nothing to be told, and return its connection."""
    connection = socket.create_connection(("127.0.0.1", running.server.port), timeout=20)
    path = f"/agent/tasks/{task_id}/events?after=9999&wait=60"
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    return connection


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline


@pytest.fixture
def free_places(shared: Running, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return a function that counts the places for held requests that are free, by what a new one is answered."""
    place = "callboard.http.waiting.Waiting.hold"
    held: list[int] = []
    from callboard.http.waiting import Waiting

    hold = Waiting.hold

    def counting(self: Waiting, *args: Any) -> Any:
        held.append(1)
        try:
            return hold(self, *args)
        finally:
            held.pop()

    monkeypatch.setattr(place, counting)
    return lambda: shared.system.settings.max_waiting - len(held)


def test_held_requests_beyond_the_cap_are_answered_at_once_and_others_go_on(
    shared: Running, blocked: Callable[..., str], free_places: Callable[[], int]
) -> None:
    task_id = blocked()
    held = [_hold(shared, task_id) for _ in range(shared.system.settings.max_waiting)]
    try:
        _until(lambda: free_places() == 0)
        started = time.monotonic()
        page = shared.client.get(f"/agent/tasks/{task_id}/events", params={"after": 9999, "wait": 60}).json()
        assert (page["events"], page["ended"]) == ([], False)
        assert shared.client.get("/health/live").status_code == 200
        assert time.monotonic() - started < 5
        shared.client.post(f"/agent/tasks/{task_id}/cancel")
        assert all(b'"ended":true' in _read(connection) for connection in held)
    finally:
        for connection in held:
            connection.close()


def _read(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as stream:
        return stream.read()


def test_the_place_of_a_client_that_vanished_is_free_again(
    shared: Running, blocked: Callable[..., str], free_places: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.http.waiting.SLICE_S", 0.05)
    task_id = blocked()
    connection = _hold(shared, task_id)
    _until(lambda: free_places() < shared.system.settings.max_waiting)
    connection.close()
    _until(lambda: free_places() == shared.system.settings.max_waiting)
