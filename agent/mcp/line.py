"""What is known of one server, and the way to it from the workers' threads: the `Line` of its tools.

The start's thread makes the skills, workers call, the health monitor looks, and the loop's thread says what it hears.
Imported by `servers.py`.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callboard.agent.cancel import Cancelled
from callboard.agent.mcp.config import ServerConfig
from callboard.agent.mcp.loop import LoopThread
from callboard.agent.mcp.remembered import Listing, keep, path_of, recall
from callboard.agent.mcp.tool import InDoubt, McpTool, NotSent, make_tool, unused_rules
from callboard.agent.skill import SkillContext
from callboard.clock import Clock
from callboard.errors import TaskError
from callboard.logs import get_logger

if TYPE_CHECKING:
    from callboard.agent.mcp.connection import Connection

logger = get_logger("callboard.agent.mcp")

CHECK_EVERY_S = 30.0
"""A server that has said nothing for so long is asked whether it is there, at the next probe."""

_CHECK_S = 10.0
_GLANCE_S = 0.1
_MOST_PROBLEMS = 50


class ServerLine:
    """One server: its connection in the loop's thread, its tools, what is wrong with it."""

    def __init__(
        self,
        server: ServerConfig,
        *,
        loop: LoopThread,
        connect: "Callable[[ServerLine], Connection]",
        data_dir: Path,
        clock: Clock,
    ) -> None:
        self.server = server
        self.problems: tuple[str, ...] = ()
        self._loop = loop
        self._clock = clock
        self._path = path_of(data_dir, server.prefix)
        self._offered: Listing | None = None
        self._latest: Listing | None = None
        self._made = False
        self._started = False
        self._looking: Future[None] | None = None
        # Guards `problems`, `_offered`, `_latest` and `_made`: the start's thread and the loop's meet here, and neither has a mailbox.
        self._lock = threading.Lock()
        self.connection = connect(self)

    # --- the start ---

    def connecting(self) -> "Future[None]":
        """Begin to connect; the future is over when that has worked or failed."""
        return self._loop.submit(self.connection.connect())

    def make_skills(self) -> list[McpTool]:
        """Return the skills: of the tools the server lists, or of those it had last time."""
        kept = recall(self._path, self.server.remembers_as)
        with self._lock:
            listing = self._offered = self._latest or kept
            self._made = True
            connected = self._latest is not None
        tools = [] if listing is None else self._tools(listing)
        if not connected:
            told = (
                f"its {len(tools)} skills of last time are offered and will work when it is back"
                if tools
                else "it offers no skills; mend it and restart Callboard"
            )
            self.tell(f"{self.connection.status or 'it has only just answered'}; {told}")
        self._started = True
        return tools

    def _tools(self, listing: Listing) -> list[McpTool]:
        made: dict[str, McpTool] = {}
        for listed in listing.tools:
            name = listed["name"]
            try:
                skill = make_tool(listed, self.server, listing.version, self)
                if (other := made.get(skill.name)) is not None:
                    raise ValueError(f"the name {skill.name} is taken by its tool {other.tool[:64]!r}")
            except (ValueError, RecursionError) as error:
                self.tell(f"its tool {name[:64]!r} is left out: {error}")
                continue
            made[skill.name] = skill
        tools = list(made.values())
        for problem in unused_rules(tools, self.server):
            self.tell(problem)
        return tools

    # --- what the connection says, in the loop's thread ---

    def listed(self, listing: Listing) -> None:
        """Keep what the server offers; say so if that is not what was made into skills."""
        try:
            keep(self._path, self.server.remembers_as, listing)
        except OSError as error:
            self.tell(f"its tools cannot be kept in {self._path} ({error.strerror}); make the data folder writable")
        with self._lock:
            self._latest = listing
            made, offered = self._made, self._offered
        if made and offered is None:
            self.tell("it has answered by now; restart Callboard to have its skills")
        elif offered is not None and not offered.same_tools(listing):
            self.changed()

    def changed(self) -> None:
        self.tell("its tools have changed; restart Callboard to take that up")

    def tell(self, problem: str) -> None:
        """Add a sentence for the operator, once; any thread."""
        sentence = f"The MCP server {self.server.name}: {self.server.hide(problem)}."
        with self._lock:
            if sentence in self.problems or len(self.problems) >= _MOST_PROBLEMS:
                return
            self.problems = (*self.problems, sentence)
        if self._started:  # those of the start are logged with all other problems of it
            logger.warning("%s", sentence)

    # --- health ---

    def look(self) -> None:
        """Have the server connected to, or asked, if that is due; never waits."""
        if self._looking is not None and not self._looking.done():
            return
        if not self.connection.connected:
            self._looking = self._loop.submit(self.connection.connect())
        elif self._clock.monotonic() - self.connection.heard_s >= CHECK_EVERY_S:
            self._looking = self._loop.submit(self.connection.check(_CHECK_S))

    # --- calls ---

    def hide(self, text: str) -> str:
        return self.server.hide(text)

    def call(self, tool: str, arguments: dict[str, Any], ctx: SkillContext) -> Mapping[str, Any]:
        """Have a tool called and wait for its answer; see `Line`. In a worker's thread.

        Returns soon after a cancel or the deadline: the loop then tells the server to stop, and nobody waits for that.
        """
        if self._loop.ended:
            raise NotSent(f"the MCP server {self.server.name} is not available: Callboard is stopping")
        work = self.connection.call(tool, arguments, ctx.effect_id, self.server.timeoutS)
        future = self._loop.submit(work)
        # PERF: a cancel has no callback to hook on, so the worker looks ten times a second; a call that is quick is
        # over before the first look
        while not wait([future], timeout=_glance_s(ctx)).done:
            if ctx.cancelled:
                future.cancel()
                raise Cancelled
            if self._loop.ended:
                future.cancel()
                break
            if ctx.remaining_s == 0:
                future.cancel()
                raise TaskError(
                    "deadline_exceeded",
                    f"The MCP server {self.server.name} had not answered when the task's time was up.",
                )
        try:
            return future.result()
        except CancelledError:
            raise InDoubt(f"Callboard was stopped while the MCP server {self.server.name} worked on the call") from None


def _glance_s(ctx: SkillContext) -> float:
    left_s = ctx.remaining_s
    return _GLANCE_S if left_s is None else max(0.0, min(_GLANCE_S, left_s))
