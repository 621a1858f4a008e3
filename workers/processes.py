"""Runs worked on in processes of their own: what kills a process costs its own runs a try, and the server nothing.

One thread reads what all of them say, starts them, and ends those that must end; who assigns, cancels or answers sends in its own
thread, and waits for nobody. Called by the task pool; imported by the wiring.
"""

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from callboard import inheritance
from callboard.agent.cancel import CancelToken
from callboard.agent.job import Progress
from callboard.agent.purse import Spent
from callboard.errors import CallboardError, Unavailable
from callboard.one_core import OneCore
from callboard.workers.codec import CALLED
from callboard.workers.process import Given, WorkerProcess
from callboard.workers.protocol import (
    Assignment,
    Begin,
    Call,
    Cancel,
    Close,
    Commit,
    Desk,
    Down,
    Ended,
    HandBack,
    Printed,
    Probed,
    Progressed,
    Ready,
    Recorded,
    Request,
    Run,
    TimeLeft,
    Told,
    Up,
)
from callboard.workers.team import MOST_ALONE, Team, named

logger = logging.getLogger("callboard.workers")

GRACE_S = 5.0
"""How long a process that is to be ended has for what its other runs are at."""

DEAF_S = 20.0
"""How long one that does not answer is waited for over a call that must not be repeated, which is then in doubt."""

_LOOK_S = 0.1
_PROBE_S = 10.0
_AGAIN_S = 1.0
"""How long it takes until a process is started again in place of one that has ended before it could be given anything."""


