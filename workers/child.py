"""A worker's process: its main thread reads what the control side says, threads work on runs, what they say goes up in frames.

Started by `processes.py` with the descriptors that it needs; it ends with the control side, whichever way that ends. What it
loads is what a server loads: skills, agents, the planner or the model's client, the sandbox. Nobody imports this.
"""

import contextlib
import ctypes
import gc
import mmap
import os
import queue
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Never

from callboard import inheritance
from callboard.agent.cancel import Cancelled, CancelToken, working_token
from callboard.agent.job import Outcome, Progress
from callboard.errors import TaskError
from callboard.logs import configure_logging, get_logger
from callboard.memory import give_back
from callboard.settings import Settings
from callboard.workers import codec
from callboard.workers.codec import HEAD, packed, unpacked
from callboard.workers.equipment import Equipment
from callboard.workers.protocol import (
    Answered,
    Assignment,
    Begin,
    Call,
    Cancel,
    Close,
    Commit,
    Down,
    Ended,
    HandBack,
    Listing,
    Printed,
    Probe,
    Probed,
    Progressed,
    Ready,
    Recorded,
    Request,
    Run,
    TimeLeft,
    Told,
)
from callboard.workers.work import Work

logger = get_logger("callboard.worker")

_PR_SET_PDEATHSIG = 1
_SOON_S = 0.02
"""Longest time that what may wait is kept back for company of the same run."""


class Pipe:
    """The way up, in frames; fulfils `Link`. Any thread.

    What a run has told goes up with the next thing of it that must, or a moment later. A frame is in the kernel's hands when it has
    been sent, and read to its end whatever becomes of this process. PERF: others' messages wait for their own runs: so a
    short task is one frame, with its events in one piece, however many run beside it.
    """

    def __init__(self, connection: socket.socket, ended: Callable[[Run], object]) -> None:
        """`ended` is told of each run whose end is in the pipe."""
        self._connection = connection
        self._ended = ended
        self._process = os.getpid()
        # Guards all below and the order of frames; runs' threads, the flusher and the reader all come here.
        self._lock = threading.Lock()
        self._held: dict[Run | None, list[Any]] = {}
        self._progress: dict[Run, Progress] = {}
        self._replies: dict[int, Reply] = {}
        self._number = 0
        self._told = threading.Event()
        threading.Thread(target=self._flush_soon, name="flusher", daemon=True).start()

    def watch(self, run: Run, progress: Progress) -> None:
        """Tell how far a run has come with all that is told of it, until it has ended."""
        with self._lock:
            self._progress[run] = progress

    def tell(self, message: Told | Printed | TimeLeft) -> None:
        with self._lock:
            begins = not self._held
            self._hold(message)
        if begins:  # else the flusher knows that there is something
            self._told.set()

    def tell_printed(self, run: Run) -> None:
        """Have what a run has printed be known outside before its skill does anything that others may see."""
        with self._lock:
            if any(isinstance(message, Printed) for message in self._held.get(run, ())):
                self._flush(run)

    def tell_now(self, message: Recorded | Ended | Ready | Probed) -> None:
        with self._lock:
            self._flush(self._hold(message))

    def ask(self, asks: Commit | Call) -> "Reply":
        reply = Reply()
        with self._lock:
            self._number += 1
            self._replies[self._number] = reply
            self._flush(self._hold(Request(self._number, asks)))
        return reply

    def answered(self, answer: Answered) -> None:
        with self._lock:
            reply = self._replies.pop(answer.number, None)
        if reply is not None:
            reply.put(answer)

    def _flush_soon(self) -> None:
        """Send what has been held for long, from when there is something until there is nothing: look twice in the time."""
        while True:
            self._told.wait()
            self._told.clear()
            looked_at: list[Run | None] = []
            while looked_at or self._held:
                time.sleep(_SOON_S / 2)
                with self._lock:
                    self._flush(*looked_at)
                    looked_at = list(self._held)

    def _hold(self, message: Any) -> Run | None:
        """Hold a message behind what its run has told before, events as one; return the run; under the lock."""
        run = _run_of(message)
        held = self._held.setdefault(run, [])
        if held and isinstance(message, Told) and isinstance(before := held[-1], Told):
            held[-1] = Told(message.run, before.events + message.events)
        else:
            held.append(message)
        return run

    def _flush(self, *runs: Run | None) -> None:
        """Send what is held of runs, with how far they have come; under the lock."""
        messages: list[Any] = []
        ended: list[Run] = []
        for run in runs:
            if not (held := self._held.pop(run, None)):
                continue
            if isinstance(held[-1], Ended):
                ended.append(held[-1].run)
            if run is not None and run in self._progress:
                messages.append(self._progressed(run, ended=run in ended))
            messages += held
        if not messages:
            return
        try:
            frame = packed(messages)
        except Exception:
            logger.exception("something that a run says has no wire form")
            frame = b"".join(self._frame_of(one) for message in messages for one in _apart(message))
        self._send(frame)
        for run in ended:
            self._progress.pop(run, None)
            self._ended(run)

    def _send(self, frame: bytes) -> None:
        """Send a frame, or end: of a process that nobody hears, no run ends; somebody has closed what it speaks with."""
        try:
            self._connection.sendall(frame)
        except OSError as error:
            if os.getpid() != self._process:
                raise  # a copy of this process, which has nothing to say
            logger.error("what this process has to say cannot be sent", error=str(error))
            end_at_once()

    def _frame_of(self, message: Any) -> bytes:
        """Return the frame of one message; of what has no wire form only that there was an end, and whoever asked it is told; under the lock."""
        try:
            return packed([message])
        except Exception as error:  # noqa: BLE001  # the whole frame's was logged
            told = f"What the task came to cannot be kept ({type(error).__name__}); the server's log says why."
            failed = TaskError("internal_error", told)
        if isinstance(message, Request):
            self._replies.pop(message.number).put(Answered(message.number, error=failed))
        if not isinstance(message, Ended):
            return b""
        outcome = Outcome(error=failed, metadata={"attempt": message.run.attempt})
        return packed([Ended(run=message.run, outcome=outcome, worked_ms=message.worked_ms)])

    def _progressed(self, run: Run, *, ended: bool) -> Progressed:
        progress = self._progress[run]
        return Progressed(run, None if ended else dict(progress.metadata), progress.charges())


