"""The courier: sends what webhooks have to tell, again and again for a day until it has arrived.

Deliveries are rows that the store makes in the transaction of the result they tell of; the courier is told when there
are new ones, and otherwise wakes when the next is due. It hands those that are due to free senders, at most
`MOST_FOR_ONE` of one receiver at a time, and has the result logger commit what came of each attempt before anything
else is done with it. After a restart it goes on with what the store says.

A crash between sending and committing sends again, with the same `webhook-id`: at least once, never lost.
Times are the clock's UTC, kept from going back: where it jumps forward, what waits becomes due earlier by as much;
where it is set back, nothing waits longer.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from callboard.actors.delivery_schedule import after_attempt, sent_again, without_task
from callboard.actors.delivery_sender import DeliveryAttempted, SendDelivery
from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.supervision import SupervisedActor
from callboard.clock import Clock
from callboard.deliveries import DeliveriesDue, Redeliver, WebhookDelivery, receiver_of
from callboard.errors import ActorStopped, DeliveryNotFound, TaskNotFound, Unavailable
from callboard.messages import Ping, Pong, TaskRecord
from callboard.persistence.store import Store
from callboard.records import RecordDelivery
from callboard.signals import Drain, Tick

logger = logging.getLogger("callboard.webhooks")

SENDERS = 4
"""How many deliveries are sent at once."""

MOST_FOR_ONE = SENDERS // 2
"""How many of them to one receiver, so that a slow one leaves senders to the others."""

_LOOK_AGAIN_S = 60.0  # a jump of the clock, or the loss of a sender, is noticed this late
_RETRY_S = 1.0
_A_LIFETIME = timedelta(days=36_500)


@dataclass(slots=True)
class Rounds:
    """What is under way, by the sender's name, and attempts that are not committed; outlives a crash of the courier."""

    under_way: dict[str, WebhookDelivery] = field(default_factory=dict)
    uncommitted: list[DeliveryAttempted] = field(default_factory=list)


class Courier(SupervisedActor):
    """Decides what is sent when; reads the store, sends nothing itself."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        store: Store,
        rounds: Rounds,
        clock: Clock,
        result_logger: Address,
        senders: Mapping[str, Address],
        ask_timeout_s: float,
    ) -> None:
        super().__init__(mailbox)
        self._store = store
        self._rounds = rounds
        self._clock = clock
        self._seen, self._seen_s = clock.now(), clock.monotonic()
        self._result_logger = result_logger
        self._senders = dict(senders)
        self._ask_timeout_s = ask_timeout_s
        self._draining = False
        self._failing = False

    def setup(self) -> None:
        self.wake_in(0)

    def receive(self, message: Any) -> Any:
        match message:
            case DeliveriesDue() | Tick():
                pass
            case DeliveryAttempted():
                self._rounds.under_way.pop(message.sender, None)
                self._rounds.uncommitted.append(message)
            case Redeliver(delivery_id=delivery_id):
                again = self._commit(sent_again(self._store.delivery(delivery_id), self._now()))
                self.delivery.answer(again)
            case Drain():
                self._draining = True
            case Ping():
                return Pong()
            case _:
                return super().receive(message)
        self._go_on()
        return None

    def _go_on(self) -> None:
        try:
            while self._rounds.uncommitted:
                self._learn(self._rounds.uncommitted.pop(0))
            if not self._draining:
                self._hand_out()
        except Unavailable as error:
            if not self._failing:
                logger.warning("webhooks are put off until the store takes them: %s", error)
            self._failing = True
            self.wake_in(_RETRY_S)
        else:
            self._failing = False

    def _learn(self, attempt: DeliveryAttempted) -> None:
        """Have committed what an attempt came to; keep it where the store is not to be had."""
        try:
            # read now: it may have been sent again by hand meanwhile
            delivery = self._store.delivery(attempt.delivery_id)
            self._commit(after_attempt(delivery, attempt, self._now()))
        except DeliveryNotFound:
            return  # retention has deleted it with its task
        except Unavailable:
            self._rounds.uncommitted.insert(0, attempt)
            raise
        if attempt.error is not None:
            logger.info("the delivery %s was not taken: %s", attempt.delivery_id, attempt.error)

    def _commit(self, delivery: WebhookDelivery) -> WebhookDelivery:
        kept: WebhookDelivery = self._result_logger.ask(
            RecordDelivery(delivery=delivery), timeout_s=self._ask_timeout_s
        )
        return kept

    def _now(self) -> datetime:
        """Return the time, which goes on where the clock was set back: a wait of a minute must not take an hour more."""
        now_s = self._clock.monotonic()
        went_on = self._seen + timedelta(seconds=now_s - self._seen_s)
        self._seen, self._seen_s = max(self._clock.now(), went_on), now_s
        return self._seen

    def _hand_out(self) -> None:
        """Give what is due to senders that are free, and wake when the next is due."""
        self._let_go_of_the_given_up()
        under_way = self._rounds.under_way
        now = self._now()
        while len(under_way) < len(self._senders):  # otherwise the next sender to come back makes us look again
            delivery = self._next(now)
            if delivery is None:
                break
            due_in_s = _seconds_until(delivery, now)
            if due_in_s > 0:
                self.wake_in(min(due_in_s, _LOOK_AGAIN_S))
                break
            task = self._task_of(delivery, now)
            if task is not None:
                self._send(delivery, task)
        if under_way:
            self.wake_in(_LOOK_AGAIN_S)  # nobody tells us of a sender that is given up

    def _let_go_of_the_given_up(self) -> None:
        """Take back what senders had that the supervisor has given up meanwhile; health says so."""
        for name, sender in tuple(self._senders.items()):
            if sender.mailbox.closed:
                del self._senders[name]
                self._rounds.under_way.pop(name, None)

    def _next(self, now: datetime) -> WebhookDelivery | None:
        """Return what is to be tried next, now or later, of the receivers that may have one more sender."""
        under_way = self._rounds.under_way.values()
        senders = Counter(receiver_of(delivery.url) for delivery in under_way)
        found = self._store.due_deliveries(
            now + _A_LIFETIME,
            limit=1,
            without=[receiver for receiver, count in senders.items() if count >= MOST_FOR_ONE],
            under_way=[delivery.delivery_id for delivery in under_way],
        )
        return found[0] if found else None

    def _task_of(self, delivery: WebhookDelivery, now: datetime) -> TaskRecord | None:
        """Return the task to tell of, or end the delivery of one that is gone."""
        try:
            return self._store.task(delivery.task_id)
        except TaskNotFound:
            pass
        try:
            self._commit(without_task(delivery, now))
        except DeliveryNotFound:
            logger.info("the delivery %s was deleted with its task", delivery.delivery_id)
        return None

    def _send(self, delivery: WebhookDelivery, task: TaskRecord) -> None:
        """Give a delivery to the first free sender that is there."""
        under_way = self._rounds.under_way
        for name, sender in tuple(self._senders.items()):
            if name in under_way:
                continue
            under_way[name] = delivery
            try:
                sender.tell(SendDelivery(delivery=delivery, record=task))
            except ActorStopped:  # the supervisor has given it up, and health says so
                del under_way[name], self._senders[name]
            else:
                return


def _seconds_until(delivery: WebhookDelivery, now: datetime) -> float:
    """Return how long until a delivery is due, 0 or less if it is."""
    return 0.0 if delivery.next_at is None else (delivery.next_at - now).total_seconds()
