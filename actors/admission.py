"""How a task comes to be: its first event, what makes it the same request as another, its second chance.

Pure functions in the threads of the gateway and the history reader; imported by `actors/` only.
"""

import hashlib
import json
from datetime import datetime
from typing import Any

from callboard.clock import new_id
from callboard.messages import RedriveTask, SubmitTask, TaskRecord, Topic
from callboard.records import Idempotency, NewEvent, RecordRedrive
from callboard.task_spec import TaskSpec

_ASKED = set(TaskSpec.model_fields)


def first_event(record: TaskRecord) -> NewEvent:
    """Return the event that opens a task's log."""
    data: dict[str, Any] = {"task": record.task, "sessionId": record.session_id}
    if record.request_id is not None:
        data["requestId"] = record.request_id
    if record.available_skills is not None:
        data["availableSkills"] = list(record.available_skills)
    return NewEvent(topic=Topic.TASK_EXECUTE, at=record.created_at, data=data)


def idempotency_of(task: SubmitTask) -> Idempotency | None:
    """Return what makes a task that comes with an idempotency key the same as another, None without a key.

    HTTP has taken the fingerprint of the body; for a task from Python it is taken of what is asked.
    """
    if task.idempotency_key is None:
        return None
    fingerprint = task.fingerprint
    if not fingerprint:
        asked = json.dumps(task.model_dump(mode="json", include=_ASKED), sort_keys=True)
        fingerprint = hashlib.sha256(asked.encode()).hexdigest()
    return Idempotency(caller=task.caller or "", key=task.idempotency_key, fingerprint=fingerprint)


def redrive_of(dead: TaskRecord, wish: RedriveTask, now: datetime) -> RecordRedrive:
    """Return a dead letter's task once more, under an id of its own and in the session it was in."""
    record = TaskRecord(
        task_id=new_id(),
        session_id=dead.session_id,
        task=dead.task,
        created_at=now,
        system_prompt=dead.system_prompt,
        available_skills=dead.available_skills,
        agent=dead.agent,
        labels=dead.labels,
        timeout_ms=dead.timeout_ms,
        priority=dead.priority,
        request_id=wish.request_id,
        caller=wish.caller,
        retry=dead.retry,
        callback_url=dead.callback_url,
        redrive_of=dead.task_id,
    )
    return RecordRedrive(dead_id=dead.task_id, record=record, event=first_event(record))
