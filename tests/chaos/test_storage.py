"""Short versions of chaos/storage.py: a real server while its database's file is locked, full, read-only or gone."""

from pathlib import Path

import pytest

from chaos import storage

pytestmark = pytest.mark.slow

SHORT_S = 0.2


@pytest.mark.parametrize(
    "scenario",
    [storage.disk_full, storage.read_only, storage.failing_writes, storage.gone, storage.log_deleted],
    ids=lambda scenario: scenario.__name__,
)
def test_no_accepted_task_is_lost_and_the_server_is_soon_back(scenario: storage.Scenario, tmp_path: Path) -> None:
    try:
        figures = scenario(tmp_path, seconds=SHORT_S)
    except storage.NotPossible as why:
        pytest.skip(str(why))
    assert figures["lost"] == 0
    assert figures["back_s"] <= 5


def test_a_locked_database_refuses_and_loses_nothing(tmp_path: Path) -> None:
    figures = storage.locked(tmp_path, seconds=SHORT_S)
    assert figures["back_s"] <= 5
    assert figures["slowest_refusal_s"] < 8, "the wait for the lock is 5 s, and only the first callers share it"


def test_four_processes_on_one_file_are_never_told_that_it_is_locked(tmp_path: Path) -> None:
    assert storage.four_processes(tmp_path, seconds=60, transactions=400)["locked"] == 0
