"""The two ways to a server, watched: what was sent, and when the other end has gone.

Runs in the loop's thread. Imports the SDK; imported by `connection.py`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import anyio
from mcp.shared.message import SessionMessage

from callboard.agent.mcp.child import Streams, child_streams
from callboard.agent.mcp.config import ServerConfig
from callboard.agent.mcp.web import web_streams
from callboard.agent.mcp.wire import Wire


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

    def __init__(self, inner: Any, wire: Wire) -> None:
        self._inner = inner
        self._wire = wire

    async def send(self, item: SessionMessage, /) -> None:
        ticket = self._wire.sending(item.message)
        taken = True  # a write that is interrupted may have been taken all the same
        try:
            await self._inner.send(item)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            taken = False
            raise
        finally:
            if ticket is not None:
                ticket.taken = taken

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


@asynccontextmanager
async def open_streams(server: ServerConfig, wire: Wire, ended: Callable[[], None]) -> AsyncIterator[Streams]:
    """Open the way to a server for the block; `ended` is called when its end of it has gone."""
    way = child_streams(server, wire) if server.command is not None else web_streams(server, wire)
    async with way as (reads, writes):
        yield _WatchedReads(reads, ended), _WatchedWrites(writes, wire)
