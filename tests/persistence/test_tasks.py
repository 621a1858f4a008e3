"""What the store writes about tasks and reads back, the same on every backend."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from callboard.errors import TaskNotFound
from callboard.messages.events import TaskEvent, Topic
from callboard.messages.health import Totals
from callboard.messages.tasks import Status, TaskRecord
from callboard.persistence.store import SqlStore

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker


def numbers(events: Sequence[TaskEvent]) -> list[int]:
    return [event.seq for event in events]


def test_an_accepted_task_reads_back_as_it_was_written(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance(
        system_prompt="Be brief — «ja».",
        available_skills=("calculate", "web-search"),
        agent="master",
        labels={"team": "räksmörgås", "cost": 1.5, "order": 2**62},
        timeout_ms=5000,
        priority=-7,
        request_id="request-1",
        caller="key:abc",
    )
    [outcome] = store.writer.write([accepted])
    assert outcome.value == TaskRecord(task=accepted.task)
    assert store.reader.task(accepted.task.task_id) == TaskRecord(task=accepted.task)


def test_no_skills_allowed_and_all_skills_allowed_are_told_apart(store: SqlStore, make: "Maker") -> None:
    none, every = make.acceptance(available_skills=()), make.acceptance(available_skills=None)
    store.writer.write([none, every])
    assert store.reader.task(none.task.task_id).task.spec.available_skills == ()
    assert store.reader.task(every.task.task_id).task.spec.available_skills is None


VALUES = [
    None,
    True,
    0,
    -(2**63),
    0.1,
    1.0,
    1e300,
    "",
    "null",
    '\u2028 𝄞 \\ "',
    [],
    {},
    [None],
    {"b": {"a": None}, "a": [1, 2.0, "x"]},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_an_output_reads_back_as_it_was_written(store: SqlStore, make: "Maker", value: Any) -> None:
    accepted = make.acceptance()
    [_, ended] = store.writer.write([accepted, make.result(accepted, attempt=0, output=value, metadata={"v": value})])
    read = store.reader.task(accepted.task.task_id)
    assert read == ended.value
    assert read.output == value
    assert type(read.output) is type(value)
    assert read.metadata == {"v": value}


def test_an_output_keeps_the_order_of_its_keys(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    store.writer.write([accepted, make.result(accepted, attempt=0, output={"zebra": 1, "ant": 2})])
    assert list(store.reader.task(accepted.task.task_id).output) == ["zebra", "ant"]


def test_a_task_that_failed_keeps_what_it_had_printed(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    store.writer.write([accepted, make.result(accepted, Status.FAILED, attempt=0, output="half", error="It broke.")])
    read = store.reader.task(accepted.task.task_id)
    assert (read.output, read.error, read.success) == ("half", "It broke.", False)


def test_times_come_back_in_utc_to_the_microsecond(store: SqlStore, make: "Maker") -> None:
    at = datetime(2026, 3, 1, 12, 30, 15, 123457, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    accepted = make.acceptance(created_at=at)
    store.writer.write([accepted])
    read = store.reader.task(accepted.task.task_id).task.created_at
    assert read == at
    assert read.tzinfo is UTC


def test_a_time_without_a_zone_is_refused(store: SqlStore, make: "Maker") -> None:
    [outcome] = store.writer.write([make.acceptance(created_at=datetime(2026, 3, 1))])  # noqa: DTZ001
    assert isinstance(outcome.value, TypeError)


def test_labels_may_be_any_mapping(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance(labels=MappingProxyType({"a": 1}))
    store.writer.write([accepted])
    assert store.reader.task(accepted.task.task_id).task.spec.labels == {"a": 1}


def test_events_are_numbered_from_one_without_a_gap_across_batches(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    written = [
        *store.writer.write([accepted]),
        *store.writer.write([make.start(accepted)]),
        *store.writer.write([make.events(accepted, Topic.STEP_STARTED, Topic.SKILL_STARTED), make.events(accepted)]),
        *store.writer.write([make.result(accepted)]),
    ]
    told = [event for outcome in written for event in outcome.events]
    assert numbers(told) == [1, 2, 3, 4, 5]
    page = store.reader.events(accepted.task.task_id)
    assert list(page.events) == told
    assert page.ended


def test_records_on_one_task_see_each_other_within_a_batch(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    ended = make.result(accepted, output=84, execution_time_ms=1.5, session=make.left())
    outcomes = store.writer.write([accepted, make.start(accepted), make.events(accepted), ended])
    assert [outcome.value for outcome in outcomes[:3]] == [TaskRecord(task=accepted.task), True, True]
    assert outcomes[3].value == store.reader.task(accepted.task.task_id)
    assert outcomes[3].value.status is Status.COMPLETED
    assert outcomes[3].value.state.attempt == 1
    assert outcomes[3].value.state.started_at == make.now
    assert numbers(store.reader.events(accepted.task.task_id).events) == [1, 2, 3]


def test_a_task_cancelled_in_the_batch_of_its_acceptance_never_starts(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    outcomes = store.writer.write([accepted, make.cancel(accepted), make.start(accepted)])
    assert outcomes[1].value.status is Status.CANCELLED
    assert outcomes[2].value is False
    assert store.reader.task(accepted.task.task_id).status is Status.CANCELLED


def test_a_start_needs_a_higher_attempt(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    store.writer.write([accepted])
    attempts = [make.start(accepted, attempt) for attempt in (2, 2, 1, 3)]
    assert [outcome.value for outcome in store.writer.write(attempts)] == [True, False, False, True]
    read = store.reader.task(accepted.task.task_id)
    assert (read.state.attempt, read.status) == (3, Status.RUNNING)


def test_events_of_an_attempt_that_was_taken_over_are_refused(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    store.writer.write([accepted, make.start(accepted, 1), make.start(accepted, 2)])
    late, own = store.writer.write([make.events(accepted, attempt=1), make.events(accepted, attempt=2)])
    assert (late.value, late.events) == (False, ())
    assert own.value is True
    assert numbers(own.events) == [2]


def test_a_result_of_an_attempt_that_was_taken_over_leaves_no_trace(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    store.writer.write([accepted, make.start(accepted, 1), make.start(accepted, 2)])
    [late] = store.writer.write([make.result(accepted, attempt=1, output=1, session=make.left(variables=("x",)))])
    assert late.events == ()
    assert late.value == store.reader.task(accepted.task.task_id)
    assert late.value.status is Status.RUNNING
    assert store.reader.session("session").variables == ()
    assert store.reader.totals() == Totals(total=1, live=1)


def test_a_task_ends_once(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    store.writer.write([accepted, make.start(accepted)])
    first, second = store.writer.write([make.result(accepted, output=1), make.cancel(accepted)])
    assert second.value == first.value
    assert second.events == ()
    [third] = store.writer.write([make.cancel(accepted)])
    assert third.value == first.value
    assert [o.value for o in store.writer.write([make.start(accepted, 9), make.events(accepted)])] == [False, False]
    assert store.reader.totals() == Totals(total=1, completed=1)


def test_a_cancel_ends_whatever_attempt_is_running(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    store.writer.write([accepted, make.start(accepted, 4)])
    [outcome] = store.writer.write([make.cancel(accepted)])
    assert (outcome.value.status, outcome.value.state.attempt) == (Status.CANCELLED, 4)


def test_a_result_must_end_its_task(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    store.writer.write([accepted])
    [outcome] = store.writer.write([replace(make.result(accepted, attempt=0), status=Status.RUNNING)])
    assert isinstance(outcome.value, ValueError)
    assert store.reader.task(accepted.task.task_id).status is Status.PENDING


def test_an_unknown_task_is_told_as_such(store: SqlStore, make: "Maker") -> None:
    nowhere = make.acceptance()
    start, events, result = store.writer.write([make.start(nowhere), make.events(nowhere), make.result(nowhere)])
    assert (start.value, events.value) == (False, False)
    assert isinstance(result.value, TaskNotFound)
    with pytest.raises(TaskNotFound):
        store.reader.task(nowhere.task.task_id)
    with pytest.raises(TaskNotFound):
        store.reader.events(nowhere.task.task_id)


def test_a_task_of_an_earlier_run_of_the_server_ends_with_all_its_fields(
    store: SqlStore, second_store: SqlStore, make: "Maker"
) -> None:
    accepted = make.acceptance(labels={"a": 1}, available_skills=("calculate",))
    store.writer.write([accepted, make.start(accepted)])
    [started] = second_store.writer.write([make.start(accepted, 2)])
    [ended] = second_store.writer.write([make.result(accepted, attempt=2, output=1)])
    assert started.value is True
    assert ended.value == second_store.reader.task(accepted.task.task_id)
    assert ended.value.task.spec.labels == {"a": 1}


def test_a_task_that_another_process_ended_is_told_as_it_stands(
    store: SqlStore, second_store: SqlStore, make: "Maker"
) -> None:
    accepted = make.acceptance()
    store.writer.write([accepted])
    second_store.writer.write([make.start(accepted), make.result(accepted, output=84)])
    [late] = store.writer.write([make.cancel(accepted)])
    assert late.value == store.reader.task(accepted.task.task_id)
    assert late.value.output == 84


def test_fencing_is_decided_by_the_database_and_not_by_memory(
    store: SqlStore, second_store: SqlStore, make: "Maker"
) -> None:
    accepted = make.acceptance()
    store.writer.write([accepted, make.start(accepted, 1), make.events(accepted)])
    second_store.writer.write([make.start(accepted, 2), make.events(accepted, attempt=2)])
    [late] = store.writer.write([make.events(accepted, attempt=1)])
    assert late.value is False
    [ended] = store.writer.write([make.cancel(accepted)])
    assert numbers(ended.events) == [4]
    assert second_store.writer.write([make.result(accepted, attempt=2)])[0].value.status is Status.CANCELLED
