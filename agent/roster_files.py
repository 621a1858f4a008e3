"""Reading one file that defines an agent: YAML, checked against one model, faults told with their line.

Pure but for reading files; any thread; imported by `roster` and by the validation of agents.
"""

import os
import re
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from callboard.agent.findings import Finding, error, note
from callboard.budget import Budget
from callboard.values import decoded

SUFFIXES = (".yaml", ".yml")
MAX_BYTES = 100_000
MAX_SKILLS = 500
_MAX_BELOW = 200
_NAME = r"[a-z0-9]+(-[a-z0-9]+)*"

Lines = dict[tuple[str, ...], int]

Text = Annotated[str, StringConstraints(strict=True, strip_whitespace=True)]
Name = Annotated[Text, StringConstraints(min_length=1, max_length=64, pattern=rf"^{_NAME}$")]


class AgentFile(BaseModel):
    """The keys of an agent's file, in camelCase as on the wire."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    name: Name
    description: Annotated[Text, StringConstraints(min_length=1, max_length=1024)]
    system_prompt: Annotated[Text, StringConstraints(min_length=1, max_length=50_000)]
    skills: Annotated[tuple[Name, ...], Field(max_length=MAX_SKILLS)] | None = None
    model: Annotated[Text, StringConstraints(min_length=1, max_length=200)] | None = None
    budget: Budget | None = None
    max_rounds: Annotated[int, Field(strict=True, ge=1, le=100)] | None = None


class BrokenFile(Exception):
    """A file that defines no agent; `problem` says why and what to do, `where` is empty or like ` at line 3`."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.where = f" at line {line}" if line else ""


def read_agent(path: Traversable, stem: str) -> AgentFile:
    """Return what the file says; raise `BrokenFile` with the line and the next step."""
    value, lines = _parsed(_text(path))
    if not isinstance(value, dict):
        raise BrokenFile(f"the file must be a mapping with the keys {_keys()}.")
    try:
        found = AgentFile.model_validate(value)
    except ValidationError as error:
        raise _broken_field(error, lines) from error
    if found.name != stem:
        raise BrokenFile(
            f"the name is {found.name!r} and the file's is {stem!r}; make them the same.", lines.get(("name",))
        )
    return found


def lines_of(path: Path) -> Lines:
    """Return where the keys of a file stand that can be read."""
    return _parsed(_text(path))[1]


def beside_agents(path: Path) -> Iterator[tuple[Path, Finding]]:
    """Tell of something in the folder of agents that defines none: an error where somebody may take it for one."""
    if path.name.startswith("."):
        return
    if path.is_dir():
        below = [Path(folder) / name for folder, _, names in islice(os.walk(path), _MAX_BELOW) for name in names]
        for one in sorted(below[:_MAX_BELOW]):
            if one.suffix.lower() in SUFFIXES and _holds(one, r"^systemPrompt\s*:"):
                yield (
                    one,
                    error(f"it lies in a folder below, and agents are read right in {path.parent} only; move it there"),
                )
    elif path.suffix.lower() in SUFFIXES:
        yield path, note("its name begins with _, so it is not loaded")
    elif path.suffix == ".json" and _holds(path, r'"systemPrompt"\s*:'):
        yield path, error(f"it does not end in .yaml; JSON is YAML too, so call it {path.stem}.yaml")
    elif path.suffix == ".md" and _holds(path, r"\A---\s*\n(?:.*\n)*?description\s*:"):
        yield path, error(f"agents are YAML files; put its text under systemPrompt in {path.stem}.yaml")
    else:
        yield path, note("it is no YAML file, and not read")


def _holds(path: Path, pattern: str) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return re.search(pattern, file.read(MAX_BYTES).decode("utf-8", "replace"), re.MULTILINE) is not None
    except OSError:
        return False


def _text(path: Traversable) -> str:
    if isinstance(path, Path) and path.exists() and not (path.is_file() or path.is_dir()):  # a pipe: reading it waits
        raise BrokenFile("it is no file; remove it and restart.")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as raised:
        raise BrokenFile(f"it cannot be read ({raised.strerror}); mend that and restart.") from raised
    if len(data) > MAX_BYTES:
        raise BrokenFile(f"it is larger than {MAX_BYTES} bytes; keep long material in a skill or a file of the task.")
    try:
        return decoded(data)
    except UnicodeDecodeError as error:
        raise BrokenFile("it is not UTF-8; save it as that.", data.count(b"\n", 0, error.start) + 1) from error


def _parsed(text: str) -> tuple[Any, Lines]:
    """Return the value of the YAML, and where its keys stand."""
    try:
        # SECURITY: safe, so that no tag makes objects; and not the loader in C, which deep nesting crashes
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        return (None, {}) if node is None else (loader.construct_document(node), _lines(node))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        raise BrokenFile(f"this is not YAML ({what}); mend it and restart.", mark.line + 1 if mark else None) from error
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        if "digits" in what:  # Python names a function that nobody here can call
            what = "a number of more than 4,300 digits, which is a text in quotes"
        raise BrokenFile(f"this is not YAML ({what}); mend it and restart.") from error


def _lines(node: yaml.Node) -> Lines:
    """Return where the keys of the file and of its `budget` stand; raise `BrokenFile` for one that is there twice."""
    found: Lines = {}
    if not isinstance(node, yaml.MappingNode):
        return found
    waiting: list[tuple[tuple[str, ...], yaml.MappingNode]] = [((), node)]
    while waiting:
        outer, mapping = waiting.pop()
        for key, value in mapping.value:
            path, line = (*outer, str(key.value)), key.start_mark.line + 1
            if path in found:
                raise BrokenFile(f"the key {'.'.join(path)[:80]!r} is there twice; keep one.", line)
            found[path] = line
            if path == ("budget",) and isinstance(value, yaml.MappingNode):
                waiting.append((path, value))
    return found


def _broken_field(error: ValidationError, lines: Lines) -> BrokenFile:
    faults = error.errors(include_url=False, include_context=False)
    # a misspelt key first: it is why another one is missing
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    path = tuple(map(str, first["loc"]))
    line = next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), None)
    where = ".".join(path)[:80]
    match first["type"]:
        case "missing":
            return BrokenFile(
                f"the key {where!r} is missing; every agent has a name, a description and a systemPrompt."
            )
        case "extra_forbidden":
            known = _keys() if len(path) == 1 else ", ".join(_aliases(Budget))
            return BrokenFile(f"the key {where!r} is not known; there are {known}.", line)
        case "string_pattern_mismatch":
            return BrokenFile(f"{where} must be a-z, 0-9 and single hyphens, at most 64 characters.", line)
        case "tuple_type":
            return BrokenFile(f"{where} must be a list, such as [calculate, weekday].", line)
        case "string_type":
            return BrokenFile(f"{where} must be a text; put it in quotes.", line)
        case _:
            return BrokenFile(f"{where}: {re.sub('^Input', 'it', first['msg'])}.", line)


def _aliases(model: type[BaseModel]) -> list[str]:
    return [str(field.alias) for field in model.model_fields.values()]


def _keys() -> str:
    return ", ".join(_aliases(AgentFile))
