"""Any sequence of records, in any batches, keeps the store's invariants."""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from callboard.messages.events import TaskEvent, Topic
from callboard.messages.pauses import Pause, PauseReason
from callboard.messages.records import Record, RecordAcceptance, RecordPause, RecordRequeue, RecordSessionDeleted
from callboard.messages.tasks import ListTasks, Status
from callboard.persistence.store import SqlStore, WriteOutcome
from tests.profiles import examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.persistence.conftest import Maker

TASKS = 3
ENDS = [Status.COMPLETED, Status.FAILED, Status.CANCELLED]

CHILDREN, MOST_BELOW = 3, 2
"""Tasks that are only accepted where another one delegates them, and how many of these there may be."""

number = st.integers(0, TASKS + CHILDREN - 1)
children = st.lists(st.integers(TASKS, TASKS + CHILDREN - 1), unique=True, max_size=CHILDREN)
attempt = st.integers(0, 3)
steps = st.one_of(
    st.tuples(st.just("accept"), st.integers(0, TASKS - 1)),
    st.tuples(st.just("start"), number, attempt),
    st.tuples(st.just("events"), number, attempt, st.integers(0, 3)),
    st.tuples(st.just("pause"), number, attempt),
    st.tuples(st.just("delegate"), number, attempt, children),
    st.tuples(st.just("requeue"), number, st.one_of(st.none(), attempt)),
    st.tuples(st.just("end"), number, st.one_of(st.none(), attempt), st.sampled_from(ENDS), st.booleans()),
    st.tuples(st.just("delete"), number),
)


def record(make: "Maker", accepted: list[RecordAcceptance], step: tuple[Any, ...]) -> Record:
    task: RecordAcceptance = accepted[step[1]]
    match step:
        case ("accept", _):
            return task
        case ("start", _, attempt):
            return make.start(task, attempt)
        case ("events", _, attempt, count):
            return make.events(task, *[Topic.SKILL_STARTED] * count, attempt=attempt)
        case ("delegate", _, attempt, children):
            given = tuple(accepted[n] for n in children if accepted[n] is not task)
            return replace(make.events(task, attempt=attempt), children=given, most_below=MOST_BELOW)
        case ("pause", _, attempt):
            return RecordPause(
                task_id=task.task.task_id,
                attempt=attempt,
                at=make.now,
                pause=Pause(reason=PauseReason.SUBAGENTS),
                events=(make.event(Topic.TASK_PAUSED),),
            )
        case ("requeue", _, attempt):
            return RecordRequeue(task_id=task.task.task_id, attempt=attempt, at=make.now, events=())
        case ("end", _, attempt, status, keep):
            session = make.session(task.task.session_id) if keep else None
            return make.result(task, status, attempt=attempt, execution_time_ms=1.0, session=session)
        case _:
            return RecordSessionDeleted(session_id=task.task.session_id)


@examples(40)
@given(batches=st.lists(st.lists(steps, max_size=6), max_size=10))
def test_numbers_have_no_gap_a_task_ends_once_and_totals_are_exact(
    emptied: "Callable[[], SqlStore]", make: "Maker", batches: list[list[tuple[Any, ...]]]
) -> None:
    store = emptied()
    accepted = [make.acceptance(session_id=f"s{n % 2}") for n in range(TASKS)]
    accepted += [make.acceptance(parent_id="somebody's", root_id="somebody's") for _ in range(CHILDREN)]
    told: list[TaskEvent] = []
    delegated: list[str] = []
    for batch in batches:
        records = [record(make, accepted, step) for step in batch]
        outcomes = store.writer.write(records)
        assert len(outcomes) == len(records)
        told += [event for outcome in outcomes for event in outcome.events]
        delegated += [record.task_id for outcome in outcomes for record in outcome.accepted]
        check_outcomes(records, outcomes)
    stored = store.reader.tasks(ListTasks(limit=100)).tasks
    assert len(delegated) <= MOST_BELOW
    assert sorted(delegated) == [task.task_id for task in store.reader.children("somebody's")]
    for task in stored:
        events = store.reader.events(task.task_id)
        assert [event.seq for event in events.events] == list(range(1, len(events.events) + 1))
        assert list(events.events) == [event for event in told if event.task_id == task.task_id]
        ends = [event for event in events.events if event.topic in {f"agent.task.{end}" for end in ENDS}]
        assert len(ends) == (1 if task.status.ended else 0)
        assert ends == list(events.events[-1:]) if ends else True
    counted = Counter(task.status for task in stored)
    totals = store.reader.totals()
    assert (totals.completed, totals.failed, totals.cancelled) == tuple(counted[end] for end in ENDS)
    assert (totals.total, totals.live) == (len(stored), sum(1 for task in stored if not task.status.ended))
    assert totals.execution_ms == totals.completed + totals.failed


def check_outcomes(records: list[Record], outcomes: list[WriteOutcome]) -> None:
    """Whatever was refused appended nothing."""
    for made, outcome in zip(records, outcomes, strict=True):
        if (
            outcome.value is False
            or isinstance(outcome.value, Exception)
            or (isinstance(made, RecordPause) and outcome.value.status is not Status.PAUSED)
        ):
            assert (outcome.events, outcome.accepted) == ((), ()), made
