"""The HTTP server: waitress around the app, with a drain that ends in bounded time.

Threads: `run` is the loop that accepts, reads and writes; `http_threads + max_waiting` waitress threads answer, of
which at most `max_waiting` are ever held by a wait (http/waiting.py), so that `http_threads` always remain; requests wait
for them in a fair queue (http/fair_queue.py), and one more thread has a queue of its own for `/health`; where the settings
say so, tasks that are posted are answered in the loop's thread (http/greenlets.py). `close` may be called from any thread and from a signal handler. Imported by the command line and by tests.
"""

import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import falcon
from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.server import create_server  # type: ignore[import-untyped]

from callboard import descriptors, inheritance
from callboard.http.access_log import request_line
from callboard.http.app import build_app
from callboard.http.channel import channel_class
from callboard.http.connections import Connections
from callboard.http.fair_queue import FairDispatcher
from callboard.http.greenlets import Greenlets, in_request
from callboard.http.listening import BACKLOG, listen
from callboard.http.request import Request
from callboard.limits import HEAD_BYTES
from callboard.logs import get_logger

if TYPE_CHECKING:
    from callboard.system import AgentSystem

_MOST_ACCEPTED = 500
"""Connections that are taken in at one turn of the loop; waitress takes one, and each turn looks at all that are open."""

_NEVER = 2**31
_OUTBUF_BYTES = 1024 * 1024
"""Bytes after which a stream's buffer is replaced; it keeps what has been sent until then."""

_LOOK_S = 0.25
_HEALTH_THREADS = 1
_DRAIN_TURN_S = 0.05

_log = get_logger("callboard.http")


