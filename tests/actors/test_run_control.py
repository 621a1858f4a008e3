"""What a run is answered that asks for something the store does not have."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from callboard.actors.run_control import RunControl
from callboard.agent.job import Control
from callboard.agent.sealing import Left
from callboard.agent.signing import Signer
from callboard.clock import Clock
from callboard.persistence.store import SqlStore
from callboard.settings import Settings


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    store = SqlStore.open(Settings(data_dir=tmp_path), clock=Clock(), lost=lambda: False)
    yield RunControl(store.reader, Signer(b"key"))
    store.close()


def test_a_task_whose_first_one_was_pruned_has_no_workspace_but_its_own(control: Control) -> None:
    assert control.workspace_of("pruned") is None


def test_a_session_and_a_task_that_nobody_has_worked_on_have_left_nothing(control: Control) -> None:
    assert control.session("new") is None
    assert control.left("new") == Left()
    assert control.files("new") == ()
