"""Requests that are held: `Prefer: wait=N` (RFC 7240) and `?wait=N`.

Each held request keeps a waitress thread, unless it is a greenlet. In the request's own thread or greenlet; imported within `http/` only.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import falcon

from callboard.http.connection import connection_of
from callboard.http.gateway_client import GatewayClient
from callboard.http.query import seconds
from callboard.http.request import Request
from callboard.shares import Places

if TYPE_CHECKING:
    from callboard.actors.gateway import GatewayMessage
    from callboard.messages.ask import Asked
    from callboard.system import AgentSystem

R = TypeVar("R")

SLICE_S = 1.0
NO_PLACE_RETRY_AFTER_S = 1
_WAIT = re.compile(r'\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(;.*)?', re.IGNORECASE)


def preferred_wait_s(prefer: str | None) -> int | None:
    """Return the seconds of the first `wait` preference; one that cannot be read is ignored, as the RFC asks."""
    for preference in (prefer or "").split(",")[:20]:
        found = _WAIT.fullmatch(preference)
        if found:
            return int(found[1])
    return None


def wished_wait_s(req: Request, query: Mapping[str, str]) -> float:
    """Return how long a page may be held, 0 for not at all: `?wait=`, or else the preference."""
    return seconds(query, "wait") if "wait" in query else preferred_wait_s(req.env.get("HTTP_PREFER")) or 0


def rest(req: Request) -> None:
    """Say that a request waits from now on, and works no more."""
    if (connection := connection_of(req)) is not None:
        connection.rests()


class Waiting:
    """Holds requests, at most `max_waiting` at once, shared among callers, and `max_wait_s` long."""

    def __init__(self, system: "AgentSystem") -> None:
        self._system = system
        self._most_s = system.settings.max_wait_s
        self._gateway = GatewayClient(system)
        self._places = Places(system.settings.max_waiting)

    def capped(self, wait_s: float) -> float:
        """Return how long a request that asks for `wait_s` would be held."""
        return min(wait_s, self._most_s)

    def tell(self, resp: falcon.Response, wait_s: float, *, held: bool) -> None:
        """Say in a header whether a wish to be held was granted: who asks again at once where it was not would spin.

        It was not where the caller has no place, where the setting holds nothing, and where the server is going.
        """
        if held and self.capped(wait_s) > 0 and not self._system.closing:
            resp.set_header("Preference-Applied", f"wait={self.capped(wait_s):g}")
        else:
            resp.set_header("Retry-After", str(NO_PLACE_RETRY_AFTER_S))

    def hold(
        self,
        req: Request,
        wait_s: float,
        message: "Callable[[float], Asked[GatewayMessage, R]]",
        done: Callable[[R], bool],
    ) -> R | None:
        """Ask with `message(seconds)` until the reply is `done` or the time is up; return the last reply.

        None if there was no place for this caller: the request is then answered at once.
        """

        def ask(slice_s: float) -> R:
            rest(req)
            return self._gateway.ask(req, message(slice_s), wait_s=slice_s)

        return self.hold_by(req, wait_s, ask, done)

    def hold_by(self, req: Request, wait_s: float, step: Callable[[float], R], done: Callable[[R], bool]) -> R | None:
        """Call `step(seconds)` until its reply is `done` or the time is up, like `hold`; it calls `rest` where it waits.

        In slices, so that the place of a client that has vanished, and of every client when the server drains, is free
        again soon.
        """
        if not self._places.take(req.principal.id):
            return None
        try:
            deadline = time.monotonic() + self.capped(wait_s)
            while True:
                slice_s = min(SLICE_S, max(0.0, deadline - time.monotonic()))
                reply = step(slice_s)
                if done(reply) or time.monotonic() >= deadline or self._pointless(req):
                    return reply
        finally:
            self._places.leave(req.principal.id)

    def _pointless(self, req: Request) -> bool:
        gone = req.env.get("waitress.client_disconnected")
        return self._system.closing or (gone is not None and gone())
