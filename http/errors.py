"""The one table from errors to HTTP statuses, and the shape in which every error is answered.

Errors of the whole project stand in callboard/errors.py; those that only HTTP can raise stand here.
Pure functions, any thread; imported within `http/` only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from callboard.errors import (
    CallboardError,
    DecisionOutdated,
    DelegationRefused,
    IdempotencyConflict,
    InvalidRequest,
    NotFound,
    SessionBusy,
    StorageFull,
    TaskNotEnded,
    TaskNotPaused,
    Unavailable,
)


class MalformedBody(InvalidRequest):
    """The body is not what its Content-Type says."""

    code = "malformed_body"


class HttpRefusal(CallboardError):
    """A request refused before it reached an actor."""


class ApiKeyRequired(HttpRefusal):
    """The server has API keys and the request none."""

    code = "api_key_required"


class ApiKeyInvalid(HttpRefusal):
    """The request's API key is not one of the server's."""

    code = "api_key_invalid"


class CrossOrigin(HttpRefusal):
    """A web page of another origin would change something."""

    code = "cross_origin"


class HostNotAllowed(HttpRefusal):
    """The request asks for a name that a server without keys does not answer to."""

    code = "host_not_allowed"


class NotAcceptable(HttpRefusal):
    """No media type that the client accepts can be sent."""

    code = "not_acceptable"


class BodyTooLarge(HttpRefusal):
    """The body is over the server's limit."""

    code = "body_too_large"


class UnsupportedMediaType(HttpRefusal):
    """The body's Content-Type is missing or cannot be read."""

    code = "unsupported_media_type"


class UnsupportedContentEncoding(HttpRefusal):
    """The body is compressed, or encoded in another way."""

    code = "unsupported_content_encoding"


class ConsoleOff(HttpRefusal):
    """The console was asked for, and the setting does not have it served."""

    code = "route_not_found"


class RateLimited(HttpRefusal):
    """The caller has used up its requests for now."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyStreams(Unavailable):
    """As many streams are open as the server holds."""

    code = "too_many_streams"
    retry_after_s = 2


STATUSES: Mapping[type[CallboardError], tuple[int, str]] = {
    InvalidRequest: (400, "Invalid request"),
    MalformedBody: (400, "Malformed body"),
    ApiKeyRequired: (401, "API key required"),
    ApiKeyInvalid: (403, "Invalid API key"),
    CrossOrigin: (403, "Cross-origin request"),
    NotFound: (404, "Not found"),
    ConsoleOff: (404, "Not found"),
    NotAcceptable: (406, "Not acceptable"),
    SessionBusy: (409, "Session busy"),
    TaskNotPaused: (409, "Task not paused"),
    DecisionOutdated: (409, "Decision outdated"),
    TaskNotEnded: (409, "Task not ended"),
    DelegationRefused: (409, "Delegation refused"),
    BodyTooLarge: (413, "Body too large"),
    UnsupportedMediaType: (415, "Unsupported media type"),
    UnsupportedContentEncoding: (415, "Unsupported content encoding"),
    HostNotAllowed: (421, "Host not allowed"),
    IdempotencyConflict: (422, "Idempotency conflict"),
    RateLimited: (429, "Too many requests"),
    Unavailable: (503, "Service unavailable"),
    StorageFull: (507, "Insufficient storage"),
    CallboardError: (500, "Internal server error"),
}
"""Status and title of each error; a class that is not here has its nearest parent's."""

_HEADERS: Mapping[type[CallboardError], Mapping[str, str]] = {
    ApiKeyRequired: {"WWW-Authenticate": 'Bearer realm="callboard"'},
    UnsupportedMediaType: {"Accept": "application/json, application/msgpack"},
    UnsupportedContentEncoding: {"Accept-Encoding": "identity"},
}
"""What RFC 9110 has a refusal say in a header (11.6.1, 15.5.16), beside `Retry-After`. 405 has its `Allow` from Falcon."""

SERVER_STATUSES: Mapping[int, tuple[str, str]] = {
    400: ("Malformed request", "malformed_request"),
    404: ("Not found", "route_not_found"),
    405: ("Method not allowed", "method_not_allowed"),
    408: ("Request timeout", "request_timeout"),
    413: ("Body too large", "body_too_large"),
    414: ("URI too long", "uri_too_long"),
    417: ("Expectation failed", "expectation_failed"),
    431: ("Headers too large", "headers_too_large"),
    500: ("Internal server error", "internal_error"),
    501: ("Not implemented", "not_implemented"),
    503: ("Service unavailable", "too_much_unfinished"),
    505: ("HTTP version not supported", "http_version_not_supported"),
}
"""Title and code of what Falcon and the parser refuse by themselves, by status."""


_REASONS: Mapping[int, str] = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}
"""The reasons that RFC 9110 has renamed, and Python's and Falcon's tables have not in every version."""


def reason_of(status: int) -> str:
    """Return what RFC 9110 calls a status."""
    return _REASONS.get(status) or HTTPStatus(status).phrase


def status_line(status: int) -> str:
    """Return a status with its reason, as Falcon and waitress take them."""
    return f"{status} {reason_of(status)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error ready to be sent."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def problem_of(error: CallboardError, request_id: str) -> Problem:
    """Return the documented answer to an error of the project."""
    kind = type(error)
    status, title = next(STATUSES[parent] for parent in kind.__mro__ if parent in STATUSES)
    body = body_of(title, error.message, error.code, request_id, error.details)
    headers = dict(_HEADERS.get(kind, {}))
    if isinstance(error, Unavailable | RateLimited):
        body["retryAfter"] = error.retry_after_s
        headers["Retry-After"] = str(error.retry_after_s)
    return Problem(status=status, body=body, headers=headers)


def body_of(
    title: str, message: str, code: str, request_id: str, details: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the one shape that every error body has."""
    body: dict[str, Any] = {"error": title, "message": message, "code": code}
    if details:
        body["details"] = dict(details)
    body["requestId"] = request_id
    return body
