"""Every operation of the API as data: what http/openapi.py makes the document of.

A new route gets an entry here; a test compares this table with the routes of http/app.py. Imported by
http/openapi.py only.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from callboard.deliveries import DeliveryState
from callboard.http import schemas
from callboard.http.decision import DecisionSpec
from callboard.http.query import TASK_ID_PATTERN
from callboard.http.results import DEFAULT_LIMIT, MAX_LIMIT
from callboard.http.tasks import MAX_EVENTS
from callboard.messages import IDEMPOTENCY_KEY_PATTERN, Status
from callboard.task_spec import SESSION_ID_PATTERN, TaskSpec
from callboard.values import INT64_MAX

Parameter = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path. `refusals` are the error statuses beyond those every operation can have."""

    method: str
    path: str
    name: str
    tag: str
    summary: str
    reply: type[BaseModel] | None
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: type[BaseModel] | None = None
    refusals: tuple[int, ...] = ()
    public: bool = False
    busy_reply: bool = False
    """Whether 503 has the shape of `reply` and not of an error."""


def _parameter(place: str, name: str, description: str, schema: dict[str, Any]) -> Parameter:
    return {"name": name, "in": place, "required": place == "path", "description": description, "schema": schema}


_TASK = _parameter("path", "taskId", "The task's id.", {"type": "string"})
_SESSION = _parameter("path", "sessionId", "The session's id.", {"type": "string"})
_SKILL = _parameter("path", "name", "The skill's name, such as `summarize`.", {"type": "string"})
_DELIVERY = _parameter("path", "deliveryId", "The delivery's id.", {"type": "string"})
_PREFER = _parameter(
    "header",
    "Prefer",
    "`wait=SECONDS` (RFC 7240) holds the answer until the task has ended, at most that long; `Preference-Applied` in "
    "the answer says that it was, and for how long it would have been.",
    {"type": "string", "examples": ["wait=20"]},
)
_IDEMPOTENCY_KEY = _parameter(
    "header",
    "Idempotency-Key",
    "1 to 255 printable ASCII characters, best a fresh UUID, remembered for a day or longer: the same request with the "
    "same key is answered as the first time, with `Idempotent-Replayed: true`; another body with it is 422.",
    {"type": "string", "pattern": IDEMPOTENCY_KEY_PATTERN, "maxLength": 255},
)
_PAGE = (
    _parameter(
        "query",
        "limit",
        "How many at most.",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    ),
    _parameter("query", "cursor", "The `nextCursor` of the page before.", {"type": "string"}),
)
_LIST = (
    _parameter("query", "taskId", "One task; stands alone.", {"type": "string"}),
    _parameter("query", "sessionId", "Only this session's.", {"type": "string", "pattern": SESSION_ID_PATTERN}),
    _parameter("query", "status", "Only those that stand so.", {"type": "string", "enum": [str(s) for s in Status]}),
    _parameter(
        "query",
        "parentId",
        "Only those that this task has delegated itself.",
        {"type": "string", "pattern": TASK_ID_PATTERN},
    ),
    *_PAGE,
)
_DELIVERIES = (
    _parameter("query", "taskId", "Only this task's.", {"type": "string"}),
    _parameter(
        "query", "state", "Only those that stand so.", {"type": "string", "enum": [str(s) for s in DeliveryState]}
    ),
    *_PAGE,
)
_EVENTS = (
    _TASK,
    _parameter(
        "query",
        "after",
        "Only events with a higher number.",
        {"type": "integer", "minimum": 0, "maximum": INT64_MAX, "default": 0},
    ),
    _parameter(
        "query",
        "limit",
        "How many at most.",
        {"type": "integer", "minimum": 1, "maximum": MAX_EVENTS, "default": MAX_EVENTS},
    ),
    _parameter(
        "query",
        "wait",
        "Seconds to hold the answer while there is nothing to tell and the task goes on.",
        {"type": "number", "minimum": 0, "default": 0},
    ),
)

