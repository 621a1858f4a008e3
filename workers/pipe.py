"""The way up from a worker's process, in frames: what its runs tell and ask, kept in order by run.

Imported by child.py only; any thread of the process calls.
"""

import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from callboard.agent.cancel import Cancelled
from callboard.agent.job import Outcome, Progress
from callboard.errors import TaskError
from callboard.logs import get_logger
from callboard.workers.codec import packed
from callboard.workers.lifeline import end_at_once
from callboard.workers.protocol import (
    Answered,
    Call,
    Commit,
    Ended,
    Printed,
    Probed,
    Progressed,
    Ready,
    Recorded,
    Request,
    Run,
    TimeLeft,
    Told,
)

logger = get_logger("callboard.worker")

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
        if self:  # PERF: each run begins with this, and its first call would have it sent at once: a frame more a task
            super().clear()
            self._pipe.tell(Printed(self._run, None))
