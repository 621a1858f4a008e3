"""The thin layer over Pykka: actors whose crashes are contained, and the supervisor that restarts them.

An error of Callboard's own tree, raised while answering an ask, is an answer. Anything else, `SystemExit`
included, is a crash: the asker gets `ActorCrashed`, the actor's thread ends, and the supervisor starts a fresh
instance on the same mailbox. After `MAX_RESTARTS` within `RESTART_WINDOW_S` it gives the actor up, closes the
mailbox and says so to health.

Overrides two private hooks of Pykka (`_create_actor_inbox`, `_actor_loop_teardown`); tests/actors/test_pykka_hooks.py
holds them to their contract, and setup.cfg pins pykka<5.
"""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, Never

import pykka
from structlog.contextvars import bound_contextvars
from typing_extensions import TypeVar

from callboard.actors.mailbox import LATER, Address, Delivery, Mailbox
from callboard.errors import ActorCrashed, ActorStopped, CallboardError, InvalidRequest, Unavailable

logger = logging.getLogger("callboard.supervisor")

M = TypeVar("M", default=Any)

MAX_RESTARTS = 3
RESTART_WINDOW_S = 5.0
SETUP_AGAIN_S = 0.5
_GIVE_UP_S, _STOP_ALL_S = 0.5, 10.0


class _CrashError(Exception):
    """Carries any exception, `SystemExit` too, through Pykka's loop as one that stops this actor only."""