OPERATIONS = (
    Operation(
        method="post",
        path="/agent/execute",
        name="executeTask",
        tag="Tasks",
        summary="Submit a task",
        description=(
            "Answers once the task is committed: it will end, even if the server is killed in the next instant. "
            "With `Prefer: wait=N` the answer is the result instead, if the task ends in time."
        ),
        parameters=(_PREFER, _IDEMPOTENCY_KEY),
        body=TaskSpec,
        reply=schemas.ExecuteReply,
        refusals=(400, 413, 415, 422, 507),
    ),
    Operation(
        method="get",
        path="/agent/results",
        name="listResults",
        tag="Tasks",
        summary="One result, or the history",
        description="With `taskId` one result; without it a page of the history, newest first.",
        parameters=_LIST,
        reply=schemas.ResultsReply,
        refusals=(400, 404),
    ),
    Operation(
        method="get",
        path="/agent/tasks/{taskId}",
        name="getTask",
        tag="Tasks",
        summary="All that is known of a task",
        parameters=(_TASK,),
        reply=schemas.TaskReport,
        refusals=(400, 404),
    ),
    Operation(
        method="get",
        path="/agent/tasks/{taskId}/events",
        name="listEvents",
        tag="Tasks",
        summary="A task's log",
        description="Numbers have no gap, so asking with the `nextAfter` of the last answer misses and repeats nothing.",
        parameters=_EVENTS,
        reply=schemas.EventPage,
        refusals=(400, 404),
    ),
    Operation(
        method="post",
        path="/agent/tasks/{taskId}/cancel",
        name="cancelTask",
        tag="Tasks",
        summary="Cancel a task",
        description="Cancelling again, or a task that has ended, answers what is true of it.",
        parameters=(_TASK,),
        reply=schemas.CancelReply,
        refusals=(400, 404, 413, 415, 507),
    ),
    Operation(
        method="post",
        path="/agent/tasks/{taskId}/decide",
        name="decideTask",
        tag="Tasks",
        summary="Decide about the call that a paused task waits with",
        description=(
            "The server died during a call that must not be repeated unasked, or the call needs a person's approval; "
            "`pause` of the task says which, and what can be decided."
        ),
        parameters=(_TASK,),
        body=DecisionSpec,
        reply=schemas.DecideReply,
        refusals=(400, 404, 409, 413, 415, 507),
    ),
    Operation(
        method="get",
        path="/agent/dead-letters",
        name="listDeadLetters",
        tag="Dead letters",
        summary="Tasks under which the server died again and again",
        parameters=_PAGE,
        reply=schemas.DeadLetterPage,
        refusals=(400,),
    ),
    Operation(
        method="post",
        path="/agent/dead-letters/{taskId}/redrive",
        name="redriveTask",
        tag="Dead letters",
        summary="Give a dead letter one more chance",
        description=(
            "A new task goes on with what the dead one has left: calls that were done are not made again. Redriving "
            "again answers the task of the first time."
        ),
        parameters=(_TASK,),
        reply=schemas.TaskAccepted,
        refusals=(400, 404, 413, 415, 507),
    ),
    Operation(
        method="get",
        path="/agent/sessions/{sessionId}",
        name="getSession",
        tag="Sessions",
        summary="What a session remembers",
        parameters=(_SESSION,),
        reply=schemas.SessionReply,
        refusals=(400, 404),
    ),
    Operation(
        method="delete",
        path="/agent/sessions/{sessionId}",
        name="deleteSession",
        tag="Sessions",
        summary="Forget a session",
        description="Its conversation and variables are deleted; its tasks stay in the history.",
        parameters=(_SESSION,),
        reply=schemas.SessionDeleted,
        refusals=(400, 404, 409, 507),
    ),
    Operation(
        method="get",
        path="/agent/deliveries",
        name="listDeliveries",
        tag="Webhooks",
        summary="What webhooks have told and are to tell",
        description="Newest first.",
        parameters=_DELIVERIES,
        reply=schemas.DeliveryList,
        refusals=(400, 404),
    ),
    Operation(
        method="get",
        path="/agent/deliveries/{deliveryId}",
        name="getDelivery",
        tag="Webhooks",
        summary="One delivery",
        parameters=(_DELIVERY,),
        reply=schemas.DeliveryReply,
        refusals=(400, 404),
    ),
    Operation(
        method="post",
        path="/agent/deliveries/{deliveryId}/redrive",
        name="redriveDelivery",
        tag="Webhooks",
        summary="Send a delivery again",
        description="Now, and for another day, whatever has become of it; also one that was delivered.",
        parameters=(_DELIVERY,),
        reply=schemas.DeliveryReply,
        refusals=(400, 404, 413, 415, 507),
    ),
    Operation(
        method="get",
        path="/agent/skills",
        name="listSkills",
        tag="Catalogue",
        summary="The skills that tasks can call",
        reply=schemas.SkillList,
        refusals=(400,),
    ),
    Operation(
        method="get",
        path="/agent/skills/{name}",
        name="getSkill",
        tag="Catalogue",
        summary="One skill",
        parameters=(_SKILL,),
        reply=schemas.SkillReply,
        refusals=(400, 404),
    ),
    Operation(
        method="get",
        path="/agent/agents",
        name="listAgents",
        tag="Catalogue",
        summary="The agents that tasks can be addressed to",
        reply=schemas.AgentList,
        refusals=(400,),
    ),
    Operation(
        method="get",
        path="/health",
        name="getHealth",
        tag="Health",
        summary="How the server is",
        description="200 for `healthy` and `degraded`, 503 for `unhealthy`, with the same body.",
        reply=schemas.Health,
        public=True,
        busy_reply=True,
    ),
    Operation(
        method="get",
        path="/health/live",
        name="getLiveness",
        tag="Health",
        summary="Whether the process answers",
        reply=schemas.Liveness,
        public=True,
    ),
    Operation(
        method="get",
        path="/health/ready",
        name="getReadiness",
        tag="Health",
        summary="Whether to send it work",
        description="503 while it drains or is unhealthy.",
        reply=schemas.Readiness,
        public=True,
        busy_reply=True,
    ),
    Operation(
        method="get",
        path="/",
        name="getIndex",
        tag="About",
        summary="Name, version, links",
        reply=schemas.Index,
        public=True,
    ),
    Operation(
        method="get",
        path="/openapi.json",
        name="getOpenApi",
        tag="About",
        summary="This document",
        reply=None,
        public=True,
    ),
)
"""What is on the wire, but for /docs, which is for people."""
