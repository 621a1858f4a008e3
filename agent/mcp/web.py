"""A server that has an address: the SDK's streamable HTTP, over a client that answers for whatever goes wrong.

Left to itself the SDK ends the whole connection over an exception of the HTTP client, tries to make out what a body
should mean, and waits for what will not come. Here every response to a request becomes one that it can read: the
server's message, mended by the `Wire`, or an error of our own that is noted on the request's ticket.
Runs in the loop's thread. Imports the SDK; imported by `transports.py`.
"""

import json
import re
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.streamable_http import MCP_SESSION_ID, streamable_http_client

from callboard.agent.mcp.child import Streams
from callboard.agent.mcp.config import ServerConfig
from callboard.agent.mcp.jsonrpc import Message, messages_in, text_of
from callboard.agent.mcp.splitter import Line, Splitter
from callboard.agent.mcp.stub import clean
from callboard.agent.mcp.wire import MAX_MESSAGE_BYTES, TOO_LARGE, Fault, Ticket, Wire

_CONNECT_S = 10.0
_SIDE_S = 10.0
"""Longest wait for the answer to what is no request: a notification, the end of a session."""

_MAX_SHOWN_CHARS = 200
_NOT_REACHED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
_SESSION_GONE, _SESSION_REFUSED = (404, 410), (400, 401)
"""What servers answer to a session that they do not know, most often because they have been restarted."""

_OF_SESSION = re.compile(r"session|initiali[sz]e", re.IGNORECASE)


@asynccontextmanager
async def web_streams(server: ServerConfig, wire: Wire) -> AsyncIterator[Streams]:
    assert server.url is not None
    async with (
        _Client(server, wire) as client,
        streamable_http_client(server.url, http_client=client, max_sse_event_size=None) as streams,
    ):
        yield streams


class _TooLarge(Exception):  # carries a finding within this module
    pass


class _Client(httpx2.AsyncClient):
    """Turns what servers answer into what the SDK can read, and bounds it."""

    def __init__(self, server: ServerConfig, wire: Wire) -> None:
        # no limit on reads: a call has its own, and a stream of notifications may be silent for days
        timeout = httpx2.Timeout(_CONNECT_S, read=None)
        super().__init__(headers={**server.headers, "accept-encoding": "identity"}, timeout=timeout)
        self._wire = wire

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        ticket = await self._ticket(request)
        if ticket is None and request.method != "GET":
            request.extensions = {**request.extensions, "timeout": httpx2.Timeout(_CONNECT_S, read=_SIDE_S).as_dict()}
        try:
            response = await super().send(request, **options)
            return await (self._aside(response) if ticket is None else self._answered(ticket, response))
        except _NOT_REACHED as error:
            fault, why = Fault.NOT_SENT, f"the server cannot be reached ({type(error).__name__})"
        except httpx2.TransportError as error:
            fault, why = Fault.IN_DOUBT, f"the connection broke ({type(error).__name__})"
        except _TooLarge:
            fault, why = Fault.UNREADABLE, TOO_LARGE
        except RecursionError:
            fault, why = Fault.UNREADABLE, "its answer is nested too deeply"
        return self._failed(request, ticket, fault, why)

    async def _ticket(self, request: httpx2.Request) -> Ticket | None:
        """Return the ticket of the request that is sent, None for anything else."""
        if request.method != "POST":
            return None
        message = json.loads(await request.aread())
        return self._wire.under_way(message.get("id")) if "method" in message else None

    def _failed(self, request: httpx2.Request, ticket: Ticket | None, fault: Fault, why: str) -> httpx2.Response:
        if ticket is None:
            return httpx2.Response(502, request=request)
        return _json(request, self._wire.failed(ticket, fault, why))

    async def _aside(self, response: httpx2.Response) -> httpx2.Response:
        """Return the response to what is no request: of interest only where it is a stream of messages."""
        if response.status_code < 300 and _kind(response) == "text/event-stream":
            response.stream = _Events(response.stream, self._wire, None)
        return response

    async def _answered(self, ticket: Ticket, response: httpx2.Response) -> httpx2.Response:
        request, status, kind = response.request, response.status_code, _kind(response)
        if response.next_request is not None:  # the SDK follows it, or says why not
            return response
        # SECURITY: a few bytes can be packed from gigabytes
        if response.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
            await response.aclose()
            return self._failed(request, ticket, Fault.IN_DOUBT, "the server sends compressed answers, unasked")
        if status < 300 and kind == "text/event-stream":
            response.stream = _Events(response.stream, self._wire, ticket)
            return response
        try:
            body = await _body(response)
        finally:
            await response.aclose()
        messages = self._wire.read(body, of=ticket)
        words = _words(status, kind, ticket.said.message if ticket.said is not None else _shown(kind, body))
        read = messages_in(text_of(body))
        if status == 429:
            return self._failed(request, ticket, Fault.NOT_SENT, words)
        if MCP_SESSION_ID in request.headers and _refuses_session(status, ticket, read):
            return self._failed(request, ticket, Fault.SESSION_LOST, words)
        if status < 400 or any("jsonrpc" in each for each in read):  # else an error that it has for everybody
            for message in messages:
                if "method" not in message:
                    return _json(request, message, response.headers.get(MCP_SESSION_ID))
        return self._failed(request, ticket, _meaning(status), words)


