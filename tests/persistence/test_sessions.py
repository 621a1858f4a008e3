"""What a session keeps, and when it can be deleted."""

from typing import TYPE_CHECKING

import pytest

from callboard.errors import SessionBusy, SessionNotFound
from callboard.messages import Turn
from callboard.persistence.store import SqlStore
from callboard.records import RecordSessionDeleted

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker

DELETE = RecordSessionDeleted(session_id="session")


def test_a_session_reads_back_as_it_was_written(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    session = make.session(
        conversation=(Turn(role="user", content="Hej 𝄞"), Turn(role="assistant", content="")),
        variables=("x", "y"),
        interpreter=bytes(range(256)),
        tasks=3,
    )
    store.write([accepted, make.result(accepted, attempt=0, session=session)])
    assert store.session("session") == session


def test_the_last_task_to_end_decides_what_a_session_keeps(store: SqlStore, make: "Maker") -> None:
    first, second = make.acceptance(), make.acceptance()
    one = make.session(tasks=1, interpreter=b"1")
    make.tick()
    two = make.session(created_at=one.created_at, tasks=2)
    store.write([first, second, make.result(first, attempt=0, session=one)])
    store.write([make.result(second, attempt=0, session=two)])
    assert store.session("session") == two


def test_a_session_keeps_the_time_it_began(store: SqlStore, make: "Maker") -> None:
    first, second = make.acceptance(), make.acceptance()
    began = make.session()
    store.write([first, second, make.result(first, attempt=0, session=began)])
    make.tick()
    store.write([make.result(second, attempt=0, session=make.session())])
    assert store.session("session") == make.session(created_at=began.created_at)


def test_two_tasks_of_a_session_may_end_in_one_batch(store: SqlStore, make: "Maker") -> None:
    first, second, third = make.acceptance(), make.acceptance(), make.acceptance()
    results = [make.result(a, attempt=0, session=make.session(tasks=n)) for n, a in enumerate((first, second))]
    store.write([first, second, third, *results, make.cancel(third)])
    assert store.session("session").tasks == 1


def test_a_session_whose_first_task_is_under_way_is_empty(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    store.write([accepted, make.acceptance()])
    began = accepted.record.created_at
    assert store.session("session") == make.session(created_at=began, updated_at=began)


def test_a_session_whose_only_task_was_cancelled_is_empty(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    store.write([accepted, make.cancel(accepted)])
    assert store.session("session") == make.session(created_at=accepted.record.created_at)


def test_a_cancelled_task_leaves_what_its_session_kept(store: SqlStore, make: "Maker") -> None:
    first, second = make.acceptance(), make.acceptance()
    session = make.session(variables=("x",))
    store.write([first, second, make.result(first, attempt=0, session=session)])
    store.write([make.cancel(second)])
    assert store.session("session") == session


def test_a_session_without_tasks_is_unknown(store: SqlStore, make: "Maker") -> None:
    store.write([make.acceptance(session_id="another")])
    with pytest.raises(SessionNotFound):
        store.session("session")
    [outcome] = store.write([DELETE])
    assert isinstance(outcome.value, SessionNotFound)


def test_a_session_with_a_task_under_way_cannot_be_deleted(store: SqlStore, make: "Maker") -> None:
    first, second = make.acceptance(), make.acceptance()
    store.write([first])
    assert isinstance(store.write([DELETE])[0].value, SessionBusy)
    store.write([make.result(first, attempt=0, session=make.session()), second, make.start(second)])
    assert isinstance(store.write([DELETE])[0].value, SessionBusy)
    store.write([make.result(second, session=make.session(tasks=2))])
    assert store.write([DELETE])[0].value is None


def test_a_deleted_session_is_unknown_though_its_tasks_stay(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    store.write([accepted, make.result(accepted, attempt=0, session=make.session())])
    first, second = store.write([DELETE, DELETE])
    assert first.value is None
    assert isinstance(second.value, SessionNotFound)
    with pytest.raises(SessionNotFound):
        store.session("session")
    assert store.task(accepted.record.task_id).session_id == "session"


def test_a_deleted_session_begins_anew_with_its_next_task(store: SqlStore, make: "Maker") -> None:
    first, second = make.acceptance(), make.acceptance()
    store.write([first, make.result(first, attempt=0, session=make.session(variables=("x",))), DELETE, second])
    session = store.session("session")
    assert session.variables == ()
    assert session.created_at == second.record.created_at
