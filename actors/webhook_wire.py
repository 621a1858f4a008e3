"""One HTTP request of one webhook: to a checked address, within a deadline, without redirects or proxies.

In the thread of a sender. Imported by `delivery_sender.py` at its first attempt: PERF: it takes 60 ms, at no start.
"""

import contextlib
import threading
from collections.abc import Mapping
from functools import partial

import httpcore
import httpx

from callboard.actors.webhook_target import allowed_addresses
from callboard.agent.fetch.wire import Wire, ssl_context

MAX_REPLY_BYTES = 4096
"""How much of a receiver's reply is read; what it says is of no interest, but it should not fail to say it."""

READ_REPLY_S = 1.0
"""How long that is waited for, in seconds."""

LOOK_EVERY_S = 1.0
"""How long an attempt waits without a look at whether the server stops. PERF: hundreds may wait, and each look takes the
interpreter from whoever works: with 160 that look ten times a second another receiver's message took 50 ms instead of 12."""


def webhook_wire(*, timeout_s: float, allow_private: bool, stop: threading.Event | None = None) -> Wire:
    """Return a wire to the addresses that a webhook may go to."""
    addresses = partial(allowed_addresses, allow_private=allow_private)
    return Wire(timeout_s=timeout_s, addresses=addresses, stop=stop, look_every_s=LOOK_EVERY_S)


def post(url: str, body: bytes, headers: Mapping[str, str], wire: Wire) -> tuple[int, str | None]:
    """Return the status of the answer and its Retry-After.

    Raises `CallbackRefused`, `OSError` for a name that nothing is known of, httpcore's errors, and `httpx.InvalidURL`.
    """
    target = httpx.URL(url)  # writes names and paths as they are on the wire
    where = httpcore.URL(scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path)
    sent = [(b"Host", target.netloc), *((name.encode(), value.encode()) for name, value in headers.items())]
    with (
        httpcore.ConnectionPool(ssl_context=ssl_context(), max_connections=1, network_backend=wire) as pool,
        pool.stream("POST", where, headers=sent, content=body) as response,
    ):
        wire.hurry(READ_REPLY_S)
        _read_a_little(response)
        found = (value for name, value in response.headers if name.lower() == b"retry-after")
        return response.status, next((value.decode("latin-1") for value in found), None)


def _read_a_little(response: httpcore.Response) -> None:
    size = 0
    with contextlib.suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        for piece in response.iter_stream():
            size += len(piece)
            if size >= MAX_REPLY_BYTES:
                return
