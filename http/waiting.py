"""Requests that are held: `Prefer: wait=N` (RFC 7240) and `?wait=N`.

Each held request keeps a waitress thread. In the request's own thread; imported within `http/` only.
"""

import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from callboard.http.request import Request

if TYPE_CHECKING:
    from callboard.system import AgentSystem

SLICE_S = 1.0
_WAIT = re.compile(r'\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(;.*)?', re.IGNORECASE)


def preferred_wait_s(prefer: str | None) -> int | None:
    """Return the seconds of the first `wait` preference; one that cannot be read is ignored, as the RFC asks."""
    for preference in (prefer or "").split(",")[:20]:
        found = _WAIT.fullmatch(preference)
        if found:
            return int(found[1])
    return None


class Waiting:
    """Holds requests, at most `max_waiting` at once and `max_wait_s` long.

    The semaphore guards waitress's threads: no actor could, since a request that waited for an actor to let it wait
    would already hold the thread in question.
    """

    def __init__(self, system: "AgentSystem") -> None:
        self._system = system
        self._most_s = system.settings.max_wait_s
        self._margin_s = system.settings.ask_timeout_s
        self._places = threading.BoundedSemaphore(system.settings.max_waiting) if system.settings.max_waiting else None

    def capped(self, wait_s: float) -> float:
        """Return how long a request that asks for `wait_s` would be held."""
        return min(wait_s, self._most_s)

    def hold(
        self, req: Request, wait_s: float, message: Callable[[float], Any], done: Callable[[Any], bool]
    ) -> Any | None:
        """Ask with `message(seconds)` until the reply is `done` or the time is up; return the last reply.

        None if there was no free place: the caller then answers at once.
        """

        def ask(slice_s: float) -> Any:
            return self._system.gateway.ask(message(slice_s), timeout_s=slice_s + self._margin_s)

        return self.hold_by(req, wait_s, ask, done)

    def hold_by(
        self, req: Request, wait_s: float, step: Callable[[float], Any], done: Callable[[Any], bool]
    ) -> Any | None:
        """Call `step(seconds)` until its reply is `done` or the time is up, like `hold`.

        In slices, so that the place of a client that has vanished, and of every client when the server drains, is free
        again soon.
        """
        if self._places is None or not self._places.acquire(blocking=False):
            return None
        try:
            deadline = time.monotonic() + self.capped(wait_s)
            while True:
                slice_s = min(SLICE_S, max(0.0, deadline - time.monotonic()))
                reply = step(slice_s)
                if done(reply) or time.monotonic() >= deadline or self._pointless(req):
                    return reply
        finally:
            self._places.release()

    def _pointless(self, req: Request) -> bool:
        gone = req.env.get("waitress.client_disconnected")
        return self._system.closing or (gone is not None and gone())
