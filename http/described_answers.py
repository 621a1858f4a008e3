"""The answers of the OpenAPI document: statuses, headers and media types. Pure functions; imported by http/openapi.py only."""

from typing import Any

from callboard.http.codec import JSON, MSGPACK_TYPES
from callboard.http.described_schemas import REF
from callboard.http.errors import SERVER_STATUSES, STATUSES
from callboard.http.operations import Operation
from callboard.http.schemas.base import Problem
from callboard.http.sse import EVENT_STREAM

_HEADERS = {
    "X-Request-Id": ("The name of the request in the server's log.", "string"),
    "X-RateLimit-Limit": ("Requests a window.", "integer"),
    "X-RateLimit-Remaining": ("Requests left in the window.", "integer"),
    "X-RateLimit-Reset": ("When the window has room again: unix time in seconds.", "integer"),
    "RateLimit": ('The same as the IETF\'s draft has it: `"default";r=99;t=60`.', "string"),
    "RateLimit-Policy": ('The limit as the IETF\'s draft has it: `"default";q=100;w=60`.', "string"),
    "Retry-After": ("Seconds to wait; of 200: the request was to be held, and there was no place.", "integer"),
    "Allow": ("The methods that the path takes.", "string"),
    "Accept": ("What can be read, where the type of the body was none of it.", "string"),
    "Accept-Encoding": ("`identity`, where the body was encoded.", "string"),
    "WWW-Authenticate": ("The scheme of `Authorization`: `Bearer`.", "string"),
    "Location": ("Where the page is.", "string"),
    "Vary": ("The headers of the request that the answer depends on.", "string"),
    "Preference-Applied": (
        "`wait=SECONDS`: that the wish to be held was granted, and how long it would have been at most.",
        "string",
    ),
    "Idempotent-Replayed": ("`true`: the key was used before, and this is what it was answered with.", "string"),
    "X-Accel-Buffering": ("`no`, of a stream: proxies are to pass every entry on at once.", "string"),
}
_EVERY = ("X-Request-Id",)
_LIMITED = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit", "RateLimit-Policy")
_OF_STATUS = {
    400: ("Idempotent-Replayed",),
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    415: ("Accept", "Accept-Encoding", "Idempotent-Replayed"),
    429: ("Retry-After",),
    503: ("Retry-After",),
    507: ("Retry-After",),
}
_BY_SERVER = frozenset(SERVER_STATUSES) - {404}
"""What waitress and Falcon may refuse anything with; a path that leads nowhere is none of an operation's."""

_KEYED = frozenset({401, 403, 429, 503})
_SEVERAL = {400: "Invalid request", 403: "Forbidden", 409: "Conflict", 415: "Unsupported media type"}
"""Statuses of more than one kind of error."""


def headers() -> dict[str, Any]:
    return {name: {"description": text, "schema": {"type": kind}} for name, (text, kind) in _HEADERS.items()}


def refusals() -> dict[str, Any]:
    """Return the answers that are errors, by status, one for all operations."""
    by_server = {status: title for status, (title, _code) in SERVER_STATUSES.items()}
    titles = {**by_server, **dict(STATUSES.values()), **_SEVERAL}
    return {
        str(status): {
            "description": title,
            "headers": _refer(*_EVERY, *_LIMITED, *_OF_STATUS.get(status, ())),
            "content": content(Problem.__name__, JSON, *MSGPACK_TYPES),
        }
        for status, title in sorted(titles.items())
    }


def answers(operation: Operation) -> dict[str, Any]:
    """Return all that an operation can be answered with, by status."""
    found: dict[str, Any] = {"200": _reply(operation)}
    if operation.nothing_left:
        found["204"] = {"description": operation.nothing_left, "headers": _refer(*_every(operation))}
    if operation.elsewhere:
        found["302"] = {"description": operation.elsewhere, "headers": _refer(*_every(operation), "Location", "Vary")}
    if operation.busy_reply:
        found["503"] = _busy(operation)
    for status in sorted(_statuses(operation)):
        found.setdefault(str(status), {"$ref": f"#/components/responses/{status}"})
    return found


def _busy(operation: Operation) -> dict[str, Any]:
    """Return what an answer of 503 looks like that says what 200 says, or that the server has too much to do."""
    kinds = [
        content(model, JSON)[JSON]["schema"]
        for model in (operation.reply.__name__ if operation.reply else "", Problem.__name__)
    ]
    return {
        "description": "Not now; the body says why.",
        "headers": _refer(*_every(operation), "Retry-After"),
        "content": {media_type: {"schema": {"anyOf": kinds}} for media_type in (JSON, *MSGPACK_TYPES)},
    }


def content(model: str, *media_types: str) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": REF.format(model=model)}} for media_type in media_types}


def _statuses(operation: Operation) -> set[int]:
    found = {*_BY_SERVER, *operation.refusals, *(() if operation.public else _KEYED)}
    if not operation.path.startswith("/health"):
        found.add(421)
    if not operation.one_type:
        found.add(406)
    if operation.takes_body:
        found.add(415)
    return found


def _every(operation: Operation) -> tuple[str, ...]:
    return _EVERY if operation.public else (*_EVERY, *_LIMITED)


def _reply(operation: Operation) -> dict[str, Any]:
    if operation.reply is None:
        found: dict[str, Any] = {JSON: {"schema": {"type": "object", "additionalProperties": True}}}
    else:
        found = content(operation.reply.__name__, JSON, *MSGPACK_TYPES)
    if operation.stream:
        found[EVENT_STREAM] = {"schema": {"type": "string", "description": operation.stream}}
    reply: dict[str, Any] = {
        "description": operation.summary,
        "headers": _refer(*_every(operation), *operation.headers),
        "content": found,
    }
    if operation.links:
        reply["links"] = {name: _link(*link) for name, link in operation.links.items()}
    return reply


def _link(operation: str, parameters: Any) -> dict[str, Any]:
    return {
        "operationId": operation,
        "parameters": {name: f"$response.body#{place}" for name, place in parameters.items()},
    }


def _refer(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
