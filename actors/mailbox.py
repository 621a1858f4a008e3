"""The bounded, closable inbox that outlives its actor, and the stable address in front of it.

Pykka's own inbox is an unbounded queue that dies with its actor: what was queued vanishes, and an ask that slips
in afterwards waits for ever. Here the inbox belongs to the address. A restarted actor goes on reading it, and
closing it answers everything inside and everything that still comes.

Threads: `put` and the methods of `Address` are called from any thread; `get` and `Delivery`'s answers by the
actor's thread. Imported by `actors/` and the wiring only.
"""

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Protocol

from typing_extensions import TypeVar

from callboard.errors import ActorStopped, CallboardError, Overloaded, ReplyTimeout
from callboard.messages.ask import Asked
from callboard.messages.health import Tick
from callboard.principal import PROCESS, Principal

R = TypeVar("R")
M_contra = TypeVar("M_contra", contravariant=True, default=Any)

LATER: Any = object()
"""What a handler returns when it has kept or forwarded the delivery and the reply comes later."""

SOON_S = 0.02
"""Longest time a message put with `put_soon` waits for company, in seconds."""

_LOOK: Any = object()


class Reply(Generic[R]):
    """The place where the reply to one ask, an `R`, arrives; set once, by any thread.

    PERF: Pykka's future is a condition: whoever is notified wakes up only to wait for its lock. A lock that is released
    when the reply is there wakes a waiting thread once: making, setting and getting takes 1.0 µs instead of 3.1, an ask
    across two threads 66 µs instead of 75 (20,000 of each, CPython 3.11).
    """

    __slots__ = ("_arrived", "_error", "_value")

    def __init__(self) -> None:
        self._arrived = threading.Lock()  # held until the reply is there; guards nothing else
        self._arrived.acquire()
        self._value: Any = None
        self._error: BaseException | None = None

    def set(self, value: R) -> None:
        self._value = value
        self._announce()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._announce()

    def _announce(self) -> None:
        # closing a mailbox may fail a delivery that its actor answers at the same instant: the first one counts
        with contextlib.suppress(RuntimeError):
            self._arrived.release()

    def get(self, *, timeout_s: float) -> R:
        """Return the reply or raise the error it is; raise `TimeoutError` if there is none in time."""
        if not self._arrived.acquire(timeout=timeout_s):
            raise TimeoutError
        self._arrived.release()
        if self._error is not None:
            raise self._error
        value: R = self._value
        return value


class ReplyThen(Reply[R]):
    """A place for a reply that also calls `then` with it, in the thread that answers, which it must not hold up."""

    __slots__ = ("_then",)

    def __init__(self, then: Callable[[Any, BaseException | None], None]) -> None:
        super().__init__()
        self._then = then

    def _announce(self) -> None:
        super()._announce()
        self._then(self._value, self._error)


class Suspension(Protocol):
    """How an asker waits that has no thread to itself: `http/greenlets.py` has it."""

    def resume(self) -> None:
        """End the wait, or have it end at once where it has not begun; any thread, any number of times."""

    def wait(self, timeout_s: float) -> None:
        """Return at `resume`, or after `timeout_s` seconds."""


class Delivery:
    """The envelope of one message on its way: who asks, under which request's id, and the place for the reply.

    `reply` is None where it was told, not asked. What is told is the server's own, so it comes from `PROCESS`.

    Pykka's loop takes it apart: it sees the delivery itself as the message and no reply, so that replying, and containing
    what a handler raises, is ours.
    """

    __slots__ = ("_mailbox", "payload", "principal", "reply", "request_id")
    reply_to = None

    def __init__(
        self,
        payload: Any,
        reply: Reply[Any] | None = None,
        *,
        principal: Principal = PROCESS,
        request_id: str | None = None,
    ) -> None:
        self.payload = payload
        self.reply = reply
        self.principal = principal
        self.request_id = request_id
        self._mailbox: Mailbox | None = None

    def carrying(self, payload: Any) -> "Delivery":
        """Return an envelope from the same asker with another message; the reply is due from whoever gets it, so `release` this one."""
        return Delivery(payload, self.reply, principal=self.principal, request_id=self.request_id)

    @property
    def message(self) -> "Delivery":
        return self

    def hold(self, mailbox: "Mailbox") -> None:
        """Keep the delivery for a later answer; it is failed if the actor dies first."""
        self._mailbox = mailbox
        mailbox.held.add(self)

    def answer(self, value: Any) -> None:
        """Send the reply. A delivery that was told, or is answered already, takes it silently."""
        reply = self.release()
        if reply is not None:
            reply.set(value)

    def fail(self, error: BaseException) -> None:
        """Raise `error` in the asker."""
        reply = self.release()
        if reply is not None:
            reply.fail(error)

    @property
    def answered(self) -> bool:
        return self.reply is None

    def release(self) -> Reply[Any] | None:
        """Let go of the place for the reply, and return it: somebody else answers, or now."""
        if self._mailbox is not None:
            self._mailbox.held.discard(self)
        reply, self.reply = self.reply, None
        return reply


