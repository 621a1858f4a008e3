"""The inbox that outlives its actor, and the address in front of it."""

import threading
from dataclasses import dataclass
from typing import Any

import pytest
from pykka import ThreadingFuture
from pykka._envelope import Envelope

from callboard.actors.mailbox import Address, Delivery, Mailbox
from callboard.errors import ActorStopped, Overloaded, ReplyTimeout
from callboard.messages.ask import Ask
from callboard.messages.health import Ping, Tick
from callboard.principal import PROCESS, Principal


@dataclass(frozen=True, slots=True)
class Do(Ask[Any]):
    """Ask for what a test has in mind."""

    what: Any


def test_a_full_inbox_refuses_an_ask_and_says_its_limit() -> None:
    address = Address(Mailbox("gateway", 2))
    address.ask_later(Do(1))
    address.ask_later(Do(2))
    with pytest.raises(Overloaded, match="gateway's inbox holds its limit of 2"):
        address.ask(Do(3), timeout_s=1)


def test_a_full_inbox_still_takes_what_something_else_bounds() -> None:
    mailbox = Mailbox("logger", 1)
    Address(mailbox).ask_later(Do(1))
    Address(mailbox).tell("result")
    assert len(mailbox) == 2


def test_an_offer_to_a_full_inbox_is_lost_and_says_so() -> None:
    address = Address(Mailbox("subscriber", 1))
    assert address.offer(1)
    assert not address.offer(2)


def test_an_ask_that_nobody_answers_ends_after_its_timeout() -> None:
    with pytest.raises(ReplyTimeout, match=r"The gateway did not answer Ping within 0\.01 s"):
        Address(Mailbox("gateway", 5)).ask(Ping(), timeout_s=0.01)


def test_closing_answers_what_is_inside() -> None:
    mailbox = Mailbox("gateway", 5)
    future = Address(mailbox).ask_later(Do(1))
    mailbox.close()
    with pytest.raises(ActorStopped):
        future.get(timeout_s=30)


def test_closing_answers_what_was_kept_for_later() -> None:
    mailbox = Mailbox("gateway", 5)
    future = Address(mailbox).ask_later(Do(1))
    mailbox.get().hold(mailbox)
    mailbox.close()
    with pytest.raises(ActorStopped):
        future.get(timeout_s=30)


def test_a_closed_inbox_refuses_at_once() -> None:
    mailbox = Mailbox("gateway", 5)
    mailbox.close()
    with pytest.raises(ActorStopped, match="has been stopped"):
        Address(mailbox).tell(1)


def test_no_ask_is_left_hanging_when_the_inbox_closes_while_others_put() -> None:
    for _ in range(50):
        mailbox = Mailbox("gateway", 10_000)
        address = Address(mailbox)
        start = threading.Barrier(5)
        outcomes: list[str] = []

        def ask(address: Address = address, start: threading.Barrier = start, outcomes: list[str] = outcomes) -> None:
            start.wait()
            for _ in range(20):
                try:
                    address.ask(Do(1), timeout_s=30)
                except ActorStopped:
                    outcomes.append("stopped")

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        start.wait()
        mailbox.close()
        for thread in threads:
            thread.join(10)
        assert outcomes == ["stopped"] * 80


def test_the_inbox_delivers_a_tick_when_nothing_else_comes() -> None:
    mailbox = Mailbox("monitor", 5)
    mailbox.wake_at = 0.0
    assert isinstance(mailbox.get().payload, Tick)
    assert mailbox.wake_at is None


def test_a_delivery_is_answered_only_once() -> None:
    mailbox = Mailbox("gateway", 5)
    future = Address(mailbox).ask_later(Do(1))
    delivery: Delivery = mailbox.get()
    delivery.answer("first")
    delivery.answer("second")
    delivery.fail(ValueError("third"))
    assert future.get(timeout_s=30) == "first"


