"""Histories that older versions left when they were killed: each is migrated and gone on with.

`tests/histories/NNNN.sql` is what the last version with that schema had in its file (of 0004, which no version had as its
last, what 0005 had, brought back by its own migration). Each was killed twice: while it was calling a skill that must not
be repeated, then with tasks in every state there was. Their times are brought up to now, for some of what they promise
lasts a day.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import JSON, DateTime, MetaData, Table
from sqlalchemy.types import TypeEngine

from callboard import AgentSystem, AwaitTask, Settings
from callboard.clock import Clock
from callboard.persistence import migrate
from callboard.persistence.doctor import examine
from callboard.persistence.engine import open_writer, parse_url
from callboard.persistence.tables import time_of
from tests.http.conftest import Running, run
from tests.persistence.conftest import postgres_url  # noqa: F401  # a fixture
from tests.receiver import Receiver

HISTORIES = Path(__file__).parents[1] / "histories"
KEPT = {
    "skills_dir": HISTORIES / "skills",
    "agents_dir": HISTORIES / "agents",
    "secret_key": "a key of the stored histories, 32 bytes",
    "webhook_secret": "whsec_d2ViaG9va3Mgb2YgdGhlIHN0b3JlZCBoaXN0b3JpZXM=",
    "webhook_allow_private": True,
    "approve_skills": ("pay",),
}
DEAD_PORT = "http://127.0.0.1:9"


def lay(revision: str, settings: Settings, receiver: Receiver) -> None:
    """Put a history where the settings look for one, as if its server had died just now."""
    settings.data_dir.mkdir(mode=0o700, parents=True)
    path = settings.data_dir / "callboard.db"
    path.touch(0o600)
    dump = (HISTORIES / f"{revision}.sql").read_text()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(dump.replace(DEAD_PORT, f"http://127.0.0.1:{receiver.port}"))
        bring_up_to_now(connection)
        connection.commit()
        if settings.database_url:
            copy_into(settings.database_url, connection, revision)


def bring_up_to_now(connection: sqlite3.Connection) -> None:
    now = datetime.now(UTC)
    [[last]] = connection.execute("SELECT max(at) FROM events")
    later = round(now.timestamp() * 1e6) - last
    for table in tables_of(connection):
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        for name in names:
            if name == "at" or name.endswith("_at"):
                connection.execute(f"UPDATE {table} SET {name} = {name} + ?", (later,))
        if "pause" in names:
            since = "UPDATE tasks SET pause = json_set(pause, '$.since', ?) WHERE pause IS NOT NULL"
            connection.execute(since, (now.isoformat(),))
        if table == "deliveries":  # due, and not in the seconds that a second try waits for
            connection.execute("UPDATE deliveries SET next_at = created_at")


def tables_of(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'alembic_version'")
    return [row[0] for row in found]


def copy_into(database_url: str, source: sqlite3.Connection, revision: str) -> None:
    """Copy the rows into the tables that the same migrations make in PostgreSQL."""
    engine = open_writer(parse_url(database_url), clock=Clock())
    with engine.begin() as connection:
        migrate.upgrade(connection, revision)
        for each in tables_of(source):
            table = Table(each, MetaData(), autoload_with=connection)
            connection.execute(table.delete())
            columns = [row[1] for row in source.execute(f"PRAGMA table_info({each})")]
            for row in source.execute(f"SELECT * FROM {each}"):
                given = zip(columns, row, strict=True)
                values = {name: as_in(table.c[name].type, value) for name, value in given if value is not None}
                connection.execute(table.insert(), values)
    engine.dispose()


def as_in(of_type: TypeEngine[Any], value: Any) -> Any:
    """Return what SQLite has as numbers and text as PostgreSQL has it."""
    match of_type, value:
        case (DateTime(), int()):
            return time_of(value)
        case (JSON(), str()):
            return json.loads(value)
        case _:
            return value


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    made.start()
    yield made
    made.stop()


class Old:
    """A history that was gone on with, asked by the names of its sessions."""

    def __init__(self, running: Running) -> None:
        self._running = running

    def tasks(self, session_id: str) -> list[dict[str, Any]]:
        """Return the tasks of a session, oldest first."""
        page = self._running.client.get("/agent/results", params={"sessionId": session_id, "limit": 50}).json()
        return [self.task(one["taskId"]) for one in reversed(page["results"])]

    def task(self, task_id: str) -> dict[str, Any]:
        """Return all that is known of a task."""
        found: dict[str, Any] = self._running.client.get(f"/agent/tasks/{task_id}").json()
        return found

    def ended(self, session_id: str) -> list[dict[str, Any]]:
        """Return the tasks of a session once all of them have ended."""
        for one in self.tasks(session_id):
            self._running.system.gateway.ask(AwaitTask(task_id=one["taskId"], wait_s=60), timeout_s=65)
        return self.tasks(session_id)

    def calls(self, task_id: str) -> list[str]:
        """Return the skills that were called for a task, in order."""
        events = self._running.client.get(f"/agent/tasks/{task_id}/events").json()["events"]
        return [event["data"]["skill"] for event in events if event["topic"] == "agent.skill.started"]

    def session(self, session_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._running.client.get(f"/agent/sessions/{session_id}").json()["session"]
        return found

    def post(self, body: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
        return self._running.client.post("/agent/execute", json=body, headers=headers)

    def execute(self, task: str, **fields: Any) -> dict[str, Any]:
        """Have a task worked out; return it as it ended."""
        return self.task(self.post({"task": task, **fields}, {"Prefer": "wait=20"}).json()["taskId"])

    def decide(self, session_id: str, **decision: Any) -> dict[str, Any]:
        """Decide about the paused task of a session; return it as it ended."""
        [paused] = self.tasks(session_id)
        assert paused["status"] == "paused", paused
        reply = self._running.client.post(f"/agent/tasks/{paused['taskId']}/decide", json=decision)
        assert reply.status_code == 200, reply.text
        [ended] = self.ended(session_id)
        return ended


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """The address of the database, empty for the file in the data folder."""
    if request.param == "sqlite":
        return ""
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.mark.parametrize(
    ("revision", "interpreter"),
    [
        *((name, "") for name in ("0001", "0002", "0003", "0004", "0005")),
        ("0002", "monty-99.0"),
        ("0005", "monty-99.0"),
    ],
)
def test_a_history_of_an_older_version_is_gone_on_with(
    revision: str,
    interpreter: str,
    database: str,
    make_settings: Callable[..., Settings],
    start_system: Callable[..., AgentSystem],
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if interpreter:  # what another interpreter dumped is not loaded; its signature tells
        monkeypatch.setattr("callboard.agent.signing.INTERPRETER", interpreter)
    settings = {"database_url": database, "http_threads": 4, "max_waiting": 4, **KEPT}
    lay(revision, make_settings(**settings), receiver)
    running = run(start_system(**settings))
    try:
        old = Old(running)
        if revision == "0001":
            what_ran_in_a_version_without_ledger_ends(old)
        else:
            what_ran_is_taken_over_and_ends(old)
            assert old.decide("unknown", decision="assume_done", result=12)["output"] == 12
            deliveries_go_out_and_kept_answers_are_said_again(old, receiver)
        if revision >= "0003":
            assert old.decide("approval", decision="approve")["output"] == 77
            [parent] = old.ended("family")
            assert (parent["status"], parent["output"]) == ("completed", "the file was found")
        a_session_goes_on(old, variables_lost=bool(interpreter))
        findings = {found.check: found for found in examine(running.system.settings)}
        assert all(findings[check].level == "ok" for check in ("schema", "orphans", "events", "totals")), findings
    finally:
        running.stop()


def what_ran_in_a_version_without_ledger_ends(old: Old) -> None:
    """Nobody knows whether its calls were made, and they must not be repeated."""
    [unknown], (first, second) = old.ended("unknown"), old.ended("running")
    for ended in (unknown, first):
        assert (ended["status"], ended["errorCode"]) == ("failed", "outcome_unknown")
    assert second["output"] == 6, "what waited behind it is worked out"


def what_ran_is_taken_over_and_ends(old: Old) -> None:
    first, second = old.ended("running")
    assert (first["attempt"], first["status"]) == (2, "completed")
    assert first["output"] == ["a table is booked", "the key was found"]
    assert second["output"] == 6, "what waited behind it is worked out"
    booked = [call for call in old.calls(first["taskId"]) if call == "book"]
    assert booked == ["book"], "what was done is answered from the ledger"


def deliveries_go_out_and_kept_answers_are_said_again(old: Old, receiver: Receiver) -> None:
    assert json.loads(receiver.next().body)["data"]["output"] == 42
    [kept] = old.tasks("kept")
    body = {"task": "What is 12 times 7?", "sessionId": "kept"}
    reply = old.post(body, {"Idempotency-Key": "the-key"})
    assert (reply.status_code, reply.headers["Idempotent-Replayed"]) == (200, "true")
    assert reply.json()["taskId"] == kept["taskId"]
    assert old.post({**body, "priority": 1}, {"Idempotency-Key": "the-key"}).status_code == 422


def a_session_goes_on(old: Old, *, variables_lost: bool) -> None:
    remembered = old.session("talk")
    said = [turn["content"] for turn in remembered["conversation"]]
    assert (len(said), remembered["tasks"], said[2], said[5]) == (6, 3, "My name is Alice", "12")
    ended = old.execute("```python\nsum(prices)\n```", sessionId="talk")
    if variables_lost:
        assert (ended["errorCode"], ended["metadata"]["variablesLost"]) == ("type_check_failed", True)
    else:
        assert ended["output"] == 12
        assert len(old.session("talk")["conversation"]) == 8
