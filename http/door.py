"""The door: who is asking, may they ask now, may they ask at all; in that order.

In the request's waitress thread, one ask to the gateway a request where limits are on. Imported by http/app.py only.
"""

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import falcon

from callboard.errors import CallboardError, InvalidRequest
from callboard.http.errors import ApiKeyInvalid, ApiKeyRequired, RateLimited
from callboard.http.gateway_client import GatewayClient
from callboard.http.principals import Principals
from callboard.http.request import Request
from callboard.messages.usage import RateDecision, TakeToken
from callboard.principal import NOBODY, Limits, Principal

if TYPE_CHECKING:
    from callboard.system import AgentSystem

HEALTH = "/health"
HEALTH_PATHS = frozenset({HEALTH, "/health/live", "/health/ready"})
"""What the server answers past the queue of requests, with a thread of its own."""

PUBLIC = HEALTH_PATHS | {"/", "/openapi.json", "/docs", "/console"}
"""The paths that need no key and are not limited; the static files below /console/ neither.

# SECURITY: every path that is not here is keyed and limited, whether or not a route answers it.
"""


_MOST_REFUSED = 10_000
_BEARER = re.compile(r"(?:^|,[ \t]*)bearer[ \t]+((?:(?!,[ \t]*bearer[ \t]).)*)", re.IGNORECASE)


class Door:
    """The middleware that makes out who asks, takes a token from its window, and refuses who has no key.

    # SECURITY: a wrong key is limited by address and before it is refused, so that keys cannot be guessed without
    # end. Preflight requests carry no key and run nothing, so they pass.
    """

    def __init__(self, system: "AgentSystem") -> None:
        settings = system.settings
        self._principals = Principals(settings.api_key, Limits(max_requests=settings.rate_limit_max_requests))
        self._gateway = GatewayClient(system)
        self._clock = system.clock
        self._window_s = math.ceil(settings.rate_limit_window_ms / 1000)
        self._refused: dict[str, tuple[float, RateDecision | None]] = {}  # each access is atomic: no lock

    def process_request(self, req: Request, resp: falcon.Response) -> None:
        if req.path == HEALTH:
            self._recognise(req)
        if req.path in PUBLIC or req.method == "OPTIONS" or req.path.startswith("/console/"):
            return
        refusal = self._identify(req) if self._principals.keyed else None
        if req.principal is NOBODY:
            req.principal = self._principals.of_address(req.client)
        if req.principal.limits.max_requests:
            self._take_token(req, resp)
        if refusal is not None:
            raise refusal

    def _recognise(self, req: Request) -> None:
        """Name the caller where it shows a key, and refuse nobody: health checks go on when a key is exchanged.

        # SECURITY: whether a guess is right shows here no sooner than elsewhere, where a right one passes whatever a window holds.
        """
        if self._principals.keyed:
            self._identify(req)

    def _identify(self, req: Request) -> CallboardError | None:
        """Name the caller by its key; return why it may not come in."""
        key, tokens = _several(req.env.get("HTTP_X_API_KEY", "")), _bearers(req.env.get("HTTP_AUTHORIZATION", ""))
        if len(key | tokens) > 1:
            return InvalidRequest("X-API-Key and Authorization hold two different keys or more; send one.")
        sent = "".join(key | tokens)
        if not sent:
            return ApiKeyRequired(
                "This server asks for an API key; send it in the X-API-Key header, or as Authorization: Bearer KEY."
            )
        if (principal := self._principals.of_key(sent)) is not None:
            req.principal = principal
            return None
        place = "X-API-Key" if key else "Bearer token"
        return ApiKeyInvalid(f"The {place} that was sent is not one of this server's keys.")

    def _take_token(self, req: Request, resp: falcon.Response) -> None:
        decision = self._refused_still(req.principal) or self._decide(req)
        resets_in_s = max(0, math.ceil(decision.reset_at - self._clock.now().timestamp()))
        resp.set_headers(
            (
                ("X-RateLimit-Limit", str(decision.limit)),
                ("X-RateLimit-Remaining", str(decision.remaining)),
                ("X-RateLimit-Reset", str(math.ceil(decision.reset_at))),
                ("RateLimit-Policy", f'"default";q={decision.limit};w={self._window_s}'),
                ("RateLimit", f'"default";r={decision.remaining};t={resets_in_s}'),
            )
        )
        if not decision.allowed:
            wait_s = max(1, decision.retry_after_s)
            raise RateLimited(
                f"The limit of {decision.limit} requests a window is used up; try again in {wait_s} s.",
                retry_after_s=wait_s,
            )

    def _decide(self, req: Request) -> RateDecision:
        decision = self._gateway.ask(req, TakeToken())
        if not decision.allowed:
            self._note_refused(req.principal, decision)
        return decision

    # PERF: until its window has room again a caller is refused without asking, 0.02 ms instead of 0.1 and no thread is
    # woken: who sends far too much costs least. Exact, because a refused request takes no token: until the oldest one
    # leaves the window, which `reset_at` says, the answer cannot change.

    def _refused_still(self, principal: Principal) -> RateDecision | None:
        until_s, decision = self._refused.get(principal.id, (0.0, None))
        left_s = until_s - self._clock.monotonic()
        if decision is None or left_s <= 0:
            return None
        return replace(decision, retry_after_s=math.floor(left_s) + 1)

    def _note_refused(self, principal: Principal, decision: RateDecision) -> None:
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        left_s = decision.reset_at - self._clock.now().timestamp()
        self._refused[principal.id] = (self._clock.monotonic() + left_s, decision)


def _several(keys: str) -> set[str]:
    """Return the keys of a header, which is one line where it was sent more than once; no key has a comma."""
    return {key for part in keys.split(",") if (key := part.strip(" \t"))}


def _bearers(authorization: str) -> set[str]:
    """Return the keys of `Bearer KEY` (RFC 6750), none of any other scheme: a proxy in front may have its own."""
    return {token for found in _BEARER.finditer(authorization) if (token := found[1].strip(" \t"))}
