"""The door: who is asking, may they ask now, may they ask at all; in that order.

In the request's waitress thread, one ask to the gateway a request where limits are on. Imported by http/app.py only.
"""

import math
from dataclasses import replace
from typing import Any, Protocol

import falcon

from callboard.clock import Clock
from callboard.errors import CallboardError
from callboard.http.api_keys import ApiKeys
from callboard.http.client_address import limited_as
from callboard.http.errors import ApiKeyInvalid, ApiKeyRequired, RateLimited
from callboard.http.request import Request
from callboard.messages import RateDecision, TakeToken
from callboard.settings import Settings

HEALTH = "/health"
PUBLIC = frozenset({"/", HEALTH, "/health/live", "/health/ready", "/openapi.json", "/docs", "/console"})
"""The paths that need no key and are not limited; the static files below /console/ neither.

# SECURITY: every path that is not here is keyed and limited, whether or not a route answers it.
"""


_MOST_REFUSED = 10_000


class Asks(Protocol):
    """What the door needs of the gateway."""

    def ask(self, message: Any, *, timeout_s: float) -> Any: ...


class Door:
    """The middleware that identifies the caller, takes a token from its window, and refuses who has no key.

    # SECURITY: a wrong key is limited by address and before it is refused, so that keys cannot be guessed without
    # end. Preflight requests carry no key and run nothing, so they pass.
    """

    def __init__(self, settings: Settings, gateway: Asks, clock: Clock) -> None:
        self._keys = ApiKeys(settings.api_key)
        self._gateway = gateway
        self._clock = clock
        self._limited = settings.rate_limit_max_requests > 0
        self._timeout_s = settings.ask_timeout_s
        window_s = math.ceil(settings.rate_limit_window_ms / 1000)
        self._refused: dict[str, tuple[float, RateDecision | None]] = {}  # each access is atomic: no lock
        self._policy = f'"default";q={settings.rate_limit_max_requests};w={window_s}'

    def process_request(self, req: Request, resp: falcon.Response) -> None:
        if req.path == HEALTH:
            self._recognise(req)
        if req.path in PUBLIC or req.method == "OPTIONS" or req.path.startswith("/console/"):
            return
        refusal = self._identify(req) if self._keys.asked else None
        if not req.caller:
            req.caller = limited_as(req.client)
        if self._limited:
            self._take_token(req, resp)
        if refusal is not None:
            raise refusal

    def _recognise(self, req: Request) -> None:
        """Name the caller where it shows a key, and refuse nobody: health checks go on when a key is exchanged.

        # SECURITY: whether a guess is right shows here no sooner than elsewhere, where a right one passes whatever a window holds.
        """
        if self._keys.asked:
            self._identify(req)

    def _identify(self, req: Request) -> CallboardError | None:
        """Name the caller by its key; return why it may not come in."""
        key = req.env.get("HTTP_X_API_KEY")
        if not key:
            return ApiKeyRequired("This server asks for an API key; send it in the X-API-Key header.")
        req.caller = self._keys.identity(key) or ""
        return None if req.caller else ApiKeyInvalid("The X-API-Key that was sent is not one of this server's keys.")

    def _take_token(self, req: Request, resp: falcon.Response) -> None:
        decision = self._refused_still(req.caller) or self._decide(req.caller)
        resets_in_s = max(0, math.ceil(decision.reset_at - self._clock.now().timestamp()))
        resp.set_headers(
            (
                ("X-RateLimit-Limit", str(decision.limit)),
                ("X-RateLimit-Remaining", str(decision.remaining)),
                ("X-RateLimit-Reset", str(math.ceil(decision.reset_at))),
                ("RateLimit-Policy", self._policy),
                ("RateLimit", f'"default";r={decision.remaining};t={resets_in_s}'),
            )
        )
        if not decision.allowed:
            wait_s = max(1, decision.retry_after_s)
            raise RateLimited(
                f"The limit of {decision.limit} requests a window is used up; try again in {wait_s} s.",
                retry_after_s=wait_s,
            )

    def _decide(self, caller: str) -> RateDecision:
        decision: RateDecision = self._gateway.ask(TakeToken(identity=caller), timeout_s=self._timeout_s)
        if not decision.allowed:
            self._note_refused(caller, decision)
        return decision

    # PERF: until its window has room again a caller is refused without asking, 0.02 ms instead of 0.1 and no thread is
    # woken: who sends far too much costs least. Exact, because a refused request takes no token: until the oldest one
    # leaves the window, which `reset_at` says, the answer cannot change.

    def _refused_still(self, caller: str) -> RateDecision | None:
        until_s, decision = self._refused.get(caller, (0.0, None))
        left_s = until_s - self._clock.monotonic()
        if decision is None or left_s <= 0:
            return None
        return replace(decision, retry_after_s=math.floor(left_s) + 1)

    def _note_refused(self, caller: str, decision: RateDecision) -> None:
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        left_s = decision.reset_at - self._clock.now().timestamp()
        self._refused[caller] = (self._clock.monotonic() + left_s, decision)
