"""How much work a schema makes of a value: schemas that refer to each other can have one value looked at a million times.

`jsonschema_rs` looks at a value once for each branch of `anyOf` and the like, through references too, and at what is inside
of it once for each of those again; it cannot be stopped. So the work is bounded before it is begun.
Pure functions; any thread. Imported by arguments.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from callboard.agent.mcp.schema_types import Schema, pointed_at

MOST_LOOKS = 50_000
"""How often the values of one answer may be looked at. PERF: 5 to 20 µs each where none of the branches fits."""

_MOST_DEEP = 100
_LISTS = ("allOf", "anyOf", "oneOf")
_ONES = ("not", "if", "then", "else")
_NAMED = ("dependentSchemas", "dependencies")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def widest(schema: Schema) -> int:
    """Return how often one value is looked at, where that is most; `MOST_LOOKS` + 1 where it cannot be told."""
    known: dict[int, int] = {}
    most, waiting = 1, [schema]
    while waiting:
        value: Any = waiting.pop()
        if isinstance(value, Mapping):
            if value is not schema and "$id" in value:  # from there on, references lead elsewhere
                return MOST_LOOKS + 1
            most = max(most, _width(value, schema, known, 0))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return most


def is_too_much(width: int, value: Any) -> bool:
    """Say whether a value would be looked at too often: once for each way to it."""
    looks, times, level = 0, 1, [value]
    while level and width > 1:
        times = min(times * width, MOST_LOOKS + 1)
        looks += times * len(level)
        if looks > MOST_LOOKS:
            return True
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, Mapping) else one if isinstance(one, list) else ())
        ]
    return False


def _width(schema: Any, root: Schema, known: dict[int, int], deep: int) -> int:
    if not isinstance(schema, Mapping):
        return 1
    if deep > _MOST_DEEP:
        return MOST_LOOKS + 1
    if id(schema) not in known:
        known[id(schema)] = 0  # while it is looked at: a circle of references adds nothing
        found = sum(_width(branch, root, known, deep + 1) for branch in _branches(schema))
        for target in (pointed_at(schema[key], root) for key in _REFERENCES if key in schema):
            # what an anchor leads to is not looked for: it is taken for too much
            found += MOST_LOOKS + 1 if target is None else _width(target, root, known, deep + 1)
        known[id(schema)] = min(max(found, 1), MOST_LOOKS + 1)
    return known[id(schema)]


def _branches(schema: Schema) -> Iterator[Any]:
    """Yield the schemas that look at the same value as this one, but for those it refers to."""
    for key in _LISTS:
        if isinstance(branches := schema.get(key), list):
            yield from branches
    yield from (schema[key] for key in _ONES if key in schema)
    for key in _NAMED:
        if isinstance(named := schema.get(key), Mapping):
            yield from named.values()
