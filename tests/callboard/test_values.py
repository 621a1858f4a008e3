"""What every database can hold is let in, the rest is refused by name; results are mended, never lost."""

import dataclasses
import decimal
import enum
import io
import json
import math
import re
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from callboard.errors import InvalidRequest
from callboard.excerpts import excerpt
from callboard.limits import VALUE_DEPTH, cut
from callboard.unstorable import Unstorable
from callboard.values import INT64_MAX, INT64_MIN, check_value, recordable, storable


@dataclasses.dataclass
class Point:
    x: int
    more: list[Any]


@dataclasses.dataclass(frozen=True)
class Key:
    x: int


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
    assert storable([Point(1, [2]), Wind.NORTH, {Wind.NORTH: 1}, PurePosixPath("a/b"), NumPyNumber(3)]) == [
        {"x": 1, "more": [2]},
        "n",
        {"n": 1},
        "a/b",
        3,
    ]
    assert storable([math.nan, {("a", 1): 2}]) == ["nan", {"('a', 1)": 2}]
    assert type(storable(Wind.NORTH)) is str


@pytest.mark.parametrize(
    "number", [2**63, -(2**63) - 1, 10**600 + 7, 10**4300, -(10**5000) - 1, 7 * 10**99_990 + 3], ids=int.bit_length
)
def test_a_long_integer_is_a_text_with_all_its_digits_as_a_key_too(number: int) -> None:
    digits = storable(number)
    assert type(digits) is str
    assert digits.startswith("-") is (number < 0)
    value = 0
    for part in re.findall(r"\d{1,1000}", digits):
        value = value * 10 ** len(part) + int(part)
    assert value == abs(number)
    assert storable({number: 1}) == {digits: 1}
    assert storable({(number,): 1}) == {f"({digits!r},)": 1}
    assert excerpt({number: 1}).keys() == {cut(digits, 200)}
    assert storable([Fraction(number, 3), Fraction(1, 3), Fraction(3)])[1:] == ["1/3", "3"]


class Text(str):
    """A text whose every method lies or fails."""

    def _fails(self, *_: Any) -> Any:
        raise RuntimeError("not so")

    __str__ = __repr__ = __format__ = __iter__ = __getitem__ = isascii = replace = strip = startswith = _fails
    encode = _fails  # type: ignore[assignment]

    def __len__(self) -> int:
        return 1

    def __eq__(self, _other: object) -> bool:
        raise RuntimeError("not so")

    def __hash__(self) -> int:
        return 1


class Number(int):
    def _fails(self, *_: Any) -> Any:
        raise RuntimeError("not so")

    __str__ = __repr__ = __int__ = __index__ = __le__ = __ge__ = __lt__ = __gt__ = bit_length = _fails


class Items(list[Any]):
    def __iter__(self) -> Any:
        raise RuntimeError("not so")


class Table(dict[Any, Any]):
    def items(self) -> Any:
        raise SystemError("not so")


class Liar:
    """What says that it is of another class."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return self._kind


class Secret:
    def __getattr__(self, name: str) -> Any:
        raise ZeroDivisionError(name)


class Unwritten(decimal.Decimal):
    def __str__(self) -> str:
        raise RuntimeError("not so")


def test_texts_and_numbers_of_a_class_of_their_own_are_read_past_its_methods() -> None:
    assert storable([Text("a\ud800"), Number(7), Number(2**70)]) == ["a\ufffd", 7, str(2**70)]
    assert storable({Text("key"): Text("")}) == {"key": ""}
    assert {type(one) for one in storable([Text("a"), Text("b")])} == {str}


HOSTILE: dict[str, Callable[[], Any]] = {
    "items": lambda: Items([1]),
    "table": lambda: Table(a=1),
    "secret": Secret,
    "unwritten": lambda: Unwritten(1),
    **{f"no {kind.__name__}": partial(Liar, kind) for kind in (str, int, float, bool, bytes, list, dict, set)},
}


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # pydantic's, of what fails in a `__str__`
@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("wrapped", [lambda v: v, lambda v: [{"a": v}], lambda v: Point(1, [v])])
def test_whatever_a_values_own_code_does_it_is_refused(kind: str, wrapped: Callable[[Any], Any]) -> None:
    value = wrapped(HOSTILE[kind]())
    with pytest.raises(Unstorable, match="an object of the class") as caught:
        storable(value)
    assert "not so" not in str(caught.value)
    check_value(recordable(value))


def test_names_and_places_in_a_refusal_can_be_stored() -> None:
    odd = type("Odd", (), {"__module__": Text("m\ud800")})()
    with pytest.raises(Unstorable) as caught:
        storable({"a\udfff": [odd]})
    assert "an object of the class m\\ud800.Odd" in str(caught.value)
    check_value(str(caught.value))


@pytest.mark.parametrize(
    "value", [{1: 1, "1": 2}, [{"a": {None: 1, "None": 2}}], {b"a": 1, "a": 2}, dict.fromkeys(("\ud800", "\ud801"))]
)
def test_keys_that_would_become_one_are_refused_and_shown_apart(value: Any) -> None:
    with pytest.raises(Unstorable, match=r"two keys that are the same text.*give keys that differ as texts"):
        storable(value)
    assert str(recordable(value)).count(":") == str(value).count(":")
    assert str(excerpt(value)).count(":") == str(value).count(":")


class Report(BaseModel):
    text: str = ""
    more: Any = None


def test_what_pydantic_cannot_write_of_a_model_is_mended_and_has_its_digits() -> None:
    more = {"\ud800": Report(text="b\x00"), 10**5000: Fraction(1, 3)}
    mended = {"\ufffd": {"text": "b\ufffd", "more": None}, f"1{'0' * 5000}": "1/3"}
    assert storable(Report(text="a\udfff", more=more)) == {"text": "a\ufffd", "more": mended}
    assert storable(deque([Fraction(10**5000, 3)])) == [f"1{'0' * 5000}/3"]


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
        (
            {Key(1): 1},
            "a key that is an object of the class tests.callboard.test_values.Key, which has no JSON form: give texts as keys",
        ),
        ([10**100_100], "an integer of more than 100,000 digits at [0], which has no JSON form: give it as hex"),
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
