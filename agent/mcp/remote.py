"""MCP servers as a worker's process has them: their tools are made there, and called on the control side.

Connections and secrets stay on the control side (`McpServers`), which tells a worker of its servers as a whole whenever something
has changed (`Told`), and carries calls out (`McpControl`). What crosses is plain values; what a server has said crosses as
JSON's text, since it may have numbers of any length and any depth. Threads: those of a worker's runs. PERF: imports no SDK,
which takes most of a second. Imported by `servers.py`, `line.py` and the wiring of a worker.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Protocol

from callboard.agent.cancel import Cancelled, CancelToken
from callboard.agent.mcp.remembered import Listing
from callboard.agent.mcp.results import ToolFailed, texts_of
from callboard.agent.mcp.tool import InDoubt, McpTool, NotSent, deadline_of, make_tools
from callboard.agent.skill import Replay, SkillContext
from callboard.errors import TaskError

Plain = Any
"""A value that msgpack has; a tuple may come back as a list."""

_SIGNALS = {signal.__name__: signal for signal in (NotSent, InDoubt, ToolFailed, Cancelled)}


class McpControl(Protocol):
    """What a run asks of `McpServers`, where its token is known: plain values, by position, in the run's thread.

    A cancel of the run ends both; that it is handed back does not end a call, of which nobody would know the outcome.
    """

    def call_tool(
        self, server: str, tool: str, arguments: dict[str, Any], effect_id: str, deadline_s: float | None, /
    ) -> Plain:
        """Return what has come of a call, as `said_of` has it; the deadline is in seconds of `time.monotonic`."""

    def wait_for_server(self, server: str, /) -> Plain:
        """Wait until a server has said what it has, or could not be reached; return whether that is known, and its trouble."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a worker is told of one server: what its tools need of its entry and of its list, and how it stands.

    SECURITY: and nothing else of the entry, such as its command, address, variables and headers.
    """

    name: str
    prefix: str
    replay: Mapping[str, Replay]
    approval: Sequence[str]
    version: str
    tools: str
    late: bool
    trouble: str | None

    def plain(self) -> Plain:
        return list(astuple(self))

    @property
    def about_tools(self) -> tuple[Any, ...]:
        """What its skills are made of."""
        return self.prefix, self.name, self.replay, self.approval, self.version, self.tools

    @property
    def listing(self) -> Listing:
        return Listing(version=self.version, tools=tuple(json.loads(self.tools)))


class RemoteLine:
    """The way to one server by way of the control side. Fulfils `Line` and `LateServer`."""

    def __init__(self, told: Told, control: McpControl, before: "RemoteLine | None" = None) -> None:
        """Make skills of its tools, unless they are those of `before`."""
        self.told = told
        self._control = control
        self._trouble = told.trouble
        if before is not None and before.told.about_tools == told.about_tools:
            self.skills: tuple[McpTool, ...] = before.skills
        else:
            made, _ = make_tools(told.listing, told, self)  # what is wrong with others is said on the control side
            self.skills = tuple(skill for skill, _ in made)

    def tell(self, problem: str) -> None:
        """Do nothing: the control side has said it."""

    def hide(self, text: str) -> str:
        """Return the text: the control side has hidden what is secret."""
        return text

    def call(self, tool: str, arguments: dict[str, Any], ctx: SkillContext) -> Mapping[str, Any]:
        return answer_of(self._control.call_tool(self.told.prefix, tool, arguments, ctx.effect_id, deadline_of(ctx)))

    @property
    def trouble(self) -> str | None:
        """Why the server is late, as the control side has said last."""
        return self._trouble

    def wait(self, token: CancelToken) -> bool:
        if token.stopped:
            raise Cancelled
        known, self._trouble = self._control.wait_for_server(self.told.prefix)
        return bool(known)


class RemoteServers:
    """The servers of one listing, and their tools as skills; never changed, so any thread may use it."""

    def __init__(self, listing: Iterable[Plain], control: McpControl, before: "RemoteServers | None" = None) -> None:
        """Make of a listing what `McpServers` has; `before` is that of the last one, from which is taken what has not changed."""
        known = {} if before is None else before._lines
        told = [Told(**dict(zip(Told.__slots__, one, strict=True))) for one in listing]
        self._lines: dict[str, RemoteLine] = {
            one.prefix: RemoteLine(one, control, known.get(one.prefix)) for one in told
        }

    @property
    def skills(self) -> tuple[McpTool, ...]:
        """The tools of all servers as skills."""
        return tuple(skill for line in self._lines.values() for skill in line.skills)

    @property
    def late(self) -> Mapping[str, RemoteLine]:
        """The servers, by what their skills' names begin with, that have not listed their tools since the start."""
        return {prefix: line for prefix, line in self._lines.items() if line.told.late}


def said_of(call: Callable[[], Mapping[str, Any]], hide: Callable[[str], str]) -> Plain:
    """Return what has come of a call as plain values: its answer, or what it raised.

    Of a failure only its words are told. SECURITY: without the secrets of the server's entry, which only this side knows.
    """
    try:
        answer = call()
        if answer.get("isError"):
            answer = {"isError": True, "content": [{"type": "text", "text": hide(texts_of(answer))}]}
        return ["answer", json.dumps(answer)]
    except RecursionError:
        return [ToolFailed.__name__, _TOO_DEEP]
    except TaskError as error:
        return [TaskError.__name__, error.message, error.code, error.retryable]
    except tuple(_SIGNALS.values()) as signal:
        return [type(signal).__name__, str(signal)]


_TOO_DEEP = "the tool was called, and its answer is nested too deeply to be read"


def answer_of(said: Plain) -> Mapping[str, Any]:
    """Return a call's answer, or raise what it has raised."""
    kind, text, *more = said
    if kind == TaskError.__name__:
        code, retryable = more
        raise TaskError(code, text, retryable=retryable)
    if kind != "answer":
        raise _SIGNALS[kind](text)
    try:
        answer: Mapping[str, Any] = json.loads(text)
    except RecursionError as error:
        raise ToolFailed(_TOO_DEEP) from error
    return answer
