"""A session's own folder: what is written is there, and no path leads out."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard import SkillContext
from callboard.agent import workspace as limits
from callboard.agent.workspace import Workspace, parts_of
from callboard.errors import TaskError
from callboard.task_spec import SESSION_ID_PATTERN


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outside.txt").write_text("secret")
    (tmp_path / "inside").mkdir()
    return tmp_path / "inside"


@pytest.fixture
def files(folder: Path) -> Workspace:
    return Workspace(folder, max_file_bytes=1000)


OUT = [
    "..",
    "../outside.txt",
    "a/../../outside.txt",
    "/etc/passwd",
    "//etc/passwd",
    "./../outside.txt",
    "a//b",
    "a/",
    "",
    ".",
    ".writing-1",
    "a/.Attached-1/b",
    "a\0b",
    "a\\..\\b",
    "a\nb",
    " ",
    "a/ /b",
    "a/\ud800",
    "a\u202ecsv.exe",
    "a\u200b.csv",
    "/".join("abcdefghi"),
    "x" * 256,
    "é" * 128,
]


@pytest.mark.parametrize("path", OUT)
def test_a_path_out_of_the_workspace_or_of_no_file_is_refused_by_everything(files: Workspace, path: str) -> None:
    for act in (files.read, files.delete, lambda path: files.write(path, b"x")):
        with pytest.raises(TaskError, match="The path") as refused:
            act(path)
        assert refused.value.code == "path_refused"


@given(st.text(st.sampled_from("ab./\\ \0é"), max_size=12) | st.text(max_size=300))
def test_whatever_a_path_is_what_it_leads_to_is_inside_or_refused(path: str) -> None:
    try:
        parts = parts_of(path)
    except TaskError as error:
        assert error.code == "path_refused"  # noqa: PT017  # either outcome is fine
        return
    assert os.path.normpath("/".join(parts)) == "/".join(parts)
    assert not any(part in ("", ".", "..") or "/" in part or "\0" in part for part in parts)
    "/".join(parts).encode()


def test_what_is_written_is_read_and_listed_by_its_path(files: Workspace, folder: Path) -> None:
    files.write("data/année.csv", b"a\n1\n")
    files.write("b.txt", b"first")
    files.write("b.txt", b"second")
    assert files.read("b.txt") == b"second"
    assert [(entry.name, entry.size) for entry in files.files()] == [("b.txt", 6), ("data/année.csv", 4)]
    assert [entry.name for entry in files.files("data")] == ["data/année.csv"]
    assert (folder / "b.txt").stat().st_mode & 0o777 == 0o600
    assert not [name for name in names_in(folder) if name.startswith(".")]


def test_two_ways_to_write_a_letter_are_one_name(files: Workspace) -> None:
    files.write("e\u0301.txt", b"x")
    assert files.read("\u00e9.txt") == b"x"


def test_a_link_is_followed_nowhere(files: Workspace, folder: Path) -> None:
    (folder / "file").symlink_to(folder.parent / "outside.txt")
    (folder / "up").symlink_to(folder.parent)
    for path in ("file", "up/outside.txt"):
        with pytest.raises(TaskError) as refused:
            files.read(path)
        assert refused.value.code == "path_refused"
    with pytest.raises(TaskError):
        files.write("up/new.txt", b"x")
    with pytest.raises(TaskError):
        files.delete("up/outside.txt")
    files.write("file", b"own")  # takes the link's place
    assert (folder.parent / "outside.txt").read_text() == "secret"
    assert names_in(folder.parent) == ["inside", "outside.txt"]
    assert [entry.name for entry in files.files()] == ["file"]


def test_a_folder_that_becomes_a_link_while_it_is_used_leads_nowhere_either(files: Workspace, folder: Path) -> None:
    """Another thread puts a link in a folder's place again and again; nothing is ever read through it."""
    (folder.parent / "target").mkdir()
    (folder.parent / "target" / "a.txt").write_text("secret")
    (folder / "real").mkdir()
    (folder / "real" / "a.txt").write_text("own")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            (folder / "dir").symlink_to(folder.parent / "target")
            (folder / "dir").unlink()
            (folder / "real").rename(folder / "dir")
            (folder / "dir").rename(folder / "real")

    thread = threading.Thread(target=swap)
    thread.start()
    found: set[bytes | str] = set()
    for _ in range(3000):
        try:
            found.add(files.read("dir/a.txt"))
        except TaskError as error:
            found.add(error.code)
    over.set()
    thread.join()
    assert b"secret" not in found


