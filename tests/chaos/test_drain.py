"""SIGTERM under load leaves nothing behind, and a second signal is not waited for."""

from collections.abc import Callable, Sequence

import pytest

from bench.figures import Figure
from chaos import drain
from chaos.scenario import Run

Met = Callable[[Sequence[Figure]], dict[str, float]]

pytestmark = pytest.mark.slow


def test_drains_under_load_lose_and_repeat_nothing(run: Run, assert_met: Met) -> None:
    found = assert_met(drain.measure(run))
    assert found["SIGTERM"] == drain.QUICK_ROUNDS == 2 * found["kills of a worker"]
    assert found["tasks handed back"] > 0


def test_a_second_signal_is_not_waited_for(run: Run, assert_met: Met) -> None:
    assert_met(drain.second_signal(run))
