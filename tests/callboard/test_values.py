"""What every database can hold is let in, the rest is refused by name; results are mended, never lost."""

import dataclasses
import enum
import io
import json
import math
import re
from datetime import UTC, datetime
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.errors import InvalidRequest
from callboard.limits import VALUE_DEPTH
from callboard.unstorable import Unstorable
from callboard.values import INT64_MAX, INT64_MIN, check_value, recordable, storable


@dataclasses.dataclass
class Point:
    x: int
    more: list[Any]


class Wind(str, enum.Enum):  # noqa: UP042  # as people write it
    NORTH = "n"


class NumPyNumber:
    """What NumPy's numbers have; it is no dependency."""

    dtype = SimpleNamespace(kind="i")
    ndim = 0

    def __init__(self, number: int) -> None:
        self._number = number

    def item(self) -> int:
        return self._number


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(INT64_MIN, INT64_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), inner, max_size=4
        )
    ),
    max_leaves=20,
)


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@given(plain)
def test_plain_json_is_let_in_and_kept_as_it_is(value: Any) -> None:
    check_value(value)
    assert storable(value) == value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": "x\x00y"}, r"body\.a holds the NUL character at character 1"),
        ({"a": ["\ud800"]}, r"body\.a\[0\] holds half of a surrogate pair"),
        ({"bad\x00key": 1}, "a key of body"),
        (2**63, "beyond 64 bits"),
        (-(2**63) - 1, "beyond 64 bits"),
        (math.nan, "not a JSON number"),
        ([math.inf], r"body\[0\] is inf"),
        (_nested(VALUE_DEPTH + 1), "nested deeper than 64"),
        ({1: 2}, "a key that is not a string"),
        (b"bytes", "a bytes"),
    ],
)
def test_what_no_database_holds_is_refused_by_place_and_reason(value: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        check_value(value)


def test_the_deepest_allowed_nesting_is_let_in() -> None:
    check_value(_nested(VALUE_DEPTH))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.decimals()
    | st.text(st.characters(exclude_categories=["Cs"])).map(str.encode),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=15,
)  # fmt: skip


@given(anything)
def test_any_result_becomes_plain_json_that_passes_the_door(value: Any) -> None:
    mended = storable(value)
    check_value(mended)
    json.dumps(mended, allow_nan=False).encode("utf-8")


def test_what_has_a_json_form_is_kept_in_it() -> None:
    assert storable(_nested(VALUE_DEPTH)) == _nested(VALUE_DEPTH)
    assert storable({"at": datetime(2026, 11, 23, tzinfo=UTC)}) == {"at": "2026-11-23T00:00:00Z"}
    assert storable(10**5000) == hex(10**5000)
    assert storable([Point(1, [2]), Wind.NORTH, {Wind.NORTH: 1}, PurePosixPath("a/b"), NumPyNumber(3)]) == [
        {"x": 1, "more": [2]},
        "n",
        {"n": 1},
        "a/b",
        3,
    ]
    assert storable([math.nan, {("a", 1): 2}]) == ["nan", {"('a', 1)": 2}]
    assert type(storable(Wind.NORTH)) is str


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "an object of the class object, which has no JSON form: give a dict"),
        ([1, {"a": object()}], "an object of the class object at [1].a, which"),
        (Point(1, [object()]), "an object of the class object"),
        ((n for n in [1]), "a generator, which has no JSON form: make a list of it: list(…)"),
        (iter([1]), "a list_iterator"),
        (range(3), "a range, which has no JSON form: make a list of it"),
        ({"a": {}.keys()}, "a dict_keys at a"),
        (print, "the function print, which has no JSON form: give what it returns"),
        (math, "the module math"),
        (Point, "the class Point"),
        (ValueError("x"), "the exception ValueError, which has no JSON form: raise it"),
        (io.StringIO("x"), "an open file (_io.StringIO), which has no JSON form: give what is in it"),
        (b"\xff", "bytes that are no UTF-8 text, which has no JSON form: give base64"),
        ({object(): 1}, "an object of the class object"),
        (_nested(5000), "more than 64 levels"),
        (CYCLE, "more than 64 levels, or a value inside itself"),
        (..., "an object of the class ellipsis"),
    ],
)
def test_what_is_no_data_is_refused_by_type_place_and_next_step_and_never_shown(value: Any, words: str) -> None:
    with pytest.raises(Unstorable, match=re.escape(words)) as caught:
        storable(value)
    assert " at 0x" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_coroutine_that_was_not_awaited_is_refused() -> None:
    async def answer() -> int:
        return 1

    waiting = answer()
    with pytest.raises(Unstorable, match="a coroutine that was not awaited, which has no JSON form: await it"):
        storable(waiting)
    waiting.close()


def test_what_is_only_shown_or_compared_is_never_refused_and_tells_bytes_apart() -> None:
    shown = recordable([object(), b"\xff", b"\xfe", CYCLE, {"a": print}])
    check_value(shown)
    assert shown[:3] == ["<an object of the class object>", "\\xff", "\\xfe"]
    assert shown[4] == {"a": "<the function print>"}


@pytest.mark.parametrize("value", [math.nan, [math.inf], {"a": -math.inf}])
def test_numbers_that_are_not_finite_are_refused_where_that_is_asked_for(value: Any) -> None:
    with pytest.raises(Unstorable, match="not finite"):
        storable(value, finite=True)


@pytest.mark.parametrize(
    ("members", "stored"),
    [({"d", "a", "c"}, ["a", "c", "d"]), ({10, 9, 2.5}, [2.5, 9, 10]), ({"a", 1, None}, [None, 1, "a"])],
)
def test_a_set_becomes_a_sorted_list(members: set[Any], stored: list[Any]) -> None:
    assert storable(members) == storable(frozenset(members)) == stored