def test_what_is_no_file_is_not_read_and_holds_up_nobody(files: Workspace, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "dir").mkdir()
    for path in ("pipe", "dir", "b.txt/c"):
        files.write("b.txt", b"x")
        with pytest.raises(TaskError) as refused:
            files.read(path)
        assert refused.value.code == "path_refused"
    with pytest.raises(TaskError, match="folder"):
        files.write("dir", b"x")


def test_a_missing_file_is_named_with_what_to_do(files: Workspace) -> None:
    with pytest.raises(
        TaskError, match=r"There is no file 'a\.txt' in the workspace; list_files names them"
    ) as missing:
        files.read("a.txt")
    assert missing.value.code == "skill_failed"
    assert files.delete("a.txt") is False


def test_deleting_takes_the_file_and_the_folders_that_are_empty_then(files: Workspace, folder: Path) -> None:
    files.write("a/b/c.txt", b"x")
    files.write("a/d.txt", b"x")
    assert files.delete("a/b/c.txt") is True
    assert names_in(folder / "a") == ["d.txt"]
    with pytest.raises(TaskError, match="is a folder"):
        files.delete("a")


def test_no_file_is_larger_than_the_limit(files: Workspace, folder: Path) -> None:
    with pytest.raises(TaskError, match=r"has 1001 bytes and the limit is 1000 \(CALLBOARD_MAX_FILE_BYTES\)"):
        files.write("a", bytes(1001))
    (folder / "large").write_bytes(bytes(2000))
    with pytest.raises(TaskError, match="has 2000 bytes and the limit is 1000"):
        files.read("large")


def test_all_files_together_have_a_limit_and_replacing_one_counts_once(files: Workspace) -> None:
    for n in range(limits.TIMES_LARGEST):
        files.write(f"{n}", bytes(1000))
    with pytest.raises(TaskError, match="more than 20000 bytes; delete some"):
        files.write("one-more", b"x")
    files.write("3", bytes(999))
    files.write("one-more", b"x")


def test_there_are_no_more_files_than_the_limit(files: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FILES", 3)
    for n in range(3):
        files.write(f"folder/{n}", b"")
    with pytest.raises(TaskError, match="more than 3 files; delete some"):
        files.write("another", b"")


def test_several_writers_at_once_keep_to_the_limits(files: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FILES", 10)
    refused = []

    def write(n: int) -> None:
        try:
            files.write(f"{n}", b"x")
        except TaskError as error:
            refused.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(files.files()), len(refused)) == (10, 15)


def test_what_a_writer_left_that_died_goes_with_the_next_write(files: Workspace, folder: Path) -> None:
    (folder / ".writing-0011").write_bytes(b"half")
    assert files.files() == []
    files.write("a", b"x")
    assert names_in(folder) == ["a"]


def test_a_write_that_fails_leaves_what_was_there(
    files: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write("a", b"old")

    def fail(*_args: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(TaskError, match="No space left on device"):
        files.write("a", b"new")
    assert files.read("a") == b"old"
    assert names_in(folder) == ["a"]


# --- the folder of a session ---


def folder_of(session_id: str, root: Path) -> str:
    return SkillContext(task_id="t", session_id=session_id, effect_id="e", workspace_root=root).workspace.name


def test_a_plain_session_keeps_the_folder_of_its_name(tmp_path: Path) -> None:
    assert folder_of("019b9d6b-5a80_X", tmp_path) == "019b9d6b-5a80_X"


@given(
    st.lists(
        st.from_regex(SESSION_ID_PATTERN, fullmatch=True) | st.text("ab._:-/=", min_size=1, max_size=140),
        min_size=2,
        max_size=4,
        unique=True,
    )
)
def test_no_two_sessions_share_a_folder(tmp_path_factory: pytest.TempPathFactory, ids: list[str]) -> None:
    root = tmp_path_factory.getbasetemp() / "sessions"
    names = [folder_of(session_id, root) for session_id in ids]
    assert len(set(names)) == len(ids)
    assert all((root / name).parent == root and len(name) <= 200 for name in names)


def test_ids_that_were_told_apart_by_their_signs_only_are(tmp_path: Path) -> None:
    assert len({folder_of(session_id, tmp_path) for session_id in ("a.b", "a:b", "a_b", "a.3ab", "a..b", "../ab")}) == 6
