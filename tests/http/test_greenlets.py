"""Posted tasks that run as greenlets of the loop's thread: answered as by a thread, and nobody else is held up."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import falcon
import pytest

from callboard.http import greenlets
from callboard.http.greenlets import Greenlets, Suspension, in_request, suspension
from callboard.http.request import Request
from callboard.http.server import Server
from tests.at_once import LATE_S

if TYPE_CHECKING:
    from pathlib import Path

    from callboard import AgentSystem
    from tests.http.conftest import Gate, Running

EXECUTE = "/agent/execute"


@pytest.fixture(scope="module")
def server(module_server: Callable[..., Running], skills_dir: Path) -> Running:
    return module_server(http_greenlets=True, skills_dir=skills_dir, http_threads=2, max_waiting=16, workers=4)


def post(body: bytes | str, *headers: str, length: int | None = None) -> bytes:
    data = body.encode() if isinstance(body, str) else body
    lines = [
        f"POST {EXECUTE} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(data) if length is None else length}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def task(text: str) -> bytes:
    return json.dumps({"task": text}).encode()


def connect(running: Running | Server) -> socket.socket:
    server = running if isinstance(running, Server) else running.server
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (task("What is 6 times 7?"), ()),
        (task("What is 6 times 7?"), ("Prefer: wait=20",)),
        (task("What is 6 times 7?"), ("Connection: close",)),
        (task("What is 6 times 7?"), ("Accept: application/msgpack",)),
        (task(""), ()),
        (b'{"task": 1', ()),
        (b"", ()),
        (task("x"), ("Accept: image/png",)),
        (task("x"), ("Idempotency-Key: \x7f",)),
    ],
)
def test_the_answer_is_the_one_that_a_thread_gives(
    server: Running, shared: Running, body: bytes, headers: tuple[str, ...]
) -> None:
    def shape(running: Running) -> tuple[int, list[str], Any]:
        closing = headers if "Connection: close" in headers else (*headers, "Connection: close")
        answer = running.raw(post(body, *closing))
        if answer.headers["content-type"] != "application/json":
            return answer.status, sorted(answer.headers), None
        made_up = ("taskId", "sessionId", "requestId", "executionTime", "elapsedTime", "timestamp")
        return answer.status, list(answer.headers), {k: v for k, v in answer.json().items() if k not in made_up}

    assert shape(server) == shape(shared)


def test_a_request_under_a_key_is_answered_again_as_it_was(server: Running) -> None:
    headers = {"Idempotency-Key": "greenlet-1", "Prefer": "wait=20"}
    first, again = (server.client.post(EXECUTE, json={"task": "What is 2 + 3?"}, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert (first.json()["output"], again.headers["idempotent-replayed"]) == (5, "true")


def test_many_posted_at_once_all_end_right(server: Running) -> None:
    connections = [connect(server) for _ in range(40)]
    for number, connection in enumerate(connections):
        connection.sendall(post(task(f"What is {number} times 7?"), "Connection: close"))
    answers = []
    for connection in connections:
        with connection, connection.makefile("rb") as stream:
            answers.append(json.loads(stream.read().partition(b"\r\n\r\n")[2]))
    for number, answer in enumerate(answers):
        assert answer["task"] == f"What is {number} times 7?"
        path = f"/agent/tasks/{answer['taskId']}"
        until(lambda path=path: server.client.get(path).json()["status"] == "completed")  # type: ignore[misc]
        assert server.client.get(path).json()["output"] == number * 7


def test_requests_behind_one_another_are_answered_in_order(server: Running) -> None:
    texts = [f"What is {number} plus 1?" for number in range(30)]
    began_s = time.monotonic()
    with connect(server) as connection:
        last = post(task(texts[-1]), "Connection: close")
        connection.sendall(b"".join(post(task(text)) for text in texts[:-1]) + last)
        with connection.makefile("rb") as stream:
            answers = stream.read()
    at = [answers.find(text.encode()) for text in texts]
    assert answers.count(b"HTTP/1.1 200 OK") == len(texts)
    assert -1 not in at
    assert at == sorted(at)
    assert time.monotonic() - began_s < 15  # the loop does not sleep over what has come: that is a second for each


def test_a_task_that_is_waited_for_holds_up_nobody(server: Running, gate: Gate) -> None:
    with connect(server) as held:
        held.sendall(post(task(gate.task), "Prefer: wait=60", "Connection: close"))
        for number in range(3):
            assert server.result(f"What is {number} + 1?")["output"] == number + 1
        gate.open()
        with held.makefile("rb") as stream:
            assert b'"output":"found"' in stream.read()


def test_a_stream_begins_as_ever(server: Running) -> None:
    with connect(server) as connection:
        connection.sendall(post(task("What is 3 times 5?"), "Accept: text/event-stream"))
        with connection.makefile("rb") as stream:
            assert b"agent.task.completed" in stream.read()


def test_the_place_of_a_client_that_vanishes_is_free_again(
    server: Running, gate: Gate, held_now: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.http.waiting.SLICE_S", 0.05)
    connection = connect(server)
    connection.sendall(post(task(gate.task), "Prefer: wait=60"))
    until(lambda: held_now() == 1)
    connection.close()
    until(lambda: held_now() == 0)
    channels = server.server._waitress.active_channels
    until(lambda: all(not channel.requests for channel in list(channels.values())))
    assert server.result("What is 1 + 1?")["output"] == 2


def test_a_body_of_two_megabytes_is_taken_by_a_thread(server: Running) -> None:
    # the limit on a task's text is below that, so that one says where it was read
    answer = server.client.post(EXECUTE, json={"task": "x" * 2_000_000})
    assert answer.status_code in (400, 413)
    text = "What is 1 + 1?" + " " * 80_000
    assert server.result(text)["output"] == 2


def test_a_slow_body_holds_up_nobody(server: Running) -> None:
    body = task("What is 8 times 9?")
    with connect(server) as slow:
        slow.sendall(post(body[:5], "Connection: close", length=len(body)))
        assert server.result("What is 1 + 2?")["output"] == 3
        for byte in body[5:]:
            slow.sendall(bytes([byte]))
        with slow.makefile("rb") as stream:
            assert b"What is 8 times 9?" in stream.read()


@pytest.mark.parametrize("handed_back", [False, True])
def test_a_drain_answers_who_waits(
    start_server: Callable[..., Running], skills_dir: Path, gate: Gate, handed_back: bool, held_now: Callable[[], int]
) -> None:
    running = start_server(http_greenlets=True, skills_dir=skills_dir, drain_s=3 if handed_back else 20)
    with connect(running) as held, connect(running) as late:
        held.sendall(post(task(gate.task), "Prefer: wait=60", "Connection: close"))
        until(lambda: held_now() == 1)
        # while it drains nothing starts that has only been accepted
        until(lambda: running.client.get("/agent/results?status=running").json()["count"] == 1)
        closing = threading.Thread(target=running.server.close)
        closing.start()
        until(lambda: running.system.draining)
        late.sendall(post(task("What is 1 + 1?"), "Connection: close"))
        with late.makefile("rb") as stream:
            assert stream.read().startswith(b"HTTP/1.1 503 ")
        if not handed_back:
            gate.open()
        with held.makefile("rb") as stream:
            answer = stream.read()
        closing.join(20)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert (b'"output":"found"' in answer) != handed_back


class Probe:
    """An application in the place of ours, to look at how a request is run."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.waited_s = 0.0
        self.ended: list[str] = []

    def on_post(self, req: Request, resp: falcon.Response) -> None:
        body = req.bounded_stream.read()
        resp.text = "greenlet" if in_request() else "thread"
        if body.startswith(b"wait"):
            waits = suspension()
            assert waits is not None
            self.began.release()
            began_s = time.monotonic()
            try:
                waits.wait(float(body[4:]))
            finally:
                self.waited_s = time.monotonic() - began_s
                self.ended.append("ended")


