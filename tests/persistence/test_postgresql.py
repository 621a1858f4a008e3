"""What holds for PostgreSQL only: lost connections, locks between writers, a read-only server."""

import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from callboard.errors import StoreUnavailable
from callboard.persistence.store import SqlStore

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker, OpenStore


@pytest.fixture
def database_url(postgres_url: str) -> str:
    return postgres_url


def backend(store: SqlStore) -> int:
    with store._transaction as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        row = cursor.fetchone()
        assert row is not None
        return int(row[0])


def test_a_lost_connection_is_told_once_and_replaced(store: SqlStore, make: "Maker", raw_engine: Engine) -> None:
    accepted = make.acceptance()
    with raw_engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": backend(store)})
    with pytest.raises(StoreUnavailable):
        store.write([accepted])
    assert store.write([accepted])[0].value == accepted.record


def test_readers_replace_lost_connections_unseen(store: SqlStore, raw_engine: Engine) -> None:
    with store._connection() as reader:
        pid = reader.execute(text("SELECT pg_backend_pid()")).scalar()
    with raw_engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    store.ping()


def test_a_row_that_stays_locked_is_unavailable_until_the_lock_is_gone(
    open_at: "OpenStore", postgres_url: str, make: "Maker", raw_engine: Engine
) -> None:
    store = open_at(postgres_url, lock_wait_ms=20)
    accepted = make.acceptance()
    store.write([accepted])
    with raw_engine.begin() as connection:
        connection.execute(text("SELECT id FROM tasks FOR UPDATE"))
        with pytest.raises(StoreUnavailable, match="lock"):
            store.write([make.start(accepted)])
    assert store.write([make.start(accepted)])[0].value is True


def test_a_read_only_database_is_unavailable(store: SqlStore, make: "Maker") -> None:
    backend(store)
    with store._transaction as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    with pytest.raises(StoreUnavailable, match="read-only"):
        store.write([make.acceptance()])


def test_two_writers_on_the_same_tasks_never_deadlock_and_leave_no_gap(
    store: SqlStore, second_store: SqlStore, make: "Maker"
) -> None:
    accepted = [make.acceptance(session_id=f"s{n}") for n in range(4)]
    store.write([*accepted, *[make.start(a) for a in accepted]])
    batch = [make.events(a) for a in accepted]

    def write(writer: SqlStore, records: list[object]) -> None:
        for _ in range(25):
            writer.write(records)  # type: ignore[arg-type]

    other = threading.Thread(target=write, args=(second_store, batch[::-1]))
    other.start()
    write(store, list(batch))
    other.join()
    for one in accepted:
        events = store.events(one.record.task_id).events
        assert [event.seq for event in events] == list(range(1, 52))
