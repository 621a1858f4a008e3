"""Searching the history, an agent's tasks, and the list of sessions."""

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection

from callboard.conversation import Turn
from callboard.cursors import encode_cursor, encode_session_cursor
from callboard.errors import InvalidRequest
from callboard.messages.sessions import ListSessions
from callboard.messages.tasks import ListTasks, Status, Task
from callboard.persistence import searching
from callboard.persistence.store import SqlStore
from callboard.persistence.tables import time_number
from tests.persistence.test_query_plans import connection, plan  # noqa: F401  # a fixture

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.persistence.conftest import Maker


@pytest.fixture
def add(store: SqlStore, make: "Maker") -> "Callable[..., Task]":
    """Return a function that stores a task."""

    def add_one(task: str = "What is 12 times 7?", **fields: Any) -> Task:
        accepted = make.acceptance(task=task, **fields)
        store.writer.write([accepted])
        return accepted.task

    return add_one


def found(store: SqlStore, **query: Any) -> list[str]:
    return [record.task_id for record in store.reader.tasks(ListTasks(limit=100, **query)).tasks]


# --- words ---


def test_words_are_found_in_upper_and_lower_case_and_in_the_middle(store: SqlStore, add: "Callable[..., Task]") -> None:
    one, other = add("Write a Poem about rain."), add("Weather in Paris?")
    assert found(store, q="poem ABOUT") == [one.task_id]
    assert found(store, q="aris?") == [other.task_id]
    assert found(store, q="w") == [other.task_id, one.task_id]
    assert found(store, q="snow") == []


@pytest.mark.parametrize("text", ["100% sure", "under_score", "back\\slash", "a/b", "it's", '"quoted"', "[a-z]*"])
def test_what_means_something_to_the_database_stands_for_itself(
    store: SqlStore, add: "Callable[..., Task]", text: str
) -> None:
    add("100 are sure; underXscore; backslash; a.b; its; quoted; m")
    wanted = add(f"This one: {text}.")
    assert found(store, q=text) == [wanted.task_id]


def test_a_task_is_found_by_a_part_of_its_id(store: SqlStore, add: "Callable[..., Task]") -> None:
    add("Hello.")
    other = add("Hello.")
    assert found(store, q=other.task_id[-2:]) == [other.task_id]
    assert found(store, q=other.task_id.upper()) == [other.task_id]


@pytest.mark.parametrize("words", ["", "x" * 201])
def test_words_that_are_none_or_too_many_are_refused(store: SqlStore, words: str) -> None:
    with pytest.raises(InvalidRequest, match=f"q has {len(words)} characters; it can have 1 to 200"):
        store.reader.tasks(ListTasks(q=words))


def test_words_go_with_every_other_filter(store: SqlStore, make: "Maker", add: "Callable[..., Task]") -> None:
    add("red", session_id="a")
    wanted = add("red", session_id="b")
    add("blue", session_id="b")
    assert found(store, q="RED", session_id="b") == [wanted.task_id]
    assert found(store, q="red", session_id="b", status=Status.COMPLETED) == []


def test_a_page_of_a_search_looks_at_so_many_tasks_and_the_next_one_goes_on(
    store: SqlStore, add: "Callable[..., Task]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MOST_LOOKED_AT", 3)
    wanted = add("the needle")
    for _ in range(3):
        add("hay")
    second = add("another needle")
    for _ in range(2):
        add("hay")
    pages, cursor = [], None
    while True:
        page = store.reader.tasks(ListTasks(q="needle", cursor=cursor))
        pages.append([record.task_id for record in page.tasks])
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert pages == [[second.task_id], [], [wanted.task_id]]


def test_a_full_page_of_a_search_goes_on_behind_its_last_task(
    store: SqlStore, add: "Callable[..., Task]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MOST_LOOKED_AT", 10)
    made = [add("needle").task_id for _ in range(25)]
    seen, cursor = [], None
    for _ in range(20):
        page = store.reader.tasks(ListTasks(q="needle", limit=3, cursor=cursor))
        seen += [record.task_id for record in page.tasks]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == made[::-1]


# --- agents ---


def test_an_agents_tasks_are_found_and_the_masters_are_those_of_nobody_else(
    store: SqlStore, add: "Callable[..., Task]"
) -> None:
    of_nobody, of_master = add(), add(agent="master")
    reviewed = add(agent="code-reviewer", session_id="x")
    assert found(store, agent="code-reviewer") == [reviewed.task_id]
    assert found(store, agent="code-reviewer", session_id="x") == [reviewed.task_id]
    assert found(store, agent="code-reviewer", session_id="y") == []
    assert found(store, agent="master") == [of_master.task_id, of_nobody.task_id]
    assert found(store, agent="nobody") == []


