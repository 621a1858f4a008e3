"""Everything that is read from the history, from any thread.

Each method takes a pooled connection for one or two statements; nothing is held between calls. Pages are cut by
key and never by offset, so a page deep in a long history costs what the first one does. Imported by `store.py`.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, and_, func, or_, select
from sqlalchemy.exc import DBAPIError

from callboard.budget import Account, Usage
from callboard.conversation import SessionRecord
from callboard.cursors import decode_cursor, encode_cursor, encode_session_cursor
from callboard.errors import DeliveryNotFound, InvalidRequest, SessionNotFound, StoreUnavailable, TaskNotFound
from callboard.messages.deliveries import DeliveryPage, Lane, ListDeliveries, WebhookDelivery
from callboard.messages.events import EventPage, FamilyPage, FeedPage, GetFamilyEvents, ListEvents
from callboard.messages.health import Backlog, Ending, Totals
from callboard.messages.ledger import CallRecord, TaskLedger
from callboard.messages.sessions import ListSessions, SessionPage, SessionSummary
from callboard.messages.tasks import AttachedFile, KeptAnswer, ListTasks, Status, TaskPage, TaskRecord
from callboard.persistence.activity import accepted_between, backlog, ended_between, ending
from callboard.persistence.codec import (
    STATUSES,
    UNENDED,
    call_from_row,
    delivery_from_row,
    file_from_row,
    task_from_row,
    usage_from_row,
)
from callboard.persistence.conversations import for_people, for_task
from callboard.persistence.faults import does_not_fit, reported
from callboard.persistence.feeds import family_page, feed_page
from callboard.persistence.pages import SIZE, event_entry, page_of, task_entry
from callboard.persistence.searching import bound, is_search, search, session_page
from callboard.persistence.shape import lost_of
from callboard.persistence.statements import kept_answer, unended_of
from callboard.persistence.tables import (
    calls,
    deliveries,
    events,
    files,
    snapshots,
    tasks,
    time_number,
    totals,
    usage,
)
from callboard.values import check_text

MOST_TASKS = 100
"""Tasks on one page."""


class SqlReader:
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
        """Return a page of tasks as lists show them, newest first; raise `InvalidRequest` for a limit or cursor that cannot be."""
        if not 1 <= query.limit <= MOST_TASKS:
            raise InvalidRequest(f"limit is {query.limit}; it can be 1 to {MOST_TASKS}.")
        with self._connection() as connection:
            last = connection.execute(bound(query)).scalar() if is_search(query) else None
            found, more = page_of(connection.execute(search(query, last)), query.limit, task_entry)
        if more:
            last = found[-1].task_id
        return TaskPage(tasks=tuple(found), next_cursor=None if last is None else encode_cursor(last))

    def events(self, task_id: str, after: int = 0, limit: int = 1000) -> EventPage:
        """Return a task's events numbered above `after`, oldest first; raise `TaskNotFound`."""
        if limit < 1:
            raise InvalidRequest(f"limit is {limit}; it must be at least 1.")
        of_task = (
            select(events, SIZE)
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
            found, more = page_of(connection.execute(of_task), limit, event_entry)
            last = after
            if not found:
                of_all = select(func.max(events.c.seq)).where(events.c.task_id == task_id)
                last = connection.execute(of_all).scalar() or 0
        ended = STATUSES[status].ended and not more
        return EventPage(events=tuple(found), ended=ended, log_ends_at=last if last < after else None)

    def family_events(self, query: GetFamilyEvents) -> FamilyPage:
        """Return a page of the log of a task and of those below it; raise `TaskNotFound`."""
        with self._connection() as connection:
            return family_page(connection, query)

    def feed(self, query: ListEvents) -> FeedPage:
        """Return a page of all tasks' events."""
        with self._connection() as connection:
            return feed_page(connection, query)

    def session(self, session_id: str, before: int | None = None) -> SessionRecord:
        """Return a session with its newest turns, or those numbered below `before`; raise `SessionNotFound`.

        An empty one while its first task is under way.
        """
        check_text(session_id, "sessionId")
        with self._connection() as connection:
            if (found := for_people(connection, session_id, before)) is not None:
                return found
            if began := connection.execute(unended_of(session_id)).scalar():
                return SessionRecord(session_id=session_id, created_at=began, updated_at=began)
            # Asked again, because that task may have ended, and left the row, between the two questions.
            if (found := for_people(connection, session_id, before)) is not None:
                return found
        raise SessionNotFound(f"There is no session {session_id}.")

    def session_of_task(self, session_id: str) -> SessionRecord | None:
        """Return a session as its next task goes on with it: its newest turns and its variables; None where there is none."""
        with self._connection() as connection:
            return for_task(connection, session_id)

    def sessions(self, query: ListSessions) -> SessionPage:
        """Return a page of sessions, last used first; raise `InvalidRequest` as `tasks` does."""
        if not 1 <= query.limit <= MOST_TASKS:
            raise InvalidRequest(f"limit is {query.limit}; it can be 1 to {MOST_TASKS}.")
        rows = self._values(session_page(query))
        found = tuple(
            SessionSummary(session_id=row[0], created_at=row[1], updated_at=row[2], tasks=row[3], preview=row[4])
            for row in rows[: query.limit]
        )
        more = len(rows) > query.limit
        last = encode_session_cursor(time_number(found[-1].updated_at), found[-1].session_id) if more else None
        return SessionPage(sessions=found, next_cursor=last)

    def unfinished(self) -> list[TaskRecord]:
        """Return the tasks that have not ended, oldest first."""
        rows = self._all(select(tasks).where(tasks.c.status.in_(UNENDED)).order_by(tasks.c.id))
        return [task_from_row(row) for row in rows]

    def live_by_caller(self) -> dict[str, int]:
        """Return how many tasks that have not ended each caller has; those of none are under an empty one."""
        counted = (
            select(tasks.c.caller, func.count().label("held"))
            .where(tasks.c.status.in_(UNENDED))
            .group_by(tasks.c.caller)
        )
        return {row.caller or "": row.held for row in self._all(counted)}

    def running(self) -> list[TaskRecord]:
        """Return the tasks that some server works on, or died over."""
        rows = self._all(select(tasks).where(tasks.c.status == Status.RUNNING.value).order_by(tasks.c.id))
        return [task_from_row(row) for row in rows]

    def ledger(self, task_id: str) -> TaskLedger:
        """Return a task's ledger and the last snapshot of its interpreter; an empty one where there is none."""
        with self._connection() as connection:
            rows = connection.execute(select(calls).where(calls.c.task_id == task_id).order_by(calls.c.number)).all()
            data = connection.execute(select(snapshots.c.data).where(snapshots.c.task_id == task_id)).scalar()
        return TaskLedger(
            calls=tuple(call_from_row(row) for row in rows), snapshot=None if data is None else bytes(data)
        )

    def call(self, task_id: str, number: int) -> CallRecord | None:
        """Return one call of a task's ledger, None where it has no such one."""
        rows = self._all(select(calls).where(calls.c.task_id == task_id, calls.c.number == number))
        return call_from_row(rows[0]) if rows else None

    def children(self, task_id: str) -> list[TaskRecord]:
        """Return the tasks that a task has delegated itself, oldest first."""
        rows = self._all(select(tasks).where(tasks.c.parent_id == task_id).order_by(tasks.c.id))
        return [task_from_row(row) for row in rows]

    def descendants_count(self, root_id: str) -> int:
        """Return how many tasks there are below the first one of a line."""
        return int(self._all(below(root_id))[0][0])

    def files(self, task_id: str) -> tuple[AttachedFile, ...]:
        """Return the files that came with a task, in their order."""
        rows = self._all(select(files).where(files.c.task_id == task_id).order_by(files.c.position))
        return tuple(file_from_row(row) for row in rows)

    def usage(self, accounts: Sequence[Account]) -> dict[Account, Usage]:
        """Return what has been spent on each of the accounts; nothing where there is no row."""
        spent = dict.fromkeys(accounts, Usage())
        if accounts:
            spent |= dict(usage_from_row(row) for row in self._all(of_accounts(accounts)))
        return spent

    def skill_usage(self) -> dict[str, Usage]:
        """Return how often each skill was called and has failed, by its name."""
        return self._usage_by_name("skill")

    def agent_usage(self) -> dict[str, Usage]:
        """Return how many tasks each agent has ended and how many of them failed, by its name."""
        return self._usage_by_name("agent")

    def _usage_by_name(self, scope: str) -> dict[str, Usage]:
        rows = self._all(select(usage).where(usage.c.scope == scope))
        return {account.name: spent for account, spent in map(usage_from_row, rows)}

    def kept_answer(self, caller: str, key: str) -> KeptAnswer | None:
        """Return what a caller's idempotency key was first answered with, if it is remembered."""
        rows = self._all(kept_answer(caller, key))
        return (
            KeptAnswer(fingerprint=rows[0].fingerprint, task_id=rows[0].task_id, answer=rows[0].answer)
            if rows
            else None
        )

    def deliveries(self, query: ListDeliveries) -> DeliveryPage:
        """Return a page of webhooks' deliveries, newest first; raise `InvalidRequest` as `tasks` does."""
        if not 1 <= query.limit <= MOST_TASKS:
            raise InvalidRequest(f"limit is {query.limit}; it can be 1 to {MOST_TASKS}.")
        statement = select(deliveries).order_by(deliveries.c.id.desc()).limit(query.limit + 1)
        if query.task_id is not None:
            statement = statement.where(deliveries.c.task_id == check_text(query.task_id, "taskId"))
        if query.state is not None:
            statement = statement.where(deliveries.c.state == query.state)
        if query.cursor is not None:
            statement = statement.where(deliveries.c.id < decode_cursor(query.cursor))
        rows = self._all(statement)
        found = tuple(delivery_from_row(row) for row in rows[: query.limit])
        more = len(rows) > query.limit
        return DeliveryPage(deliveries=found, next_cursor=encode_cursor(found[-1].delivery_id) if more else None)

    def delivery(self, delivery_id: str) -> WebhookDelivery:
        """Return a delivery; raise `DeliveryNotFound`."""
        rows = self._all(select(deliveries).where(deliveries.c.id == check_text(delivery_id, "deliveryId")))
        if not rows:
            raise DeliveryNotFound(f"There is no delivery {delivery_id}.")
        return delivery_from_row(rows[0])

    def due_deliveries(
        self, now: datetime, limit: int = 100, *, lanes: Sequence[Lane] = (Lane(),), under_way: Collection[str] = ()
    ) -> list[WebhookDelivery]:
        """Return the deliveries that are to be tried by now and may go in one of the lanes, the one due longest first.

        Those whose ids are in `under_way` are left out.
        """
        rows = self._all(due(now, limit, lanes=lanes, under_way=under_way))
        return [delivery_from_row(row) for row in rows]

    def totals(self) -> Totals:
        """Return the counts over the whole history."""
        row = self._all(select(totals))[0]
        return Totals(
            total=row.total,
            completed=row.completed,
            failed=row.failed,
            cancelled=row.cancelled,
            execution_ms=row.execution_ms,
            elapsed_ms=row.elapsed_ms,
            live=row.live,
        )

    def accepted_between(self, since: datetime, until: datetime) -> list[datetime]:
        """Return when tasks were accepted, the newest first and no more than `MOST_READ`."""
        return [row[0] for row in self._all(accepted_between(since, until))]

    def ended_between(self, since: datetime, until: datetime) -> list[Ending]:
        """Return how tasks ended, the last first and no more than `MOST_READ`."""
        return [ending(*row) for row in self._values(ended_between(since, until))]

    def backlog(self) -> Backlog:
        """Return how many tasks wait and how many are worked on."""
        counts: dict[str, int] = {row[0]: row[1] for row in self._values(backlog())}
        return Backlog(pending=counts.get(Status.PENDING.value, 0), running=counts.get(Status.RUNNING.value, 0))

    def ping(self) -> None:
        """Ask the database anything; raise `StoreUnavailable` if it does not answer, or lacks a table or a column."""
        with self._connection() as connection:
            connection.execute(select(totals.c.id)).all()
            if (lost := lost_of(connection)) is not None:
                raise StoreUnavailable(lost)

    def _all(self, statement: Select[Any]) -> list[Row[Any]]:
        with self._connection() as connection:
            return list(connection.execute(statement).all())

    def _values(self, statement: Select[Any]) -> list[Sequence[Any]]:
        """Return rows of which only some columns were selected."""
        return [*self._all(statement)]

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        if self._closed:
            raise StoreUnavailable("The store is closed.")
        try:
            with reported(), self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            if does_not_fit(error) and (lost := self._lost()) is not None:
                raise StoreUnavailable(lost) from error
            raise

    def _lost(self) -> str | None:
        with reported(), self._engine.connect() as connection:
            return lost_of(connection)


def below(root_id: str) -> Select[Any]:
    """Count the tasks below the first one of a line."""
    return select(func.count()).where(tasks.c.root_id == root_id)


def of_accounts(accounts: Sequence[Account]) -> Select[Any]:
    """Select the rows of some accounts."""
    return select(usage).where(
        or_(*(and_(usage.c.scope == a.scope, usage.c.name == a.name, usage.c.day == a.day) for a in accounts))
    )


def due(
    now: datetime, limit: int, *, lanes: Sequence[Lane] = (Lane(),), under_way: Collection[str] = ()
) -> Select[Any]:
    """Select the deliveries that are to be tried by now and may go in one of the lanes, but for some ids."""
    statement = select(deliveries).where(deliveries.c.next_at <= now).order_by(deliveries.c.next_at).limit(limit)
    if Lane() not in lanes:
        statement = statement.where(or_(*(_in_lane(lane) for lane in lanes)))
    if under_way:
        statement = statement.where(deliveries.c.id.not_in(under_way))
    return statement


def _in_lane(lane: Lane) -> ColumnElement[bool]:
    """PERF: what rules out most comes first, and the long lists last: 10,000 that wait are passed over in 10 ms."""
    d = deliveries.c
    barred = ((d.caller, lane.not_callers), (d.site, lane.not_sites), (d.receiver, lane.not_receivers))
    only = [] if lane.only is None else [d.receiver.in_(lane.only)]
    return and_(*(column.not_in(values) for column, values in barred if values), *only)
