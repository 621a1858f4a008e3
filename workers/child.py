"""A worker's process: its main thread reads what the control side says, threads work on runs, what they say goes up in frames.

Started by `processes.py` with the descriptors that it needs; it ends with the control side, whichever way that ends. What it
loads is what a server loads: skills, agents, the planner or the model's client, the sandbox. Nobody imports this.
"""

import gc
import mmap
import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Never

from callboard import inheritance
from callboard.agent.cancel import CancelToken, working_token
from callboard.agent.job import Progress
from callboard.logs import configure_logging, get_logger
from callboard.memory import give_back
from callboard.settings import Settings
from callboard.workers import codec
from callboard.workers.codec import HEAD, unpacked
from callboard.workers.equipment import Equipment
from callboard.workers.lifeline import end_at_once
from callboard.workers.pipe import Pipe, PrintedText
from callboard.workers.protocol import (
    IS_THERE,
    Answered,
    Assignment,
    Begin,
    Call,
    Cancel,
    Close,
    Down,
    HandBack,
    Listing,
    Probe,
    Probed,
    Ready,
    Run,
)
from callboard.workers.work import Work

logger = get_logger("callboard.worker")


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
        self._umask = os.umask(0o022)
        os.umask(self._umask)

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
        head = self._reading.read(HEAD.size) or b""  # None: a skill has had the pipe wait for nothing
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
            case Probe(number=number) if number == IS_THERE:
                self._pipe.tell_now(Probed(number))
            case Probe(number=number):
                threading.Thread(target=self._probe, args=(number,), name="probe", daemon=True).start()

    def _assign(self, assignment: Assignment) -> None:
        run, token = assignment.run, RunToken(assignment.run)
        progress = Progress(printed=PrintedText(run, self._pipe))
        self._tokens[run] = token
        self._pipe.watch(run, progress)
        slot = assignment.slot
        self._work.assign(assignment, token, progress, under_way=lambda never: self._under_way(run, slot, never=never))

    @contextmanager
    def _under_way(self, run: Run, slot: int, *, never: bool) -> Iterator[None]:
        self._pipe.tell_printed(run)
        try:
            with self._board.call(slot, never=never):
                yield
        finally:
            os.umask(self._umask)  # a skill's would make folders of other sessions that nobody may enter

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


def _limit_memory(most_bytes: int) -> None:
    if most_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))


def main(arguments: list[str]) -> None:
    """Work for the server at the other end; the arguments are the descriptors of the pipe, of the board and of the lock."""
    pipe, board, lock = map(int, arguments)
    for number in (
        pipe,
        board,
        lock,
    ):  # sandboxes outlive this process where a fork of a skill has their pipe, and are no workers
        os.set_inheritable(number, False)
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
