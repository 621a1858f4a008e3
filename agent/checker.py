"""The type checker: Monty's own, in processes that stay warm, and that never run what they check.

A fresh session needs 12 ms for its first check, a warm one 0.3 ms (# PERF: measured with pydantic-monty 1.4, 1,000
different scripts). Each snippet is fed behind a line that the checker lets pass and that fails when it runs, so
nothing after it is reached.

Some code takes the checker very long (its time can grow with the square of a function's branches), so a check has
a limit, ends with its task, and holds one of several checkers only: others go on. The limit is one of processor time, where the
kernel can tell it: on a machine at load 20, checks of a millisecond took longer than 2 s by the clock. A session knows the modules that it was
made with: where skills have come or gone since, it is given up for a fresh one.
Threads: any number of workers at once. Imported by the sandbox.
"""

import contextlib
import importlib.util
import math
import os
import queue
import re
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic_monty import (
    ExternalModule,
    Monty,
    MontyCrashedError,
    MontyRuntimeError,
    MontySession,
    MontySyntaxError,
    MontyTypingError,
)

from callboard.agent.cancel import CancelToken
from callboard.agent.gaps import THERE
from callboard.agent.signals_held import signals_held
from callboard.errors import TaskError
from callboard.limits import FINDING_CHARS, FINDINGS, cut, left_out

CHECK_TIME_S = 2.0
"""Longest time one check may take, of a processor where that can be told (Linux), to the next whole second; else by the clock."""

_WAIT_S = 60.0
"""Longest time that it may take by the clock, whatever else the machine does."""

_WARM = 1
_MOST = 8
_PATIENCE_S = 0.1
_CHECKS_PER_SESSION = 5000

_STOP = "from typing import Any as _Any; _any: _Any = [][0]"
"""The line in front of checked code: fine for the type checker, an `IndexError` when run."""

_STOPPED = "IndexError"
_POSITION = re.compile(r"^main\.py:(\d+):(\d+): ", re.MULTILINE)


class CheckerCancelled(Exception):  # a signal, as agent/sandbox.py's own
    """The task's token was set while its code was checked."""


Modules = Mapping[str, ExternalModule]
"""What code may import from outside, by name; told apart by which object it is."""


