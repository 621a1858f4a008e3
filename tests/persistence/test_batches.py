"""Batches that fail, in part or whole: nothing that was acknowledged is lost, nothing that was refused is left."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from callboard.conversation import Turn
from callboard.errors import StoreUnavailable
from callboard.messages.events import Topic
from callboard.messages.health import Totals
from callboard.messages.records import RecordAcceptance, RecordSessionDeleted
from callboard.messages.tasks import Status, TaskRecord
from callboard.persistence.store import SqlStore

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker

BAD: dict[str, Callable[["Maker", RecordAcceptance], Any]] = {
    "an id that exists": lambda make, accepted: make.acceptance(task_id=accepted.task.task_id),
    "a value that JSON lacks": lambda make, accepted: make.result(accepted, output=object()),
    "a number beyond 64 bits": lambda make, accepted: make.acceptance(timeout_ms=2**70),
    "a session that cannot be stored": lambda make, accepted: make.result(accepted, session=make.left(tasks=2**70)),
    "not a record": lambda make, accepted: "hello",
}


def test_text_that_no_database_holds_is_mended_on_the_way_in_keys_too(store: SqlStore, make: "Maker") -> None:
    """In events, output, error, metadata and turns, for those who are told of it as for those who read it."""
    accepted = make.acceptance()
    odd, whole = {"a\ud800": ["b\x00", {"\x00": 1}]}, {"a\ufffd": ["b\ufffd", {"\ufffd": 1}]}
    store.writer.write([accepted, make.start(accepted)])
    result = make.result(
        accepted,
        events=(make.event(Topic.TASK_COMPLETED, output=odd),),
        output=odd,
        error="c\x00\udfff",
        metadata={"notes": odd},
        session=make.left("session", Turn(role="assistant", content="d\ud800")),
    )
    [outcome] = store.writer.write([result])
    [told] = outcome.events
    stored = store.reader.task(accepted.task.task_id)
    assert told.data == store.reader.events(accepted.task.task_id).events[-1].data
    assert told.data["output"] == whole
    for record in (outcome.value, stored):
        assert (record.output, record.error, record.metadata["notes"]) == (whole, "c\ufffd\ufffd", whole)
    assert [turn.content for turn in store.reader.session("session").conversation] == ["d\ufffd"]


@pytest.mark.parametrize("kind", BAD)
def test_a_record_that_cannot_be_stored_costs_the_others_nothing(store: SqlStore, make: "Maker", kind: str) -> None:
    accepted = make.acceptance()
    store.writer.write([accepted, make.start(accepted)])
    bad, other = BAD[kind](make, accepted), make.acceptance(session_id="other")
    outcomes = store.writer.write([make.events(accepted), bad, other, make.events(accepted)])
    assert isinstance(outcomes[1].value, Exception)
    assert outcomes[1].events == ()
    assert [o.value for o in (outcomes[0], outcomes[2], outcomes[3])] == [True, TaskRecord(task=other.task), True]
    page = store.reader.events(accepted.task.task_id)
    assert [event.seq for event in page.events] == [1, 2, 3]
    assert not page.ended
    assert store.reader.totals() == Totals(total=2, live=2)
    [ended] = store.writer.write([make.result(accepted)])
    assert [event.seq for event in ended.events] == [4]


@pytest.mark.parametrize("kind", BAD)
def test_a_record_that_cannot_be_stored_alone_leaves_nothing(store: SqlStore, make: "Maker", kind: str) -> None:
    accepted = make.acceptance()
    store.writer.write([accepted, make.start(accepted)])
    [outcome] = store.writer.write([BAD[kind](make, accepted)])
    assert isinstance(outcome.value, Exception)
    assert store.reader.task(accepted.task.task_id).status is Status.RUNNING
    assert store.reader.totals() == Totals(total=1, live=1)
    assert len(store.reader.events(accepted.task.task_id).events) == 1


def test_two_acceptances_of_one_id_in_a_batch_make_one_task(store: SqlStore, make: "Maker") -> None:
    first = make.acceptance()
    outcomes = store.writer.write([first, make.acceptance(task_id=first.task.task_id)])
    assert outcomes[0].value == TaskRecord(task=first.task)
    assert isinstance(outcomes[1].value, Exception)
    assert store.reader.totals() == Totals(total=1, live=1)


def test_a_batch_without_records_does_nothing(store: SqlStore) -> None:
    assert store.writer.write([]) == []


def test_a_large_batch_is_one_transaction_with_every_outcome_in_order(store: SqlStore, make: "Maker") -> None:
    accepted = [make.acceptance() for _ in range(150)]
    results = [make.result(a, attempt=0, output=n) for n, a in enumerate(accepted)]
    outcomes = store.writer.write([*accepted, *results, *[make.events(a) for a in accepted]])
    assert [o.value for o in outcomes[:150]] == [TaskRecord(task=a.task) for a in accepted]
    assert [o.value.output for o in outcomes[150:300]] == list(range(150))
    assert {o.value for o in outcomes[300:]} == {False}
    assert store.reader.totals() == Totals(total=150, completed=150, elapsed_ms=1000 * sum(range(150)))


def test_tasks_of_earlier_batches_are_found_in_any_number(store: SqlStore, make: "Maker") -> None:
    accepted = [make.acceptance() for _ in range(131)]
    store.writer.write(accepted)
    started = store.writer.write([make.start(a) for a in accepted])
    ended = store.writer.write([make.result(a) for a in accepted])
    assert all(o.value is True for o in started)
    assert all(o.value.status is Status.COMPLETED for o in ended)
    assert store.reader.totals() == Totals(total=131, completed=131, elapsed_ms=1000 * sum(range(131)))


def test_a_session_deleted_within_a_batch_sees_what_came_before_it(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    deletion = RecordSessionDeleted(session_id="session")
    result = make.result(accepted, attempt=0, session=make.left())
    busy, _, deleted, again = store.writer.write([accepted, deletion, result, deletion, make.acceptance()])[1:]
    assert isinstance(busy.value, Exception)
    assert deleted.value is None
    assert again.value.session_id == "session"


def test_a_closed_store_refuses(store: SqlStore, make: "Maker") -> None:
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.writer.write([make.acceptance()])
    with pytest.raises(StoreUnavailable, match="closed"):
        store.reader.totals()
