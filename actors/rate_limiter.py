"""The rate limiter: how many requests one caller may make in a sliding window.

The window itself is `limits`' moving window, exact: no window of the configured length ever holds more than the
configured number. Its storage outlives a crash of the actor, because the wiring passes it in.
Reached through the gateway only.

`limits` counts by the wall clock. When that is set forward, windows end early; when it is set back, they would end
as much later, so they are started afresh.
"""

import logging
import math
import time
from typing import Any

from limits import RateLimitItemPerSecond
from limits.storage import Storage
from limits.strategies import MovingWindowRateLimiter

from callboard.actors.mailbox import Mailbox
from callboard.actors.supervision import SupervisedActor
from callboard.messages import Ping, Pong, RateDecision, TakeToken

logger = logging.getLogger("callboard.limiter")

_SET_BACK_S = 1.0
"""How far the wall clock falls behind the monotonic one between two requests before it counts as set back."""


class RateLimiter(SupervisedActor):
    """Takes a token from a caller's window, or says when the next one is free."""

    def __init__(self, mailbox: Mailbox, *, storage: Storage, window_ms: int, max_requests: int) -> None:
        super().__init__(mailbox)
        self._storage = storage
        self._ahead_s = time.time() - time.monotonic()
        self._limiter = MovingWindowRateLimiter(storage)
        # `limits` counts in whole seconds; a part of one is rounded up, which is the stricter side
        self._window_s = math.ceil(window_ms / 1000)
        self._item = RateLimitItemPerSecond(max_requests, self._window_s)

    def receive(self, message: Any) -> Any:
        match message:
            case TakeToken(identity=identity):
                return self._take(identity)
            case Ping():
                return Pong()
            case _:
                return super().receive(message)

    def _take(self, identity: str) -> RateDecision:
        self._start_afresh_if_set_back()
        allowed = self._limiter.hit(self._item, identity)
        stats = self._limiter.get_window_stats(self._item, identity)
        # an entry still counts at the very instant it is a window old, so the next whole second is the free one
        wait_s = max(1, math.floor(stats.reset_time - time.time()) + 1)
        return RateDecision(
            allowed=allowed,
            limit=self._item.amount,
            remaining=max(0, stats.remaining) if allowed else 0,
            reset_at=stats.reset_time,
            retry_after_s=0 if allowed else wait_s,
        )

    def _start_afresh_if_set_back(self) -> None:
        ahead_s = time.time() - time.monotonic()
        if ahead_s < self._ahead_s - _SET_BACK_S:
            logger.warning(
                "the clock was set back by %.0f s: every caller's window starts afresh", self._ahead_s - ahead_s
            )
            self._storage.reset()
        self._ahead_s = ahead_s
