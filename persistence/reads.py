"""Everything that is read from the history, from any thread.

Each method takes a pooled connection for one or two statements; nothing is held between calls. Pages are cut by
key and never by offset, so a page deep in a long history costs what the first one does. Imported by `store.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, select

from callboard.errors import InvalidRequest, SessionNotFound, StoreUnavailable, TaskNotFound
from callboard.messages import EventPage, ListTasks, SessionRecord, TaskPage, TaskRecord, Totals
from callboard.persistence.codec import (
    STATUSES,
    UNENDED,
    decode_cursor,
    encode_cursor,
    event_from_row,
    session_from_row,
    task_from_row,
)
from callboard.persistence.faults import reported
from callboard.persistence.statements import unended_of
from callboard.persistence.tables import events, sessions, tasks, totals
from callboard.values import check_text

MOST_TASKS = 100
"""Tasks on one page."""


class Reader:
    """Reads through a pool of connections; safe in any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._closed = False

    def close(self) -> None:
        """Refuse to read from now on; a connection opened later would have nobody to close it."""
        self._closed = True

    def task(self, task_id: str) -> TaskRecord:
        """Return a task as it stands; raise `TaskNotFound`."""
        rows = self._all(select(tasks).where(tasks.c.id == check_text(task_id, "taskId")))
        if not rows:
            raise TaskNotFound(f"There is no task {task_id}.")
        return task_from_row(rows[0])

    def tasks(self, query: ListTasks) -> TaskPage:
        """Return a page of tasks, newest first; raise `InvalidRequest` for a limit or cursor that cannot be."""
        if not 1 <= query.limit <= MOST_TASKS:
            raise InvalidRequest(f"limit is {query.limit}; it can be 1 to {MOST_TASKS}.")
        rows = self._all(page(query))
        found = tuple(task_from_row(row) for row in rows[: query.limit])
        more = len(rows) > query.limit
        return TaskPage(tasks=found, next_cursor=encode_cursor(found[-1].task_id) if more else None)

    def events(self, task_id: str, after: int = 0, limit: int = 1000) -> EventPage:
        """Return a task's events numbered above `after`, oldest first; raise `TaskNotFound`."""
        if limit < 1:
            raise InvalidRequest(f"limit is {limit}; it must be at least 1.")
        of_task = (
            select(events)
            .where(events.c.task_id == task_id, events.c.seq > after)
            .order_by(events.c.seq)
            .limit(limit + 1)
        )
        with self._connection() as connection:
            # Invariant: the status is read first; a task that has ended by then gets no more events.
            status = connection.execute(
                select(tasks.c.status).where(tasks.c.id == check_text(task_id, "taskId"))
            ).scalar()
            if status is None:
                raise TaskNotFound(f"There is no task {task_id}.")
            rows = connection.execute(of_task).all()
        found = tuple(event_from_row(row) for row in rows[:limit])
        return EventPage(events=found, ended=STATUSES[status].ended and len(rows) <= limit)

    def session(self, session_id: str) -> SessionRecord:
        """Return a session; an empty one while its first task is under way; raise `SessionNotFound`."""
        kept = select(sessions).where(sessions.c.id == check_text(session_id, "sessionId"))
        if rows := self._all(kept):
            return session_from_row(rows[0])
        if waiting := self._all(unended_of(session_id)):
            began = waiting[0][0]
            return SessionRecord(session_id=session_id, created_at=began, updated_at=began)
        # Asked again, because that task may have ended, and left the row, between the two questions.
        if rows := self._all(kept):
            return session_from_row(rows[0])
        raise SessionNotFound(f"There is no session {session_id}.")

    def unfinished(self) -> list[TaskRecord]:
        """Return the tasks that have not ended, oldest first."""
        rows = self._all(select(tasks).where(tasks.c.status.in_(UNENDED)).order_by(tasks.c.id))
        return [task_from_row(row) for row in rows]

    def totals(self) -> Totals:
        """Return the counts over the whole history."""
        row = self._all(select(totals))[0]
        return Totals(
            total=row.total,
            completed=row.completed,
            failed=row.failed,
            cancelled=row.cancelled,
            execution_ms=row.execution_ms,
            live=row.live,
        )

    def ping(self) -> None:
        """Ask the database anything; raise `StoreUnavailable` if it does not answer."""
        self._all(select(totals.c.id))

    def _all(self, statement: Select[Any]) -> list[Row[Any]]:
        with self._connection() as connection:
            return list(connection.execute(statement).all())

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        if self._closed:
            raise StoreUnavailable("The store is closed.")
        with reported(), self._engine.connect() as connection:
            yield connection


def page(query: ListTasks) -> Select[Any]:
    """Select a page's tasks and one more; each way to filter has an index that ends in the id."""
    statement = select(tasks).order_by(tasks.c.id.desc()).limit(query.limit + 1)
    if query.session_id is not None:
        statement = statement.where(tasks.c.session_id == check_text(query.session_id, "sessionId"))
    if query.status is not None:
        statement = statement.where(tasks.c.status == query.status.value)
    if query.cursor is not None:
        statement = statement.where(tasks.c.id < decode_cursor(query.cursor))
    return statement