def _apart(message: Any) -> list[Any]:
    """Return a message in the smallest pieces that say the same."""
    return [Told(message.run, (event,)) for event in message.events] if isinstance(message, Told) else [message]


def _run_of(message: Any) -> Run | None:
    if isinstance(message, Request):
        return message.asks.run
    run: Run | None = getattr(message, "run", None)
    return run


class Reply:
    """Where the answer to a request arrives; fulfils `Reply` of the protocol."""

    def __init__(self) -> None:
        self._answers: queue.SimpleQueue[Answered] = queue.SimpleQueue()

    def put(self, answer: Answered) -> None:
        self._answers.put(answer)

    def get(self, *, timeout_s: float | None = None) -> Any:
        try:
            answer = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError from None
        if answer.cancelled:
            raise Cancelled
        if answer.error is not None:
            raise answer.error
        return answer.value


class PrintedText(list[str]):
    """What a run's code has printed, which the control side is told as it comes."""

    def __init__(self, run: Run, pipe: Pipe) -> None:
        super().__init__()
        self._run = run
        self._pipe = pipe

    def append(self, text: str) -> None:
        super().append(text)
        self._pipe.tell(Printed(self._run, text))

    def clear(self) -> None:
        super().clear()
        self._pipe.tell(Printed(self._run, None))


class Board:
    """Calls of skills that are under way, in memory that outlives this process: a pair of numbers a slot, all and those `never` repeated."""

    def __init__(self, descriptor: int) -> None:
        self._numbers = memoryview(mmap.mmap(descriptor, 0)).cast("q")
        # Guards the numbers: calls that a script makes at once begin and end in threads of their own.
        self._lock = threading.Lock()

    @contextmanager
    def call(self, slot: int, *, never: bool) -> Iterator[None]:
        self._add(slot, 1, never)
        try:
            yield
        finally:
            self._add(slot, -1, never)

    def _add(self, slot: int, number: int, never: bool) -> None:
        with self._lock:
            self._numbers[2 * slot] += number
            self._numbers[2 * slot + 1] += number * never


