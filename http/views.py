"""Records as the wire shows them: plain dicts with camelCase names, times in ISO 8601 UTC, durations in ms.

PERF: built by hand, 1-2 µs each; `http/schemas/` describes the same shapes for the OpenAPI document, and a test
holds every real answer against it. Pure functions; imported within `http/`, and by the
command line for the agents that no server tells of.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.alias_generators import to_camel
from pydantic_core import to_jsonable_python

from callboard.agent.roster import AgentDefinition
from callboard.agent.skill import AnySkill
from callboard.budget import Budget, Usage
from callboard.conversation import SessionRecord
from callboard.excerpts import excerpt, is_long
from callboard.limits import SHOWN_CHARS, cut
from callboard.messages.deliveries import DeliveryPage, WebhookDelivery
from callboard.messages.events import EventPage, FeedEntry, FeedPage, TaskEvent
from callboard.messages.health import HealthReport, StatisticsReport, WorkersReport
from callboard.messages.pauses import Decision
from callboard.messages.sessions import SessionPage
from callboard.messages.tasks import Status, TaskAccepted, TaskRecord
from callboard.task_spec import KeptSpec
from callboard.views import View as View
from callboard.views import iso, short_result
from callboard.views import result as result


def accepted(reply: TaskAccepted) -> View:
    """Return the answer to a task that has been committed and has not ended."""
    return {
        "success": True,
        "message": "Task submitted for execution",
        "taskId": reply.task_id,
        "task": reply.task,
        "sessionId": reply.session_id,
        "status": reply.status,
    }


def task(record: TaskRecord) -> View:
    """Return all that is known of a task: its result as far as there is one, and what was asked."""
    task, state = record.task, record.state
    return {
        **result(record),
        "createdAt": iso(task.created_at),
        "startedAt": iso(state.started_at),
        "endedAt": iso(state.ended_at),
        "attempt": state.attempt,
        **_asked(task.spec, _FIRST),
        "requestId": task.request_id,
        "pause": None if state.pause is None else state.pause.data(),
        "notBefore": iso(state.not_before),
        "redriveOf": task.redrive_of,
        "redrivenAs": state.redriven_as,
        **_asked(task.spec, _LATER),
        "attachments": [dict(file) for file in task.attachments],
        "parentId": task.parent_id,
        "rootId": task.root_id,
        "depth": task.depth,
    }


_WRITTEN = [(name, to_camel(name)) for name in KeptSpec.model_fields if name not in ("task", "session_id")]
_AT = _WRITTEN.index(("budget", "budget"))
_FIRST, _LATER = _WRITTEN[:_AT], _WRITTEN[_AT:]
"""What the caller wrote, by where a task's view has it; the text and the session are in its result."""


def _asked(spec: KeptSpec, fields: Sequence[tuple[str, str]]) -> View:
    """Return some of what the caller wrote, as the wire has it."""
    written, shown = spec.__dict__, {}
    for name, alias in fields:
        value = written[name]
        if not (value is None or type(value) is str or type(value) is int):
            value = to_jsonable_python(value, by_alias=True, exclude_none=True)
        shown[alias] = value
    return shown


def _budget(budget: Budget) -> View:
    return budget.model_dump(by_alias=True, exclude_none=True)


def listed(record: TaskRecord) -> View:
    """Return a task as the history lists it: its result, and what tells it from its neighbours."""
    task = record.task
    told = {"createdAt": iso(task.created_at), "agent": task.spec.agent, "parentId": task.parent_id}
    return {**short_result(record), **told}


def dead_letter(record: TaskRecord) -> View:
    """Return a dead letter as a result, with the task that goes on with it."""
    return {**short_result(record), "redrivenAs": record.state.redriven_as}


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


def pause(task_id: str, asked: Mapping[str, Any]) -> View:
    """Return what a paused task waits for, with whole arguments."""
    return {"success": True, "taskId": task_id, "pause": dict(asked)}


def decided(record: TaskRecord, decision: Decision) -> View:
    """Return what is true of a task after a decision about it."""
    return {
        "success": True,
        "message": f"Decision taken: {decision}",
        "taskId": record.task_id,
        "status": record.status,
    }


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
    last = after if page.log_ends_at is None else page.log_ends_at
    return {
        "success": True,
        "events": [event(entry) for entry in page.events],
        "ended": page.ended,
        "nextAfter": page.events[-1].seq if page.events else last,
    }


def feed_entry(entry: FeedEntry) -> View:
    return {**event(entry.event), "sessionId": entry.session_id, "position": entry.event.position}


def feed(page: FeedPage) -> View:
    """Return a page of all tasks' events; `nextAfter` is what to ask with for the next one, also behind an empty one."""
    return {
        "success": True,
        "events": [feed_entry(entry) for entry in page.entries],
        "nextAfter": page.next_after,
    }


