"""Telling Ctrl-C and SIGTERM, which end this process, from what somebody's code raises by itself.

Both arrive as an exception in the midst of whatever the main thread runs, and a skill's file that is being imported may raise the
same class. So what counts is which object it is: the one that the signal's handler has raised. A handler that such a file sets
while it is imported is taken off again: signals are the server's.

Any thread; in others than the main one no signal arrives. Imported by the loader of skills.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from callboard.agent.signals_held import HELD


@contextmanager
def strangers_code() -> Iterator[Callable[[BaseException], bool]]:
    """Run somebody's code; yields what says of an exception whether it tells this process to end."""
    told: list[BaseException] = []
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in HELD}
    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, _remembering(handler, told))
    try:
        yield lambda raised: any(raised is one for one in told)
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: it is not Python's
                signal.signal(number, handler)


def _remembering(handler: Callable[[int, FrameType | None], Any], told: list[BaseException]) -> Any:
    def handle(number: int, frame: FrameType | None) -> None:
        try:
            handler(number, frame)
        except BaseException as raised:
            told.append(raised)
            raise

    return handle
