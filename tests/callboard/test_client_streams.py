"""Event streams over a network that fails: nothing is missed, nothing comes twice, and it does not try for ever."""

from collections.abc import Callable
from contextlib import closing

import pytest

from callboard import Client
from callboard.client import ConnectionChange
from callboard.client import stream as client_stream
from callboard.client.errors import (
    ApiError,
    InvalidRequestError,
    NoServerError,
    NotFoundError,
    UnavailableError,
    WaitTimeout,
)
from callboard.client.models import Event
from tests.at_once import LATE_S
from tests.callboard.unreliable import (
    STREAM,
    TASK,
    Asked,
    Unreliable,
    Wire,
    answer,
    end,
    event,
    hangs,
    no_content,
    problem,
    resets,
    result,
    streams,
)

Start = Callable[..., Unreliable]
Connect = Callable[..., Client]


def seen(client: Client, **options: object) -> list[int]:
    return [found.seq for found in client.stream(TASK, **options)]  # type: ignore[arg-type]  # as the test has it


def last_ids(server: Unreliable) -> list[str | None]:
    return [asked.headers.get("last-event-id") for asked in server.asked]


def test_a_stream_is_read_to_its_end(unreliable: Start, connect: Connect) -> None:
    server = unreliable(streams(event(1, "a"), b": \n\n", event(2, "b"), end()))
    first, second = connect(server.url).stream(TASK)
    assert (first.task_id, first.seq, first.topic, first.data) == (TASK, 1, "agent.step.started", {"text": "a"})
    assert (second.cursor, second.timestamp.isoformat()) == ("2", "2026-01-08T12:00:00.123000+00:00")
    assert (server.asked[0].method, server.asked[0].target) == ("GET", f"/agent/tasks/{TASK}/events")
    assert server.asked[0].headers["accept"] == "text/event-stream"


@pytest.mark.parametrize("after", [7, "7.345"])
def test_a_stream_begins_where_it_is_told_to(after: int | str, unreliable: Start, connect: Connect) -> None:
    server = unreliable(streams(event(8), ending="cut"), streams(event(9), end()))
    assert seen(connect(server.url), after=after) == [8, 9]
    assert server.asked[0].target.endswith(f"/events?after={after}")
    assert last_ids(server) == [None, "8"]


@pytest.mark.parametrize("ending", ["cut", "reset", "end"])
@pytest.mark.parametrize("kept", [0, 1, 9, 60, -1])
def test_a_stream_that_breaks_anywhere_in_an_event_goes_on_behind_the_last_whole_one(
    kept: int, ending: str, unreliable: Start, connect: Connect
) -> None:
    broken = event(3, "é€")[:kept]
    server = unreliable(
        streams(event(1), event(2), broken, ending=ending) if kept else streams(event(1), event(2), ending=ending),
        streams(event(3), end()),
    )
    assert seen(connect(server.url)) == [1, 2, 3]
    assert last_ids(server) == [None, "2"]


def test_half_a_character_waits_for_its_other_half_or_is_sent_again(unreliable: Start, connect: Connect) -> None:
    whole = event(1, "die Brücke")
    at = whole.index("ü".encode()) + 1
    second = event(2, "ü")
    cut = second[: second.index("ü".encode()) + 1]
    server = unreliable(streams(whole[:at], whole[at:], cut, ending="cut"), streams(second, end()))
    assert [found.data["text"] for found in connect(server.url).stream(TASK)] == ["die Brücke", "ü"]


def test_line_ends_that_only_python_takes_for_some_do_not_cut_an_event(unreliable: Start, connect: Connect) -> None:
    text = "a\u2028b\u0085c\x0bd"
    server = unreliable(streams(event(1, text), end()))
    assert [found.data["text"] for found in connect(server.url).stream(TASK)] == [text]


def test_events_of_delegated_tasks_are_resumed_by_their_own_cursor(unreliable: Start, connect: Connect) -> None:
    child = event(1, cursor="2.345", taskId="child")
    server = unreliable(streams(event(1), event(2), child, ending="cut"), streams(event(3), end()))
    found = list(connect(server.url).stream(TASK))
    assert [(one.task_id, one.seq, one.cursor) for one in found] == [
        (TASK, 1, "1"),
        (TASK, 2, "2"),
        ("child", 1, "2.345"),
        (TASK, 3, "3"),
    ]
    assert last_ids(server) == [None, "2.345"]


