"""How the server's own process gives memory back to the system.

`give_back` is called by `callboard serve` before its threads start; a program that has an `AgentSystem` in it is left alone.
`trim` is called by http/connections.py when a crowd of connections is over.
"""

import contextlib
import ctypes

from callboard.settings import environment

# From glibc's malloc.h; the names that its environment variables have are these.
_TUNABLES = {
    "MALLOC_ARENA_MAX": (-8, 1),
    "MALLOC_MMAP_THRESHOLD_": (-3, 1 << 20),
    "MALLOC_TRIM_THRESHOLD_": (-1, 8 << 20),
}


def give_back() -> None:
    """Have the C library return what large tasks leave free; does nothing where it is not glibc.

    Left to itself glibc has a heap for each of sixteen threads and keeps the most that each ever held: 400 tasks with
    100,000 characters of code (`make fuzz`) left 300 MB of which 34 were in use, and 10 like this. One heap costs nothing: these threads
    take turns anyway. What whoever runs the server has set in the environment stands.
    """
    with contextlib.suppress(OSError, AttributeError):
        library, given = ctypes.CDLL(None), environment()
        for name, (option, value) in _TUNABLES.items():
            if name not in given:
                library.mallopt(option, value)


def trim() -> None:
    """Have the C library return what is free in the middle of its heap; does nothing where it is not glibc. Some milliseconds."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
