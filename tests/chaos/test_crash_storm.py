"""Actors crash under load, and no request hangs."""

from collections.abc import Callable, Sequence

import pytest

from bench.figures import Figure
from chaos import crash_storm
from chaos.scenario import Run

Met = Callable[[Sequence[Figure]], dict[str, float]]

pytestmark = pytest.mark.slow


def test_no_request_hangs_and_giving_up_shows_in_health(run: Run, assert_met: Met) -> None:
    found = assert_met(crash_storm.measure(run))
    assert found["crashes of actors"] > 0
    assert found["requests"] > 0
