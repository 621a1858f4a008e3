"""What a task's end says of it: figures and time of all attempts, what agents took, once, in whatever order things end."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from callboard.budget import Account, Usage
from callboard.messages import Status, TaskRecord, Topic
from callboard.persistence.store import SqlStore
from callboard.records import Record, RecordAcceptance, RecordPause, RecordRedrive, RecordRequeue, RecordResult
from tests.profiles import examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.persistence.conftest import Maker

CALL = Usage(model_calls=1, input_tokens=10, output_tokens=3, cost_usd=0.25, skill_calls=2)
WHOLE: dict[str, Any] = {
    "llmCalls": 1,
    "inputTokens": 10,
    "outputTokens": 3,
    "totalTokens": 13,
    "skillCalls": 2,
    "costUsd": 0.25,
}


def given_by(make: "Maker", parent: RecordAcceptance, **fields: Any) -> RecordAcceptance:
    above = parent.record
    return make.acceptance(
        parent_id=above.task_id, root_id=above.root_id or above.task_id, depth=above.depth + 1, **fields
    )


def paused(make: "Maker", accepted: RecordAcceptance, *children: RecordAcceptance, spent: Usage = CALL) -> RecordPause:
    """Return the pause of a task's first attempt, which has made a call of a model."""
    task_id = accepted.record.task_id
    return RecordPause(
        task_id=task_id,
        attempt=1,
        at=make.now,
        pause={"reason": "subagents"},
        events=(make.event(Topic.TASK_PAUSED),),
        children=children,
        charges=((Account("task", task_id), spent),),
    )


def ending(make: "Maker", accepted: RecordAcceptance, status: Status = Status.COMPLETED, **fields: Any) -> RecordResult:
    """Return the end of a first attempt that has made a call of a model, which it tells of itself."""
    return make.result(accepted, status, **{"metadata": dict(WHOLE), **fields})


def line_of(store: SqlStore, make: "Maker") -> list[RecordAcceptance]:
    """Store three tasks one below the other: two wait for the one below them, which runs."""
    first = make.acceptance()
    second = given_by(make, first)
    third = given_by(make, second)
    store.write([first, make.start(first), paused(make, first, second), make.start(second)])
    store.write([paused(make, second, third), make.start(third)])
    return [first, second, third]


@pytest.fixture
def line(store: SqlStore, make: "Maker") -> list[RecordAcceptance]:
    return line_of(store, make)


def sums(task: TaskRecord) -> tuple[int, int, float, int]:
    metadata = task.metadata
    return metadata["llmCalls"], metadata["totalTokens"], metadata["costUsd"], metadata["skillCalls"]


def test_what_a_task_took_goes_up_to_all_above_it_whoever_ends_first(
    store: SqlStore, make: "Maker", line: list[RecordAcceptance]
) -> None:
    first, second, third = line
    for end in (make.cancel(first), make.cancel(second), ending(make, third)):
        store.write([end])
    assert sums(store.task(third.record.task_id)) == (1, 13, 0.25, 2)
    assert sums(store.task(second.record.task_id)) == (2, 26, 0.5, 4)
    top = store.task(first.record.task_id)
    assert sums(top) == (3, 39, 0.75, 6)
    assert top.metadata["own"]["totalTokens"] == 13
    assert (top.metadata["subagents"]["tasks"], top.metadata["subagents"]["totalTokens"]) == (1, 26)
    assert store.usage([Account("task", top.task_id)])[Account("task", top.task_id)].tokens == 39


@examples(20)
@given(order=st.permutations([0, 1, 2]), cuts=st.sets(st.integers(1, 2)), cancelled=st.sets(st.integers(0, 2)))
def test_sums_are_the_same_in_whatever_order_and_batches_tasks_end(
    emptied: "Callable[[], SqlStore]", make: "Maker", order: list[int], cuts: set[int], cancelled: set[int]
) -> None:
    store = emptied()
    line = line_of(store, make)
    ends: list[Record] = [
        make.cancel(line[n]) if n in cancelled or n < 2 else ending(make, line[n], attempt=None) for n in order
    ]
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), 3], strict=True):
        store.write(ends[start:stop])
    last = 0 if 2 in cancelled else 13  # the one at the bottom has nothing on record but what its end tells
    found = [store.task(one.record.task_id).metadata["totalTokens"] for one in line[:2]]
    assert found == [26 + last, 13 + last]
    store.write(ends)
    assert [store.task(one.record.task_id).metadata["totalTokens"] for one in line[:2]] == found, "it ended once"


