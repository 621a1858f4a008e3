"""The two ways to a server, the SDK's own, watched: what was sent, when the other end has gone, what it writes to stderr.

Runs in the loop's thread. Imports the SDK; imported by `connection.py`.
"""

import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import anyio
import httpx2
from mcp import StdioServerParameters, stdio_client
from mcp.client.streamable_http import MCP_SESSION_ID, streamable_http_client
from mcp.shared.message import SessionMessage

from callboard.agent.mcp.config import ServerConfig
from callboard.logs import get_logger

logger = get_logger("callboard.agent.mcp")

Streams = tuple[Any, Any]
"""What a transport yields: where messages are read and where they are written; the SDK has no public name for it."""

MAX_MESSAGE_BYTES = 8_000_000
"""Largest message of a server over HTTP."""

_CONNECT_S = 10.0
_LINE_BYTES = 2000


@dataclass(slots=True)
class Ticket:
    """Follows one request: `taken` once the transport has it, so that it may have reached the server."""

    taken: bool = False


TICKET: ContextVar[Ticket | None] = ContextVar("ticket", default=None)

NOT_SENT, IN_DOUBT, REFUSED = "not_sent", "in_doubt", "refused"


class Faults:
    """How HTTP failures come back through the SDK: as JSON-RPC errors that carry this object's own token.

    Left to itself, an exception of the HTTP client ends the whole connection, and with it every other call.
    """

    def __init__(self) -> None:
        self._token = os.urandom(16).hex()  # SECURITY: a server cannot claim that a request never reached it
        self.session_lost = False

    def of(self, data: Any) -> str | None:
        """Return which of the three an error's data stands for; None if it is the server's own error."""
        return data.get("fault") if isinstance(data, dict) and data.get("token") == self._token else None

    def response(self, request: httpx2.Request, fault: str, message: str) -> httpx2.Response:
        error = {"code": -32603, "message": message, "data": {"token": self._token, "fault": fault}}
        content = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
        return httpx2.Response(502, headers={"content-type": "application/json"}, content=content, request=request)


class _HttpClient(httpx2.AsyncClient):
    """Turns what goes wrong on the way into answers, and bounds what a server may send."""

    def __init__(self, faults: Faults, headers: dict[str, str]) -> None:
        # no limit on reads: a call has its own, and a stream of notifications may be silent for days
        timeout = httpx2.Timeout(_CONNECT_S, read=None)
        super().__init__(headers={**headers, "accept-encoding": "identity"}, timeout=timeout)
        self._faults = faults

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        fault = self._faults.response
        try:
            response = await super().send(request, **options)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol) as error:
            return fault(request, NOT_SENT, f"the server cannot be reached ({type(error).__name__})")
        except httpx2.TransportError as error:
            return fault(request, IN_DOUBT, f"the connection broke ({type(error).__name__})")
        return await self._checked(request, response)

    async def _checked(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        status, kind = response.status_code, response.headers.get("content-type", "").lower()
        if status == 404 and MCP_SESSION_ID in request.headers:
            self._faults.session_lost = True
        if "content-encoding" in response.headers:  # SECURITY: a few bytes can be packed from gigabytes
            await response.aclose()
            return self._faults.response(request, IN_DOUBT, "the server sends compressed answers, unasked")
        if status >= 400 and status not in (404, 405) and not kind.startswith("application/json"):
            await response.aclose()
            fault = NOT_SENT if status == 429 else IN_DOUBT if status >= 500 else REFUSED
            return self._faults.response(request, fault, f"the server answered with HTTP status {status}")
        if kind.startswith("application/json"):
            response.stream = _Bounded(response.stream)
        return response


class _Bounded(httpx2.AsyncByteStream):
    """A response's body that ends with an error where it grows too large."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        room = MAX_MESSAGE_BYTES
        async for chunk in self._inner:
            room -= len(chunk)
            if room < 0:
                raise httpx2.StreamError(f"the answer is larger than {MAX_MESSAGE_BYTES:,} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


class _WatchedReads:
    """The stream that answers come from; tells when it has ended."""

    def __init__(self, inner: Any, ended: Callable[[], None]) -> None:
        self._inner = inner
        self._ended = ended

    @property
    def last_context(self) -> Any:
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        try:
            received: SessionMessage | Exception = await self._inner.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._ended()
            raise
        return received

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class _WatchedWrites:
    """The stream that requests go to; marks the ticket of a request that was taken from it."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def send(self, item: SessionMessage, /) -> None:
        taken = True  # a write that is interrupted may have been taken all the same
        try:
            await self._inner.send(item)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            taken = False
            raise
        finally:
            if (ticket := TICKET.get()) is not None:
                ticket.taken = ticket.taken or taken

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


@asynccontextmanager
async def open_streams(server: ServerConfig, faults: Faults, ended: Callable[[], None]) -> AsyncIterator[Streams]:
    """Open the way to a server for the block; `ended` is called when its end of it has gone."""
    way = _stdio(server) if server.command is not None else _http(server, faults)
    async with way as (reads, writes):
        yield _WatchedReads(reads, ended), _WatchedWrites(writes)


@asynccontextmanager
async def _http(server: ServerConfig, faults: Faults) -> AsyncIterator[Streams]:
    assert server.url is not None
    async with (
        _HttpClient(faults, server.headers) as client,
        streamable_http_client(server.url, http_client=client, max_sse_event_size=MAX_MESSAGE_BYTES) as streams,
    ):
        yield streams


@asynccontextmanager
async def _stdio(server: ServerConfig) -> AsyncIterator[Streams]:
    """Start the child. SECURITY: of this process's environment it gets what the SDK calls safe (PATH, HOME, …), no more."""
    assert server.command is not None
    parameters = StdioServerParameters(command=server.command, args=server.args, env=server.env, cwd=server.cwd)
    async with _logged_stderr(server) as errlog, stdio_client(parameters, errlog=errlog) as streams:
        errlog.close()  # the child has its own copy: without ours, the pipe ends with the child
        yield streams


@asynccontextmanager
async def _logged_stderr(server: ServerConfig) -> AsyncIterator[Any]:
    """Yield a file for the child's stderr, whose lines become ours, at debug."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, read_fd)
        file = undo.enter_context(os.fdopen(write_fd, "w"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_log_lines, read_fd, server)
            try:
                yield file
            finally:
                tasks.cancel_scope.cancel()


async def _log_lines(fd: int, server: ServerConfig) -> None:
    rest = b""
    while True:
        await anyio.wait_readable(fd)
        try:
            chunk = os.read(fd, 65536)
        except BlockingIOError:
            continue
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LINE_BYTES or not chunk:
            lines, rest = [*lines, rest], b""
        for line in lines:
            if text := line[:_LINE_BYTES].decode("utf-8", "replace").strip():
                logger.debug("the MCP server %s writes: %s", server.name, server.hide(text))
        if not chunk:
            return
