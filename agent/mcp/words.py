"""What a failed request means, and how it is said: by its ticket, since a server may answer with the SDK's own codes.

Pure functions over one server's entry; any thread. Imports the SDK; imported by `connection.py`.
"""

from mcp import MCPError
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT
from pydantic import ValidationError

from callboard.agent.mcp.config import ServerConfig
from callboard.agent.mcp.jsonrpc import Said
from callboard.agent.mcp.results import MAX_ERROR_CHARS, ToolFailed
from callboard.agent.mcp.stub import clean
from callboard.agent.mcp.tool import InDoubt, NotSent
from callboard.agent.mcp.wire import Fault, Ticket

_MAX_DATA_CHARS = 300


class SessionLost(Exception):  # a signal to `Connection.call`
    """The server does not know the session, so it has not carried the call out."""


class Words:
    """Says of one server what goes wrong with it, without its secrets."""

    def __init__(self, server: ServerConfig) -> None:
        self._server = server

    def hidden(self, text: str, most: int) -> str:
        """Return somebody else's text, fit for our messages: no secrets of the entry, no control characters."""
        return clean(self._server.hide(text), most)

    def not_available(self, why: str | None) -> str:
        return f"the MCP server {self._server.name} is not available: {why}"

    def of(self, said: Said, most: int) -> str:
        """Return what a server said of its error, with a short text that it gave as further data."""
        data = said.data if isinstance(said.data, str) and len(said.data) <= _MAX_DATA_CHARS else ""
        text = f"{said.message}: {data}" if said.message and data not in said.message else said.message or data
        return self.hidden(text, most) or f"the server answered with the error {said.code} and does not say why"

    def why(self, error: BaseException, ticket: Ticket) -> str:
        """Return why a request, or the connection that was to be opened with it, has failed."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        match error:
            case MCPError() if ticket.fault is not None:
                return self.hidden(ticket.why, MAX_ERROR_CHARS)
            case MCPError() if ticket.said is not None:
                return f"it refuses: {self.of(ticket.said, 200)}"
            case MCPError(code=code) if code == CONNECTION_CLOSED:
                return "it ended the connection"
            case MCPError():
                return self.hidden(error.message, 200)
            case TimeoutError():
                return "it does not answer"
            case OSError():
                return f"its command cannot be started ({error.strerror or type(error).__name__})"
            case ValidationError():
                return "it answers what is not the protocol"
            case _:
                return f"{type(error).__name__}: {self.hidden(str(error), 200)}"

    def failure(self, error: MCPError | TimeoutError, ticket: Ticket, timeout_s: float) -> Exception:
        """Return what a call raises that failed."""
        why = self.why(error, ticket)
        match ticket.fault:
            case Fault.SESSION_LOST:
                return SessionLost(why)
            case Fault.NOT_SENT:
                return NotSent(self.not_available(why))
            case Fault.IN_DOUBT:
                return InDoubt(self._broken_off(why))
            case Fault.UNREADABLE:
                return ToolFailed(f"the tool was called, and {why}")
            case Fault.REFUSED:
                return ToolFailed(why)
            case None:
                pass
        if ticket.said is not None:
            return ToolFailed(self.of(ticket.said, MAX_ERROR_CHARS))
        if not ticket.taken:
            return NotSent(self.not_available(why))
        if isinstance(error, TimeoutError) or error.code == REQUEST_TIMEOUT:
            return InDoubt(self._broken_off(f"it did not answer within {timeout_s:g} s"))
        return InDoubt(self._broken_off(why)) if error.code == CONNECTION_CLOSED else ToolFailed(why)

    def _broken_off(self, why: str) -> str:
        return f"a call of the MCP server {self._server.name} broke off: {why}"
