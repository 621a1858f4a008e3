"""One core for the threads that hand the interpreter's lock to one another (CALLBOARD_ONE_CORE).

Of a server's busy threads one runs at a time, the one that has the lock. Spread over cores, each hand-over interrupts another core
to wake it, and the lock is nobody's on the way; on one core it is a switch. Where processes do the work, three quarters more
tasks are accepted a second, and each takes a fifth less processor time (bench/README.md).

# Invariant: what works without the lock, or starts processes, is not in here: history readers, webhook senders, calls of workers, the
  MCP loop. A thread or process that is started inherits where it may run: hence `left`.

Made by head_start.py; `join`, `leave` and `left` for the thread that calls, `look` for the server's loop, which has joined. Linux;
elsewhere all of it does nothing.
"""

import contextlib
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from callboard.logs import get_logger

_LOOK_EVERY_S = 5.0
_MUCH = 0.25
"""Part of a core that others must take there, beyond what is taken on another one, before the threads move."""

_AS_FAST = 0.9
"""A core of at least this part of the fastest one's clock will do: some machines have slow ones beside."""

_STAT = Path("/proc/stat")
_THREADS = Path("/proc/self/task")
_CLOCKS = "/sys/devices/system/cpu/cpu{}/cpufreq/cpuinfo_max_freq"

_log = get_logger("callboard.system")


class OneCore:
    """The core that the threads which join share: at first any, later another one where others are in the way."""

    def __init__(self, wanted: bool) -> None:
        """Choose among the cores that this process may use; nothing is done where not `wanted`, or there is but one."""
        # Guards all below: a thread must not join the core that the others are just leaving.
        self._lock = threading.Lock()
        self._threads = set[int]()
        self._look_at_s = 0.0
        self._choose(os.sched_getaffinity(0) if wanted and hasattr(os, "sched_setaffinity") else set())

    def _choose(self, allowed: set[int]) -> None:
        self._all, self._cores = allowed, _fast(allowed)
        self._core = random.choice(sorted(self._cores)) if len(self._cores) > 1 else None  # noqa: S311
        self._seen = _Seen.now(self._cores, self._threads)

    @property
    def core(self) -> int | None:
        """The number of the core; None where nothing is done."""
        return self._core

    def join(self) -> None:
        """Have this thread run on the core."""
        with self._lock:
            if self._core is not None:
                self._threads.add(threading.get_native_id())
                _hold(0, {self._core})

    def leave(self) -> None:
        """Have this thread run wherever the process may."""
        with self._lock:
            if self._core is not None:
                self._threads.discard(threading.get_native_id())
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
        """Move the threads where others keep their core busy and another one is free; choose anew where somebody has moved them."""
        if self._core is None or now_s < self._look_at_s:
            return
        # not at the same moments as another server that has come to the same core
        self._look_at_s = now_s + _LOOK_EVERY_S * random.uniform(0.6, 1.4)  # noqa: S311
        with self._lock:
            self._threads &= {int(one.name) for one in _THREADS.iterdir()}
            found = os.sched_getaffinity(0)
            if found != {self._core}:  # by taskset, say, or the core is there no more
                self._choose(found)
                for thread in self._threads:
                    _hold(thread, self._all if self._core is None else {self._core})
                return
            before, self._seen = self._seen, _Seen.now(self._cores, self._threads)
            busy, own = self._seen.since(before)
            other = min(busy, key=lambda core: busy[core], default=self._core)
            if busy.get(self._core, 0.0) - own <= busy.get(other, 0.0) + _MUCH:
                return
            before_core, self._core = self._core, other
            for thread in self._threads:
                _hold(thread, {other})
        _log.info("others keep the server's core busy; it moves", core=before_core, to=other)


class _Seen:
    """Processor time of cores, and of the threads that share one, until a moment; in seconds."""

    def __init__(self, at_s: float, busy_s: dict[int, float], own_s: dict[int, float]) -> None:
        self._at_s, self._busy_s, self._own_s = at_s, busy_s, own_s

    @classmethod
    def now(cls, cores: set[int], threads: set[int]) -> "_Seen":
        busy_s, own_s = dict[int, float](), dict[int, float]()
        with contextlib.suppress(OSError, ValueError):  # it is not there for everybody
            for line in _STAT.read_text().splitlines():
                name, *ticks = line.split()
                if name[:3] == "cpu" and name[3:].isdigit() and int(name[3:]) in cores:
                    user, nice, system, _idle, _waits, interrupts, soft, stolen = map(int, ticks[:8])
                    busy_s[int(name[3:])] = (user + nice + system + interrupts + soft + stolen) / os.sysconf(
                        "SC_CLK_TCK"
                    )
        for thread in threads:
            with contextlib.suppress(OSError, ValueError):  # it has ended
                own_s[thread] = int((_THREADS / str(thread) / "schedstat").read_text().split()[0]) / 1e9
        return cls(time.monotonic(), busy_s, own_s)

    def since(self, before: "_Seen") -> tuple[dict[int, float], float]:
        """Return what part of the time since then each core has been busy, and how much of one the threads have had."""
        took_s = max(self._at_s - before._at_s, 0.001)
        busy = {core: (s - before._busy_s.get(core, s)) / took_s for core, s in self._busy_s.items()}
        return busy, sum(s - before._own_s.get(thread, 0.0) for thread, s in self._own_s.items()) / took_s


def _hold(thread: int, cores: set[int]) -> None:
    with contextlib.suppress(
        OSError
    ):  # it has ended, or the cores that this process may use have been changed from outside
        os.sched_setaffinity(thread, cores)


def _fast(cores: set[int]) -> set[int]:
    """Leave those out that are slower than others; all count as fast where the system does not say."""
    clocks = dict.fromkeys(cores, 0)
    for core in cores:
        with contextlib.suppress(OSError, ValueError):
            clocks[core] = int(Path(_CLOCKS.format(core)).read_text())
    return {core for core in cores if clocks[core] >= _AS_FAST * max(clocks.values())}
