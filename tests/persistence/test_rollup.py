"""What a task's end says of it: figures and time of all attempts, what agents took, once, in whatever order things end."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, text

from callboard.budget import Account, Usage
from callboard.messages.events import Topic
from callboard.messages.pauses import Pause, PauseReason
from callboard.messages.records import Record, RecordAcceptance, RecordPause, RecordRedrive, RecordRequeue, RecordResult
from callboard.messages.tasks import Status, TaskRecord
from callboard.persistence.store import SqlStore
from callboard.persistence.tables import tasks
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
    above = parent.task
    return make.acceptance(
        parent_id=above.task_id, root_id=above.root_id or above.task_id, depth=above.depth + 1, **fields
    )


def paused(make: "Maker", accepted: RecordAcceptance, child: RecordAcceptance, spent: Usage = CALL) -> list[Record]:
    """Return the pause of a task's first attempt, which has made a call of a model, for an agent that is given a task."""
    task_id = accepted.task.task_id
    pause = RecordPause(
        task_id=task_id,
        attempt=1,
        at=make.now,
        pause=Pause(reason=PauseReason.SUBAGENTS),
        events=(make.event(Topic.TASK_PAUSED),),
        charges=((Account("task", task_id), spent),),
    )
    return [replace(make.events(accepted), children=(child,)), pause]


def ending(make: "Maker", accepted: RecordAcceptance, status: Status = Status.COMPLETED, **fields: Any) -> RecordResult:
    """Return the end of a first attempt that has made a call of a model, which it tells of itself."""
    return make.result(accepted, status, **{"metadata": dict(WHOLE), **fields})


def line_of(store: SqlStore, make: "Maker") -> list[RecordAcceptance]:
    """Store three tasks one below the other: two wait for the one below them, which runs."""
    first = make.acceptance()
    second = given_by(make, first)
    third = given_by(make, second)
    store.writer.write([first, make.start(first), *paused(make, first, second), make.start(second)])
    store.writer.write([*paused(make, second, third), make.start(third)])
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
        store.writer.write([end])
    assert sums(store.reader.task(third.task.task_id)) == (1, 13, 0.25, 2)
    assert sums(store.reader.task(second.task.task_id)) == (2, 26, 0.5, 4)
    top = store.reader.task(first.task.task_id)
    assert sums(top) == (3, 39, 0.75, 6)
    assert top.metadata["own"]["totalTokens"] == 13
    assert (top.metadata["subagents"]["tasks"], top.metadata["subagents"]["totalTokens"]) == (1, 26)
    assert store.reader.usage([Account("task", top.task_id)])[Account("task", top.task_id)].tokens == 39


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
        store.writer.write(ends[start:stop])
    last = 0 if 2 in cancelled else 13  # the one at the bottom has nothing on record but what its end tells
    found = [store.reader.task(one.task.task_id).metadata["totalTokens"] for one in line[:2]]
    assert found == [26 + last, 13 + last]
    store.writer.write(ends)
    assert [store.reader.task(one.task.task_id).metadata["totalTokens"] for one in line[:2]] == found, "it ended once"


def test_a_task_that_goes_on_has_what_its_attempts_and_its_agents_took(
    store: SqlStore, make: "Maker", line: list[RecordAcceptance]
) -> None:
    _, second, third = line
    store.writer.write([ending(make, third)])
    task = Account("task", second.task.task_id)
    store.writer.write([RecordRequeue(task_id=second.task.task_id, attempt=None, at=make.now, events=())])
    worked = Usage(wall_ms=40.0)
    store.writer.write([make.start(second, 2)])
    store.writer.write([replace(make.events(second, attempt=2), charges=((task, CALL + worked),))])
    [outcome] = store.writer.write(
        [make.result(second, attempt=2, charges=((task, worked),), metadata={"llmCalls": 0, "attempt": 2})]
    )
    assert outcome.value == store.reader.task(second.task.task_id)
    assert sums(outcome.value) == (3, 39, 0.75, 6)
    assert outcome.value.metadata["own"]["llmCalls"] == 2
    assert outcome.value.metadata["attempt"] == 2
    assert outcome.value.state.execution_time_ms == 80.0
    assert outcome.events[-1].data["executionTime"] == 80.0


