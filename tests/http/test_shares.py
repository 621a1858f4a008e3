"""One client takes its share and no more, whatever it sends or does not: from outside, each client with an address of its own."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from callboard.http import connections
from callboard.messages.tasks import ListTasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.http.conftest import Gate, Running

ABUSER, OTHER = "127.0.0.2", "127.0.0.3"
MOST = 64
SHARE = 56
HALF_A_HEAD = b"GET /agent/results HTTP/1.1\r\nHost: localhost\r\nX-Half: "
HALF_A_BODY = b"POST /agent/execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1900000\r\n\r\n"
HEALTH = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
RESULTS = b"GET /agent/results?limit=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def connect(running: Running, source: str, *, receive_bytes: int | None = None) -> socket.socket:
    connection = socket.socket()
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(10)
    connection.bind((source, 0))
    connection.connect(("127.0.0.1", running.server.port))
    return connection


def rest_of(connection: socket.socket) -> bytes:
    """Read to the end, which may be a reset."""
    found = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            found += part
    return found


def ask(running: Running, source: str, request: bytes) -> bytes:
    with connect(running, source) as connection:
        connection.sendall(request)
        return rest_of(connection)


def is_answered(running: Running, source: str, request: bytes = RESULTS) -> bool:
    return ask(running, source, request).startswith(b"HTTP/1.1 200")


def error_in(answer: bytes) -> Any:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline


def open_from(running: Running, source: str) -> int:
    return sum(channel.addr[0] == source for channel in list(running.server._waitress.active_channels.values()))


@contextmanager
def many(
    running: Running, number: int, source: str | Callable[[int], str], sent: bytes
) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        opened = []
        for n in range(number):
            opened.append(stack.enter_context(connect(running, source if isinstance(source, str) else source(n))))
            with suppress(OSError):
                opened[-1].sendall(sent)
        yield opened


@pytest.fixture(scope="module")
def the_small(module_server: Callable[..., Running]) -> Running:
    return module_server(
        max_connections=MOST, max_streams=16, max_waiting=8, http_threads=4, max_buffered_bytes=4_000_000
    )


@pytest.fixture
def small(the_small: Running) -> Running:
    """A server with few places of each kind, without limits of requests, that nobody is connected to."""
    server = the_small.server
    until(lambda: not server._waitress.active_channels and not server._connections.descriptors_put_off)
    return the_small


@pytest.mark.parametrize("sent", [b"", HALF_A_HEAD, HALF_A_BODY], ids=["nothing", "half a head", "half a body"])
def test_unfinished_requests_of_one_address_keep_nobody_out(small: Running, sent: bytes) -> None:
    with many(small, 2 * MOST, ABUSER, sent):
        assert all(is_answered(small, OTHER) for _ in range(8))
        assert open_from(small, ABUSER) <= SHARE


def test_who_has_its_share_loses_its_oldest_connection_to_a_new_one(small: Running) -> None:
    with many(small, SHARE, ABUSER, HALF_A_HEAD) as opened:
        assert is_answered(small, ABUSER)
        assert rest_of(opened[0]) == b""
        until(lambda: open_from(small, ABUSER) == SHARE - 1)


def test_where_many_addresses_have_taken_all_a_new_one_is_let_in(small: Running) -> None:
    with many(small, 2 * MOST, lambda n: f"127.0.1.{n % 40 + 1}", HALF_A_HEAD):
        assert all(is_answered(small, OTHER) for _ in range(4))
        assert len(small.server._waitress.active_channels) <= MOST


def test_a_connection_whose_request_is_being_answered_is_not_closed_for_another(small: Running) -> None:
    with connect(small, ABUSER) as held:
        held.sendall(
            b"GET /agent/events?after=9999999&sessionId=nobody&wait=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        until(lambda: any(channel.at_work for channel in list(small.server._waitress.active_channels.values())))
        with many(small, MOST, ABUSER, HALF_A_HEAD):
            assert rest_of(held).startswith(b"HTTP/1.1 200")


# --- in time ---


def _drip(connection: socket.socket, drop: bytes) -> bytes:
    """Send a drop again and again until there is an answer, or the end."""
    connection.settimeout(0.02)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            connection.sendall(drop)
            first = connection.recv(1)
        except TimeoutError:
            continue
        except OSError:
            return b""
        connection.settimeout(10)
        return first + rest_of(connection) if first else b""
    raise AssertionError("it was never ended")


@pytest.mark.parametrize("begun", [HALF_A_HEAD, HALF_A_BODY], ids=["head", "body"])
def test_a_request_that_drips_in_is_ended_in_time(
    small: Running, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    monkeypatch.setattr(connections, "BODY_S", 0.2)
    with connect(small, ABUSER) as connection:
        connection.sendall(begun)
        status, error = error_in(_drip(connection, b"a"))
    assert (status, error["code"]) == (408, "request_timeout")
    assert "0.2 s" in error["message"]


def test_a_body_has_its_time_from_the_end_of_the_head_and_not_that_of_a_head_too(
    small: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BODY_S", 0.2)  # and a head has 20 s
    with connect(small, ABUSER) as connection:
        connection.sendall(HALF_A_BODY)
        status, error = error_in(rest_of(connection))
    assert (status, error["code"]) == (408, "request_timeout")
    assert "the body within 0.2 s" in error["message"]


def test_a_late_request_is_logged_with_its_line_and_the_time_since_its_first_byte(
    small: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    for begun in (HALF_A_HEAD, b"GET /agent"):
        ask(small, ABUSER, begun)
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    named, unnamed = (line for line in told if line["event"] == "request")
    assert (named["status"], named["method"], named["path"]) == (408, "GET", "/agent/results")
    assert (unnamed["status"], unnamed["method"], unnamed["path"]) == (408, "", "")
    assert named["duration_ms"] > 200


def test_a_body_that_keeps_coming_has_the_time_it_needs(small: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.1)
    monkeypatch.setattr(connections, "BODY_S", 0.1)
    body = b'{"task": "What is 1 + 1?"%s}' % (b" " * 60_000)
    begun = HALF_A_BODY.replace(b"1900000", b"%d" % len(body)).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with connect(small, OTHER) as connection:
        connection.sendall(begun + body[:30_000])  # which are worth seven seconds
        until_s = time.monotonic() + 0.6
        with many(small, 1, OTHER, HALF_A_HEAD) as (measure,):
            assert b"408" in rest_of(measure)  # sent later, ended before
        assert time.monotonic() < until_s + 5
        connection.sendall(body[30_000:])
        assert rest_of(connection).startswith(b"HTTP/1.1 200")


def test_a_connection_without_a_request_is_closed_in_time_whatever_blank_lines_come(
    small: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_S", 0.2)
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    with connect(small, OTHER) as silent, connect(small, OTHER) as used, connect(small, ABUSER) as dripping:
        used.sendall(RESULTS.replace(b"Connection: close\r\n", b""))
        assert rest_of(used).startswith(b"HTTP/1.1 200")
        assert rest_of(silent) == b""
        _drip(dripping, b"\r\n")


def test_a_client_that_takes_nothing_of_its_answers_is_closed_and_holds_one_answer(
    small: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNTAKEN_S", 0.3)
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connect(small, ABUSER, receive_bytes=4096) as connection:
        connection.sendall(request)
        connection.settimeout(0.2)
        with suppress(TimeoutError, ConnectionError):
            while True:
                connection.sendall(request * 100)
        most = max((c.total_outbufs_len for c in list(small.server._waitress.active_channels.values())), default=0)
        assert most < 1_000_000
        until(lambda: not open_from(small, ABUSER))


# --- memory ---


def test_unfinished_bodies_of_one_caller_hold_no_more_than_its_share_of_memory(small: Running) -> None:
    with many(small, 12, ABUSER, HALF_A_BODY + b"a" * 900_000) as opened:
        refused = [error_in(rest_of(one)) for one in _answered(opened, 9)]  # three have room in seven eighths of 4 MB
        assert {(status, error["code"]) for status, error in refused} == {(503, "too_much_unfinished")}
        assert "CALLBOARD_MAX_BUFFERED_BYTES" in refused[0][1]["message"]
        assert refused[0][1]["retryAfter"] > 0
        body = b'{"task": "What is 1 + 1?"%s}' % (b" " * 300_000)
        head = HALF_A_BODY.replace(b"1900000", b"%d" % len(body)).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        assert ask(small, OTHER, head + body).startswith(b"HTTP/1.1 200")


def _answered(opened: list[socket.socket], least: int) -> list[socket.socket]:
    """Return those that have an answer, as soon as there are enough."""
    found: list[socket.socket] = []
    while len(found) < least:
        more = select.select([one for one in opened if one not in found], [], [], 10)[0]
        assert more, f"only {len(found)} were answered"
        found += more
    return found


def test_requests_in_one_piece_are_taken_apart_one_after_the_other(small: Running) -> None:
    one = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connect(small, ABUSER) as connection:
        connection.sendall(one * 300 + HEALTH)
        most = 0
        answer = b""
        while part := connection.recv(4096):
            answer += part
            for channel in list(small.server._waitress.active_channels.values()):
                most = max(most, len(channel.requests))
    assert answer.count(b"HTTP/1.1 200") == 301
    assert most <= 1


# --- streams, held requests, threads ---


def test_a_caller_has_its_share_of_the_streams_and_another_one_finds_a_place(small: Running) -> None:
    stream = b"GET /agent/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n"
    with many(small, 14, ABUSER, stream) as opened:
        assert all(one.recv(12) == b"HTTP/1.1 200" for one in opened)
        status, error = error_in(ask(small, ABUSER, stream))
        assert (status, error["code"], error["retryAfter"]) == (503, "too_many_streams", 2)
        assert "You have 14 of the 16 streams" in error["message"]
        with many(small, 1, OTHER, stream) as (another,):
            assert another.recv(12) == b"HTTP/1.1 200"


def test_a_caller_has_its_share_of_the_held_requests_and_another_one_is_held(small: Running) -> None:
    held = b"GET /agent/events?after=9999999&sessionId=nobody&wait=%d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with many(small, 7, ABUSER, held % 20) as opened:
        until(lambda: _answers_at_once(small, ABUSER, held % 20))
        started = time.monotonic()
        assert is_answered(small, OTHER, held % 1)
        assert time.monotonic() - started > 0.9
        assert len(opened) == 7


def _answers_at_once(running: Running, source: str, request: bytes) -> bool:
    with connect(running, source) as connection:
        connection.sendall(request)
        connection.settimeout(0.5)
        with suppress(TimeoutError):
            return connection.recv(12) == b"HTTP/1.1 200"
    return False


@pytest.fixture
def stuck(small: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """Hold every request for one kind of page in its thread; the semaphore counts them."""
    gateway, opened, entered = small.system.gateway, threading.Event(), threading.Semaphore(0)
    real = type(gateway).ask

    def ask_stuck(self: Any, message: Any, **envelope: Any) -> Any:
        if isinstance(message, ListTasks) and message.limit == 77:
            entered.release()
            opened.wait(30)
        return real(self, message, **envelope)

    monkeypatch.setattr(type(gateway), "ask", ask_stuck)
    yield entered
    opened.set()


STUCK = b"GET /agent/results?limit=77 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def test_requests_of_one_caller_take_few_threads_while_others_ask(small: Running, stuck: threading.Semaphore) -> None:
    assert is_answered(small, OTHER)
    assert is_answered(small, ABUSER)
    with many(small, 30, ABUSER, STUCK):
        assert all(stuck.acquire(timeout=10) for _ in range(4))
        assert is_answered(small, OTHER)
        assert not stuck.acquire(timeout=0.1)


def test_health_is_answered_where_every_thread_is_taken(small: Running, stuck: threading.Semaphore) -> None:
    threads = len(small.server._waitress.task_dispatcher.threads)
    with many(small, threads, lambda n: f"127.0.2.{n + 1}", STUCK):
        assert all(stuck.acquire(timeout=10) for _ in range(threads))
        for source in (ABUSER, OTHER, "127.0.2.1"):
            for path in (b"/health", b"/health/live", b"/health/ready"):
                assert is_answered(small, source, HEALTH.replace(b"/health/live", path))


def test_health_is_answered_where_its_address_has_taken_its_connections(small: Running) -> None:
    with many(small, 2 * MOST, ABUSER, HALF_A_HEAD):
        assert is_answered(small, ABUSER, HEALTH)


def test_health_is_answered_before_what_else_its_address_is_waiting_for(
    small: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_REPLACED", 1)
    with many(small, SHARE + 20, ABUSER, HALF_A_HEAD):
        assert is_answered(small, ABUSER, HEALTH)


def test_a_flood_of_health_checks_keeps_no_other_one_waiting(small: Running) -> None:
    flood = HEALTH.replace(b"Connection: close\r\n", b"")
    with many(small, 40, ABUSER, flood * 100):
        started = time.monotonic()
        assert is_answered(small, OTHER, HEALTH)
        assert is_answered(small, OTHER)
        assert time.monotonic() - started < 2


def test_behind_a_proxy_requests_are_of_those_whom_it_names_and_connections_of_nobody(
    start_server: Callable[..., Running],
) -> None:
    running = start_server(max_connections=MOST, trusted_proxies=("127.0.0.2",), max_streams=16)
    with many(running, MOST, ABUSER, HALF_A_HEAD):
        until(lambda: open_from(running, ABUSER) == MOST)
        assert is_answered(running, ABUSER), "all are taken: the oldest one is closed"
    stream = b"GET /agent/events HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: %s\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n"
    with many(running, 14, ABUSER, stream % b"192.0.2.1") as opened:
        assert all(one.recv(12) == b"HTTP/1.1 200" for one in opened)
        assert error_in(ask(running, ABUSER, stream % b"192.0.2.1"))[0] == 503
        with many(running, 1, ABUSER, stream % b"192.0.2.2") as (another,):
            assert another.recv(12) == b"HTTP/1.1 200"


def test_one_whom_a_proxy_names_has_its_share_of_the_connections_and_takes_nobody_elses(
    start_server: Callable[..., Running],
) -> None:
    running = start_server(max_connections=MOST, trusted_proxies=(ABUSER,))
    named = b"X-Forwarded-For: %s\r\nContent-Type"
    with connect(running, OTHER) as kept:
        kept.sendall(RESULTS.replace(b"Connection: close", b"Connection: keep-alive"))
        assert kept.recv(12) == b"HTTP/1.1 200"
        half = HALF_A_BODY.replace(b"Content-Type", named % b"192.0.2.1")
        with many(running, 2 * MOST, ABUSER, half):
            until(lambda: open_from(running, ABUSER) <= SHARE)
            for client in (b"192.0.2.2", b"192.0.2.3"):
                ours = RESULTS.replace(b"Connection", b"X-Forwarded-For: %s\r\nConnection" % client)
                assert is_answered(running, ABUSER, ours)
            assert is_answered(running, "127.0.0.4")
            kept.sendall(RESULTS)
            assert b"HTTP/1.1 200" in rest_of(kept)


def _post(running: Running, source: str, task: str) -> Any:
    body = json.dumps({"task": task}).encode()
    head = HALF_A_BODY.replace(b"1900000", b"%d" % len(body)).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    return error_in(ask(running, source, head + body))


def test_a_crowd_of_tasks_leaves_room_for_another_callers_which_starts_in_turn(
    start_server: Callable[..., Running], skills_dir: Path, gate: Gate
) -> None:
    running = start_server(workers=1, max_backlog=16, skills_dir=skills_dir, rate_limit_max_requests=0)
    assert all(_post(running, ABUSER, task)[0] == 200 for task in (gate.task, *("What is 1 + 1?",) * 13))
    status, refused = _post(running, ABUSER, "What is 1 + 1?")
    assert (status, refused["code"], refused["retryAfter"]) == (503, "overloaded", 2)
    assert "You have 14 of the 16 tasks" in refused["message"]
    status, mine = _post(running, OTHER, "What is 2 + 2?")
    assert status == 200
    gate.open()
    until(
        lambda: running.client.get("/agent/results", params={"limit": 100, "status": "completed"}).json()["count"] == 15
    )
    ended = [
        event["taskId"]
        for event in running.client.get("/agent/events", params={"after": 0, "limit": 1000}).json()["events"]
        if event["topic"] == "agent.task.completed"
    ]
    assert ended.index(mine["taskId"]) <= 2
    assert _post(running, ABUSER, "What is 1 + 1?")[0] == 200
