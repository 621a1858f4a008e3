"""A server that is a program: started as a child, spoken to over its standard input and output.

The SDK's own transport gives the connection up for one byte that is not UTF-8, and holds a line of any length.
This one reads bytes and leaves it to the `Wire` what a line means. Ends a child as the protocol says: its input is closed,
then come SIGTERM and SIGKILL to its whole process group.
Runs in the loop's thread. Imports the SDK; imported by `transports.py`.
"""

import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.os.posix.utilities import terminate_posix_process_tree
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from callboard.agent.mcp.config import ServerConfig
from callboard.agent.mcp.splitter import Line, Splitter
from callboard.agent.mcp.wire import MAX_MESSAGE_BYTES, Wire
from callboard.logs import get_logger

logger = get_logger("callboard.agent.mcp")

Streams = tuple[Any, Any]
"""What a transport yields: where messages are read and where they are written; the SDK has no public name for it."""

CLOSED_S = 2.0
"""How long a child may take to end once its input is closed, and again once it has had SIGTERM."""

_FLUSH_S = 0.5
_POLL_S = 0.01
_LOGGED_BYTES = 2000

_Received = MemoryObjectSendStream[SessionMessage | Exception]
_Outgoing = MemoryObjectReceiveStream[SessionMessage]
_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


@asynccontextmanager
async def child_streams(server: ServerConfig, wire: Wire) -> AsyncIterator[Streams]:
    """Start the child. SECURITY: of this process's environment it gets what the SDK calls safe (PATH, HOME, …), no more."""
    assert server.command is not None
    folder, variables = server.starts_in
    async with _logged_stderr(server) as errlog:
        with anyio.CancelScope(shield=True):  # a cancel in the middle of it would leave a child that nobody ends
            process = await anyio.open_process(
                [server.command, *server.args],
                env=variables,
                cwd=folder,
                stderr=errlog,
                start_new_session=True,
            )
        errlog.close()  # the child has its own copy: without ours, the pipe ends with the child
        async with _bridged(process, wire) as streams:  # no await before it, for the same reason
            yield streams


@asynccontextmanager
async def _bridged(process: Process, wire: Wire) -> AsyncIterator[Streams]:
    incoming, reads = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    writes, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    flushed = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_receive, process, wire, incoming)
        tasks.start_soon(_send, process, outgoing, incoming, flushed)
        try:
            yield reads, writes
        finally:
            with anyio.CancelScope(shield=True):  # every wait in it is bounded
                reads.close()
                writes.close()
                with anyio.move_on_after(_FLUSH_S):
                    await flushed.wait()
                await _end(process)
            incoming.close()
            outgoing.close()
            tasks.cancel_scope.cancel()


async def _receive(process: Process, wire: Wire, incoming: _Received) -> None:
    assert process.stdout is not None
    lines = Splitter(MAX_MESSAGE_BYTES)
    try:
        with contextlib.suppress(*_GONE):
            async with incoming:
                async for chunk in process.stdout:
                    for line in lines.feed(chunk):
                        await _deliver(line, wire, incoming)
                    if lines.endless:
                        break
                await _deliver(lines.rest(), wire, incoming)
    finally:
        # what it still writes is thrown away, so that it can go on to read that its input has ended
        with anyio.CancelScope(shield=True), contextlib.suppress(*_GONE):
            async for _ in process.stdout:
                pass


async def _deliver(line: Line, wire: Wire, incoming: _Received) -> None:
    messages = wire.read(line.text, whole=line.whole)
    for message in messages:
        await incoming.send(SessionMessage(jsonrpc_message_adapter.validate_python(message, by_name=False)))
    if not messages:
        wire.skip(line.text)


async def _send(process: Process, outgoing: _Outgoing, incoming: _Received, flushed: anyio.Event) -> None:
    assert process.stdin is not None
    try:
        async with outgoing:
            async for item in outgoing:
                text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                await process.stdin.send(text.encode("utf-8", "replace") + b"\n")
    except _GONE:  # it may be alive all the same: whoever waits for an answer should not
        incoming.close()
    finally:
        flushed.set()


async def _end(process: Process) -> None:
    """Wait until the child is gone, less and less patiently."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(*_GONE):
        await process.stdin.aclose()
    if not await _ended(process):
        await terminate_posix_process_tree(process, CLOSED_S)
        if not await _ended(process):
            logger.warning("the process %d of an MCP server cannot be ended", process.pid)
    with contextlib.suppress(*_GONE):
        await process.stdout.aclose()
    # a grandchild may hold the pipes open, and asyncio's own end of them would be reported when it is collected
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        with contextlib.suppress(PermissionError):
            transport.close()


async def _ended(process: Process) -> bool:
    """Say whether the child has ended in time. By looking: `wait` also waits for whoever has inherited its pipes."""
    with anyio.move_on_after(CLOSED_S):
        while process.returncode is None:
            await anyio.sleep(_POLL_S)
    return process.returncode is not None


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
        if len(rest) > _LOGGED_BYTES or not chunk:
            lines, rest = [*lines, rest], b""
        for line in lines:
            if text := line[:_LOGGED_BYTES].decode("utf-8", "replace").strip():
                logger.debug("the MCP server %s writes: %s", server.name, server.hide(text))
        if not chunk:
            return