def test_nothing_more_to_tell_ends_a_stream(unreliable: Start, connect: Connect) -> None:
    server = unreliable(streams(event(1), ending="cut"), no_content)
    assert seen(connect(server.url)) == [1]


def test_an_unknown_task_is_said_at_once(unreliable: Start, connect: Connect) -> None:
    server = unreliable(problem(404, "task_not_found"))
    with pytest.raises(NotFoundError):
        seen(connect(server.url))
    assert len(server.asked) == 1


def test_a_server_that_is_away_for_a_while_is_waited_for(
    unreliable: Start, connect: Connect, pauses: list[float]
) -> None:
    def leave(wire: Wire) -> None:
        streams(event(1), ending="cut")(wire)
        server.down()

    def come_back() -> None:
        if len(pauses) == 3:
            server.up()

    server = unreliable(leave, problem(503, "unavailable", Retry_After="1"), streams(event(2), end()))
    assert seen(connect(server.url, during=come_back)) == [1, 2]
    assert last_ids(server) == [None, "1", "1"]


def test_too_many_streams_is_asked_again_after_what_retry_after_says(
    unreliable: Start, connect: Connect, pauses: list[float]
) -> None:
    server = unreliable(problem(503, "too_many_streams", Retry_After="2"), streams(event(1), end()))
    assert seen(connect(server.url)) == [1]
    assert pauses == [2]


def test_the_servers_retry_is_the_first_pause(unreliable: Start, connect: Connect, pauses: list[float]) -> None:
    server = unreliable(streams(b"retry: 3000\n\n", event(1), ending="cut"), resets, streams(event(2), end()))
    assert seen(connect(server.url)) == [1, 2]
    assert 1.5 <= pauses[0] <= 3 <= pauses[1] <= 6


@pytest.mark.parametrize(
    ("failing", "kind"),
    [
        (resets, NoServerError),
        (streams(ending="end"), NoServerError),
        (streams(b": \n\n", ending="cut"), NoServerError),
        (problem(503, "overloaded"), UnavailableError),
    ],
)
def test_it_gives_up_after_failures_in_a_row_without_anything_new(
    failing: Callable[[Wire], None], kind: type[Exception], unreliable: Start, connect: Connect
) -> None:
    server = unreliable(*[failing] * 9)
    with pytest.raises(kind):
        seen(connect(server.url, retries=3))
    assert len(server.asked) == 4


def test_what_is_new_makes_the_count_of_failures_begin_again(unreliable: Start, connect: Connect) -> None:
    rounds = [step for seq in range(1, 6) for step in (resets, streams(event(seq), ending="cut"))]
    server = unreliable(*rounds, streams(end()))
    assert seen(connect(server.url, retries=2)) == [1, 2, 3, 4, 5]


def test_a_connection_that_has_gone_quiet_is_made_again(
    unreliable: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_stream, "STREAM_READ_TIMEOUT_S", 0.1)
    server = unreliable(streams(event(1), ending="hang"), hangs, streams(event(2), end()))
    assert seen(connect(server.url)) == [1, 2]
    assert last_ids(server) == [None, "1", "1"]


def test_heartbeats_keep_a_connection(unreliable: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_stream, "STREAM_READ_TIMEOUT_S", 0.3)

    def beats(wire: Wire) -> None:
        streams(event(1), ending="open")(wire)
        for _ in range(6):
            wire.closing.wait(0.1)
            wire.chunk(b": \n\n")
        wire.chunk(event(2), end())
        wire.end()

    server = unreliable(beats)
    assert seen(connect(server.url)) == [1, 2]


def test_a_connection_is_used_again_after_the_end_of_a_stream(unreliable: Start, connect: Connect) -> None:
    def keeps(wire: Wire) -> None:
        wire.send(STREAM.replace(b"Connection: close\r\n", b""))
        wire.chunk(event(1), end())
        wire.end()
        wire.socket.settimeout(10)
        assert wire.socket.recv(4096).startswith(b"GET /health "), "another connection was made"
        body = b'{"status": "healthy", "version": "1", "uptime": 1}'
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)

    client = connect(unreliable(keeps).url)
    assert seen(client) == [1]
    assert client.health().status == "healthy"


def test_a_stream_that_is_closed_closes_its_connection(unreliable: Start, connect: Connect) -> None:
    server = unreliable(streams(event(1), ending="hang"))
    with closing(connect(server.url).stream(TASK)) as stream:
        assert next(stream).seq == 1
        assert not server.wires[0].client_left.is_set()
    assert server.wires[0].client_left.wait(5)