def _refuses_session(status: int, ticket: Ticket, read: list[Message]) -> bool:
    """Say whether a server does not know the session, and so has surely not done what it was asked for.

    That is what 404 and 410 mean. Many answer 400 or 401, which mean other things as well: with an error that bears
    the request's id the server may have worked on it, so the error has to speak of the session.
    """
    if status not in _SESSION_REFUSED:
        return status in _SESSION_GONE
    bears_id = any(each.get("id") == ticket.id for each in read)
    return not bears_id or (ticket.said is not None and _OF_SESSION.search(ticket.said.message) is not None)


def _meaning(status: int) -> Fault:
    """Return what a status says of a request that got no message."""
    if status in (202, 204) or status >= 500:
        return Fault.IN_DOUBT
    return Fault.REFUSED if status >= 400 else Fault.UNREADABLE


def _words(status: int, kind: str, shown: str) -> str:
    """Say what came instead of a message, and what can be done about it."""
    if status in (202, 204):
        return f"the server took the request and will send no answer (HTTP status {status})"
    if status in (404, 405):
        return f"what answers there does not speak MCP (HTTP status {status}); look at its url"
    said = f": {shown}" if shown else ""
    if status >= 400:
        advice = "; look at its headers" if status in (401, 403, 407) else ""
        return f"the server answered with HTTP status {status}{advice}{said}"
    return f"the server answered what is not MCP ({kind or 'of no type'}){said}"


def _shown(kind: str, body: bytes) -> str:
    """Return the beginning of a body that is for people."""
    if not body:
        return "nothing at all"
    text = clean(body[: 4 * _MAX_SHOWN_CHARS].decode("utf-8", "replace"), _MAX_SHOWN_CHARS).replace("\n", " ")
    return text if kind in ("application/json", "text/plain", "") else ""


def _kind(response: httpx2.Response) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def _json(request: httpx2.Request, message: Message, session: str | None = None) -> httpx2.Response:
    headers = {"content-type": "application/json"} | ({} if session is None else {MCP_SESSION_ID: session})
    return httpx2.Response(200, headers=headers, content=json.dumps(message).encode(), request=request)


async def _body(response: httpx2.Response) -> bytes:
    parts, room = [], MAX_MESSAGE_BYTES
    async for chunk in response.aiter_raw():
        parts.append(chunk)
        room -= len(chunk)
        if room < 0:
            raise _TooLarge
    return b"".join(parts)


class _Events(httpx2.AsyncByteStream):
    """A stream of events whose messages are mended, and which holds nothing else."""

    def __init__(self, inner: Any, wire: Wire, ticket: Ticket | None) -> None:
        self._inner = inner
        self._wire = wire
        self._ticket = ticket

    async def __aiter__(self) -> AsyncIterator[bytes]:
        event = _Event()
        async for line in self._lines():
            if line.text:
                event.add(line)
                continue
            for each in self._mended(event):
                yield each
            event = _Event()
        for each in self._mended(event):  # a server that ends its stream may forget the empty line
            yield each

    def _mended(self, event: "_Event") -> Iterator[bytes]:
        place = b"".join(line + b"\n" for line in event.place.values())
        data = b"\n".join(event.data)
        messages = self._wire.read(data, whole=event.whole, of=self._ticket) if data else []
        for message in messages:
            yield place + b"data: " + json.dumps(message).encode() + b"\n\n"
        if not messages:
            self._wire.skip(data)
            yield place + b"\n" if place else b": nothing\n\n"

    async def _lines(self) -> AsyncIterator[Line]:
        lines, after_return = Splitter(MAX_MESSAGE_BYTES), False
        async for chunk in self._inner:
            if after_return and chunk.startswith(b"\n"):
                chunk = chunk[1:]
            after_return = chunk.endswith(b"\r")
            for line in lines.feed(chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")):
                yield line
            if lines.endless:
                return
        yield lines.rest()

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Event:
    """One event that is being read: its data, and the fields that say where the stream can be taken up again."""

    def __init__(self) -> None:
        self.place: dict[bytes, bytes] = {}
        self.data: list[bytes] = []
        self.whole = True
        self._size_bytes = 0

    def add(self, line: Line) -> None:
        name, _, value = line.text.partition(b":")
        if name in (b"id", b"retry"):
            self.place[name] = line.text
        if name.removeprefix(BOM_UTF8) != b"data":
            return
        self.data.append(value.removeprefix(b" "))
        self._size_bytes += line.size_bytes
        self.whole = self.whole and line.whole and self._size_bytes <= MAX_MESSAGE_BYTES
        if not self.whole:
            del self.data[1:-1]
