"""A circuit breaker: an API that keeps failing is left alone for a while, and then tried by one call at a time.

Why our own: docs/dependencies.md. Any thread. Imported by `api_model.py`.
"""

import logging
import threading
import time
from collections.abc import Callable

from callboard.errors import TaskError

logger = logging.getLogger("callboard.models")

FAILURES = 5
"""Tries that fail one after the other, in whichever tasks, until the circuit opens."""

OPEN_S = 30.0
"""How long it stays open, in seconds; then one call is let through, and its try closes or opens it again."""


class Breaker:
    """Counts an API's failures; `name` is the provider's."""

    def __init__(
        self,
        name: str,
        *,
        failures: int = FAILURES,
        open_s: float = OPEN_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._most = failures
        self._open_s = open_s
        self._now = now
        # Guards all below: worker threads change it, the health monitor reads it. An actor can't: a worker would have
        # to ask it before each try.
        self._lock = threading.Lock()
        self._failures = 0
        self._until_s: float | None = None  # None: closed
        self._trying = False
        self._last = ""
        self._rejected = ""

    def enter(self) -> None:
        """Let a try begin, which must be followed by `succeeded`, `failed` or `left`. Raises `model_unavailable`."""
        with self._lock:
            if self._until_s is None:
                return
            if self._trying or self._now() < self._until_s:
                raise self._open_error()
            self._trying = True

    def succeeded(self) -> None:
        """Close the circuit."""
        with self._lock:
            if self._until_s is not None:
                logger.warning("the model's provider %s answers again", self._name)
            self._failures, self._until_s, self._trying, self._rejected = 0, None, False, ""

    def failed(self, why: str) -> None:
        """Count a failure of the API."""
        with self._lock:
            self._failures += 1
            self._last = why
            if self._failures < self._most and not self._trying:
                return
            if self._until_s is None:
                logger.warning("the model's provider %s has failed %d times in a row: %s", self._name, self._most, why)
            self._until_s = self._now() + self._open_s
            self._trying = False

    def left(self, *, rejected: str = "") -> None:
        """Take note of a try that says nothing about the API; `rejected` is why it will refuse every call."""
        with self._lock:
            self._trying = False
            if rejected and not self._rejected:
                logger.warning("the model's provider %s %s", self._name, rejected)
            self._rejected = rejected or self._rejected

    def check(self) -> None:
        """Raise why there is no use in calling now: the circuit is open, or the key was refused."""
        with self._lock:
            if self._until_s is not None and self._now() < self._until_s:
                raise self._open_error()
            if self._rejected:
                raise TaskError("model_rejected", f"The model's provider {self._name} {self._rejected}")

    def _open_error(self) -> TaskError:
        left_s = max(0.0, (self._until_s or 0) - self._now())
        when = f"for {left_s:.0f} s more" if left_s else "while one call tries it"
        return TaskError(
            "model_unavailable",
            f"The model's provider {self._name} has failed {self._failures} times in a row and is left alone {when}; "
            f"the last time it {self._last}",
            retryable=True,
        )