def test_what_is_put_soon_comes_before_what_the_same_thread_puts_afterwards() -> None:
    mailbox = Mailbox("logger", 100)
    address = Address(mailbox)
    for number in range(5):
        address.tell_soon(f"event {number}")
    address.tell("result")
    assert [mailbox.get().payload for _ in range(6)] == [*(f"event {n}" for n in range(5)), "result"]


def test_what_is_told_next_stays_in_order_with_what_is_told_soon_and_waits_for_nothing() -> None:
    mailbox = Mailbox("logger", 100)
    address = Address(mailbox)
    address.tell_soon("started")
    assert mailbox.get().payload == "started"  # from here on, what is told soon wakes nobody
    before = len(mailbox)
    address.tell_next("completed")
    assert len(mailbox) == before + 2, "it comes with what wakes the actor"
    address.tell_soon("step over")
    address.tell("result")
    assert [mailbox.get().payload for _ in range(3)] == ["completed", "step over", "result"]


def test_what_is_put_soon_arrives_although_nothing_follows_it() -> None:
    mailbox = Mailbox("logger", 100)
    address = Address(mailbox)
    address.tell_soon("first")
    assert mailbox.get().payload == "first"
    address.tell_soon("second")  # the first has the mailbox look again by itself; this one wakes nobody
    assert mailbox.get().payload == "second"
    mailbox.wake_at = 0.0
    assert isinstance(mailbox.get().payload, Tick)


def test_with_many_threads_nothing_is_lost_and_what_is_put_soon_is_never_late() -> None:
    mailbox = Mailbox("logger", 10**6)
    address = Address(mailbox)

    def work(worker: int) -> None:
        for number in range(300):
            for step in range(3):
                address.tell_soon((worker, number, step))
            address.tell((worker, number, 3))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    got = [mailbox.get().payload for _ in range(6 * 300 * 4)]
    for thread in threads:
        thread.join(10)
    for worker in range(6):
        mine = [(number, step) for who, number, step in got if who == worker]
        soon = [entry for entry in mine if entry[1] < 3]
        told = [entry for entry in mine if entry[1] == 3]
        assert soon == [(number, step) for number in range(300) for step in range(3)]
        assert told == [(number, 3) for number in range(300)]
        for number in range(300):
            assert mine.index((number, 2)) < mine.index((number, 3))


def test_an_inbox_that_is_closed_keeps_the_request_to_stop_for_an_actor_that_comes_to_wait_at_it() -> None:
    mailbox, answered = Mailbox("sender", 10), ThreadingFuture[None]()
    mailbox.put(Envelope("stop", answered))
    late = Address(mailbox).ask_later(Ping())
    mailbox.close()
    with pytest.raises(ActorStopped):
        late.get(timeout_s=30)
    assert answered.get(timeout=1) is None
    assert mailbox.get().message == "stop"


@pytest.mark.parametrize("urgent", [True, False])
def test_who_asks_and_the_requests_id_go_with_a_message_wherever_it_is_sent_on(urgent: bool) -> None:
    alice, first, second = Principal(id="alice"), Mailbox("gateway", 5), Mailbox("logger", 5)
    reply = Address(first).ask_later(Do(1), principal=alice, request_id="r")
    delivery = first.get()
    Address(second).forward(delivery, Do(2), urgent=urgent)
    sent_on = second.get()
    assert (sent_on.payload, sent_on.principal, sent_on.request_id) == (Do(2), alice, "r")
    assert delivery.answered
    sent_on.answer("done")
    assert reply.get(timeout_s=30) == "done"


def test_what_is_told_and_what_nobody_is_named_for_is_the_processs_own() -> None:
    mailbox = Mailbox("logger", 5)
    Address(mailbox).tell(Do(1))
    Address(mailbox).ask_later(Do(2))
    mailbox.wake_at = 0.0
    for delivery in (mailbox.get(), mailbox.get(), mailbox.get()):
        assert (delivery.principal, delivery.request_id) == (PROCESS, None)
