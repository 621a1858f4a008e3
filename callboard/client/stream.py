"""An event stream that is followed across broken connections, restarts of the server and time-outs.

What has been seen is named by its cursor (`id:` of the stream), and each new connection goes on behind it: nothing is
missed and nothing comes twice. Runs in the thread that iterates; imported by `callboard.client` only.
"""

import json
from collections.abc import Callable, Generator, Iterator
from typing import Any

import httpx
from httpx_sse import EventSource, ServerSentEvent

from callboard.client.errors import ApiError, NoServerError
from callboard.client.models import Event, Result
from callboard.client.transport import RETRIED, Request, Transport

STREAM_READ_TIMEOUT_S = 35.0
"""Longer than two heartbeats (15 s): a connection that is as quiet as that is dead."""
_HEARTBEAT_S = 15.0
_SHORTEST_READ_S = 0.5
_ACCEPTANCE_S = 5.0
"""What a request that submits a task is given at least."""


class Deadline:
    """When somebody stops waiting; `wait_s` None: never.

    A read cannot be cut short once it has begun, so reads are given half of the time that is left, down to half a
    second, and the stream is opened again with less when that has become too long.
    """

    def __init__(self, transport: Transport, wait_s: float | None) -> None:
        self._now = transport.clock.monotonic
        self._at = None if wait_s is None else self._now() + wait_s

    @property
    def left_s(self) -> float | None:
        return None if self._at is None else self._at - self._now()

    @property
    def passed(self) -> bool:
        return self._at is not None and self._now() >= self._at

    def read_timeout_s(self, shortest_s: float = _SHORTEST_READ_S) -> float:
        """Return how long a read may take that begins now."""
        left_s = self.left_s
        return STREAM_READ_TIMEOUT_S if left_s is None else min(STREAM_READ_TIMEOUT_S, max(left_s / 2, shortest_s))


class Follower:
    """One reader of one stream: `request` makes the request that opens it behind a cursor, `kind` is of its events."""

    def __init__(
        self,
        transport: Transport,
        request: Callable[[str | None], Request],
        *,
        kind: type[Event] = Event,
        deadline: Deadline | None = None,
    ) -> None:
        self._transport = transport
        self._request = request
        self._kind = kind
        self._deadline = deadline or Deadline(transport, None)
        self._tries = transport.tries()
        self._cursor: str | None = None
        self._moved = False
        self._over = False
        self._result: Result | None = None
        self._read_cut = False

    def items(self) -> Generator[Event | Result, None, None]:
        """Yield the events, then the result if the stream tells one; end early, without it, when the deadline passes.

        Gives up, with the error of the last try, after as many failures in a row as there are retries, none of the
        connections having brought anything new. A closed generator closes the connection.
        """
        while True:
            self._moved = False
            failure: ApiError | NoServerError | None = None
            try:
                if (yield from self._connection()):
                    failure = NoServerError(f"The server at {self._transport.url} has closed the stream.")
            except httpx.DecodingError as error:
                raise self._transport.garbled(error) from error
            except httpx.TransportError as error:
                failure = self._failure(error)
            except ApiError as error:
                if error.status not in RETRIED:
                    raise
                failure = error
            if self._result is not None:
                yield self._result
            if self._over or (self._deadline.passed and self._cursor is not None):
                return
            if failure is not None:
                self._pause(failure)

    def _connection(self) -> Generator[Event, None, bool]:
        """Read one connection to its end; return whether the server has ended it before its time."""
        read_s = self._deadline.read_timeout_s(_SHORTEST_READ_S if self._cursor else _ACCEPTANCE_S)
        self._read_cut = read_s < STREAM_READ_TIMEOUT_S
        began = self._transport.clock.monotonic()
        with self._transport.open(self._request(self._cursor), read_timeout_s=read_s) as answer:
            self._tries.answered()
            if answer.status_code == 204:  # all has been told
                self._over = True
                return False
            for message in EventSource(answer).iter_sse():
                yield from self._told(message)
                if not self._over and self._too_long(read_s):
                    return False
        # one that was open for so long was no failure to connect, whether or not there was something to tell
        self._moved = self._moved or self._transport.clock.monotonic() - began >= _HEARTBEAT_S
        return True

    def _told(self, message: ServerSentEvent) -> Iterator[Event]:
        if message.retry is not None:
            self._tries.first_pause_s = message.retry / 1000
        if message.id:
            self._moved = self._moved or message.id != self._cursor
            self._cursor = message.id
        if message.event == "end":
            self._over = True  # the server closes the stream and the connection now
            self._result = self._transport.parse(Result, self._json(message))
        elif message.event == "message" and message.data:  # other names may come with a later server
            yield self._transport.parse(self._kind, {**self._json(message), "cursor": message.id})

    def _too_long(self, read_s: float) -> bool:
        """Return whether the next read could last longer than anybody waits."""
        left_s = self._deadline.left_s
        if self._cursor is None or left_s is None:  # what was submitted has to have a name first
            return False
        return left_s <= 0 or (left_s < read_s and read_s > _SHORTEST_READ_S)

    def _failure(self, error: httpx.TransportError) -> NoServerError | None:
        """Return what has failed; None for a read that was cut short to look at the deadline."""
        if isinstance(error, httpx.ReadTimeout) and self._cursor and self._read_cut:
            return None
        failure = self._transport.unreachable(error)
        failure.__cause__ = error
        return failure

    def _pause(self, failure: ApiError | NoServerError) -> None:
        if self._deadline.passed:  # and nothing was accepted as far as anybody knows
            raise failure
        if self._moved:
            self._tries.reset()
        self._tries.pause(failure, self._deadline.left_s)

    def _json(self, message: ServerSentEvent) -> dict[str, Any]:
        try:
            value = json.loads(message.data)
        except ValueError as error:
            raise self._transport.garbled(error) from error
        return value if isinstance(value, dict) else {}
