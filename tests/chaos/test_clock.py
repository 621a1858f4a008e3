"""The wall clock is set, and durations stay what they are."""

from collections.abc import Callable, Sequence

import pytest

from bench.figures import Figure
from chaos import clock
from chaos.clock import HOUR_S, Skewed
from chaos.scenario import Run

Met = Callable[[Sequence[Figure]], dict[str, float]]

pytestmark = pytest.mark.slow


def test_durations_are_not_fooled(run: Run, assert_met: Met) -> None:
    with Skewed(run.new_folder("clock")) as skewed:
        figures = [*skewed.long_deadline(HOUR_S), *skewed.short_deadline(-HOUR_S), *skewed.backoff(-HOUR_S)]
    assert_met(figures)


def test_a_caller_is_let_in_again_after_its_window(run: Run, assert_met: Met) -> None:
    with Skewed(run.new_folder("clock"), **clock.LIMITS) as skewed:
        assert_met([*skewed.limiter(HOUR_S), *skewed.limiter(-HOUR_S)])


def test_a_webhook_that_failed_is_sent_again_when_the_clock_is_set_forward(run: Run, assert_met: Met) -> None:
    with Skewed(run.new_folder("clock"), webhook_allow_private="true") as skewed:
        assert_met(list(skewed.webhook(HOUR_S)))


def test_a_webhook_that_failed_is_sent_again_when_the_clock_is_set_back(run: Run, assert_met: Met) -> None:
    with Skewed(run.new_folder("clock"), webhook_allow_private="true") as skewed:
        assert_met(list(skewed.webhook(-HOUR_S)))
