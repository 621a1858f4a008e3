"""The parameters of the operations in operations.py, as OpenAPI has them. Constants; imported by that module only."""

from typing import Any

from callboard.deliveries import DeliveryState
from callboard.feeds import MOST_EVENTS
from callboard.http.feed import TOPICS_PATTERN
from callboard.http.query import TASK_ID_PATTERN
from callboard.http.results import DEFAULT_LIMIT, MAX_LIMIT
from callboard.http.tasks import MAX_EVENTS
from callboard.messages import IDEMPOTENCY_KEY_PATTERN, Status
from callboard.questions import MOST_WORDS
from callboard.task_spec import SESSION_ID_PATTERN
from callboard.values import INT64_MAX

Parameter = dict[str, Any]


def _parameter(place: str, name: str, description: str, schema: dict[str, Any]) -> Parameter:
    return {"name": name, "in": place, "required": place == "path", "description": description, "schema": schema}


TASK = _parameter("path", "taskId", "The task's id.", {"type": "string"})
SESSION = _parameter("path", "sessionId", "The session's id.", {"type": "string"})
SKILL = _parameter("path", "name", "The skill's name, such as `summarize`.", {"type": "string"})
DELIVERY = _parameter("path", "deliveryId", "The delivery's id.", {"type": "string"})
PREFER = _parameter(
    "header",
    "Prefer",
    "`wait=SECONDS` (RFC 7240) holds the answer until the task has ended, at most that long; `Preference-Applied` in "
    "the answer says that it was, and for how long it would have been.",
    {"type": "string", "examples": ["wait=20"]},
)
IDEMPOTENCY_KEY = _parameter(
    "header",
    "Idempotency-Key",
    "1 to 255 printable ASCII characters, best a fresh UUID, remembered for a day or longer: the same request with the "
    "same key is answered as the first time, with `Idempotent-Replayed: true`; another body with it is 422.",
    {"type": "string", "pattern": IDEMPOTENCY_KEY_PATTERN, "maxLength": 255},
)
CURSOR = _parameter("query", "cursor", "The `nextCursor` of the page before.", {"type": "string"})
PAGE = (
    _parameter(
        "query",
        "limit",
        "How many at most.",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    ),
    CURSOR,
)
BEFORE = _parameter(
    "query",
    "before",
    "The `nextBefore` of the answer before: only turns with a lower `number`.",
    {"type": "integer", "minimum": 1, "maximum": INT64_MAX},
)
LAST_EVENT_ID = _parameter(
    "header",
    "Last-Event-ID",
    "Of a stream: resume behind the entry with this `id`; browsers send it by themselves. It counts before `after`.",
    {"type": "string"},
)
LIST = (
    _parameter("query", "taskId", "One task; stands alone.", {"type": "string"}),
    _parameter("query", "sessionId", "Only this session's.", {"type": "string", "pattern": SESSION_ID_PATTERN}),
    _parameter("query", "status", "Only those that stand so.", {"type": "string", "enum": [str(s) for s in Status]}),
    _parameter("query", "agent", "Only this agent's; `master` has those that name none.", {"type": "string"}),
    _parameter(
        "query",
        "q",
        "Only those whose text or id holds these characters, in upper or lower case. A page looks at the newest 20,000 "
        "tasks, so it may hold fewer than `limit`, even none, and have a `nextCursor`.",
        {"type": "string", "minLength": 1, "maxLength": MOST_WORDS},
    ),
    _parameter(
        "query",
        "parentId",
        "Only those that this task has delegated itself.",
        {"type": "string", "pattern": TASK_ID_PATTERN},
    ),
    *PAGE,
)
DELIVERIES = (
    _parameter("query", "taskId", "Only this task's.", {"type": "string"}),
    _parameter(
        "query", "state", "Only those that stand so.", {"type": "string", "enum": [str(s) for s in DeliveryState]}
    ),
    *PAGE,
)
EVENTS = (
    TASK,
    _parameter(
        "query",
        "after",
        "Only events with a higher number. Of a stream: resume behind this `id`, such as `12` or `12.345`.",
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
    LAST_EVENT_ID,
)
FEED = (
    _parameter(
        "query",
        "after",
        "Only events with a higher position. Of a stream: where it begins; without it, with what happens from now on.",
        {"type": "integer", "minimum": 0, "maximum": INT64_MAX, "default": 0},
    ),
    _parameter(
        "query",
        "limit",
        "How many at most; not of a stream.",
        {"type": "integer", "minimum": 1, "maximum": MOST_EVENTS, "default": MOST_EVENTS},
    ),
    _parameter(
        "query",
        "wait",
        "Seconds to hold the answer while there is nothing to tell; not of a stream.",
        {"type": "number", "minimum": 0, "default": 0},
    ),
    _parameter(
        "query",
        "topic",
        "Only these topics: names with commas between them, `*` at the end for all that begin so.",
        {"type": "string", "pattern": TOPICS_PATTERN, "examples": ["agent.task.*"]},
    ),
    _parameter("query", "taskId", "Only this task's.", {"type": "string", "pattern": TASK_ID_PATTERN}),
    _parameter("query", "sessionId", "Only this session's.", {"type": "string", "pattern": SESSION_ID_PATTERN}),
    _parameter("query", "agent", "Only of tasks that this agent works on.", {"type": "string"}),
    LAST_EVENT_ID,
)
