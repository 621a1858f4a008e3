"""What is known of one server, and the way to it from the workers' threads: the `Line` of its tools.

The loop's thread hears what the server lists and makes skills of it; before that, once, the start's thread does so with
what it listed last time. What other threads read is replaced as a whole: workers call, `/health` asks for the trouble,
the health monitor has it looked after. Imported by `servers.py`.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callboard.agent.cancel import Cancelled, CancelToken
from callboard.agent.mcp.config import ServerConfig
from callboard.agent.mcp.loop import LoopThread
from callboard.agent.mcp.remembered import Listing, Tool, keep, path_of, recall
from callboard.agent.mcp.remote import Told
from callboard.agent.mcp.tool import InDoubt, McpTool, NotSent, deadline_of, make_tools, unused_rules
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
_MOST_TOLD = 50
_MOST_NAMED = 10


class ServerLine:
    """One server: its connection in the loop's thread, its tools as skills, what is wrong with it.

    `late` until it has listed its tools for the first time since the start: its skills are then those of last time, or none.
    """

    def __init__(
        self,
        server: ServerConfig,
        *,
        loop: LoopThread,
        connect: "Callable[[ServerLine], Connection]",
        changed: Callable[[], None],
        data_dir: Path,
        clock: Clock,
    ) -> None:
        self.server = server
        self.skills: tuple[McpTool, ...] = ()
        self.late = True
        self._loop = loop
        self._changed = changed
        self._clock = clock
        self._path = path_of(data_dir, server.prefix)
        self._made: tuple[tuple[McpTool, Tool], ...] = ()
        self._listing: Listing | None = None
        self._kept: Listing | None = None
        self._about_tools: tuple[str, ...] = ()
        self._unkept: tuple[str, ...] = ()
        self._told: tuple[str, ...] = ()
        self._looking: Future[None] | None = None
        self.connection = connect(self)

    # --- the start ---

    def recall(self) -> None:
        """Offer what the server listed last time, if that is known; before it is connected to."""
        self._kept = recall(self._path, self.server.remembers_as)
        if self._kept is not None:
            self._make(self._kept)

    def connecting(self) -> "Future[None]":
        """Begin to connect; the future is over when that has worked or failed."""
        return self._loop.submit(self.connection.connect())

    # --- what the connection says, in the loop's thread ---

    def begun(self) -> None:
        """Forget what was told of the connection before: it is opened anew."""
        self._told = ()

    def listed(self, listing: Listing) -> None:
        """Take up what the server offers, and say what is new, if anything is."""
        self._keep(listing)
        before, were, late = self._listing, self.skills, self.late
        same = before is not None and before.same(listing)
        if not same:
            self._make(listing)
        self.late = False
        if before is None:
            logger.info("the MCP server %s is ready, %s", self.server.name, _count(len(self.skills)))
        elif news := _news(were, self.skills):
            logger.info("the MCP server %s has other tools now: %s", self.server.name, news)
        if late or not same:
            self._changed()

    def _make(self, listing: Listing) -> None:
        made, left_out = make_tools(listing, self.server, self)
        if not listing.tools:
            left_out.append("it lists no tools")
        tools = [skill for skill, _ in made]
        told = (
            *map(self._sentence, left_out[:_MOST_TOLD]),
            *map(self._sentence, unused_rules(tools, self.server)),
        )
        self._say(told, self._about_tools)
        self._listing, self._about_tools, self._made, self.skills = listing, told, tuple(made), tuple(tools)

    def _keep(self, listing: Listing) -> None:
        if self._kept is not None and self._kept.same(listing):
            return
        told: tuple[str, ...] = ()
        try:
            keep(self._path, self.server.remembers_as, listing)
            self._kept = listing
        except OSError as error:
            why = f"its tools cannot be kept in {self._path} ({error.strerror}); make the data folder writable"
            told = (self._sentence(why),)
        self._say(told, self._unkept)
        self._unkept = told

    def tell(self, told: str) -> None:
        """Add a sentence about the connection, once."""
        sentence = self._sentence(told)
        if sentence not in self._told and len(self._told) < _MOST_TOLD:
            self._say((sentence,), ())
            self._told = (*self._told, sentence)

    def _sentence(self, told: str) -> str:
        return f"The MCP server {self.server.name}: {self.server.hide(told)}."

    @staticmethod
    def _say(told: tuple[str, ...], before: tuple[str, ...]) -> None:
        for sentence in told:
            if sentence not in before:
                logger.warning("%s", sentence)

    # --- how it stands, any thread ---

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator may want to know of a server though it can be used, in sentences."""
        return (*self._about_tools, *self._unkept, *self._told)

    @property
    def trouble(self) -> str | None:
        """Say why what the server has cannot be used, in a sentence; None if it can."""
        who, made = f"The MCP server {self.server.name}", len(self.skills)
        if self.connection.connected and not self.late:
            listed = 0 if self._listing is None else len(self._listing.tools)
            if made or not listed:
                return None
            return f"{who} is there, and 0 of its {listed} tools can be used; the log and the warnings say why."
        why, trying_s = self.connection.status, self.connection.trying_s
        so_far = "" if trying_s is None else f" ({trying_s:.0f} s so far)"
        state = f"is still starting{so_far}" if why is None else f"is not usable: {why}"
        if why is not None and so_far:
            state += f"; it is being tried again{so_far}"
        if not made:
            return f"{who} {state}; its skills are not there yet." if self.late else f"{who} {state}."
        kept = (
            f"its {_count(made)} of last time {'is' if made == 1 else 'are'} offered"
            if self.late
            else "its skills stay"
        )
        return f"{who} {state}; {kept} and will work when it is {'ready' if self.late else 'back'}."

    def told(self, offered: Callable[[McpTool], bool]) -> Told:
        """Return what another process is told of the server, with those of its tools that are `offered`."""
        tools = [(skill, listed) for skill, listed in self._made if offered(skill)]
        return Told(
            name=self.server.name,
            prefix=self.server.prefix,
            replay=self.server.replay,
            approval=self.server.approval,
            version=tools[0][0].version if tools else "",
            tools=json.dumps([listed for _, listed in tools]),
            late=self.late,
            trouble=self.trouble,
        )

    def look(self) -> None:
        """Have the server connected to, or asked, if that is due; never waits."""
        if self._looking is not None and not self._looking.done():
            return
        if not self.connection.connected:
            self._looking = self._loop.submit(self.connection.connect())
        elif self._clock.monotonic() - self.connection.heard_s >= CHECK_EVERY_S:
            self._looking = self._loop.submit(self.connection.check(_CHECK_S))

    # --- what workers want of it ---

    def wait(self, token: CancelToken) -> bool:
        """Wait until the server has listed its tools, or could not be connected to; say whether they are known.

        As long as a connection takes to open. Raises `Cancelled` where the token is set.
        """
        future = self._loop.submit(self.connection.connect())
        while not wait([future], timeout=_GLANCE_S).done and not self._loop.ended:
            if token.stopped:
                future.cancel()
                raise Cancelled
        return not self.late

    def hide(self, text: str) -> str:
        return self.server.hide(text)

    def call(self, tool: str, arguments: dict[str, Any], ctx: SkillContext) -> Mapping[str, Any]:
        """Have a tool called and wait for its answer; see `Line`."""
        return self.send(tool, arguments, ctx.effect_id, deadline_of(ctx), ctx.cancel_event)

    def send(
        self,
        tool: str,
        arguments: dict[str, Any],
        effect_id: str,
        deadline_s: float | None,
        cancel: threading.Event,
    ) -> Mapping[str, Any]:
        """Do so for a call that knows no more of its run than this; `deadline_s` is in seconds of `time.monotonic`.

        Returns soon after a cancel or the deadline: the loop then tells the server to stop, and nobody waits for that.
        """
        if self._loop.ended:
            raise NotSent(f"the MCP server {self.server.name} is not available: Callboard is stopping")
        work = self.connection.call(tool, arguments, effect_id, self.server.timeoutS)
        future = self._loop.submit(work)
        # PERF: a cancel has no callback to hook on, so the worker looks ten times a second; a call that is quick is
        # over before the first look
        while not wait([future], timeout=_glance_s(deadline_s)).done:
            if cancel.is_set():
                future.cancel()
                raise Cancelled
            if self._loop.ended:
                future.cancel()
                break
            if deadline_s is not None and deadline_s <= time.monotonic():
                future.cancel()
                raise TaskError(
                    "deadline_exceeded",
                    f"The MCP server {self.server.name} had not answered when the task's time was up.",
                )
        try:
            return future.result()
        except CancelledError:
            raise InDoubt(f"Callboard was stopped while the MCP server {self.server.name} worked on the call") from None


def _count(skills: int) -> str:
    return "1 skill" if skills == 1 else f"{skills} skills"


def _news(before: tuple[McpTool, ...], after: tuple[McpTool, ...]) -> str:
    """Say which skills were added, removed and changed; nothing where all look as they did."""
    old, new = ({skill.name: _face(skill) for skill in skills} for skills in (before, after))
    told = (
        ("added", [name for name in new if name not in old]),
        ("removed", [name for name in old if name not in new]),
        ("changed", [name for name in new if name in old and new[name] != old[name]]),
    )
    return "; ".join(f"{what} {_some(names)}" for what, names in told if names)


def _face(skill: McpTool) -> tuple[Any, ...]:
    return skill.tool, skill.stub, skill.description, skill.schema, skill.replay, skill.approval


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _glance_s(deadline_s: float | None) -> float:
    return _GLANCE_S if deadline_s is None else max(0.0, min(_GLANCE_S, deadline_s - time.monotonic()))
