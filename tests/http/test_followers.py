"""Who comes back with a position gets what comes behind it, once and in order, whatever has died meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from callboard.actors.waiters import Waiters
from tests.http.streaming import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.http.conftest import Running


class Client:
    """Follows all tasks; comes back with the last `id` where its stream ends."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.place = "0"
        self.seen: list[dict[str, Any]] = []

    def read(self, events: int) -> None:
        """Read until it has seen so many in all."""
        while len(self.seen) < events:
            with stream(self.running.client, "/agent/events", headers={"Last-Event-ID": self.place}) as found:
                self._read(found, events)

    def _read(self, found: Iterator[Any], events: int) -> None:
        for entry in found:
            if entry.id is not None:
                self.place = entry.id
            if entry.data is not None:
                self.seen.append(entry.data)
            if len(self.seen) >= events:
                return


def whole_log(running: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = running.client.get("/agent/events").json()["events"]
    return found


ACTORS = ("gateway", "result logger", "event bus", *(f"history reader {number}" for number in range(1, 5)))


@pytest.mark.parametrize("actor", ACTORS)
def test_a_stream_misses_and_repeats_nothing_though_an_actor_dies(
    start_server: Callable[..., Running], actor: str
) -> None:
    running = start_server()
    client, address = Client(running), running.system._addresses[actor]
    for number in range(1, 4):
        running.result(f"What is {number} + 1?")
        with stream(running.client, "/agent/events", headers={"Last-Event-ID": client.place}) as found:
            address.tell("a message that nothing knows")
            running.result(f"What is {number} + 2?")
            client._read(found, 12 * number)
        client.read(12 * number)
    assert client.seen == whole_log(running)


def test_a_stream_misses_nothing_that_the_logger_died_over(
    start_server: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit was told to nobody. What comes next does not join on to what was told before."""
    running = start_server()
    client, committed, deaths = Client(running), Waiters.committed, list[Any]()

    def dies(self: Waiters, events: Any, ended: Any) -> None:
        if len(deaths) < 2 and any(event.seq == 3 for event in events):
            deaths.append(events)
            raise RuntimeError("between the commit and the telling")
        committed(self, events, ended)

    with stream(running.client, "/agent/events", headers={"Last-Event-ID": "0"}) as found:
        assert next(found).retry
        monkeypatch.setattr(Waiters, "committed", dies)
        for number in range(4):
            running.result(f"What is {number} + 1?")
        client._read(found, 24)
    assert len(deaths) == 2
    assert client.seen == whole_log(running)


def test_a_stream_goes_on_behind_its_position_on_the_next_server(
    start_server: Callable[..., Running], tmp_path: Path
) -> None:
    first = start_server(data_dir=tmp_path / "data")
    client = Client(first)
    for number in range(3):
        first.result(f"What is {number} + 1?")
    client.read(7)
    first.stop()
    first.system.stop()
    client.running = start_server(data_dir=tmp_path / "data")
    client.running.result("What is 5 + 1?")
    client.read(24)
    assert client.seen == whole_log(client.running)
    assert [event["position"] for event in client.seen] == list(range(1, 25))


def test_a_number_beyond_the_log_is_answered_with_where_it_ends_and_nothing_is_missed(shared: Running) -> None:
    task_id = shared.client.post(
        "/agent/execute", json={"task": "What is 2 + 2?"}, headers={"Prefer": "wait=20"}
    ).json()["taskId"]
    path = f"/agent/tasks/{task_id}/events"
    last = shared.client.get(path).json()["nextAfter"]
    for query in ({"after": "999"}, {"after": "999", "wait": "20"}):
        page = shared.client.get(path, params=query).json()
        assert (page["events"], page["ended"], page["nextAfter"]) == ([], True, last)
    assert shared.client.get(path, params={"after": str(last)}).json()["nextAfter"] == last
    assert list(shared.system.events(task_id, after=999)) == []
