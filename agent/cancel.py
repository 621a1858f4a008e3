"""Telling a running task to stop, from another thread.

Set by the master agent's thread; watched by the worker's thread and by skills through their context.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class CancelToken:
    """Set once; runs what the worker has registered, such as killing its sandbox."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.reason = "cancelled"
        # Guards `_action` and its run: without it, a worker process could be killed just after it was handed to
        # another task. An actor can't: the worker's thread is inside the sandbox and reads no mailbox.
        self._lock = threading.Lock()
        self._action: Callable[[], None] | None = None

    def cancel(self, reason: str = "cancelled") -> None:
        """Set the token and run the registered action, once."""
        with self._lock:
            if self.event.is_set():
                return
            self.reason = reason
            self.event.set()
            if self._action is not None:
                self._action()

    @property
    def cancelled(self) -> bool:
        return self.event.is_set()

    @contextmanager
    def on_cancel(self, action: Callable[[], None]) -> Iterator[None]:
        """Run `action` if the token is set within the block, or is set already."""
        with self._lock:
            if self.event.is_set():
                action()
            self._action = action
        try:
            yield
        finally:
            with self._lock:
                self._action = None
