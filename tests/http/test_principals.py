"""Who asks is made out once, at the door, and is who is recorded; under the id that it has always had."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from callboard import AgentSystem, Principal, SubmitTask
from callboard.clock import Clock
from callboard.http.principals import Principals
from callboard.persistence.tables import time_of
from callboard.principal import Limits
from tests.http.conftest import BLOCKING_SKILL, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from callboard import Settings
    from tests.http.conftest import Running


def of_key(key: str) -> str:
    return "key:" + hashlib.blake2b(key.encode(), digest_size=32).hexdigest()[:16]


KEYS = ("first-key", "second-key", "schlüssel")
BY_KEY: dict[str, tuple[dict[bytes, bytes], str]] = {
    "first-key": ({b"X-API-Key": b"first-key"}, of_key("first-key")),
    "second-key": ({b"Authorization": b"Bearer second-key"}, of_key("second-key")),
    "schluessel": ({b"X-API-Key": "schlüssel".encode()}, of_key("schlüssel")),
}
BY_ADDRESS: dict[str, tuple[dict[bytes, bytes], str]] = {
    "address": ({}, "ip:127.0.0.1"),
    "ipv4": ({b"X-Forwarded-For": b"192.0.2.7"}, "ip:192.0.2.7"),
    "ipv6": ({b"X-Forwarded-For": b"2001:db8:1:2:3:4:5:6"}, "ip:2001:db8:1:2::/64"),
}
FROM_PYTHON = {"process": None, "ann": Principal(id="ann")}
WAIT = {b"Prefer": b"wait=20"}


# --- a history of before -----------------------------------------------------------------------------------------------

# Of the last version whose messages had a caller each (its schema was 0009). Each of these callers, the session's name says
# which, has asked for this task once with the same key, and that used up its day.
OLD = Path(__file__).parents[1] / "histories" / "callers.sql"
ASKED: dict[str, Any] = {"task": "What is 12 times 7?"}
DAY = {"caller_day_budget": "skillCalls=1", "trusted_proxies": ("127.0.0.1",)}


@pytest.fixture
def start_old(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., AgentSystem]]:
    """Return a function that goes on with that history at the time it was left."""
    systems: list[AgentSystem] = []

    def start(**changes: Any) -> AgentSystem:
        settings = make_settings(**DAY, **changes)
        settings.data_dir.mkdir(mode=0o700)
        path = settings.data_dir / "callboard.db"
        path.touch(0o600)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(OLD.read_text())
            [[left_at]] = connection.execute("SELECT max(at) FROM events")
        now = Clock().now
        ago = now() - time_of(left_at)
        systems.append(AgentSystem.start(settings, clock=Clock(now=lambda: now() - ago)))
        return systems[-1]

    yield start
    for system in systems:
        system.stop()


def callers(system: AgentSystem, session_id: str) -> list[tuple[str, str | None]]:
    """Return the tasks of a session with whose each is, oldest first."""
    with closing(sqlite3.connect(system.settings.data_dir / "callboard.db")) as connection:
        found = connection.execute("SELECT id, caller FROM tasks WHERE session_id = ? ORDER BY id", (session_id,))
        return found.fetchall()


def on_record(system: AgentSystem) -> set[tuple[str, str]]:
    """Return under which ids answers are kept, and days' budgets counted."""
    with closing(sqlite3.connect(system.settings.data_dir / "callboard.db")) as connection:
        kept = connection.execute("SELECT 'key', caller FROM answers").fetchall()
        spent = connection.execute("SELECT 'day', name FROM usage WHERE scope = 'caller'").fetchall()
        return {*kept, *spent}


@pytest.mark.parametrize(("keys", "known"), [(KEYS, BY_KEY), ((), BY_ADDRESS)], ids=["keys", "addresses"])
def test_a_key_and_a_day_of_before_are_still_those_of_the_same_caller(
    start_old: Callable[..., AgentSystem], keys: tuple[str, ...], known: dict[str, tuple[dict[bytes, bytes], str]]
) -> None:
    running = run(start_old(api_key=keys))
    try:
        before = on_record(running.system)
        for session_id, (headers, its_id) in known.items():
            [(first, _)] = callers(running.system, session_id)
            body = {**ASKED, "sessionId": session_id}
            again = running.client.post(
                "/agent/execute", json=body, headers={**headers, b"Idempotency-Key": b"the-key"}
            )
            assert (again.headers["idempotent-replayed"], again.json()["taskId"]) == ("true", first)
            more = running.client.post("/agent/execute", json=body, headers={**headers, **WAIT})
            assert more.json()["errorCode"] == "budget_exceeded"
            assert {caller for _, caller in callers(running.system, session_id)} == {its_id}
        assert on_record(running.system) == before
    finally:
        running.stop()


def test_a_key_and_a_day_of_a_program_are_still_its_own(start_old: Callable[..., AgentSystem]) -> None:
    system = start_old()
    before = on_record(system)
    for session_id, principal in FROM_PYTHON.items():
        asker: dict[str, Any] = {} if principal is None else {"principal": principal}
        [(first, its_id)] = callers(system, session_id)
        assert system.execute(**ASKED, session_id=session_id, idempotency_key="the-key", **asker).task_id == first
        assert system.execute(**ASKED, session_id=session_id, **asker).error_code == "budget_exceeded"
        assert {caller for _, caller in callers(system, session_id)} == {its_id}
    assert on_record(system) == before
    assert system.execute(**ASKED, principal=Principal(id="somebody new")).output == 84


# --- whom the record names ---------------------------------------------------------------------------------------------


