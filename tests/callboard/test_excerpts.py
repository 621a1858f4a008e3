"""What is cut says how much is left out, in one form, and is never longer than its limit."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from callboard.agent.job import Progress
from callboard.errors import InvalidRequest, TaskError
from callboard.excerpts import excerpt, preview
from callboard.limits import ERROR_CHARS, EXCERPT_CHARS, LOG_BYTES, SHOWN_CHARS, cut, cut_middle
from callboard.messages.event_types import ModelDelta, SkillCompleted, StepCompleted

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50) | st.just("long" * 5000),
    lambda inner: (
        st.lists(inner, max_size=120) | st.dictionaries(st.text(max_size=30) | st.integers(), inner, max_size=120)
    ),
    max_leaves=500,
)


@given(st.text(max_size=500), st.integers(min_value=60, max_value=200))
def test_a_cut_text_is_within_its_limit_and_what_is_left_out_is_counted(text: str, most: int) -> None:
    for shown in (cut(text, most), cut_middle(text, most)):
        assert len(shown) <= most
        if shown != text:
            head, _, rest = shown.partition("… [")
            count, _, tail = rest.partition(" more characters left out]")
            parts = (head, tail) if not tail else (head.removesuffix("\n"), tail.removeprefix("\n"))
            assert text.startswith(parts[0])
            assert text.endswith(parts[1])
            assert sum(map(len, parts)) + int(count.replace(",", "")) == len(text)


@given(VALUES)
def test_an_excerpt_is_bounded_whatever_the_value(value: Any) -> None:
    shown = excerpt(value)
    assert len(to_json(shown, inf_nan_mode="strings")) <= 10 * EXCERPT_CHARS
    assert len(preview(value)) <= SHOWN_CHARS


def test_an_excerpt_says_how_many_entries_it_leaves_out() -> None:
    assert excerpt(list(range(1000)))[-1] == "… [900 more entries left out]"
    assert excerpt({str(n): n for n in range(1000)})["… [900 more entries left out]"] == "…"
    assert excerpt([["a" * 1000] * 100] * 100)[-1] == "… [99 more entries left out]"
    assert excerpt([10**100_000])[0].endswith("more characters left out]")
    assert excerpt({"a": [1, 2.5, None, True, "b"]}) == {"a": [1, 2.5, None, True, "b"]}


@pytest.mark.parametrize("error", [TaskError("script_error", "x" * 1_000_000), InvalidRequest("x" * 1_000_000)])
def test_no_errors_text_is_longer_than_its_limit(error: TaskError | InvalidRequest) -> None:
    assert len(error.message) == len(str(error)) <= ERROR_CHARS


def test_an_attempt_that_tells_without_end_is_quoted_no_more() -> None:
    progress, at = Progress(), datetime.now(UTC)
    call = SkillCompleted(at=at, call=1, skill="some", ok=True, duration_ms=1.0, result="r" * 1_000_000)
    delta = ModelDelta(at=at, step=1, purpose="plan", text="t")
    bare = StepCompleted(at=at, step=1, duration_ms=1.0, ok=True)
    told = [progress.fitting(call) for _ in range(100)]
    assert sum(len(to_json(event.data())) for event in told if event) <= LOG_BYTES + 1_010_000
    assert told[0] is call
    assert told[-1] is not None
    assert told[-1].data() == {"ok": True, "call": 1, "skill": "some", "durationMs": 1.0, "truncated": True}
    assert progress.fitting(delta) is None
    last = progress.fitting(bare)
    assert last is not None
    assert last.data() == bare.data()
