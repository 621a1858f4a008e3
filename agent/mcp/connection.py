"""One server's connection: opened when it is needed, given up when it breaks, opened again later.

Everything here runs in the loop's thread, except `status`, which any thread may read: it is replaced as a whole.
Imports the SDK; imported by `servers.py` when there are servers to start.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc
from mcp import Client, MCPError
from mcp.client.subscriptions import SubscriptionLost
from mcp_types import (
    CONNECTION_CLOSED,
    HEADER_MISMATCH,
    METHOD_NOT_FOUND,
    REQUEST_TIMEOUT,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    InputRequiredResult,
    LoggingMessageNotificationParams,
    ToolListChangedNotification,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import TypeAdapter, ValidationError

from callboard import __version__
from callboard.agent.mcp.config import ServerConfig
from callboard.agent.mcp.remembered import Listing
from callboard.agent.mcp.results import MAX_ERROR_CHARS, ToolFailed
from callboard.agent.mcp.stub import clean
from callboard.agent.mcp.tool import InDoubt, NotSent
from callboard.agent.mcp.transports import IN_DOUBT, NOT_SENT, TICKET, Faults, Ticket, open_streams
from callboard.clock import Clock
from callboard.logs import get_logger

logger = get_logger("callboard.agent.mcp")

CONNECT_S = 25.0
"""Longest time a connection takes to open: the SDK gives a server of the older protocol 10 s to refuse the newer one."""

MAX_TOOLS = 500
EFFECT_ID = "callboard/effectId"
"""The key in a call's `_meta` that carries the effect id: a server that knows it can tell a repeated call."""

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_ANSWER: TypeAdapter[CallToolResult | InputRequiredResult] = TypeAdapter(CallToolResult | InputRequiredResult)


@dataclass(slots=True)
class _Link:
    """A connection that works: the client, and the event that is set when the other end has gone."""

    client: Client
    faults: Faults
    lost: anyio.Event


@dataclass(slots=True)
class _Attempt:
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    link: _Link | None = None


