"""What `callboard doctor` finds in the tables: rows that belong to nothing, gaps, counts that do not match, and
what waits for somebody.

All is asked in the caller's one read transaction, so that a running server's writes do not look like faults.
Imported by `doctor.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Table, exists, func, or_, select

from callboard.messages.deliveries import DeliveryState
from callboard.messages.pauses import Pause, PauseReason
from callboard.messages.tasks import Status
from callboard.persistence import positions
from callboard.persistence.codec import UNENDED
from callboard.persistence.faults import RESTORE_FILE
from callboard.persistence.tables import (
    DEAD,
    calls,
    deliveries,
    events,
    files,
    interpreters,
    sessions,
    snapshots,
    tasks,
    totals,
    turns,
    usage,
)

OVERDUE = timedelta(hours=1)
"""A delivery that is due for longer shows that nobody sends them."""

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at: how it is, and what to do about it (empty where nothing)."""

    level: Level
    check: str
    message: str
    advice: str = ""


REPORT = "This cannot come from Callboard's own work: keep a copy of the file and report it as a defect."


def of_tables(connection: Connection, *, now: datetime, served: bool) -> Iterator[Finding]:
    """Look at every table; `served` says whether a server is at work on them."""
    yield _orphans(connection)
    yield _numbers(connection)
    yield _counts(connection)
    yield _running(connection, served=served)
    yield _paused(connection)
    yield _dead_letters(connection)
    yield _deliveries(connection, now)


def _orphans(connection: Connection) -> Finding:
    found = []
    for table in (events, calls, snapshots, files, deliveries):
        if count := _count(connection, _without_task(table)):
            found.append(f"{count} in {table.name}")
    spent = select(func.count()).select_from(usage).where(usage.c.scope.in_(["task", "subagents"]))
    if count := _count(connection, spent.where(~exists().where(tasks.c.id == usage.c.name))):
        found.append(f"{count} in {usage.name}")
    for table in (turns, interpreters):
        alone = select(func.count()).select_from(table).where(~exists().where(sessions.c.id == table.c.session_id))
        if count := _count(connection, alone):
            found.append(f"{count} in {table.name}, of no session")
    left = select(func.count()).select_from(snapshots).join(tasks, tasks.c.id == snapshots.c.task_id)
    if count := _count(connection, left.where(tasks.c.status.not_in(UNENDED), ~func.coalesce(DEAD, False))):
        found.append(f"{count} in snapshots of tasks that have ended")
    if found:
        where = ", ".join(found)
        return Finding(level="error", check="orphans", message=f"Rows belong to no task: {where}.", advice=REPORT)
    return Finding(level="ok", check="orphans", message="Every row belongs to a task.")


def _without_task(table: Table) -> Any:
    return select(func.count()).select_from(table).where(~exists().where(tasks.c.id == table.c.task_id))


def _numbers(connection: Connection) -> Finding:
    """Find tasks whose events are not numbered 1, 2, 3, … or that have none, and positions that nobody can be told.

    That no position is there twice the index sees to.
    """
    seq = events.c.seq
    broken = select(events.c.task_id).group_by(events.c.task_id)
    broken = broken.having(or_(func.min(seq) != 1, func.max(seq) != func.count()))
    count = _count(connection, select(func.count()).select_from(broken.subquery()))
    count += _count(
        connection, select(func.count()).select_from(tasks).where(~exists().where(events.c.task_id == tasks.c.id))
    )
    if count:
        message = "The log of 1 task has gaps." if count == 1 else f"The logs of {count} tasks have gaps."
        return Finding(level="error", check="events", message=message, advice=REPORT)
    least, stored = connection.execute(select(func.min(events.c.position), func.max(events.c.position))).one()
    if positions.are_faulty(connection):
        given = connection.execute(select(totals.c.position)).scalar()
        message = (
            f"Positions of events go from {least!r} to {stored!r} and {given!r} is the last one given, or some stand twice; they are "
            f"whole numbers from 1 to {positions.MOST}, and each stands once."
        )
        advice = f"{REPORT} Start callboard serve: it gives them others. {RESTORE_FILE}"
        return Finding(level="error", check="events", message=message, advice=advice)
    return Finding(level="ok", check="events", message="The log of every task is numbered without a gap.")


