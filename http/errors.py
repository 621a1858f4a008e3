"""The one table from errors to HTTP statuses, and the shape in which every error is answered.

Errors of the whole project stand in callboard/errors.py; those that only HTTP can raise stand here.
Pure functions, any thread; imported within `http/` only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from callboard.errors import (
    CallboardError,
    DecisionOutdated,
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

SERVER_STATUSES: Mapping[int, tuple[str, str]] = {
    400: ("Malformed request", "malformed_request"),
    404: ("Not found", "route_not_found"),
    405: ("Method not allowed", "method_not_allowed"),
    413: ("Body too large", "body_too_large"),
    431: ("Headers too large", "headers_too_large"),
    500: ("Internal server error", "internal_error"),
    501: ("Not implemented", "not_implemented"),
}
"""Title and code of what Falcon and waitress refuse by themselves, by status."""


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
    if isinstance(error, UnsupportedContentEncoding):
        return Problem(status=status, body=body, headers={"Accept-Encoding": "identity"})  # as RFC 9110, 15.5.16 has it
    if not isinstance(error, Unavailable | RateLimited):
        return Problem(status=status, body=body)
    body["retryAfter"] = error.retry_after_s
    return Problem(status=status, body=body, headers={"Retry-After": str(error.retry_after_s)})


def body_of(
    title: str, message: str, code: str, request_id: str, details: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the one shape that every error body has."""
    body: dict[str, Any] = {"error": title, "message": message, "code": code}
    if details:
        body["details"] = dict(details)
    body["requestId"] = request_id
    return body
