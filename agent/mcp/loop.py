"""The event loop that all MCP connections live in, in one thread of its own.

Threads are Pykka's, waitress' and the pool's otherwise. The SDK is asynchronous and its connections outlive the call
that opened them (a child process and its pipes, a stream of notifications), so they need a loop that runs on when no
worker is waiting; one loop serves all servers, since none of them may block it.
Imported by `servers.py`.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

THREAD_NAME = "mcp"


class LoopThread:
    """Runs `main(stop)` until `close`, and whatever is submitted meanwhile; `submit` and `close` from any thread."""

    def __init__(self, main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        self._main = main
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._running = threading.Event()
        # a daemon, so that a child process which cannot be ended never keeps the interpreter from exiting
        self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)

    @property
    def ended(self) -> bool:
        """Whether the loop is over, so that nothing which was submitted will ever be done."""
        return self._running.is_set() and not self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()
        self._running.wait()

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Start the work in the loop; cancelling the future cancels it. Never waits for the loop."""
        assert self._loop is not None
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # the loop is closed
            work.close()
            ended: Future[T] = Future()
            ended.cancel()
            ended.set_running_or_notify_cancel()  # without it, nobody who waits hears of it
            return ended

    def close(self, timeout_s: float) -> bool:
        """End the loop and what runs in it; False if it did not end in time."""
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # closed already
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._runs())
        finally:
            self._running.set()

    async def _runs(self) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._running.set()
        await self._main(self._stop)
