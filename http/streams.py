"""Streams that stay open: how many there may be, and how one is sent.

Each keeps a waitress thread. The server gets one more for every stream beyond as many as were ever open at once, so
that streams take none from other requests; threads that nobody needs sleep. Imported within `http/` only.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import falcon

from callboard.errors import CallboardError, Unavailable
from callboard.http import sse
from callboard.http.connection import Connection, connection_of
from callboard.http.errors import TooManyStreams
from callboard.http.request import Request
from callboard.logs import get_logger
from callboard.shares import Places

if TYPE_CHECKING:
    from callboard.system import AgentSystem

HEARTBEAT_S = 15.0
_CHUNK_BYTES = 64 * 1024

_log = get_logger("callboard.http")


class Source(Protocol):
    """What a stream tells. In the stream's thread, but for `wake`."""

    over: bool

    def next(self, wait_s: float) -> list[bytes]:
        """Return what is to be sent, nothing if there is nothing for `wait_s` seconds; may come back early."""

    def idle(self) -> bytes:
        """Return what is sent when there was nothing for a while."""

    def wake(self) -> None:
        """End the wait in `next`; any thread."""

    def close(self) -> None:
        """Let go of everything."""


class Streams:
    """Places for streams, `max_streams` of them, shared among callers.

    The lock guards the highest number of them: an actor would be asked by a thread that holds a place already.
    """

    def __init__(self, system: "AgentSystem") -> None:
        self._system = system
        self._places = Places(system.settings.max_streams)
        self._lock = threading.Lock()
        self._high = 0

    @property
    def open(self) -> int:
        return self._places.taken

    def take(self, req: Request) -> "Place":
        """Take a place; raise `TooManyStreams`, or `Unavailable` at the end of the server."""
        if self._system.closing:
            raise Unavailable("The server is shutting down; connect again shortly.", retry_after_s=5)
        if not self._places.take(req.principal.id):
            raise TooManyStreams(self._refusal(req.principal.id))
        with self._lock:
            if self.open > self._high:
                self._high = self.open
                if (connection := connection_of(req)) is not None:
                    connection.keep_threads(self._high)
        return Place(self._places, req.principal.id)

    def _refusal(self, caller: str) -> str:
        most, yours = self._places.most, self._places.held_by(caller)
        if self._places.taken >= most or not yours:
            return f"As many streams as the limit of {most} are open; try again, or ask with wait=20 instead."
        return (
            f"You have {yours} of the {most} streams open, and those that are left are kept for other callers; close one "
            "and try again, or ask with wait=20 instead."
        )


class Place:
    """A stream's place; a context manager that gives it back if no stream has come of it."""

    def __init__(self, places: Places, caller: str) -> None:
        self._places: Places | None = places
        self._caller = caller
        self._kept = False

    def leave(self) -> None:
        places, self._places = self._places, None
        if places is not None:
            places.leave(self._caller)

    def send(self, req: Request, resp: falcon.Response, source: Source) -> None:
        """Answer with a stream, which keeps the place and the source until its end; where it fails neither is kept."""
        try:
            resp.stream = EventStream(source, self, connection_of(req))
        except BaseException:
            source.close()
            raise
        self._kept = True
        resp.content_type = sse.CONTENT_TYPE
        resp.set_header("X-Accel-Buffering", "no")

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_error: object) -> None:
        if not self._kept:
            self.leave()


class EventStream:
    """The body of an answer that goes on: an iterator of chunks.

    It ends when its source does, when the client goes, and when the client takes too little: that one can resume.
    """

    def __init__(self, source: Source, place: Place, connection: Connection | None) -> None:
        self._source = source
        self._place = place
        self._connection = connection
        self._pieces = deque([sse.RETRY])
        self._at_end: list[Callable[[], None]] = []
        self._closed = False
        if connection is not None:
            connection.on_gone(source.wake)

    def at_end(self, call: Callable[[], None]) -> None:
        """Have `call` called when the stream is closed."""
        self._at_end.append(call)

    def __iter__(self) -> "EventStream":
        return self

    def __next__(self) -> bytes:
        if not self._can_send():
            raise StopIteration
        if not self._pieces or self._pieces[0] is sse.RETRY:
            self._pieces.extend(self._wait())
        if not self._pieces:
            raise StopIteration
        chunk = [self._pieces.popleft()]
        size = len(chunk[0])
        while self._pieces and size + len(self._pieces[0]) <= _CHUNK_BYTES:
            chunk.append(self._pieces.popleft())
            size += len(chunk[-1])
        return b"".join(chunk)

    def close(self) -> None:
        """Let go of everything; waitress calls it however the stream ends."""
        if self._closed:
            return
        self._closed = True
        self._source.close()
        self._place.leave()
        for call in self._at_end:
            call()

    def _can_send(self) -> bool:
        if self._connection is None or self._connection.has_room():
            return True
        if not self._connection.gone:
            _log.warning("a stream's reader takes too little and was dropped; it can resume")
            self._connection.drop()
        return False

    def _wait(self) -> list[bytes]:
        """Wait for something to send; nothing at the end."""
        first = bool(self._pieces)  # what every stream begins with goes out at once
        if not first and self._connection is not None:
            self._connection.rests()
        until_s = time.monotonic() + (0.0 if first else HEARTBEAT_S)
        while not self._source.over:
            if self._connection is not None and self._connection.gone:
                return []
            left_s = until_s - time.monotonic()
            try:
                pieces = self._source.next(max(0.0, left_s))
            except CallboardError as error:  # the history cannot be read now, or holds the task no more
                _log.info("a stream ended early", code=error.code)
                return []
            if pieces:
                return pieces
            if left_s <= 0 and not self._source.over:
                return [] if first else [self._source.idle()]
        return []
