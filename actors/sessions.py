"""Sessions in memory: which task of each may start, and what the last one left.

A plain object inside the master agent; only its thread touches it.
"""

from collections import deque
from dataclasses import dataclass, field

from callboard.messages import SessionRecord, TaskRecord

MOST_IDLE = 500
"""Idle sessions that stay in memory, each with its conversation and up to 4 MB of variables."""


@dataclass(slots=True)
class _Session:
    waiting: deque[TaskRecord] = field(default_factory=deque)
    active: str | None = None
    record: SessionRecord | None = None
    used_s: float = 0.0


class Sessions:
    """Queues a session's tasks behind each other and keeps its record while it is in use."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}

    def queue(self, record: TaskRecord, now_s: float) -> bool:
        """Add a task to its session; True if it may start at once."""
        session = self._sessions.setdefault(record.session_id, _Session())
        session.used_s = now_s
        if session.active is None:
            session.active = record.task_id
            return True
        session.waiting.append(record)
        return False

    def release(self, task: TaskRecord, left: SessionRecord | None, now_s: float) -> TaskRecord | None:
        """Take an ended task out; return the session's next one, if it may start now."""
        session = self._sessions.get(task.session_id)
        if session is None:
            return None
        session.used_s = now_s
        if left is not None:
            session.record = left
        if session.active == task.task_id and not session.waiting and task.session_id == task.task_id:
            # most tasks name no session and nobody comes back to the one that was made up; the store has it
            del self._sessions[task.session_id]
            return None
        if session.active != task.task_id:
            session.waiting = deque(r for r in session.waiting if r.task_id != task.task_id)
            return None
        session.active = session.waiting[0].task_id if session.waiting else None
        return session.waiting.popleft() if session.waiting else None

    def is_active(self, task: TaskRecord) -> bool:
        """Say whether a task is the one of its session that may run."""
        session = self._sessions.get(task.session_id)
        return session is not None and session.active == task.task_id

    def record(self, session_id: str) -> SessionRecord | None:
        """Return what the session keeps, or None if it must come from the store."""
        session = self._sessions.get(session_id)
        return session.record if session else None

    def busy(self, session_id: str) -> bool:
        session = self._sessions.get(session_id)
        return session is not None and session.active is not None

    def forget(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)

    def evict(self, unused_since_s: float) -> None:
        """Drop the sessions that have no task and were last used before; they come back from the store.

        Beyond `MOST_IDLE` the ones unused longest go at once.
        """
        idle = [(session.used_s, session_id) for session_id, session in self._sessions.items() if not session.active]
        idle.sort(reverse=True)
        for position, (used_s, session_id) in enumerate(idle):
            if used_s < unused_since_s or position >= MOST_IDLE:
                del self._sessions[session_id]

    def __len__(self) -> int:
        return len(self._sessions)
