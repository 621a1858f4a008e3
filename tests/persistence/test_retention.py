"""Pruning old tasks in small steps."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, func, select

from callboard.errors import TaskNotFound
from callboard.messages.health import Totals
from callboard.messages.records import RecordAcceptance
from callboard.messages.tasks import AttachedFile, ListTasks
from callboard.persistence.store import SqlStore
from callboard.persistence.tables import events

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker


def ended(store: SqlStore, make: "Maker", count: int) -> list[RecordAcceptance]:
    """Store tasks that end one after the other, each a second later."""
    accepted = [make.acceptance() for _ in range(count)]
    for one in accepted:
        make.tick()
        store.writer.write([one, make.result(one, attempt=0)])
    return accepted


def left(store: SqlStore) -> list[str]:
    return [task.task_id for task in reversed(store.reader.tasks(ListTasks(limit=100)).tasks)]


def ids(accepted: list[RecordAcceptance]) -> list[str]:
    return [one.task.task_id for one in accepted]


def test_the_oldest_tasks_beyond_a_count_are_deleted(store: SqlStore, make: "Maker") -> None:
    accepted = ended(store, make, 6)
    assert store.writer.prune_step(older_than=None, keep=4) == 2
    assert left(store) == ids(accepted[2:])
    assert store.writer.prune_step(older_than=None, keep=4) == 0


def test_tasks_that_ended_before_a_time_are_deleted(store: SqlStore, make: "Maker") -> None:
    accepted = ended(store, make, 6)
    limit = store.reader.task(accepted[3].task.task_id).state.ended_at
    assert store.writer.prune_step(older_than=limit, keep=None) == 3
    assert left(store) == ids(accepted[3:])


def test_either_reason_is_enough(store: SqlStore, make: "Maker") -> None:
    accepted = ended(store, make, 6)
    limit = store.reader.task(accepted[1].task.task_id).state.ended_at
    assert store.writer.prune_step(older_than=limit, keep=2) == 4
    assert left(store) == ids(accepted[4:])
    assert store.writer.prune_step(older_than=make.tick(), keep=2) == 2


def test_a_step_deletes_no_more_than_its_limit(store: SqlStore, make: "Maker") -> None:
    accepted = ended(store, make, 5)
    assert store.writer.prune_step(older_than=make.tick(), keep=None, limit=3) == 3
    assert left(store) == ids(accepted[3:])
    assert store.writer.prune_step(older_than=None, keep=0, limit=3) == 2


def test_tasks_that_have_not_ended_are_kept_and_not_counted(store: SqlStore, make: "Maker") -> None:
    live = make.acceptance()
    store.writer.write([live])
    accepted = ended(store, make, 2)
    assert store.writer.prune_step(older_than=make.tick(), keep=1, limit=10) == 2
    assert left(store) == ids([live])
    with pytest.raises(TaskNotFound):
        store.reader.events(accepted[0].task.task_id)


def test_events_go_with_their_task_and_no_others(store: SqlStore, make: "Maker", raw_engine: Engine) -> None:
    ended(store, make, 3)
    store.writer.prune_step(older_than=None, keep=1)
    with raw_engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(events)).scalar() == 2


def test_a_delegated_task_stays_until_the_one_above_it_has_ended(store: SqlStore, make: "Maker") -> None:
    parent = make.acceptance()
    part = make.acceptance(parent_id=parent.task.task_id, root_id=parent.task.task_id, depth=1)
    store.writer.write([parent, part, make.result(part, attempt=0)])
    ended(store, make, 1)
    assert store.writer.prune_step(older_than=make.tick(), keep=0) == 1
    assert left(store) == ids([parent, part])
    make.tick()
    store.writer.write([make.result(parent, attempt=0)])
    assert store.writer.prune_step(older_than=make.tick(), keep=0) == 2
    assert left(store) == []


def test_a_line_of_tasks_stays_until_all_of_it_has_ended(store: SqlStore, make: "Maker") -> None:
    """What is below the first task is counted, and a part of it works on the first one's files, whoever has ended."""
    first = make.acceptance()
    line = {"root_id": first.task.task_id, "depth": 1}
    middle = make.acceptance(parent_id=first.task.task_id, **line)
    last = make.acceptance(parent_id=middle.task.task_id, **line)
    redriven = make.acceptance(parent_id=first.task.task_id, redrive_of=middle.task.task_id, **line)
    store.writer.write([first, middle, last, make.result(last, attempt=0), make.result(middle, attempt=0)])
    assert store.writer.prune_step(older_than=make.tick(), keep=0) == 0
    store.writer.write([redriven, make.result(first, attempt=0)])
    assert store.writer.prune_step(older_than=make.tick(), keep=0) == 0
    store.writer.write([make.result(redriven, attempt=0)])
    assert store.writer.prune_step(older_than=make.tick(), keep=0) == 4


def test_files_go_with_their_task_and_no_others(store: SqlStore, make: "Maker") -> None:
    file = AttachedFile(name="a.txt", media_type="text/plain", data=b"a")
    accepted = [replace(make.acceptance(), files=(file,)) for _ in range(2)]
    for one in accepted:
        make.tick()
        store.writer.write([one, make.result(one, attempt=0)])
    store.writer.prune_step(older_than=None, keep=1)
    assert [store.reader.files(task_id) for task_id in ids(accepted)] == [(), (file,)]


def test_totals_go_on_counting_deleted_tasks(store: SqlStore, make: "Maker") -> None:
    ended(store, make, 3)
    store.writer.prune_step(older_than=None, keep=0)
    assert store.reader.totals() == Totals(total=3, completed=3, elapsed_ms=3 * 3000)
    ended(store, make, 2)
    assert store.writer.prune_step(older_than=None, keep=1) == 1


def test_two_processes_that_prune_count_each_task_once(store: SqlStore, second_store: SqlStore, make: "Maker") -> None:
    ended(store, make, 4)
    assert store.writer.prune_step(older_than=None, keep=2) == 2
    assert second_store.writer.prune_step(older_than=None, keep=2) == 0