def session(record: SessionRecord) -> View:
    """Return what a session remembers, with a page of its turns."""
    return {
        "sessionId": record.session_id,
        "conversation": [
            {"number": turn.number, "role": turn.role, "content": turn.content, "taskId": turn.task_id}
            for turn in record.conversation
        ],
        "nextBefore": record.next_before,
        "variables": list(record.variables),
        "tasks": record.tasks,
        "createdAt": iso(record.created_at),
        "updatedAt": iso(record.updated_at),
    }


def sessions(page: SessionPage) -> View:
    """Return a page of sessions, each with how its last question begins."""
    found = [
        {
            "sessionId": one.session_id,
            "tasks": one.tasks,
            "createdAt": iso(one.created_at),
            "updatedAt": iso(one.updated_at),
            "preview": one.preview,
        }
        for one in page.sessions
    ]
    return {"success": True, "count": len(found), "sessions": found, "nextCursor": page.next_cursor}


def statistics(report: StatisticsReport, workers: WorkersReport) -> View:
    """Return the last hour by minutes, oldest first."""
    points = [
        {
            "at": iso(point.at),
            "accepted": point.accepted,
            "completed": point.completed,
            "failed": point.failed,
            "cancelled": point.cancelled,
            "p50Ms": point.p50_ms,
            "p95Ms": point.p95_ms,
            "p99Ms": point.p99_ms,
            "p50ElapsedMs": point.p50_elapsed_ms,
            "p95ElapsedMs": point.p95_elapsed_ms,
            "p99ElapsedMs": point.p99_elapsed_ms,
            "queued": point.queued,
            "running": point.running,
        }
        for point in report.points
    ]
    return {"success": True, "stepS": report.step_s, "points": points, **_workers(workers)}


def delivery(record: WebhookDelivery) -> View:
    """Return a webhook's delivery; `statusCode` and `error` are of its last attempt."""
    return {
        "deliveryId": record.delivery_id,
        "taskId": record.task_id,
        "url": record.url,
        "type": record.topic,
        "state": record.state,
        "attempts": record.attempts,
        "statusCode": record.status_code,
        "error": record.error,
        "createdAt": iso(record.created_at),
        "nextAt": iso(record.next_at),
        "expiresAt": iso(record.expires_at),
        "endedAt": iso(record.ended_at),
    }


def deliveries(page: DeliveryPage) -> View:
    """Return a page of deliveries."""
    found = [delivery(record) for record in page.deliveries]
    return {"success": True, "count": len(found), "deliveries": found, "nextCursor": page.next_cursor}


def skill(found: AnySkill, *, approval: bool, usage: Usage) -> View:
    """Return a skill; `stub` is its declaration in Python, `schema` the JSON Schema of its arguments."""
    return {
        "name": found.name,
        "description": found.description,
        "version": found.version,
        "kind": found.kind,
        "origin": found.origin,
        "stub": found.stub,
        "schema": dict(found.schema),
        "replay": found.replay,
        "permissions": list(found.permissions),
        "approval": approval,
        "calls": usage.skill_calls,
        "failures": usage.failures,
    }


def short_skill(whole: View) -> View:
    """Return a skill as lists show it: of what is long the beginning, of a long schema nothing, with what is true of each."""
    long = {name for name in ("description", "stub", "schema") if is_long(whole[name])}
    cut_off = {name: {} if name == "schema" else cut(whole[name], SHOWN_CHARS) for name in long}
    return {**whole, **cut_off, **{f"{name}Truncated": name in long for name in ("description", "stub", "schema")}}


def agent(found: AgentDefinition, *, max_rounds: int, usage: Usage) -> View:
    """Return an agent; `skills` null: all there are, `model` null: the server's own; `max_rounds` is the server's own."""
    return {
        "name": found.name,
        "description": found.description,
        "skills": None if found.skills is None else list(found.skills),
        "model": found.model,
        "budget": None if found.budget is None else _budget(found.budget),
        "origin": found.origin,
        "maxRounds": found.max_rounds or max_rounds,
        "tasks": usage.tasks,
        "failures": usage.failures,
    }


def _workers(report: WorkersReport) -> View:
    processes = [{"pid": one.pid, "ready": one.ready, "tasks": one.tasks} for one in report.processes]
    return {"workers": processes, "workerDeaths": report.deaths}


def health(report: HealthReport, *, version: str, uptime_s: float) -> View:
    """Return the health report; the averages are over the tasks that completed or failed."""
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
            "averageElapsedTime": round(totals.elapsed_ms / worked, 3) if worked else 0,
            "cancelledTasks": totals.cancelled,
            "liveTasks": totals.live,
        },
        "problems": excerpt(report.problems),
        "warnings": excerpt(report.warnings),
        **_workers(report.workers),
    }