class RunToken(CancelToken):
    """Tells a run to stop, and which one that is."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run


class Child:
    """The process: its pipe, what it works with, its runs."""

    def __init__(self, connection: socket.socket, board: int) -> None:
        self._connection = connection
        self._reading = connection.makefile("rb", buffering=1 << 18)
        self._tokens: dict[Run, CancelToken] = {}
        self._pipe = Pipe(connection, lambda run: self._tokens.pop(run, None))
        self._board = Board(board)

    def run(self) -> Never:
        """Read for as long as the control side is there."""
        begin = self._next()[0]
        assert isinstance(begin, Begin)
        settings = Settings(**begin.settings)
        configure_logging(settings)
        give_back()
        _limit_memory(settings.worker_memory_bytes)
        self._equipment = Equipment(settings, self._asks, begin.servers)
        self._work = Work(self._pipe, lambda: self._equipment.tools)
        gc.freeze()  # PERF: what was loaded lives as long as the process; the collector need not look at it
        self._pipe.tell_now(Ready(os.getpid()))
        while True:
            for message in self._next():
                self._take(message)

    def _next(self) -> list[Any]:
        """Return the messages of the next frame; end where the control side has ended, of whose last frame a part may have come."""
        head = self._reading.read(HEAD.size)
        size = HEAD.unpack(head)[0] if len(head) == HEAD.size else 0
        body = self._reading.read(size)
        if not body or len(body) < size:
            end_at_once()
        return unpacked(body)

    def _take(self, message: Down) -> None:
        match message:
            case Assignment():
                self._assign(message)
            case Cancel(run=run):
                if (token := self._tokens.get(run)) is not None:
                    token.cancel()
            case HandBack(run=run):
                if (token := self._tokens.get(run)) is not None:
                    token.hand_back()
            case Answered():
                self._pipe.answered(message)
            case Listing(servers=servers):
                self._equipment.renew(servers)
            case Close():
                threading.Thread(target=self._close, name="end", daemon=True).start()
            case Begin():
                pass  # it was the first
            case Probe(number=number):
                threading.Thread(target=self._probe, args=(number,), name="probe", daemon=True).start()

    def _assign(self, assignment: Assignment) -> None:
        run, token = assignment.run, RunToken(assignment.run)
        progress = Progress(printed=PrintedText(run, self._pipe))
        self._tokens[run] = token
        self._pipe.watch(run, progress)
        slot = assignment.slot
        self._work.assign(assignment, token, progress, under_way=lambda never: self._under_way(run, slot, never=never))

    def _under_way(self, run: Run, slot: int, *, never: bool) -> AbstractContextManager[None]:
        self._pipe.tell_printed(run)
        return self._board.call(slot, never=never)

    def _asks(self, method: str, *arguments: Any) -> Any:
        """Call a method of the control side; the calling thread waits."""
        # what is asked of servers of tools ends with the run that asks it; the rest is said to its end, whatever becomes of the run
        token = working_token() if method.startswith("mcp.") else None
        run = token.run if isinstance(token, RunToken) else None
        return self._pipe.ask(Call(run, method, tuple(map(codec.as_argument, arguments)))).get()

    def _probe(self, number: int) -> None:
        fault = None
        try:
            self._equipment.tools.sandbox.probe()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is why it does not work
            fault = str(error) or type(error).__name__
        self._pipe.tell_now(Probed(number, fault))

    def _close(self) -> None:
        """End when every run is over; meanwhile it is heard what they are told."""
        self._work.close(float("inf"))
        self._equipment.close()
        os._exit(0)


def end_at_once() -> None:
    """End this process and whatever it has started in its group."""
    with contextlib.suppress(OSError):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _limit_memory(most_bytes: int) -> None:
    if most_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))


def _end_with(parent: int) -> None:
    """Have the kernel kill this process with the thread that has started it, which lives as long as the server."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        end_at_once()


def main(arguments: list[str]) -> None:
    """Work for the server of the process id that comes first; then come the descriptors of the pipe, of the board and of the lock."""
    parent, pipe, board, lock = map(int, arguments)
    for number in (
        pipe,
        board,
        lock,
    ):  # sandboxes outlive this process where a fork of a skill has their pipe, and are no workers
        os.set_inheritable(number, False)
    _end_with(parent)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the server hears of it, and decides
    os.dup2(2, 1)  # what skills print belongs to the log
    connection = socket.socket(fileno=pipe)
    inheritance.withhold(lambda: (pipe, lock))
    child = Child(connection, board)
    try:
        child.run()
    except BaseException:  # whatever it is, the server hears of it by the end of the pipe
        logger.exception("the worker's process cannot go on")
        os._exit(1)
