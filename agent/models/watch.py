"""What ends one try at a model's API early: the call's time, its token, or an answer without an end.

The vendors' clients know a time-out for each read, which a server that sends a byte a second never meets, and nothing
of our tokens. So the connection itself (`sockets.py`) asks the watch of its thread, in every wait. A watch belongs to the
thread of the call. Imported by the adapters and the wire.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from callboard.agent.cancel import Cancelled, CancelToken

SLICE_S = 0.05
"""Longest time that is waited for anything without a look at the watch, in seconds."""


class TimeIsUp(Exception):
    """The watch's time has passed."""


class Watch:
    """One try's limits, and how far it has come.

    `answered`: the head of an answer was read; `ended`: the mark of its end; `too_long`: more than any answer has.
    """

    def __init__(self, *, deadline_s: float, token: CancelToken) -> None:
        self.deadline_s = deadline_s
        self.answered = False
        self.ended = False
        self.too_long = False
        self._token = token

    @property
    def stopped(self) -> bool:
        return self._token.stopped

    @property
    def left_s(self) -> float:
        return self.deadline_s - time.monotonic()

    def hurry(self, seconds: float) -> None:
        """Have at most so many seconds left."""
        self.deadline_s = min(self.deadline_s, time.monotonic() + seconds)

    def check(self) -> None:
        """Raise `Cancelled` or `TimeIsUp` where the try has to end."""
        if self._token.stopped:
            raise Cancelled
        if self.left_s <= 0:
            raise TimeIsUp

    def sleep(self, seconds: float) -> None:
        """Wait; raise as `check` does, as soon as it would."""
        until_s = time.monotonic() + seconds
        while (left_s := min(until_s - time.monotonic(), self.left_s)) > 0:
            if self._token.stopped:  # a token that was handed back sets no event
                raise Cancelled
            self._token.event.wait(min(SLICE_S, left_s))
        self.check()


class _Current(threading.local):
    watch: Watch | None = None


_current = _Current()


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Have this thread's connections mind the watch."""
    before, _current.watch = _current.watch, watch
    try:
        yield
    finally:
        _current.watch = before


def current_watch() -> Watch:
    """Return this thread's watch."""
    if _current.watch is None:
        raise RuntimeError("a connection to a model's API is used outside of a call")
    return _current.watch
