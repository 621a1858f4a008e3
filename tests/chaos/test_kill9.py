"""kill -9 under a mixed load loses nothing, repeats nothing that was done, and every task ends."""

from collections.abc import Callable, Sequence

import pytest

from bench.figures import Figure
from chaos import kill9
from chaos.scenario import Run

Met = Callable[[Sequence[Figure]], dict[str, float]]

pytestmark = pytest.mark.slow


def test_a_few_kills_lose_and_repeat_nothing(run: Run, assert_met: Met) -> None:
    found = assert_met(kill9.measure(run))
    assert found["kills of the server"] >= 1
    assert found["kills of a worker"] >= 1
    assert found["accepted"] > 0
    assert found["effects"] > 0
