"""What a skill may return: what its signature says, in Python or in its JSON form; anything else is an error that says so."""

import asyncio
import dataclasses
import enum
import io
import itertools
import math
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict

import pytest
from pydantic import BaseModel, ConfigDict, Field, computed_field

from callboard import SkillContext, skill
from callboard.agent.skill_answers import Answers, WrongAnswer
from callboard.agent.skill_loader import SkillLoader
from callboard.values import recordable

CTX = SkillContext(task_id="t1", session_id="s1", effect_id="t1:1")


@dataclasses.dataclass
class Point:
    x: int
    label: object = None


class Row(TypedDict):
    name: str
    price: NotRequired[float]


class Wind(enum.Enum):
    NORTH = "n"


class Weather(BaseModel):
    model_config = ConfigDict(extra="forbid")
    at: date
    degrees: float

    @computed_field  # type: ignore[prop-decorator]  # as pydantic has it
    @property
    def warm(self) -> bool:
        return self.degrees > 20


def answer(hint: Any, value: Any) -> Any:
    return Answers("some-skill", hint).answer(value)


@pytest.mark.parametrize(
    ("hint", "value", "plain"),
    [
        (int, 5, 5),
        (int, 2**70, str(2**70)),
        (float, 1, 1),
        (int | None, None, None),
        (None, None, None),
        (list[int], (1, 2), [1, 2]),
        (list[int], {2, 1}, [1, 2]),
        (tuple[int, str], (1, "a"), [1, "a"]),
        (set[str], {"b", "a"}, ["a", "b"]),
        (Sequence[str], ("a",), ["a"]),
        (Mapping[str, int], Counter("aab"), {"a": 2, "b": 1}),
        (dict[str, int], {1: 2}, {"1": 2}),
        (dict[tuple[str, int], int], {("a", 1): 2}, {"('a', 1)": 2}),
        (Point, Point(1), {"x": 1, "label": None}),
        (Point, {"x": 1}, {"x": 1}),
        (list[Weather], [Weather(at=date(2026, 1, 2), degrees=21)], [{"at": "2026-01-02", "degrees": 21.0, "warm": True}]),
        (Weather, {"at": "2026-01-02", "degrees": 3}, {"at": "2026-01-02", "degrees": 3}),
        (Row, {"name": "a"}, {"name": "a"}),
        (Optional[list[Row]], [{"name": "a", "price": 1}], [{"name": "a", "price": 1}]),  # noqa: UP045  # as people write it
        (date, date(2026, 1, 2), "2026-01-02"),
        (date, "2026-01-02", "2026-01-02"),
        (str, date(2026, 1, 2), "2026-01-02"),
        (Decimal, Decimal("1.50"), "1.50"),
        (uuid.UUID, uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Wind, Wind.NORTH, "n"),
        (Path, Path("/a"), "/a"),
        (str, Path("/a"), "/a"),
        (str, b"text", "text"),
        (bytes, b"text", "text"),
        (Any, {"a": [Point(1), Wind.NORTH]}, {"a": [{"x": 1, "label": None}, "n"]}),
        (object, [1, None], [1, None]),
        (Annotated[int, Field(ge=1)], 1, 1),
    ],
)  # fmt: skip
def test_what_is_declared_is_answered_in_its_json_form(hint: Any, value: Any, plain: Any) -> None:
    assert answer(hint, value) == plain


@pytest.mark.parametrize(
    ("hint", "value", "words"),
    [
        (int, "x", "returned the str 'x' (Input should be a valid integer), and it is declared to return int: return that"),
        (int, 5.0, "returned the float 5.0"),
        (int, True, "returned the bool True"),
        (bool, 1, "returned the int 1"),
        (float, "1.5", "returned the str '1.5'"),
        (float, Decimal("1.5"), "returned a decimal.Decimal (Input should be a valid number)"),
        (str, 5, "returned the int 5 (Input should be a valid string), and it is declared to return str"),
        (str, None, "returned None"),
        (None, 5, "returned the int 5 (Input should be null), and it is declared to return None"),
        (list[int], [1, "a"], "returned a list with the str 'a' at [1]"),
        (list[dict[str, float]], [{"a": 1}, {"a": "b"}], "with the str 'b' at [1].a"),
        (Row, {"name": 1}, "returned a dict with the int 1 at name"),
        (list[Row], [{}], "returned a list without [0].name"),
        (Weather, {"degrees": 1}, "returned a dict without at, and it is declared to return"),
        (Wind, "s", "returned the str 's' (Input should be 'n')"),
        (int | str, [1], "returned a list, and it is declared to return int | str"),
        (Literal["a", "b"], "c", "declared to return Literal['a', 'b']"),
        (Annotated[int, Field(ge=1)], 0, "(Input should be greater than or equal to 1), and it is declared to return int"),
        pytest.param(int, "y" * 10_000_000, "returned the str 'yyy", id="a long text"),
        pytest.param(str, 10**10_000, "returned an int", id="a long integer"),
        (dict, [1], "returned a list"),
    ],
)  # fmt: skip
def test_what_is_not_declared_is_an_error_that_names_both(hint: Any, value: Any, words: str) -> None:
    with pytest.raises(WrongAnswer) as caught:
        answer(hint, value)
    message = str(caught.value)
    assert message.startswith("The skill some-skill has run, but returned ")
    assert words in message
    assert message.endswith("return that, or declare what it does return.")
    assert len(message) < 400


