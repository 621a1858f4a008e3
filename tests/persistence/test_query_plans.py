"""No read grows with the history: SQLite's plans use an index for the search and for the order."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, Engine, Select, select

from callboard.budget import Account
from callboard.cursors import encode_cursor
from callboard.messages.deliveries import Lane
from callboard.messages.events import ListEvents, Topic
from callboard.messages.tasks import ListTasks, Status
from callboard.persistence.feeds import family_events, family_of, feed_events, looked_at, position_of
from callboard.persistence.reads import below, due, of_accounts
from callboard.persistence.retention import oldest_ended
from callboard.persistence.searching import page
from callboard.persistence.statements import highest_position, unended_below
from callboard.persistence.tables import tasks

if TYPE_CHECKING:
    from tests.persistence.conftest import OpenStore

CURSOR = encode_cursor("019ab000-0000-7000-8000-000000000000")
FILTERS: dict[str, dict[str, Any]] = {
    "no filter": {},
    "session": {"session_id": "s"},
    "status": {"status": Status.COMPLETED},
    "parent": {"parent_id": "p"},
    "both": {"session_id": "s", "status": Status.FAILED},
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def connection(open_at: "OpenStore", sqlite_url: str, raw_engine: Engine) -> Iterator[Connection]:
    open_at(sqlite_url)
    with raw_engine.connect() as connection:
        yield connection


def plan(connection: Connection, statement: Select[Any]) -> str:
    text = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
    return "; ".join(row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))


@pytest.mark.parametrize("deep", [False, True], ids=["first page", "deep page"])
@pytest.mark.parametrize("name", FILTERS)
def test_a_page_is_cut_from_an_index_in_its_order(connection: Connection, name: str, deep: bool) -> None:
    query = ListTasks(**FILTERS[name], cursor=CURSOR if deep else None)
    found = plan(connection, page(query))
    assert "TEMP B-TREE" not in found
    if deep or FILTERS[name]:
        assert "SEARCH tasks USING INDEX" in found
        assert "SCAN" not in found
    else:
        assert found == "SCAN tasks USING INDEX sqlite_autoindex_tasks_1", "the newest ones, in the order of the id"


@pytest.mark.parametrize("bound", [False, True], ids=["by count", "by age"])
def test_retention_finds_the_oldest_tasks_in_an_index(connection: Connection, bound: bool) -> None:
    statement = oldest_ended(200)
    if bound:
        statement = statement.where(tasks.c.ended_at < select(tasks.c.ended_at).limit(1).scalar_subquery())
    found = plan(connection, statement)
    assert "ix_tasks_ended" in found
    assert "TEMP B-TREE" not in found


def test_the_tasks_below_one_are_found_in_an_index(connection: Connection) -> None:
    found = plan(connection, page(ListTasks(parent_id="p", status=Status.PENDING)))
    assert "SEARCH tasks USING INDEX ix_tasks_parent (parent_id=?)" in found
    found = plan(connection, below("r"))
    assert found == "SEARCH tasks USING COVERING INDEX ix_tasks_root (root_id=?)"


def test_a_part_that_works_on_a_sessions_files_is_looked_for_among_the_tasks_that_have_not_ended(
    connection: Connection,
) -> None:
    found = plan(connection, unended_below("s"))
    assert "SEARCH tasks USING INDEX ix_tasks_status (status=?)" in found
    assert "SEARCH first USING INDEX sqlite_autoindex_tasks_1 (id=?)" in found


def test_accounts_are_found_by_their_key(connection: Connection) -> None:
    found = plan(connection, of_accounts([Account("task", "t"), Account("caller", "c", "2026-01-01")]))
    assert found.count("SEARCH usage USING PRIMARY KEY (scope=? AND name=? AND day=?)") == 2


@pytest.mark.parametrize("left_out", [False, True], ids=["all", "but some"])
def test_what_is_due_is_found_in_the_order_of_an_index(connection: Connection, left_out: bool) -> None:
    barred = Lane(
        not_receivers=frozenset(["http://slow:80"]), not_sites=frozenset(["slow"]), not_callers=frozenset("c")
    )
    lanes = [Lane(only=frozenset(["http://quick:80"])), barred] if left_out else [Lane()]
    found = plan(connection, due(datetime(2026, 1, 1, tzinfo=UTC), 1, lanes=lanes, under_way=["delivery"]))
    assert found == "SEARCH deliveries USING INDEX ix_deliveries_due (next_at<?)"


FEEDS: dict[str, dict[str, Any]] = {
    "all": {},
    "topics": {"topics": frozenset({Topic.TASK_COMPLETED, Topic.TASK_FAILED})},
    "session": {"session_id": "s"},
    "agent": {"agent": "master"},
    "several": {"session_id": "s", "agent": "a", "topics": frozenset({Topic.TASK_FAILED})},
}


@pytest.mark.parametrize("name", FEEDS)
def test_the_feed_goes_through_the_positions_from_where_it_was(connection: Connection, name: str) -> None:
    query = ListEvents(after=5, **FEEDS[name])
    assert plan(connection, looked_at(query)) == "SEARCH events USING COVERING INDEX ix_events_position (position>?)"
    assert plan(connection, feed_events(query, 9)) == (
        "SEARCH events USING INDEX ix_events_position (position>? AND position<?); "
        "SEARCH tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)"
    )


def test_the_feed_of_one_task_reads_its_log_only(connection: Connection) -> None:
    query = ListEvents(after=5, task_id="t")
    assert plan(connection, looked_at(query)) == "SEARCH events USING PRIMARY KEY (task_id=?)"
    found = plan(connection, feed_events(query, 9))
    assert "SEARCH events USING PRIMARY KEY (task_id=?)" in found
    assert "TEMP B-TREE" not in found


def test_a_familys_events_are_found_by_their_tasks(connection: Connection) -> None:
    assert plan(connection, position_of("t", 3)) == "SEARCH events USING PRIMARY KEY (task_id=? AND seq<?)"
    found = plan(connection, family_events("t", 5, 100))
    assert "USING COVERING INDEX ix_tasks_parent (parent_id=?)" in found
    assert "SEARCH events USING PRIMARY KEY (task_id=?)" in found
    assert "SCAN events" not in found
    assert "SCAN tasks" not in found
    assert "SCAN tasks" not in plan(connection, select(family_of("t").c.id))


def test_the_highest_position_is_the_end_of_an_index(connection: Connection) -> None:
    found = plan(connection, highest_position())
    assert found == "SCAN totals; SCALAR SUBQUERY 1; SEARCH events USING COVERING INDEX ix_events_position"
