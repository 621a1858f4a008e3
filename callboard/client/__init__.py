"""The Python client: `Client`, what its hook is told, and the errors it raises; the values it returns are in `models.py`.

`Client` is loaded when it is first asked for: with it come the HTTP libraries, which whoever only catches its errors
does not need.
"""

from typing import TYPE_CHECKING, Any

from callboard.client.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NoServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    TaskFailedError,
    UnavailableError,
    WaitTimeout,
)

if TYPE_CHECKING:
    from callboard.client.client import Client
    from callboard.client.transport import ConnectionChange

__all__ = [
    "ApiError",
    "AuthenticationError",
    "Client",
    "ConflictError",
    "ConnectionChange",
    "InvalidRequestError",
    "NoServerError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitedError",
    "TaskFailedError",
    "UnavailableError",
    "WaitTimeout",
]


def __getattr__(name: str) -> Any:
    """Load `Client`, and what its `on_connection` is told, when they are first asked for."""
    if name not in ("Client", "ConnectionChange"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from callboard.client import client

    return getattr(client, name)
