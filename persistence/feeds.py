"""The SQL behind streams: the log of a task with those below it, and the feed of all events.

Both are cut by position. Functions over a connection, in any thread; imported by `reads.py` and by tests.
"""

from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from callboard.errors import InvalidRequest, TaskNotFound
from callboard.messages.events import MOST_EVENTS, FamilyPage, FeedEntry, FeedPage, GetFamilyEvents, ListEvents
from callboard.messages.tasks import MASTER
from callboard.persistence.codec import STATUSES
from callboard.persistence.pages import SIZE, event_entry, page_of
from callboard.persistence.statements import highest_position
from callboard.persistence.tables import events, tasks
from callboard.values import check_text

MOST_LOOKED_AT = 5000
"""Events that one page of the feed looks at: 8 ms where none of them fits."""


def family_page(connection: Connection, query: GetFamilyEvents) -> FamilyPage:
    """Return a page of the log of a task and of those below it; raise `TaskNotFound`.

    # Invariant: the status is read first (a task that has ended by then gets no more events), the family last (it
    # holds every task whose events could have been on the page), and the events by one statement, so from one state
    # of the database: no event is left out whose position is below that of another one on the page.
    """
    _check(query.limit)
    status = connection.execute(
        select(tasks.c.status).where(tasks.c.id == check_text(query.task_id, "taskId"))
    ).scalar()
    if status is None:
        raise TaskNotFound(f"There is no task {query.task_id}.")
    if query.position is None:
        position = connection.execute(position_of(query.task_id, query.after)).scalar() or 0
    else:
        position = min(query.position, _highest(connection))
    last_seq = connection.execute(select(func.max(events.c.seq)).where(events.c.task_id == query.task_id)).scalar()
    found = connection.execute(family_events(query.task_id, position, query.limit + 1))
    page, more = page_of(found, query.limit, event_entry)
    family = connection.execute(select(family_of(query.task_id).c.id)).scalars().all()
    return FamilyPage(
        events=tuple(page),
        position=position,
        last_seq=last_seq or 0,
        family=frozenset(family),
        more=more,
        ended=STATUSES[status].ended,
    )


def feed_page(connection: Connection, query: ListEvents) -> FeedPage:
    """Return a page of the feed."""
    _check(query.limit)
    if query.after is None:
        return FeedPage(entries=(), next_after=_highest(connection), more=False)
    seen = connection.execute(looked_at(query)).scalars().all()
    if not seen:
        return FeedPage(entries=(), next_after=min(query.after, _highest(connection)), more=False)
    entries, more = page_of(connection.execute(feed_events(query, seen[-1])), query.limit, _feed_entry)
    found = tuple(entries)
    if more:
        return FeedPage(entries=found, next_after=found[-1].event.position, more=True)
    return FeedPage(entries=found, next_after=seen[-1], more=len(seen) == MOST_LOOKED_AT)


def _feed_entry(row: Row[Any]) -> tuple[FeedEntry, int]:
    event, size_bytes = event_entry(row)
    return FeedEntry(event=event, session_id=row.session_id), size_bytes


def _highest(connection: Connection) -> int:
    """Return the position that nothing is above: a place beyond it, of a history that was put back, means from now on."""
    return max(number or 0 for number in connection.execute(highest_position()).one())


def _check(limit: int) -> None:
    if not 1 <= limit <= MOST_EVENTS:
        raise InvalidRequest(f"limit is {limit}; it can be 1 to {MOST_EVENTS}.")


def position_of(task_id: str, seq: int) -> Select[Any]:
    """Select the position of a task's event, or of its last one if it has not come so far."""
    found = select(events.c.position).where(events.c.task_id == task_id, events.c.seq <= seq)
    return found.order_by(events.c.seq.desc()).limit(1)


def family_of(task_id: str) -> Any:
    """Return the recursive table of a task's id and the ids of all tasks below it."""
    family = select(tasks.c.id).where(tasks.c.id == task_id).cte("family", recursive=True)
    below = select(tasks.c.id).join(family, tasks.c.parent_id == family.c.id)
    return family.union_all(below)


def family_events(task_id: str, position: int, limit: int) -> Select[Any]:
    """Select the events of a family above a position.

    PERF: `position + 0` is in no index, so each task's events are found by their key; the index over all positions
    would lead through everybody's events.
    """
    family = family_of(task_id)
    place = events.c.position + 0
    found = select(events, SIZE).join(family, events.c.task_id == family.c.id)
    return found.where(place > position).order_by(place).limit(limit)


def looked_at(query: ListEvents) -> Select[Any]:
    """Select the positions that a page looks at; of one task all that there are."""
    found = select(events.c.position)
    if query.task_id is not None:
        place = events.c.position + 0
        found = found.where(events.c.task_id == check_text(query.task_id, "taskId"))
        return found.where(place > query.after).order_by(events.c.seq).limit(MOST_LOOKED_AT)
    return found.where(events.c.position > query.after).order_by(events.c.position).limit(MOST_LOOKED_AT)


def feed_events(query: ListEvents, last: int) -> Select[Any]:
    """Select the events that fit, up to the last one that is looked at, and one more than wanted.

    PERF: what filters by the task's row is written so that no index of `tasks` fits: the events lead.
    """
    found = select(events, tasks.c.session_id, SIZE).join(tasks, tasks.c.id == events.c.task_id)
    found = found.limit(query.limit + 1)
    if query.task_id is not None:
        place = events.c.position + 0
        found = found.where(events.c.task_id == query.task_id, place > query.after, place <= last)
        found = found.order_by(events.c.seq)
    else:
        found = found.where(events.c.position > query.after, events.c.position <= last).order_by(events.c.position)
    if query.topics:
        found = found.where(events.c.topic.in_(sorted(query.topics)))
    if query.session_id is not None:
        found = found.where(tasks.c.session_id + "" == check_text(query.session_id, "sessionId"))
    if query.agent is not None:
        found = found.where(func.coalesce(tasks.c.agent, MASTER) == check_text(query.agent, "agent"))
    return found