def test_a_server_without_streams_is_said_to_have_none(unreliable: Start, connect: Connect) -> None:
    server = unreliable(answer(200, {"success": True, "events": [], "ended": True, "nextAfter": 0}))
    with pytest.raises(NoServerError, match="no event streams"):
        seen(connect(server.url))


@pytest.mark.parametrize("garbage", [b"data: {nothing\n\n", b"data: 12\n\n", b"event: end\ndata: {}\n\n"])
def test_what_no_callboard_says_is_an_error_of_its_own(garbage: bytes, unreliable: Start, connect: Connect) -> None:
    server = unreliable(streams(garbage))
    with pytest.raises(NoServerError, match="cannot be read"):
        seen(connect(server.url))


def test_a_stream_that_is_not_compressed_as_it_says_is_an_error_of_its_own(unreliable: Start, connect: Connect) -> None:
    def garbled(wire: Wire) -> None:
        wire.send(STREAM.replace(b"Connection: close", b"Content-Encoding: gzip"))
        wire.chunk(b"data: nothing\n\n")
        wire.end()

    with pytest.raises(NoServerError, match="cannot be read"):
        seen(connect(unreliable(garbled).url))


# --- the feed of all tasks ---


def test_the_feed_goes_on_behind_the_position_that_it_began_at(unreliable: Start, connect: Connect) -> None:
    told = event(4, cursor="90", sessionId="alice", position=90)
    server = unreliable(
        streams(b"id: 88\n\n", ending="cut"), streams(told, ending="cut"), problem(401, "api_key_required")
    )
    feed = connect(server.url).events(topic=["agent.task.*", "agent.step.started"], session_id="alice", agent="master")
    found = next(feed)
    assert (found.position, found.session_id, found.seq, found.cursor) == (90, "alice", 4, "90")
    with pytest.raises(ApiError):
        next(feed)
    assert last_ids(server) == [None, "88", "90"]
    assert (
        server.asked[0].target == "/agent/events?topic=agent.task.%2A%2Cagent.step.started&sessionId=alice&agent=master"
    )


def test_the_feed_can_begin_in_the_past(unreliable: Start, connect: Connect) -> None:
    server = unreliable(streams(event(1, cursor="1", position=1), ending="hang"))
    with closing(connect(server.url).events(after=0, task_id=TASK)) as feed:
        assert next(feed).position == 1
    assert server.asked[0].target == f"/agent/events?taskId={TASK}&after=0"


# --- execute ---


def test_execute_submits_and_returns_the_end_of_the_stream(unreliable: Start, connect: Connect) -> None:
    told: list[Event] = []
    server = unreliable(streams(event(1), event(2), end({"x": [1]})))
    found = connect(server.url).execute("2 + 2", on_event=told.append, session_id="alice")
    assert (found.output, found.ok, [one.seq for one in told]) == ({"x": [1]}, True, [1, 2])
    [asked] = server.asked
    assert (asked.method, asked.target, asked.json()) == (
        "POST",
        "/agent/execute",
        {"task": "2 + 2", "sessionId": "alice"},
    )
    assert asked.headers["accept"] == "text/event-stream"
    assert asked.headers["idempotency-key"]


def _posts(server: Unreliable) -> list[Asked]:
    return [asked for asked in server.asked if asked.method == "POST"]


@pytest.mark.parametrize(
    "broken",
    [
        resets,
        streams(ending="cut"),
        streams(event(1)[:40], ending="reset"),
        problem(503, "overloaded"),
    ],
)
def test_a_submission_that_breaks_before_the_first_event_is_sent_again_with_its_key(
    broken: Callable[[Wire], None], unreliable: Start, connect: Connect
) -> None:
    server = unreliable(broken, broken, streams(event(1), end()))
    assert connect(server.url).execute("2 + 2").output == 84
    posts = _posts(server)
    assert len(posts) == len(server.asked) == 3
    assert len({(post.headers["idempotency-key"], post.body) for post in posts}) == 1


