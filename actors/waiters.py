"""Askers that wait for a task: for its end, or for more of its events. Each is answered when there is something to tell.

The one rule of waiting, which streams keep too: register first, then look, then be told. Here that is: a history reader
registers the asker, then reads the store; the result logger answers from here after the commit, so that nobody else has to be
woken; the event bus answers those whose time is up. Whoever takes an asker out, answers it: the lock sees to it that it is one.

Belongs to the wiring: askers outlive a crash of any of the three. Imported by them and by the wiring.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from callboard.actors.mailbox import Delivery
from callboard.limits import PAGE_BYTES
from callboard.messages.events import EventPage, TaskEvent
from callboard.messages.tasks import TaskRecord


@dataclass(eq=False, slots=True, kw_only=True)
class Waiter:
    """An asker. `after` None: it waits for the task's end, else for events with a higher number.

    While somebody looks for it, a commit is `missed`: its events alone could leave out those of an earlier one.
    """

    task_id: str
    delivery: Delivery
    due_s: float
    after: int | None = None
    looking: bool = False
    missed: bool = False


class Waiters:
    """Everybody who waits, by task. `tell_bus` has the event bus look when the next one's time is up."""

    def __init__(self, tell_bus: Callable[[], object] = lambda: None) -> None:
        self._tell_bus = tell_bus
        self._lock = threading.Lock()  # guards all below
        self._waiting: dict[str, list[Waiter]] = defaultdict(list)
        self._next_s: float | None = None
        self._closed = False

    def add(
        self, task_id: str, delivery: Delivery, wait_s: float, *, after: int | None = None, looking: bool = False
    ) -> Waiter | None:
        """Register an asker, who is to be answered `wait_s` seconds from now at the latest; None: nobody waits any more.

        With `looking` it is told of nothing before `looked`.
        """
        due_s = time.monotonic() + wait_s
        waiter = Waiter(task_id=task_id, delivery=delivery, due_s=due_s, after=after, looking=looking)
        with self._lock:
            if self._closed or wait_s <= 0:
                return None
            self._waiting[task_id].append(waiter)
            first = self._next_s is None or waiter.due_s < self._next_s
            if first:
                self._next_s = waiter.due_s
        if first:
            self._tell_bus()
        return waiter

    def looked(self, waiter: Waiter) -> bool:
        """Say that there was nothing for an asker, who is told from now on; False: look again, something was committed meanwhile."""
        with self._lock:
            waiter.looking, waiter.missed = waiter.missed, False
            return not waiter.looking

    def take_out(self, waiter: Waiter) -> bool:
        """Forget an asker; False if somebody else has done so, and answers it."""
        with self._lock:
            return self._forget(waiter)

    def _forget(self, waiter: Waiter) -> bool:
        waiting = self._waiting.get(waiter.task_id, [])
        if waiter not in waiting:
            return False
        waiting.remove(waiter)
        if not waiting:
            del self._waiting[waiter.task_id]
        return True

    def committed(self, events: Iterable[TaskEvent], ended: Mapping[str, TaskRecord]) -> None:
        """Answer those for whom there is something in a commit; the result logger's thread, after it."""
        if not self._waiting:  # PERF: without the lock: who registers now reads the commit
            return
        told: list[tuple[Waiter, EventPage | TaskRecord]] = []
        with self._lock:
            by_task: dict[str, list[TaskEvent]] = defaultdict(list)
            for event in events:
                if event.task_id in self._waiting:
                    by_task[event.task_id].append(event)
            for task_id in [*by_task, *(task_id for task_id in ended if task_id not in by_task)]:
                for waiter in tuple(self._waiting.get(task_id, ())):
                    reply = _reply(waiter, by_task[task_id], ended.get(task_id))
                    if reply is not None and waiter.looking:
                        waiter.missed = True
                    elif reply is not None:
                        self._forget(waiter)
                        told.append((waiter, reply))
        for waiter, reply in told:
            waiter.delivery.answer(reply)

    def expired(self) -> list[Waiter]:
        """Take out those whose time is up, and return them; the event bus's thread."""
        now_s = time.monotonic()
        with self._lock:
            up = [waiter for waiting in self._waiting.values() for waiter in waiting if waiter.due_s <= now_s]
            for waiter in up:
                self._forget(waiter)
            self._next_s = min((w.due_s for waiting in self._waiting.values() for w in waiting), default=None)
        return up

    def due_in_s(self) -> float | None:
        """Return the seconds until the next one's time is up."""
        with self._lock:
            return None if self._next_s is None else max(0.0, self._next_s - time.monotonic())

    def hurry(self, *, close: bool = False) -> None:
        """Say that everybody's time is up: a commit may have been told to nobody, or, with `close`, there is nothing to wait for."""
        with self._lock:
            self._closed = self._closed or close
            if not self._waiting:
                return
            for waiting in self._waiting.values():
                for waiter in waiting:
                    waiter.due_s = 0.0
            self._next_s = 0.0
        self._tell_bus()


def _reply(waiter: Waiter, events: list[TaskEvent], ended: TaskRecord | None) -> EventPage | TaskRecord | None:
    """Return what a waiter is told of a commit, None where there is nothing for it."""
    if waiter.after is None:
        return ended
    found = [event for event in events if event.seq > waiter.after]
    if found and found[0].seq != waiter.after + 1:  # somebody died over a commit before: who asks again reads it
        return EventPage(events=(), ended=False)
    new = _on_a_page(found)
    if not new and ended is None:
        return None
    return EventPage(events=new, ended=ended is not None and len(new) == len(found))


def _on_a_page(events: list[TaskEvent]) -> tuple[TaskEvent, ...]:
    """Return the first events, one at least where there is one, as many as fit on a page; the next question finds the others."""
    sums = accumulate(event.size_bytes for event in events)
    return tuple(
        event for number, (event, size) in enumerate(zip(events, sums, strict=True)) if not number or size <= PAGE_BYTES
    )
