"""Posted tasks as greenlets of the thread that runs the server's loop, instead of a thread each (CALLBOARD_HTTP_GREENLETS).

Whoever posts a task waits for the gateway's reply and for nothing else; meanwhile the loop goes on. So an accepted task wakes three
threads (gateway, result logger, loop) instead of five, and fewer of them hand the interpreter lock to one another.

# Invariant: nothing blocks in a greenlet but the wait for a reply (`Suspension.wait`), and each wait has a deadline. What else takes
  its time goes to the threads (`suits`): large bodies, and what may become a stream. An answer is given to its connection whole, which
  waitress takes without waiting where nothing else is unsent; no further request is read while something is.
# Invariant: a greenlet switches in `Suspension.wait` only, so nobody else is at work while one is: no actor's handler runs in here,
  and http/gateway_client.py, which alone waits, holds no lock.
# Invariant: the loop looks at its sockets every `_TURN_S` seconds, however many requests there are; callers take turns
  (http/fair_queue.py).

All in the loop's thread but `Suspension.resume`. Imported by http/server.py, http/channel.py and http/gateway_client.py only.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]

from callboard.http.codec import TASKS_PATH, may_prefer_text
from callboard.http.fair_queue import FairQueue, Turn
from callboard.logs import get_logger

MOST_BODY_BYTES = 64 * 1024
"""What a body may have; one of 2 MB takes 20 ms to be decoded and checked, in which nobody else would be heard."""

_TURN_S = 0.005
_LOOK_S = 0.25
"""How often deadlines are looked at."""

_log = get_logger("callboard.http")


def suits(request: Any) -> bool:
    """Say whether a request that is whole may run as a greenlet: a task is posted, it is small, and its answer is no stream."""
    return (
        request.error is None
        and request.command == "POST"
        and request.path == TASKS_PATH
        and request.body_bytes_received <= MOST_BODY_BYTES
        and not may_prefer_text(request.headers.get("ACCEPT", ""))
    )


def suspension() -> "Suspension | None":
    """Return what the request that runs here waits by; None in a thread of its own, which may wait as it likes."""
    current = getcurrent()
    return Suspension(current) if isinstance(current, _Request) else None


def in_request() -> bool:
    """Say whether a request runs here, as a greenlet."""
    return isinstance(getcurrent(), _Request)


class Greenlets:
    """The requests of one server that run as greenlets; it stands where waitress's threads do for others."""

    def __init__(self, wake_loop: Callable[[], None], most: int) -> None:
        """`wake_loop` ends the loop's sleep, in any thread; no more than `most` wait at once, the others in the queue."""
        self.queue = FairQueue(self)
        self._most = most
        self._wake_loop = wake_loop
        self._woken = False
        self._resumed: deque[Suspension] = deque()
        self._waiting: dict[Suspension, float] = {}
        self._look_at_s = 0.0

    def add_task(self, channel: Any) -> None:
        self.queue.append(channel)

    def rests(self, turn: Turn) -> None:
        self.queue.rests(turn)

    def sleep_s(self, most_s: float) -> float:
        """Return how long the loop may sleep."""
        return 0.0 if self._resumed or self._may_begin else most_s

    @property
    def _may_begin(self) -> bool:
        return len(self._waiting) < self._most and bool(self.queue)

    def run(self) -> None:
        """Have those go on who have their reply, then begin others; for `_TURN_S` seconds at most."""
        self._woken = False  # before it is looked at what was resumed: who resumes adds first, and asks then
        began_s = now_s = time.monotonic()
        if now_s >= self._look_at_s:
            self._end_late(now_s)
            self._look_at_s = now_s + _LOOK_S
        while now_s < began_s + _TURN_S:
            if self._resumed:
                self._go_on(self._resumed.popleft())
            elif self._may_begin:
                _Request(self, self.queue.popleft()).switch()
            else:
                return
            now_s = time.monotonic()

    def close(self) -> None:
        """Have those answer whose reply is there, end those that wait, and cancel those that have not begun."""
        while self._resumed:
            self._go_on(self._resumed.popleft())
        for one in list(self._waiting):
            del self._waiting[one]
            one.request.throw()
        while self.queue:
            self.queue.popleft().cancel()

    def resume(self, one: "Suspension") -> None:
        """Have a request go on at the next turn of the loop; any thread, any number of times."""
        self._resumed.append(one)
        if not self._woken:
            self._woken = True
            self._wake_loop()

    def hold(self, one: "Suspension", until_s: float) -> None:
        self._waiting[one] = until_s

    def _go_on(self, one: "Suspension") -> None:
        if self._waiting.pop(one, None) is not None:  # else it has gone on before
            one.request.switch()

    def _end_late(self, now_s: float) -> None:
        for one in [one for one, until_s in self._waiting.items() if now_s > until_s]:
            self._go_on(one)


class _Request(greenlet):  # type: ignore[misc]  # it is written in C
    """One request, from its turn to its answer."""

    def __init__(self, greenlets: Greenlets, turn: Turn) -> None:
        super().__init__()
        self.greenlets = greenlets
        self._turn = turn

    def run(self) -> None:
        try:
            self._turn.service()
        except (GreenletExit, KeyboardInterrupt):
            raise
        except BaseException:  # noqa: BLE001  # whatever it is, the loop goes on: an extension's panic is no `Exception`
            _log.exception("a request ended badly")


class Suspension:
    """One wait of one request."""

    __slots__ = ("request",)

    def __init__(self, request: _Request) -> None:
        self.request = request

    def resume(self) -> None:
        """End the wait, or have it end at once where it has not begun; any thread."""
        self.request.greenlets.resume(self)

    def wait(self, timeout_s: float) -> None:
        """Let others go on until `resume`, for about `timeout_s` seconds; in the request itself."""
        self.request.greenlets.hold(self, time.monotonic() + timeout_s)
        self.request.parent.switch()