def _counts(connection: Connection) -> Finding:
    """Compare the totals with what they count."""
    row = connection.execute(select(totals)).one()
    unended = tasks.c.status.in_(UNENDED)
    live = _count(connection, select(func.count()).select_from(tasks).where(unended))
    stored = _count(connection, select(func.count()).select_from(tasks).where(~unended))
    ended = row.completed + row.failed + row.cancelled
    if (row.live, row.stored, row.total) != (live, stored, ended + row.live):
        message = f"The totals say {row.live} live and {row.stored} ended tasks, the table has {live} and {stored}."
        return Finding(level="error", check="totals", message=message, advice=REPORT)
    message = f"{row.total} tasks were accepted; {stored} ended ones are stored and {live} have not ended."
    return Finding(level="ok", check="totals", message=message)


def _running(connection: Connection, *, served: bool) -> Finding:
    count = _of_status(connection, Status.RUNNING)
    if count and not served:
        message = f"{_are_running(count)}, but no server is."
        advice = f"Start the server: it goes on with {'it' if count == 1 else 'them'}."
        return Finding(level="warning", check="running", message=message, advice=advice)
    return Finding(level="ok", check="running", message=f"{_are_running(count)}.")


def _are_running(count: int) -> str:
    return "1 task is running" if count == 1 else f"{count} tasks are running"


def _paused(connection: Connection) -> Finding:
    paused = select(tasks.c.id, tasks.c.pause).where(tasks.c.status == Status.PAUSED.value).order_by(tasks.c.id)
    # those that wait for agents end with them
    waiting = [
        task_id
        for task_id, pause in connection.execute(paused)
        if pause is None or Pause.read(pause).reason is not PauseReason.SUBAGENTS
    ]
    if not waiting:
        return Finding(level="ok", check="paused", message="No task waits for a decision.")
    wait = "task waits" if len(waiting) == 1 else "tasks wait"
    return Finding(
        level="warning",
        check="paused",
        message=f"{len(waiting)} {wait} for a decision, {waiting[0]} the longest.",
        advice="List them with `callboard approvals`, and decide with `callboard decide`.",
    )


def _dead_letters(connection: Connection) -> Finding:
    waiting = select(func.count()).select_from(tasks).where(DEAD, tasks.c.redriven_as.is_(None))
    if count := _count(connection, waiting):
        return Finding(
            level="warning",
            check="dead-letters",
            message=f"{count} dead {'letter has' if count == 1 else 'letters have'} not been redriven.",
            advice="List them with `callboard dead-letters list`; those whose cause is mended, `callboard dead-letters redrive`.",
        )
    return Finding(level="ok", check="dead-letters", message="No dead letter waits.")


def _deliveries(connection: Connection, now: datetime) -> Finding:
    pending = select(func.count()).select_from(deliveries).where(deliveries.c.state == DeliveryState.PENDING.value)
    count, overdue = (
        _count(connection, pending),
        _count(connection, pending.where(deliveries.c.next_at < now - OVERDUE)),
    )
    if overdue:
        message = f"{_webhooks(overdue)} due for more than an hour and not sent."
        advice = "Start the server; if it runs, its log says why they are not sent."
        return Finding(level="warning", check="deliveries", message=message, advice=advice)
    return Finding(level="ok", check="deliveries", message=f"{_webhooks(count)} still to be delivered.")


def _webhooks(count: int) -> str:
    return "1 webhook is" if count == 1 else f"{count} webhooks are"


def _of_status(connection: Connection, status: Status) -> int:
    return _count(connection, select(func.count()).select_from(tasks).where(tasks.c.status == status.value))


def _count(connection: Connection, statement: Any) -> int:
    return int(connection.execute(statement).scalar_one())
