"""The courier: sends what webhooks have to tell, again and again for a day until it has arrived.

Deliveries are rows that the store makes in the transaction of the result they tell of; the courier is told when there
are new ones, and otherwise wakes when the next is due. It hands those that are due to the senders, which have the result
logger commit what came of each attempt, as far as the shares of receivers, sites and callers go (`delivery_lanes.py`). It
waits for no receiver and no commit. After a restart it goes on with what the store says.

A crash between sending and committing sends again, with the same `webhook-id`: at least once, never lost.
Times are the clock's UTC, kept from going back: where it jumps forward, what waits becomes due earlier by as much;
where it is set back, nothing waits longer.
"""

import logging
from datetime import datetime, timedelta
from typing import Any

from callboard.actors.delivery_schedule import sent_again, without_task
from callboard.actors.delivery_sender import AttemptOver, Senders
from callboard.actors.mailbox import Mailbox
from callboard.actors.supervision import SupervisedActor
from callboard.actors.webhook_signing import body_of
from callboard.clock import Clock
from callboard.errors import DeliveryNotFound, TaskNotFound, Unavailable
from callboard.messages.deliveries import DeliveriesDue, Redeliver, WebhookDelivery
from callboard.messages.health import Drain, Ping, Pong, Tick
from callboard.persistence.store import Reader

logger = logging.getLogger("callboard.webhooks")

_LOOK_AGAIN_S = 60.0  # a jump of the clock is noticed this late
_RETRY_S = 1.0
_A_LIFETIME = timedelta(days=36_500)

CourierMessage = DeliveriesDue | AttemptOver | Redeliver | Drain | Tick | Ping
"""What the courier understands."""


class Courier(SupervisedActor[CourierMessage]):
    """Decides what is sent when; reads the store, sends nothing itself."""

    def __init__(self, mailbox: Mailbox, *, reader: Reader, senders: Senders, clock: Clock) -> None:
        super().__init__(mailbox)
        self._reader = reader
        self._senders = senders
        self._clock = clock
        self._seen, self._seen_s = clock.now(), clock.monotonic()
        self._draining = False
        self._failing = False

    def setup(self) -> None:
        self.wake_in(0)

    def receive(self, message: CourierMessage) -> Any:
        match message:
            case DeliveriesDue() | Tick():
                pass
            case AttemptOver():
                self._senders.is_over(message)
            case Redeliver(delivery_id=delivery_id):
                self.delivery.answer(self._send_again(delivery_id))
            case Drain():
                self._draining = True
            case Ping():
                return Pong()
            case _:
                raise self.unknown(message)
        self._go_on()
        return None

    def _go_on(self) -> None:
        try:
            if not self._draining:
                self._hand_out()
        except Unavailable as error:
            if not self._failing:
                logger.warning("webhooks are put off until the store can be read: %s", error)
            self._failing = True
            self.wake_in(_RETRY_S)
        else:
            self._failing = False

    def _send_again(self, delivery_id: str) -> WebhookDelivery:
        """Have a delivery due now, whatever became of it; one that is under way is, should that attempt fail."""
        attempt = self._senders.under_way.get(delivery_id)
        if attempt is None:
            return self._senders.commit(sent_again(self._reader.delivery(delivery_id), self._now()))
        with attempt.lock:
            attempt.delivery = self._senders.commit(sent_again(attempt.delivery, self._now()))
            return attempt.delivery

    def _now(self) -> datetime:
        """Return the time, which goes on where the clock was set back: a wait of a minute must not take an hour more."""
        now_s = self._clock.monotonic()
        went_on = self._seen + timedelta(seconds=now_s - self._seen_s)
        self._seen, self._seen_s = max(self._clock.now(), went_on), now_s
        return self._seen

    def _hand_out(self) -> None:
        """Send what is due and may go, and wake when the next is due."""
        self._senders.let_go_of_the_dead()
        now = self._now()
        while lanes := self._senders.lanes():  # otherwise the next attempt to end makes us look again
            found = self._reader.due_deliveries(
                now + _A_LIFETIME, limit=1, lanes=lanes, under_way=tuple(self._senders.under_way)
            )
            if not found:
                break
            due_in_s = _seconds_until(found[0], now)
            if due_in_s > 0:
                self.wake_in(min(due_in_s, _LOOK_AGAIN_S))
                break
            if not self._send(found[0], now):
                self.wake_in(_RETRY_S)
                break
        if (look_again_s := self._senders.look_again_s()) is not None:
            self.wake_in(look_again_s)

    def _send(self, delivery: WebhookDelivery, now: datetime) -> bool:
        """Begin an attempt, or end the delivery of a task that is gone; False where there is no thread for it."""
        try:
            body = body_of(self._reader.task(delivery.task_id), delivery.topic)
        except TaskNotFound:
            try:
                self._senders.commit(without_task(delivery, now))
            except DeliveryNotFound:
                logger.info("the delivery %s was deleted with its task", delivery.delivery_id)
            return True
        return self._senders.send(delivery, body, at=now)


def _seconds_until(delivery: WebhookDelivery, now: datetime) -> float:
    """Return how long until a delivery is due, 0 or less if it is."""
    return 0.0 if delivery.next_at is None else (delivery.next_at - now).total_seconds()
