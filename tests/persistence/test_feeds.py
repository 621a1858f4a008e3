"""Positions go up in the order of the commits, whatever fails between them, and streams are read by them."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, inspect

from callboard.errors import InvalidRequest, TaskNotFound
from callboard.feeds import GetFamilyEvents, ListEvents
from callboard.messages import Status, TaskRecord, Topic
from callboard.persistence import migrate
from callboard.persistence.store import SqlStore
from callboard.records import RecordAcceptance, RecordPause

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker, OpenStore


def positions(store: SqlStore, **query: Any) -> list[int]:
    return [entry.event.position for entry in store.feed(ListEvents(**{"after": 0, **query})).entries]


def now(store: SqlStore) -> int:
    return store.feed(ListEvents()).next_after


def test_events_are_numbered_over_all_tasks_in_the_order_of_their_commits(store: SqlStore, make: "Maker") -> None:
    one, two = make.acceptance(), make.acceptance()
    written = store.write([one, two, make.start(one)])
    written += store.write(
        [make.events(one), make.start(two), make.events(two, Topic.STEP_STARTED, Topic.STEP_COMPLETED)]
    )
    written += store.write([make.result(two), make.events(one)])
    told = [event for outcome in written for event in outcome.events]
    assert [event.position for event in told] == [1, 2, 3, 4, 5, 6, 7]
    page = store.feed(ListEvents(after=0))
    assert [entry.event for entry in page.entries] == told
    assert (page.next_after, page.more) == (7, False)
    assert now(store) == 7


def test_a_record_that_cannot_be_stored_leaves_no_event_and_turns_nothing_back(store: SqlStore, make: "Maker") -> None:
    one, two = make.acceptance(), make.acceptance()
    store.write([one])
    bad = make.acceptance(labels={"unstorable": object()})
    outcomes = store.write([make.start(one), make.events(one), bad, two])
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
        store.write([one, make.start(one), make.events(one), make.result(one)])
    assert positions(store) == list(range(1, 10))
    assert store.prune_step(older_than=make.now + timedelta(days=1), keep=None) == 3
    assert positions(store) == []
    store.close()
    again = open_at(database_url)
    assert now(again) == 9
    again.write([make.acceptance()])
    assert positions(again) == [10]


def test_two_writers_of_one_history_do_not_give_a_position_twice(
    store: SqlStore, second_store: SqlStore, make: "Maker"
) -> None:
    for writer in (store, second_store, store, second_store):
        writer.write([make.acceptance()])
    assert positions(store) == [1, 2, 3, 4]


def delegate(make: "Maker", parent: RecordAcceptance, **fields: Any) -> tuple[RecordAcceptance, RecordPause]:
    child = make.acceptance(parent_id=parent.record.task_id, root_id=parent.record.root_id or parent.record.task_id)
    event = make.event(Topic.TASK_PAUSED)
    pause = RecordPause(
        task_id=parent.record.task_id,
        attempt=1,
        at=make.now,
        pause={"reason": "subagents"},
        events=(event,),
        children=(child,),
        **fields,
    )
    return child, pause


@pytest.fixture
def family(store: SqlStore, make: "Maker") -> list[TaskRecord]:
    """A task, one that it has delegated, one that this one has, and a stranger whose events lie between theirs."""
    first, stranger = make.acceptance(), make.acceptance()
    store.write([first, stranger, make.start(first), make.start(stranger)])
    child, pause = delegate(make, first)
    store.write([pause, make.events(stranger)])
    grandchild, pause = delegate(make, child)
    store.write([make.start(child), make.events(child), pause, make.events(stranger)])
    store.write([make.start(grandchild), make.events(grandchild), make.result(grandchild), make.result(stranger)])
    return [first.record, child.record, grandchild.record, stranger.record]


def test_a_family_is_a_task_and_all_below_it(store: SqlStore, family: list[TaskRecord]) -> None:
    first, child, grandchild, stranger = (record.task_id for record in family)
    page = store.family_events(GetFamilyEvents(task_id=first))
    assert page.family == {first, child, grandchild}
    everything = [entry.event for entry in store.feed(ListEvents(after=0)).entries]
    assert list(page.events) == [event for event in everything if event.task_id != stranger]
    assert (page.last_seq, page.ended, page.more) == (2, False, False)
    below = store.family_events(GetFamilyEvents(task_id=child))
    assert below.family == {child, grandchild}
    assert store.family_events(GetFamilyEvents(task_id=stranger)).ended


def test_a_familys_events_are_paged_by_number_and_by_position(store: SqlStore, family: list[TaskRecord]) -> None:
    first = family[0].task_id
    whole = store.family_events(GetFamilyEvents(task_id=first)).events
    behind = store.family_events(GetFamilyEvents(task_id=first, after=2))
    assert behind.position == whole[1].position
    assert behind.events == whole[2:]
    for number, event in enumerate(whole):
        page = store.family_events(GetFamilyEvents(task_id=first, after=1, position=event.position, limit=1))
        assert page.events == whole[number + 1 : number + 2]
        assert page.more is (number + 2 < len(whole))


def test_what_a_family_cannot_be_asked_is_refused(store: SqlStore, family: list[TaskRecord]) -> None:
    with pytest.raises(TaskNotFound):
        store.family_events(GetFamilyEvents(task_id="nobody"))
    for limit in (0, 1001):
        with pytest.raises(InvalidRequest):
            store.family_events(GetFamilyEvents(task_id=family[0].task_id, limit=limit))
        with pytest.raises(InvalidRequest):
            store.feed(ListEvents(after=0, limit=limit))


def test_the_feed_is_filtered(store: SqlStore, make: "Maker") -> None:
    one, two = make.acceptance(session_id="a"), make.acceptance(session_id="b", agent="reviewer")
    store.write([one, two, make.start(one), make.start(two)])
    store.write([make.result(one), make.result(two, Status.FAILED)])
    assert positions(store) == [1, 2, 3, 4]
    assert positions(store, task_id=one.record.task_id) == [1, 3]
    assert positions(store, session_id="b") == [2, 4]
    assert positions(store, agent="reviewer") == [2, 4]
    assert positions(store, agent="master") == [1, 3]
    assert positions(store, topics=frozenset({Topic.TASK_FAILED, Topic.TASK_EXECUTE})) == [1, 2, 4]
    assert positions(store, session_id="a", agent="reviewer") == []
    assert [entry.session_id for entry in store.feed(ListEvents(after=2)).entries] == ["a", "b"]


def test_a_page_of_the_feed_looks_at_a_bounded_number_of_events(
    store: SqlStore, make: "Maker", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.persistence.feeds.MOST_LOOKED_AT", 3)
    for number in range(8):
        store.write([make.acceptance(session_id=f"s{number % 4}")])
    query, found = ListEvents(after=0, session_id="s3"), []
    for _ in range(3):
        page = store.feed(query)
        found += [entry.event.position for entry in page.entries]
        query = query.behind(page.next_after)
    assert found == [4, 8]
    assert (page.next_after, page.more) == (8, False)


def test_a_history_from_before_positions_gets_them(
    open_at: "OpenStore", database_url: str, raw_engine: Engine, make: "Maker"
) -> None:
    store = open_at(database_url)
    first, second = make.acceptance(), make.acceptance()
    store.write([first, second, make.start(second), make.events(second)])
    store.write([make.start(first), make.events(first), make.result(second)])
    store.close()
    with raw_engine.begin() as connection:
        migrate.downgrade(connection, "0003")
    assert "position" not in {column["name"] for column in inspect(raw_engine).get_columns("events")}
    again = open_at(database_url)
    events = [entry.event for entry in again.feed(ListEvents(after=0)).entries]
    assert [(e.task_id, e.seq, e.position) for e in events] == [
        (first.record.task_id, 1, 1),
        (first.record.task_id, 2, 2),
        (second.record.task_id, 1, 3),
        (second.record.task_id, 2, 4),
        (second.record.task_id, 3, 5),
    ]
    again.write([make.acceptance()])
    assert positions(again)[-1] == 6


def test_a_page_of_large_events_is_short_and_all_are_found_page_by_page(
    store: SqlStore, make: "Maker", monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make.acceptance()
    written = store.write([one, make.start(one), make.events(one, *[Topic.STEP_STARTED] * 5)])
    task_id = written[0].events[0].task_id
    whole = positions(store)
    monkeypatch.setattr("callboard.persistence.pages.PAGE_BYTES", 1)
    query, found = ListEvents(after=0), []
    family, after = GetFamilyEvents(task_id=task_id, position=0), []
    while page := store.feed(query).entries:
        found += [entry.event.position for entry in page]
        assert len(page) == 1, "one at least, and no more than there is room for"
        query = query.behind(found[-1])
    while True:
        of_family = store.family_events(family)
        after += [event.position for event in of_family.events]
        assert len(of_family.events) == 1
        if not of_family.more:
            break
        family = GetFamilyEvents(task_id=task_id, position=after[-1])
    assert found == after == whole
