"""The event bus: tells subscribers, and callers that wait for a task's events, what has just been committed.

Subscribers are actors, each with the topics it wants; it is offered each commit once, and one whose inbox is full
misses it and can read the log. Streams have their place in `subscriptions.py`.
A caller that waits (long-poll) is answered with the first events after the number it names.
Nothing here slows a task: the result logger tells the bus and goes on.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from callboard.actors.mailbox import LATER, Address, Delivery, Mailbox
from callboard.actors.subscriptions import Subscriptions
from callboard.actors.supervision import SupervisedActor
from callboard.limits import PAGE_BYTES
from callboard.messages import AwaitEvents, EventPage, Ping, Pong, TaskEvent, Topic
from callboard.persistence.store import Store
from callboard.signals import EventsCommitted, Tick

logger = logging.getLogger("callboard.events")


class EventBus(SupervisedActor):
    """Fans committed events out. Reads the store once for each caller that begins to wait."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        store: Store,
        subscribers: Mapping[Address, frozenset[Topic]],
        subscriptions: Subscriptions,
    ) -> None:
        super().__init__(mailbox)
        self._store = store
        self._subscriptions = subscriptions
        self._subscribers = subscribers
        self._waiting: dict[str, list[tuple[float, int, Delivery]]] = defaultdict(list)

    def setup(self) -> None:
        self._subscriptions.lose()  # what the instance before died over was told to nobody

    def receive(self, message: Any) -> Any:
        try:
            return self._receive(message)
        finally:
            # PERF: while nobody waits, commits need not wake this thread
            self.mailbox.unhurried = not self._waiting and self._subscriptions.empty

    def _receive(self, message: Any) -> Any:
        match message:
            case EventsCommitted():
                self._publish(message)
            case AwaitEvents():
                return self._await(message)
            case Tick():
                self._expire()
            case Ping():
                return Pong()
            case _:
                return super().receive(message)
        return None

    def _publish(self, commit: EventsCommitted) -> None:
        for subscriber, topics in self._subscribers.items():
            wanted = tuple(event for event in commit.events if event.topic in topics)
            if wanted and not subscriber.offer(EventsCommitted(events=wanted, ended=commit.ended)):
                logger.warning("the %s is too slow and missed %d events", subscriber.name, len(wanted))
        if not self._subscriptions.empty:
            self._subscriptions.publish(commit.events)
        if not self._waiting:
            return
        by_task: dict[str, list[TaskEvent]] = defaultdict(list)
        for event in commit.events:
            if event.task_id in self._waiting:
                by_task[event.task_id].append(event)
        for task_id, events in by_task.items():
            self._answer(task_id, events, ended=task_id in commit.ended)

    def _answer(self, task_id: str, events: list[TaskEvent], *, ended: bool) -> None:
        still_waiting = []
        for due_s, after, delivery in self._waiting.pop(task_id):
            found = [event for event in events if event.seq > after]
            new = _on_a_page(found)
            if new or ended:
                delivery.answer(EventPage(events=new, ended=ended and len(new) == len(found)))
            else:
                still_waiting.append((due_s, after, delivery))
        if still_waiting:
            self._waiting[task_id] = still_waiting

    def _await(self, message: AwaitEvents) -> Any:
        # Nothing is missed between this read and the next commit: a commit that this read does not see is
        # published to this same inbox afterwards.
        page = self._store.events(message.task_id, message.after, message.limit)
        if page.events or page.ended or message.wait_s <= 0:
            return page
        self._waiting[message.task_id].append((time.monotonic() + message.wait_s, message.after, self.hold()))
        self.wake_in(message.wait_s)
        return LATER

    def _expire(self) -> None:
        now_s = time.monotonic()
        for task_id in tuple(self._waiting):
            kept = []
            for due_s, after, delivery in self._waiting[task_id]:
                if due_s <= now_s:
                    delivery.answer(EventPage(events=(), ended=False))
                else:
                    kept.append((due_s, after, delivery))
                    self.wake_in(due_s - now_s)
            if kept:
                self._waiting[task_id] = kept
            else:
                del self._waiting[task_id]


def _on_a_page(events: list[TaskEvent]) -> tuple[TaskEvent, ...]:
    """Return the first events, one at least where there is one, as many as fit on a page; the next question finds the others."""
    sums = accumulate(event.size_bytes for event in events)
    return tuple(
        event for number, (event, size) in enumerate(zip(events, sums, strict=True)) if not number or size <= PAGE_BYTES
    )
