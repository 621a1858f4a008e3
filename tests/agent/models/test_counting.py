"""Tokens: the API's counts where they can be, an estimate elsewhere."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.models import TokenUse
from callboard.agent.models.counting import estimate_tokens, tokens_of
from tests.agent.models.conftest import call

ANYTHING = st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.booleans() | st.lists(st.integers())


@given(read=ANYTHING, written=ANYTHING, cached=ANYTHING, text=st.text(max_size=200))
def test_whatever_was_sent_the_counts_can_be_charged(read: Any, written: Any, cached: Any, text: str) -> None:
    use, estimated = tokens_of({"read": read, "written": written, "cached": cached}, call(), text)
    for count in (use.read, use.written, use.cached):
        assert type(count) is int
        assert 0 <= count <= 1_000_000
    assert use.read >= 1
    assert use.written >= (1 if text else 0)
    assert use.cached <= use.read
    assert estimated == ((use.read, use.written) != (read, written))


def test_a_model_that_thinks_writes_more_than_is_seen() -> None:
    assert tokens_of({"read": 20, "written": 480}, call(max_tokens=500), "4") == (
        TokenUse(read=20, written=480),
        False,
    )


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("x", 1), ("The quick brown fox jumps over the lazy dog.", 11), ("一二三四", 3), ("\ud800", 1)],
)
def test_an_estimate_is_a_quarter_of_the_bytes(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens
