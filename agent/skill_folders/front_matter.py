"""The YAML at the head of a SKILL.md: where it ends, and its keys with their lines.

Every scalar is the text that stands there, as in the format's reference library: `version: 1.10` is "1.10", and no
tag makes an object. Pure functions; imported by document.py and by the skill, which leaves the head out of the body.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from callboard.agent.findings import Finding, error

MAX_HEAD_CHARS = 32_768
_FENCE = "---"
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # PERF: libyaml takes a seventh of the time
_MAX_DEPTH = 10
_COLON = "mapping values are not allowed"

Value = str | list["Value"] | dict[str, "Value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A key's value and the line of the key in the file."""

    value: Value
    line: int


def split(text: str) -> tuple[str, str] | Finding:
    """Return the head and the body of a SKILL.md, or what is wrong with it."""
    lines = text[: MAX_HEAD_CHARS + 1].splitlines(keepends=True)
    if not lines or lines[0].rstrip() != _FENCE:
        return error("it does not begin with front matter: the first line must be ---", 1)
    at = len(lines[0])
    for line in lines[1:]:
        if line.rstrip() == _FENCE:
            return text[len(lines[0]) : at], text[at + len(line) :].strip()
        at += len(line)
    if len(text) > MAX_HEAD_CHARS:
        return error(f"its front matter does not end within {MAX_HEAD_CHARS:,} characters; end it with a line ---", 1)
    return error("its front matter does not end; put a line --- behind it", 1)


def fields_of(head: str) -> tuple[dict[str, Field], list[Finding]]:
    """Return the keys of the front matter, and what is wrong with its YAML."""
    # SECURITY: the tree is built here, since PyYAML's own builder recurses in C and ends the process 10,000 levels down
    events = yaml.parse(head, Loader=_LOADER)
    try:
        root = _root(events)
    except yaml.YAMLError as raised:
        return {}, [_told(raised)]
    except _TooDeep as deep:
        return {}, [error(f"its YAML is nested deeper than {_MAX_DEPTH} levels", deep.line)]
    if not isinstance(root, list):
        return {}, [error("its front matter is no list of `key: value` lines", 2)]
    found: dict[str, Field] = {}
    wrong: list[Finding] = []
    for name, value, line in root:
        if not name:
            wrong.append(error("a key of the front matter is no text", line))
        elif name in found:
            wrong.append(error(f"`{name}` stands there twice, first on line {found[name].line}", line))
        else:
            found[name] = Field(value=value, line=line)
    return found, wrong


class _TooDeep(Exception):  # an answer of the two functions below
    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


def _root(events: Iterator[Any]) -> list[tuple[str, Value, int]] | None:
    """Return the entries of the map that the document is, with the lines of their keys; None if it is no map."""
    for event in events:
        if isinstance(event, yaml.MappingStartEvent):
            found = list(_entries(events, 1))
            for after in events:
                if isinstance(after, yaml.DocumentStartEvent):  # what stands there may be what restricts the skill
                    raise _wrong_at(after, "a second document begins")
            return found
        if isinstance(event, yaml.NodeEvent):
            return None
    return None


def _entries(events: Iterator[Any], depth: int) -> Iterator[tuple[str, Value, int]]:
    for key in events:
        if isinstance(key, yaml.MappingEndEvent):
            return
        name = _value(key, events, depth)
        yield name if isinstance(name, str) else "", _value(next(events), events, depth), _line(key)


def _value(event: Any, events: Iterator[Any], depth: int) -> Value:
    """Return what begins with this event; an alias is no value, since the format needs none."""
    if isinstance(event, yaml.ScalarEvent):
        return str(event.value)
    if isinstance(event, yaml.AliasEvent):
        raise _wrong_at(event, "aliases are not read; write the value out")
    if depth == _MAX_DEPTH:
        raise _TooDeep(_line(event))
    if isinstance(event, yaml.MappingStartEvent):
        return {name: value for name, value, _ in _entries(events, depth + 1)}
    found: list[Value] = []
    for item in events:
        if isinstance(item, yaml.SequenceEndEvent):
            break
        found.append(_value(item, events, depth + 1))
    return found


def _wrong_at(event: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 2  # marks count from 0, and the head begins on line 2


def _told(raised: yaml.YAMLError) -> Finding:
    mark = getattr(raised, "problem_mark", None)
    problem = getattr(raised, "problem", None) or " ".join(str(raised).split())[:200]
    if _COLON in problem:
        problem += "; put a text with a colon in it in quotes"
    return error(f"its YAML cannot be read: {problem}", 2 if mark is None else mark.line + 2)
