"""Records as the wire shows them: plain dicts with camelCase names, times in ISO 8601 UTC, durations in ms.

PERF: built by hand, 1-2 µs each; `http/schemas.py` describes the same shapes for the OpenAPI document, and a test
holds every real answer against it. Pure functions; imported within `http/` only.
"""

from datetime import UTC, datetime
from typing import Any

from callboard.agent.skill import Skill
from callboard.messages import EventPage, HealthReport, SessionRecord, Status, TaskAccepted, TaskEvent, TaskRecord

View = dict[str, Any]


def iso(moment: datetime | None) -> str | None:
    """Return a time as text, such as 2026-01-08T12:00:00.123Z."""
    if moment is None:
        return None
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def accepted(reply: TaskAccepted | TaskRecord) -> View:
    """Return the answer to a task that has been committed and has not ended."""
    return {
        "success": True,
        "message": "Task submitted for execution",
        "taskId": reply.task_id,
        "task": reply.task,
        "sessionId": reply.session_id,
        "status": reply.status,
    }


def result(record: TaskRecord) -> View:
    """Return a task as results show it; `timestamp` is when it ended, or else when it was accepted."""
    return {
        "success": record.success,
        "taskId": record.task_id,
        "task": record.task,
        "sessionId": record.session_id,
        "status": record.status,
        "output": record.output,
        "error": record.error,
        "errorCode": record.error_code,
        "executionTime": None if record.execution_time_ms is None else round(record.execution_time_ms, 3),
        "metadata": dict(record.metadata),
        "timestamp": iso(record.ended_at or record.created_at),
    }


def task(record: TaskRecord) -> View:
    """Return all that is known of a task: its result as far as there is one, and what was asked."""
    return {
        **result(record),
        "createdAt": iso(record.created_at),
        "startedAt": iso(record.started_at),
        "endedAt": iso(record.ended_at),
        "attempt": record.attempt,
        "systemPrompt": record.system_prompt,
        "availableSkills": None if record.available_skills is None else list(record.available_skills),
        "agent": record.agent,
        "labels": dict(record.labels),
        "timeoutMs": record.timeout_ms,
        "priority": record.priority,
        "requestId": record.request_id,
    }


def cancelled(record: TaskRecord) -> View:
    """Return what is true of a task after the wish to cancel it."""
    success = record.status is Status.CANCELLED
    if success:
        message = "Task cancelled"
    elif record.status.ended:
        message = f"Task had already ended as {record.status}"
    else:
        message = f"Task is still {record.status}"
    return {"success": success, "message": message, "taskId": record.task_id, "status": record.status}


def event(entry: TaskEvent) -> View:
    return {
        "taskId": entry.task_id,
        "seq": entry.seq,
        "topic": entry.topic,
        "timestamp": iso(entry.at),
        "data": dict(entry.data),
    }


def events(page: EventPage, after: int) -> View:
    """Return a page of a task's log; `nextAfter` is what to ask with for the next one."""
    return {
        "success": True,
        "events": [event(entry) for entry in page.events],
        "ended": page.ended,
        "nextAfter": page.events[-1].seq if page.events else after,
    }


def session(record: SessionRecord) -> View:
    return {
        "sessionId": record.session_id,
        "conversation": [{"role": turn.role, "content": turn.content} for turn in record.conversation],
        "variables": list(record.variables),
        "tasks": record.tasks,
        "createdAt": iso(record.created_at),
        "updatedAt": iso(record.updated_at),
    }


def skill(found: Skill[..., Any]) -> View:
    """Return a skill; `stub` is its declaration in Python, `schema` the JSON Schema of its arguments."""
    return {
        "name": found.name,
        "description": found.description,
        "stub": found.stub,
        "schema": found.schema,
        "replay": found.replay,
        "origin": found.origin,
    }


def health(report: HealthReport, *, version: str, uptime_s: float) -> View:
    """Return the health report; the average is over the tasks that completed or failed."""
    totals = report.totals
    worked = totals.completed + totals.failed
    return {
        "status": report.status,
        "version": version,
        "uptime": round(uptime_s, 1),
        "timestamp": iso(report.at),
        "services": dict(report.services),
        "metrics": {
            "totalTasks": totals.total,
            "successfulTasks": totals.completed,
            "failedTasks": totals.failed,
            "averageExecutionTime": round(totals.execution_ms / worked, 3) if worked else 0,
            "cancelledTasks": totals.cancelled,
            "liveTasks": totals.live,
        },
        "problems": list(report.problems),
    }
