"""The queue in front of waitress's threads: requests of all callers in turn, instead of first come, first served.

waitress has one deque; one client with 400 connections would have everybody wait behind 400 requests, and again behind as many
as there are threads, in the inbox of the actor that reads the history. So callers take turns (callboard/shares.py), and while
there is more than one, each has `AT_ONCE` requests at work at most, whatever it sends; who is alone has all threads. A request
that is held, or has become a stream, is not at work.

waitress's dispatcher appends, pops and asks whether there is something under its own lock, so `FairQueue` has none; that of
http/greenlets.py is used in one thread only.
tests/http/test_waitress_hooks.py holds waitress to that. Imported by http/server.py, http/channel.py and
http/greenlets.py only.
"""

import heapq
import itertools
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, Protocol

from waitress.task import ThreadedTaskDispatcher  # type: ignore[import-untyped]

from callboard.shares import AT_ONCE, FairOrder

REMEMBERED_S = 30.0
"""How long after the last request of another caller that goes on, so that one who asks now and then finds no crowd."""


class Dispatcher(Protocol):
    """Who has turns served: waitress's threads here, or http/greenlets.py."""

    def rests(self, turn: "Turn") -> None:
        """Take a turn as over, and let another one of its caller begin."""


class Turn:
    """One request's turn at a thread, or as a greenlet; `caller` is whose it is."""

    __slots__ = ("_channel", "_dispatcher", "at_work", "caller", "number")

    def __init__(self, channel: Any, number: int, dispatcher: Dispatcher) -> None:
        self._channel = channel
        self._dispatcher = dispatcher
        self.caller: str = channel.caller
        self.number = number
        self.at_work = False

    def service(self) -> None:
        try:
            self._channel.service()
        finally:
            self._dispatcher.rests(self)

    def rests(self) -> None:
        """Say that from now on it waits rather than works, so that the next one of its caller may begin."""
        if self.at_work:
            self._dispatcher.rests(self)

    def cancel(self) -> None:
        self._channel.cancel()


class FairQueue:
    """Turns that wait for a thread, as the deque they take the place of, which is empty while none may begin."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._order = FairOrder()
        self._arrivals = itertools.count()
        self._waiting: list[tuple[int, int, Turn]] = []
        self._at_work: dict[str, int] = defaultdict(int)
        # whoever has enough at work
        self._parked: dict[str, deque[tuple[int, int, Turn]]] = {}
        self._latest = ""
        self._several_until_s = 0.0

    def append(self, channel: Any) -> None:
        turn = Turn(channel, self._order.turn_of(channel.caller), self._dispatcher)
        if turn.caller != self._latest:
            self._several_until_s = time.monotonic() + REMEMBERED_S if self._latest else 0.0
            self._latest = turn.caller
        channel.turn = turn
        entry = (turn.number, next(self._arrivals), turn)
        if turn.caller in self._parked:
            self._parked[turn.caller].append(entry)
        else:
            heapq.heappush(self._waiting, entry)

    def popleft(self) -> Turn:
        turn = heapq.heappop(self._waiting)[-1]
        self._order.reached(turn.number)
        self._at_work[turn.caller] += 1
        turn.at_work = True
        return turn

    def __bool__(self) -> bool:
        """Whether one may begin."""
        if self._waiting and self._at_work and time.monotonic() < self._several_until_s:
            while self._waiting and self._at_work.get(caller := self._waiting[0][-1].caller, 0) >= AT_ONCE:
                self._parked.setdefault(caller, deque()).append(heapq.heappop(self._waiting))
        return bool(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting) + sum(map(len, self._parked.values()))

    def rests(self, turn: Turn) -> None:
        """Take a turn as over, once, and let one more of its caller begin; all, where that one is alone by now."""
        if not turn.at_work:
            return
        turn.at_work = False
        self._at_work[turn.caller] -= 1
        if not self._at_work[turn.caller]:
            del self._at_work[turn.caller]
        parked = self._parked.get(turn.caller)
        if parked is None:
            return
        for _ in range(1 if time.monotonic() < self._several_until_s else len(parked)):
            heapq.heappush(self._waiting, parked.popleft())
        if not parked:
            del self._parked[turn.caller]


class FairDispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]  # waitress has no types
    """waitress's threads behind a fair queue."""

    def __init__(self, threads: int, *, begins: Callable[[], None] = lambda: None) -> None:
        """Have this many threads, each of which calls `begins` first."""
        super().__init__()
        self._begins = begins
        self.queue = FairQueue(self)
        self.set_thread_count(threads)

    def handler_thread(self, thread_no: int) -> None:
        self._begins()
        super().handler_thread(thread_no)

    def rests(self, turn: Turn) -> None:
        with self.lock:
            self.queue.rests(turn)
            if self.queue:
                self.queue_cv.notify()
