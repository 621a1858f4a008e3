"""One server's connection: opened when it is needed, given up when it breaks, opened again later.

Everything here runs in the loop's thread, except what any thread may read: `status`, which is replaced as a whole, `connected`
and the properties.
Imports the SDK; imported by `servers.py` when there are servers to start.
"""

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc
from mcp import Client, MCPError
from mcp.client.subscriptions import SubscriptionLost
from mcp_types import (
    HEADER_MISMATCH,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    LoggingMessageNotificationParams,
    ToolListChangedNotification,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from callboard import __version__
from callboard.agent.mcp.config import ServerConfig
from callboard.agent.mcp.listing import listing
from callboard.agent.mcp.remembered import Listing
from callboard.agent.mcp.results import ToolFailed
from callboard.agent.mcp.tool import NotSent
from callboard.agent.mcp.transports import open_streams
from callboard.agent.mcp.wire import Fault, Ticket, Wire
from callboard.agent.mcp.words import SessionLost, Words
from callboard.clock import Clock
from callboard.logs import get_logger

logger = get_logger("callboard.agent.mcp")

EFFECT_ID = "callboard/effectId"
"""The key in a call's `_meta` that carries the effect id: a server that knows it can tell a repeated call."""

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_MARGIN_S = 1.0
"""What the SDK's own limit of a call gets on top: it does not count while a server leaves its input unread."""

_SHOWN_CHARS = 80
_LOGGED_CHARS = 1000
_SETTLE_S = 0.1
_LIST_S = 10.0


@dataclass(slots=True)
class _Link:
    """A connection that works: the client, the event that is set when it is given up, and how many calls are under way."""

    client: Client
    wire: Wire
    lost: anyio.Event
    calls: int = 0


@dataclass(slots=True)
class _Attempt:
    begun_s: float
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    link: _Link | None = None


class Connection:
    """The way to one server.

    `connected` also says True while a session is only begun anew. `status` says why there is no connection, None as long as
    nothing has failed. `begun` is called when it begins to open one,
    `told` hears what the operator should know, `listed` what the server offers, each time it is asked.
    """

    def __init__(
        self,
        server: ServerConfig,
        *,
        clock: Clock,
        tasks: Callable[[], anyio.abc.TaskGroup],
        begun: Callable[[], None],
        listed: Callable[[Listing], None],
        told: Callable[[str], None],
    ) -> None:
        self.server = server
        self.status: str | None = None
        self.connected = False
        self.heard_s = -math.inf
        self.busy = 0
        self._clock = clock
        self._tasks = tasks
        self._begun = begun
        self._listed = listed
        self._told = told
        self._news = anyio.Event()
        self._link: _Link | None = None
        self._attempt: _Attempt | None = None
        self._failures = 0
        self._again_at_s = -math.inf
        self._closing = False
        self._noise_told = False
        self._words = Words(server)

    @property
    def trying_s(self) -> float | None:
        """How long it has been opening, None while it is not; any thread may ask."""
        return None if (attempt := self._attempt) is None else self._clock.monotonic() - attempt.begun_s

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
            except SessionLost:  # the server has been restarted and knows nothing of us, nor of this call
                self._retire(link)
            try:
                return await self._asked(await self._linked(), tool, arguments, effect_id, timeout_s)
            except SessionLost as lost:
                raise ToolFailed(f"the call is refused in a session that has just begun: {lost}") from None
        finally:
            self.busy -= 1

    async def check(self, timeout_s: float) -> None:
        """See whether the server answers, by asking for its tools again; drop the connection if it does not."""
        link = self._link
        if link is None or self.busy:  # a server that works on one thing at a time is not dead
            return
        with link.wire.following() as ticket:
            try:
                with anyio.fail_after(timeout_s):
                    self._listed(await self._listing(link, ticket))
            except (MCPError, TimeoutError, ValidationError) as error:
                if ticket.fault is not Fault.SESSION_LOST:
                    self._drop(link, self._words.why(error, ticket))
                    return
            else:
                self._works()
                return
        self._retire(link)
        with contextlib.suppress(NotSent):  # the status says why
            await self._linked()

    # --- a call ---

    async def _asked(
        self, link: _Link, tool: str, arguments: dict[str, Any], effect_id: str, timeout_s: float
    ) -> Mapping[str, Any]:
        link.calls += 1
        try:
            with link.wire.following() as ticket:
                try:
                    with anyio.fail_after(timeout_s + _MARGIN_S):
                        await self._send(link, ticket, tool, arguments, effect_id, timeout_s)
                except (MCPError, TimeoutError) as error:
                    raise self._words.failure(error, ticket, timeout_s) from error
        finally:
            link.calls -= 1
            self._let_go(link)
        if self._link is link:
            self._works()
        assert ticket.answer is not None
        if ticket.answer.get("resultType") == "input_required":
            raise ToolFailed("the tool asks its caller a question, which Callboard does not answer; use another tool")
        return ticket.answer

    async def _send(
        self, link: _Link, ticket: Ticket, tool: str, arguments: dict[str, Any], effect_id: str, timeout_s: float
    ) -> None:
        """Send the request; the session's own `call_tool` would run the server's output schema with Python's `re`."""
        params = {"name": tool, "arguments": arguments, "_meta": {EFFECT_ID: effect_id}}
        request = CallToolRequest(params=CallToolRequestParams.model_validate(params))
        session = link.client.session
        try:
            await session.send_request(request, CallToolResult, request_read_timeout_seconds=timeout_s)
        except MCPError as error:
            if error.code != HEADER_MISMATCH or session.protocol_version not in MODERN_PROTOCOL_VERSIONS:
                raise
        else:
            return
        await self._listing(link, ticket)  # the tool's schema says which arguments go into headers, and it has changed
        await session.send_request(request, CallToolResult, request_read_timeout_seconds=timeout_s)

    # --- the connection ---

    async def _linked(self) -> _Link:
        if (link := self._link) is not None:
            if not link.lost.is_set():
                return link
            self._drop(link, "it ended the connection")
        if self._closing:
            raise NotSent(self._words.not_available("Callboard is stopping"))
        if self._attempt is None:
            wait_s = self._again_at_s - self._clock.monotonic()
            if wait_s > 0:
                raise NotSent(f"{self._words.not_available(self.status)}; it is tried again in {math.ceil(wait_s)} s")
            self._begin()
        attempt = self._attempt
        assert attempt is not None
        await attempt.done.wait()
        if attempt.link is None:
            raise NotSent(self._words.not_available(self.status))
        return attempt.link

    def _begin(self) -> None:
        self._attempt = _Attempt(begun_s=self._clock.monotonic())
        self._noise_told = False
        self._begun()
        self._tasks().start_soon(self._session, self._attempt)

    async def _session(self, attempt: _Attempt) -> None:
        """Open a connection and hold it until it breaks; a task of its own, as the SDK's scopes ask for."""
        wire, lost, ticket = Wire(self._noise), anyio.Event(), Ticket()
        why, most_s = "Callboard is stopping", self.server.startTimeoutS
        try:
            with attempt.scope as scope:
                scope.deadline = anyio.current_time() + most_s
                async with contextlib.AsyncExitStack() as stack:
                    with wire.following() as ticket:
                        link = _Link(await stack.enter_async_context(self._client(wire, lost)), wire, lost)
                        self._listed(await self._listing(link, ticket))
                    scope.deadline = math.inf
                    attempt.link = self._link = link
                    self._attempt = None
                    self._works()
                    attempt.done.set()
                    await self._hold(link)
            if scope.cancelled_caught and not self._closing:
                why = f"it did not answer within {most_s:g} s"
        except Exception as error:  # noqa: BLE001  # whatever the SDK or a server does, it is this server's problem
            why = self._words.why(error, ticket)
        finally:
            self._ended(attempt, why)

    def _client(self, wire: Wire, lost: anyio.Event) -> Client:
        return Client(
            open_streams(self.server, wire, lost.set),
            mode="auto" if self.server.protocolVersion == "auto" else "legacy",
            client_info=Implementation(name="callboard", version=__version__),
            cache=None,
            message_handler=self._heard,
            logging_callback=self._logged,
        )

    async def _hold(self, link: _Link) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, link.client)
            tasks.start_soon(self._list_again, link)
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

    async def _listing(self, link: _Link, ticket: Ticket) -> Listing:
        return await listing(link.client, ticket, self._words, self._told)

    def _retire(self, link: _Link) -> None:
        """Use a connection no more whose session the server does not know; calls under way there may come to their end."""
        if self._link is link:
            self._link = None
            logger.info("the MCP server %s has forgotten the session; another is begun", self.server.name)
            if not self._closing:
                self._begin()
        self._let_go(link)

    def _let_go(self, link: _Link) -> None:
        if self._link is not link and link.calls == 0:
            link.lost.set()

    def _down(self, why: str) -> None:
        self.status = why
        self.connected = False
        # the first loss is mended at once: a server that was restarted should not be waited for
        pause_s = 0.0 if self._failures == 0 else min(_FIRST_PAUSE_S * 2 ** (self._failures - 1), _LONGEST_PAUSE_S)
        self._failures += 1
        self._again_at_s = self._clock.monotonic() + pause_s
        if not self._closing:
            logger.warning("the MCP server %s is down: %s", self.server.name, why)

    def _works(self) -> None:
        self.connected = True
        self.status = None
        self.heard_s = self._clock.monotonic()
        self._failures = 0

    # --- what the server says by itself ---

    async def _listen(self, client: Client) -> None:
        """Ask to hear of changes, which the newer protocol sends only to those who ask."""
        tools = client.server_capabilities.tools
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS or tools is None or not tools.list_changed:
            return
        try:
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._news.set()
        except (MCPError, SubscriptionLost) as error:  # the checks find changes too, only later
            logger.debug(
                "the MCP server %s sends no changes: %s", self.server.name, self._words.hidden(str(error), 200)
            )

    async def _list_again(self, link: _Link) -> None:
        """Ask for the tools whenever the server says that they have changed; the more often it says so, the more rarely."""
        pause_s = _SETTLE_S
        while True:
            with anyio.move_on_after(2 * pause_s) as quiet:
                await self._news.wait()
            if quiet.cancelled_caught:  # it has been silent for a while, so the next word is taken up at once
                pause_s = _SETTLE_S
                await self._news.wait()
            await anyio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            self._news = anyio.Event()
            with link.wire.following() as ticket:
                try:
                    with anyio.fail_after(_LIST_S):
                        self._listed(await self._listing(link, ticket))
                except (MCPError, TimeoutError, ValidationError) as error:  # busy; the checks drop it if it is dead
                    why = self._words.why(error, ticket)
                    logger.debug("the MCP server %s does not list its tools: %s", self.server.name, why)
                    self._news.set()
                else:
                    self._works()

    async def _heard(self, message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._news.set()
        elif isinstance(message, Exception):
            self._told(
                "it writes what is not the protocol, most likely log lines on its standard output; turn those off"
            )

    async def _logged(self, params: LoggingMessageNotificationParams) -> None:
        logger.debug("the MCP server %s says: %s", self.server.name, self._words.hidden(str(params.data), 1000))

    def _noise(self, text: str) -> None:
        shown = self._words.hidden(text[:_LOGGED_CHARS], _LOGGED_CHARS)
        logger.debug("the MCP server %s writes: %s", self.server.name, shown)
        if self._noise_told:  # one of many is enough to know what it is
            return
        self._noise_told = True
        if self.server.command is None:
            self._told(f"it sends events that are not the protocol, such as {shown[:_SHOWN_CHARS]!r}; they are skipped")
            return
        self._told(
            f"it writes log lines on its standard output, which is for the protocol, such as {shown[:_SHOWN_CHARS]!r}; "
            "they are skipped; have it write them to its standard error"
        )
