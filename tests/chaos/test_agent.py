"""kill -9 under everything that an agent does loses nothing, repeats nothing that was done, and asks no model twice."""

from collections.abc import Callable, Sequence

import pytest

from bench.figures import Figure
from chaos import agent
from chaos.scenario import Run

Met = Callable[[Sequence[Figure]], dict[str, float]]

pytestmark = pytest.mark.slow


def test_a_few_kills_repeat_no_model_call_and_make_no_agents_task_twice(run: Run, assert_met: Met) -> None:
    found = assert_met(agent.measure(run))
    assert found["kills of the server"] >= 1
    assert found["kills of a worker"] >= 1
    assert found["accepted"] > 0
    assert found["requests to the model"] > 0


@pytest.mark.nightly  # a minute
def test_the_short_sweep_meets_every_target(run: Run, assert_met: Met) -> None:
    assert_met(agent.measure_nth_operation(run))


def test_a_drain_under_the_same_load_leaves_nothing_in_doubt(run: Run, assert_met: Met) -> None:
    assert_met(agent.measure_drain(run))
