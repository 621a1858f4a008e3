"""Pages of tasks and of events, totals, and what a restart finds."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.cursors import encode_cursor
from callboard.errors import InvalidRequest
from callboard.messages.deliveries import Lane
from callboard.messages.events import Topic
from callboard.messages.health import Totals
from callboard.messages.tasks import ListTasks, Status
from callboard.persistence.store import SqlStore
from tests.profiles import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.persistence.conftest import Maker


def test_pages_hold_the_newest_tasks_first(store: SqlStore, make: "Maker") -> None:
    accepted = [make.acceptance() for _ in range(5)]
    store.writer.write(accepted)
    first = store.reader.tasks(ListTasks(limit=2))
    assert [task.task_id for task in first.tasks] == ["task-00000005", "task-00000004"]
    second = store.reader.tasks(ListTasks(limit=2, cursor=first.next_cursor))
    third = store.reader.tasks(ListTasks(limit=2, cursor=second.next_cursor))
    assert [task.task_id for task in third.tasks] == ["task-00000001"]
    assert third.next_cursor is None


def test_a_last_page_that_is_full_has_no_cursor(store: SqlStore, make: "Maker") -> None:
    store.writer.write([make.acceptance() for _ in range(4)])
    second = store.reader.tasks(ListTasks(limit=2, cursor=store.reader.tasks(ListTasks(limit=2)).next_cursor))
    assert len(second.tasks) == 2
    assert second.next_cursor is None


def test_tasks_accepted_meanwhile_do_not_shift_a_page(store: SqlStore, make: "Maker") -> None:
    store.writer.write([make.acceptance() for _ in range(4)])
    first = store.reader.tasks(ListTasks(limit=2))
    store.writer.write([make.acceptance() for _ in range(3)])
    second = store.reader.tasks(ListTasks(limit=2, cursor=first.next_cursor))
    assert [task.task_id for task in second.tasks] == ["task-00000002", "task-00000001"]


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_limit_out_of_range_is_refused(store: SqlStore, limit: int) -> None:
    with pytest.raises(InvalidRequest, match="limit"):
        store.reader.tasks(ListTasks(limit=limit))


BAD_CURSORS = [
    "",
    "x",
    "*",
    "é",
    "a" * 5000,
    encode_cursor("a") + "*",
    encode_cursor("a") + "==",
    *("2:a", "1:", "1:\0", "1:a\n"),
]


@pytest.mark.parametrize("cursor", BAD_CURSORS, ids=lambda cursor: cursor[:10])
def test_a_cursor_that_no_page_gave_is_refused(store: SqlStore, cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        store.reader.tasks(ListTasks(cursor=cursor))


@examples(25)
@given(
    mix=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from([None, Status.COMPLETED, Status.FAILED])), max_size=25
    ),
    session_id=st.sampled_from([None, "a", "b", "c"]),
    status=st.sampled_from([None, Status.PENDING, Status.COMPLETED, Status.FAILED]),
    limit=st.integers(1, 10),
)
def test_every_task_stands_on_one_page_newest_first(
    emptied: "Callable[[], SqlStore]",
    make: "Maker",
    mix: list[tuple[str, Status | None]],
    session_id: str | None,
    status: Status | None,
    limit: int,
) -> None:
    store = emptied()
    expected: list[str] = []
    for session, end in mix:
        accepted = make.acceptance(session_id=session)
        store.writer.write([accepted, *([make.result(accepted, end, attempt=0)] if end else [])])
        if session_id in (None, session) and status in (None, end or Status.PENDING):
            expected.insert(0, accepted.task.task_id)
    found: list[str] = []
    cursor = None
    while True:
        page = store.reader.tasks(ListTasks(session_id=session_id, status=status, limit=limit, cursor=cursor))
        found += [task.task_id for task in page.tasks]
        cursor = page.next_cursor
        if cursor is None:
            break
        assert len(page.tasks) == limit
    assert found == expected


def test_events_come_in_pages_and_only_the_last_one_says_that_the_task_has_ended(
    store: SqlStore, make: "Maker"
) -> None:
    accepted = make.acceptance()
    store.writer.write([accepted, make.start(accepted), make.events(accepted, *[Topic.STEP_STARTED] * 4)])
    task_id = accepted.task.task_id
    assert [event.seq for event in store.reader.events(task_id, after=2).events] == [3, 4, 5]
    assert not store.reader.events(task_id).ended
    store.writer.write([make.result(accepted)])
    first = store.reader.events(task_id, after=1, limit=3)
    assert ([event.seq for event in first.events], first.ended) == ([2, 3, 4], False)
    last = store.reader.events(task_id, after=4, limit=2)
    assert ([event.seq for event in last.events], last.ended) == ([5, 6], True)
    assert store.reader.events(task_id, after=99).ended


def test_events_read_back_as_they_were_written(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    [outcome] = store.writer.write([accepted])
    [event] = store.reader.events(accepted.task.task_id).events
    assert event == outcome.events[0]
    assert event.topic is Topic.TASK_EXECUTE
    assert event.data == accepted.event.data()


def test_a_restart_finds_the_tasks_that_have_not_ended_oldest_first(store: SqlStore, make: "Maker") -> None:
    pending, running, ended, last = (make.acceptance() for _ in range(4))
    store.writer.write([pending, running, ended, last, make.start(running), make.cancel(ended)])
    found = store.reader.unfinished()
    assert [task.task_id for task in found] == [a.task.task_id for a in (pending, running, last)]
    assert [task.status for task in found] == [Status.PENDING, Status.RUNNING, Status.PENDING]


def test_totals_count_each_kind_of_end(store: SqlStore, make: "Maker") -> None:
    first, second, third, _ = accepted = [make.acceptance() for _ in range(4)]
    assert store.reader.totals() == Totals()
    store.writer.write(accepted)
    cancelled = make.result(third, Status.CANCELLED, attempt=None, execution_time_ms=9.0)
    store.writer.write([make.result(first, attempt=0, execution_time_ms=1.5), cancelled])
    store.writer.write([make.result(second, Status.FAILED, attempt=0, execution_time_ms=2.0)])
    counts = Totals(total=4, completed=1, failed=1, cancelled=1, execution_ms=3.5, elapsed_ms=3000 + 2000, live=1)
    assert store.reader.totals() == counts, "the milliseconds are of those that completed or failed"


def test_a_ping_asks_the_database(store: SqlStore) -> None:
    store.reader.ping()


@pytest.mark.parametrize("text", ["\0", "a\ud800"], ids=["NUL", "surrogate"])
def test_an_id_that_cannot_be_stored_is_refused_when_asked_for(store: SqlStore, text: str) -> None:
    for ask in (store.reader.task, store.reader.events, store.reader.session):
        with pytest.raises(InvalidRequest):
            ask(text)
    with pytest.raises(InvalidRequest):
        store.reader.tasks(ListTasks(session_id=text))


def test_deliveries_are_due_in_order_and_by_receiver_site_caller_and_id(store: SqlStore, make: "Maker") -> None:
    urls = ["http://Slow.example/1", "http://slow.example:80/2", "https://slow.example/3", "http://quick.example/4"]
    for number, url in enumerate(urls):
        accepted = make.acceptance(callback_url=url, caller=f"caller {number}")
        store.writer.write([accepted, make.start(accepted), make.result(accepted)])
    now = make.now

    def due(*lanes: Lane, under_way: "Sequence[str]" = ()) -> list[str]:
        return [found.url for found in store.reader.due_deliveries(now, lanes=lanes or (Lane(),), under_way=under_way)]

    def names(*values: str) -> frozenset[str]:
        return frozenset(values)

    slow = names("http://slow.example:80", "https://slow.example:443")
    assert due() == urls
    first = store.reader.due_deliveries(now, 1)
    assert [(found.url, found.site, found.caller) for found in first] == [(urls[0], "slow.example", "caller 0")]
    assert due(under_way=[first[0].delivery_id]) == urls[1:]
    assert due(Lane(not_receivers=names("http://slow.example:80"))) == urls[2:]
    assert due(Lane(not_receivers=slow)) == due(Lane(not_sites=names("slow.example"))) == urls[3:]
    assert due(Lane(not_callers=names("caller 1", "caller 3"))) == [urls[0], urls[2]]
    assert due(Lane(only=slow), under_way=[first[0].delivery_id]) == urls[1:3]
    assert due(Lane(only=names("https://slow.example:443")), Lane(not_sites=names("slow.example"))) == urls[2:]
    assert due(Lane(only=names())) == []