def test_a_task_that_goes_on_has_what_its_attempts_and_its_agents_took(
    store: SqlStore, make: "Maker", line: list[RecordAcceptance]
) -> None:
    _, second, third = line
    store.write([ending(make, third)])
    task = Account("task", second.record.task_id)
    store.write([RecordRequeue(task_id=second.record.task_id, attempt=None, at=make.now, events=())])
    worked = Usage(wall_ms=40.0)
    store.write([make.start(second, 2)])
    store.write([replace(make.events(second, attempt=2), charges=((task, CALL + worked),))])
    [outcome] = store.write(
        [make.result(second, attempt=2, charges=((task, worked),), metadata={"llmCalls": 0, "attempt": 2})]
    )
    assert outcome.value == store.task(second.record.task_id)
    assert sums(outcome.value) == (3, 39, 0.75, 6)
    assert outcome.value.metadata["own"]["llmCalls"] == 2
    assert outcome.value.metadata["attempt"] == 2
    assert outcome.value.execution_time_ms == 80.0
    assert outcome.events[-1].data["executionTime"] == 80.0


def test_a_redrive_stands_by_itself_and_goes_on_with_what_the_dead_letter_took(
    store: SqlStore, make: "Maker", line: list[RecordAcceptance]
) -> None:
    first, second, third = line
    store.write([ending(make, third)])
    store.write([make.result(second, Status.FAILED, attempt=None, error_code="dead_letter")])
    again = replace(second.record, task_id="task-again", redrive_of=second.record.task_id)
    store.write([RecordRedrive(dead_id=second.record.task_id, record=again, event=make.event(Topic.TASK_EXECUTE))])
    redriven = RecordAcceptance(record=again, event=make.event())
    store.write([make.start(redriven), ending(make, redriven, metadata={"llmCalls": 0})])
    assert sums(store.task("task-again")) == (2, 26, 0.5, 4)
    store.write([make.cancel(first)])
    assert sums(store.task(first.record.task_id)) == (3, 39, 0.75, 6), "what the redrive took is not of it"


def test_the_end_of_a_task_below_one_that_was_pruned_is_stored(
    store: SqlStore, make: "Maker", line: list[RecordAcceptance]
) -> None:
    first, second, third = line
    store.write([make.cancel(first), make.cancel(second)])
    assert store.prune_step(older_than=None, keep=1) == 1
    [outcome] = store.write([ending(make, third)])
    assert outcome.value.status is Status.COMPLETED
    assert sums(store.task(second.record.task_id)) == (2, 26, 0.5, 4)
    assert store.prune_step(older_than=None, keep=0) == 2
    accounts = [Account(scope, one.record.task_id) for scope in ("task", "subagents") for one in line[1:]]
    assert store.usage(accounts) == dict.fromkeys(accounts, Usage()), "accounts go with their task"


def test_an_end_is_stamped_with_both_times_and_no_clock_makes_them_negative(store: SqlStore, make: "Maker") -> None:
    ahead, waits = make.acceptance(created_at=make.now + timedelta(hours=1)), make.acceptance()
    make.tick(5)
    store.write([ahead, waits, make.start(ahead)])
    [worked, untouched] = store.write(
        [ending(make, ahead, execution_time_ms=1.5), make.result(waits, Status.CANCELLED, attempt=None)]
    )
    assert worked.events[-1].data == {"executionTime": 1.5, "elapsedTime": 1.5}
    assert untouched.events[-1].data == {"elapsedTime": 5000.0}
    assert (untouched.value.execution_time_ms, untouched.value.metadata) == (None, {})


def test_tasks_of_earlier_versions_tell_both_times_and_sums(store: SqlStore, make: "Maker", raw_engine: Engine) -> None:
    accepted = make.acceptance()
    make.tick(2)
    store.write([accepted, make.start(accepted), ending(make, accepted, execution_time_ms=7.0)])
    old = '{"llmCalls": 1, "inputTokens": 10, "outputTokens": 3, "totalTokens": 13, "skillCalls": 2, "costUsd": 0.25, '
    old += '"subagents": {"tasks": 1, "llmCalls": 2, "inputTokens": 20, "outputTokens": 6, "skillCalls": 3, "costUsd": 0.5}}'
    with raw_engine.begin() as connection:
        connection.execute(text("UPDATE tasks SET metadata = :old"), {"old": old})
    task = store.task(accepted.record.task_id)
    assert (task.execution_time_ms, task.elapsed_ms) == (7.0, 2000.0)
    assert sums(task) == (3, 39, 0.75, 5)
    assert task.metadata["own"]["llmCalls"] == 1
    assert task.metadata["subagents"]["totalTokens"] == 26
