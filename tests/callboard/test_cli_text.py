"""Text on its way to a terminal: nothing in it is obeyed, and JSON says the same before and after."""

import json
import shlex
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.cli.ask import Where
from callboard.cli.decide import ways_to_decide
from callboard.cli.text import ago, call, call_of, clean, dumps, duration, iso, one_line, shown, time_of

TEXT = st.text(st.characters())  # halves of surrogate pairs, too
HERE = Where(url=None, key_file=None)
OBEYED = {"Cc", "Cs", "Zl", "Zp"}


def obeyed(text: str) -> set[str]:
    """The characters that a terminal would do something on."""
    bidirectional = set("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    return {c for c in text if unicodedata.category(c) in OBEYED or c in bidirectional} - set("\n\t")


@given(TEXT)
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    assert not obeyed(clean(text))
    assert not obeyed(one_line(text)) | ({"\n", "\t"} & set(one_line(text)))
    assert not obeyed(shown({"a": [text]}))
    clean(text).encode()


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"])))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)
    )
)
def test_json_says_the_same_and_is_safe(value: Any) -> None:
    for indent in (None, 2):
        written = dumps(value, indent=indent)
        assert json.loads(written) == value
        assert not obeyed(written)


@given(TEXT, st.integers(1, 50))
def test_a_line_is_one_and_no_longer_than_it_may_be(text: str, limit: int) -> None:
    assert len(one_line(text, limit)) <= limit


def test_what_is_written_out_can_be_read() -> None:
    assert clean("a\x1b[31mb\x9b\u202ec\r\nd\re") == "a\\x1b[31mb\\x9b\\u202ec\nd\\x0de"
    assert one_line(" a\n\n b\t") == "a b"
    assert one_line("abcdef", 4) == "abc…"
    assert shown("text") == "text"
    assert shown(42) == "42"
    assert shown(None) == "null"


def test_a_call_is_written_as_in_the_code_its_arguments_shortened() -> None:
    assert call("calculate", ["12 * 7"], {}) == 'calculate("12 * 7")'
    assert call("f", [1, [2]], {"k": None}) == "f(1, [2], k=null)"
    assert call("f", None, None) == "f()"
    assert len(call("f", ["x" * 1000] * 10, {})) == 100


def test_a_call_that_a_person_has_edited_has_none_of_the_arguments_of_the_code() -> None:
    told = {"skill": "pay", "args": [12.5], "kwargs": {"to": "x"}}
    assert call_of(told) == 'pay(12.5, to="x")'
    assert call_of({**told, "edited": {"amount": 3}}) == "pay(amount=3)  (edited by a person)"
    assert call_of({**told, "edited": {}}) == "pay()  (edited by a person)"


@pytest.mark.parametrize(
    "pause",
    [
        {"args": [5], "kwargs": {"note": "it's"}},
        {"args": [5, "it's"], "kwargs": {}},
        {"args": [9, 9, 9], "kwargs": {}, "edited": {"cents": 5, "note": "it's"}},
    ],
)
def test_the_command_that_edits_a_call_has_its_arguments_by_name(pause: dict[str, Any]) -> None:
    pause |= {"skill": "pay", "decisions": ["edit"], "argsTruncated": False, "call": 2, "digest": "d" * 64}
    [way] = ways_to_decide("t1", pause, HERE, lambda _: ("cents", "note"))
    words = shlex.split(way)
    assert json.loads(words[words.index("--arguments") + 1]) == {"cents": 5, "note": "it's"}
    assert words[4:8] == ["--call", "2", "--digest", "d" * 64]


@pytest.mark.parametrize("told", [{"argsTruncated": True}, {}], ids=["shortened", "nobody says"])
def test_arguments_that_are_shortened_are_not_offered_as_if_they_were_whole(told: dict[str, Any]) -> None:
    pause = {"skill": "pay", "args": ["x"], "kwargs": {}, "decisions": ["edit"], **told}
    *whole, way = ways_to_decide("t1", pause, HERE, lambda _: ("cents",))
    assert way == "callboard decide t1 edit"
    assert whole == (["callboard approvals show t1"] if told else [])


def test_a_call_that_one_line_does_not_hold_is_to_be_looked_at_before_it_is_approved() -> None:
    pause = {"skill": "pay", "args": ["x" * 61], "kwargs": {}, "decisions": ["approve"], "argsTruncated": False}
    assert call_of(pause).endswith("…)")
    assert list(ways_to_decide("t1", pause, HERE, lambda _: ())) == [
        "callboard approvals show t1",
        "callboard decide t1 approve",
    ]


def test_what_is_not_seen_is_escaped_in_json_and_on_demand_what_looks_like_another_letter() -> None:
    hidden = "a\u200b\u00ad\u2060\U000e0041\ufe0f\x7f\u202eb"
    assert dumps(hidden) == r'"a\u200b\u00ad\u2060\udb40\udc41\ufe0f\u007f\u202eb"'
    assert (dumps("pаy"), dumps("pаy", ascii_only=True)) == ('"pаy"', r'"p\u0430y"')  # a Cyrillic а


@pytest.mark.parametrize(
    ("ms", "said"),
    [(None, "-"), (0.12, "0.1 ms"), (42, "42 ms"), (3210, "3.2 s"), (125_000, "2 min 5 s"), (7_260_000, "2 h 1 min")],
)
def test_durations_are_said_as_people_do(ms: float | None, said: str) -> None:
    assert duration(ms) == said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"durationMs": 42}, "42 ms"),
        ({"elapsedTime": 125_000, "executionTime": 3210.0}, "2 min 5 s, 3.2 s of it work"),
        ({"elapsedTime": 42}, "42 ms"),
        ({"executionTime": 42}, "42 ms of work"),  # an event of an earlier version
        ({}, ""),
    ],
)
def test_the_time_of_a_task_is_said_with_how_much_of_it_was_work(data: dict[str, float], said: str) -> None:
    assert time_of(data) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 s ago"), (59, "59 s ago"), (60, "1 min ago"), (3600, "1 h ago"), (86_400, "1 d ago")],
)
def test_how_long_ago_is_said_in_the_largest_unit(seconds: int, said: str) -> None:
    now = datetime(2026, 1, 8, 12, tzinfo=UTC)
    assert ago(now - timedelta(seconds=seconds), now) == said
    assert ago(now - timedelta(days=90), now) == f"{(now - timedelta(days=90)).astimezone():%Y-%m-%d}"
    assert iso(now) == "2026-01-08T12:00:00.000Z"
    assert iso(None) == "-"
