"""Telling a running task to stop, from another thread.

Set by the master agent's thread, or by whoever shuts the server down; watched by the worker's thread and by skills
through their context.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Cancelled(Exception):  # a signal to the runner, not an error of a task
    """The task's token was set while its work went on."""


class CancelToken:
    """Set once; runs what the worker has registered, such as killing its sandbox and those of scripts inside its calls.

    Two ways to stop: `cancel`, since the task is over, which skills hear of; and `hand_back`, since the server is
    going down, which they do not: what a skill then returns is still what it has done, and is recorded.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.handed_back = False
        self.why = "drain"
        # Guards `_action` and its run: without it, a worker process could be killed just after it was handed to
        # another task. An actor can't: the worker's thread is inside the sandbox and reads no mailbox.
        self._lock = threading.Lock()
        self._actions: list[Callable[[], None]] = []

    def cancel(self) -> None:
        """Stop the task's work for good."""
        with self._lock:
            if self.event.is_set():
                return
            self.event.set()
            self._act()

    def hand_back(self, why: str = "drain") -> None:
        """Stop the work so that it can go on elsewhere: at once between two calls, else when the call is over."""
        with self._lock:
            if not self.stopped:
                self.handed_back, self.why = True, why
                self._act()

    def _act(self) -> None:
        for action in self._actions:
            action()

    @property
    def cancelled(self) -> bool:
        return self.event.is_set()

    @property
    def stopped(self) -> bool:
        """Whether the work is to stop, for whichever reason."""
        return self.handed_back or self.event.is_set()

    def then(self, action: Callable[[], None]) -> None:
        """Run `action` when the token is set for either reason, or is set already; at both if both come."""
        with self._lock:
            if self.stopped:
                action()
            self._actions.append(action)

    @contextmanager
    def on_stop(self, action: Callable[[], None]) -> Iterator[None]:
        """Run `action` if the token is set within the block, or is set already."""
        with self._lock:
            if self.stopped:
                action()
            self._actions.append(action)
        try:
            yield
        finally:
            with self._lock:
                self._actions.remove(action)


_working_for: ContextVar[CancelToken | None] = ContextVar("working_for", default=None)  # threads of calls get a copy


@contextmanager
def working_for(token: CancelToken) -> Iterator[None]:
    """Have what this thread does in the block be for the task of this token."""
    before = _working_for.set(token)
    try:
        yield
    finally:
        _working_for.reset(before)


def working_token() -> CancelToken | None:
    """Return the token of the task that this thread works for, None where it works for none."""
    return _working_for.get()


def let_go() -> None:
    """Raise `Cancelled` if the task that this thread works for is over; nothing where it works for none.

    For loops of built-in skills and of the planner over long texts, which nobody else can end. PERF: 0.1 µs.
    """
    token = _working_for.get()
    if token is not None and token.cancelled:
        raise Cancelled