class Server:
    """A listening server; it answers while some thread is inside `run`."""

    def __init__(
        self,
        system: "AgentSystem",
        *,
        listening: socket.socket | None = None,
        app: "falcon.App[Request, falcon.Response] | None" = None,
    ) -> None:
        """Serve `app` (default: that of http/app.py) on `listening` (default: what the settings name, or `OSError`)."""
        settings = system.settings
        self._system = system
        self._stopping = threading.Event()
        self._ended = threading.Event()
        # Guards the waitress server's open file descriptors: a wake-up must not be written to one that is closed, or
        # by then somebody else's. Re-entrant, since `close` may interrupt `_shut` as a signal handler.
        self._descriptors = threading.RLock()
        self._closed = False
        self._runner: int | None = None
        self._look_at_s = 0.0
        self._map: dict[int, Any] = {}
        self._socket = listening or listen(settings)
        self._connections = Connections(settings, descriptors.allow(settings.max_connections))
        self._health = FairDispatcher(_HEALTH_THREADS)
        self._greenlets = Greenlets(self._wake, settings.http_threads + settings.max_waiting)
        threads = settings.http_threads + settings.max_waiting
        self._waitress = create_server(
            app or build_app(system),
            map=self._map,
            sockets=[self._socket],
            _dispatcher=FairDispatcher(threads, begins=system.core.join),
            threads=threads,
            # waitress refuses what is not below the limit
            max_request_body_size=settings.max_body_bytes + 1,
            max_request_header_size=HEAD_BYTES,
            # http/connections.py has limits of its own for all of these
            connection_limit=_NEVER,
            channel_timeout=_NEVER,
            cleanup_interval=_NEVER,
            inbuf_overflow=_NEVER,
            outbuf_overflow=_NEVER,
            outbuf_high_watermark=_OUTBUF_BYTES,
            channel_request_lookahead=1,  # notices a client that vanished while it waits
            backlog=BACKLOG,
            ident=None,
            # SECURITY: forwarding headers are read by http/client_address.py, from trusted proxies only
            clear_untrusted_proxy_headers=False,
            log_socket_errors=False,  # a client whose network fails is nothing to tell an operator, with a traceback
        )
        self._end_withholding = inheritance.withhold(self._descriptors_open)
        for_tasks = self._greenlets if settings.http_greenlets else None
        self._channel_class = channel_class(
            settings, request_line(settings), self._connections, self._health, for_tasks
        )
        self._waitress.channel_class = self._channel
        self._pull_trigger = self._waitress.pull_trigger
        self._waitress.pull_trigger = self._wake_from
        self.host, self.port = self._socket.getsockname()[:2]

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def queued(self) -> int:
        """How many requests wait for a thread."""
        return len(self._waitress.task_dispatcher.queue) + len(self._greenlets.queue)

    def run(self, between: Callable[[], None] = lambda: None) -> None:
        """Answer requests until `close`, then finish those under way; returns when all is closed.

        `between` is called again and again, about once a second at least, and must take no time.
        """
        self._runner = threading.get_ident()
        self._system.core.join()
        if self._stopping.is_set():  # closed before it began
            return self._shut()
        _log.info("listening", url=self.url, keys="asked" if self._system.settings.api_key else "not asked")
        try:
            while not self._stopping.is_set():
                self._turn(timeout_s=1, between=between)
            self._drain()
        finally:
            self._shut()
            self._system.core.leave()

    def close(self) -> None:
        """Have `run` take no more requests, finish and return; wait for that, unless called inside it (a signal)."""
        self._stopping.set()
        if self._runner is None:
            self._shut()
        else:
            self._wake()
            if self._runner != threading.get_ident():
                self._ended.wait()

    def _wake(self) -> None:
        """End the loop's sleep, if it is there still."""
        with self._descriptors:
            if not self._closed:
                self._pull_trigger()

    def _wake_from(self) -> None:
        """End the loop's sleep, for waitress; not where the loop itself serves a request: it looks at its sockets next."""
        if not in_request():
            self._pull_trigger()

    def _drain(self) -> None:
        """Answer on, new tasks with 503, while running tasks finish; then stop listening and let requests under way end.

        Tasks that do not finish in time are handed back to the next start.
        """
        system, deadline = self._system, time.monotonic() + self._system.settings.drain_s
        system.drain()
        _log.info("draining; a second signal ends it at once", most_s=system.settings.drain_s)
        while not system.idle and time.monotonic() < deadline - system.hand_back_s:
            self._turn(timeout_s=_DRAIN_TURN_S)
        system.hand_back()  # ends what is held by a wait, too
        wasyncore.dispatcher.close(self._waitress)
        channels = self._waitress.active_channels
        while channels and time.monotonic() < deadline - system.hand_back_s * 2 / 3:  # the actors stop after this
            for channel in list(channels.values()):
                if not channel.requests and not channel.total_outbufs_len:
                    channel.will_close = True
            self._turn(timeout_s=_DRAIN_TURN_S)

    def _turn(self, *, timeout_s: float, between: Callable[[], None] = lambda: None) -> None:
        """Turn the loop once: read and write what is ready. poll(), since select() dies near 1024 descriptors."""
        offered = self._connections.offered
        wasyncore.loop(timeout=self._greenlets.sleep_s(timeout_s), use_poll=True, map=self._map, count=1)
        self._greenlets.run()
        if self._connections.offered > offered:
            self._accept_others()
        now_s = time.monotonic()
        if now_s >= self._look_at_s:
            self._connections.look(now_s)
            self._system.core.look(now_s)
            between()
            self._look_at_s = time.monotonic() + _LOOK_S

    def _accept_others(self) -> None:
        """Take in what has come meanwhile, so that a flood of connections holds up nobody's for a turn each."""
        for _ in range(_MOST_ACCEPTED if self._waitress.accepting else 0):
            offered = self._connections.offered
            self._waitress.handle_accept()
            if self._connections.offered == offered:
                break

    def _channel(self, server: Any, connection: socket.socket, address: Any, adj: Any, map: Any) -> None:  # noqa: A002
        """Offer what was accepted, in the place of waitress's class of channels."""

        def take_in() -> None:
            self._channel_class(server, connection, address, adj, map=map)

        self._connections.offer(connection, address[0], take_in)

    def _descriptors_open(self) -> list[int]:
        return [self._socket.fileno(), *self._map, *self._connections.descriptors_put_off]

    def _shut(self) -> None:
        with self._descriptors:
            if self._closed:
                return
            self._closed = True
        self._waitress.task_dispatcher.shutdown(timeout=1)
        self._health.shutdown(timeout=1)
        self._greenlets.close()
        for channel in list(self._waitress.active_channels.values()):
            channel.handle_close()  # a thread that is still busy with one now knows better than to wake the loop
        self._end_withholding()
        self._connections.close()
        wasyncore.close_all(self._map)
        self._socket.close()
        self._ended.set()
