"""What a stream, or a held request, needs to know of the connection it is sent through, and do to it.

A facade over waitress's channel, put into the environ by http/channel.py. In the stream's waitress thread, but for
what `on_gone` was given, which is called by the thread that runs the server's loop. Imported by http/channel.py,
http/streams.py and http/waiting.py.
"""

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

from callboard.http.request import Request

ENVIRON_KEY = "callboard.connection"

MOST_UNSENT = 256 * 1024
"""Bytes that wait for a reader; while there are more, nothing is added."""

STALLED_S = 10.0
"""Longest time such a reader may take nothing at all."""

SILENT_S = 30
_LOOK_S = 0.1


def connection_of(req: Request) -> "Connection | None":
    """Return the connection of a request; None under another server than ours."""
    found: Connection | None = req.env.get(ENVIRON_KEY)
    return found


class Connection:
    """One client's connection."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    @property
    def gone(self) -> bool:
        """Whether the client has closed it, or it broke."""
        return not self._channel.connected

    def on_gone(self, call: Callable[[], None]) -> None:
        """Have `call` called when the client goes; it must not wait. At once if it has gone already.

        A client that goes without a word, because its machine or the network died, is gone when it has acknowledged
        nothing for `SILENT_S` seconds, where the system can tell (Linux). It is sent a heartbeat more often than that.
        """
        self._channel.told_when_closed = call
        connected: socket.socket | None = self._channel.socket  # None once the loop's thread has closed it
        if connected is not None and (option := getattr(socket, "TCP_USER_TIMEOUT", None)) is not None:
            with contextlib.suppress(OSError):  # it is closed just now, or this is no TCP
                connected.setsockopt(socket.IPPROTO_TCP, option, SILENT_S * 1000)
        if self.gone:
            call()

    def has_room(self) -> bool:
        """Wait until little enough is unsent; False if the client goes, or takes nothing for `STALLED_S` seconds."""
        channel = self._channel
        least, until_s = channel.total_outbufs_len, time.monotonic() + STALLED_S
        while (unsent := channel.total_outbufs_len) > MOST_UNSENT:
            now_s = time.monotonic()
            if unsent < least:
                least, until_s = unsent, now_s + STALLED_S
            if self.gone or now_s >= until_s:
                return False
            with channel.outbuf_lock:  # the loop's thread notifies it when it has sent something
                channel.outbuf_lock.wait(_LOOK_S)
        return not self.gone

    def drop(self) -> None:
        """Close it without sending what is unsent."""
        self._channel.will_close = True
        self._channel.server.pull_trigger()

    def rests(self) -> None:
        """Say that its request waits from now on and works no more: others of the same caller may begin."""
        if (turn := self._channel.turn) is not None:
            turn.rests()

    def keep_threads(self, held: int) -> None:
        """See to it that beside `held` requests as many threads can answer as before; they stay."""
        dispatcher, wanted = self._channel.server.task_dispatcher, self._channel.adj.threads + held
        if wanted > len(dispatcher.threads):  # fewer would be stopped
            dispatcher.set_thread_count(wanted)
