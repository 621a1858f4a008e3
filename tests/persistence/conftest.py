"""Stores to test with, on SQLite and on PostgreSQL, and a maker of records.

PostgreSQL takes part where CALLBOARD_TEST_POSTGRES_URL names a database, each test in a schema of its own.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, delete, make_url, text, update

from callboard.conversation import SessionRecord, SessionUpdate, Turn
from callboard.messages.events import NewEvent, Topic
from callboard.messages.records import RecordAcceptance, RecordEvents, RecordResult, RecordStart
from callboard.messages.tasks import Status
from callboard.persistence.store import SqlStore
from callboard.persistence.tables import (
    calls,
    events,
    files,
    interpreters,
    sessions,
    snapshots,
    tasks,
    totals,
    turns,
    usage,
)
from callboard.settings import Settings
from tests.samples import sample
from tests.tasks import make_task
from tests.template import lay_history

POSTGRES_URL = os.environ.get("CALLBOARD_TEST_POSTGRES_URL", "")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The address of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path}/data/callboard.db"


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """The address of an empty schema that is dropped after the test."""
    if not POSTGRES_URL:
        pytest.skip("CALLBOARD_TEST_POSTGRES_URL is not set")
    schema = f"callboard_{uuid.uuid4().hex}"
    url = make_url(POSTGRES_URL).set(drivername="postgresql+psycopg")
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    yield url.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty database, on each of the two backends."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


OpenStore = Callable[..., SqlStore]


@pytest.fixture
def open_at(tmp_path: Path) -> Iterator[OpenStore]:
    """Return a function that opens a store at an address; all are closed after the test.

    With `first` False a SQLite file that is not there yet is a copy of a migrated one.
    """
    opened: list[SqlStore] = []

    def open_store(url: str, *, first: bool = True, **options: Any) -> SqlStore:
        settings = Settings(data_dir=tmp_path / "data", database_url=url)
        opened.append(SqlStore.open(settings if first else lay_history(settings), **options))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


@pytest.fixture
def store(open_at: OpenStore, database_url: str) -> SqlStore:
    """An empty store on each backend."""
    return open_at(database_url, first=False)


@pytest.fixture
def second_store(store: SqlStore, open_at: OpenStore, database_url: str) -> SqlStore:
    """Another store on the same database, as another process would have it."""
    return open_at(database_url)


@pytest.fixture
def emptied(store: SqlStore, raw_engine: Engine) -> Callable[[], SqlStore]:
    """Return a function that empties the store between two examples of a property test."""

    def empty() -> SqlStore:
        with raw_engine.begin() as connection:
            for table in (tasks, events, sessions, turns, interpreters, calls, snapshots, files, usage):
                connection.execute(delete(table))
            connection.execute(update(totals).values({c: 0 for c in totals.c if c.name != "id"}))
        return store

    return empty


@pytest.fixture
def raw_engine(database_url: str) -> Iterator[Engine]:
    """An engine beside the store's own, to look and to meddle."""
    engine = create_engine(make_url(database_url))
    yield engine
    engine.dispose()


@dataclass
class Maker:
    """Makes records whose times and ids go up by one second and one number with each task."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    made: int = field(default=0)

    def tick(self, seconds: float = 1) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now

    def event(self, topic: Topic = Topic.STEP_STARTED, **fields: Any) -> NewEvent:
        return sample(topic, self.now, **fields)

    def acceptance(self, **fields: Any) -> RecordAcceptance:
        self.made += 1
        at = self.tick()
        made = {"task_id": f"task-{self.made:08d}", "session_id": "session", "task": "What is 12 times 7?"}
        task = make_task(**{**made, "created_at": at, **fields})
        return RecordAcceptance(task=task, event=self.event(Topic.TASK_EXECUTE, task=task.spec.task))

    def start(self, accepted: RecordAcceptance, attempt: int = 1) -> RecordStart:
        return RecordStart(task_id=accepted.task.task_id, attempt=attempt, at=self.now)

    def events(self, accepted: RecordAcceptance, *topics: Topic, attempt: int = 1) -> RecordEvents:
        made = tuple(self.event(topic) for topic in topics or (Topic.STEP_STARTED,))
        return RecordEvents(task_id=accepted.task.task_id, attempt=attempt, events=made)

    def result(
        self, accepted: RecordAcceptance, status: Status = Status.COMPLETED, *, attempt: int | None = 1, **fields: Any
    ) -> RecordResult:
        topic = Topic(f"agent.task.{status}")
        made = {"task_id": accepted.task.task_id, "attempt": attempt, "status": status, "at": self.now}
        return RecordResult(**{**made, "events": (self.event(topic),), **fields})

    def cancel(self, accepted: RecordAcceptance) -> RecordResult:
        return self.result(accepted, Status.CANCELLED, attempt=None)

    def session(self, session_id: str = "session", **fields: Any) -> SessionRecord:
        return SessionRecord(**{"session_id": session_id, "created_at": self.now, "updated_at": self.now, **fields})

    def left(self, session_id: str = "session", *said: Turn, most_turns: int = 100, **fields: Any) -> SessionUpdate:
        """Return what a task leaves: what it said, and a session with these fields."""
        record, changed = self.session(session_id, **fields), "variables" in fields or "interpreter" in fields
        return SessionUpdate(record=record, said=said, most_turns=most_turns, variables_changed=changed)


@pytest.fixture
def make() -> Maker:
    """A maker of records."""
    return Maker()
