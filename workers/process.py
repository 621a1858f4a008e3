"""One worker's process, as the control side has it: its pipe, what it was given, its end. Used by `processes.py` alone."""

import contextlib
import itertools
import json
import logging
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from callboard.agent.cancel import Cancelled, CancelToken
from callboard.agent.job import Progress
from callboard.errors import CallboardError, TaskError
from callboard.workers.codec import HEAD, as_argument, packed, unpacked
from callboard.workers.protocol import IS_THERE, Answered, Assignment, Probe, Probed, Run

logger = logging.getLogger("callboard.workers")

SLOTS = 1024
"""Most runs that one process has at once, those that do not let go included."""

_ASKED_AFTER, FROZEN_AFTER = 10, 30
"""After how many looks, of a second each, a process that says nothing is asked whether it is there, and counts as frozen.

Looks are counted, not seconds: where the whole machine stood still, nobody has looked.
"""

_LOOK_S = 1.0
_ENDS_WITHIN_S = 2.0
_EXITS_WITHIN_S = 0.5
"""How long one whose pipe has ended may take to be gone, before it is ended: what it dies of is closed after its pipe."""

_PIECE_BYTES = 1 << 18
_STARTS = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "from callboard.workers.lifeline import end_with; end_with(int(sys.argv.pop(1))); sys.modules['rich'] = None; "
    "from callboard.workers.child import main; del sys.modules['rich']; main(sys.argv[1:])"
)
"""It ends with its server before it loads anything: that takes half a second, and several where processors are scarce.

PERF: structlog imports rich for tracebacks in colour where it finds it: a tenth of the start, and 4 MB of 40."""


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """A run that a process has, with what tells it to stop and how far it has come."""

    assignment: Assignment
    token: CancelToken
    progress: Progress
    alone: bool = False


@dataclass(slots=True)
class Asked:
    """A probe that somebody waits for; it is over when it was answered, or nobody will answer it."""

    over: threading.Event = field(default_factory=threading.Event)
    answered: bool = False
    fault: str | None = None


