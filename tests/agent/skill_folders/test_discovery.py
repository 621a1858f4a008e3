"""Skills are found in folders as public collections lay them out; a broken one is reported and skipped."""

import sys
from pathlib import Path

import pytest

from callboard.agent.catalogue import Catalogue
from callboard.agent.skill_folders.files import MAX_FILE_BYTES
from tests.agent.skill_folders.conftest import write


def document(name: str, more: str = "") -> str:
    return f"---\nname: {name}\ndescription: Does {name}.\n{more}---\n\nDo it.\n"


def found(folder: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the folders' skills with their origins, relative to the folder, and the problems."""
    catalogue = Catalogue.load(folder)
    skills = {
        skill.name: str(Path(skill.origin).relative_to(folder))
        for skill in catalogue.skills.values()
        if skill.kind == "folder"
    }
    return skills, catalogue.problems


def test_folders_stand_by_themselves_and_in_collections(tmp_path: Path) -> None:
    for path in (
        "alone/SKILL.md",
        "team/one/SKILL.md",  # a folder of skills
        "repository/skills/two/SKILL.md",  # a repository with its skills in skills/
        "repository/docs/three/notes.md",
        "skills/four/SKILL.md",
        "alone/references/inner/SKILL.md",  # within a skill: its own file
        "deep/category/sub/five/SKILL.md",  # as deep as somebody likes it
        ".git/hidden/SKILL.md",
        "node_modules/six/SKILL.md",
    ):
        write(tmp_path, {path: document(Path(path).parent.name)})
    skills, problems = found(tmp_path)
    assert skills == {
        "alone": "alone",
        "five": "deep/category/sub/five",
        "four": "skills/four",
        "one": "team/one",
        "two": "repository/skills/two",
    }
    assert problems == ()


def test_python_files_and_folders_live_side_by_side(tmp_path: Path) -> None:
    shout = 'from callboard import skill\n\n@skill\ndef shout(text: str) -> str:\n    """Say."""\n    return text\n'
    write(tmp_path, {"shout.py": shout, "pdf/SKILL.md": document("pdf"), "shout/SKILL.md": document("shout")})
    catalogue = Catalogue.load(tmp_path)
    assert (catalogue.get("shout").kind, catalogue.get("pdf").kind) == ("python", "folder")
    [problem] = catalogue.problems
    assert problem == (
        f"{tmp_path / 'shout'}: the skill 'shout' is left out, since the name is taken by {tmp_path / 'shout.py'}; "
        "rename it."
    )


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("bad", document("bad").replace("Does bad.", "Use: it: so"), "line 3: its YAML cannot be read: mapping values"),
        ("bad", "# Just a text\n", "line 1: it does not begin with front matter"),
        ("bad", b"\x89PNG\r\n\x1a\n\xff\x00", "it is no text in UTF-8"),
        ("bad", document("bad") + "x" * MAX_FILE_BYTES, "bytes, 1,000,000 are the most; split it"),
        ("bad", document("other"), "line 2: the name 'other' must be that of its folder, 'bad'"),
        ("bad", "---\nname: bad\n---\n", "line 1: `description` is missing"),
        (
            "Bad",
            "---\nname: Bad\n---\n",
            "must be a-z, 0-9 and single hyphens, none at its ends; line 1: `description`",
        ),
        ("calculate", document("calculate"), "the name is taken by builtin; rename it"),
        ("delegate", document("delegate"), "the name is Callboard's own"),
        ("async-work", document("async-work"), "the name is Callboard's own"),
        ("3d-print", document("3d-print"), "code cannot call it by that name, which begins with a digit; rename it"),
        ("import", document("import"), "the name means something else in Python; rename it"),
        ("bad", "", "line 1: it does not begin with front matter"),
    ],
)
def test_a_broken_one_is_reported_and_the_rest_loads(
    tmp_path: Path, name: str, content: str | bytes, reason: str
) -> None:
    write(tmp_path, {f"{name}/SKILL.md": content, "zz-good/SKILL.md": document("zz-good")})
    skills, [problem] = found(tmp_path)
    assert skills == {"zz-good": "zz-good"}
    assert problem.startswith(str(tmp_path / name))
    assert reason in problem


def test_of_two_with_one_name_the_first_is_taken(tmp_path: Path) -> None:
    write(tmp_path, {"a/pdf/SKILL.md": document("pdf"), "b/pdf/SKILL.md": document("pdf")})
    skills, [problem] = found(tmp_path)
    assert skills == {"pdf": "a/pdf"}
    assert problem.startswith(f"{tmp_path / 'b' / 'pdf'}: the skill 'pdf' is left out")


def test_links(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "skills", tmp_path / "elsewhere"
    write(elsewhere, {"mine/SKILL.md": document("mine"), "theirs/SKILL.md": document("theirs")})
    write(folder, {"collection/good/SKILL.md": document("good"), "torn/readme.md": "x", "out/readme.md": "x"})
    (folder / "mine").symlink_to(elsewhere / "mine")  # the operator's own link
    (folder / "collection" / "theirs").symlink_to(elsewhere / "theirs")  # a collection's, out of it
    (folder / "out" / "SKILL.md").symlink_to(elsewhere / "theirs" / "SKILL.md")
    (folder / "torn" / "SKILL.md").symlink_to("nowhere")
    skills, problems = found(folder)
    assert skills == {"good": "collection/good", "mine": "mine"}
    assert [problem.partition(" is left out: ")[2] for problem in problems] == [
        "its folder is a link that leads out of its collection; mend it and restart.",
        "it leads out of the skill's folder; mend it and restart.",
        "it is not there; mend it and restart.",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "folder" / "SKILL.md").mkdir(parents=True)  # not a file, so no skill
    write(tmp_path, {"ring/readme.md": "x", "good/SKILL.md": document("good")})
    (tmp_path / "ring" / "SKILL.md").symlink_to("SKILL.md")
    skills, [problem] = found(tmp_path)
    assert skills == {"good": "good"}
    assert "its links lead nowhere" in problem
