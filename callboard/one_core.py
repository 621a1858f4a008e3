"""One core for the threads that hand the interpreter's lock to one another (CALLBOARD_ONE_CORE).

Of a server's busy threads one runs at a time, the one that has the lock. Spread over cores, each hand-over interrupts another core
to wake it, and the lock is nobody's on the way; on one core it is a switch. Where processes do the work, twice as many tasks are
accepted a second, and each takes a tenth less processor time (bench/README.md).

# Invariant: what works without the lock, or starts processes, is not in here: history readers, webhook senders, calls of workers, the
  MCP loop. A thread or process that is started inherits where it may run: hence `left`.

Made by system.py; `join`, `leave` and `left` for the thread that calls, `look` for the server's loop. Linux; elsewhere all of it does
nothing.
"""

import contextlib
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

from callboard.logs import get_logger

_LOOK_EVERY_S = 5.0
_MUCH = 0.25
"""Part of a core that others must take there, beyond what they take on another one, before the threads move."""

_AS_FAST = 0.9
"""A core of at least this part of the fastest one's clock will do: some machines have slow ones beside."""

_STAT = Path("/proc/stat")
_THREADS = Path("/proc/self/task")
_CLOCKS = "/sys/devices/system/cpu/cpu{}/cpufreq/cpuinfo_max_freq"

_log = get_logger("callboard.system")


class OneCore:
    """The core that the threads which join share: at first the one with the least to do, later another one where others are in the way."""

    def __init__(self, wanted: bool) -> None:
        """Choose among the cores that this process may use; nothing is done where not `wanted`, or there is but one."""
        self._all = os.sched_getaffinity(0) if wanted and hasattr(os, "sched_setaffinity") else set[int]()
        self._cores = _fast(self._all)
        self._core: int | None = None
        self._seen = _Seen.now(self._cores)
        self._look_at_s = 0.0

    @property
    def core(self) -> int | None:
        """The number of the core; None until somebody has joined, or where nothing is done."""
        return self._core

    def join(self) -> None:
        """Have this thread run on the core."""
        if len(self._cores) < 2:
            return
        if self._core is None:
            busy = self._busy()[0]
            self._core = min(self._cores, key=lambda core: (busy.get(core, 0.0), core))
        _hold(0, {self._core})

    def leave(self) -> None:
        """Have this thread run wherever the process may."""
        if self._core is not None:
            _hold(0, self._all)

    @contextlib.contextmanager
    def left(self) -> Iterator[None]:
        """Have what this thread starts meanwhile run wherever the process may."""
        self.leave()
        try:
            yield
        finally:
            self.join()

    def look(self, now_s: float) -> None:
        """Move the threads where others keep their core busy, and another one is free."""
        if self._core is None or now_s < self._look_at_s:
            return
        # not at the same moments as another server that has come to the same core
        self._look_at_s = now_s + _LOOK_EVERY_S * random.uniform(0.6, 1.4)  # noqa: S311
        busy, own = self._busy()
        other = min(busy, key=lambda core: busy[core], default=self._core)
        if busy.get(self._core, 0.0) - own > busy.get(other, 0.0) + _MUCH:
            _log.info("others keep the server's core busy; it moves", core=self._core, to=other)
            self._move(other)

    def _move(self, to: int) -> None:
        before, self._core = {self._core}, to
        for thread in (int(one.name) for one in _THREADS.iterdir()):
            with contextlib.suppress(OSError):  # it has ended
                if os.sched_getaffinity(thread) == before:
                    _hold(thread, {to})

    def _busy(self) -> tuple[dict[int, float], float]:
        """Return what part of the time since this was asked last each core has been busy, and this process."""
        before, self._seen = self._seen, _Seen.now(self._cores)
        return self._seen.since(before)


class _Seen:
    """Processor time of cores, and of this process, until a moment; in seconds."""

    def __init__(self, at_s: float, busy_s: dict[int, float], own_s: float) -> None:
        self.at_s, self.busy_s, self.own_s = at_s, busy_s, own_s

    @classmethod
    def now(cls, cores: set[int]) -> "_Seen":
        busy_s = dict[int, float]()
        with contextlib.suppress(OSError, ValueError, IndexError):  # it is not there for everybody
            for line in _STAT.read_text().splitlines():
                name, *ticks = line.split()
                if name[:3] == "cpu" and name[3:].isdigit() and int(name[3:]) in cores:
                    user, nice, system, _idle, _waits, interrupts, soft, stolen = map(int, ticks[:8])
                    busy_s[int(name[3:])] = (user + nice + system + interrupts + soft + stolen) / os.sysconf(
                        "SC_CLK_TCK"
                    )
        return cls(time.monotonic(), busy_s, time.process_time())

    def since(self, before: "_Seen") -> tuple[dict[int, float], float]:
        took_s = max(self.at_s - before.at_s, 0.001)
        busy = {core: (s - before.busy_s.get(core, s)) / took_s for core, s in self.busy_s.items()}
        return busy, (self.own_s - before.own_s) / took_s


def _hold(thread: int, cores: set[int]) -> None:
    with contextlib.suppress(OSError):  # the cores that this process may use have been changed from outside
        os.sched_setaffinity(thread, cores)


def _fast(cores: set[int]) -> set[int]:
    """Leave those out that are slower than others; all count as fast where the system does not say."""
    clocks = dict.fromkeys(cores, 0)
    for core in cores:
        with contextlib.suppress(OSError, ValueError):
            clocks[core] = int(Path(_CLOCKS.format(core)).read_text())
    return {core for core in cores if clocks[core] >= _AS_FAST * max(clocks.values())}
