"""Doing away with a session's files, and with nothing else."""

from pathlib import Path

import pytest

from callboard.agent.skill import SkillContext
from callboard.agent.workspaces import Workspaces


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "workspaces"


def fill(root: Path, session_id: str) -> Path:
    folder = SkillContext(task_id="t", session_id=session_id, effect_id="e", workspace_root=root).workspace
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "file").write_text("x")
    return folder


@pytest.mark.parametrize("session_id", ["plain", "..", ".", "a:b", "../..", "s" * 500, "~deleted", "é/../x"])
def test_a_sessions_files_go_and_all_others_stay(root: Path, session_id: str) -> None:
    kept, gone = fill(root, "another"), fill(root, session_id)
    (root.parent / "callboard.db").touch()
    workspaces = Workspaces(root)
    assert workspaces.set_aside(session_id)
    assert not gone.exists(), "at once: a later session of that name must not find them"
    workspaces.empty()
    assert sorted(path.name for path in root.rglob("*")) == sorted(["~deleted", "another", "deep", "er", "file"])
    assert (kept / "deep" / "er" / "file").read_text() == "x"
    assert (root.parent / "callboard.db").exists()


def test_a_session_without_files_and_a_server_without_workspaces_are_fine(root: Path) -> None:
    workspaces = Workspaces(root)
    assert not workspaces.set_aside("nobody")
    workspaces.empty()
    assert not root.exists()
    fill(root, "another")
    assert not workspaces.set_aside("nobody")


def test_a_link_goes_and_what_it_leads_to_stays(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    folder = fill(root, "s")
    (folder / "link").symlink_to(outside)
    (root / "linked").symlink_to(outside)
    workspaces = Workspaces(root)
    assert workspaces.set_aside("s")
    assert workspaces.set_aside("linked")
    workspaces.empty()
    assert list((root / "~deleted").iterdir()) == []
    assert (outside / "file").exists()


def test_files_of_one_name_are_set_aside_again_and_again(root: Path) -> None:
    workspaces = Workspaces(root)
    for _ in range(3):
        fill(root, "s")
        assert workspaces.set_aside("s")
    assert len(list((root / "~deleted").iterdir())) == 3
    workspaces.empty()
    assert list((root / "~deleted").iterdir()) == []