class Checker:
    """A warm checking session, lent to one check at a time, and others that stand in while it is held up."""

    def __init__(self, *, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._pool = Monty(min_processes=0, max_processes=_MOST, checkout_timeout=10, request_timeout=_patience_s())
        self._idle: queue.SimpleQueue[_Warm] = queue.SimpleQueue()
        # Guards `_made`. An actor would cost each task two more thread switches.
        self._lock = threading.Lock()
        self._made = 0

    def start(self) -> None:
        with signals_held():
            self._pool.__enter__()

    def close(self) -> None:
        """End every process."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._drop(self._idle.get_nowait().session)
        self._pool.__exit__(None, None, None)

    def findings(self, code: str, variables: Iterable[str], token: CancelToken, modules: Modules) -> str | None:
        """Return what is wrong with code that may import these modules, or None. Raises `TaskError`, or `CheckerCancelled`."""
        there = [name for name in THERE if name in code]  # PERF: all of them cost each check 20 µs
        known = "".join(f"{name} = " for name in sorted({*there, *variables}))
        prefix = f"{_STOP}; {known}_any" if known else _STOP
        while True:
            warm = self._borrow(modules)
            pid, fresh = warm.session.worker_pid, not warm.used
            healthy = False
            try:
                with token.on_stop(lambda: _kill(pid)):  # noqa: B023  # the block ends with the turn of the loop
                    _limit(warm)
                    found = _feed(warm.session, f"{prefix}\n{code}")
                # a token that is set between the answer and the end of the block has killed the process all the same
                healthy = not token.stopped
            except MontyCrashedError as error:
                if fresh or token.stopped or _took_too_long(error):
                    raise self._why_crashed(error, token) from error
                continue  # its process may have died since the check before
            except RuntimeError:  # Monty's word for a session that has crashed before
                if fresh:
                    raise
                continue
            finally:
                self._give_back(warm, healthy=healthy)
            return found

    def _why_crashed(self, error: MontyCrashedError, token: CancelToken) -> Exception:
        if token.stopped:
            return CheckerCancelled()
        if _took_too_long(error):
            took = f"{_patience_s() if error.timed_out else CHECK_TIME_S:g} s"
            return TaskError("time_limit", f"The type check took longer than {took}; write shorter functions.")
        return TaskError("sandbox_crashed", "The type checker's process died; try the task again.", retryable=True)

    def _borrow(self, modules: Modules) -> "_Warm":
        """Return an idle session; a new one where that one knows other modules, or the others are held up."""
        warm = self._idle_one()
        if warm is not None and warm.modules is modules:
            return warm
        try:
            if warm is not None:
                self._drop(warm.session)
            return _Warm(self._open(modules), modules)
        except BaseException:
            with self._lock:
                self._made -= 1
            raise

    def _idle_one(self) -> "_Warm | None":
        """Return an idle session, or None where a new one may be made: it is counted already."""
        for most, patience_s in ((_WARM, 0.0), (_MOST, _PATIENCE_S)):
            with contextlib.suppress(queue.Empty):
                return self._idle.get(block=patience_s > 0, timeout=patience_s or None)
            with self._lock:
                if self._made < most:
                    self._made += 1
                    return None
        try:
            return self._idle.get(timeout=max(_MOST * CHECK_TIME_S, _patience_s()))
        except queue.Empty:
            raise TaskError(
                "sandbox_crashed", "Every type checker is busy; try the task again.", retryable=True
            ) from None

    def _open(self, modules: Modules) -> MontySession:
        session = self._pool.checkout(
            limits={"max_memory": self._memory_bytes, "max_suspensions": 10**9},
            type_check=True,
            type_check_format="concise",
            external_modules=modules,
        )
        with signals_held():  # this thread starts a process
            session.__enter__()
        return session

    def _give_back(self, warm: "_Warm", *, healthy: bool) -> None:
        """Keep a session for the next check, unless it broke, is worn, or stood in for held-up ones."""
        warm.used += 1
        with self._lock:
            keep = healthy and warm.used < _CHECKS_PER_SESSION and self._made <= _WARM
            if not keep:  # what a checker remembers of old snippets must not pile up
                self._made -= 1
        if keep:
            self._idle.put(warm)
        else:
            self._drop(warm.session)

    @staticmethod
    def _drop(session: MontySession) -> None:
        with contextlib.suppress(Exception):  # a broken session's process is gone already
            session.__exit__(None, None, None)


@dataclass(slots=True)
class _Warm:
    """A session, the modules that it was made with, and how often it was used; lent to one check at a time."""

    session: MontySession
    modules: Modules
    used: int = 0
    until_s: int = 0  # of its process's processor time


def _patience_s() -> float:
    return _WAIT_S if sys.platform == "linux" else CHECK_TIME_S


def _limit(warm: _Warm) -> None:
    """Have the kernel end the session's process once it has worked for `CHECK_TIME_S` from here on.

    PERF: 1 µs, and 2 µs more once in a second of its work.
    """
    pid = warm.session.worker_pid
    if sys.platform == "linux" and pid is not None:
        with contextlib.suppress(OSError, ValueError):  # it has ended, or there is a lower limit for all of us
            worked_s = time.clock_gettime((~pid << 3) | 2)  # what clock_getcpuclockid(3) makes of the process
            if (until_s := math.ceil(worked_s + CHECK_TIME_S)) > warm.until_s:
                most = resource.prlimit(pid, resource.RLIMIT_CPU)[1]
                resource.prlimit(pid, resource.RLIMIT_CPU, (until_s, most))
                warm.until_s = until_s


def _took_too_long(error: MontyCrashedError) -> bool:
    return error.timed_out or signal.SIGXCPU.name in str(error)


def _feed(session: MontySession, code: str) -> str | None:
    try:
        session.feed_run(code, print_callback=_discard)
    except MontyTypingError as error:
        return _POSITION.sub(lambda m: f"line {int(m[1]) - 1}, column {m[2]}: ", str(error)).strip()
    except MontySyntaxError as error:
        return str(error)
    except MontyRuntimeError as error:
        if str(error).startswith(_STOPPED):
            return None
        # anything else comes from the parser, which refuses what the sandbox's Python lacks
        frames = error.traceback()
        return f"line {frames[-1].line - 1}, column {frames[-1].column}: {error}" if frames else str(error)
    # Invariant: `_STOP` always fails, so no code is ever run here
    raise TaskError("sandbox_crashed", "The type checker did not stop where it must; try the task again.")


def told_of(findings: str) -> str:
    """Return the first findings of a check, each on a line, and how many more there are."""
    lines = findings.splitlines()
    told = [cut(line, FINDING_CHARS) for line in lines[:FINDINGS]]
    if len(lines) > FINDINGS:
        told.append(left_out(len(lines) - FINDINGS, "findings"))
    return "\n".join(told)


def _kill(pid: int | None) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _discard(_stream: str, _text: str) -> None:
    """Take what nothing prints."""


def skip_failing_imports() -> None:
    """Have Monty's look for OpenTelemetry fail at once where it is not installed.

    PERF: Monty 1.4 tries to import it whenever code is fed or resumed by itself, and Python remembers no failed
    import: 200 µs a task, of the 300 µs that a whole run takes.
    """
    if "opentelemetry" not in sys.modules and importlib.util.find_spec("opentelemetry") is None:
        for name in ("opentelemetry", "opentelemetry.context"):
            sys.modules[name] = None  # type: ignore[assignment]  # how Python marks a module that is not there
