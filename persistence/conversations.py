"""Reading what sessions keep: the newest turns for a session's next task, and pages of turns for people.

Turns are rows, read from the newest back and only as far as they are of use. Functions over a connection, in any thread;
imported by `reads.py`.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from callboard.conversation import SessionRecord, Turn, as_read
from callboard.persistence.tables import interpreters, sessions, turns
from callboard.values import INT64_MAX

MOST_TURNS = 100
"""Turns on one page."""

MOST_BYTES = 1 << 20
"""UTF-8 bytes of turns on one page, where it has more than one."""

_STEP = 32


def for_people(connection: Connection, session_id: str, before: int | None) -> SessionRecord | None:
    """Return a session with its newest turns, or the newest of those numbered below `before`; None where there is none."""
    row = connection.execute(select(sessions).where(sessions.c.id == session_id)).first()
    if row is None:
        return None
    names = connection.execute(select(interpreters.c.variables).where(interpreters.c.session_id == session_id)).scalar()
    said, next_before = _page(connection, session_id, before)
    return SessionRecord(
        session_id=session_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        tasks=row.tasks,
        conversation=said,
        variables=tuple(names or ()),
        next_before=next_before,
    )


def for_task(connection: Connection, session_id: str) -> SessionRecord | None:
    """Return a session as its next task goes on with it; None where there is none."""
    row = connection.execute(select(sessions).where(sessions.c.id == session_id)).first()
    if row is None:
        return None
    left = connection.execute(select(interpreters).where(interpreters.c.session_id == session_id)).first()
    return SessionRecord(
        session_id=session_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        tasks=row.tasks,
        conversation=as_read(_backwards(connection, session_id)),
        variables=() if left is None else tuple(left.variables),
        interpreter=None if left is None or left.data is None else bytes(left.data),
    )


def _page(connection: Connection, session_id: str, before: int | None) -> tuple[tuple[Turn, ...], int | None]:
    """Return turns in order, one at least, and what to ask with for those before them."""
    found: list[Turn] = []
    size_bytes = 0
    for turn in _backwards(connection, session_id, before):
        size_bytes += len(turn.content.encode())
        if len(found) == MOST_TURNS or (found and size_bytes > MOST_BYTES):
            return tuple(reversed(found)), found[-1].number
        found.append(turn)
    return tuple(reversed(found)), None


def _backwards(connection: Connection, session_id: str, before: int | None = None) -> Iterator[Turn]:
    """Yield turns, the newest first, some at a time: they may have a hundred thousand characters each."""
    of_session = select(turns).where(turns.c.session_id == session_id).order_by(turns.c.number.desc()).limit(_STEP)
    while True:
        some = of_session if before is None else of_session.where(turns.c.number < min(before, INT64_MAX))
        rows = connection.execute(some).all()
        for row in rows:
            yield Turn(role=row.role, content=row.content, number=row.number, task_id=row.task_id)
        if len(rows) < _STEP:
            return
        before = rows[-1].number
