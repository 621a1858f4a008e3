"""What the last hour was like, read from the history: when tasks were accepted and how they ended.

`Outcomes` are bounded: of a busy hour the newest are read. Any thread; imported by `reads.py` and its tests.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select

from callboard.clock import elapsed_ms
from callboard.messages.health import Ending
from callboard.messages.tasks import Status
from callboard.persistence.tables import tasks

MOST_READ = 50_000
"""Tasks of each kind, accepted and ended, that are read at most."""


def accepted_between(since: datetime, until: datetime) -> Select[Any]:
    """Select when the newest tasks were accepted. Ids begin with the time they were made, so their index finds them."""
    within = (tasks.c.id >= _first_id(since), tasks.c.created_at >= since, tasks.c.created_at < until)
    return select(tasks.c.created_at).where(*within).order_by(tasks.c.id.desc()).limit(MOST_READ)


def ended_between(since: datetime, until: datetime) -> Select[Any]:
    """Select when and how the tasks ended that did so last, and what says how long they took; `ending` reads a row."""
    columns = (tasks.c.ended_at, tasks.c.status, tasks.c.execution_time_ms, tasks.c.created_at, tasks.c.redrive_of)
    within = (tasks.c.ended_at >= since, tasks.c.ended_at < until)
    return select(*columns).where(*within).order_by(tasks.c.ended_at.desc()).limit(MOST_READ)


def ending(
    ended_at: datetime, status: str, worked_ms: float | None, created_at: datetime, redrive_of: str | None
) -> Ending:
    """Return the end that a row of `ended_between` tells of."""
    took_ms = elapsed_ms(created_at, ended_at, worked_ms, redrive_of)
    return Ending(at=ended_at, status=Status(status), worked_ms=worked_ms, elapsed_ms=took_ms)


def backlog() -> Select[Any]:
    """Count the tasks that wait and those that are worked on, from the index of statuses alone."""
    wanted = [Status.PENDING.value, Status.RUNNING.value]
    return select(tasks.c.status, func.count()).where(tasks.c.status.in_(wanted)).group_by(tasks.c.status)


def _first_id(moment: datetime) -> str:
    """Return the lowest id that could have been made at a time; see `callboard.clock.new_id`."""
    return str(UUID(int=int(moment.timestamp() * 1000) << 80))
