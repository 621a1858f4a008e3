"""Streams that are killed in the middle and resumed show the log, all of it and once."""

from collections.abc import Callable, Sequence

import pytest

from bench.figures import Figure
from chaos import streams
from chaos.scenario import Run

Met = Callable[[Sequence[Figure]], dict[str, float]]

pytestmark = pytest.mark.slow


def test_a_few_kills_leave_no_gap_and_no_repeat_in_any_stream(run: Run, assert_met: Met) -> None:
    found = assert_met(streams.measure(run))
    assert (found["kills of the server"], found["kills of a worker"]) in ((1, 2), (2, 1))
    assert found["times a task's stream was resumed"] > 0
    assert found["times the feed was resumed"] >= found["kills of the server"]
    assert found["of them with agents' tasks"] > 0
