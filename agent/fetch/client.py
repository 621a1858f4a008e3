"""One guarded HTTP GET: allowed addresses only, on every redirect too; a size, a time and an end to it.

No cookies, no credentials, no proxies of the environment. In the thread of whoever asks. Imported by `web-fetch` and
by the attachments; httpx and httpcore are imported at the first request: PERF: they take 60 ms, at no start.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from callboard import __version__, media_types
from callboard.agent.fetch.decoding import ACCEPT_ENCODING, CannotDecode, decoder
from callboard.agent.fetch.target import FetchRefused, allowed, parse_url

if TYPE_CHECKING:
    import httpcore
    import httpx

MAX_REDIRECTS = 5
DEFAULT_TIMEOUT_S = 20.0

_REDIRECTS = (301, 302, 303, 307, 308)
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_MAX_HEADER_CHARS = 2000
_REASONS = {
    401: "wants a login",
    403: "forbids it",
    404: "has no such page",
    410: "has the page no more",
    429: "wants to be asked less often",
}


class FetchFailed(Exception):
    """Nothing usable came; `retryable` where that may go away by itself."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """What one request may take, and where it may go.

    `takes` says of a media type, in lower case, whether it is of use; `max_bytes` counts what is unpacked.
    """

    max_bytes: int
    timeout_s: float = DEFAULT_TIMEOUT_S
    allow_private: bool = False
    takes: Callable[[str], bool] = lambda _media_type: True
    accept: str = "*/*"
    stop: threading.Event = field(default_factory=threading.Event, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came; `url` is where the redirects led to, `media_type` in lower case and `charset` as the server says."""

    url: str
    status: int
    media_type: str
    charset: str | None
    body: bytes = field(repr=False)


def fetch(url: str, limits: FetchLimits) -> Fetched:
    """Return what is at an address; raise `FetchRefused` or `FetchFailed`, with a sentence."""
    target = parse_url(url, allow_private=limits.allow_private)
    until_s = time.monotonic() + limits.timeout_s
    for _ in range(MAX_REDIRECTS + 1):
        with _failures(target.host, limits):
            found = _get(target, limits, until_s - time.monotonic())
        if isinstance(found, Fetched):
            return found
        target = parse_url(found, allow_private=limits.allow_private)
    raise FetchFailed(f"{target.host} redirects more than {MAX_REDIRECTS} times.")


@contextmanager
def _failures(host: str, limits: FetchLimits) -> Iterator[None]:
    """Turn whatever a request raises into one sentence."""
    import httpcore

    from callboard.agent.fetch.wire import Stopped

    host = host[:100]
    try:
        yield
    except Stopped as error:
        raise FetchFailed(f"Fetching from {host} was given up: the task has been ended.") from error
    except httpcore.TimeoutException as error:
        what = f"{host} did not send its whole answer within {limits.timeout_s:.3g} s."
        raise FetchFailed(what, retryable=True) from error
    except CannotDecode as error:
        raise FetchFailed(f"The answer of {host} {error}.") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError, UnicodeError) as error:
        # of a name that nothing is known of too, which is what a machine without the internet sees
        what = f"{host} cannot be reached: {error or type(error).__name__}."
        raise FetchFailed(what, retryable=True) from error


def _get(target: "httpx.URL", limits: FetchLimits, left_s: float) -> "Fetched | str":
    """Return what one request brings, or the address that it is sent on to."""
    import httpcore

    from callboard.agent.fetch.wire import Wire, ssl_context

    wire = Wire(timeout_s=left_s, addresses=partial(allowed, allow_private=limits.allow_private), stop=limits.stop)
    where = httpcore.URL(scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path)
    headers = [
        (b"Host", target.netloc),
        (b"User-Agent", f"Callboard/{__version__}".encode()),
        (b"Accept", limits.accept.encode()),
        (b"Accept-Encoding", ACCEPT_ENCODING.encode()),
    ]
    with (
        httpcore.ConnectionPool(ssl_context=ssl_context(), max_connections=1, network_backend=wire) as pool,
        pool.stream("GET", where, headers=headers) as response,
    ):
        location = _header(response, b"location")
        if response.status in _REDIRECTS and location:
            return _joined(target, location)
        return _answer(target, response, limits)


def _joined(target: "httpx.URL", location: str) -> str:
    import httpx

    try:
        return str(target.join(location))
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchRefused(f"{target.host} redirects to {location[:200]!r}, which is no address.") from error


def _answer(target: "httpx.URL", response: "httpcore.Response", limits: FetchLimits) -> Fetched:
    host, status = target.host[:100], response.status
    if status not in (200, 203):
        reason = f", which means that it {_REASONS[status]}" if status in _REASONS else ""
        raise FetchFailed(f"{host} answered with the status {status}{reason}.", retryable=status in _BUSY)
    media_type, charset = media_types.split(_header(response, b"content-type"))
    if not limits.takes(media_type):
        named = media_type or "something that it does not name the type of"
        raise FetchFailed(f"{host} sends {named}, which cannot be read here.")
    body = _body(host, response, limits)
    return Fetched(url=str(target), status=status, media_type=media_type, charset=charset, body=body)


def _body(host: str, response: "httpcore.Response", limits: FetchLimits) -> bytes:
    too_large = FetchFailed(f"{host} sends more than {limits.max_bytes} bytes, which is the limit.")
    length = _header(response, b"content-length")
    if length.isdecimal() and int(length[:20]) > limits.max_bytes:
        raise too_large
    body, unpacked = bytearray(), decoder(_header(response, b"content-encoding"))
    for piece in response.iter_stream():
        for found in unpacked.feed(piece):
            body += found
            if len(body) > limits.max_bytes:
                raise too_large
    unpacked.end()
    return bytes(body)


def _header(response: "httpcore.Response", name: bytes) -> str:
    """Return a header's value, the first where there are several; empty where there is none."""
    values = (value for found, value in response.headers if found.lower() == name)
    return next(values, b"").decode("utf-8", "replace")[:_MAX_HEADER_CHARS].strip()
