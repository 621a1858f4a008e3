"""A worker's process ends with its server, from its first line on. Imports next to nothing: what a worker loads takes half a second and more.

Called in the worker's main thread before anything else is loaded (`process.py`); `child.py` and `pipe.py` have `end_at_once` from here.
"""

import contextlib
import ctypes
import os
import signal
import sys
from typing import Never

_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Have the kernel kill this process with the thread that has started it, which lives as long as the server."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        end_at_once()


def end_at_once() -> Never:
    """End this process and whatever it has started in its group."""
    with contextlib.suppress(OSError):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
