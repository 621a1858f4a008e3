"""The server as a whole: its port, its connections, and an end that loses nothing."""

from __future__ import annotations

import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from callboard.http.channel import LingeringChannel
from callboard.http.listening import listen
from callboard.http.server import Server
from callboard.limits import SOCKET_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from callboard import AgentSystem
    from tests.http.conftest import Gate, Running


def test_a_free_port_is_taken_and_told(shared: Running) -> None:
    assert shared.server.port > 0
    assert shared.server.url == f"http://127.0.0.1:{shared.server.port}"


def test_a_port_in_use_is_an_error_at_once(system: AgentSystem, make_settings: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        object.__setattr__(system, "settings", make_settings(port=port))
        with pytest.raises(OSError, match="in use"):
            Server(system)


def test_a_server_that_was_never_run_can_be_closed(system: AgentSystem) -> None:
    server = Server(system)
    server.close()
    server.close()
    server.run()  # returns at once
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)


def test_a_request_under_way_is_answered_before_the_server_ends(
    start_server: Callable[..., Running], skills_dir: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.http.waiting.SLICE_S", 0.05)
    running = start_server(skills_dir=skills_dir, drain_s=1.5)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(
            running.client.post, "/agent/execute", json={"task": gate.task}, headers={"Prefer": "wait=60"}
        )
        while not httpx.get(f"{running.server.url}/agent/results").json()["count"]:
            pass
        running.server.close()
        assert held.result(20).json()["message"] == "Task submitted for execution"
    with pytest.raises(httpx.ConnectError):
        httpx.get(running.server.url)
    running.thread.join(20)
    assert not running.thread.is_alive()


def test_while_the_server_ends_no_new_task_is_accepted(
    start_server: Callable[..., Running], skills_dir: Path, gate: Gate, assert_problem: Any
) -> None:
    running = start_server(skills_dir=skills_dir)
    running.system.drain()
    answer = running.execute("What is 1 + 1?")
    assert assert_problem(answer, 503, "unavailable")["retryAfter"] == int(answer.headers["retry-after"])


def test_closing_twice_and_from_two_threads_is_harmless(start_server: Callable[..., Running]) -> None:
    running = start_server()
    closers = [threading.Thread(target=running.server.close) for _ in range(2)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join(20)
        assert not closer.is_alive()


def test_an_idle_connection_does_not_hold_the_end_up(start_server: Callable[..., Running]) -> None:
    running = start_server()
    with socket.create_connection(("127.0.0.1", running.server.port), timeout=20) as idle:
        idle.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(100).startswith(b"HTTP/1.1 200")
        running.server.close()
        rest = idle.makefile("rb").read()
        assert rest.endswith(b"}")


def test_more_connections_than_select_can_count_are_served(shared: Running) -> None:
    connections = []
    try:
        for _ in range(1100):
            connections.append(socket.create_connection(("127.0.0.1", shared.server.port), timeout=20))
        connections[-1].sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert connections[-1].makefile("rb").read().startswith(b"HTTP/1.1 200")
    finally:
        for connection in connections:
            connection.close()


def test_several_requests_on_one_connection_are_answered_in_order(shared: Running) -> None:
    one = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: %s\r\n%s\r\n"
    wire = one % (b"first", b"") + one % (b"second", b"") + one % (b"third", b"Connection: close\r\n")
    with socket.create_connection(("127.0.0.1", shared.server.port), timeout=10) as connection:
        connection.sendall(wire)
        answer = connection.makefile("rb").read()
    places = [answer.index(b"X-Request-Id: " + name) for name in (b"first", b"second", b"third")]
    assert places == sorted(places)


def test_a_defect_outside_the_application_is_answered_in_the_shape_of_every_error(
    shared: Running, monkeypatch: pytest.MonkeyPatch, assert_problem: Any
) -> None:
    def broken(_environ: Any, _start_response: Any) -> Any:
        raise RuntimeError("the-inner-secret")

    monkeypatch.setattr(shared.server._waitress, "application", broken)
    monkeypatch.setattr(logging.getLogger("waitress"), "disabled", True)
    answer = shared.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert_problem(answer, 500, "internal_error")
    assert b"secret" not in answer.body


def test_the_system_holds_little_for_a_connection(make_settings: Callable[..., Any]) -> None:
    with listen(make_settings(port=0)) as listening, socket.create_connection(listening.getsockname()[:2], timeout=5):
        accepted, _ = listening.accept()
        with accepted:
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                assert (
                    accepted.getsockopt(socket.SOL_SOCKET, option) <= 2 * SOCKET_BYTES
                )  # Linux doubles what it is told


@pytest.mark.parametrize(
    ("request_line", "has_body"),
    [
        ("GET /health/live HTTP/1.1", True),
        ("GET / HTTP/1.0", True),
        ("HEAD /health/live HTTP/1.1", False),
        ("OPTIONS /health/live HTTP/1.1", False),
    ],
)
def test_an_answer_that_is_whole_leaves_in_one_piece_with_its_head(
    shared: Running, request_line: str, has_body: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []
    real = LingeringChannel.send

    def sending(self: LingeringChannel, data: bytes, **options: Any) -> Any:
        sent.append(bytes(data))
        return real(self, data, **options)

    monkeypatch.setattr(LingeringChannel, "send", sending)
    with socket.create_connection(("127.0.0.1", shared.server.port), timeout=20) as connection:
        connection.sendall(f"{request_line}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        with connection.makefile("rb") as stream:
            answer = stream.read()
    assert sent == [answer]
    assert bool(answer.partition(b"\r\n\r\n")[2]) == has_body
