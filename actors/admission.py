"""How a task comes to be: its first event, what makes it the same request as another, its second chance, its parts.

Pure functions in the threads of the gateway, the history reader and the workers; imported by `actors/` only.
"""

import hashlib
import json
from datetime import datetime
from typing import Any

from callboard.agent.delegation import Delegated
from callboard.clock import new_id
from callboard.messages import RedriveTask, SubmitTask, TaskRecord, Topic
from callboard.records import Idempotency, NewEvent, RecordAcceptance, RecordRedrive
from callboard.task_spec import TaskSpec

_ASKED = set(TaskSpec.model_fields)


def first_event(record: TaskRecord) -> NewEvent:
    """Return the event that opens a task's log."""
    data: dict[str, Any] = {"task": record.task, "sessionId": record.session_id}
    if record.request_id is not None:
        data["requestId"] = record.request_id
    if record.available_skills is not None:
        data["availableSkills"] = list(record.available_skills)
    if record.agent is not None:
        data["agent"] = record.agent
    if record.parent_id is not None:
        data["parentId"] = record.parent_id
    if record.attachments:
        data["attachments"] = [file["name"] for file in record.attachments]
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
    """Return a dead letter's task once more, under an id of its own and in the session it was in.

    The store copies its files and what it has spent: its budget goes on. What another agent has delegated stays below
    that one, whose limits count it.
    """
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
        budget=dead.budget,
        attachments=dead.attachments,
        parent_id=dead.parent_id,
        root_id=dead.root_id,
        depth=dead.depth,
    )
    return RecordRedrive(dead_id=dead.task_id, record=record, event=first_event(record))


def part_of(parent: TaskRecord, part: Delegated, now: datetime) -> RecordAcceptance:
    """Return the task that another agent is given: in a session of its own, with its parent's caller and priority."""
    record = TaskRecord(
        task_id=part.task_id,
        session_id=part.task_id,
        task=part.task,
        created_at=now,
        available_skills=part.available_skills,
        agent=part.agent,
        timeout_ms=part.timeout_ms,
        priority=parent.priority,
        request_id=parent.request_id,
        caller=parent.caller,
        retry=parent.retry,
        budget=part.budget,
        parent_id=parent.task_id,
        root_id=parent.root_id or parent.task_id,
        depth=parent.depth + 1,
    )
    return RecordAcceptance(record=record, event=first_event(record))
