"""The parameters of the operations in operations.py, as OpenAPI has them. Constants; imported by that module only."""

from typing import Any

from callboard import cursors
from callboard.http import places
from callboard.http.feed import TOPICS_PATTERN
from callboard.http.query import MOST_SECONDS, TASK_ID_PATTERN
from callboard.http.results import DEFAULT_LIMIT, MAX_LIMIT
from callboard.http.tasks import MAX_EVENTS
from callboard.messages.deliveries import DeliveryState
from callboard.messages.events import MOST_EVENTS, MOST_POSITION
from callboard.messages.tasks import IDEMPOTENCY_KEY_PATTERN, MOST_WORDS, Status
from callboard.task_spec import SESSION_ID_PATTERN
from callboard.values import INT64_MAX, TEXT_PATTERN

Parameter = dict[str, Any]

_WORDS = r"^[^\u0000]*[^\u0000\ufeff][^\u0000]*$"
"""What can be searched for: a byte-order mark alone is nothing."""


def _parameter(place: str, name: str, description: str, schema: dict[str, Any]) -> Parameter:
    return {"name": name, "in": place, "required": place == "path", "description": description, "schema": schema}


_TEXT = {"type": "string", "pattern": TEXT_PATTERN}
_ID = {"type": "string", "pattern": TASK_ID_PATTERN}
_SESSION = {"type": "string", "pattern": SESSION_ID_PATTERN}
_WAIT = {"type": "number", "minimum": 0, "maximum": MOST_SECONDS, "default": 0}

REQUEST_ID = _parameter(
    "header",
    "X-Request-Id",
    "1 to 128 letters, digits, dots, underscores and hyphens, taken over into the answer, the log and the task; anything "
    "else is passed over, and a fresh one made.",
    {"type": "string"},
)
TASK = _parameter("path", "taskId", "The task's id.", _ID)
SESSION = _parameter("path", "sessionId", "The session's id.", _SESSION)
SKILL = _parameter("path", "name", "The skill's name, such as `summarize`.", {"type": "string", "minLength": 1})
DELIVERY = _parameter("path", "deliveryId", "The delivery's id.", _ID)
PREFER = _parameter(
    "header",
    "Prefer",
    "`wait=SECONDS` (RFC 7240) holds the answer until the task has ended, at most that long; `Preference-Applied` in "
    "the answer says that it was, and for how long it would have been; `Retry-After` that there was no place for it.",
    {"type": "string", "examples": ["wait=20"]},
)
_PREFER_PAGE = _parameter(
    "header",
    "Prefer",
    "`wait=SECONDS` (RFC 7240): the same as `wait` in the query, which counts before it; not of a stream.",
    {"type": "string", "examples": ["wait=20"]},
)
IDEMPOTENCY_KEY = _parameter(
    "header",
    "Idempotency-Key",
    "1 to 255 printable ASCII characters, best a fresh UUID, remembered for a day or longer: the same request with the "
    "same key is answered as the first time, with `Idempotent-Replayed: true`; another body with it is 422.",
    {"type": "string", "pattern": IDEMPOTENCY_KEY_PATTERN, "maxLength": 255},
)


def _cursor(schema: dict[str, Any]) -> Parameter:
    return _parameter("query", "cursor", "The `nextCursor` of the page before.", schema)


_LIMIT = _parameter(
    "query",
    "limit",
    "How many at most.",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
)
_ID_CURSOR = _cursor({"type": "string", "pattern": cursors.PATTERN})
NAMES = (_ID_CURSOR,)
PAGE = (_LIMIT, _ID_CURSOR)
SESSIONS = (_LIMIT, _cursor({"type": "string", "pattern": cursors.SESSION_PATTERN}))
BEFORE = _parameter(
    "query",
    "before",
    "The `nextBefore` of the answer before: only turns with a lower `number`.",
    {"type": "integer", "minimum": 1, "maximum": INT64_MAX},
)


def _last_event_id(pattern: str) -> Parameter:
    what = "The `id` of the last entry of a stream that was read: go on behind it. Browsers send it by themselves. It counts before `after`."
    return _parameter("header", "Last-Event-ID", what, {"type": "string", "pattern": pattern})


LIST = (
    _parameter("query", "taskId", "One task; stands alone, but for the default `limit`.", _ID),
    _parameter("query", "sessionId", "Only this session's.", _SESSION),
    _parameter("query", "status", "Only those that stand so.", {"type": "string", "enum": [str(s) for s in Status]}),
    _parameter("query", "agent", "Only this agent's; `master` has those that name none.", _TEXT),
    _parameter(
        "query",
        "q",
        "Only those whose text or id holds these characters, in upper or lower case. A page looks at the newest 20,000 "
        "tasks, so it may hold fewer than `limit`, even none, and have a `nextCursor`.",
        {"type": "string", "minLength": 1, "maxLength": MOST_WORDS, "pattern": _WORDS},
    ),
    _parameter(
        "query",
        "parentId",
        "Only those that this task has delegated itself.",
        _ID,
    ),
    *PAGE,
)
DELIVERIES = (
    _parameter("query", "taskId", "Only this task's.", _ID),
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
        "Only events with a higher number; an `id` of the task's stream, such as `12.345`, will do. 0 when absent.",
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MOST_POSITION},
                {"type": "string", "pattern": places.FAMILY_PATTERN},
            ]
        },
    ),
    _parameter(
        "query",
        "limit",
        "How many at most; not of a stream.",
        {"type": "integer", "minimum": 1, "maximum": MAX_EVENTS, "default": MAX_EVENTS},
    ),
    _parameter(
        "query",
        "wait",
        "Seconds to hold the answer while there is nothing to tell and the task goes on; not of a stream.",
        _WAIT,
    ),
    _PREFER_PAGE,
    _last_event_id(places.PLACE_PATTERN),
)
FEED = (
    _parameter(
        "query",
        "after",
        "Only events with a higher position; 0 when absent. Of a stream: where it begins; when absent, with what happens "
        "from now on.",
        {"type": "integer", "minimum": 0, "maximum": MOST_POSITION},
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
        _WAIT,
    ),
    _parameter(
        "query",
        "topic",
        "Only these topics: names with commas between them, `*` at the end for all that begin so.",
        {"type": "string", "pattern": TOPICS_PATTERN, "examples": ["agent.task.*"]},
    ),
    _parameter("query", "taskId", "Only this task's.", _ID),
    _parameter("query", "sessionId", "Only this session's.", _SESSION),
    _parameter("query", "agent", "Only of tasks that this agent works on.", _TEXT),
    _PREFER_PAGE,
    _last_event_id(places.NUMBER_PATTERN),
)
