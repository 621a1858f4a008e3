"""Events of every topic to store and to read: each with what it cannot be without, and whatever else is given."""

from datetime import UTC, datetime
from typing import Any

from callboard.messages.event_types import TYPES
from callboard.messages.events import NewEvent, Topic
from callboard.messages.pauses import Pause, PauseReason

_NEEDED: dict[Topic, dict[str, Any]] = {
    Topic.TASK_EXECUTE: {"task": "What is 12 times 7?", "session_id": "session"},
    Topic.MODEL_DELTA: {"step": 1, "purpose": "plan", "text": "It is"},
    Topic.MODEL_COMPLETED: {"step": 1, "purpose": "plan", "model": "some/model", "ok": True},
    Topic.STEP_STARTED: {"step": 1, "agent": "master", "planner": "offline", "intent": "arithmetic", "code": "12 * 7"},
    Topic.STEP_COMPLETED: {"step": 1, "duration_ms": 1.5, "ok": True},
    Topic.SKILL_STARTED: {"call": 1, "skill": "calculate", "replay": "pure", "args": ["12 * 7"], "kwargs": {}},
    Topic.SKILL_COMPLETED: {"ok": True, "call": 1, "skill": "calculate"},
    Topic.TASK_PAUSED: {"pause": Pause(reason=PauseReason.APPROVAL, message="It waits.")},
    Topic.TASK_REQUEUED: {"reason": "drain", "attempt": 1},
    Topic.TASK_COMPLETED: {"output": 84},
    Topic.TASK_FAILED: {"error": "It failed.", "error_code": "script_error"},
    Topic.TASK_CANCELLED: {},
}


def sample(topic: Topic, at: datetime = datetime(2026, 1, 1, tzinfo=UTC), **fields: Any) -> NewEvent:
    """Return an event of a topic."""
    return TYPES[topic](at=at, **{**_NEEDED[topic], **fields})
