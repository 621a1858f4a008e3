"""What is known of a request that got no answer: whether the transport had taken it, and whose word for it that is."""

import asyncio
import subprocess
import sys

import anyio
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCRequest

from callboard.agent.mcp.transports import _WatchedWrites
from callboard.agent.mcp.wire import Ticket, Wire

REQUEST = SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=1, method="tools/call"))


async def _sent(*, reads: bool, closed: bool = False) -> Ticket:
    wire = Wire(noise=lambda text: None)
    send, receive = anyio.create_memory_object_stream[SessionMessage](0)
    with wire.following() as ticket:
        async with send, receive, anyio.create_task_group() as tasks:
            if closed:
                receive.close()
            if reads:
                tasks.start_soon(receive.receive)
            with anyio.move_on_after(10 if reads or closed else 0.05):
                try:
                    await _WatchedWrites(send, wire).send(REQUEST)
                except anyio.BrokenResourceError:
                    assert closed
    return ticket


def test_a_request_that_was_taken_may_have_reached_the_server() -> None:
    assert asyncio.run(_sent(reads=True)).taken


def test_a_request_that_was_refused_has_surely_not() -> None:
    assert not asyncio.run(_sent(reads=False, closed=True)).taken


def test_a_request_whose_sending_was_interrupted_may_have() -> None:
    assert asyncio.run(_sent(reads=False)).taken


def test_the_sdk_is_not_imported_before_there_is_a_server_to_start() -> None:
    code = (
        "import sys, pathlib, callboard.agent.mcp as ours\n"
        "servers = ours.McpServers(ours.McpConfig(), data_dir=pathlib.Path('.'))\n"
        "servers.start(); servers.close()\n"
        "print([name for name in ('mcp', 'anyio', 'httpx2', 'jsonschema_rs') if name in sys.modules])\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
