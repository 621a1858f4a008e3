"""The places that a server works on tasks at: how many are free, and which are held by a task that is over.

Plain data inside the master agent; only its thread touches it.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

STUCK_AFTER_S = 5.0
"""How long a worker has to let go of a task that is over, before another one stands in for it."""


@dataclass(slots=True)
class _Held:
    """A place whose task is over; `replaced` once another worker stands in."""

    since_s: float
    replaced: bool = False


class Places:
    """Told apart by task and attempt."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.free = most
        self._taken: dict[tuple[str, int], _Held | None] = {}
        self._suspects: set[tuple[str, int]] = set()

    @property
    def suspects(self) -> int:
        """How many places are held by tasks on their last chance, until their worker has let go of them or another one stands in."""
        return len(self._suspects)

    def take(self, task_id: str, attempt: int, *, suspect: bool = False) -> None:
        """Have an attempt begin; `suspect`: of a task on its last chance."""
        self.free -= 1
        self._taken[task_id, attempt] = None
        if suspect:
            self._suspects.add((task_id, attempt))

    def adopt(self, task_id: str, attempt: int, *, over: bool = False, suspect: bool = False) -> None:
        """Take note of an attempt that was under way before this."""
        self.free = max(0, self.free - 1)
        self._taken[task_id, attempt] = _Held(time.monotonic()) if over else None
        if suspect:
            self._suspects.add((task_id, attempt))

    def over(self, task_id: str, attempt: int) -> None:
        """Take note that the task is over, whose worker may be at it still."""
        if (task_id, attempt) in self._taken:
            self._taken[task_id, attempt] = _Held(time.monotonic())

    def leave(self, task_id: str, attempt: int) -> None:
        """Have the place free again, unless somebody stands in already, or it was free when this began."""
        self._suspects.discard((task_id, attempt))
        if (task_id, attempt) in self._taken:
            held = self._taken.pop((task_id, attempt))
            if held is None or not held.replaced:
                self.free = min(self._most, self.free + 1)

    def stuck(self) -> Iterator[tuple[str, int]]:
        """Yield, once, each attempt whose worker has not let go in time; its place is free for one that stands in."""
        for key, held in tuple(self._taken.items()):
            if held is not None and not held.replaced and time.monotonic() - held.since_s >= STUCK_AFTER_S:
                held.replaced = True
                self.free += 1
                self._suspects.discard(key)
                yield key

    @property
    def next_s(self) -> float | None:
        """In how many seconds there may be one that is stuck; None where nothing is held."""
        since = [held.since_s for held in self._taken.values() if held is not None and not held.replaced]
        return max(0.0, min(since) + STUCK_AFTER_S - time.monotonic()) if since else None