@pytest.fixture
def keyed(start_server: Callable[..., Running]) -> Running:
    return start_server(api_key=("first-key", "second-key"))


def post(running: Running, path: str, key: str, body: Any = None, **headers: str) -> Any:
    reply = running.client.post(path, json=body, headers={"X-API-Key": key, **headers})
    assert reply.status_code == 200, reply.text
    return reply.json()


def wait_for(running: Running, task_id: str, topic: str) -> None:
    """Wait until a task has told of something."""
    after = 0
    while True:
        query = {"after": str(after), "wait": "20"}
        page = running.client.get(f"/agent/tasks/{task_id}/events", params=query, headers={"X-API-Key": "first-key"})
        for event in page.json()["events"]:
            after = event["seq"]
            if event["topic"] == topic:
                return
        assert not page.json()["ended"], page.text


def test_what_is_done_again_is_of_who_asks_for_it_and_under_that_requests_id(keyed: Running) -> None:
    task_id = post(keyed, "/agent/execute", "first-key", ASKED, Prefer="wait=20")["taskId"]
    headers = {"X-Request-Id": "again", "Idempotency-Key": "k"}
    again = post(keyed, f"/agent/tasks/{task_id}/retry", "second-key", **headers)
    assert post(keyed, f"/agent/tasks/{task_id}/retry", "second-key", **headers)["taskId"] == again["taskId"]
    other = post(keyed, f"/agent/tasks/{task_id}/retry", "first-key", **headers)
    found = [keyed.system._store.reader.task(each) for each in (task_id, again["taskId"], other["taskId"])]
    assert [record.task.caller for record in found] == [of_key(f"{name}-key") for name in ("first", "second", "first")]
    assert [record.task.request_id for record in found[1:]] == ["again", "again"]
    assert found[1].task_id != found[2].task_id


def test_an_error_is_kept_for_the_caller_that_it_was_said_to(keyed: Running) -> None:
    def refused(key: str, task: Any) -> Any:
        headers = {"X-API-Key": key, "Idempotency-Key": "k"}
        return keyed.client.post("/agent/execute", json={"task": task}, headers=headers)

    assert refused("first-key", 12).status_code == 400
    assert refused("first-key", 12).headers["idempotent-replayed"] == "true"
    assert refused("second-key", "What is 1 + 1?").status_code == 200


def test_a_cancel_is_told_of_with_the_id_of_its_own_request(
    start_server: Callable[..., Running], tmp_path: Path
) -> None:
    folder = tmp_path / "skills"
    folder.mkdir()
    (folder / "blocking.py").write_text(BLOCKING_SKILL)
    running = start_server(skills_dir=folder)
    task = f"```python\nfrom skills import wait_for_file\nwait_for_file({str(tmp_path / 'never')!r})\n```"
    task_id = running.client.post("/agent/execute", json={"task": task}, headers={"X-Request-Id": "one"}).json()[
        "taskId"
    ]
    running.client.post(f"/agent/tasks/{task_id}/cancel", headers={"X-Request-Id": "two"})
    events = running.client.get(f"/agent/tasks/{task_id}/events").json()["events"]
    assert (events[0]["data"]["requestId"], events[-1]["data"]["requestId"]) == ("one", "two")


def test_who_asked_for_a_task_who_decided_and_who_cancelled_is_on_record(start_server: Callable[..., Running]) -> None:
    running = start_server(api_key=("first-key", "second-key"), approve_skills=("query-*",))
    code = "```python\nfrom skills import query_table\nquery_table('a,b\\n1,2', 'sum', 'a')\n```"
    ids = {}
    for decision in ("approve", "cancel"):
        ids[decision] = post(running, "/agent/execute", "first-key", {"task": code})["taskId"]
        wait_for(running, ids[decision], "agent.task.paused")
    post(running, f"/agent/tasks/{ids['approve']}/decide", "second-key", {"decision": "approve"})
    post(running, f"/agent/tasks/{ids['cancel']}/cancel", "second-key")
    wait_for(running, ids["approve"], "agent.task.completed")
    first, second = of_key("first-key"), of_key("second-key")
    named = {
        name: {event.topic.value: event.caller for event in running.system.events(its_id) if event.caller is not None}
        for name, its_id in ids.items()
    }
    assert named == {
        "approve": {"agent.task.execute": first, "agent.task.requeued": second},
        "cancel": {"agent.task.execute": first, "agent.task.cancelled": second},
    }
    for its_id in ids.values():
        told = running.client.get(f"/agent/tasks/{its_id}/events", headers={"X-API-Key": "first-key"}).text
        assert not [part for part in (first, second, "caller") if part in told]


# --- the door ----------------------------------------------------------------------------------------------------------


def test_a_principal_is_made_once_for_a_key_and_once_for_an_address() -> None:
    principals = Principals(("a", "b"), Limits(max_requests=5))
    assert principals.of_key("a") is principals.of_key("a")
    assert principals.of_key("a") != principals.of_key("b")
    assert principals.of_key("c") is None
    assert principals.of_address("192.0.2.7") is principals.of_address("192.0.2.7")
    assert {principals.of_address("::1").limits, principals.of_key("b").limits} == {Limits(max_requests=5)}  # type: ignore[union-attr]


def test_whatever_a_body_says_of_who_asks_is_refused(shared: Running) -> None:
    for name in ("caller", "principal", "requestId", "tenant"):
        reply = shared.client.post("/agent/execute", json={**ASKED, name: "key:1"})
        assert (reply.status_code, name in reply.json()["message"]) == (400, True)
    with pytest.raises(ValueError, match="caller"):
        SubmitTask(task="What is 1 + 1?", caller="key:1")  # type: ignore[call-arg]
