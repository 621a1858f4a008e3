"""Several calls at once, for a script that awaits them together.

Imported by the runner's skill calls.
"""

import contextvars
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def run_all(calls: Sequence[Callable[[], T]], most: int) -> list[T | BaseException]:
    """Make the calls, at most `most` at a time, and return what each returned or raised, in order.

    The calling thread makes its share; the others last as long as the calls do. They are daemons like the workers: a call
    that never returns must not keep the server's process from ending.
    """
    results: list[T | BaseException | None] = [None] * len(calls)
    left = iter(range(len(calls)))
    taking = threading.Lock()  # guards `left`; no actor can: these threads live for a moment inside one worker's call

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
        for n in range(1, min(most, len(calls)))
    ]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    return results  # type: ignore[return-value]  # every index was taken
