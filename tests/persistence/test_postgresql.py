"""What holds for PostgreSQL only: lost connections, locks between writers, a read-only server."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import URL, Engine, make_url, text

from callboard import AgentSystem
from callboard.errors import StoreInDoubt, StoreUnavailable
from callboard.messages.health import Totals
from callboard.messages.tasks import ListTasks, Status, TaskRecord
from callboard.persistence.store import SqlStore, WriteOutcome

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


def test_a_connection_that_was_lost_before_the_commit_is_replaced_unseen(
    store: SqlStore, make: "Maker", raw_engine: Engine
) -> None:
    accepted = make.acceptance()
    with raw_engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": backend(store)})
    assert store.writer.write([accepted])[0].value == TaskRecord(task=accepted.task)


class Wire:
    """A relay to the database that can cut the connection at its next COMMIT, before or after passing it on."""

    def __init__(self, url: URL) -> None:
        self._port = url.port or 5432
        self._listening = socket.create_server(("127.0.0.1", 0))
        through = url.set(host="127.0.0.1", port=self._listening.getsockname()[1])
        self.url = through.update_query_dict({"sslmode": "disable"}).render_as_string(hide_password=False)
        self.cut: str | None = None
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments))
        self._threads[-1].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                self._start(self._there, client, server)
                self._start(self._back, server, client)

    def _there(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError), server:
            while data := client.recv(65_536):
                cut = None
                if b"COMMIT" in data:
                    cut, self.cut = self.cut, None
                if cut == "before":
                    break
                if cut == "after":
                    client.shutdown(socket.SHUT_RDWR)
                server.sendall(data)
                if cut == "after":
                    server.shutdown(socket.SHUT_WR)
                    while server.recv(65_536):
                        pass  # the server closes when it has ended the transaction
                    break
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            while data := server.recv(65_536):
                client.sendall(data)


@pytest.fixture
def wire(postgres_url: str) -> Iterator[Wire]:
    wire = Wire(make_url(postgres_url))
    yield wire
    wire.close()


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_batch_whose_commit_was_cut_off_is_stored_exactly_once(
    wire: Wire, open_at: "OpenStore", make: "Maker", cut: str
) -> None:
    store = open_at(wire.url)
    first = make.acceptance()
    store.writer.write([first, make.start(first)])
    second = make.acceptance()
    batch: list[Any] = [make.events(first), second]
    wire.cut = cut
    with pytest.raises(StoreInDoubt):
        store.writer.write(batch)
    [events, accepted] = settled(store, batch)
    assert [event.seq for event in events.events] == [2]
    assert accepted.value == TaskRecord(task=second.task)
    assert [event.seq for event in store.reader.events(first.task.task_id).events] == [1, 2]
    assert store.reader.totals() == Totals(total=2, live=2)
    assert store.writer.write([make.events(first)])[0].events[0].seq == 3
    store.close()


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_task_whose_acceptance_was_in_doubt_is_worked_out_once_and_its_caller_answered(
    wire: Wire, start_system: Callable[..., AgentSystem], cut: str
) -> None:
    system = start_system(database_url=wire.url)
    system.execute("What is 1 + 1?")
    wire.cut = cut
    record = system.execute("What is 2 + 2?")
    assert (record.output, record.state.attempt) == (4, 1)
    assert wire.cut is None, "a commit was cut off"
    events = list(system.events(record.task_id))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    page = system.gateway.ask(ListTasks(), timeout_s=30)
    assert [task.status for task in page.tasks] == [Status.COMPLETED] * 2
    system.stop()


def settled(store: SqlStore, batch: list[Any]) -> list[WriteOutcome]:
    """Write a batch in doubt again until the server has made up its mind."""
    while True:
        with contextlib.suppress(StoreInDoubt):
            return store.writer.write(batch)


def test_readers_replace_lost_connections_unseen(store: SqlStore, raw_engine: Engine) -> None:
    with store.reader._connection() as reader:
        pid = reader.execute(text("SELECT pg_backend_pid()")).scalar()
    with raw_engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    store.reader.ping()


def test_a_row_that_stays_locked_is_unavailable_until_the_lock_is_gone(
    open_at: "OpenStore", postgres_url: str, make: "Maker", raw_engine: Engine
) -> None:
    store = open_at(postgres_url, lock_wait_ms=20)
    accepted = make.acceptance()
    store.writer.write([accepted])
    with raw_engine.begin() as connection:
        connection.execute(text("SELECT id FROM tasks FOR UPDATE"))
        with pytest.raises(StoreUnavailable, match="lock"):
            store.writer.write([make.start(accepted)])
    assert store.writer.write([make.start(accepted)])[0].value is True


def test_a_read_only_database_is_unavailable(store: SqlStore, make: "Maker") -> None:
    backend(store)
    with store._transaction as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    with pytest.raises(StoreUnavailable, match="read-only"):
        store.writer.write([make.acceptance()])


def test_of_two_writers_that_give_one_position_the_slower_is_told_to_try_again(
    store: SqlStore, make: "Maker", raw_engine: Engine
) -> None:
    """Which no two do that hold the history; a server that was frozen while it lost it is one that might."""
    one, two = make.acceptance(), make.acceptance()
    store.writer.write([one])
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid = :pid")
    pid = backend(store)
    with raw_engine.begin() as other, ThreadPoolExecutor(1) as pool:
        columns = "seq, topic, at, data"
        theirs = f"INSERT INTO events (task_id, position, {columns}) SELECT 'theirs', 2, {columns} FROM events"
        other.execute(text(theirs))
        refused = pool.submit(store.writer.write, [two])
        with raw_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as watch:
            while not watch.execute(waiting, {"pid": pid}).scalar() and not refused.done():
                pass
        other.commit()
        with pytest.raises(StoreUnavailable, match="Somebody else writes"):
            refused.result(10)
    assert store.writer.write([two])[0].events[0].position == 3


def test_two_writers_on_the_same_tasks_never_deadlock_and_leave_no_gap(
    store: SqlStore, second_store: SqlStore, make: "Maker"
) -> None:
    accepted = [make.acceptance(session_id=f"s{n}") for n in range(4)]
    store.writer.write([*accepted, *[make.start(a) for a in accepted]])
    batch = [make.events(a) for a in accepted]

    def write(writer: SqlStore, records: list[object]) -> None:
        for _ in range(25):
            writer.writer.write(records)  # type: ignore[arg-type]

    other = threading.Thread(target=write, args=(second_store, batch[::-1]))
    other.start()
    write(store, list(batch))
    other.join()
    for one in accepted:
        events = store.reader.events(one.task.task_id).events
        assert [event.seq for event in events] == list(range(1, 52))
