"""What lies in the folder of skills is loaded, wherever it lies, or it is said why it is not."""

import os
import time
from pathlib import Path

import pytest

from callboard.agent.catalogue import Catalogue
from callboard.agent.skill_folders import search as searching
from callboard.agent.skill_folders.search import AGENTS_FOLDERS
from tests.agent.skill_folders.conftest import write
from tests.agent.skill_folders.test_discovery import document, found
from tests.docs.documents import ROOT

SHOUT = 'from callboard import skill\n\n\n@skill\ndef shout(text: str) -> str:\n    """Say."""\n    return text\n'
AGENT = "---\nname: x\ndescription: Does x.\n---\nDo it.\n"


def only_problem(folder: Path) -> str:
    """Return the one problem that there is in a folder, its path made relative."""
    _, [problem] = found(folder)
    return problem.replace(f"{folder}/", "").replace(str(folder), ".")


@pytest.mark.parametrize(
    "path",
    [
        "deep-one/SKILL.md",
        "repo/skills/deep-one/SKILL.md",
        "repo/plugins/alpha/skills/deep-one/SKILL.md",
        "repo/.claude/skills/deep-one/SKILL.md",
        ".claude/skills/deep-one/SKILL.md",
        "category/sub/deep-one/SKILL.md",
        "a/b/c/d/e/f/g/deep-one/SKILL.md",
        "repo/skills/.curated/deep-one/SKILL.md",
        "deep-one/skill.md",
        "deep-one/Skill.md",
        "deep-one/SKILL.MD",
    ],
)
def test_a_skill_is_found_wherever_public_collections_have_it(tmp_path: Path, path: str) -> None:
    write(tmp_path, {path: document("deep-one")})
    skills, problems = found(tmp_path)
    assert (list(skills), problems) == (["deep-one"], ())


@pytest.mark.parametrize("head", ["\ufeff", ""])
def test_marks_and_line_ends_of_other_systems_do_not_matter(tmp_path: Path, head: str) -> None:
    write(tmp_path, {"pdf/SKILL.md": head + document("pdf").replace("\n", "\r\n")})
    assert found(tmp_path) == ({"pdf": "pdf"}, ())


def test_the_folder_may_be_a_skill_itself_and_what_is_linked_to_it(tmp_path: Path) -> None:
    programs = {"pdf/run.py": "raise SystemExit('never run here')", "pdf/scripts/a.py": SHOUT}
    write(tmp_path, {"pdf/SKILL.md": document("pdf"), "pdf/skills/inner/SKILL.md": document("inner"), **programs})
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "pdf").symlink_to(tmp_path / "pdf")
    (tmp_path / "pdf").rename(tmp_path / "pdf-2.0")
    (tmp_path / "pdf").symlink_to("pdf-2.0")
    catalogue = Catalogue.load(tmp_path / "there" / "pdf")
    assert {name for name, skill in catalogue.skills.items() if skill.kind == "folder"} == {"pdf", "inner"}
    assert catalogue.problems == ()


def test_the_root_of_a_repository_is_a_collection(tmp_path: Path) -> None:
    files = {"skills/pdf/SKILL.md": document("pdf"), "README.md": AGENT, "tests/README.md": "x", "tests/a.py": "1",
             "scripts/build.py": "1", ".git/x/SKILL.md": document("x"), "release.zip": "PK"}  # fmt: skip
    write(tmp_path, files)
    assert found(tmp_path) == ({"pdf": "skills/pdf"}, ())


def test_a_repository_of_that_name_beside_others_is_one_of_them(tmp_path: Path) -> None:
    files = {"skills/skills/pdf/SKILL.md": document("pdf"), "skills/README.md": AGENT, "skills/spec/README.md": AGENT}
    write(tmp_path, {**files, "forms.zip": "PK", "skills/skills/slides.zip": "PK"})
    skills, problems = found(tmp_path)
    assert skills == {"pdf": "skills/skills/pdf"}
    assert [problem.partition(" is ")[0] for problem in problems] == [
        str(tmp_path / "forms.zip"),
        str(tmp_path / "skills/skills/slides.zip"),
    ]


def test_links_in_a_circle_end_and_a_second_way_to_a_skill_is_no_second_skill(tmp_path: Path) -> None:
    write(tmp_path, {"repo/skills/pdf/SKILL.md": document("pdf"), "repo/.claude/settings.json": "{}"})
    (tmp_path / "repo" / "loop").symlink_to(tmp_path / "repo")
    (tmp_path / "repo" / ".claude" / "skills").symlink_to("../skills")
    (tmp_path / "repo" / "skills" / "self").symlink_to(".")
    write(tmp_path, {"repo/other/skills/readme.md": "x"})
    (tmp_path / "repo" / "other" / "skills" / "pdf").symlink_to(tmp_path / "repo" / "skills" / "pdf")
    skills, problems = found(tmp_path)
    assert (list(skills), problems) == (["pdf"], ())


