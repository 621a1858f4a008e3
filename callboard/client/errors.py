"""What `callboard.client` raises, as one branch of the tree in `callboard.errors`.

    CallboardError
    ├── ApiError                      the server refused the request; status, code, message, request_id, details
    │   ├── InvalidRequestError       400, 413, 415, 422: the request has to be changed
    │   ├── AuthenticationError       401: the server asks for an API key
    │   ├── PermissionDeniedError     403: the key is not one of the server's
    │   ├── NotFoundError             404
    │   ├── ConflictError             409: it cannot be done as things stand
    │   ├── RateLimitedError          429; retry_after_s
    │   └── UnavailableError          502, 503, 504, 507; retry_after_s
    ├── NoServerError                 nothing answers, or what answers is no Callboard
    ├── WaitTimeout                   the task had not ended when `wait_s` was over; it goes on
    └── TaskFailedError               raised by `Result.raise_for_failure()`

Light to import: no HTTP library. Imported by the client and by whoever catches its errors; any thread.
"""

from collections.abc import Mapping
from typing import Any

from callboard.errors import CallboardError


class ApiError(CallboardError):
    """An error that the server answered with; `code` is stable, `request_id` is how its log names the request."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        request_id: str | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, details=details)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class InvalidRequestError(ApiError):
    """The request cannot be carried out as it is."""


class AuthenticationError(ApiError):
    """The server asks for an API key and got none."""


class PermissionDeniedError(ApiError):
    """The API key is not one of the server's."""


class NotFoundError(ApiError):
    """Nothing has that id or name."""


class ConflictError(ApiError):
    """It cannot be done as things stand: a session is busy, a task is not paused or has not ended."""


class RateLimitedError(ApiError):
    """The caller has used up its requests; there is room again after `retry_after_s`."""


class UnavailableError(ApiError):
    """The server cannot do it now; try again after `retry_after_s`, where it says that."""


class NoServerError(CallboardError):
    """No Callboard answers at the address."""

    code = "no_server"


class WaitTimeout(CallboardError):
    """The task `task_id` had not ended when the time to wait was over; it goes on."""

    code = "wait_timeout"

    def __init__(self, message: str, *, task_id: str) -> None:
        super().__init__(message)
        self.task_id = task_id


class TaskFailedError(CallboardError):
    """A task that failed or was cancelled; `code` is its errorCode, `status` how it ended."""

    def __init__(self, message: str, *, task_id: str, status: str, code: str) -> None:
        super().__init__(message)
        self.task_id = task_id
        self.status = status
        self.code = code


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitedError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
    507: UnavailableError,
}


def api_error(status: int, body: Mapping[str, Any], retry_after_s: float | None) -> ApiError:
    """Return the error for a refusal in the one shape that all have (docs/api.md, Error Handling)."""
    return _BY_STATUS.get(status, ApiError)(
        str(body.get("message", f"The server answered with the status {status}.")),
        status=status,
        code=str(body.get("code", "internal_error")),
        request_id=body.get("requestId"),
        details=body.get("details"),
        retry_after_s=retry_after_s,
    )
