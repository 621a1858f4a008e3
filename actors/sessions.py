"""Sessions in memory: which task of each may start, and what the last one left.

A plain object inside the master agent; only its thread touches it.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from callboard.conversation import SessionRecord
from callboard.messages.tasks import Task

MOST_IDLE = 500
"""Idle sessions that stay in memory."""

MOST_BYTES = 64 << 20
"""Bytes of what sessions keep that stay in memory: one may have 4 MB of variables and a million characters of turns."""


@dataclass(slots=True)
class _Session:
    waiting: OrderedDict[str, Task] = field(default_factory=OrderedDict)
    active: str | None = None
    used_s: float = 0.0


class Sessions:
    """Queues a session's tasks behind each other and keeps its record while it is in use."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        # what sessions keep, the one that was left longest ago first; what is not here comes from the store
        self._records: dict[str, SessionRecord] = {}
        self._size_bytes = 0

    def queue(self, task: Task, now_s: float) -> bool:
        """Add a task to its session; True if it may start at once."""
        session = self._sessions.setdefault(task.session_id, _Session())
        session.used_s = now_s
        if session.active is None:
            session.active = task.task_id
            return True
        session.waiting[task.task_id] = task
        return False

    def release(self, task: Task, left: SessionRecord | None, now_s: float) -> Task | None:
        """Take an ended task out; return the session's next one, if it may start now."""
        session = self._sessions.get(task.session_id)
        if session is None:
            return None
        session.used_s = now_s
        if session.active == task.task_id and not session.waiting and task.session_id == task.task_id:
            # most tasks name no session and nobody comes back to the one that was made up; the store has it
            del self._sessions[task.session_id]
            return None
        if left is not None:
            self._keep(left)
        if session.active != task.task_id:
            session.waiting.pop(task.task_id, None)
            return None
        if not session.waiting:
            session.active = None
            return None
        session.active, following = session.waiting.popitem(last=False)
        return following

    def is_active(self, task: Task) -> bool:
        """Say whether a task is the one of its session that may run."""
        session = self._sessions.get(task.session_id)
        return session is not None and session.active == task.task_id

    def record(self, session_id: str) -> SessionRecord | None:
        """Return what the session keeps, or None if it must come from the store."""
        return self._records.get(session_id)

    def busy(self, session_id: str) -> bool:
        session = self._sessions.get(session_id)
        return session is not None and session.active is not None

    def forget(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)
        self._drop(session_id)

    def evict(self, unused_since_s: float) -> None:
        """Drop the sessions that have no task and were last used before; they come back from the store.

        Beyond `MOST_IDLE` the ones unused longest go at once.
        """
        idle = [(session.used_s, session_id) for session_id, session in self._sessions.items() if not session.active]
        idle.sort(reverse=True)
        for position, (used_s, session_id) in enumerate(idle):
            if used_s < unused_since_s or position >= MOST_IDLE:
                self.forget(session_id)

    def _keep(self, record: SessionRecord) -> None:
        """Keep what a session goes on with, and let go of what was kept longest ago where that is too much."""
        self._drop(record.session_id)
        self._records[record.session_id] = record
        self._size_bytes += record.size_bytes
        while self._size_bytes > MOST_BYTES and len(self._records) > 1:
            self._drop(next(iter(self._records)))

    def _drop(self, session_id: str) -> None:
        record = self._records.pop(session_id, None)
        self._size_bytes -= 0 if record is None else record.size_bytes

    def __len__(self) -> int:
        return len(self._sessions)
