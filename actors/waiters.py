"""Askers that wait for a task: each is answered when there is something to tell, or when its time is up.

A plain object inside an actor; only that actor's thread touches it.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from callboard.actors.mailbox import Delivery


class Waiters:
    """The deliveries that an actor holds, by task."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[tuple[float, Delivery]]] = defaultdict(list)

    def add(self, task_id: str, delivery: Delivery, wait_s: float) -> None:
        """Hold a delivery for at most `wait_s` seconds."""
        self._waiting[task_id].append((time.monotonic() + wait_s, delivery))

    def answer(self, task_id: str, reply: Any) -> None:
        """Answer everyone who waits for a task."""
        for _, delivery in self._waiting.pop(task_id, ()):
            delivery.answer(reply)

    def expire(self, stands: Callable[[str], Any]) -> float | None:
        """Answer those whose time is up with `stands(task_id)`; return the seconds until the next one's is."""
        now_s = time.monotonic()
        for task_id, waiting in tuple(self._waiting.items()):
            for due_s, delivery in waiting:
                if due_s <= now_s:
                    delivery.answer(stands(task_id))
            self._waiting[task_id] = [entry for entry in waiting if entry[0] > now_s]
            if not self._waiting[task_id]:
                del self._waiting[task_id]
        left = [due_s for waiting in self._waiting.values() for due_s, _ in waiting]
        return min(left) - now_s if left else None
