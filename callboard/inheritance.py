"""What a process that is forked off this one must not have: the server's sockets, locks and connections.

A program that is started (`subprocess`) has none of them, for every descriptor of ours is closed when it is loaded. A process
that is only forked (`os.fork` in a skill, `multiprocessing`) is a copy: it would keep the port and the history from the next
server for as long as it lives. So whoever opens such a descriptor names it here, and in the copy it leads to nothing at once,
under its own number, so that nobody closes a stranger's later.

A fork that Python does not hear of, that of a C library, is not covered. Any thread; the copy has one.
"""

import contextlib
import fcntl
import os
import select
import signal
from collections.abc import Callable, Iterable
from typing import TypeVar

_T = TypeVar("_T")

_withheld: dict[object, Callable[[], Iterable[int]]] = {}
_gone: dict[object, Callable[[], None]] = {}
_lifeline: list[int] = []


def withhold(descriptors: Callable[[], Iterable[int]]) -> Callable[[], None]:
    """Have these descriptors lead to nothing in every copy of this process; return what ends that, before they are closed."""
    return _register(_withheld, descriptors)


def in_copies(action: Callable[[], None]) -> Callable[[], None]:
    """Have `action` done in every copy of this process, which may take no lock; return what ends that."""
    return _register(_gone, action)


def _register(where: dict[object, _T], what: _T) -> Callable[[], None]:
    key = object()
    where[key] = what

    def end() -> None:
        where.pop(key, None)

    return end


def end_copies_with_us() -> Callable[[], None]:
    """Have the kernel kill every copy that is made from now on as soon as this process ends; return what does it before.

    Linux only. A copy holds the other end of a pipe that only this process can write to: its end is the pipe's, which the kernel
    tells by a signal, whatever the copy does and wherever it has been moved to (another session, another parent).
    """
    if not hasattr(fcntl, "F_SETSIG"):
        return lambda: None
    _lifeline[:] = os.pipe()

    def cut() -> None:
        with contextlib.suppress(IndexError):
            os.close(_lifeline.pop())

    return cut


class OnlyHere:
    """A block that is done in this process only: what comes out of it in a copy that was forked within it ends there, at once."""

    __slots__ = ("_here",)

    def __enter__(self) -> None:
        self._here = os.getpid()

    def __exit__(self, *_: object) -> None:
        if os.getpid() != self._here:
            os._exit(0)


def _hang_on() -> None:
    """Be killed with the process at the other end of the pipe; in the copy."""
    if len(_lifeline) == 2:  # the copy of a copy has the reading end alone
        os.close(_lifeline.pop())
    mine = os.open(f"/proc/self/fd/{_lifeline[0]}", os.O_RDONLY | os.O_NONBLOCK)  # an opening of its own, with an owner
    fcntl.fcntl(mine, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(mine, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(mine, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
    poll = select.poll()
    poll.register(mine, 0)  # it says of itself when the other end is gone
    if poll.poll(0):
        os.kill(os.getpid(), signal.SIGKILL)


def _after_fork() -> None:
    if _lifeline:
        with contextlib.suppress(OSError):
            _hang_on()
    if _withheld:
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptors in list(_withheld.values()):
            for descriptor in descriptors():
                if descriptor >= 0:
                    os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)
    for action in list(_gone.values()):
        action()
    _withheld.clear()
    _gone.clear()


os.register_at_fork(after_in_child=_after_fork)
