"""A tool's declaration in Python, made from what its server says of it.

Parameters: the required ones first, in the schema's order, by position or by name; then the optional ones, by name
only. A name that Python cannot take is changed (`naming.parameter_name`), and the docstring says what it stands for.
Where a schema lets in arguments that it does not name, `more` takes them as a dict.

SECURITY: all of it is a server's text, and a model will read it. Control, format and private characters (hidden text,
reversed text) are dropped, lengths are capped, and what comes out must parse to one function that holds a docstring
and nothing else.
Pure functions; any thread. Imported by the tools.
"""

import ast
import inspect
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from callboard.agent.mcp.naming import parameter_name
from callboard.agent.mcp.schema_types import Schema, python_type, resolved
from callboard.agent.python_trees import parse

MAX_PARAMETERS = 100
MAX_DESCRIPTION_CHARS = 1024
MAX_DOCSTRING_CHARS = 1500
MAX_PARAMETER_CHARS = 200
_KEPT = {"\n": "\n", "\t": " ", "\r": "\n", "\u2028": "\n", "\u2029": "\n"}
_DROPPED = ("Cc", "Cf", "Cs", "Co", "Cn")
_MAX_BRANCHES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter: `name` in code, `wire_name` on the way to the server, None for `more`."""

    name: str
    wire_name: str | None
    shown_type: str
    required: bool
    description: str


def clean(text: Any, most: int) -> str:
    """Return a server's text without what should not be read by anybody, cut to `most` characters."""
    if not isinstance(text, str):
        return ""
    kept = (_KEPT.get(c, "" if unicodedata.category(c) in _DROPPED else c) for c in text[: 4 * most])
    lines = [" ".join(line.split()) for line in "".join(kept).split("\n")]
    tidy = "\n".join(lines).strip()
    while "\n\n\n" in tidy:
        tidy = tidy.replace("\n\n\n", "\n\n")
    return tidy if len(tidy) <= most else tidy[: most - 1].rstrip() + "…"


def summary(description: str) -> str:
    """Return the first paragraph on one line."""
    return " ".join(description.split("\n\n")[0].split())


def parameters(schema: Schema) -> tuple[Parameter, ...]:
    """Return the parameters of a tool with this schema; raise `ValueError` if there are too many."""
    properties, required = _properties(schema)
    if len(properties) > MAX_PARAMETERS:
        raise ValueError(f"it has {len(properties)} arguments, and {MAX_PARAMETERS} is the limit")
    taken: set[str] = set()
    found = []
    for wire_name, inner in properties.items():
        name = parameter_name(wire_name, taken)
        taken.add(name)
        described = resolved(inner, schema)
        text = inner.get("description") if isinstance(inner, Mapping) else None
        if text is None and isinstance(described, Mapping):
            text = described.get("description")
        found.append(
            Parameter(
                name=name,
                wire_name=wire_name,
                shown_type=python_type(inner, schema),
                required=wire_name in required,
                description=" ".join(clean(text, MAX_PARAMETER_CHARS).split()),
            )
        )
    if _lets_in_more(schema, properties):
        rest = Parameter(
            name=parameter_name("more", taken),
            wire_name=None,
            shown_type="dict[str, Any]",
            required=False,
            description="Further arguments by their own names.",
        )
        found.append(rest)
    return tuple(sorted(found, key=lambda parameter: not parameter.required))


def _properties(schema: Schema) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the named arguments, those of the branches of a union too, and which of them every call needs."""
    properties: dict[str, Any] = {}
    required: set[str] = set()
    for part, certain in _parts(schema, schema, set(), certain=True, depth=0):
        named = part.get("properties")
        if isinstance(named, Mapping):
            for name, inner in named.items():
                properties.setdefault(name, inner)
        names = part.get("required")
        if certain and isinstance(names, list):
            required |= {name for name in names if isinstance(name, str)}
    for name in sorted(required):  # a server may ask for what it does not describe
        properties.setdefault(name, {})
    return properties, frozenset(required)


def _parts(
    schema: Any, root: Schema, seen: set[tuple[int, bool]], *, certain: bool, depth: int
) -> Iterator[tuple[Schema, bool]]:
    """Yield the schema and those it is put together from, each once; `certain` says that all values fulfil it."""
    schema = resolved(schema, root)
    if not isinstance(schema, Mapping) or depth > 3 or (id(schema), certain) in seen:
        return
    seen.add((id(schema), certain))
    yield schema, certain
    for key in ("allOf", "anyOf", "oneOf"):
        branches = schema.get(key)
        for branch in branches[:_MAX_BRANCHES] if isinstance(branches, list) else ():
            yield from _parts(branch, root, seen, certain=certain and key == "allOf", depth=depth + 1)


def _lets_in_more(schema: Schema, properties: Mapping[str, Any]) -> bool:
    more = schema.get("additionalProperties")
    if more is True or isinstance(more, Mapping) or schema.get("patternProperties"):
        return True
    return more is None and not properties and "properties" not in schema


def signature(declared: tuple[Parameter, ...]) -> inspect.Signature:
    """Return the signature that binds a call's arguments."""
    kinds = {True: inspect.Parameter.POSITIONAL_OR_KEYWORD, False: inspect.Parameter.KEYWORD_ONLY}
    return inspect.Signature(
        [
            inspect.Parameter(p.name, kinds[p.required], default=inspect.Parameter.empty if p.required else None)
            for p in declared
        ]
    )


def stub(python_name: str, description: str, declared: tuple[Parameter, ...], answer_type: str) -> str:
    """Return the declaration; raise `ValueError` if it would not be exactly one function with a docstring."""
    shown = [f"{p.name}: {p.shown_type}" for p in declared if p.required]
    optional = [f"{p.name}: {p.shown_type} = ..." for p in declared if not p.required]
    if optional:
        shown += ["*", *optional]
    text = f"def {python_name}({', '.join(shown)}) -> {answer_type}:\n    {_docstring(description, declared)}\n    ..."
    _check(text, python_name)
    return text


def _docstring(description: str, declared: tuple[Parameter, ...]) -> str:
    lines = [description or "Call a tool that its server says nothing of."]
    told = []
    for p in declared:
        sent_as = f" (sent as {_quoted(p.wire_name)})" if p.wire_name not in (p.name, None) else ""
        if p.description or sent_as:
            told.append(f"{p.name}{sent_as}: {p.description or 'not described'}")
    if told:
        lines += ["", *told]
    text = "\n".join(lines)
    # every backslash and double quote is escaped, so that nothing in it can end the docstring or escape its end
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    inner = "\n".join(f"    {line}" if line else "" for line in inner.split("\n")).lstrip()
    return f'"""{inner}\n    """' if "\n" in text else f'"""{inner}"""'


def _quoted(name: str | None) -> str:
    return repr(clean(name or "", MAX_PARAMETER_CHARS))


def _check(text: str, python_name: str) -> None:
    """Hold the stub to its shape, whatever the code above missed."""
    try:
        body = parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"its declaration cannot be written in Python ({type(error).__name__})") from error
    match body:
        case [
            ast.FunctionDef(
                name=name,
                decorator_list=[],
                body=[ast.Expr(ast.Constant(value=str())), ast.Expr(ast.Constant(value=e))],
            )
        ] if name == python_name and e is ...:
            return
    raise ValueError("its declaration would not be one function")
