"""How a server's process comes to its end: in order within `CALLBOARD_DRAIN_S` of the first signal, whatever runs in it.

Three things see to it, each where the one before it cannot: the drain itself; an alarm in the main thread, for an actor that does
not stop, a thread that the interpreter waits for at its end or a hook of a skill's that hangs; and the watch, a process of its own
(callboard/descendants.py), for a skill that holds the interpreter so that no handler runs. The main thread; imported by serve.py.
"""

import atexit
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from callboard import descendants, inheritance
from callboard.descendants import Descendants

_LAST_S = 0.3
"""How much of the time is kept for the processes that skills have left."""

_SPARE_S = 0.4
"""How much of the time is left when the alarm goes off; the watch waits for half of it."""


class Ending:
    """What a process needs for its end; made before anything of the server is, since skills may start processes when loaded."""

    def __init__(self, drain_s: float) -> None:
        self._drain_s = max(1.0, drain_s)
        self._ends_by_s: float | None = None
        self._stopped = False
        self._descendants = Descendants()
        # behind the hooks of skills, and before the interpreter takes the handlers away, which would leave the alarm to kill
        atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
        self._end_copies = inheritance.end_copies_with_us()

    def on_signals(self, close: Callable[[], object]) -> None:
        """Have `close` called at the first SIGINT or SIGTERM, and the process ended at the second."""

        def handle(_number: int, _frame: Any) -> None:
            if self._ends_by_s is not None:
                self._descendants.kill()
                os._exit(130)
            self._ends_by_s = time.monotonic() + self._drain_s
            signal.setitimer(signal.ITIMER_REAL, self._drain_s - _SPARE_S)
            close()

        self._handlers = {signal.SIGALRM: self._overdue, signal.SIGINT: handle, signal.SIGTERM: handle}
        self._start_watch()
        self._listen()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._handlers)  # a skill may have blocked them when it was loaded

    def between(self) -> None:
        """Do what is to be done now and then; costs next to nothing."""
        self._listen()
        self._descendants.reap()

    def _listen(self) -> None:
        """Take the signals, again and again: a library that a skill has loaded may have taken them."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def left_s(self) -> float:
        """How much time there is for whoever stops the server in order."""
        left_s = self._drain_s if self._ends_by_s is None else self._ends_by_s - time.monotonic()
        return max(0.3, left_s - _LAST_S - _SPARE_S)

    def end_processes(self) -> int:
        """End the processes that skills have left, since the server has stopped; return how many there were."""
        self._stopped = True
        self._end_copies()
        return self._descendants.end(_LAST_S)

    def _overdue(self, _number: int, _frame: Any) -> None:
        os.write(2, b"callboard: the time to drain is over and something does not end; the process ends without it\n")
        self._end_copies()
        self._descendants.kill()
        os._exit(0 if self._stopped else 1)

    def _start_watch(self) -> None:
        """Start the watch, and have the interpreter's own handler, which is written in C, tell it of every signal."""
        if not descendants.SUPPORTED:
            return
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
        grace, spared = str(self._drain_s - _SPARE_S / 2), (str(pid) for pid, _began in self._descendants.before)
        self._watch = subprocess.Popen(  # noqa: S603  # a file of ours
            [sys.executable, "-I", "-S", descendants.__file__, str(os.getpid()), grace, *spared],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )
        os.close(reading)
        self._descendants.spare(self._watch.pid)
        inheritance.withhold(lambda: (writing,))
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
