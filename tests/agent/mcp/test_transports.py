"""What is known of a request that got no answer: whether the transport had taken it, and whose word for it that is."""

import asyncio
import subprocess
import sys

import anyio
import httpx2
import pytest

from callboard.agent.mcp.transports import IN_DOUBT, NOT_SENT, TICKET, Faults, Ticket, _WatchedWrites


async def _send(ticket: Ticket, *, reads: bool, closed: bool = False) -> None:
    send, receive = anyio.create_memory_object_stream[str](0)
    TICKET.set(ticket)
    async with send, receive, anyio.create_task_group() as tasks:
        if closed:
            receive.close()
        if reads:
            tasks.start_soon(receive.receive)
        with anyio.move_on_after(10 if reads or closed else 0.05):
            await _WatchedWrites(send).send("a request")  # type: ignore[arg-type]  # passes on whatever it is given


def test_a_request_that_was_taken_may_have_reached_the_server() -> None:
    ticket = Ticket()
    asyncio.run(_send(ticket, reads=True))
    assert ticket.taken


def test_a_request_that_was_refused_has_surely_not() -> None:
    ticket = Ticket()
    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(_send(ticket, reads=False, closed=True))
    assert raised.group_contains(anyio.BrokenResourceError)
    assert not ticket.taken


def test_a_request_whose_sending_was_interrupted_may_have() -> None:
    ticket = Ticket()
    asyncio.run(_send(ticket, reads=False))
    assert ticket.taken


def test_a_server_cannot_claim_that_it_was_not_asked() -> None:
    ours, another = Faults(), Faults()
    request = httpx2.Request("POST", "http://127.0.0.1/mcp")
    data = ours.response(request, NOT_SENT, "gone").json()["error"]["data"]
    assert ours.of(data) == NOT_SENT
    assert another.of(data) is None
    assert ours.of({"fault": IN_DOUBT, "token": ""}) is None
    assert ours.of("not_sent") is None


def test_the_sdk_is_not_imported_before_there_is_a_server_to_start() -> None:
    code = (
        "import sys, pathlib, callboard.agent.mcp as ours\n"
        "servers = ours.McpServers(ours.McpConfig(), data_dir=pathlib.Path('.'))\n"
        "servers.start(); servers.close()\n"
        "print([name for name in ('mcp', 'anyio', 'httpx2', 'jsonschema_rs') if name in sys.modules])\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
