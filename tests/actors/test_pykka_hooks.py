"""The two private hooks of Pykka that `actors/supervision.py` overrides still do what it builds on."""

import threading
from typing import Any

import pykka

from callboard.actors.mailbox import Delivery, Reply


class _Inbox:
    """Records what Pykka does with an inbox."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.ready = threading.Semaphore(0)

    def put(self, envelope: Any) -> None:
        self.items.append(envelope)
        self.ready.release()

    def get(self) -> Any:
        self.ready.acquire()
        return self.items.pop(0)

    def empty(self) -> bool:
        return not self.items


class _Hooked(pykka.ThreadingActor):
    def __init__(self, inbox: _Inbox) -> None:
        self.my_inbox = inbox
        self.seen: list[Any] = []
        self.torn_down = threading.Event()
        super().__init__()

    def _create_actor_inbox(self) -> Any:  # type: ignore[override]
        return self.my_inbox

    def _actor_loop_teardown(self) -> None:
        self.torn_down.set()

    def on_receive(self, message: Any) -> Any:
        self.seen.append(message)
        if isinstance(message, Delivery) and message.payload == "crash":
            raise ValueError("crash")
        return None


def _start(inbox: _Inbox) -> _Hooked:
    actor = _Hooked(inbox)
    actor._start_actor_loop()
    return actor


def test_pykka_reads_the_inbox_that_the_instance_gives_it() -> None:
    inbox = _Inbox()
    actor = _start(inbox)
    actor.actor_ref.tell("hello")
    actor.actor_ref.stop(timeout=5)
    assert actor.actor_inbox is inbox
    assert actor.seen == ["hello"]


def test_pykka_hands_our_delivery_to_on_receive_as_it_is() -> None:
    inbox = _Inbox()
    actor = _start(inbox)
    delivery = Delivery("payload", Reply())
    inbox.put(delivery)
    actor.actor_ref.stop(timeout=5)
    assert actor.seen[0] is delivery
    assert delivery.reply is not None, "Pykka must not answer for us"


def test_a_crash_ends_the_loop_and_leaves_the_rest_of_the_inbox_to_us() -> None:
    inbox = _Inbox()
    inbox.put(Delivery("crash"))
    inbox.put(Delivery("left"))
    actor = _start(inbox)
    assert actor.torn_down.wait(5)
    assert [envelope.payload for envelope in inbox.items] == ["left"]
    assert not actor.actor_ref.is_alive()