class Mailbox:
    """A first-in-first-out inbox of at most about `limit` messages; Pykka reads it through `get` and `empty`.

    `wake_at` is a time of `time.monotonic`: `get` returns a `Tick` then, even if nothing arrives. Set by the
    actor's thread.

    What is put with `put_soon` does not wake the actor each time: the first wakes it, and what follows waits up to
    `SOON_S` for something that does. PERF: waking a thread costs 20 to 30 µs and a fight for the interpreter lock;
    a task's events, put this way, wake the result logger once instead of five times.
    """

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self.limit = limit
        self.wake_at: float | None = None
        self.busy = False  # set by the actor's thread: whether it is at work on what it took last
        self.unhurried = False  # set by the actor's thread while what it is notified of may wait for `SOON_S`
        # Invariant: only the actor's thread, or the supervisor's while there is no such thread, changes `held`.
        self.held: set[Delivery] = set()
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._taken: Any = None
        self._soon: deque[Any] = deque()
        self._soon_at: float | None = None  # when to look at `_soon` without being woken
        self._soon_watched = False
        self._closed: CallboardError | None = None

    def put(self, envelope: Any, *, urgent: bool = True) -> None:
        """Queue an envelope; never waits. Raises `Overloaded` when full, unless urgent, and `ActorStopped` when closed.

        Urgent messages are those whose number something else bounds (results of admitted tasks, replies).
        # Invariant: the queue holds at most `limit` + the number of threads putting at once of the other kind.
        """
        if self._closed is not None:
            raise self._closed
        if not urgent and self._queue.qsize() >= self.limit:
            raise Overloaded(f"The {self.name}'s inbox holds its limit of {self.limit} messages; try again shortly.")
        self._queue.put(envelope)
        if self._closed is not None:  # closed in between: whoever sees it empties the queue, so nothing is left
            self._refuse_all(self._closed)

    def put_soon(self, envelope: Any, *, wake: bool = False) -> None:
        """Queue an envelope that is in no hurry, or with `wake` is, in front of whatever the same thread puts afterwards.

        What is queued so keeps its order; it may overtake what other threads, or this one, have put before.
        """
        if self._closed is not None:
            raise self._closed
        self._soon.append(envelope)
        if wake or not self._soon_watched:
            self._soon_watched = True
            self._queue.put(_LOOK)

    def get(self) -> Any:
        """Return the next envelope, or a `Tick` when `wake_at` comes first."""
        self.busy = False
        envelope = self._get()
        self.busy = True
        return envelope

    def _get(self) -> Any:
        while True:
            # Invariant: what a thread put soon comes before what it put later. So `_soon` is looked at once more
            # after an envelope has been taken from the queue, and before it is returned.
            if self._soon:
                return self._soon.popleft()
            if self.wake_at is not None and time.monotonic() >= self.wake_at:
                self.wake_at = None
                return Delivery(Tick())
            if self._taken is not None:
                envelope, self._taken = self._taken, None
                return envelope
            envelope = self._next()
            if envelope is _LOOK:
                self._soon_at = time.monotonic() + SOON_S
            elif envelope is not None:
                self._taken = envelope
            elif self._soon_at is not None and time.monotonic() >= self._soon_at:
                self._look_again()

    def _next(self) -> Any:
        """Return the next envelope of the queue, or None when it is time for something else."""
        times = [at for at in (self.wake_at, self._soon_at) if at is not None]
        if not times:
            return self._queue.get()
        try:
            return self._queue.get(timeout=max(0.0, min(times) - time.monotonic()))
        except queue.Empty:
            return None

    def _look_again(self) -> None:
        """Go on watching `_soon` while things come; otherwise have the next one wake us."""
        if self._soon:
            self._soon_at = time.monotonic() + SOON_S
            return
        self._soon_at = None
        self._soon_watched = False  # whoever appends from now on puts a `_LOOK`; `get` looks once more before it waits

    def empty(self) -> bool:
        return len(self) == 0

    @property
    def closed(self) -> bool:
        """Whether everything is refused from now on: the actor has been stopped, or given up."""
        return self._closed is not None

    def __len__(self) -> int:
        return self._queue.qsize() + len(self._soon) + (self._taken is not None)

    def fail_held(self, error: CallboardError) -> None:
        """Fail every delivery the dead actor had kept."""
        for delivery in tuple(self.held):
            delivery.fail(error)

    def close(self, error: CallboardError | None = None) -> None:
        """Refuse what comes from now on, and answer what is inside, with `error`. May be called twice."""
        self._closed = error or ActorStopped(f"The {self.name} has been stopped; start the server again.")
        self._refuse_all(self._closed)
        if isinstance(self._taken, Delivery):
            self._taken.fail(self._closed)
        self.fail_held(self._closed)

    def _refuse_all(self, error: CallboardError) -> None:
        self._soon.clear()  # told, not asked: nobody waits for an answer
        stop = None
        while True:
            try:
                envelope = self._queue.get_nowait()
            except queue.Empty:
                break
            if isinstance(envelope, Delivery):
                envelope.fail(error)
            elif envelope is not _LOOK:  # Pykka's own request to stop
                if envelope.reply_to is not None:
                    envelope.reply_to.set(None)
                stop = type(envelope)(envelope.message)
        if stop is not None:  # an actor that is about to wait here would wait for good without it
            self._queue.put(stop)