def test_a_submission_that_breaks_after_the_first_event_is_followed_and_not_sent_again(
    unreliable: Start, connect: Connect
) -> None:
    told: list[int] = []
    server = unreliable(
        streams(event(1), ending="reset"),
        problem(503, "too_many_streams", Retry_After="2"),
        streams(event(2), ending="cut"),
        streams(event(3), end()),
    )
    connect(server.url).execute("2 + 2", on_event=lambda one: told.append(one.seq))
    assert told == [1, 2, 3]
    assert [asked.method for asked in server.asked] == ["POST", "GET", "GET", "GET"]
    assert last_ids(server) == [None, "1", "1", "2"]


def test_a_result_that_was_not_told_is_asked_for(unreliable: Start, connect: Connect) -> None:
    server = unreliable(
        streams(event(1), event(2), ending="cut"), no_content, answer(200, {"success": True, "result": result(7)})
    )
    assert connect(server.url).execute("2 + 2").output == 7


def test_a_task_that_failed_has_a_result(unreliable: Start, connect: Connect) -> None:
    failed = end(None, success=False, status="failed", error="It cannot be parsed.", errorCode="type_check_failed")
    found = connect(unreliable(streams(event(1), failed)).url).execute("2 +")
    assert (found.ok, found.error_code) == (False, "type_check_failed")


def test_a_refused_task_is_not_sent_again(unreliable: Start, connect: Connect) -> None:
    server = unreliable(problem(400, "unknown_skill"))
    with pytest.raises(InvalidRequestError):
        connect(server.url).execute("2 + 2", available_skills=["none"])
    assert len(server.asked) == 1


@pytest.mark.parametrize("wait_s", [0, 0.3, 1.2])
def test_a_wait_that_is_over_names_the_task_that_goes_on(wait_s: float, unreliable: Start, connect: Connect) -> None:
    server = unreliable(*[streams(event(1), ending="hang")] * 9)
    client = connect(server.url)
    began = client._transport.clock.monotonic()
    with pytest.raises(WaitTimeout, match=TASK) as caught:
        client.execute("2 + 2", wait_s=wait_s)
    assert caught.value.task_id == TASK
    assert wait_s <= client._transport.clock.monotonic() - began < wait_s + LATE_S
    assert len(_posts(server)) == 1


def test_events_do_not_put_the_end_of_a_wait_off(unreliable: Start, connect: Connect) -> None:
    def chatters(wire: Wire) -> None:
        streams(ending="open")(wire)
        seq = 1
        while not wire.closing.wait(0.02):
            wire.chunk(event(seq))
            seq += 1

    client = connect(unreliable(*[chatters] * 9).url)
    began = client._transport.clock.monotonic()
    with pytest.raises(WaitTimeout):
        client.execute("2 + 2", wait_s=1)
    assert client._transport.clock.monotonic() - began < 1 + LATE_S


def test_a_wait_that_is_over_before_anything_was_accepted_says_why(unreliable: Start, connect: Connect) -> None:
    server = unreliable(resets)
    with pytest.raises(NoServerError):
        connect(server.url).execute("2 + 2", wait_s=0)


def test_an_interrupt_while_it_waits_is_passed_on_and_cancels_nothing(unreliable: Start, connect: Connect) -> None:
    def interrupt(_: Event) -> None:
        raise KeyboardInterrupt

    server = unreliable(streams(event(1), ending="hang"))
    with pytest.raises(KeyboardInterrupt):
        connect(server.url).execute("2 + 2", on_event=interrupt)
    assert server.wires[0].client_left.wait(5)
    assert len(server.asked) == 1


def test_the_hook_is_told_once_that_a_connection_is_lost_and_once_that_it_is_back(
    unreliable: Start, connect: Connect
) -> None:
    changes: list[ConnectionChange] = []
    away = answer(502, b"<html>Bad gateway</html>")
    server = unreliable(streams(event(1), ending="cut"), resets, away, streams(event(2), end()))
    assert seen(connect(server.url, on_connection=changes.append)) == [1, 2]
    assert [change.lost for change in changes] == [True, False]
    assert {change.url for change in changes} == {server.url}
    assert changes[0].why
    assert changes[1].away_s > 0


def test_the_hook_hears_nothing_of_a_server_that_answers_or_that_is_not_tried_again(
    unreliable: Start, connect: Connect
) -> None:
    changes: list[ConnectionChange] = []
    server = unreliable(problem(503, "overloaded"), streams(event(1), end()))
    assert seen(connect(server.url, on_connection=changes.append)) == [1]
    server.down()
    with pytest.raises(NoServerError):
        connect(server.url, retries=0, on_connection=changes.append).health()
    assert changes == []
