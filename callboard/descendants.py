"""The processes that have come from this one, and how they are ended with it; Linux only, elsewhere nothing is done here.

A server adopts what its skills leave: a process whose parent has ended becomes a child of the server's, whatever session it is
in, and not of the machine's first process. So at the end every process that skills have left is a child or below one, and is
ended by its id; a child that nobody has waited for keeps its id, so no stranger's is ever meant. What was there before the
server began (the shell that became it may have started it) is left alone.

Run as a program this is the watch: a process of its own that ends a server whose drain is over and that does not end,
because a skill holds the interpreter in a call that never comes back, say. It imports nothing of Callboard.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_WNOTHREAD = 0x20000000
_POLL_S = 0.01
_REAP_EVERY_S = 5.0
_ASKED_TWICE_S = 0.2
"""How long a server that was asked twice has to end itself."""

SUPPORTED = sys.platform == "linux"


class Descendants:
    """The processes that come from this one from now on; all of it in the main thread, which is where orphans go."""

    def __init__(self) -> None:
        self.before = set(_children(os.getpid()))
        self._looked_s = time.monotonic()
        self._dead = 0
        if SUPPORTED:
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def spare(self, pid: int) -> None:
        """Leave a child of ours to end by itself."""
        self.before |= {one for one in _children(os.getpid()) if one[0] == pid}

    def kill(self) -> None:
        """Kill them all at once, and wait for none."""
        for one in _all_below(os.getpid()) - self.before:
            _signal(one, signal.SIGKILL)

    def reap(self) -> None:
        """Wait for adopted processes that have ended, now and then; costs next to nothing.

        What threads of ours have started is not looked at, nor what somebody waits for within seconds: how it ended is theirs to
        know.
        """
        if not SUPPORTED or time.monotonic() < self._looked_s + _REAP_EVERY_S:
            return
        self._looked_s = time.monotonic()
        while (dead := _dead_here()) and dead == self._dead:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(dead, os.WNOHANG)
            self._dead = _dead_here()
        self._dead = dead

    def end(self, within_s: float) -> int:
        """End them all: SIGTERM, and SIGKILL after half of the time; return how many there were.

        The children first, whose own children are ours then, until there are none.
        """
        began_s, seen = time.monotonic(), set[_Known]()
        while left := set(_children(os.getpid())) - self.before:
            passed_s = time.monotonic() - began_s
            for one in left:
                if passed_s >= within_s / 2:
                    _signal(one, signal.SIGKILL)
                elif one not in seen:
                    _signal(one, signal.SIGTERM)
                    _signal(one, signal.SIGCONT)  # one that is stopped would not hear of it
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(one[0], os.WNOHANG)
            seen |= left
            if passed_s > within_s:
                break
            time.sleep(_POLL_S)
        return len(seen)


def _dead_here() -> int:
    """Return a child of this thread, not of another of ours, that has ended and was not waited for; 0 where there is none."""
    with contextlib.suppress(ChildProcessError):
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT | _WNOTHREAD)
        return found.si_pid if found is not None else 0
    return 0


_Known = tuple[int, int]
"""A process: its id, and when it began, which tells it from a later one of that id."""


def _children(*parents: int) -> Iterator[_Known]:
    """Yield the children that these processes have now."""
    for entry in Path("/proc").glob("[0-9]*") if SUPPORTED else ():
        found = _fields(int(entry.name))
        if found and int(found[1]) in parents:
            yield int(entry.name), int(found[19])


def _all_below(pid: int) -> set[_Known]:
    """Return the processes that come from one, down to the last level."""
    found: set[_Known] = set()
    level = set(_children(pid))
    while level := level - found:
        found |= level
        level = set(_children(*(child for child, _began in level)))
    return found


def _fields(pid: int) -> list[bytes]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return []


def _signal(one: _Known, number: int) -> None:
    """Signal a process, and no other one that has got its id."""
    with contextlib.suppress(OSError):
        handle = os.pidfd_open(one[0])
        try:
            found = _fields(one[0])
            if found and int(found[19]) == one[1]:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


# --- the watch ---


def watch(parent: int, grace_s: float, spared: set[int]) -> None:
    """End the parent, the process of that id, once `grace_s` have passed since a signal that asks it to end, and soon after a second one.

    Each byte on standard input is the number of a signal that the parent got: written by the interpreter's own handler, in C,
    which needs nobody's leave. `spared` are children that the parent had before it began to serve.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # who signals the whole group means the server
    # Invariant: whoever has adopted this process since its server died is a stranger, maybe everybody's parent
    if os.getppid() != parent:
        return
    server = os.pidfd_open(parent)
    if os.getppid() != parent:
        return
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(server, select.POLLIN)
    asked, until_s = 0, float("inf")
    while (left_s := until_s - time.monotonic()) > 0:
        for descriptor, _event in poll.poll(None if left_s == float("inf") else max(1, left_s * 1000)):
            if descriptor == server:
                return
            told = os.read(0, 64)
            if not told:
                poll.unregister(0)
            for _ in filter((signal.SIGINT, signal.SIGTERM).__contains__, told):
                asked += 1
                until_s = min(until_s, time.monotonic() + (grace_s if asked == 1 else _ASKED_TWICE_S))
    if os.getppid() != parent:
        return
    os.write(2, b"callboard: the server did not end in time, since something holds its interpreter; it is killed\n")
    left = {one for one in _all_below(parent) if one[0] not in {*spared, os.getpid()}}
    signal.pidfd_send_signal(server, signal.SIGKILL)
    for one in left:
        _signal(one, signal.SIGKILL)


if __name__ == "__main__":
    watch(int(sys.argv[1]), float(sys.argv[2]), {int(word) for word in sys.argv[3:]})
