"""Positions go up in the order of the commits, whatever fails between them, and streams are read by them."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, inspect

from callboard.errors import InvalidRequest, TaskNotFound
from callboard.messages.events import GetFamilyEvents, ListEvents, Topic
from callboard.messages.pauses import Pause, PauseReason
from callboard.messages.records import Record, RecordAcceptance, RecordPause
from callboard.messages.tasks import Status, Task
from callboard.persistence import migrate
from callboard.persistence.store import SqlStore

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker, OpenStore


def positions(store: SqlStore, **query: Any) -> list[int]:
    return [entry.event.position for entry in store.reader.feed(ListEvents(**{"after": 0, **query})).entries]


def now(store: SqlStore) -> int:
    return store.reader.feed(ListEvents()).next_after


def test_events_are_numbered_over_all_tasks_in_the_order_of_their_commits(store: SqlStore, make: "Maker") -> None:
    one, two = make.acceptance(), make.acceptance()
    written = store.writer.write([one, two, make.start(one)])
    written += store.writer.write(
        [make.events(one), make.start(two), make.events(two, Topic.STEP_STARTED, Topic.STEP_COMPLETED)]
    )
    written += store.writer.write([make.result(two), make.events(one)])
    told = [event for outcome in written for event in outcome.events]
    assert [event.position for event in told] == [1, 2, 3, 4, 5, 6, 7]
    page = store.reader.feed(ListEvents(after=0))
    assert [entry.event for entry in page.entries] == told
    assert (page.next_after, page.more) == (7, False)
    assert now(store) == 7


def test_a_record_that_cannot_be_stored_leaves_no_event_and_turns_nothing_back(store: SqlStore, make: "Maker") -> None:
    one, two = make.acceptance(), make.acceptance()
    store.writer.write([one])
    bad = make.acceptance(labels={"unstorable": object()})
    outcomes = store.writer.write([make.start(one), make.events(one), bad, two])
    assert isinstance(outcomes[2].value, Exception)
    told = [event.position for outcome in outcomes for event in outcome.events]
    assert told == sorted(set(told))
    assert min(told) > 1
    assert positions(store) == [1, *told]


def test_positions_never_go_back_when_all_is_pruned_and_the_store_is_opened_again(
    open_at: "OpenStore", database_url: str, make: "Maker"
) -> None:
    store = open_at(database_url)
    for _ in range(3):
        one = make.acceptance()
        store.writer.write([one, make.start(one), make.events(one), make.result(one)])
    assert positions(store) == list(range(1, 10))
    assert store.writer.prune_step(older_than=make.now + timedelta(days=1), keep=None) == 3
    assert positions(store) == []
    store.close()
    again = open_at(database_url)
    assert now(again) == 9
    again.writer.write([make.acceptance()])
    assert positions(again) == [10]


def test_two_writers_of_one_history_do_not_give_a_position_twice(
    store: SqlStore, second_store: SqlStore, make: "Maker"
) -> None:
    for writer in (store, second_store, store, second_store):
        writer.writer.write([make.acceptance()])
    assert positions(store) == [1, 2, 3, 4]


def delegate(make: "Maker", parent: RecordAcceptance) -> tuple[RecordAcceptance, list[Record]]:
    child = make.acceptance(parent_id=parent.task.task_id, root_id=parent.task.root_id or parent.task.task_id)
    event = make.event(Topic.TASK_PAUSED)
    pause = RecordPause(
        task_id=parent.task.task_id,
        attempt=1,
        at=make.now,
        pause=Pause(reason=PauseReason.SUBAGENTS),
        events=(event,),
    )
    return child, [replace(make.events(parent), events=(), children=(child,)), pause]


@pytest.fixture
def family(store: SqlStore, make: "Maker") -> list[Task]:
    """A task, one that it has delegated, one that this one has, and a stranger whose events lie between theirs."""
    first, stranger = make.acceptance(), make.acceptance()
    store.writer.write([first, stranger, make.start(first), make.start(stranger)])
    child, pause = delegate(make, first)
    store.writer.write([*pause, make.events(stranger)])
    grandchild, pause = delegate(make, child)
    store.writer.write([make.start(child), make.events(child), *pause, make.events(stranger)])
    store.writer.write(
        [make.start(grandchild), make.events(grandchild), make.result(grandchild), make.result(stranger)]
    )
    return [first.task, child.task, grandchild.task, stranger.task]


def test_a_family_is_a_task_and_all_below_it(store: SqlStore, family: list[Task]) -> None:
    first, child, grandchild, stranger = (task.task_id for task in family)
    page = store.reader.family_events(GetFamilyEvents(task_id=first))
    assert page.family == {first, child, grandchild}
    everything = [entry.event for entry in store.reader.feed(ListEvents(after=0)).entries]
    assert list(page.events) == [event for event in everything if event.task_id != stranger]
    assert (page.last_seq, page.ended, page.more) == (2, False, False)
    below = store.reader.family_events(GetFamilyEvents(task_id=child))
    assert below.family == {child, grandchild}
    assert store.reader.family_events(GetFamilyEvents(task_id=stranger)).ended


def test_a_familys_events_are_paged_by_number_and_by_position(store: SqlStore, family: list[Task]) -> None:
    first = family[0].task_id
    whole = store.reader.family_events(GetFamilyEvents(task_id=first)).events
    behind = store.reader.family_events(GetFamilyEvents(task_id=first, after=2))
    [number] = [n for n, event in enumerate(whole) if (event.task_id, event.seq) == (first, 2)]
    assert behind.position == whole[number].position
    assert behind.events == whole[number + 1 :]
    for number, event in enumerate(whole):
        page = store.reader.family_events(GetFamilyEvents(task_id=first, after=1, position=event.position, limit=1))
        assert page.events == whole[number + 1 : number + 2]
        assert page.more is (number + 2 < len(whole))


def test_what_a_family_cannot_be_asked_is_refused(store: SqlStore, family: list[Task]) -> None:
    with pytest.raises(TaskNotFound):
        store.reader.family_events(GetFamilyEvents(task_id="nobody"))
    for limit in (0, 1001):
        with pytest.raises(InvalidRequest):
            store.reader.family_events(GetFamilyEvents(task_id=family[0].task_id, limit=limit))
        with pytest.raises(InvalidRequest):
            store.reader.feed(ListEvents(after=0, limit=limit))


def test_the_feed_is_filtered(store: SqlStore, make: "Maker") -> None:
    one, two = make.acceptance(session_id="a"), make.acceptance(session_id="b", agent="reviewer")
    store.writer.write([one, two, make.start(one), make.start(two)])
    store.writer.write([make.result(one), make.result(two, Status.FAILED)])
    assert positions(store) == [1, 2, 3, 4]
    assert positions(store, task_id=one.task.task_id) == [1, 3]
    assert positions(store, session_id="b") == [2, 4]
    assert positions(store, agent="reviewer") == [2, 4]
    assert positions(store, agent="master") == [1, 3]
    assert positions(store, topics=frozenset({Topic.TASK_FAILED, Topic.TASK_EXECUTE})) == [1, 2, 4]
    assert positions(store, session_id="a", agent="reviewer") == []
    assert [entry.session_id for entry in store.reader.feed(ListEvents(after=2)).entries] == ["a", "b"]


def test_a_page_of_the_feed_looks_at_a_bounded_number_of_events(
    store: SqlStore, make: "Maker", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.persistence.feeds.MOST_LOOKED_AT", 3)
    for number in range(8):
        store.writer.write([make.acceptance(session_id=f"s{number % 4}")])
    query, found = ListEvents(after=0, session_id="s3"), []
    for _ in range(3):
        page = store.reader.feed(query)
        found += [entry.event.position for entry in page.entries]
        query = query.behind(page.next_after)
    assert found == [4, 8]
    assert (page.next_after, page.more) == (8, False)


def test_a_history_from_before_positions_gets_them(
    open_at: "OpenStore", database_url: str, raw_engine: Engine, make: "Maker"
) -> None:
    store = open_at(database_url)
    first, second = make.acceptance(), make.acceptance()
    store.writer.write([first, second, make.start(second), make.events(second)])
    store.writer.write([make.start(first), make.events(first), make.result(second)])
    store.close()
    with raw_engine.begin() as connection:
        migrate.downgrade(connection, "0003")
    assert "position" not in {column["name"] for column in inspect(raw_engine).get_columns("events")}
    again = open_at(database_url)
    events = [entry.event for entry in again.reader.feed(ListEvents(after=0)).entries]
    assert [(e.task_id, e.seq, e.position) for e in events] == [
        (first.task.task_id, 1, 1),
        (first.task.task_id, 2, 2),
        (second.task.task_id, 1, 3),
        (second.task.task_id, 2, 4),
        (second.task.task_id, 3, 5),
    ]
    again.writer.write([make.acceptance()])
    assert positions(again)[-1] == 6


def test_a_page_of_large_events_is_short_and_all_are_found_page_by_page(
    store: SqlStore, make: "Maker", monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make.acceptance()
    written = store.writer.write([one, make.start(one), make.events(one, *[Topic.STEP_STARTED] * 5)])
    task_id = written[0].events[0].task_id
    whole = positions(store)
    monkeypatch.setattr("callboard.persistence.pages.PAGE_BYTES", 1)
    query, found = ListEvents(after=0), []
    family, after = GetFamilyEvents(task_id=task_id, position=0), []
    while page := store.reader.feed(query).entries:
        found += [entry.event.position for entry in page]
        assert len(page) == 1, "one at least, and no more than there is room for"
        query = query.behind(found[-1])
    while True:
        of_family = store.reader.family_events(family)
        after += [event.position for event in of_family.events]
        assert len(of_family.events) == 1
        if not of_family.more:
            break
        family = GetFamilyEvents(task_id=task_id, position=after[-1])
    assert found == after == whole


def test_what_is_committed_names_its_tasks_session_and_agent_after_a_restart_too(
    open_at: "OpenStore", database_url: str, make: "Maker"
) -> None:
    first = open_at(database_url)
    accepted = make.acceptance(session_id="mine", agent="code-reviewer")
    outcomes = first.writer.write([accepted, make.start(accepted)])
    first.close()
    outcomes += open_at(database_url).writer.write([make.events(accepted), make.result(accepted)])
    told = [event for outcome in outcomes for event in outcome.events]
    assert [(event.session_id, event.agent) for event in told] == [("mine", "code-reviewer")] * 3