@pytest.mark.parametrize(
    "path", [".git/a/SKILL.md", ".hidden/skills/a/SKILL.md", "node_modules/a/SKILL.md", "env/lib/a/SKILL.md",
             "__MACOSX/a/SKILL.md", ".claude/commands/a/SKILL.md", "b/references/a/SKILL.md"],
)  # fmt: skip
def test_what_is_never_searched(tmp_path: Path, path: str) -> None:
    write(tmp_path, {path: document("a"), "env/pyvenv.cfg": "home = /usr", "b/SKILL.md": document("b")})
    assert found(tmp_path) == ({"b": "b"}, ())


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"pdf.skill": "PK"}, "pdf.skill is not loaded: it is an archive, which is not opened; unpack it here and"),
        ({"repo/skills/pdf.zip": "PK"}, "repo/skills/pdf.zip is not loaded: it is an archive"),
        ({"pdf.md": AGENT}, "pdf.md is not loaded: it lies loose, and a skill is a folder; move it to pdf/SKILL.md."),
        ({"pdf/skill.markdown": AGENT}, "pdf/skill.markdown is not loaded: it is not read under that name; call it"),
        ({"pdf/SKILL.md.txt": AGENT}, "pdf/SKILL.md.txt is not loaded: it is not read under that name; call it"),
        ({"pdf/scripts/a.sh": "ls"}, "pdf is not loaded: it looks like a skill, and has no SKILL.md; write one, with"),
        ({"pdf/README.md": "x", "pdf/a.py": "1"}, "pdf is not loaded: it looks like a skill, and has no SKILL.md"),
        ({"pdf/pdf.md": AGENT}, "pdf is not loaded: it looks like a skill, and has no SKILL.md"),
        ({"tools/shout.py": SHOUT}, "tools/shout.py is not loaded: it lies in a folder below, and Python skills are"),
        ({"shout.PY": SHOUT}, "shout.PY is not loaded: it is not read under that name; have it end in .py."),
        ({"Pdf/SKILL.md": document("Pdf")}, "Pdf/SKILL.md is left out: line 2: the name 'Pdf' must be a-z, 0-9"),
        ({"pdf/skill.md": "x"}, "pdf/skill.md is left out: line 1: it does not begin with front matter"),
    ],
)  # fmt: skip
def test_what_looks_like_a_skill_and_is_not_loaded_is_said(tmp_path: Path, files: dict[str, str], told: str) -> None:
    write(tmp_path, {**files, "good/SKILL.md": document("good")})
    assert only_problem(tmp_path).startswith(told)
    assert found(tmp_path)[0] == {"good": "good"}


def test_what_does_not_look_like_one_is_not_worth_a_word(tmp_path: Path) -> None:
    files = {"README.md": "# Skills\n", "notes.txt": "x", "_common.py": SHOUT, "types.pyi": "x", "docs/a.md": "# A\n",
             "good/SKILL.md": document("good"), "team/README.md": AGENT, "team/one/SKILL.md": document("one"),
             "team/scripts/a.py": "1", "tools/a.py": "import os\n"}  # fmt: skip
    write(tmp_path, files)
    assert found(tmp_path) == ({"good": "good", "one": "team/one"}, ())


def test_links_that_lead_nowhere_and_pipes_are_said_and_hold_nothing_up(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "notes.md").symlink_to("nowhere")
    os.mkfifo(tmp_path / "shout.py")
    os.mkfifo(tmp_path / "some.md")
    _, problems = found(tmp_path)
    assert [problem.removeprefix(f"{tmp_path}/") for problem in problems] == [
        "shout.py cannot be loaded (ImportError: it is no file); mend it and restart.",
        "gone is not loaded: it is a link that leads nowhere; mend or remove it.",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    write(tmp_path, {"secret/pdf/SKILL.md": document("pdf")})
    (tmp_path / "secret").chmod(0)
    try:
        assert only_problem(tmp_path) == (
            "secret is not loaded: it cannot be read (Permission denied); mend its permissions."
        )
    finally:
        (tmp_path / "secret").chmod(0o700)


def test_the_nearer_one_keeps_a_name_and_the_other_is_said(tmp_path: Path) -> None:
    write(tmp_path, {"a/skills/pdf/SKILL.md": document("pdf"), "z/pdf/SKILL.md": document("pdf")})
    assert found(tmp_path)[0] == {"pdf": "z/pdf"}
    assert only_problem(tmp_path) == (
        "a/skills/pdf: the skill 'pdf' is left out, since the name is taken by z/pdf; rename it."
    )


def test_both_limits_are_said_with_the_place_where_the_search_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = "/".join("abcdefghijkl")
    write(tmp_path, {f"{deep}/SKILL.md": document("l"), f"{deep}/m/SKILL.md": document("m")})
    assert found(tmp_path)[0] == {"l": deep}
    assert only_problem(tmp_path) == (
        f"{deep}/m is not loaded: it lies deeper than 12 folders, where nothing is read; move it nearer to the top, or "
        "let CALLBOARD_SKILLS_DIR name the folder that it lies in."
    )
    monkeypatch.setattr(searching, "MAX_FOLDERS", 3)
    write(tmp_path, {"n/SKILL.md": document("n")})
    assert found(tmp_path)[0] == {"n": "n"}
    assert only_problem(tmp_path).startswith(
        "a/b is not loaded: it comes behind the first 3 folders and 100,000 files, where the search ends"
    )


def test_a_big_tree_does_not_make_the_start_slow(tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / f"repo/src/a{number % 40}/b{number}").mkdir(parents=True)
    write(tmp_path, {"repo/skills/pdf/SKILL.md": document("pdf")})
    before = time.process_time()
    searched = searching.search(tmp_path)
    assert searched.skills == (tmp_path / "repo/skills/pdf",)
    assert time.process_time() - before < 1.0  # 0.1 s on an idle machine


def test_the_folders_of_other_agents_are_documented() -> None:
    text = (ROOT / "docs" / "skills.md").read_text()
    assert all(f"`{name}/skills`" in text for name in AGENTS_FOLDERS)
