"""A server's schema is a check of values only where that is soon done."""

import time
from typing import Any

import pytest

from callboard.agent.mcp.arguments import Check
from callboard.agent.mcp.schema_width import MOST_LOOKS, widest
from callboard.agent.mcp.stub import parameters

TOO_MUCH = MOST_LOOKS + 1


def chain(steps: int, branches: int) -> dict[str, Any]:
    """Return a schema that looks at one value `branches ** steps` times, in a few lines for each step."""
    below = {f"b{n}": {"anyOf": [{"$ref": f"#/$defs/b{n + 1}"}] * branches} for n in range(steps)}
    return {"$ref": "#/$defs/b0", "$defs": {**below, f"b{steps}": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "width"),
    [
        ({"type": "object", "properties": {"a": {"type": "string"}}}, 1),
        ({"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}, 2),
        ({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"oneOf": [{}, {}, {}]}}}, 3),
        ({"$ref": "#"}, 1),
        (chain(3, 10), 1000),
        (chain(9, 10), TOO_MUCH),
        ({"$ref": "#an-anchor"}, TOO_MUCH),
        ({"properties": {"a": {"$id": "elsewhere", "$ref": "#/$defs/b"}}}, TOO_MUCH),
    ],
)
def test_a_schema_is_as_wide_as_one_value_is_looked_at_often(schema: dict[str, Any], width: int) -> None:
    assert widest(schema) == width


def test_what_would_be_looked_at_too_often_is_left_to_the_server() -> None:
    circle = {"anyOf": [{"type": "array", "minItems": 1, "items": {"$ref": "#"}}] * 10}
    check, begun = Check(circle), time.thread_time()
    assert check.mismatch([[[]]]) is not None
    assert check.mismatch([[[[[[[[[[]]]]]]]]]]) is None
    assert Check(chain(9, 10)).mismatch(1) is None
    assert time.thread_time() - begun < 2


def test_a_wide_schema_of_few_values_and_a_narrow_one_of_many_are_both_checked() -> None:
    assert Check({"items": {"type": "integer"}}).mismatch([*range(100_000), "x"]) is not None
    optional = {"items": {"properties": {"a": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}}}
    assert Check(optional).mismatch([{"a": 1}] * 1000 + [{"a": "x"}]) is not None


def test_parameters_of_schemas_that_refer_to_each_other_are_read_once_each() -> None:
    begun = time.thread_time()
    union = {"allOf": [{"$ref": "#"}] * 1000, "properties": {"a": {"$ref": "#/$defs/b"}}}
    assert [p.name for p in parameters({**union, "$defs": {"b": {"anyOf": [{"$ref": "#/$defs/b"}] * 40}}})] == ["a"]
    assert time.thread_time() - begun < 1
