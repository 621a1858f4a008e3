"""A tool of an MCP server as a skill; see `AnySkill` in agent/skill.py.

Made from what the server lists, whenever that has changed, and where it is called from (`remote.py`). A call is checked here, in the worker's thread, and sent by the server's
`Line`; how it fails decides whether it may be tried again.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

from callboard.agent.mcp.arguments import Arguments, Check
from callboard.agent.mcp.naming import hyphenated, skill_name
from callboard.agent.mcp.remembered import Listing, Tool
from callboard.agent.mcp.results import ToolFailed, texts_of, value_of
from callboard.agent.mcp.schema_types import is_deeper, python_type, tidied
from callboard.agent.mcp.stub import MAX_DESCRIPTION_CHARS, MAX_DOCSTRING_CHARS, clean, parameters, stub, summary
from callboard.agent.skill import Replay, RetryableError, SkillContext
from callboard.arguments import Binding
from callboard.limits import VALUE_DEPTH
from callboard.values import storable

MAX_SCHEMA_BYTES = 100_000
PERMISSIONS = ("mcp", "network")


class NotSent(Exception):  # a signal from the line, told apart here
    """The request did not reach the server; the text says why and what happens next."""


class InDoubt(Exception):  # likewise
    """The request may have reached the server, and no answer will come."""


class Line(Protocol):
    """The way to a server."""

    def tell(self, problem: str) -> None:
        """Add a sentence for the operator."""

    def hide(self, text: str) -> str:
        """Return the text without the secrets of the server's entry."""

    def call(self, tool: str, arguments: dict[str, Any], ctx: SkillContext) -> Mapping[str, Any]:
        """Return the tool's answer as the wire has it.

        Raises `NotSent`, `InDoubt`, `ToolFailed` where the server refuses, `Cancelled`, or `TaskError` past the deadline.
        """


class Entry(Protocol):
    """What a server's entry says of its tools; see `ServerConfig`."""

    @property
    def name(self) -> str: ...
    @property
    def prefix(self) -> str: ...
    @property
    def replay(self) -> Mapping[str, Replay]: ...
    @property
    def approval(self) -> Sequence[str]: ...


def deadline_of(ctx: SkillContext) -> float | None:
    """Return when a call's time is up, in seconds of `time.monotonic`; None if never."""
    if ctx.deadline_s is not None or (left_s := ctx.remaining_s) is None:
        return ctx.deadline_s
    return time.monotonic() + left_s


