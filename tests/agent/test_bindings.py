"""Which names of a script a session keeps."""

import pytest

from callboard.agent.bindings import bound_names, mentions


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("x = 1", {"x"}),
        ("a, (b, *c) = 1, (2, 3)", {"a", "b", "c"}),
        ("x: int = 1\ny += 1", {"x", "y"}),
        ("def f(a):\n    inner = 1\n    return inner", {"f"}),
        ("class C:\n    attribute = 1", {"C"}),
        ("for i in range(3):\n    last = i", {"i", "last"}),
        ("if (n := 3) > 2:\n    big = True", {"n", "big"}),
        ("with a as b: pass", {"b"}),
        ("try:\n    x = 1\nexcept ValueError as e:\n    y = 2", {"x", "y"}),
        ("import json, os.path as p", {"json", "p"}),
        ("from skills import calculate\nimport skills", set()),
        ("[i for i in range(3)]\nsorted([], key=lambda q: q)", set()),
        ("x.attribute = 1\nx[0] = 2", set()),
        ("not python at all", set()),
    ],
)
def test_names_bound_at_the_top_level_are_found(code: str, names: set[str]) -> None:
    assert bound_names(code) == names


@pytest.mark.parametrize(
    ("code", "reached"),
    [
        ("calculate('2 * 3')", False),
        ("price + 1", True),
        ("del price", True),
        ("prices.append(1)", False),
        ("ｐrice + 1", True),  # the same name to Python
        ("f'{price}'", True),
        ("globals()['pri' + 'ce'] = 1", True),
        ("'price'", True),  # more often than need be, and never less
    ],
)
def test_code_that_reaches_a_variable_is_told_apart(code: str, reached: bool) -> None:
    assert mentions(code, frozenset({"price"})) is reached