@pytest.fixture
def probed(
    start_system: Callable[..., AgentSystem], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Probe, Server, threading.Thread]]:
    monkeypatch.setattr(greenlets, "_LOOK_S", 0.01)
    probe = Probe()
    app: falcon.App[Request, falcon.Response] = falcon.App(request_type=Request)
    app.add_route(EXECUTE, probe)
    app.add_route("/other", probe)
    server = Server(start_system(http_greenlets=True, http_threads=2, max_waiting=0, drain_s=1), app=app)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield probe, server, thread
    server.close()
    thread.join(20)


def ran_as(server: Server, request: bytes) -> bytes:
    with connect(server) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as stream:
            return stream.read().rpartition(b"\r\n\r\n")[2]


def test_what_takes_its_time_has_a_thread(probed: tuple[Probe, Server, threading.Thread]) -> None:
    _, server, _ = probed
    close = "Connection: close"
    assert ran_as(server, post(b"x" * greenlets.MOST_BODY_BYTES, close)) == b"greenlet"
    assert ran_as(server, post(b"x" * (greenlets.MOST_BODY_BYTES + 1), close)) == b"thread"
    assert ran_as(server, post(b"x" * 2_000_000, close)) == b"thread"
    assert ran_as(server, post(b"x", close, "Accept: text/event-stream")) == b"thread"
    assert ran_as(server, post(b"x", close).replace(EXECUTE.encode(), b"/other")) == b"thread"