@dataclass(frozen=True, kw_only=True)
class McpTool:
    """One tool; immutable, so any thread may use it."""

    name: str
    tool: str
    description: str
    stub: str
    schema: Mapping[str, Any]
    replay: Replay
    origin: str
    version: str
    approval: bool
    permissions: tuple[str, ...] = PERMISSIONS
    kind: str = "mcp"
    line: Line = field(repr=False)
    arguments: Arguments = field(repr=False)
    answers: Check | None = field(repr=False, default=None)

    @property
    def python_name(self) -> str:
        return self.name.replace("-", "_")

    def binding(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Binding:
        """Return what is sent, which is what was given, and what the schema says of what is left out."""
        sent = self.arguments.bound(args, kwargs)
        known = _mapping(self.schema.get("properties")).items()
        return Binding.of(
            sent,
            {name: _mapping(of)["default"] for name, of in known if name not in sent and "default" in _mapping(of)},
        )

    def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], ctx: SkillContext) -> Any:
        """Check the arguments, call the tool and return its answer."""
        sent = self.arguments.bound(args, kwargs)
        try:
            answer = self.line.call(self.tool, sent, ctx)
        except NotSent as error:
            raise RetryableError(str(error)) from error
        except InDoubt as error:
            if self.replay != "never":  # it may be repeated, so nothing is lost by trying again
                raise RetryableError(str(error)) from error
            raise ToolFailed(
                f"{error}; whether the call was carried out is not known, so find out before repeating it"
            ) from error
        answer = self._with_structure(answer)
        value = value_of(answer, self.line.hide)
        self._hold_to_its_word(answer)
        return value

    def _with_structure(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take the text for the structured content that the schema promises, where it is just that, written as JSON."""
        if self.answers is None or answer.get("structuredContent") is not None:
            return answer
        try:
            value = json.loads(texts_of(answer))
        except (ValueError, RecursionError):
            return answer
        return answer if self.answers.mismatch(value) is not None else {**answer, "structuredContent": value}

    def _hold_to_its_word(self, answer: Mapping[str, Any]) -> None:
        """Raise `ToolFailed` if the answer is not what the tool's `outputSchema` says: the stub has said it too."""
        if self.answers is None:
            return
        if answer.get("structuredContent") is None:
            raise ToolFailed("the tool was called and answered without the structured content that its schema promises")
        found = self.answers.mismatch(answer["structuredContent"])
        if found is not None:
            where = ".".join(str(part) for part in found[0]) or "the answer"
            raise ToolFailed(f"the tool was called, but its answer is not what its schema says; {where}: {found[1]}")


def make_tools(listing: Listing, server: Entry, line: Line) -> tuple[list[tuple[McpTool, Tool]], list[str]]:
    """Return the skills of a listing, each with what was listed of it, and in words which tools are left out and why."""
    made: dict[str, tuple[McpTool, Tool]] = {}
    left_out: list[str] = []
    for listed in listing.tools:
        try:
            skill = make_tool(listed, server, listing.version, line)
            if (other := made.get(skill.name)) is not None:
                raise ValueError(f"the name {skill.name} is taken by its tool {other[0].tool[:64]!r}")
        except Exception as error:  # noqa: BLE001  # whatever a server lists, it takes no other tool along
            left_out.append(f"its tool {listed['name'][:64]!r} is left out: {error}")
            continue
        made[skill.name] = skill, listed
    return list(made.values()), left_out


def make_tool(listed: Tool, server: Entry, version: str, line: Line) -> McpTool:
    """Return the skill of a listed tool; raise `ValueError` saying why it cannot be one."""
    tool = listed["name"]
    name = skill_name(server.prefix, tool)
    schema = _usable({} if listed.get("inputSchema") in (None, True) else listed["inputSchema"], "inputSchema")
    if _mapping(listed.get("execution")).get("taskSupport") == "required":
        raise ValueError("it can only be called as an MCP task, which Callboard does not speak")
    declared = parameters(schema)
    answers, answers_validator = _answers(listed, line)
    description = clean(listed.get("description") or listed.get("title"), MAX_DOCSTRING_CHARS)
    python_name = name.replace("-", "_")
    return McpTool(
        name=name,
        tool=tool,
        description=summary(description)[:MAX_DESCRIPTION_CHARS],
        stub=stub(python_name, _with_answer(description, answers), declared, _answer_type(answers)),
        schema=storable(schema),
        replay=_replay(listed, server, name),
        origin=f"mcp server {server.name}",
        version=version,
        approval=any(_matches(pattern, tool, name, server) for pattern in server.approval),
        line=line,
        arguments=Arguments(python_name, schema, declared),
        answers=answers_validator,
    )


def _answers(listed: Tool, line: Line) -> tuple[Mapping[str, Any] | None, Check | None]:
    """Return what the tool's answers are said to be, and what checks them; nothing where that is of no use."""
    output = listed.get("outputSchema")
    if output in (None, True, {}):
        return None, None
    try:
        schema = _usable(output, "outputSchema")
        return schema, Check(schema)
    except ValueError as error:
        line.tell(f"the answers of its tool {listed['name'][:64]!r} are not checked: {error}")
        return None, None


def unused_rules(tools: list[McpTool], server: Entry) -> list[str]:
    """Return in sentences which names in the entry's `replay` and `approval` stand for no tool: misspelt, most likely."""
    told = []
    for rule, fields in (("replay", list(server.replay)), ("approval", server.approval)):
        for pattern in fields:
            match_exactly = rule == "replay"
            if not any(
                _names(pattern, t.tool, t.name, server) if match_exactly else _matches(pattern, t.tool, t.name, server)
                for t in tools
            ):
                told.append(f"{rule}: {pattern[:64]!r} stands for no tool of it; mend the name or take it out")
    return told


def _replay(listed: Tool, server: Entry, name: str) -> Replay:
    """Return the operator's word on the tool, else what follows from the server's hints."""
    for pattern, replay in server.replay.items():
        if _names(pattern, listed["name"], name, server):
            return replay
    hints = _mapping(listed.get("annotations"))
    if hints.get("readOnlyHint") is True:
        return "safe"
    return "keyed" if hints.get("idempotentHint") is True else "never"


def _names(rule: str, tool: str, name: str, server: Entry) -> bool:
    """Whether the entry means this tool: by the server's name for it, or by the skill's, with or without the server."""
    return rule in (tool, name) or f"{server.prefix}-{hyphenated(rule)}" == name


def _matches(pattern: str, tool: str, name: str, server: Entry) -> bool:
    return any(fnmatchcase(each, pattern) for each in (tool, name, name.removeprefix(f"{server.prefix}-")))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _usable(schema: Any, field_name: str) -> Mapping[str, Any]:
    if not isinstance(schema, Mapping):
        raise ValueError(f"its {field_name} is not an object")
    if is_deeper(schema, VALUE_DEPTH) or len(json.dumps(schema)) > MAX_SCHEMA_BYTES:
        raise ValueError(
            f"its {field_name} is deeper than {VALUE_DEPTH} levels or larger than {MAX_SCHEMA_BYTES:,} bytes"
        )
    return dict(tidied(schema))


def _answer_type(schema: Mapping[str, Any] | None) -> str:
    return "Any" if schema is None else python_type(schema, schema)


def _with_answer(description: str, schema: Mapping[str, Any] | None) -> str:
    """Add the keys of the answer to the description, with their types: the stub's own type has no place for them."""
    properties = _mapping(_mapping(schema).get("properties"))
    if schema is None or not properties:
        return description
    shown = [f"{clean(key, 60)!r}: {python_type(inner, schema)}" for key, inner in list(properties.items())[:30]]
    return f"{description}\n\nReturns {{{', '.join(shown)}}}".strip()
