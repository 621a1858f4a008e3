"""Shares: what one caller may take of something that there is a limited number of, and whose turn it is.

Two rules, used wherever a caller could otherwise take all there is:

`may_take`: whoever has none gets any place that is free; whoever has some may have at most `SHARE` times as many as stay
free. So a caller who is alone has the use of seven eighths of all places, without any setting, and is refused while others
still find one: of 500 streams one caller holds up to 437; of two who both take what they get, each 233, with 34 free; of
ten 49 each. The share shrinks by itself as places get scarce, needs no count of the callers, and takes nothing from who has
it already. It is what switches do with a buffer that their ports share ("dynamic thresholds", Choudhury and Hahne, 1998).
A fixed share would either hinder the one engineer on a quiet machine or let a few callers take everything together. What it
cannot do: with more callers at once than an eighth of the places, each of whom wants as many as there are, all places are taken.

`FairOrder`: whoever queues waits behind as many entries of each other caller as it has itself in front of its own: one who
has 400 waiting delays one who has a single one by a single one. (Start-time fair queueing, with every entry of one size.)

`FewAtOnce`: of what is done again and again for as long as it is held open, such as the reads of streams, one caller does so many
at once, and the rest of its own wait: 437 streams that hear of an event ask for it four at a time, and another caller's question
comes in between.

A caller is the id of a principal: of a key where there are keys, else of an address, of IPv6 its /64 (http/principals.py). Any thread for `may_take`
and `Places`, the queue's own for `FairOrder`. Imported by every folder; imports nothing.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 7
"""How many times as many places one caller may have as stay free for the others."""

AT_ONCE = 4
"""Requests of one caller that are at work at once while others ask too, and reads of its streams."""

_FORGET_BEYOND = 256


def may_take(held: float, free: float, wanted: float = 1) -> bool:
    """Return whether a caller that holds `held` places may take `wanted` more of the `free` ones."""
    if wanted > free:
        return False
    return not held or held + wanted <= SHARE * (free - wanted)


class Places:
    """So many places in all, each held by some caller.

    The lock guards the counts: they are taken and left by the threads that answer requests, which no actor could give
    a place to without being waited for.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}
        self._taken = 0

    @property
    def taken(self) -> int:
        return self._taken

    def held_by(self, caller: str) -> int:
        return self._held.get(caller, 0)

    def take(self, caller: str) -> bool:
        """Take a place, or return False: there is none, or the rest is kept for others."""
        with self._lock:
            held = self._held.get(caller, 0)
            if not may_take(held, self.most - self._taken):
                return False
            self._held[caller] = held + 1
            self._taken += 1
            return True

    def leave(self, caller: str) -> None:
        with self._lock:
            self._taken -= 1
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]


class FewAtOnce:
    """At most so many at once for each caller; the others wait.

    The lock guards who waits where, for the length of a look-up; an actor would be one more to wait for.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._of: dict[str, tuple[threading.Semaphore, int]] = {}

    @contextmanager
    def of(self, caller: str) -> Iterator[None]:
        """Wait for a turn of a caller; none is waited for without an id."""
        if not caller:
            yield
            return
        turns = self._change(caller, 1)
        try:
            with turns:
                yield
        finally:
            self._change(caller, -1)

    def _change(self, caller: str, more: int) -> threading.Semaphore:
        with self._lock:
            turns, users = self._of.get(caller) or (threading.Semaphore(self._most), 0)
            if users + more:
                self._of[caller] = turns, users + more
            else:
                del self._of[caller]
            return turns


class FairOrder:
    """Numbers of turns for what queues: lower ones first, equal ones in the order in which they came."""

    def __init__(self) -> None:
        self._now = 0
        self._last: dict[str, int] = {}
        self._forget_at = _FORGET_BEYOND

    def turn_of(self, caller: str) -> int:
        """Return the turn of one more entry of a caller."""
        turn = max(self._now, self._last.get(caller, 0)) + 1
        self._last[caller] = turn
        if len(self._last) > self._forget_at:  # who has nothing in front of others any more needs no number
            self._last = {one: last for one, last in self._last.items() if last > self._now}
            self._forget_at = max(_FORGET_BEYOND, 2 * len(self._last))
        return turn

    def reached(self, turn: int) -> None:
        """Say that an entry has had its turn."""
        self._now = max(self._now, turn)
