"""The event bus: tells subscribers and followers what has just been committed, and those who wait that their time is up.

Subscribers are actors, each with the topics it wants; it is offered each commit once, and one whose inbox is full
misses it and can read the log. Streams have their place in `subscriptions.py`, askers that wait in `waiters.py`: what they wait for
they hear from the result logger, and at the end of their time, from a history reader, how things stand.
Nothing here slows a task: the result logger tells the bus and goes on.
"""

import logging
from collections.abc import Mapping

from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.readers import Readers
from callboard.actors.subscriptions import Subscriptions
from callboard.actors.supervision import SupervisedActor
from callboard.actors.waiters import Waiter, Waiters
from callboard.errors import Unavailable
from callboard.messages.events import EventPage, EventsCommitted, Topic
from callboard.messages.health import Ping, Pong, Tick
from callboard.messages.tasks import GetTask

logger = logging.getLogger("callboard.events")

EventBusMessage = EventsCommitted | Tick | Ping
"""What the event bus understands."""


class EventBus(SupervisedActor[EventBusMessage]):
    """Fans committed events out, and keeps the time of those who wait."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        readers: Readers,
        subscribers: Mapping[Address[EventsCommitted], frozenset[Topic]],
        subscriptions: Subscriptions,
        waiters: Waiters,
    ) -> None:
        super().__init__(mailbox)
        self._readers = readers
        self._subscriptions = subscriptions
        self._subscribers = subscribers
        self._waiters = waiters

    def setup(self) -> None:
        self._subscriptions.lose()  # what the instance before died over was told to nobody
        self._keep_time()

    def receive(self, message: EventBusMessage) -> Pong | None:
        try:
            return self._receive(message)
        finally:
            self._keep_time()
            # PERF: while nobody follows, commits need not wake this thread
            self.mailbox.unhurried = self._subscriptions.empty

    def _receive(self, message: EventBusMessage) -> Pong | None:
        match message:
            case EventsCommitted():
                self._publish(message)
            case Tick():
                for waiter in self._waiters.expired():
                    self._say_how_it_stands(waiter)
            case Ping():
                return Pong()
            case _:
                raise self.unknown(message)
        return None

    def _keep_time(self) -> None:
        if (due_in_s := self._waiters.due_in_s()) is not None:
            self.wake_in(due_in_s)

    def _publish(self, commit: EventsCommitted) -> None:
        for subscriber, topics in self._subscribers.items():
            wanted = tuple(event for event in commit.events if event.topic in topics)
            if wanted and not subscriber.offer(EventsCommitted(events=wanted, ended=commit.ended)):
                logger.warning("the %s is too slow and missed %d events", subscriber.name, len(wanted))
        self._subscriptions.publish(commit.events)

    def _say_how_it_stands(self, waiter: Waiter) -> None:
        if waiter.after is not None:
            waiter.delivery.answer(EventPage(events=(), ended=False))
            return
        try:
            self._readers.forward(waiter.delivery, GetTask(task_id=waiter.task_id))
        except Unavailable as error:
            waiter.delivery.fail(error)