def test_a_wait_ends_at_its_deadline(probed: tuple[Probe, Server, threading.Thread]) -> None:
    probe, server, _ = probed
    assert ran_as(server, post(b"wait0.2", "Connection: close")) == b"greenlet"
    assert 0.2 <= probe.waited_s < LATE_S
    assert not server._greenlets._waiting


def test_a_request_that_still_waits_at_the_end_of_the_server_is_ended(
    probed: tuple[Probe, Server, threading.Thread],
) -> None:
    probe, server, thread = probed
    with connect(server) as connection:
        connection.sendall(post(b"wait60"))
        assert probe.began.acquire(timeout=20)
        server.close()
        thread.join(20)
    assert probe.ended == ["ended"]


def turn(loop: Greenlets) -> None:
    """Turn until there is nothing to do: one turn is 5 ms, in which a machine that has other work to do may get nowhere."""
    while loop.sleep_s(1) == 0:
        loop.run()


def test_who_is_resumed_before_it_waits_or_twice_goes_on_once() -> None:
    woken = list[None]()
    loop = Greenlets(lambda: woken.append(None), 8)

    class Channel:
        caller = "ip:127.0.0.1"
        turn = None
        went_on = 0

        def service(self) -> None:
            waits = suspension()
            assert waits is not None
            waits.resume()
            waits.resume()
            waits.wait(60)
            self.went_on += 1

    channel = Channel()
    loop.add_task(channel)
    assert loop.sleep_s(1) == 0
    turn(loop)
    assert (channel.went_on, len(woken), loop.sleep_s(1)) == (1, 1, 1)


def test_no_more_wait_at_once_than_may_and_one_that_breaks_ends_no_other() -> None:
    loop = Greenlets(lambda: None, 2)
    suspended = list[Suspension]()

    class Panic(BaseException):
        """What an extension may raise."""

    class Channel:
        caller = "ip:127.0.0.1"
        turn = None

        def service(self) -> None:
            waits = suspension()
            assert waits is not None
            suspended.append(waits)
            waits.wait(60)
            raise Panic

    for _ in range(3):
        loop.add_task(Channel())
    turn(loop)
    assert (len(suspended), loop.sleep_s(1)) == (2, 1)
    suspended[0].resume()
    turn(loop)
    assert (len(suspended), len(loop.queue)) == (3, 0)
    loop.close()


def test_only_a_greenlet_can_be_suspended() -> None:
    assert suspension() is None
    assert not in_request()