class SupervisedActor(pykka.ThreadingActor, Generic[M]):
    """An actor that handles one message at a time in its own thread; `M` are the messages that it understands.

    Subclasses define `receive`, and may define `setup` and `teardown`; all three run in the actor's thread.
    `self.delivery` is what is being handled.
    """

    use_daemon_thread = True  # an ordered shutdown is the wiring's job; a stuck actor must not keep the process

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.delivery = Delivery(None)
        self.died: Callable[[BaseException, str | None], None] = lambda _error, _request_id: None
        self.begins: Callable[[], None] = lambda: None
        super().__init__()

    def setup(self) -> None:
        """Prepare before the first message; a restart calls it again."""

    def receive(self, message: M) -> Any:
        """Handle one message; return the reply, or `LATER` after keeping or forwarding the delivery."""
        raise NotImplementedError

    def unknown(self, message: Never) -> InvalidRequest:
        """Return what ends a `match` over `M`: the type checker sees that all are handled; what comes all the same has a name.

        It answers who asked; where it was told, nobody hears it, and the actor crashes.
        """
        what: str = message.__name__ if isinstance(message, type) else type(message).__name__
        return InvalidRequest(f"The {self.mailbox.name} does not understand {what}; ask it with one of its messages.")

    def teardown(self) -> None:
        """Clean up after the last message of an ordered stop."""

    def hold(self) -> Delivery:
        """Keep the delivery being handled for a later answer; the handler then returns `LATER`."""
        self.delivery.hold(self.mailbox)
        return self.delivery

    def wake_in(self, delay_s: float) -> None:
        """Have a `Tick` delivered after `delay_s` seconds, or earlier if one is due earlier."""
        at = time.monotonic() + max(0.0, delay_s)
        self.mailbox.wake_at = at if self.mailbox.wake_at is None else min(at, self.mailbox.wake_at)

    # --- Pykka's side ---

    def _create_actor_inbox(self) -> Any:  # type: ignore[override]  # Pykka has it static; ours is the address's inbox
        return self.mailbox

    def _actor_loop_teardown(self) -> None:
        """Leave the mailbox as it is: the next incarnation reads on, or the wiring closes it."""

    def on_start(self) -> None:
        try:
            self.begins()
            while not self._set_up():  # the store is away: to crash would only have it given up
                if self.actor_stopped.wait(SETUP_AGAIN_S):
                    return
        except BaseException as error:  # noqa: BLE001  # SystemExit from a hook must not stop every actor
            self.actor_stopped.set()
            self._crashed(error)

    def _set_up(self) -> bool:
        try:
            self.setup()
        except Unavailable as error:
            logger.warning("the %s cannot begin yet: %s", self.mailbox.name, error)
            return False
        return True

    def on_receive(self, delivery: Delivery) -> None:
        self.delivery = delivery
        try:
            reply = self.receive(delivery.payload)
        except CallboardError as error:
            if delivery.reply is None:
                raise _CrashError(error) from error
            delivery.fail(error)
        except BaseException as error:
            name = type(delivery.payload).__name__
            delivery.fail(
                ActorCrashed(f"The {self.mailbox.name} crashed while it worked on {name}; it is being restarted.")
            )
            raise _CrashError(error) from error
        else:
            self.mailbox.busy = False  # before the answer: the asker's next question is to find it free
            if reply is not LATER:
                delivery.answer(reply)

    def on_stop(self) -> None:
        self.teardown()

    def on_failure(
        self,
        _exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._crashed((exception_value and exception_value.__cause__) or exception_value or RuntimeError("unknown"))

    def _crashed(self, error: BaseException) -> None:
        self.mailbox.fail_held(ActorCrashed(f"The {self.mailbox.name} crashed and is being restarted; try again."))
        self.died(error, self.delivery.request_id)


@dataclass(slots=True, kw_only=True)
class _Child:
    address: Address[Any]
    make: Callable[[Mailbox], SupervisedActor[Any]]
    begins: Callable[[], None]
    ref: "pykka.ActorRef[Any] | None" = None
    stopped: bool = False
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_RESTARTS + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class _ChildDied:
    name: str
    error: BaseException
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stop:
    name: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class _StopAll:
    pass


class Supervisor:
    """Starts actors, restarts those that crash, gives up those that keep crashing, stops all in order.

    Its own work is done in the thread of one plain Pykka actor, so that two deaths never race.
    """

    def __init__(self, *, on_give_up: Callable[[str, BaseException], None] = lambda _name, _error: None) -> None:
        self._worker = _SupervisorActor.start(on_give_up)

    def start(
        self,
        address: Address[M],
        make: Callable[[Mailbox], SupervisedActor[M]],
        *,
        begins: Callable[[], None] = lambda: None,
    ) -> None:
        """Start an actor behind `address`; `make` builds each of its incarnations, whose thread calls `begins` first."""
        self._worker.ask(_Child(address=address, make=make, begins=begins), timeout=30)

    def stop(self, address: Address[Any], *, timeout_s: float) -> bool:
        """Let an actor finish its queue, stop it and close its mailbox; False if it did not end in time."""
        try:
            return bool(self._worker.ask(_Stop(name=address.name, timeout_s=timeout_s), timeout=timeout_s + 5))
        except (pykka.Timeout, pykka.ActorDeadError):
            address.mailbox.close()
            return False

    def stop_all(self) -> None:
        """Stop the actors that were started before a start failed, and end; what they were told is dropped."""
        with contextlib.suppress(pykka.Timeout, pykka.ActorDeadError):
            self._worker.ask(_StopAll(), timeout=_STOP_ALL_S)
        self.close()

    def close(self) -> None:
        """End the supervisor itself."""
        self._worker.stop(block=True, timeout=5)


class _SupervisorActor(pykka.ThreadingActor):
    """The supervisor's thread. Invariant: nothing raised in here leaves `on_receive` but as a reply."""

    use_daemon_thread = True

    def __init__(self, on_give_up: Callable[[str, BaseException], None]) -> None:
        super().__init__()
        self._children: dict[str, _Child] = {}
        self._on_give_up = on_give_up

    def on_receive(self, message: _Child | _ChildDied | _Stop | _StopAll) -> Any:
        match message:
            case _Child():
                self._children[message.address.name] = message
                self._start(message)
                return None
            case _ChildDied(name=name, error=error, request_id=request_id):
                # SECURITY: and not the caller, whose id is made of its key: whoever reads the log could try guesses
                over = {} if request_id is None else {"request_id": request_id}
                try:
                    with bound_contextvars(**over):
                        self._child_died(self._children[name], error)
                except BaseException:
                    logger.exception("the supervisor could not handle the death of the %s", name)
                return None
            case _Stop(name=name, timeout_s=timeout_s):
                return self._stop_child(self._children[name], timeout_s)
            case _StopAll():
                return [self._stop_child(child, _GIVE_UP_S) for child in self._children.values()]

    def _start(self, child: _Child) -> None:
        actor = child.make(child.address.mailbox)
        myself, name = self.actor_ref, child.address.name

        def died(error: BaseException, request_id: str | None) -> None:
            try:
                myself.tell(_ChildDied(name=name, error=error, request_id=request_id))
            except pykka.ActorDeadError:
                child.address.mailbox.close()

        actor.died, actor.begins = died, child.begins
        pykka.ActorRegistry.register(actor.actor_ref)
        child.ref = actor.actor_ref
        actor._start_actor_loop()  # what Actor.start() does, with the instance built by us

    def _child_died(self, child: _Child, error: BaseException) -> None:
        if child.stopped:  # it died while it was being stopped; its mailbox is closed
            return
        name, now = child.address.name, time.monotonic()
        child.deaths.append(now)
        recent = [at for at in child.deaths if now - at <= RESTART_WINDOW_S]
        if len(recent) > MAX_RESTARTS:
            self._give_up(child, error)
            return
        logger.error("the %s crashed (%s: %s); restarting it", name, type(error).__name__, error)
        try:
            self._start(child)
        except BaseException as again:  # noqa: BLE001  # its constructor failed: that is one more death
            self._child_died(child, again)

    def _give_up(self, child: _Child, error: BaseException) -> None:
        name = child.address.name
        logger.critical("the %s crashed more than %d times in %g s; giving it up", name, MAX_RESTARTS, RESTART_WINDOW_S)
        child.ref = None
        child.address.mailbox.close(
            ActorStopped(f"The {name} keeps crashing and was given up; restart the server. Its log says why.")
        )
        self._on_give_up(name, error)

    def _stop_child(self, child: _Child, timeout_s: float) -> bool:
        stopped = child.stopped = True
        if child.ref is not None and child.ref.is_alive():
            try:
                child.ref.stop(block=True, timeout=timeout_s)
            except pykka.Timeout:
                stopped = False
                child.ref.actor_stopped.set()  # its loop ends with the message it is at; closing drops our request
        child.address.mailbox.close()
        return stopped
