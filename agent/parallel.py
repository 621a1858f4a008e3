"""Several calls at once, for a script that awaits them together.

Imported by the run's skill calls.
"""

import contextvars
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


class Helpers:
    """The threads that may make calls beside those of a run's own: so many in all, also of scripts inside its calls."""

    def __init__(self, most: int) -> None:
        self._free = most
        # Guards `_free`; no actor can: these threads live for a moment inside one worker's call.
        self._lock = threading.Lock()

    def run_all(self, calls: Sequence[Callable[[], T]]) -> list[T | BaseException]:
        """Make the calls, as many at a time as there are threads, and return what each returned or raised, in order.

        The calling thread makes its share, so there is always one; the others last as long as the calls do. They are daemons
        like the workers: a call that never returns must not keep the server's process from ending.
        """
        with self._lock:
            taken = min(self._free, len(calls) - 1)
            self._free -= taken
        try:
            return _run_all(calls, taken)
        finally:
            with self._lock:
                self._free += taken


def _run_all(calls: Sequence[Callable[[], T]], helpers: int) -> list[T | BaseException]:
    results: list[T | BaseException | None] = [None] * len(calls)
    left = iter(range(len(calls)))
    taking = threading.Lock()  # guards `left`

    def work() -> None:
        while True:
            with taking:
                index = next(left, None)
            if index is None:
                return
            try:
                results[index] = calls[index]()
            except BaseException as error:  # noqa: BLE001  # whatever it is, the one who asked hears of it
                results[index] = error

    threads = [
        # each in a copy of the caller's context: what is logged meanwhile names the task
        threading.Thread(target=contextvars.copy_context().run, args=(work,), name=f"call-{n}", daemon=True)
        for n in range(1, helpers + 1)
    ]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    return results  # type: ignore[return-value]  # every index was taken
