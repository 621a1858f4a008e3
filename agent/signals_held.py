"""Starting processes that a signal to the whole group does not reach.

Ctrl-C in a terminal goes to every process of the terminal's group, and some supervisors signal every process of a
service. The server has to be the only one to hear of it: its drain counts on the sandbox's processes.

Threads: any that starts a process. Imported by the sandbox and its type checker.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

HELD = frozenset({signal.SIGINT, signal.SIGTERM})
"""What asks a server to end."""


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back from this thread, and for good from every process and thread it starts meanwhile.

    A process inherits the mask of the thread that starts it. For starts that have no `process_group` to say (Monty's
    workers are started by a library); SIGKILL and the end of their pipe still end them. A worker thread does not hold
    them for its whole life: what a skill starts there could not be ended with SIGTERM any more.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
