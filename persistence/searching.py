"""Lists for people: tasks that hold some words or belong to an agent, and sessions by their last use.

No index finds words within a text, and none has every mix of filters. So a search looks at a bounded number of tasks,
in the order of an index, and says where the next page goes on. Pure functions that make statements; imported by
`reads.py` and its tests.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, literal_column, or_, select, tuple_

from callboard.cursors import decode_cursor, decode_session_cursor
from callboard.errors import InvalidRequest
from callboard.messages.sessions import ListSessions
from callboard.messages.tasks import MASTER, MOST_WORDS, ListTasks
from callboard.persistence.pages import LISTED
from callboard.persistence.tables import DEAD, Id, UtcTime, sessions, tasks, time_of, turns
from callboard.values import check_text

MOST_LOOKED_AT = 20_000
"""Tasks that one page of a search looks at."""

PREVIEW_CHARS = 200


def page(query: ListTasks) -> Select[Any]:
    """Select a page's tasks and one more; each way to filter has an index that ends in the id."""
    statement = select(*LISTED).where(*_indexed(query)).order_by(tasks.c.id.desc())
    return statement.limit(query.limit + 1)


def is_search(query: ListTasks) -> bool:
    """Say whether a query has filters that its index does not settle, so that it needs a bound."""
    return bool(_others(query))


def bound(query: ListTasks) -> Select[Any]:
    """Select the id of the last task that a page of a search looks at; nothing where it comes to the end."""
    looked_at = select(tasks.c.id).where(*_indexed(query)).order_by(tasks.c.id.desc())
    return looked_at.limit(1).offset(MOST_LOOKED_AT - 1)


def search(query: ListTasks, last: str | None) -> Select[Any]:
    """Select a page's tasks and one more, from the newest down to the task `last`."""
    statement = page(query).where(*_others(query))
    return statement if last is None else statement.where(tasks.c.id >= last)


def _indexed(query: ListTasks) -> list[ColumnElement[bool]]:
    """Return the filters that an index settles."""
    found: list[ColumnElement[bool]] = []
    if query.session_id is not None:
        found.append(tasks.c.session_id == check_text(query.session_id, "sessionId"))
    if query.parent_id is not None:
        found.append(tasks.c.parent_id == check_text(query.parent_id, "parentId"))
    if query.dead:
        found.append(DEAD)
    if query.status is not None:
        found.append(tasks.c.status == query.status.value)
    if query.agent is not None and _agent_has_index(query):
        found.append(tasks.c.agent == check_text(query.agent, "agent"))
    if query.cursor is not None:
        found.append(tasks.c.id < decode_cursor(query.cursor))
    return found


def _agent_has_index(query: ListTasks) -> bool:
    """Say whether `ix_tasks_agent` is the one to use; the master's tasks mostly name nobody and are not in it."""
    others = (query.session_id, query.parent_id, query.status)
    return query.agent != MASTER and not query.dead and all(other is None for other in others)


def _others(query: ListTasks) -> list[ColumnElement[bool]]:
    """Return the filters that each task has to be looked at for."""
    found: list[ColumnElement[bool]] = []
    if query.agent is not None and not _agent_has_index(query):
        # not the bare column, for whose index SQLite would leave the one that the bound goes by
        found.append(func.coalesce(tasks.c.agent, MASTER) == check_text(query.agent, "agent"))
    if query.q is not None:
        words = check_text(query.q, "q")
        if not 1 <= len(words) <= MOST_WORDS:
            raise InvalidRequest(f"q has {len(words)} characters; it can have 1 to {MOST_WORDS}.")
        found.append(or_(tasks.c.task.icontains(words, autoescape=True), tasks.c.id.icontains(words, autoescape=True)))
    return found


def session_page(query: ListSessions) -> Select[Any]:
    """Select a page's sessions and one more: last used first, of two at the same time the higher id first."""
    by_use = (sessions.c.updated_at, sessions.c.id)
    columns = (sessions.c.id, sessions.c.created_at, sessions.c.updated_at, sessions.c.tasks, _preview())
    statement = select(*columns).order_by(*(column.desc() for column in by_use)).limit(query.limit + 1)
    if query.cursor is not None:
        at, session_id = decode_session_cursor(query.cursor)
        statement = statement.where(tuple_(*by_use) < tuple_(literal(time_of(at), UtcTime), literal(session_id, Id)))
    return statement


def _preview() -> ColumnElement[str | None]:
    """Return the beginning of the last question of a session, which is one of its last two turns."""
    asked = select(func.substr(turns.c.content, 1, PREVIEW_CHARS))
    asked = asked.where(turns.c.session_id == sessions.c.id, turns.c.role == literal_column("'user'"))
    return asked.order_by(turns.c.number.desc()).limit(1).scalar_subquery()