def test_a_redrive_stands_by_itself_and_goes_on_with_what_the_dead_letter_took(
    store: SqlStore, make: "Maker", line: list[RecordAcceptance]
) -> None:
    first, second, third = line
    store.writer.write([ending(make, third)])
    store.writer.write([make.result(second, Status.FAILED, attempt=None, error_code="dead_letter")])
    again = replace(second.task, task_id="task-again", redrive_of=second.task.task_id)
    store.writer.write([RecordRedrive(dead_id=second.task.task_id, task=again, event=make.event(Topic.TASK_EXECUTE))])
    redriven = RecordAcceptance(task=again, event=make.event())
    store.writer.write([make.start(redriven), ending(make, redriven, metadata={"llmCalls": 0})])
    assert sums(store.reader.task("task-again")) == (2, 26, 0.5, 4)
    store.writer.write([make.cancel(first)])
    assert sums(store.reader.task(first.task.task_id)) == (3, 39, 0.75, 6), "what the redrive took is not of it"


def test_the_end_of_a_task_below_one_that_was_pruned_is_stored(
    store: SqlStore, make: "Maker", line: list[RecordAcceptance], raw_engine: Engine
) -> None:
    """A version before kept a line of tasks no longer than each of its own."""
    first, second, third = line
    store.writer.write([make.cancel(first), make.cancel(second)])
    with raw_engine.begin() as connection:
        connection.execute(delete(tasks).where(tasks.c.id == first.task.task_id))
    [outcome] = store.writer.write([ending(make, third)])
    assert outcome.value.status is Status.COMPLETED
    assert sums(store.reader.task(second.task.task_id)) == (2, 26, 0.5, 4)
    assert store.writer.prune_step(older_than=None, keep=0) == 2
    accounts = [Account(scope, one.task.task_id) for scope in ("task", "subagents") for one in line[1:]]
    assert store.reader.usage(accounts) == dict.fromkeys(accounts, Usage()), "accounts go with their task"


def test_an_end_is_stamped_with_both_times_and_no_clock_makes_them_negative(store: SqlStore, make: "Maker") -> None:
    ahead, waits = make.acceptance(created_at=make.now + timedelta(hours=1)), make.acceptance()
    make.tick(5)
    store.writer.write([ahead, waits, make.start(ahead)])
    [worked, untouched] = store.writer.write(
        [ending(make, ahead, execution_time_ms=1.5), make.result(waits, Status.CANCELLED, attempt=None)]
    )
    assert worked.events[-1].data == {"output": 84, "elapsedTime": 1.5, "executionTime": 1.5}
    assert untouched.events[-1].data == {"elapsedTime": 5000.0}
    assert (untouched.value.state.execution_time_ms, untouched.value.metadata) == (None, {})


def test_tasks_of_earlier_versions_tell_both_times_and_sums(store: SqlStore, make: "Maker", raw_engine: Engine) -> None:
    accepted = make.acceptance()
    make.tick(2)
    store.writer.write([accepted, make.start(accepted), ending(make, accepted, execution_time_ms=7.0)])
    old = '{"llmCalls": 1, "inputTokens": 10, "outputTokens": 3, "totalTokens": 13, "skillCalls": 2, "costUsd": 0.25, '
    old += '"subagents": {"tasks": 1, "llmCalls": 2, "inputTokens": 20, "outputTokens": 6, "skillCalls": 3, "costUsd": 0.5}}'
    with raw_engine.begin() as connection:
        connection.execute(text("UPDATE tasks SET metadata = :old"), {"old": old})
    task = store.reader.task(accepted.task.task_id)
    assert (task.state.execution_time_ms, task.elapsed_ms) == (7.0, 2000.0)
    assert sums(task) == (3, 39, 0.75, 5)
    assert task.metadata["own"]["llmCalls"] == 1
    assert task.metadata["subagents"]["totalTokens"] == 26


def test_the_session_of_the_first_task_has_spent_what_all_below_it_took_however_they_ended(
    store: SqlStore, make: "Maker", line: list[RecordAcceptance]
) -> None:
    first, second, third = line
    session = Account("session", first.task.session_id)
    store.writer.write([make.cancel(first), ending(make, third)])
    assert store.reader.usage([session])[session].tokens == 13
    store.writer.write([make.cancel(second)])
    assert store.reader.usage([session])[session].tokens == 26, "what the first one took goes with its own records"