class Address(Generic[M_contra]):
    """Where an actor that understands the messages `M_contra` is reached, whichever incarnation of it is alive; any thread.

    Whoever is given one says what it sends: an address of an actor that understands more fits.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.name = mailbox.name

    def ask(
        self,
        message: Asked[M_contra, R],
        *,
        timeout_s: float,
        principal: Principal = PROCESS,
        request_id: str | None = None,
        suspension: Suspension | None = None,
    ) -> R:
        """Send a message and return the reply, of the type that the message names.

        `principal` is who asks, `request_id` what the log has the request under, `suspension` how to wait, by default with the thread.

        Raises what the actor raised, `Overloaded`, `ActorCrashed`, `ActorStopped`, or `ReplyTimeout` after
        `timeout_s` seconds; before anything is sent `TypeError` or `ValueError` for a principal or a time that is none.
        """
        if not timeout_s >= 0:  # a lock would wait for ever
            raise ValueError(f"timeout_s is {timeout_s}; give seconds, 0 or more.")
        place: Reply[R] | None = None if suspension is None else ReplyThen(lambda _value, _error: suspension.resume())
        reply = self.ask_later(message, principal=principal, request_id=request_id, reply=place)
        try:
            if suspension is None:
                return reply.get(timeout_s=timeout_s)
            suspension.wait(timeout_s)
            return reply.get(timeout_s=0)
        except TimeoutError:
            raise ReplyTimeout(
                f"The {self.name} did not answer {type(message).__name__} within {timeout_s:g} s; "
                "it may still be carried out. Ask for its outcome, or try again."
            ) from None

    def ask_later(
        self,
        message: Asked[M_contra, R],
        *,
        urgent: bool = False,
        principal: Principal = PROCESS,
        request_id: str | None = None,
        reply: Reply[R] | None = None,
    ) -> Reply[R]:
        """Send a message and return the place of its reply, a new one or that which is given; an urgent one is never refused as full."""
        if not isinstance(principal, Principal):
            raise TypeError(f"principal is {principal!r:.80}; give a Principal, such as Principal(id='alice').")
        reply = Reply() if reply is None else reply
        self.mailbox.put(Delivery(message, reply, principal=principal, request_id=request_id), urgent=urgent)
        return reply

    def tell(self, message: M_contra) -> None:
        """Send a message and expect no reply. Only what something else bounds is told, so it is never refused as full."""
        self.mailbox.put(Delivery(message))

    def tell_soon(self, message: M_contra) -> None:
        """Tell something that may wait up to `SOON_S` seconds, in front of what this thread tells or asks next."""
        self.mailbox.put_soon(Delivery(message))

    def tell_next(self, message: M_contra) -> None:
        """Tell something at once, behind what this thread has told soon, and in front of what it tells from now on."""
        self.mailbox.put_soon(Delivery(message), wake=True)

    def notify(self, message: M_contra) -> None:
        """Tell an actor that may have been stopped or given up; then nobody is told."""
        put = self.mailbox.put_soon if self.mailbox.unhurried else self.mailbox.put
        with contextlib.suppress(ActorStopped):
            put(Delivery(message))

    def offer(self, message: M_contra) -> bool:
        """Send a message that may be lost: False if the inbox is full. For subscribers."""
        if len(self.mailbox) >= self.mailbox.limit:
            return False
        self.notify(message)
        return True

    def forward(self, delivery: Delivery, message: Asked[M_contra, R], *, urgent: bool = False) -> R:
        """Send `message` in the envelope of `delivery`, whose asker gets the reply; an urgent one is never refused as full.

        Returns `LATER`, which stands for that reply: a handler returns it, and its type is what it says it answers.
        """
        self.mailbox.put(delivery.carrying(message), urgent=urgent)
        delivery.release()
        later: R = LATER
        return later

    def __repr__(self) -> str:
        return f"<Address of the {self.name}>"
