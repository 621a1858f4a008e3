"""What every database can hold is let in, the rest is refused by name; results are mended, never lost."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.errors import InvalidRequest
from callboard.values import INT64_MAX, INT64_MIN, MAX_DEPTH, check_value, storable

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
        (_nested(MAX_DEPTH + 1), "nested deeper than 64"),
        ({1: 2}, "a key that is not a string"),
        (b"bytes", "a bytes"),
    ],
)
def test_what_no_database_holds_is_refused_by_place_and_reason(value: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        check_value(value)


def test_the_deepest_allowed_nesting_is_let_in() -> None:
    check_value(_nested(MAX_DEPTH))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates() | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=15,
)


@given(anything)
def test_any_result_becomes_plain_json_that_passes_the_door(value: Any) -> None:
    mended = storable(value)
    check_value(mended)
    json.dumps(mended, allow_nan=False).encode("utf-8")


def test_a_result_nested_too_deep_is_kept_as_text() -> None:
    mended = storable(_nested(200))
    check_value(mended)
    assert storable({"at": datetime(2026, 11, 23, tzinfo=UTC)}) == {"at": "2026-11-23T00:00:00Z"}


def test_a_result_that_python_itself_cannot_write_is_kept_in_some_form() -> None:
    assert storable(10**5000) == hex(10**5000)
    assert storable(_nested(5000)) is not None
    check_value(storable(_nested(5000)))


@pytest.mark.parametrize(
    ("members", "stored"),
    [({"d", "a", "c"}, ["a", "c", "d"]), ({10, 9, 2.5}, [2.5, 9, 10]), ({"a", 1, None}, [None, 1, "a"])],
)
def test_a_set_becomes_a_sorted_list(members: set[Any], stored: list[Any]) -> None:
    assert storable(members) == storable(frozenset(members)) == stored
