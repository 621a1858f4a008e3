"""JSON schemas as Python types: what the type checker and a model read of a tool's arguments and its answer.

A type may say less than its schema does (the schema itself is checked at each call), never more.
SECURITY: a schema is a server's text. Nothing of it reaches the stub but the values of an `enum`, as literals.
Pure functions; any thread. Imported by the stubs.
"""

from collections.abc import Iterator, Mapping
from typing import Any

MAX_DEPTH = 5
"""How deep lists and objects in each other are told apart; what is deeper is `Any`."""

MAX_CHOICES = 40
MAX_LITERAL_CHARS = 80
MAX_REFERENCES = 16
MAX_LOOKED_AT = 2_000
"""How many schemas one type is read from: a few that refer to each other can stand for more than there is time for."""

_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}

_VALUES = ("default", "const", "enum", "examples")
"""Keywords that hold values, for which null is one."""

_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Keywords that hold schemas by names of their own."""

Schema = Mapping[str, Any]


def python_type(schema: Any, root: Schema) -> str:
    """Return the type of a schema's values; `root` is the document that `#/…` leads into."""
    return _type(schema, root, 0, iter(range(MAX_LOOKED_AT)))


def _type(schema: Any, root: Schema, depth: int, left: Iterator[int]) -> str:
    """Return the type of a schema's values; each schema that is looked at takes one of what is `left`."""
    members = list(dict.fromkeys(_members(schema, root, depth, left)))
    if not members or "Any" in members:
        return "Any"
    members.sort(key=lambda each: each == "None")  # `str | None` reads better than `None | str`
    return " | ".join(members)


def resolved(schema: Any, root: Schema) -> Any:
    """Follow `$ref` within the document; return None where it leads elsewhere, or in a circle."""
    for _ in range(MAX_REFERENCES):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            return schema
        schema = pointed_at(schema["$ref"], root)
    return None


def pointed_at(reference: Any, root: Schema) -> Any:
    if reference == "#":
        return root
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: Any = root
    for part in reference[2:].split("/"):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part.replace("~1", "/").replace("~0", "~"))
    return found


def _members(schema: Any, root: Schema, depth: int, left: Iterator[int]) -> list[str]:
    """Return the members of the union that the schema's values belong to."""
    schema = resolved(schema, root)
    if depth > MAX_DEPTH or not isinstance(schema, Mapping) or next(left, None) is None:
        return ["Any"]
    if "enum" in schema or "const" in schema:
        literal = _literal(schema["enum"] if "enum" in schema else [schema["const"]])
        return [literal] if literal else _by_type(schema, root, depth, left)
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            branches = schema[key]
            if len(branches) > MAX_CHOICES:
                return ["Any"]
            return [member for branch in branches for member in _members(branch, root, depth + 1, left)]
    parts = schema.get("allOf")
    if "type" not in schema and isinstance(parts, list) and len(parts) == 1:
        return _members(parts[0], root, depth + 1, left)
    return _by_type(schema, root, depth, left)


def _by_type(schema: Schema, root: Schema, depth: int, left: Iterator[int]) -> list[str]:
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return [_of_kind(kind, schema, root, depth, left) for kind in kinds[: len(_PLAIN) + 2]]
    if kinds is None and isinstance(schema.get("properties"), Mapping):
        kinds = "object"
    return [_of_kind(kinds, schema, root, depth, left)]


def _of_kind(kind: Any, schema: Schema, root: Schema, depth: int, left: Iterator[int]) -> str:
    if kind == "array":
        return f"list[{_type(schema.get('items'), root, depth + 1, left)}]"
    if kind == "object":
        values = schema.get("additionalProperties")
        same = isinstance(values, Mapping) and not schema.get("properties") and "patternProperties" not in schema
        return f"dict[str, {_type(values, root, depth + 1, left) if same else 'Any'}]"
    return _PLAIN.get(kind, "Any") if isinstance(kind, str) else "Any"


def _literal(choices: Any) -> str | None:
    """Return the type of a few plain values; None where Python has no such type."""
    if not isinstance(choices, list) or not 1 <= len(choices) <= MAX_CHOICES:
        return None
    if not all(choice is None or isinstance(choice, bool | int | str) for choice in choices):
        return None
    shown = [ascii(choice) for choice in choices]
    if any(len(text) > MAX_LITERAL_CHARS for text in shown):
        return None
    return f"Literal[{', '.join(dict.fromkeys(shown))}]"


def tidied(schema: Any) -> Any:
    """Return a schema in the words of JSON Schema, where a server has others or says nothing.

    Keywords that are null are dropped, as some languages write what is not set, and so are an `enum` of nothing and a
    `required` that is no list, as the third draft had it: the server checks those. `nullable` is OpenAPI's.
    """
    if isinstance(schema, list):
        return [tidied(inner) for inner in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _VALUES:
            kept |= {} if key == "enum" and not value else {key: value}
        elif key in _NAMED and isinstance(value, Mapping):
            kept[key] = {name: {} if inner is None else tidied(inner) for name, inner in value.items()}
        elif value is not None and not (key == "required" and isinstance(value, bool)):
            kept[key] = tidied(value)
    if kept.get("nullable") is True and isinstance(kept.get("type"), str):
        kept["type"] = [kept["type"], "null"]
    return kept


def is_deeper(value: Any, most: int) -> bool:
    """Say whether objects and lists stand in each other more than `most` levels deep; looks no further than that."""
    level, deep = [value], 0
    while level and deep <= most:
        below = (list(v.values()) if isinstance(v, Mapping) else v if isinstance(v, list) else () for v in level)
        level, deep = [inner for values in below for inner in values], deep + 1
    return deep > most
