"""What happens to all tasks: pages and a stream, with filters, in the order of the commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from callboard.actors.following import FeedFollower
from callboard.messages.events import MOST_POSITION, ListEvents
from tests.http.streaming import ACCEPT, Entry, stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import Running


def feed(running: Running, **params: Any) -> dict[str, Any]:
    reply = running.client.get("/agent/events", params=params)
    assert reply.status_code == 200, reply.text
    page: dict[str, Any] = reply.json()
    return page


def now(running: Running) -> int:
    """Return where the feed stands."""
    with stream(running.client, "/agent/events") as found:
        assert next(found).retry == "1000"
        return int(str(next(found).id))


def everything(running: Running, **params: Any) -> list[dict[str, Any]]:
    """Return all events that fit, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        page = feed(running, **params)
        found += page["events"]
        if page["nextAfter"] == params.get("after", 0):
            return found
        params["after"] = page["nextAfter"]


def test_pages_of_any_size_hold_every_event_once_and_in_order(start_server: Callable[..., Running]) -> None:
    running = start_server()
    tasks = [running.result(f"What is {n} + {n}?")["taskId"] for n in range(4)]
    whole = everything(running)
    positions = [event["position"] for event in whole]
    assert positions == sorted(set(positions))
    for task_id in tasks:
        log = running.client.get(f"/agent/tasks/{task_id}/events").json()["events"]
        mine = [event for event in whole if event["taskId"] == task_id]
        assert [{k: v for k, v in e.items() if k not in ("sessionId", "position")} for e in mine] == log
        assert {event["sessionId"] for event in mine} == {task_id}
    for limit in (1, 2, 5, 1000):
        assert everything(running, limit=limit) == whole


