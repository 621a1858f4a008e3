"""Tasks that tasks delegate, files that come with them, and second chances that take both along."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from callboard.arguments import Arguments
from callboard.budget import Account, Budget, Usage
from callboard.errors import DelegationRefused, TaskNotPaused
from callboard.messages.events import Topic
from callboard.messages.health import Totals
from callboard.messages.ledger import CallRecord, CallState, TaskLedger
from callboard.messages.pauses import Pause, PauseReason
from callboard.messages.records import (
    Record,
    RecordAcceptance,
    RecordEvents,
    RecordPause,
    RecordRedrive,
    RecordRequeue,
    TooManyBelow,
)
from callboard.messages.tasks import AttachedFile, ListTasks, Status, TaskRecord
from callboard.persistence.store import SqlStore

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
    above = parent.task
    root = above.root_id or above.task_id
    return make.acceptance(parent_id=above.task_id, root_id=root, depth=above.depth + 1, **fields)


def delegation(make: "Maker", accepted: RecordAcceptance, *children: RecordAcceptance, **fields: Any) -> RecordEvents:
    """Return what hands tasks to agents."""
    return replace(make.events(accepted, Topic.SKILL_STARTED), children=children, **fields)


def pause(make: "Maker", accepted: RecordAcceptance, **fields: Any) -> RecordPause:
    made: dict[str, Any] = {"task_id": accepted.task.task_id, "attempt": 1, "at": make.now}
    made |= {"pause": Pause(reason=PauseReason.SUBAGENTS), "events": (make.event(Topic.TASK_PAUSED),)}
    return RecordPause(**{**made, **fields})


@pytest.fixture
def parent(store: SqlStore, make: "Maker") -> RecordAcceptance:
    """A task that runs."""
    accepted = make.acceptance()
    store.writer.write([accepted, make.start(accepted)])
    return accepted


def test_what_a_task_may_spend_and_brings_and_belongs_to_is_kept(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance(
        budget=Budget(tokens=5, cost_usd=2.0),
        attachments=({"name": "a.txt", "mediaType": "text/plain", "size": 3},),
        parent_id="above",
        root_id="first",
        depth=2,
    )
    store.writer.write([accepted])
    assert store.reader.task(accepted.task.task_id) == TaskRecord(task=accepted.task)
    [_, ended] = store.writer.write([make.start(accepted), make.result(accepted)])
    assert store.reader.task(accepted.task.task_id) == ended.value
    assert ended.value.task.spec.budget == Budget(tokens=5, cost_usd=2.0)


def test_a_pause_keeps_where_the_task_stands(store: SqlStore, make: "Maker", parent: RecordAcceptance) -> None:
    waiting = call(make, arguments=EDITED), call(make, 2)
    [outcome] = store.writer.write([pause(make, parent, calls=waiting, snapshot=b"interpreter")])
    assert outcome.value.status is Status.PAUSED
    assert store.reader.ledger(parent.task.task_id) == TaskLedger(calls=waiting, snapshot=b"interpreter")


def test_the_tasks_that_are_handed_to_agents_are_accepted_with_the_calls(
    store: SqlStore, make: "Maker", parent: RecordAcceptance
) -> None:
    first, second = child(make, parent), replace(child(make, parent), files=FILES)
    [outcome] = store.writer.write([delegation(make, parent, first, second, calls=(call(make),))])
    assert outcome.value is True
    assert store.reader.ledger(parent.task.task_id).calls == (call(make),)
    assert outcome.accepted == (TaskRecord(task=first.task), TaskRecord(task=second.task))
    assert [(event.task_id, event.seq) for event in outcome.events] == [
        (parent.task.task_id, 2),
        (first.task.task_id, 1),
        (second.task.task_id, 1),
    ]
    assert [child.task for child in store.reader.children(parent.task.task_id)] == [first.task, second.task]
    assert store.reader.files(second.task.task_id) == FILES
    assert store.reader.totals() == Totals(total=3, live=3)
    [_, ended] = store.writer.write([make.start(first), make.result(first)])
    assert ended.value.task.parent_id == parent.task.task_id


def test_a_task_that_is_over_is_given_no_agents(store: SqlStore, make: "Maker", parent: RecordAcceptance) -> None:
    late = delegation(make, parent, child(make, parent), calls=(call(make),), snapshot=b"late")
    [_, outcome, paused] = store.writer.write([make.cancel(parent), late, pause(make, parent, calls=(call(make),))])
    assert outcome.value is False
    assert paused.value.status is Status.CANCELLED
    assert (outcome.accepted, outcome.events) == ((), ())
    assert store.reader.children(parent.task.task_id) == []
    assert store.reader.ledger(parent.task.task_id) == TaskLedger()
    assert store.reader.totals() == Totals(total=1, cancelled=1)


@pytest.mark.parametrize("at_once", [False, True], ids=["later", "in one batch"])
def test_the_next_attempt_at_the_calls_leaves_the_tasks_of_the_first_alone(
    store: SqlStore, make: "Maker", parent: RecordAcceptance, at_once: bool
) -> None:
    first, other = child(make, parent), child(make, parent)
    task_id = parent.task.task_id
    again = RecordRequeue(task_id=task_id, attempt=None, at=make.now, events=())
    records: list[Record] = [
        delegation(make, parent, first),
        pause(make, parent),
        make.start(first),
        make.result(first),
        again,
        make.start(parent, 2),
    ]
    second = delegation(make, parent, first, other, attempt=2, most_below=2)
    if not at_once:
        store.writer.write(records)
        records = []
    outcome = store.writer.write([*records, second])[-1]
    assert outcome.accepted == (TaskRecord(task=other.task),)
    assert [task.status for task in store.reader.children(task_id)] == [Status.COMPLETED, Status.PENDING]
    assert store.reader.totals() == Totals(total=3, completed=1, live=2, elapsed_ms=1000)


def test_agents_whose_task_cannot_be_stored_leave_nothing(
    store: SqlStore, make: "Maker", parent: RecordAcceptance
) -> None:
    unstorable = delegation(make, parent, child(make, parent), child(make, parent, timeout_ms=2**70))
    other = make.acceptance()
    [refused, accepted] = store.writer.write([unstorable, other])
    assert isinstance(refused.value, Exception)
    assert accepted.value == TaskRecord(task=other.task)
    assert store.reader.task(parent.task.task_id).status is Status.RUNNING
    assert store.reader.children(parent.task.task_id) == []
    assert store.reader.totals() == Totals(total=2, live=2)


@pytest.mark.parametrize("at_once", [False, True], ids=["later", "in one batch"])
def test_no_batch_passes_the_limit_of_tasks_below_the_first(
    store: SqlStore, make: "Maker", parent: RecordAcceptance, at_once: bool
) -> None:
    """Those above and those below, in whatever batches, see what the others have been given."""
    first, other = child(make, parent), child(make, parent)
    spent = ((Account("task", first.task.task_id), Usage(input_tokens=7)),)
    records: list[Record] = [
        delegation(make, parent, first, other, most_below=3),
        make.start(first),
        make.start(other),
        delegation(
            make, first, child(make, first), child(make, first), calls=(call(make),), most_below=3, charges=spent
        ),
        delegation(make, other, child(make, other), most_below=3),
        delegation(make, first, child(make, first), most_below=3),
        make.result(other),
        delegation(make, first, child(make, first), most_below=3),
    ]
    outcomes = store.writer.write(records) if at_once else [store.writer.write([one])[0] for one in records]
    assert [outcomes[n].value for n in (0, 3, 4, 5, 7)] == [
        True,
        TooManyBelow(there=2, new=2),
        True,
        TooManyBelow(there=3, new=1),
        TooManyBelow(there=3, new=1),
    ]
    assert (outcomes[3].accepted, outcomes[3].events) == ((), ())
    assert store.reader.ledger(first.task.task_id) == TaskLedger()
    assert store.reader.descendants_count(parent.task.task_id) == 3


def test_what_is_handed_over_one_by_one_since_a_batch_failed_is_counted_too(
    store: SqlStore, make: "Maker", parent: RecordAcceptance
) -> None:
    unstorable = make.acceptance(timeout_ms=2**70)
    one, two = (delegation(make, parent, child(make, parent), most_below=1) for _ in range(2))
    assert [outcome.value for outcome in store.writer.write([unstorable, one, two])][1:] == [
        True,
        TooManyBelow(there=1, new=1),
    ]


def test_a_redrive_in_a_line_of_tasks_that_is_full_is_refused_and_says_what_to_do(
    store: SqlStore, make: "Maker", parent: RecordAcceptance
) -> None:
    dead = child(make, parent)
    store.writer.write([delegation(make, parent, dead), make.start(dead)])
    store.writer.write([make.result(dead, Status.FAILED, error_code="dead_letter")])
    redriven = replace(dead.task, task_id="task-again", redrive_of=dead.task.task_id)
    redrive = RecordRedrive(dead_id=dead.task.task_id, task=redriven, event=make.event(), most_below=1)
    [refused, last] = store.writer.write([redrive, delegation(make, parent, child(make, parent), most_below=1)])
    assert isinstance(refused.value, DelegationRefused)
    assert "CALLBOARD_MAX_SUBAGENTS); raise that, or retry the task" in refused.value.message
    assert last.value == TooManyBelow(there=1, new=1)
    [accepted, last] = store.writer.write(
        [replace(redrive, most_below=2), delegation(make, parent, child(make, parent), most_below=2)]
    )
    assert accepted.value == TaskRecord(task=redriven)
    assert last.value == TooManyBelow(there=2, new=1)
    assert store.writer.write([redrive])[0].value.task_id == "task-again", "it has been made before"


def test_what_is_decided_about_a_pause_changes_no_later_one(
    store: SqlStore, make: "Maker", parent: RecordAcceptance
) -> None:
    """Two people decide at once, and the task has come to its next question before the second one is heard."""
    task_id = parent.task.task_id
    decided = RecordRequeue(
        task_id=task_id,
        attempt=None,
        at=make.now,
        events=(),
        calls=(call(make, state=CallState.OPEN),),
        paused_attempt=1,
    )
    failed = make.result(parent, Status.FAILED, attempt=None, only_paused=True, paused_attempt=1)
    [_, first, _, _, second, third] = store.writer.write(
        [
            pause(make, parent, calls=(call(make),)),
            decided,
            make.start(parent, 2),
            pause(make, parent, attempt=2, calls=(call(make), call(make, 2))),
            decided,
            failed,
        ]
    )
    assert first.value.status is Status.PENDING
    for late in (second, third):
        assert isinstance(late.value, TaskNotPaused)
        assert "has gone on since" in late.value.message
    assert store.reader.task(task_id).status is Status.PAUSED
    assert store.reader.ledger(task_id).calls == (call(make), call(make, 2))


def test_children_are_direct_and_descendants_are_all(store: SqlStore, make: "Maker", parent: RecordAcceptance) -> None:
    first, second = child(make, parent), child(make, parent)
    below = child(make, first)
    store.writer.write([first, second, below, make.acceptance()])
    assert [child.task for child in store.reader.children(parent.task.task_id)] == [first.task, second.task]
    assert [child.task for child in store.reader.children(first.task.task_id)] == [below.task]
    root = parent.task.task_id
    assert store.reader.descendants_count(root) == 3
    assert store.reader.descendants_count(first.task.task_id) == 0
    assert [one.task for one in store.reader.tasks(ListTasks(parent_id=root)).tasks] == [second.task, first.task]
    pages = store.reader.tasks(ListTasks(parent_id=root, limit=1))
    next_page = store.reader.tasks(ListTasks(parent_id=root, limit=1, cursor=pages.next_cursor))
    assert [one.task for one in next_page.tasks] == [first.task]
    store.writer.write([make.start(first), make.result(first)])
    ended = store.reader.tasks(ListTasks(parent_id=root, status=Status.COMPLETED)).tasks
    assert [task.task_id for task in ended] == [first.task.task_id]
    assert len(store.reader.tasks(ListTasks()).tasks) == 5, "the list of all tasks has the delegated ones too"


def test_files_are_kept_in_order_after_the_task_has_ended(store: SqlStore, make: "Maker") -> None:
    accepted = replace(make.acceptance(), files=FILES)
    store.writer.write([accepted])
    store.writer.write([make.start(accepted), make.result(accepted)])
    assert store.reader.files(accepted.task.task_id) == FILES
    assert store.reader.files("nothing") == ()


def test_a_refused_acceptance_stores_no_file(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    twice = replace(make.acceptance(task_id=accepted.task.task_id), files=FILES)
    store.writer.write([accepted])
    [outcome] = store.writer.write([twice])
    assert isinstance(outcome.value, Exception)
    assert store.reader.files(accepted.task.task_id) == ()


def test_a_redriven_task_has_the_files_and_what_the_dead_letter_has_spent(
    store: SqlStore, make: "Maker", parent: RecordAcceptance
) -> None:
    dead = replace(child(make, parent, budget=Budget(tokens=10)), files=FILES)
    task_id = dead.task.task_id
    spent = (Account("task", task_id), Usage(input_tokens=7)), (Account("session", "session"), Usage(input_tokens=7))
    events = replace(make.events(dead), calls=(call(make, arguments=EDITED),), charges=spent)
    store.writer.write([dead, make.start(dead), events])
    store.writer.write([make.result(dead, Status.FAILED, error_code="dead_letter")])
    again = replace(dead.task, task_id="task-again", redrive_of=task_id)
    redrive = RecordRedrive(dead_id=task_id, task=again, event=make.event(Topic.TASK_EXECUTE))
    [outcome] = store.writer.write([redrive])
    assert isinstance(outcome.value, TaskRecord)
    assert store.reader.files("task-again") == FILES
    assert store.reader.ledger("task-again").calls[0].arguments == EDITED
    fresh, session = Account("task", "task-again"), Account("session", "session")
    assert store.reader.usage([fresh, session]) == {fresh: Usage(input_tokens=7), session: Usage(input_tokens=7)}
    assert store.writer.write([redrive])[0].value.task_id == "task-again"
    assert store.reader.descendants_count(parent.task.task_id) == 2
