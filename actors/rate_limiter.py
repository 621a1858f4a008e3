"""The rate limiter: how many requests one caller may make in a sliding window, as many as its principal's limits say.

The window itself is `limits`' moving window, exact: no window of the configured length ever holds more than the
configured number. Its storage outlives a crash of the actor, because the wiring passes it in.
Reached through the gateway only.

`limits` keeps an entry for each caller it has ever seen, and looks at all of them again and again; so callers are forgotten here
once their window is empty, and beyond `MOST_CALLERS` the one that has asked least recently.

`limits` counts by the wall clock. When that is set forward, windows end early; when it is set back, they would end
as much later, so they are started afresh.
"""

import logging
import math
import time
from functools import lru_cache
from typing import Any

from limits import RateLimitItemPerSecond
from limits.storage import Storage
from limits.strategies import MovingWindowRateLimiter

from callboard.actors.mailbox import Mailbox
from callboard.actors.supervision import SupervisedActor
from callboard.messages.health import Ping, Pong
from callboard.messages.usage import RateDecision, TakeToken
from callboard.principal import Principal

logger = logging.getLogger("callboard.limiter")

MOST_CALLERS = 50_000

_SET_BACK_S = 1.0
"""How far the wall clock falls behind the monotonic one between two requests before it counts as set back."""

RateLimiterMessage = TakeToken | Ping
"""What the rate limiter understands."""


class RateLimiter(SupervisedActor[RateLimiterMessage]):
    """Takes a token from a caller's window, or says when the next one is free."""

    def __init__(self, mailbox: Mailbox, *, storage: Storage, window_ms: int) -> None:
        super().__init__(mailbox)
        self._storage = storage
        self._ahead_s = time.time() - time.monotonic()
        self._limiter = MovingWindowRateLimiter(storage)
        # `limits` counts in whole seconds; a part of one is rounded up, which is the stricter side
        self._window_s = math.ceil(window_ms / 1000)
        self._window_of = lru_cache(lambda most: RateLimitItemPerSecond(most, self._window_s))
        self._asked: dict[
            str, tuple[float, RateLimitItemPerSecond]
        ] = {}  # when each caller has asked last, in that order

    def receive(self, message: RateLimiterMessage) -> Any:
        match message:
            case TakeToken():
                return self._take(self.delivery.principal)
            case Ping():
                return Pong()
            case _:
                raise self.unknown(message)

    def _take(self, principal: Principal) -> RateDecision:
        if not (most := principal.limits.max_requests):
            return RateDecision(allowed=True, limit=0, remaining=0, reset_at=time.time())
        window = self._window_of(most)
        self._start_afresh_if_set_back()
        self._forget_idle(principal.id, window)
        allowed = self._limiter.hit(window, principal.id)
        stats = self._limiter.get_window_stats(window, principal.id)
        # an entry still counts at the very instant it is a window old, so the next whole second is the free one
        wait_s = max(1, math.floor(stats.reset_time - time.time()) + 1)
        return RateDecision(
            allowed=allowed,
            limit=most,
            remaining=max(0, stats.remaining) if allowed else 0,
            reset_at=stats.reset_time,
            retry_after_s=0 if allowed else wait_s,
        )

    def _forget_idle(self, asks: str, window: RateLimitItemPerSecond) -> None:
        now_s = time.monotonic()
        self._asked.pop(asks, None)
        self._asked[asks] = now_s, window
        while True:
            oldest, (asked_s, its_window) = next(iter(self._asked.items()))
            if asked_s + self._window_s + 1 > now_s and len(self._asked) <= MOST_CALLERS:
                return
            del self._asked[oldest]
            self._limiter.clear(its_window, oldest)

    def _start_afresh_if_set_back(self) -> None:
        ahead_s = time.time() - time.monotonic()
        if ahead_s < self._ahead_s - _SET_BACK_S:
            logger.warning(
                "the clock was set back by %.0f s: every caller's window starts afresh", self._ahead_s - ahead_s
            )
            self._storage.reset()
        self._ahead_s = ahead_s
