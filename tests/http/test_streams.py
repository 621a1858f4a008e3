"""Streams of one task: from any number without a gap or a repeat, live, and never at the cost of other requests."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from callboard.messages.events import GetFamilyEvents, ListEvents
from tests.at_once import LATE_S
from tests.http.streaming import ACCEPT, Entry, events_of, stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.http.conftest import Gate, Running

DELEGATING = """```python
import asyncio
from skills import calculate, delegate
calculate("1 + 1")
await asyncio.gather(delegate("data-analyst", "What is 6 times 7?"), delegate("data-analyst", "What is 6 times 9?"))
calculate("2 + 2")
```"""


def events_path(task_id: str) -> str:
    return f"/agent/tasks/{task_id}/events"


def log_of(running: Running, task_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = running.client.get(events_path(task_id)).json()["events"]
    return found


def until(condition: Callable[[], bool], within_s: float = 15) -> float:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() < started + within_s
    return time.monotonic() - started


def open_raw(running: Running, path: str, *, version: str = "1.1", receive_bytes: int | None = None) -> socket.socket:
    """Open a stream and read nothing of it."""
    connection = socket.socket()
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", running.server.port))
    connection.sendall(f"GET {path} HTTP/{version}\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode())
    return connection


def test_the_stream_of_a_finished_task_is_its_log_its_result_and_an_end(shared: Running) -> None:
    task_id = shared.result("What is 12 times 7?")["taskId"]
    *log, end = events_of(shared.client, events_path(task_id))
    assert [entry.data for entry in log] == log_of(shared, task_id)
    assert [entry.id for entry in log] == [str(entry.data["seq"]) for entry in log]
    assert all(entry.event is None for entry in log)
    result = shared.client.get("/agent/results", params={"taskId": task_id}).json()["result"]
    assert end == Entry(event="end", data=result)


def test_events_come_while_the_task_runs(shared: Running, gate: Gate) -> None:
    task_id = shared.execute(gate.task).json()["taskId"]
    with stream(shared.client, events_path(task_id)) as found:
        assert next(found).retry == "1000"
        topics: list[str] = []
        while not topics or topics[-1] != "agent.skill.started":
            topics.append(next(found).data["topic"])
        gate.open()
        rest = list(found)
    assert [entry.data["topic"] for entry in rest[:-1]][-1] == "agent.task.completed"
    assert len(topics) + len(rest) - 1 == len(log_of(shared, task_id))
    assert rest[-1].data["output"] == "found"


@pytest.mark.parametrize("how", ["Last-Event-ID", "after"])
def test_a_stream_goes_on_behind_any_number(shared: Running, how: str) -> None:
    task_id = shared.result("What is 2 + 3?")["taskId"]
    whole = events_of(shared.client, events_path(task_id))
    for number, entry in enumerate(whole[:-2]):
        options: dict[str, Any] = {"headers": {how: entry.id}} if how != "after" else {"params": {how: entry.id}}
        assert events_of(shared.client, events_path(task_id), **options) == whole[number + 1 :]


def test_what_the_browser_sends_counts_before_the_address(shared: Running) -> None:
    task_id = shared.result("What is 2 + 4?")["taskId"]
    found = events_of(shared.client, events_path(task_id), params={"after": "1"}, headers={"Last-Event-ID": "4"})
    assert found[0].id == "5"


@pytest.mark.parametrize("place", ["6", "9999", "2.999999999999999"])
def test_behind_the_end_of_an_ended_task_there_is_nothing(shared: Running, place: str) -> None:
    task_id = shared.result("What is 2 + 5?")["taskId"]
    assert len(log_of(shared, task_id)) == 6
    for headers, params in (({"Last-Event-ID": place}, {}), ({}, {"after": place})):
        reply = shared.client.get(events_path(task_id), headers={**ACCEPT, **headers}, params=params)
        assert (reply.status_code, reply.content) == (204, b"")


def test_an_id_of_another_task_has_the_stream_of_an_ended_one_end(shared: Running) -> None:
    task_id = shared.result("What is 2 + 6?")["taskId"]
    shared.result("What is 2 + 7?")
    last = shared.client.get("/agent/events", params={"after": 10**15 - 1}).json()["nextAfter"]
    reply = shared.client.get(events_path(task_id), headers={**ACCEPT, "Last-Event-ID": f"2.{last}"})
    assert (reply.status_code, reply.content) == (204, b"")


@pytest.mark.parametrize("place", ["9999", "9999.9999999", "2.9999999"])
def test_a_place_the_task_has_not_come_to_means_from_now_on(shared: Running, gate: Gate, place: str) -> None:
    task_id = shared.execute(gate.task).json()["taskId"]
    until(lambda: len(log_of(shared, task_id)) == 3)
    with stream(shared.client, events_path(task_id), params={"after": place}) as found:
        assert next(found).retry == "1000"
        gate.open()
        assert next(found).id == "4"
        assert [*found][-1].event == "end"


def test_a_new_task_is_submitted_and_streamed_in_one_request(shared: Running) -> None:
    *log, end = events_of(shared.client, "/agent/execute", "POST", json={"task": "What is 3 + 4?"})
    assert [entry.id for entry in log] == ["1", "2", "3", "4", "5", "6"]
    assert end.data["output"] == 7
    assert log_of(shared, end.data["taskId"]) == [entry.data for entry in log]


def test_a_repeat_with_the_same_key_streams_the_first_ones_task(shared: Running) -> None:
    options = {"json": {"task": "What is 3 + 5?"}, "headers": {"Idempotency-Key": "streamed-once"}}
    first = events_of(shared.client, "/agent/execute", "POST", **options)
    assert events_of(shared.client, "/agent/execute", "POST", **options) == first
    accepted = shared.client.post("/agent/execute", **options).json()  # type: ignore[arg-type]
    assert accepted["taskId"] == first[-1].data["taskId"]


@pytest.fixture(scope="module")
def delegating(shared: Running) -> list[Entry]:
    """The stream of a task that has delegated two others, as it was seen live."""
    return events_of(shared.client, "/agent/execute", "POST", json={"task": DELEGATING})


def test_events_of_delegated_tasks_are_in_the_stream_of_their_parent(shared: Running, delegating: list[Entry]) -> None:
    task_id = delegating[-1].data["taskId"]
    children = shared.client.get("/agent/results", params={"parentId": task_id}).json()["results"]
    assert len(children) == 2
    for one in (task_id, *(child["taskId"] for child in children)):
        assert [e.data for e in delegating[:-1] if e.data["taskId"] == one] == log_of(shared, one)
    own, positions = 0, []
    for entry in delegating[:-1]:
        if entry.data["taskId"] == task_id:
            own += 1
            assert entry.id == str(own)
        else:
            last, _, position = str(entry.id).partition(".")
            assert last == str(own)
            positions.append(int(position))
    assert positions == sorted(set(positions))


def test_the_stream_of_a_family_goes_on_behind_any_of_its_ids(shared: Running, delegating: list[Entry]) -> None:
    task_id = delegating[-1].data["taskId"]
    assert events_of(shared.client, events_path(task_id)) == delegating
    for number, entry in enumerate(delegating[:-2]):
        resumed = events_of(shared.client, events_path(task_id), headers={"Last-Event-ID": str(entry.id)})
        assert resumed == delegating[number + 1 :]


def test_nothing_is_missed_or_repeated_while_many_follow_many_tasks(shared: Running) -> None:
    tasks = [shared.execute(DELEGATING if n % 3 == 0 else f"What is {n} + 1?").json()["taskId"] for n in range(12)]
    live = [events_of(shared.client, events_path(task_id)) for task_id in tasks]
    assert live == [events_of(shared.client, events_path(task_id)) for task_id in tasks]


def test_a_quiet_stream_has_heartbeats(
    shared: Running, blocked: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.http.streams.HEARTBEAT_S", 0.05)
    task_id = blocked()
    with stream(shared.client, events_path(task_id)) as found:
        beats = 0
        while beats < 3:
            beats += next(found).comment


def test_streams_beyond_the_cap_are_refused_and_other_requests_go_on(
    start_server: Callable[..., Running], skills_dir: Path, gate: Gate, assert_problem: Any
) -> None:
    most = 24
    running = start_server(skills_dir=skills_dir, max_streams=most, http_threads=2, max_waiting=2)
    task_id = running.execute(gate.task).json()["taskId"]
    with ExitStack() as opened:
        for _ in range(21):  # a caller's share of them, and more than all the threads that the server begins with
            connection = opened.enter_context(open_raw(running, events_path(task_id)))
            assert connection.recv(12) == b"HTTP/1.1 200"
        for method, path, body in (
            ("GET", events_path(task_id), None),
            ("GET", "/agent/events", None),
            ("POST", "/agent/execute", {"task": "What is 1 + 1?"}),
        ):
            answer = running.client.request(method, path, json=body, headers=ACCEPT)
            assert assert_problem(answer, 503, "too_many_streams")["retryAfter"] == 2
            assert answer.headers["retry-after"] == "2"
        assert running.client.get("/agent/results").json()["count"] == 1, "nothing may be accepted without a place"
        for _ in range(8):
            assert running.client.get("/health/live", timeout=2).status_code == 200
        assert running.client.get(events_path(task_id), params={"after": 99, "wait": 0.1}).status_code == 200


def _held(connection: socket.socket) -> bool:
    """Say whether a stream has begun; the place of the one before may be a moment from being free."""
    return connection.recv(12) == b"HTTP/1.1 200"


def _free(running: Running, path: str) -> bool:
    with running.client.stream("GET", path, headers=ACCEPT) as reply:
        return reply.status_code == 200


def test_the_place_of_a_client_that_vanished_is_free_within_a_second(
    start_server: Callable[..., Running], skills_dir: Path, gate: Gate
) -> None:
    running = start_server(skills_dir=skills_dir, max_streams=1)
    task_id = running.execute(gate.task).json()["taskId"]
    for path in (events_path(task_id), "/agent/events"):
        with ExitStack() as held:
            until(lambda path=path, held=held: _held(held.enter_context(open_raw(running, path))))  # type: ignore[misc]
            assert not _free(running, path)
        assert until(lambda path=path: _free(running, path)) < 1  # type: ignore[misc]


@pytest.mark.parametrize("feed", [False, True])
def test_a_client_that_vanishes_before_its_stream_begins_keeps_no_place(
    feed: bool, start_server: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start_server(max_streams=1)
    path = "/agent/events?after=0" if feed else events_path(running.result("What is 12 times 7?")["taskId"])
    channels = running.server._waitress.active_channels
    gateway, vanishing = running.system.gateway, list[socket.socket]()
    real, vanished = type(gateway).ask, list[int]()

    def ask(self: Any, message: Any, **envelope: Any) -> Any:
        reply = real(self, message, **envelope)
        if isinstance(message, GetFamilyEvents | ListEvents) and not vanished:
            until(lambda: bool(vanishing))
            vanished.append(vanishing[0].getsockname()[1])
            vanishing[0].close()
            until(lambda: all(channel.addr[1] not in vanished for channel in list(channels.values())))
        return reply

    monkeypatch.setattr(type(gateway), "ask", ask)
    vanishing.append(open_raw(running, path))
    until(lambda: bool(vanished))
    assert until(lambda: _free(running, path)) < 1


def test_a_client_that_vanishes_is_noticed_behind_a_second_request(
    start_server: Callable[..., Running], skills_dir: Path, gate: Gate
) -> None:
    running = start_server(skills_dir=skills_dir, max_streams=1)
    path = events_path(running.execute(gate.task).json()["taskId"])
    with open_raw(running, path) as connection:
        assert connection.recv(12) == b"HTTP/1.1 200"
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        assert not _free(running, path)
    assert until(lambda: _free(running, path)) < 1


BIG = "```python\n'" + 95_000 * "\U0001f600" + "'\n```"  # its first event has it whole, 380 KB


def test_a_reader_that_takes_nothing_is_dropped_and_can_resume(
    start_server: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.http.connection.STALLED_S", 0.3)
    running = start_server(max_streams=1)
    for _ in range(12):
        running.result(BIG)
    path = "/agent/events?after=0&topic=agent.task.*"
    with open_raw(running, path, receive_bytes=8192) as slow:
        assert slow.recv(12) == b"HTTP/1.1 200"
        until(lambda: _free(running, "/agent/events"))
        got = _all(slow)
    seen = [int(line.removeprefix(b"id: ")) for line in got.split(b"\n") if line.startswith(b"id: ")]
    assert 0 < len(seen) < 24, "some of it was sent, and not all was held for it"
    # the last entry may have broken off in the middle, and then has not been seen
    whole = seen if got.endswith(b"\n\n\r\n") else seen[:-1]
    everything: list[int] = []
    while page := running.client.get(
        "/agent/events", params={"topic": "agent.task.*", "after": max(everything, default=0)}
    ).json()["events"]:
        everything += [event["position"] for event in page]
    assert len(everything) == 24
    rest: list[int] = []
    resumed = {"Last-Event-ID": str(max(whole, default=0))}  # none at all where the first one broke off
    with stream(running.client, path, headers=resumed, patient=True) as found:
        assert next(found).retry == "1000"
        while len(whole) + len(rest) < len(everything):
            rest.append(int(str(next(found).id)))
    assert whole + rest == everything


def _all(connection: socket.socket) -> bytes:
    got = b""
    try:
        while some := connection.recv(1 << 20):
            got += some
    except ConnectionError:
        pass
    return got


def test_a_stream_over_http_1_0_has_no_chunks_and_ends_with_the_connection(shared: Running) -> None:
    task_id = shared.result("What is 4 + 4?")["taskId"]
    with open_raw(shared, events_path(task_id), version="1.0") as connection:
        head, _, body = _all(connection).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body.startswith(b"retry: 1000\n\nid: 1\ndata: {")
    assert body.endswith(b"}\n\n")
    assert b"event: end\ndata: " in body


@pytest.mark.parametrize("path", ["/agent/events", "task"])
def test_head_answers_the_headers_and_opens_nothing(start_server: Callable[..., Running], path: str) -> None:
    running = start_server(max_streams=0)
    if path == "task":
        path = events_path(running.result("What is 4 + 5?")["taskId"])
    reply = running.client.head(path, headers=ACCEPT)
    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("application/json, text/event-stream", "application/json"),
        ("text/event-stream;q=0.5, application/json", "application/json"),
        ("application/msgpack", "application/msgpack"),
        ("text/event-stream, */*;q=0.1", "text/event-stream; charset=utf-8"),
        ("text/*", "text/event-stream; charset=utf-8"),
    ],
)
def test_there_is_a_stream_only_for_who_prefers_one(shared: Running, accept: str, kind: str) -> None:
    task_id = shared.result("What is 5 + 5?")["taskId"]
    assert shared.client.get(events_path(task_id), headers={"Accept": accept}).headers["content-type"] == kind


def test_errors_before_a_stream_begins_are_ordinary_ones(shared: Running, assert_problem: Any) -> None:
    task_id = shared.result("What is 5 + 6?")["taskId"]
    get = shared.client.get
    assert_problem(get(events_path("nobody"), headers=ACCEPT), 404, "task_not_found")
    for place in ("x", "1.", "1.2.3", "-1", "9" * 19 + ".1"):
        reply = get(events_path(task_id), headers={**ACCEPT, "Last-Event-ID": place})
        assert_problem(reply, 400, "invalid_request")
    assert_problem(get(f"{events_path(task_id)}?wait=1", headers=ACCEPT), 400, "invalid_request")
    reply = shared.client.post("/agent/execute", json={"task": ""}, headers=ACCEPT)
    assert_problem(reply, 400, "invalid_request")
    assert reply.headers["content-type"] == "application/json"


def test_keys_and_limits_hold_at_the_opening(start_server: Callable[..., Running], assert_problem: Any) -> None:
    running = start_server(api_key=("k",), rate_limit_max_requests=2)
    assert_problem(running.client.get("/agent/events", headers=ACCEPT), 401, "api_key_required")
    with ExitStack() as opened:
        for _ in range(2):
            opened.enter_context(stream(running.client, "/agent/events", headers={"X-API-Key": "k"}))
        reply = running.client.get("/agent/events", headers={**ACCEPT, "X-API-Key": "k"})
        assert_problem(reply, 429, "rate_limited")


def test_a_browser_may_send_where_it_was(start_server: Callable[..., Running]) -> None:
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "last-event-id, x-api-key, accept",
    }
    running = start_server(allowed_origins=("https://app.example",))
    allowed = running.client.options(events_path("x"), headers=asked).headers["access-control-allow-headers"]
    assert {"last-event-id", "x-api-key"} <= set(allowed.split(", "))


def test_a_stream_has_one_line_in_the_log_when_it_ends(
    start_server: Callable[..., Running], capsys: pytest.CaptureFixture[str]
) -> None:
    running = start_server(log_level="info", log_format="json")
    task_id = running.result("What is 6 + 6?")["taskId"]
    events_of(running.client, events_path(task_id))
    lines: list[dict[str, Any]] = []

    def logged() -> bool:
        lines.extend(json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{"))
        return any(line.get("path") == events_path(task_id) for line in lines)

    until(logged)
    [line] = [line for line in lines if line.get("path") == events_path(task_id)]
    assert (line["status"], line["task_id"]) == (200, task_id)


def test_while_the_server_drains_the_streams_of_running_tasks_go_on_to_the_end(
    start_server: Callable[..., Running], skills_dir: Path, gate: Gate
) -> None:
    running = start_server(skills_dir=skills_dir, drain_s=20)
    task_id = running.execute(gate.task).json()["taskId"]
    with stream(running.client, events_path(task_id)) as found:
        assert next(found).retry == "1000"
        while next(found).data["topic"] != "agent.skill.started":
            pass
        running.server._stopping.set()
        running.server._waitress.pull_trigger()
        until(lambda: running.system.draining)
        gate.open()
        assert [*found][-1].data["output"] == "found"
    running.thread.join(10)
    assert not running.thread.is_alive()


def test_streams_with_nothing_to_come_do_not_hold_the_end_up(start_server: Callable[..., Running]) -> None:
    running = start_server(drain_s=30)
    with stream(running.client, "/agent/events") as feed:
        assert next(feed).retry == "1000"
        started = time.monotonic()
        running.server.close()
        assert time.monotonic() - started < LATE_S
        assert [entry for entry in feed if entry.data is not None] == []


def test_a_task_that_is_handed_back_has_no_end_in_its_stream(
    start_server: Callable[..., Running], skills_dir: Path, gate: Gate
) -> None:
    running = start_server(skills_dir=skills_dir, drain_s=1)
    task_id = running.execute(gate.task).json()["taskId"]
    with stream(running.client, events_path(task_id)) as found:
        assert next(found).retry == "1000"
        running.server.close()
        seen = list(found)
    assert all(entry.event is None for entry in seen)
    running.thread.join(10)
    assert not running.thread.is_alive()


@pytest.fixture
def slow_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sinks that hold next to nothing, so that the store is read again and again."""
    monkeypatch.setattr("callboard.actors.subscriptions.MOST_HELD", 1)
    monkeypatch.setattr("callboard.actors.following.PAGE", 2)


@pytest.mark.usefixtures("slow_store")
def test_what_a_sink_cannot_hold_is_read_from_the_store(shared: Running) -> None:
    for _ in range(5):
        live = events_of(shared.client, "/agent/execute", "POST", json={"task": DELEGATING})
        assert live == events_of(shared.client, events_path(live[-1].data["taskId"]))
