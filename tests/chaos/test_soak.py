"""The soak runs; what it measures takes half an hour (`make soak`)."""

from collections.abc import Callable
from typing import Any

import pytest

from chaos import soak
from chaos.scenario import Run


@pytest.mark.slow
@pytest.mark.nightly
def test_a_short_soak_ends_every_task(run: Run, assert_met: Callable[..., dict[str, Any]]) -> None:
    found = assert_met(soak.measure(run), but=["memory slope in 10 minutes"])  # all of it is warm-up
    assert found["accepted"] > 0
