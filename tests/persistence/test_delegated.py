"""Tasks that tasks delegate, files that come with them, and second chances that take both along."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from callboard.arguments import Arguments
from callboard.budget import Account, Budget, Usage
from callboard.messages import AttachedFile, ListTasks, Status, TaskRecord, Topic, Totals
from callboard.persistence.store import SqlStore
from callboard.records import (
    CallRecord,
    CallState,
    Record,
    RecordAcceptance,
    RecordPause,
    RecordRedrive,
    RecordRequeue,
    TaskLedger,
)

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker

FILES = (
    AttachedFile(name="numbers.csv", media_type="text/csv", data=b"a,b\n1,2\n\x00\xff"),
    AttachedFile(name="page.pdf", media_type="application/pdf", url="http://127.0.0.1/page.pdf"),
    AttachedFile(name="empty.txt", media_type="text/plain", data=b""),
)
EDITED = Arguments.of("pay", "task:2", (1, "é"), {}, {"amount": 2.0})


def call(make: "Maker", number: int = 1, **fields: Any) -> CallRecord:
    made: dict[str, Any] = {
        "kind": "agent",
        "name": "delegate",
        "replay": "keyed",
        "digest": "d",
        "effect_id": f"effect-{number}",
    }
    made |= {"attempt": 1, "state": CallState.WAITING, "started_at": make.now}
    return CallRecord(number=number, **{**made, **fields})


def child(make: "Maker", parent: RecordAcceptance, **fields: Any) -> RecordAcceptance:
    above = parent.record
    root = above.root_id or above.task_id
    return make.acceptance(parent_id=above.task_id, root_id=root, depth=above.depth + 1, **fields)


def pause(make: "Maker", accepted: RecordAcceptance, *children: RecordAcceptance, **fields: Any) -> RecordPause:
    made: dict[str, Any] = {"task_id": accepted.record.task_id, "attempt": 1, "at": make.now, "children": children}
    made |= {"pause": {"reason": "subagents"}, "events": (make.event(Topic.TASK_PAUSED),)}
    return RecordPause(**{**made, **fields})


@pytest.fixture
def parent(store: SqlStore, make: "Maker") -> RecordAcceptance:
    """A task that runs."""
    accepted = make.acceptance()
    store.write([accepted, make.start(accepted)])
    return accepted


def test_what_a_task_may_spend_and_brings_and_belongs_to_is_kept(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance(
        budget=Budget(tokens=5, cost_usd=2.0),
        attachments=({"name": "a.txt", "mediaType": "text/plain", "size": 3},),
        parent_id="above",
        root_id="first",
        depth=2,
    )
    store.write([accepted])
    assert store.task(accepted.record.task_id) == accepted.record
    [_, ended] = store.write([make.start(accepted), make.result(accepted)])
    assert store.task(accepted.record.task_id) == ended.value
    assert ended.value.budget == Budget(tokens=5, cost_usd=2.0)


def test_a_pause_keeps_where_the_task_stands(store: SqlStore, make: "Maker", parent: RecordAcceptance) -> None:
    waiting = call(make, arguments=EDITED), call(make, 2)
    [outcome] = store.write([pause(make, parent, calls=waiting, snapshot=b"interpreter")])
    assert outcome.value.status is Status.PAUSED
    assert outcome.accepted == ()
    assert store.ledger(parent.record.task_id) == TaskLedger(calls=waiting, snapshot=b"interpreter")


def test_the_tasks_a_pause_waits_for_are_accepted_with_it(
    store: SqlStore, make: "Maker", parent: RecordAcceptance
) -> None:
    first, second = child(make, parent), replace(child(make, parent), files=FILES)
    [outcome] = store.write([pause(make, parent, first, second)])
    assert outcome.value == store.task(parent.record.task_id)
    assert outcome.accepted == (first.record, second.record)
    assert [(event.task_id, event.seq) for event in outcome.events] == [
        (parent.record.task_id, 2),
        (first.record.task_id, 1),
        (second.record.task_id, 1),
    ]
    assert store.children(parent.record.task_id) == [first.record, second.record]
    assert store.files(second.record.task_id) == FILES
    assert store.totals() == Totals(total=3, live=3)
    [_, ended] = store.write([make.start(first), make.result(first)])
    assert ended.value.parent_id == parent.record.task_id


def test_the_pause_of_a_task_that_is_over_accepts_nothing(
    store: SqlStore, make: "Maker", parent: RecordAcceptance
) -> None:
    late = pause(make, parent, child(make, parent), calls=(call(make),), snapshot=b"late")
    [_, outcome] = store.write([make.cancel(parent), late])
    assert outcome.value.status is Status.CANCELLED
    assert (outcome.accepted, outcome.events) == ((), ())
    assert store.children(parent.record.task_id) == []
    assert store.ledger(parent.record.task_id) == TaskLedger()
    assert store.totals() == Totals(total=1, cancelled=1)


@pytest.mark.parametrize("at_once", [False, True], ids=["later", "in one batch"])
def test_a_second_pause_leaves_the_tasks_of_the_first_alone(
    store: SqlStore, make: "Maker", parent: RecordAcceptance, at_once: bool
) -> None:
    first, other = child(make, parent), child(make, parent)
    task_id = parent.record.task_id
    again = RecordRequeue(task_id=task_id, attempt=None, at=make.now, events=())
    records: list[Record] = [
        pause(make, parent, first),
        make.start(first),
        make.result(first),
        again,
        make.start(parent, 2),
    ]
    second = pause(make, parent, first, other, attempt=2)
    if not at_once:
        store.write(records)
        records = []
    outcome = store.write([*records, second])[-1]
    assert outcome.accepted == (other.record,)
    assert [task.status for task in store.children(task_id)] == [Status.COMPLETED, Status.PENDING]
    assert store.totals() == Totals(total=3, completed=1, live=2, elapsed_ms=1000)


def test_a_pause_whose_task_cannot_be_stored_leaves_nothing(
    store: SqlStore, make: "Maker", parent: RecordAcceptance
) -> None:
    unstorable = pause(make, parent, child(make, parent), child(make, parent, timeout_ms=2**70))
    other = make.acceptance()
    [refused, accepted] = store.write([unstorable, other])
    assert isinstance(refused.value, Exception)
    assert accepted.value == other.record
    assert store.task(parent.record.task_id).status is Status.RUNNING
    assert store.children(parent.record.task_id) == []
    assert store.totals() == Totals(total=2, live=2)


def test_children_are_direct_and_descendants_are_all(store: SqlStore, make: "Maker", parent: RecordAcceptance) -> None:
    first, second = child(make, parent), child(make, parent)
    below = child(make, first)
    store.write([first, second, below, make.acceptance()])
    assert store.children(parent.record.task_id) == [first.record, second.record]
    assert store.children(first.record.task_id) == [below.record]
    root = parent.record.task_id
    assert store.descendants_count(root) == 3
    assert store.descendants_count(first.record.task_id) == 0
    assert store.tasks(ListTasks(parent_id=root)).tasks == (second.record, first.record)
    pages = store.tasks(ListTasks(parent_id=root, limit=1))
    assert store.tasks(ListTasks(parent_id=root, limit=1, cursor=pages.next_cursor)).tasks == (first.record,)
    store.write([make.start(first), make.result(first)])
    ended = store.tasks(ListTasks(parent_id=root, status=Status.COMPLETED)).tasks
    assert [task.task_id for task in ended] == [first.record.task_id]
    assert len(store.tasks(ListTasks()).tasks) == 5, "the list of all tasks has the delegated ones too"


def test_files_are_kept_in_order_after_the_task_has_ended(store: SqlStore, make: "Maker") -> None:
    accepted = replace(make.acceptance(), files=FILES)
    store.write([accepted])
    store.write([make.start(accepted), make.result(accepted)])
    assert store.files(accepted.record.task_id) == FILES
    assert store.files("nothing") == ()


def test_a_refused_acceptance_stores_no_file(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    twice = replace(make.acceptance(task_id=accepted.record.task_id), files=FILES)
    store.write([accepted])
    [outcome] = store.write([twice])
    assert isinstance(outcome.value, Exception)
    assert store.files(accepted.record.task_id) == ()


def test_a_redriven_task_has_the_files_and_what_the_dead_letter_has_spent(
    store: SqlStore, make: "Maker", parent: RecordAcceptance
) -> None:
    dead = replace(child(make, parent, budget=Budget(tokens=10)), files=FILES)
    task_id = dead.record.task_id
    spent = (Account("task", task_id), Usage(input_tokens=7)), (Account("session", "session"), Usage(input_tokens=7))
    events = replace(make.events(dead), calls=(call(make, arguments=EDITED),), charges=spent)
    store.write([dead, make.start(dead), events])
    store.write([make.result(dead, Status.FAILED, error_code="dead_letter")])
    again = replace(dead.record, task_id="task-again", redrive_of=task_id)
    redrive = RecordRedrive(dead_id=task_id, record=again, event=make.event(Topic.TASK_EXECUTE))
    [outcome] = store.write([redrive])
    assert isinstance(outcome.value, TaskRecord)
    assert store.files("task-again") == FILES
    assert store.ledger("task-again").calls[0].arguments == EDITED
    fresh, session = Account("task", "task-again"), Account("session", "session")
    assert store.usage([fresh, session]) == {fresh: Usage(input_tokens=7), session: Usage(input_tokens=7)}
    assert store.write([redrive])[0].value.task_id == "task-again"
    assert store.descendants_count(parent.record.task_id) == 2