class ProcessWorkers:
    """Fulfils `Workers`, by `count` processes and those beside them that `team.py` tells of."""

    most_alone = MOST_ALONE

    def __init__(
        self,
        count: int,
        *,
        begin: Callable[[], Begin],
        environment: Mapping[str, str],
        lock: int,
        calls_at_once: int,
        core: OneCore,
    ) -> None:
        """Start them: they load while the control side does; `attend` comes before anything is assigned."""
        self._begin = begin
        self._environment = environment
        self._lock_file = lock
        self._gone: Callable[[str], None] = lambda _process: None
        self._core = core
        self._callers = ThreadPoolExecutor(calls_at_once, thread_name_prefix="worker-call", initializer=core.leave)
        self._selector = selectors.DefaultSelector()
        self._waking, self._woken = socket.socketpair()
        self._waking.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._end_withholding = inheritance.withhold(self._descriptors)
        # Guards all below, and each process's runs: the master agent's thread assigns, the workers' thread hears of ends.
        self._lock = threading.RLock()
        self._team = Team(count)
        self._processes = self._team.all
        self._waiting: list[Given] = []
        self._start_at_s = 0.0
        self._closing = False
        self._ready = threading.Event()
        self._last_ready_s = float("-inf")
        self.deaths = 0
        self._thread = threading.Thread(target=self._loop, name="workers", daemon=True)
        try:
            self._thread.start()
        except BaseException:  # the machine gives no more threads
            self._let_go()
            raise

    def attend(
        self,
        desk: Desk,
        *,
        methods: Mapping[str, object],
        spent_of: Callable[[Assignment], Spent],
        gone: Callable[[str], None],
    ) -> None:
        """Have runs be heard by this desk; `methods` are the objects of the control side that runs may call, by name.

        `gone` is told the name of a process that has ended.
        """
        self._desk, self._methods, self._spent_of, self._gone = desk, methods, spent_of, gone

    # --- what the task pool asks for ---

    def assign(self, assignment: Assignment, token: CancelToken, progress: Progress, *, alone: bool = False) -> None:
        progress.spent = self._spent_of(assignment)
        given = Given(assignment, token, progress, alone)
        with self._lock:
            self._give(given)
        token.then(lambda: self._stop(given))

    def stand_in(self, run: Run) -> None:
        with self._lock:
            process = self._team.of(run)
            if process is None or process.condemned_s is not None:
                return
            process.condemned_s = time.monotonic()
            process.ask_whether_it_is_there()
            others = [given.token for other, given in process.runs.items() if other != run]
        logger.error("worker %d is ended once its other runs are handed back; another one stands in", process.pid)
        for token in others:
            token.hand_back("worker")
        self._wake()

    def probe(self) -> None:
        until_s = time.monotonic() + _PROBE_S
        while True:  # one that is gone before it has answered says nothing of the others
            with self._lock:
                usable = self._team.shared  # what a suspect does to its process says nothing of the others
                if self._closing or (not usable and time.monotonic() < self._start_at_s):
                    raise Unavailable("There is no worker's process that could be asked now.")
                # one that is not ready answers as soon as it is
                process = max(usable, key=lambda one: one.ready) if usable else self._start()
                asked = process.probe()
            if not asked.over.wait(max(0.0, until_s - time.monotonic())):
                raise Unavailable(f"The worker's process {process.pid} did not answer within {_PROBE_S:g} s.")
            if asked.fault is not None:
                raise RuntimeError(asked.fault)
            if asked.answered:
                return

    def wait_until_ready(self, timeout_s: float) -> bool:
        """Wait until a process can be given runs; False if the time was up first."""
        return self._ready.wait(timeout_s)

    def tell_all(self, message: Down) -> None:
        """Tell every process something that holds for what is assigned after it."""
        with self._lock:
            for process in self._processes:
                process.send(message)

    def close(self, until_s: float) -> bool:
        with self._lock:
            if not self._closing:
                self._closing = True
                for process in self._processes:
                    process.end_probes()
                    if process.ready or any(map(process.is_in_call, process.runs)):
                        process.send(Close())
                    else:  # what it was given has not begun, and it may not be loaded in time
                        process.kill()
            waiting = list(self._waiting)
        for given in waiting:
            given.token.hand_back()
        self._wake()
        return self._has_ended(max(0.0, until_s - time.monotonic()))

    def kill(self) -> None:
        with self._lock:
            self._closing = True
            for process in self._processes:
                process.kill()
        self._wake()
        self._has_ended(GRACE_S)

    def _has_ended(self, timeout_s: float) -> bool:
        """Wait for the end of all processes, and let go of what they were heard with."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        self._let_go()
        return True

    def _let_go(self) -> None:
        self._callers.shutdown(wait=False, cancel_futures=True)
        self._end_withholding()
        for one in (self._selector, self._waking, self._woken):
            one.close()

    def unready_s(self) -> float:
        """Return how many seconds none has been ready for; infinite where none ever was."""
        with self._lock:
            return 0.0 if any(one.ready for one in self._processes) else time.monotonic() - self._last_ready_s

    def described(self) -> list[dict[str, Any]]:
        """Return what there is to say of each process."""
        with self._lock:
            return [{"pid": one.pid, "ready": one.ready, "tasks": len(one.runs)} for one in self._processes]

    # --- under the lock ---

    def _give(self, given: Given) -> None:
        """Give a run to a process that takes one; where none can be started now, it waits for that."""
        process = self._team.taker(alone=given.alone)
        if process is None:
            if time.monotonic() < self._start_at_s:
                self._waiting.append(given)
                return
            process = self._start()
        assignment = process.give(given)
        try:
            process.send(assignment)
        except Exception:  # it has no wire form
            process.take_back(assignment.run)
            raise

    def _start(self) -> WorkerProcess:
        """Have a process started by the workers' thread, which lives as long as the server: the kernel ends it with that thread."""
        process = WorkerProcess(self._wake)
        self._processes.append(process)
        process.send(self._begin())
        self._wake()
        return process

    def _stop(self, given: Given) -> None:
        """Pass on that a run is to stop."""
        run = given.assignment.run
        with self._lock:
            process = self._team.of(run)
            before = len(self._waiting)
            self._waiting = [one for one in self._waiting if one.assignment.run != run]
            waited = len(self._waiting) < before
        if process is not None:
            process.send(Cancel(run) if given.token.cancelled else HandBack(run))
        elif waited:
            self._desk.take(Ended(run=run))

    # --- the workers' thread ---

    def _loop(self) -> None:
        self._core.join()
        while True:
            try:
                with self._lock:
                    left = self._keep_up()
                    has_ended = self._closing and not self._processes
                for run in left:
                    self._desk.lost(run, crashed=False, how="it was never started")
                if has_ended:
                    return
                for key, events in self._selector.select(self._patience_s()):
                    if key.fileobj is self._woken:
                        with contextlib.suppress(BlockingIOError):
                            self._woken.recv(4096, socket.MSG_DONTWAIT)
                        continue
                    process = key.data
                    if events & selectors.EVENT_WRITE:
                        process.go_on_sending()
                    if events & selectors.EVENT_READ:
                        self._read(process)
            except Exception:
                logger.exception("the workers' thread had to begin anew")
                time.sleep(_LOOK_S)

    def _patience_s(self) -> float | None:
        with self._lock:
            passing = any(one.condemned_s is not None or self._team.is_to_spare(one) for one in self._processes)
            if self._closing or passing or self._start_at_s:
                return _LOOK_S
            return 1.0 if any(one.runs for one in self._processes) else None

    def _keep_up(self) -> list[Run]:
        """Start and end the processes that are to be, and watch those that have something to send; return the runs that nobody takes."""
        now_s, left = time.monotonic(), list[Run]()
        if not self._closing and now_s >= self._start_at_s:
            self._start_at_s = 0.0
            with contextlib.suppress(OSError):  # the machine gives none now; those that are there go on
                for _ in range(self._team.lacks):
                    self._start()
            waiting, self._waiting = self._waiting, []
            for given in waiting:
                try:
                    self._give(given)
                except Exception:
                    logger.exception("task %s cannot be given to a process", given.assignment.run.task_id)
                    left.append(given.assignment.run)
        for process in list(self._processes):
            if process.killed and not process.is_started:  # before it could be
                self._processes.remove(process)
                left += process.runs
                process.close()
                continue
            if not process.is_started:
                try:
                    with self._core.left():
                        process.spawn(self._environment, self._lock_file)
                except OSError as error:  # the machine gives none now; those that are there go on
                    logger.error("no worker's process can be started: %s", error)
                    self._start_at_s = now_s + _AGAIN_S
                    continue
                self._selector.register(process.connection, selectors.EVENT_READ, process)
            self._look_at(process, now_s)
        return left

    def _look_at(self, process: WorkerProcess, now_s: float) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if process.waits_to_send else 0)
        if self._selector.get_key(process.connection).events != events:
            self._selector.modify(process.connection, events, process)
        if process.condemned_s is not None:
            others = [run for run, given in process.runs.items() if not given.token.cancelled]
            waits_s = now_s - process.condemned_s
            may_end = process.answers or waits_s < DEAF_S  # else nobody in it gets on: one holds the interpreter's lock
            waited_for = may_end and any(process.is_in_call(run, never=True) for run in others)
            if not others or (waits_s > GRACE_S and not waited_for):
                process.kill()
        elif self._team.may_end(process):
            process.closing = True
            process.send(Close())
        else:
            process.look(now_s)

    def _read(self, process: WorkerProcess) -> None:
        messages, ended = process.receive()
        for message in messages:
            try:
                self._take(process, message)
            except Unavailable as error:
                logger.debug("what worker %d says goes nowhere, the server is stopping: %s", process.pid, error)
            except Exception:
                logger.exception("what worker %d says cannot be taken", process.pid)
        if ended:
            self._bury(process)

    def _take(self, process: WorkerProcess, message: Up) -> None:
        match message:
            case Told() | Recorded() | TimeLeft():
                self._desk.take(message)
            case Printed(run=run, text=text):
                self._print(process, run, text)
            case Progressed():
                self._note(process, message)
            case Request(number=number, asks=asks):
                if isinstance(asks, Commit):
                    self._commit(process, number, asks)
                else:
                    self._callers.submit(self._call, process, number, asks)
            case Ended(run=run):
                with self._lock:  # first, so that who comes next finds the process free
                    process.take_back(run)
                self._desk.take(message)
            case Ready():
                process.ready = True
                self._ready.set()
            case Probed():
                process.probed(message)

    def _print(self, process: WorkerProcess, run: Run, text: str | None) -> None:
        if (given := process.runs.get(run)) is not None:
            printed = given.progress.printed
            printed.clear() if text is None else printed.append(text)

    def _note(self, process: WorkerProcess, message: Progressed) -> None:
        given = process.runs.get(message.run)
        if given is None:
            return
        if message.metadata is not None:
            given.progress.metadata = dict(message.metadata)
        if given.progress.spent is not None:
            given.progress.spent.add(message.charges)

    def _commit(self, process: WorkerProcess, number: int, commit: Commit) -> None:
        def answer(value: Any, error: BaseException | None) -> None:
            process.answer(number, value, error)

        try:
            self._desk.commit(commit, answer)
        except CallboardError as error:
            answer(None, error)

    def _call(self, process: WorkerProcess, number: int, call: Call) -> None:
        """Carry out what a run calls; in a thread of `_callers`."""
        value, failed = None, None
        try:
            part, _, name = call.method.partition(".")
            if name not in CALLED[part]:
                raise KeyError(call.method)
            given = process.runs.get(call.run) if call.run is not None else None
            of_run = () if given is None else (given.token,)
            value = getattr(self._methods[part], name)(*of_run, *call.arguments)
        except BaseException as error:  # noqa: BLE001  # it is raised where it was called
            failed = error
        process.answer(number, value, failed)

    def _bury(self, process: WorkerProcess) -> None:
        """Take back what a process had that is gone; what it has said is heard to its end before this."""
        self._selector.unregister(process.connection)
        status = process.end()
        with self._lock:
            self._processes.remove(process)
            in_call = {run for run in process.runs if process.is_in_call(run)}
            runs = dict(process.runs)
            process.runs.clear()
            killed = process.killed
            self._last_ready_s = time.monotonic() if process.ready else self._last_ready_s
            process.close()
            if not process.ready and not self._closing:  # what it was given has not begun
                self._start_at_s = time.monotonic() + _AGAIN_S
                self._waiting += [given for given in runs.values() if not given.token.stopped]
                runs = {run: given for run, given in runs.items() if given.token.stopped}
            process.end_probes()
            unasked = not killed and not process.closing and not self._closing
            self.deaths += unasked
        if unasked:
            logger.error(
                "worker %d has died (%s) with %d tasks under way, in a call: %s; another one takes its place",
                process.pid,
                status,
                len(runs),
                named(in_call),
            )
        self._gone(str(process.pid))
        for run in runs:
            self._desk.lost(run, crashed=not killed and run in in_call, how=status)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full, or closed: it is awake, or has ended
            self._waking.send(b"\0")

    def _descriptors(self) -> list[int]:
        own = [self._waking.fileno(), self._woken.fileno(), self._selector.fileno()]
        return [*own, *(number for one in self._processes for number in one.descriptors)]
