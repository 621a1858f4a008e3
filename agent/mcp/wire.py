"""What is under way on one connection, and what the bytes that come in say of it: between the transport and the SDK.

The SDK checks an answer as a whole, waits for one that it could not read, and raises errors of its own with codes that a
server may use as well. So whatever comes in is read here first, and noted on the request's ticket: the answer as the
wire has it, the error that the server said, or what went wrong on the way. The session is handed what it takes without
a question, so that whoever waits wakes up, and looks at the ticket.

SECURITY: what an error is goes by the ticket, which no server can write on, never by a code or a field of it.
Runs in the loop's thread. Imported by the transports and by `connection.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mcp_types import INTERNAL_ERROR, JSONRPCMessage, JSONRPCRequest, RequestId, jsonrpc_message_adapter
from pydantic import ValidationError

from callboard.agent.mcp import jsonrpc, pages
from callboard.agent.mcp.jsonrpc import Message, Said

MAX_MESSAGE_BYTES = 8_000_000
"""Largest message of a server."""

TOO_LARGE = f"its answer is larger than {MAX_MESSAGE_BYTES:,} bytes, which is the limit, so ask it for less"


class Fault(Enum):
    """What it means for a request that something went wrong with it."""

    NOT_SENT = "it did not reach the server, or was put off by it"
    IN_DOUBT = "it may have been carried out, and no answer will come"
    REFUSED = "it was not carried out, and will not be"
    SESSION_LOST = "it was not carried out, for the server does not know the session"
    UNREADABLE = "it was answered, and nobody can read how"


@dataclass(slots=True)
class Ticket:
    """Follows one request; `taken` once the transport has it, so that it may have reached the server."""

    taken: bool = False
    id: RequestId = ""
    method: str = ""
    answer: Mapping[str, Any] | None = None
    said: Said | None = None
    fault: Fault | None = None
    why: str = ""

    def fail(self, fault: Fault, why: str) -> None:
        self.fault, self.why = fault, why


_LISTEN = "subscriptions/listen"
"""The request that stays open, to hear of changes."""

_OUTCOMES = {"result", "error"}

_TICKET: ContextVar[Ticket | None] = ContextVar("ticket", default=None)


class Wire:
    """The requests of one connection that are under way; `noise` hears of what comes in and is no message."""

    def __init__(self, noise: Callable[[str], None]) -> None:
        self._noise = noise
        self._under_way: dict[str, Ticket] = {}

    @contextmanager
    def following(self) -> Iterator[Ticket]:
        """Yield a ticket for the requests of the block, which are sent one after the other: it tells of the last."""
        ticket = Ticket()
        token = _TICKET.set(ticket)
        try:
            yield ticket
        finally:
            _TICKET.reset(token)
            self._under_way.pop(str(ticket.id), None)

    def sending(self, message: JSONRPCMessage) -> Ticket | None:
        """Note that a message is handed to the transport; return its ticket if it is a request."""
        if not isinstance(message, JSONRPCRequest):
            return None
        ticket = _TICKET.get() or Ticket()
        self._under_way.pop(str(ticket.id), None)
        ticket.id, ticket.method, ticket.taken = message.id, message.method, False
        ticket.answer = ticket.said = ticket.fault = None
        self._under_way[str(ticket.id)] = ticket
        return ticket

    def under_way(self, message_id: Any) -> Ticket | None:
        """Return the ticket of the request with this id."""
        known = jsonrpc.id_of(message_id)
        return None if known is None else self._under_way.get(known)

    def read(self, raw: bytes, *, whole: bool = True, of: Ticket | None = None) -> list[Message]:
        """Return what a line, a body or an event says, for the session; `whole` is False for both ends of a longer one.

        `of` names the request that it answers, where the way it came says so, whatever id it bears.
        """
        text = jsonrpc.text_of(raw)
        found = jsonrpc.messages_in(text) if whole else []
        read = [message for each in found if (message := self._message(each, of)) is not None]
        return read or self._torn(text, TOO_LARGE if not whole else "its answer is not JSON", of if not whole else None)

    def skip(self, raw: bytes) -> None:
        """Report what comes in and is no message, but for an answer that nobody waits for any more."""
        text = jsonrpc.text_of(raw)
        if text and not any(_is_answer(each) for each in jsonrpc.messages_in(text)):
            self._noise(text)

    def failed(self, ticket: Ticket, fault: Fault, why: str) -> Message:
        """Note what went wrong with a request; return an answer that wakes who waits for it."""
        ticket.fail(fault, why)
        self._under_way.pop(str(ticket.id), None)
        return _error(ticket, Said(code=INTERNAL_ERROR, message=why))

    def _torn(self, text: str, why: str, of: Ticket | None) -> list[Message]:
        ticket = self.under_way(jsonrpc.torn_id(text)) or of
        return [] if ticket is None else [self.failed(ticket, Fault.UNREADABLE, why)]

    def _message(self, message: Message, of: Ticket | None) -> Message | None:
        if "method" in message:
            return message if _is_request(message) else None
        if not _is_answer(message) or (ticket := of or self._asked(message)) is None:
            return None
        self._under_way.pop(str(ticket.id), None)
        if message.get("error") is not None:
            ticket.said = jsonrpc.said(message["error"])
            return _error(ticket, ticket.said)
        if not isinstance(result := message.get("result"), dict):
            return self.failed(ticket, Fault.UNREADABLE, "its answer holds no object as its result")
        ticket.answer = result
        return {"jsonrpc": "2.0", "id": ticket.id, "result": _for_session(ticket.method, result)}

    def _asked(self, message: Message) -> Ticket | None:
        """Return the request that an answer is for. An error without an id is for one that the server could not read."""
        if message.get("id") is not None or not {"jsonrpc", "error"} <= message.keys():
            return self.under_way(message.get("id"))
        waiting = [ticket for ticket in self._under_way.values() if ticket.method != _LISTEN]
        return waiting[0] if len(waiting) == 1 else None


def _is_request(message: Message) -> bool:
    """Say whether a message asks or tells something in the form that the SDK takes."""
    try:
        jsonrpc_message_adapter.validate_python(message, by_name=False)
    except ValidationError:
        return False
    return True


def _is_answer(message: Message) -> bool:
    """Say whether a message answers a request. Some servers leave the version out; log lines have results and errors too."""
    fields = message.keys()
    return bool(fields & _OUTCOMES) and "method" not in fields and ("jsonrpc" in fields or fields <= _OUTCOMES | {"id"})


def _error(ticket: Ticket, said: Said) -> Message:
    error = {"code": said.code, "message": said.message}
    data = {} if said.data is None else {"data": said.data}
    return {"jsonrpc": "2.0", "id": ticket.id, "error": {**error, **data}}


def _for_session(method: str, result: Message) -> Message:
    """Return a result that the session takes, whatever the server has put there."""
    match method:
        case "tools/call":
            return {"content": [], "resultType": "complete"}
        case "tools/list":
            return pages.for_session(result)
        case "initialize":
            return _handshake(result)
        case _:
            return result


def _handshake(result: Message) -> Message:
    """Add what a server has left out of its handshake, which says nothing that is needed."""
    info = result.get("serverInfo")
    named = {key: value for key, value in info.items() if isinstance(value, str)} if isinstance(info, dict) else {}
    kept = {"protocolVersion": result.get("protocolVersion"), "serverInfo": {"name": "", "version": "", **named}}
    tools = capabilities.get("tools") if isinstance(capabilities := result.get("capabilities"), dict) else None
    return {**kept, "capabilities": {} if tools is None else {"tools": {"listChanged": _changes(tools)}}}


def _changes(tools: Any) -> bool:
    return isinstance(tools, dict) and tools.get("listChanged") is True
