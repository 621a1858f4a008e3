"""What strangers write, in skills and as a model, ends as a failure that is told, and leaves the server as it was."""

from collections.abc import Callable, Sequence

import pytest

from bench.figures import Figure
from chaos import hostile_model, hostile_skills, skills_from_hell
from chaos.scenario import Run

Met = Callable[[Sequence[Figure]], dict[str, float]]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_skills_that_do_what_no_skill_should_harm_nobody_else(run: Run, assert_met: Met) -> None:
    assert_met(hostile_skills.measure(run))


def test_a_model_that_writes_what_should_not_be_written_harms_nobody(run: Run, assert_met: Met) -> None:
    assert_met(hostile_model.measure(run))


def test_skills_that_end_or_hold_their_process_cost_nobody_else_a_task(run: Run, assert_met: Met) -> None:
    assert_met(skills_from_hell.measure(run))