class Connection:
    """The way to one server.

    `status` is None while it works, else a sentence about why it does not. `told` hears what the operator should know,
    `listed` what the server offers, each time it is asked.
    """

    def __init__(
        self,
        server: ServerConfig,
        *,
        clock: Clock,
        tasks: Callable[[], anyio.abc.TaskGroup],
        listed: Callable[[Listing], None],
        told: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self.server = server
        self.status: str | None = "it has not answered yet"
        self.heard_s = -math.inf
        self.busy = 0
        self._clock = clock
        self._tasks = tasks
        self._listed = listed
        self._told = told
        self._changed = changed
        self._link: _Link | None = None
        self._attempt: _Attempt | None = None
        self._failures = 0
        self._again_at_s = -math.inf
        self._closing = False

    @property
    def connected(self) -> bool:
        """Whether there is a connection; any thread may ask."""
        return self._link is not None

    @property
    def protocol_version(self) -> str | None:
        """The version that is spoken, None without a connection; any thread may ask."""
        return None if (link := self._link) is None else link.client.protocol_version

    def close(self) -> None:
        """End the connection, and open no other."""
        self._closing = True
        if self._attempt is not None:
            self._attempt.scope.cancel()
        if self._link is not None:
            self._drop(self._link, "Callboard is stopping")

    async def connect(self) -> None:
        """Have a connection; raise `NotSent` saying why there is none."""
        await self._linked()

    async def call(self, tool: str, arguments: dict[str, Any], effect_id: str, timeout_s: float) -> Mapping[str, Any]:
        """Call a tool and return its answer as the wire has it; raise `NotSent`, `InDoubt` or `ToolFailed`."""
        self.busy += 1
        try:
            link = await self._linked()
            try:
                return await self._asked(link, tool, arguments, effect_id, timeout_s)
            except _SessionLost:  # the server has been restarted and knows nothing of us, nor of this call
                self._drop(link, "it has forgotten the session")
                self._again_at_s = -math.inf
            try:
                return await self._asked(await self._linked(), tool, arguments, effect_id, timeout_s)
            except _SessionLost:
                raise NotSent(self._named("it forgets its sessions")) from None
        finally:
            self.busy -= 1

    async def check(self, timeout_s: float) -> None:
        """See whether the server answers, by asking for its tools again; drop the connection if it does not."""
        link = self._link
        if link is None or self.busy:  # a server that works on one thing at a time is not dead
            return
        try:
            with anyio.fail_after(timeout_s):
                self._listed(await self._listing(link.client))
        except (MCPError, TimeoutError, ValidationError) as error:
            self._drop(link, self._why(error, link.faults))
        else:
            self._works()

    # --- a call ---

    async def _asked(
        self, link: _Link, tool: str, arguments: dict[str, Any], effect_id: str, timeout_s: float
    ) -> Mapping[str, Any]:
        ticket = Ticket()
        TICKET.set(ticket)
        try:
            answer = await self._sent(link, tool, arguments, effect_id, timeout_s)
        except MCPError as error:
            raise self._failure(error, link, ticket, timeout_s) from error
        except ValidationError as error:
            raise ToolFailed("the tool was called and its server answered what is not the protocol") from error
        self._works()
        if isinstance(answer, InputRequiredResult):
            raise ToolFailed("the tool asks its caller a question, which Callboard does not answer; use another tool")
        return answer.model_dump(by_alias=True, mode="json")

    async def _sent(
        self, link: _Link, tool: str, arguments: dict[str, Any], effect_id: str, timeout_s: float
    ) -> CallToolResult | InputRequiredResult:
        """Send the request; the session's own `call_tool` would run the server's output schema with Python's `re`."""
        params = {"name": tool, "arguments": arguments, "_meta": {EFFECT_ID: effect_id}}
        request = CallToolRequest(params=CallToolRequestParams.model_validate(params))
        session = link.client.session
        try:
            return await session.send_request(request, _ANSWER, request_read_timeout_seconds=timeout_s)
        except MCPError as error:
            if error.code != HEADER_MISMATCH or session.protocol_version not in MODERN_PROTOCOL_VERSIONS:
                raise
        await self._listing(link.client)  # the tool's schema says which arguments go into headers, and it has changed
        return await session.send_request(request, _ANSWER, request_read_timeout_seconds=timeout_s)

    def _failure(self, error: MCPError, link: _Link, ticket: Ticket, timeout_s: float) -> Exception:
        if link.faults.session_lost:
            return _SessionLost()
        fault = link.faults.of(error.data)
        if fault == NOT_SENT or not ticket.taken:
            return NotSent(self._named(self._why(error, link.faults)))
        if fault == IN_DOUBT or error.code == CONNECTION_CLOSED:
            return InDoubt(self._broken_off(self._why(error, link.faults)))
        if error.code == REQUEST_TIMEOUT:
            return InDoubt(self._broken_off(f"it did not answer within {timeout_s:g} s"))
        return ToolFailed(self._hidden(error.message, MAX_ERROR_CHARS) or "the server refused the call")

    # --- the connection ---

    async def _linked(self) -> _Link:
        if (link := self._link) is not None:
            if not link.lost.is_set():
                return link
            self._drop(link, "it ended the connection")
        if self._closing:
            raise NotSent(self._named("Callboard is stopping"))
        if self._attempt is None:
            wait_s = self._again_at_s - self._clock.monotonic()
            if wait_s > 0:
                raise NotSent(f"{self._named(self.status)}; it is tried again in {math.ceil(wait_s)} s")
            self._attempt = _Attempt()
            self._tasks().start_soon(self._session, self._attempt)
        attempt = self._attempt
        await attempt.done.wait()
        if attempt.link is None:
            raise NotSent(self._named(self.status))
        return attempt.link

    async def _session(self, attempt: _Attempt) -> None:
        """Open a connection and hold it until it breaks; a task of its own, as the SDK's scopes ask for."""
        faults, lost = Faults(), anyio.Event()
        why = "Callboard is stopping"
        try:
            with attempt.scope as scope:
                scope.deadline = anyio.current_time() + CONNECT_S
                async with Client(
                    open_streams(self.server, faults, lost.set),
                    mode="auto" if self.server.protocolVersion == "auto" else "legacy",
                    client_info=Implementation(name="callboard", version=__version__),
                    cache=None,
                    message_handler=self._heard,
                    logging_callback=self._logged,
                ) as client:
                    self._listed(await self._listing(client))
                    scope.deadline = math.inf
                    attempt.link = self._link = _Link(client, faults, lost)
                    self._attempt = None
                    self._works()
                    attempt.done.set()
                    await self._hold(attempt.link)
            if scope.cancelled_caught and not self._closing:
                why = f"it did not answer within {CONNECT_S:g} s"
        except Exception as error:  # noqa: BLE001  # whatever the SDK or a server does, it is this server's problem
            why = self._why(error, faults)
        finally:
            self._ended(attempt, why)

    async def _hold(self, link: _Link) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, link.client)
            await link.lost.wait()
            self._drop(link, "it ended the connection")
            tasks.cancel_scope.cancel()

    def _ended(self, attempt: _Attempt, why: str) -> None:
        if attempt.link is not None:
            self._drop(attempt.link, why)
            return
        self._attempt = None
        self._down(why)
        attempt.done.set()

    def _drop(self, link: _Link, why: str) -> None:
        """Give a connection up; whoever needs one next opens another."""
        if self._link is link:
            self._link = None
            self._down(why)
        link.lost.set()

    def _down(self, why: str) -> None:
        self.status = why
        # the first loss is mended at once: a server that was restarted should not be waited for
        pause_s = 0.0 if self._failures == 0 else min(_FIRST_PAUSE_S * 2 ** (self._failures - 1), _LONGEST_PAUSE_S)
        self._failures += 1
        self._again_at_s = self._clock.monotonic() + pause_s
        if not self._closing:
            logger.warning("the MCP server %s is down: %s", self.server.name, why)

    def _works(self) -> None:
        self.status = None
        self.heard_s = self._clock.monotonic()
        self._failures = 0

    async def _listing(self, client: Client) -> Listing:
        tools: list[Mapping[str, Any]] = []
        cursor: str | None = None
        while len(tools) < MAX_TOOLS:
            page = await client.list_tools(cursor=cursor)
            tools += [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in page.tools]
            cursor = page.next_cursor
            if not cursor or not page.tools:
                break
        else:
            self._told(f"it has more than {MAX_TOOLS} tools; the others are left out")
        info = client.server_info
        return Listing(version=clean(info.version, 64) if info else "", tools=tuple(tools[:MAX_TOOLS]))

    # --- what the server says by itself ---

    async def _listen(self, client: Client) -> None:
        """Ask to hear of changes, which the newer protocol sends only to those who ask."""
        tools = client.server_capabilities.tools
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS or tools is None or not tools.list_changed:
            return
        try:
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._changed()
        except (MCPError, SubscriptionLost) as error:  # the checks find changes too, only later
            logger.debug("the MCP server %s sends no changes: %s", self.server.name, self._hidden(str(error), 200))

    async def _heard(self, message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._changed()
        elif isinstance(message, Exception):
            self._told(
                "it writes what is not the protocol, most likely log lines on its standard output; turn those off"
            )

    async def _logged(self, params: LoggingMessageNotificationParams) -> None:
        logger.debug("the MCP server %s says: %s", self.server.name, self._hidden(str(params.data), 1000))

    # --- words ---

    def _named(self, why: str | None) -> str:
        return f"the MCP server {self.server.name} is not available: {why}"

    def _broken_off(self, why: str) -> str:
        return f"a call of the MCP server {self.server.name} broke off: {why}"

    def _hidden(self, text: str, most: int) -> str:
        """Return somebody else's text, fit for our messages: no secrets of the entry, no control characters."""
        return clean(self.server.hide(text), most)

    def _why(self, error: BaseException, faults: Faults) -> str:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        match error:
            case MCPError() if faults.of(error.data) is not None:
                return error.message  # ours
            case MCPError(code=code) if code == CONNECTION_CLOSED:
                return "it ended the connection"
            case MCPError(code=code) if code == METHOD_NOT_FOUND:
                return "what answers there does not speak MCP"
            case MCPError():
                return f"it refuses: {self._hidden(error.message, 200)}"
            case TimeoutError():
                return "it does not answer"
            case OSError():
                return f"its command cannot be started ({error.strerror or type(error).__name__})"
            case ValidationError():
                return "it answers what is not the protocol"
            case _:
                return f"{type(error).__name__}: {self._hidden(str(error), 200)}"


class _SessionLost(Exception):  # a signal to `call`
    """The server has answered that it does not know the session."""