SEARCHES: dict[str, tuple[dict[str, Any], str]] = {
    "words": ({"q": "a"}, "sqlite_autoindex_tasks_1"),
    "an agent": ({"agent": "a"}, "ix_tasks_agent"),
    "an agent's words": ({"agent": "a", "q": "a"}, "ix_tasks_agent"),
    "the master": ({"agent": "master"}, "sqlite_autoindex_tasks_1"),
    "a session's words": ({"session_id": "s", "q": "a"}, "ix_tasks_session"),
    "an agent's failures": ({"agent": "a", "status": Status.FAILED}, "ix_tasks_status"),
    "words of dead letters": ({"dead": True, "q": "a"}, "ix_tasks_dead"),
    "words of delegated ones": ({"parent_id": "p", "q": "a"}, "ix_tasks_parent"),
}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("deep", [False, True], ids=["first page", "deep page"])
@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_goes_along_an_index(connection: Connection, name: str, deep: bool) -> None:  # noqa: F811
    fields, index = SEARCHES[name]
    query = ListTasks(**fields, cursor=encode_cursor("019ab000-0000-7000-8000-000000000000") if deep else None)
    for statement in (searching.bound(query), searching.search(query, "019a"), searching.search(query, None)):
        steps = plan(connection, statement)
        assert index in steps
        assert "TEMP B-TREE" not in steps


# --- sessions ---


@pytest.fixture
def used(store: SqlStore, make: "Maker") -> "Callable[..., None]":
    """Return a function that has a task of a session end."""

    def use(session_id: str, **fields: Any) -> None:
        accepted = make.acceptance(session_id=session_id)
        kept = make.left(session_id, *fields.pop("said", ()), **{"tasks": 1, **fields})
        store.writer.write([accepted, make.start(accepted), make.result(accepted, session=kept)])

    return use


def test_sessions_are_listed_last_used_first(store: SqlStore, used: "Callable[..., None]") -> None:
    for name in ("a", "b", "c", "a"):
        used(name)
    page = store.reader.sessions(ListSessions())
    assert [session.session_id for session in page.sessions] == ["a", "c", "b"]
    assert page.next_cursor is None
    assert page.sessions[0].updated_at > page.sessions[1].updated_at


def test_a_session_shows_the_beginning_of_the_last_question(store: SqlStore, used: "Callable[..., None]") -> None:
    old, new = Turn(role="user", content="old"), Turn(role="user", content='Is "naïve" — 日本? \n' + "x" * 300)
    answer = Turn(role="assistant", content="84")
    used("two", said=(old, answer, new, answer))
    used("none")
    used("half", said=(answer,))
    used("odd", said=(new, answer, answer))
    previews = {session.session_id: session.preview for session in store.reader.sessions(ListSessions()).sessions}
    assert previews == {"two": new.content[:200], "none": None, "half": None, "odd": new.content[:200]}


def test_pages_of_sessions_that_rest_hold_each_of_them_once(
    store: SqlStore, make: "Maker", used: "Callable[..., None]"
) -> None:
    at = make.tick()
    for number in range(7):  # three of them used at the same time
        used(f"s:{number}", **({"updated_at": at} if number % 2 else {}))
    seen, cursor = [], None
    while True:
        page = store.reader.sessions(ListSessions(limit=2, cursor=cursor))
        seen += [session.session_id for session in page.sessions]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ["s:6", "s:4", "s:2", "s:0", "s:5", "s:3", "s:1"]


def test_a_session_that_is_used_meanwhile_may_be_missed_and_is_never_shown_twice(
    store: SqlStore, used: "Callable[..., None]"
) -> None:
    for name in ("a", "b", "c"):
        used(name)
    first = store.reader.sessions(ListSessions(limit=1))
    used("a")
    rest = store.reader.sessions(ListSessions(cursor=first.next_cursor))
    assert [session.session_id for session in (*first.sessions, *rest.sessions)] == ["c", "b"]


@pytest.mark.parametrize("cursor", [encode_cursor("task"), "", "%", "2:1:", "2:1"])
def test_a_cursor_of_something_else_is_refused(store: SqlStore, cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor is not a nextCursor"):
        store.reader.sessions(ListSessions(cursor=cursor))
    with pytest.raises(InvalidRequest, match="limit is 101"):
        store.reader.sessions(ListSessions(limit=101))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("deep", [False, True], ids=["first page", "deep page"])
def test_a_page_of_sessions_is_cut_from_an_index_in_its_order(
    connection: Connection,  # noqa: F811
    make: "Maker",
    deep: bool,
) -> None:
    cursor = encode_session_cursor(time_number(make.now), "session") if deep else None
    steps = plan(connection, searching.session_page(ListSessions(cursor=cursor)))
    assert "ix_sessions_updated" in steps
    assert "TEMP B-TREE" not in steps
    assert steps.startswith("SEARCH" if deep else "SCAN")