@pytest.mark.parametrize("hint", [Any, object, str, list[Any]])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            object(),
            "returned an object of the class object, which has no JSON form: give a dict of what is needed of it",
        ),
        ([Point(1, object())], "an object of the class object"),
        ((n for n in [1]), "a generator, which has no JSON form: make a list of it: list(…)."),
        (io.StringIO("x"), "an open file"),
        (print, "the function print"),
        (asyncio, "the module asyncio"),
        (b"\xff", "bytes that are no UTF-8 text, which has no JSON form: give base64"),
        ([math.nan], "a number that is not finite (nan or inf) at [0], which has no JSON form: give None"),
        ({"a": {}.keys()}, "a dict_keys at a"),
    ],
)
def test_what_has_no_json_form_is_never_an_answer_whatever_is_declared(hint: Any, value: Any, words: str) -> None:
    with pytest.raises(WrongAnswer) as caught:
        answer(hint, value)
    assert words in str(caught.value)
    assert " at 0x" not in str(caught.value)


def test_a_skill_checks_what_its_function_returns() -> None:
    @skill(replay="pure")
    def count(text: str) -> int:
        """Count."""
        return text  # type: ignore[return-value]  # it is what is tested

    with pytest.raises(WrongAnswer, match="The skill count has run, but returned the str 'x'"):
        count.call(("x",), {}, CTX)
    assert count("x") == "x", "called from Python it is the plain function"  # type: ignore[comparison-overlap]


def test_a_skill_without_a_return_type_answers_whatever_json_has() -> None:
    @skill(replay="pure")
    def whatever(text: str):  # type: ignore[no-untyped-def]  # it is what is tested
        """Answer."""
        return {"a": (text, None)}

    assert whatever.call(("x",), {}, CTX) == {"a": ["x", None]}


def test_a_skill_that_yields_is_refused_when_it_is_made() -> None:
    def numbers(n: int) -> Any:
        """Count."""
        yield n

    with pytest.raises(TypeError, match="yields, and an answer is one value; have it return a list"):
        skill(numbers)


def test_a_skill_whose_return_type_has_no_json_form_is_left_out_with_a_reason() -> None:
    class Opaque:
        pass

    def opaque() -> Any:
        """Answer."""

    opaque.__annotations__["return"] = Opaque
    loader = SkillLoader()
    loader.add_python([skill(opaque)], "here")
    assert not loader.skills
    assert "its return type" in loader.problems[0]
    assert "Opaque has no JSON form" in loader.problems[0]


def test_every_built_in_skill_declares_what_it_returns() -> None:
    loader = SkillLoader()
    loader.add_built_in()
    for built_in in loader.skills.values():
        assert built_in.answers is not None  # type: ignore[attr-defined]  # all are functions
        assert "return" in built_in.function.__annotations__  # type: ignore[attr-defined]


class Endless(Mapping[str, int]):
    """Has a next key for ever."""

    def __getitem__(self, key: str) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        return map(str, itertools.count())

    def __len__(self) -> int:
        return 1


def shared() -> Any:
    """Fifty small lists, each twice in the next."""
    value: Any = [1]
    for _ in range(50):
        value = [value, value]
    return value


@pytest.mark.parametrize("hint", [Any, str, list[Any], dict[str, int]])
@pytest.mark.parametrize("make", [shared, Endless, lambda: "x" * 20_000_000, lambda: [0] * 2_000_000])
@pytest.mark.slow
def test_what_is_too_large_is_an_error_before_it_is_made(hint: Any, make: Callable[[], Any]) -> None:
    with pytest.raises(WrongAnswer, match="more than 16,000,000 bytes, which is the limit: return less"):
        answer(hint, make())


def test_what_is_only_shown_may_be_too_large() -> None:
    assert recordable(shared()) == recordable(Endless()) == "<more than 16,000,000 bytes>"


def test_where_a_value_stands_is_not_looked_for_without_end() -> None:
    with pytest.raises(WrongAnswer, match="a tuple_iterator"):
        answer(Any, [dataclasses.replace(Point(1), label=iter(())), shared()])
