"""The judge knows when several forms mean the same, and when two that look alike do not."""

from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from tests.agent.planner.score.judge import Cell, Ordered, Several, same

DAY = date(2026, 2, 1)
SAME: list[tuple[Any, Any]] = [
    (84, 84.0), (0.1 + 0.2, 0.3), ("84 €", 84), ("12 km", 12), ([5], 5), (0.333333333333333, Fraction(1, 3)), (None, None),
    ("2026-02-01", DAY), ("Sunday, 1 February 2026", DAY), ("February 1, 2026", DAY), ("01.02.2026", Cell(DAY, "01.02.2026")),
    (["a", "b"], ["b", "a"]), (["c", "b", "a"], Ordered(["c", ("a", "b")])), ([{"name": "a", "n": 1}], ["a"]),
    ({"North": 8}, "North"), ({"a": 1, "b": 2}, {"a": 1, "b": 2}), ({"a": 1}, {"a": 1, "": 2, "c": None}), ([["a", 1]], {"a": 1}),
    ({"sum": 3, "count": 2}, Several([3, 2])), (True, True), ("Yes", True),
]  # fmt: skip
OTHER: list[tuple[Any, Any]] = [
    (1.1, "1.10"), ("1.1", "1.10"), ("2134", "02134"), (True, 1), (1, True), ("01/02/2026", DAY), (["a"], ["a", "a"]), (["a", "b"], ["a"]),
    (["a", "b"], Ordered(["b", "a"])), ({"a": 1, "d": 1}, {"a": 1}), ({"b": 2}, {"a": 1, "b": 2}), (0, None), (None, 0), ("84 apples, 3 pears", 84),
    (["a", "b"], "a"), ([{"name": "a", "n": 1}], ["b"]), ({"a": 2}, {"a": 1}), (float("nan"), 1),
]  # fmt: skip


@pytest.mark.parametrize(("got", "right"), SAME)
def test_forms_that_mean_the_same_are_right(got: Any, right: Any) -> None:
    assert same(got, right)


@pytest.mark.parametrize(("got", "right"), OTHER)
def test_what_looks_alike_is_not_the_same(got: Any, right: Any) -> None:
    assert not same(got, right)