class WorkerProcess:
    """A process, from before it is started until it is gone.

    `send` is for any thread, `receive` and what starts and ends it for the workers' thread, the rest for whoever holds
    the lock of `ProcessWorkers`. `condemned_s` is since when it is to be ended, `answers` whether it has said since that it gets on; `alone` the run that it has to itself, `spare_since_s` since when it has had one and has it no more.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` is called when there is something that could not be sent at once."""
        self._wake = wake
        self.runs: dict[Run, Given] = {}
        self.ready = self.answers = self.killed = self.closing = self.frozen = False
        self._looked_s, self._silent = 0.0, 0
        self.condemned_s: float | None = None
        self.spare_since_s: float | None = None
        self.alone: Run | None = None
        self._probe_numbers = itertools.count(IS_THERE + 1)
        self._asked: dict[int, Asked] = {}
        self.connection, self._theirs = socket.socketpair()
        self.connection.setblocking(False)
        self._board = os.memfd_create("callboard-calls") if hasattr(os, "memfd_create") else _unnamed_file()
        os.ftruncate(self._board, SLOTS * 16)
        self._numbers = memoryview(mmap.mmap(self._board, 0)).cast("q")
        self._popen: subprocess.Popen[bytes] | None = None
        self.pid = 0
        # Guards what is to be sent, and the order of frames.
        self._sending = threading.Lock()
        self._unsent = bytearray()
        self._unread = bytearray()

    # --- what it has ---

    def give(self, given: Given) -> Assignment:
        """Return what is to be sent of a run that it gets."""
        taken = {other.assignment.slot for other in self.runs.values()}
        slot = next(number for number in range(SLOTS) if number not in taken)
        self._numbers[2 * slot] = self._numbers[2 * slot + 1] = 0
        assignment = replace(given.assignment, slot=slot)
        self.runs[assignment.run] = replace(given, assignment=assignment)
        if given.alone:
            self.alone = assignment.run
        return assignment

    def take_back(self, run: Run) -> None:
        self.runs.pop(run, None)
        if self.alone == run:
            self.alone, self.spare_since_s = None, time.monotonic()

    @property
    def is_spare(self) -> bool:
        """Whether it was there for one run alone, and is idle."""
        return self.spare_since_s is not None and self.ready and not (self.runs or self.closing)

    def is_in_call(self, run: Run, *, never: bool = False) -> bool:
        """Whether a call of a skill is under way for a run, one that is `never` repeated; also when the process is gone."""
        given = self.runs.get(run)
        return given is not None and self._numbers[2 * given.assignment.slot + never] > 0

    # --- what is said ---

    def send(self, message: Any) -> None:
        """Send a message, now or as soon as there is room; to one that is gone nothing is sent."""
        frame = packed([message])
        with self._sending:
            sent = 0 if self._unsent else self._sent(frame)
            self._unsent += memoryview(frame)[sent:]
            waits = bool(self._unsent)
        if waits:
            self._wake()

    def answer(self, number: int, value: Any, error: BaseException | None) -> None:
        """Send what a request has come to; whatever that is, there is an answer."""
        try:
            self.send(_answered(number, value, error))
        except Exception as unsendable:  # noqa: BLE001  # whoever asked waits
            self.send(_answered(number, None, unsendable))

    def probe(self) -> Asked:
        """Have it try its sandbox."""
        number, asked = next(self._probe_numbers), Asked()
        self._asked[number] = asked
        self.send(Probe(number))
        return asked

    def ask_whether_it_is_there(self) -> None:
        """Have `answers` say, once it has, that something in it gets on."""
        self.send(Probe(IS_THERE))

    def look(self, now_s: float) -> None:
        """Look, once a second, whether one that has runs says anything; end it where nothing in it gets on. It has died then."""
        if now_s < self._looked_s + _LOOK_S:
            return
        self._looked_s, self._silent = now_s, self._silent + 1 if self.runs and self.ready else 0
        if self._silent == _ASKED_AFTER:
            self.ask_whether_it_is_there()
        elif self._silent >= FROZEN_AFTER:
            self.frozen = True
            self._kill()

    def probed(self, message: Probed) -> None:
        if message.number == IS_THERE:
            self.answers = True
        elif (asked := self._asked.pop(message.number, None)) is not None:
            asked.answered, asked.fault = True, message.fault
            asked.over.set()

    def end_probes(self) -> None:
        """Have nobody wait for an answer any more."""
        for asked in list(self._asked.values()):
            asked.over.set()

    def go_on_sending(self) -> None:
        with self._sending:
            del self._unsent[: self._sent(self._unsent)]

    @property
    def waits_to_send(self) -> bool:
        return bool(self._unsent)

    def _sent(self, data: bytes | bytearray) -> int:
        try:
            return self.connection.send(data)
        except BlockingIOError:
            return 0
        except OSError:  # it is gone, which is heard where it is read
            return len(data)

    def receive(self) -> tuple[list[Any], bool]:
        """Return what has come, and whether that was the end of it; a frame that was cut by the end is dropped."""
        ended = False
        try:
            piece = self.connection.recv(_PIECE_BYTES)
            ended, self._silent = not piece, 0
            self._unread += piece
        except BlockingIOError:
            pass
        except OSError:
            ended = True
        messages: list[Any] = []
        try:
            for body in self._whole_frames():
                messages += unpacked(body)
        except ValueError as error:  # somebody else has written into it, and where the next frame begins is not known
            logger.error("worker %d: %s", self.pid, error)
            ended = True
        return messages, ended

    def _whole_frames(self) -> Iterator[bytes]:
        at = 0
        while len(self._unread) - at >= HEAD.size:
            (size,) = HEAD.unpack_from(self._unread, at)
            begin = at + HEAD.size
            if len(self._unread) < begin + size:
                break
            yield bytes(memoryview(self._unread)[begin : begin + size])
            at = begin + size
        del self._unread[:at]

    # --- its life ---

    @property
    def is_started(self) -> bool:
        return self._popen is not None

    def spawn(self, environment: Mapping[str, str], lock: int) -> None:
        """Start it, in a session of its own; it has the descriptors that it is given and no other."""
        theirs, board = self._theirs.fileno(), self._board
        command = [sys.executable, "-c", _STARTS, json.dumps(sys.path), *map(str, (os.getpid(), theirs, board, lock))]
        self._popen = subprocess.Popen(  # noqa: S603  # this interpreter
            command, stdin=subprocess.DEVNULL, env=environment, pass_fds=(theirs, board, lock), start_new_session=True
        )
        self.pid = self._popen.pid
        self._theirs.close()
        if self.killed:  # before there was anything to be ended
            self._kill()

    def kill(self) -> None:
        """End it at once, with what it has started in its group."""
        self.killed = True
        self._kill()

    def _kill(self) -> None:
        if self._popen is not None and self._popen.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> str:
        """End one whose pipe has ended, if it has outlived that; return how it ended, as in "signal 11 (SIGSEGV)"."""
        if self._popen is None:
            return "it was never started"
        outlives = not self.killed and not self.closing and self._outlives_its_pipe()
        if not self.closing:
            self._kill()
        try:
            status = self._popen.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._kill()
            return "it does not end"
        if self.killed:
            return "ended by the server"
        if self.frozen:
            return f"ended by the server, since nothing in it got on for {FROZEN_AFTER * _LOOK_S:g} s"
        if outlives and status == -signal.SIGKILL:
            return "ended by the server, since something in it had closed its pipe or written into it"
        return _in_words(status)

    def _outlives_its_pipe(self) -> bool:
        """Say whether it goes on without its pipe; it is not waited for, so that its number stays its own."""
        until_s = time.monotonic() + _EXITS_WITHIN_S
        with contextlib.suppress(AttributeError, ChildProcessError):  # macOS has no such call before Python 3.13
            while os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                if time.monotonic() > until_s:
                    return True
                time.sleep(0.005)
        return False

    def close(self) -> None:
        """Let go of its descriptors."""
        self.connection.close()
        self._theirs.close()
        self._numbers.release()
        os.close(self._board)

    @property
    def descriptors(self) -> list[int]:
        return [number for number in (self.connection.fileno(), self._theirs.fileno(), self._board) if number >= 0]


def _answered(number: int, value: Any, error: BaseException | None) -> Answered:
    if error is None:
        return Answered(number, as_argument(value))
    if isinstance(error, Cancelled):
        return Answered(number, cancelled=True)
    if not isinstance(error, CallboardError):
        logger.error("a call of a worker has failed", exc_info=error)
        error = TaskError("internal_error", f"The server could not do it ({type(error).__name__}); its log says why.")
    return Answered(number, error=error)


def _in_words(status: int) -> str:
    if status >= 0:
        return f"exit {status}"
    try:
        return f"signal {-status} ({signal.Signals(-status).name})"
    except ValueError:  # one without a name, of the real-time ones
        return f"signal {-status}"


def _unnamed_file() -> int:
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