def test_filters_choose_by_topic_task_session_and_agent(start_server: Callable[..., Running]) -> None:
    running = start_server()
    one = running.result("What is 1 + 1?", sessionId="first")["taskId"]
    two = running.result("What is 1 + 2?", sessionId="second", agent="data-analyst")["taskId"]
    whole = everything(running)

    def expected(fits: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        found = [event for event in whole if fits(event)]
        assert found
        return found

    assert everything(running, taskId=one) == expected(lambda e: e["taskId"] == one)
    assert everything(running, sessionId="second") == expected(lambda e: e["taskId"] == two)
    assert everything(running, agent="data-analyst") == expected(lambda e: e["taskId"] == two)
    assert everything(running, agent="master") == expected(lambda e: e["taskId"] == one)
    assert everything(running, topic="agent.task.*") == expected(lambda e: e["topic"].startswith("agent.task."))
    assert everything(running, topic="*") == whole
    several = {"agent.skill.started", "agent.task.completed"}
    assert everything(running, topic=",".join(several)) == expected(lambda e: e["topic"] in several)
    both = everything(running, topic="agent.task.completed", taskId=two, sessionId="second", agent="data-analyst")
    assert [event["seq"] for event in both] == [6]
    assert everything(running, taskId=one, sessionId="second") == []


@pytest.mark.parametrize(
    "params",
    [
        {"topic": "agent.task.flown"},
        {"topic": "x*"},
        {"topic": ""},
        {"topic": "agent.task.*,"},
        {"taskId": "no id"},
        {"sessionId": "no id"},
        {"limit": "0"},
        {"limit": "1001"},
        {"after": "-1"},
        {"after": "1.5"},
        {"surprise": "1"},
    ],
)
def test_what_the_feed_cannot_be_asked_is_refused(shared: Running, assert_problem: Any, params: dict[str, str]) -> None:
    assert_problem(shared.client.get("/agent/events", params=params), 400, "invalid_request")
    reply = shared.client.get("/agent/events", params=params, headers=ACCEPT)
    assert_problem(reply, 400, "invalid_request")


def test_a_page_that_finds_nothing_in_what_it_looks_at_says_where_to_go_on(
    start_server: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start_server()
    for n in range(3):
        running.result(f"What is {n} + 9?", sessionId=f"s{n}")
    wanted = everything(running, sessionId="s2")
    monkeypatch.setattr("callboard.persistence.feeds.MOST_LOOKED_AT", 4)
    monkeypatch.setattr("callboard.http.feed._LOOK_S", 0.0)
    page = feed(running, sessionId="s2")
    assert (page["events"], page["nextAfter"]) == ([], 4)
    assert everything(running, sessionId="s2") == wanted
    with stream(running.client, "/agent/events", params={"sessionId": "s2", "after": 0}) as found:
        assert next(found).retry == "1000"
        assert [next(found).data for _ in wanted] == wanted


def test_a_held_page_is_answered_with_what_happens_next(shared: Running, blocked: Callable[..., str]) -> None:
    after = now(shared)
    assert feed(shared, after=after, wait=0.05)["nextAfter"] == after
    task_id = blocked()
    page = feed(shared, after=after, wait=20, taskId=task_id)
    assert page["events"][0]["seq"] == 1
    shared.client.post(f"/agent/tasks/{task_id}/cancel")
    ends = feed(shared, after=page["nextAfter"], wait=20, taskId=task_id, topic="agent.task.cancelled")["events"]
    assert [event["topic"] for event in ends] == ["agent.task.cancelled"]


def test_what_comes_before_a_held_page_begins_to_wait_is_not_waited_for(
    start_server: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start_server()
    real, made = running.system.feed, list[str]()

    def feed_of_a_busy_server(query: ListEvents, **asker: Any) -> FeedFollower:
        made.append(running.result("What is 3 + 9?")["taskId"])
        return real(query, **asker)

    def wait(_follower: FeedFollower, _wait_s: float) -> None:
        pytest.fail("it waits although there is something")

    monkeypatch.setattr(running.system, "feed", feed_of_a_busy_server)
    monkeypatch.setattr(FeedFollower, "wait", wait)
    page = feed(running, after=0, wait=20)
    assert {event["taskId"] for event in page["events"]} == set(made)


def test_a_held_page_looks_at_what_does_not_fit_once(
    start_server: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start_server()
    running.result("What is 4 + 9?")
    gateway, looked = running.system.gateway, list[int | None]()
    real, waits = type(gateway).ask, list[float]()

    def ask(self: Any, message: Any, **envelope: Any) -> Any:
        if isinstance(message, ListEvents):
            looked.append(message.after)
        return real(self, message, **envelope)

    def wait(_follower: FeedFollower, wait_s: float) -> None:
        waits.append(wait_s)
        running.result("What is 5 + 9?", sessionId="other" if len(waits) == 1 else "mine")

    monkeypatch.setattr(type(gateway), "ask", ask)
    monkeypatch.setattr(FeedFollower, "wait", wait)
    page = feed(running, sessionId="mine", after=0, wait=20)
    assert {event["sessionId"] for event in page["events"]} == {"mine"}
    assert looked == [0, 6, 6, 12]


def test_the_stream_begins_now_or_where_it_was_and_misses_nothing(start_server: Callable[..., Running]) -> None:
    running = start_server()
    running.result("What is 2 + 2?")
    begun = now(running)
    with stream(running.client, "/agent/events") as found:
        assert next(found) == Entry(retry="1000")
        assert next(found) == Entry(id=str(begun))
        for n in range(3):
            running.result(f"What is 3 + {n}?")
        live = [next(found) for _ in range(18)]
    whole = everything(running, after=begun)
    assert [entry.data for entry in live] == whole
    assert [entry.id for entry in live] == [str(event["position"]) for event in whole]
    for number, entry in enumerate(live[:-1]):
        with stream(running.client, "/agent/events", headers={"Last-Event-ID": str(entry.id)}) as found:
            assert next(found).retry == "1000"
            assert next(found) == live[number + 1]


@pytest.mark.parametrize("ahead", [1, 1000, None])
def test_a_place_the_feed_has_not_come_to_means_from_now_on_and_the_client_is_told_where_that_is(
    start_server: Callable[..., Running], ahead: int | None
) -> None:
    """As behind a history that was put back: held on to, the place would be passed one day, and what came before it missed."""
    running = start_server()
    running.result("What is 7 + 9?")
    beyond = MOST_POSITION if ahead is None else now(running) + ahead
    assert feed(running, after=beyond)["nextAfter"] == now(running)
    with stream(running.client, "/agent/events", headers={"Last-Event-ID": str(beyond)}) as found:
        assert next(found).retry == "1000"
        assert next(found) == Entry(id=str(now(running)))
        task_id = running.result("What is 8 + 9?")["taskId"]
        assert next(entry.data for entry in found if entry.data)["taskId"] == task_id


def test_a_filtered_stream_gets_what_fits_and_goes_on_from_where_it_looked(
    start_server: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.http.streams.HEARTBEAT_S", 0.1)
    running = start_server()
    with stream(running.client, "/agent/events", params={"sessionId": "mine", "topic": "agent.task.*"}) as found:
        assert next(found).retry == "1000"
        begun = int(str(next(found).id))
        running.result("What is 1 + 3?", sessionId="theirs")
        marked = next(entry for entry in found if entry.id is not None)
        assert marked.data is None, "an id alone: nothing of theirs, and no need to look at it again"
        assert int(marked.id or 0) > begun
        running.result("What is 1 + 4?", sessionId="mine")
        mine = [next(e for e in found if e.data is not None).data for _ in range(2)]
    assert [event["topic"] for event in mine] == ["agent.task.execute", "agent.task.completed"]
    assert {event["sessionId"] for event in mine} == {"mine"}


@pytest.mark.parametrize("place", ["x", "1.5", "-1", str(MOST_POSITION + 1), "9" * 20])
def test_a_place_that_the_feed_never_gave_is_refused(shared: Running, assert_problem: Any, place: str) -> None:
    reply = shared.client.get("/agent/events", headers={**ACCEPT, "Last-Event-ID": place})
    assert_problem(reply, 400, "invalid_request")
