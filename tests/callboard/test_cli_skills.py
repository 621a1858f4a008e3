"""`callboard skills list`, `show`, `validate` and `add`: none of them needs a server."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from callboard import __version__
from callboard.cli.main import main

SHOUT = '''from callboard import skill


@skill(replay="safe", approval=True, permissions=("network", "files"), version="2.1")
def shout(text: str) -> str:
    """Say it loudly."""
    return text.upper()
'''
PDF = "---\nname: pdf\ndescription: Reads PDFs.\nmetadata:\n  version: '3'\nallowed-tools: Read Bash(git:*)\n---\n\nDo it.\n"
BROKEN = "---\nname: Broken\ndescription: Use it: when?\n---\n"

Run = Callable[..., Result]


def names(folder: Path) -> list[str]:
    """Return what lies in a folder, but for what Python leaves there when it imports a skill."""
    return sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")


@pytest.fixture
def skills_dir(tmp_path: Path) -> Path:
    """A folder with one skill of each kind."""
    folder = tmp_path / "skills"
    (folder / "pdf").mkdir(parents=True)
    (folder / "pdf" / "SKILL.md").write_text(PDF)
    (folder / "shout.py").write_text(SHOUT)
    return folder


@pytest.fixture
def run(skills_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `callboard skills` with this folder, where no server answers."""
    monkeypatch.setenv("CALLBOARD_SKILLS_DIR", str(skills_dir))
    monkeypatch.setenv("CALLBOARD_PORT", "9")  # where nothing listens
    return lambda *words: CliRunner().invoke(main, ["skills", *map(str, words)])


# --- list and show ---


def test_the_list_says_where_each_is_from_and_what_may_happen_to_it(run: Run, skills_dir: Path) -> None:
    done = run("list")
    told = "No server answers. The skills that a server with these settings would load.\n"
    assert (done.exit_code, done.stderr) == (0, told)
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert "name" not in lines
    assert run().stdout == done.stdout
    assert lines["calculate"] == ["calculate", "python", "pure", "no", __version__, "builtin"]
    assert lines["pdf"] == ["pdf", "folder", "pure", "no", "3", str(skills_dir / "pdf")]
    assert lines["shout"] == ["shout", "python", "safe", "yes", "2.1", str(skills_dir / "shout.py")]


def test_the_list_as_json_has_the_problems(run: Run, skills_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (skills_dir / "bad").mkdir()
    (skills_dir / "bad" / "SKILL.md").write_text(BROKEN)
    monkeypatch.setenv("CALLBOARD_APPROVE_SKILLS", "pd*")
    done = run("list", "--json")
    told = json.loads(done.stdout)
    found = {row["name"]: row for row in told["skills"]}
    assert (done.exit_code, found["pdf"]["approval"], found["weekday"]["approval"]) == (0, True, False)
    assert found["shout"]["permissions"] == ["network", "files"]
    assert found["pdf"]["permissions"] == ["read-file"]
    [problem] = told["problems"]
    assert problem.startswith(str(skills_dir / "bad" / "SKILL.md"))
    assert problem in run("list").stderr.replace("\n", " ")


def test_one_is_shown_with_its_declaration(run: Run) -> None:
    done = run("show", "shout")
    assert done.exit_code == 0
    assert "permissions  network, files" in done.stdout.splitlines()
    assert "approval     yes" in done.stdout.splitlines()
    assert 'def shout(text: str) -> str:\n    """Say it loudly."""' in done.stdout
    shown = json.loads(run("show", "shout", "--json").stdout)
    assert (shown["schema"]["required"], shown["kind"], shown["stub"][:9]) == (["text"], "python", "def shout")


def test_one_that_is_not_there(run: Run) -> None:
    done = run("show", "fly")
    assert (done.exit_code, done.stdout) == (4, "")
    assert "There is no skill 'fly'; there are add-to-date" in done.stderr


def test_it_runs_as_a_program_and_tells_a_setting_that_cannot_work(tmp_path: Path) -> None:
    environment = {**os.environ, "CALLBOARD_SKILLS_DIR": str(tmp_path / "nowhere")}
    command = [sys.executable, "-m", "callboard", "skills", "list", "--local"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (78, "")
    assert "CALLBOARD_SKILLS_DIR names" in done.stderr


# --- validate ---


def test_everything_in_a_folder_is_examined(run: Run, skills_dir: Path) -> None:
    done = run("validate", skills_dir)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"ok {skills_dir / 'shout.py'} (shout)",
        f"ok {skills_dir / 'pdf' / 'SKILL.md'} (pdf)",
        "  note  SKILL.md:6 `allowed-tools`: Bash(git:*) grants nothing, since Callboard has no such tool",
    ]


def test_every_problem_is_told_with_its_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "SKILL.md").write_text("---\nname: Bad\nlicense: [x]\n---\n")
    for path in (tmp_path / "bad", tmp_path / "bad" / "SKILL.md"):
        done = run("validate", path, "--json")
        told = json.loads(done.stdout)
        [report] = told["reports"]
        assert (done.exit_code, told["valid"], report["valid"], report["skills"]) == (1, False, False, [])
        assert [(finding["level"], finding["line"]) for finding in report["findings"]] == [
            ("error", 2),  # not a-z
            ("error", 2),  # not its folder's
            ("error", 1),  # no description
            ("error", 3),  # the license is no text
            ("note", None),  # no instructions
        ]
    assert "error SKILL.md:3 `license` is no text" in run("validate", tmp_path / "bad").stdout


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("x = 1\n", None, "it has no skill in it; decorate a function with @skill"),
        ("x = 1\ndef broken(:\n", 2, "SyntaxError"),
        ("x = 1\n\nraise ValueError('boom')\n", 3, "ValueError: boom"),
        (SHOUT.replace("text: str", "text"), 4, "has no type"),
        (SHOUT.replace("def shout", "def weekday"), 4, "the name is taken by builtin"),
        (SHOUT.replace("text: str", "text: 'Missing'"), 4, "types cannot be described"),
    ],
)
def test_a_python_file_with_a_problem(run: Run, tmp_path: Path, text: str, line: int | None, message: str) -> None:
    (tmp_path / "some.py").write_text(text)
    done = run("validate", tmp_path / "some.py", "--json")
    [finding] = json.loads(done.stdout)["reports"][0]["findings"]
    assert (done.exit_code, finding["line"]) == (1, line)
    assert message in finding["message"]


def test_two_of_one_name_in_a_folder(run: Run, skills_dir: Path) -> None:
    (skills_dir / "again.py").write_text(SHOUT)
    done = run("validate", skills_dir)
    assert done.exit_code == 1
    assert f"the name is taken by {skills_dir / 'again.py'}" in done.stdout


def test_scripts_that_the_sandbox_cannot_run_are_notes(run: Run, skills_dir: Path) -> None:
    scripts = skills_dir / "pdf" / "scripts"
    scripts.mkdir()
    (scripts / "a.sh").write_text("ls")
    (scripts / "b.py").write_text("1 +\n")
    (scripts / "c.py").write_text("import sys, json, os.path\nfrom skills import calculate\nsys.argv\n")
    (scripts / "d.py").write_text(
        "import sys\nimport argparse\ntry:\n    import yaml\nexcept ImportError:\n    yaml = None\n"
    )
    done = run("validate", skills_dir / "pdf")
    assert done.exit_code == 0
    assert "scripts/a.sh cannot be run: the sandbox runs Python only; it can be read" in done.stdout
    assert "scripts/b.py cannot be run: SyntaxError" in done.stdout
    assert "scripts/c.py" not in done.stdout
    assert [line for line in done.stdout.splitlines() if "d.py" in line] == [
        "  note  SKILL.md scripts/d.py cannot be run: the sandbox has no argparse, which it imports at line 2; take the "
        "arguments from sys.argv"
    ]


def test_a_relative_path_is_one(run: Run, skills_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(skills_dir / "pdf")
    assert run("validate", ".").exit_code == 0
    assert run("validate", "SKILL.md").exit_code == 0


def test_what_holds_no_skill_at_all(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    for path, message in (("nowhere", "There is nothing at"), ("empty", "There is no skill in")):
        done = run("validate", tmp_path / path)
        assert (done.exit_code, message in done.stderr) == (4, True)
    done = run("validate", tmp_path / "notes.txt")
    assert (done.exit_code, "neither a Python file nor a SKILL.md" in done.stdout) == (1, True)


def test_what_a_server_would_load_is_valid_however_deep_it_lies(run: Run, tmp_path: Path) -> None:
    deep = tmp_path / "category" / "sub" / "deep-two"
    deep.mkdir(parents=True)
    (deep / "skill.md").write_text(PDF.replace("name: pdf", "name: deep-two"))
    done = run("validate", tmp_path / "category")
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, f"ok {deep / 'skill.md'} (deep-two)")


def test_what_looks_like_a_skill_and_would_not_be_loaded_is_not_valid(run: Run, skills_dir: Path) -> None:
    (skills_dir / "forms.zip").write_text("PK")
    (skills_dir / "tools").mkdir()
    (skills_dir / "tools" / "yell.py").write_text(SHOUT.replace("shout", "yell"))
    done = run("validate", skills_dir)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert f"broken {skills_dir / 'forms.zip'}" in lines
    assert "  error forms.zip it is an archive, which is not opened; unpack it here and remove it" in lines
    assert f"broken {skills_dir / 'tools' / 'yell.py'}" in lines
    assert f"ok {skills_dir / 'shout.py'} (shout)" in lines


def test_what_is_ignored_is_listed_and_does_no_harm(run: Run, skills_dir: Path) -> None:
    (skills_dir / "_common.py").write_text("1 / 0\n")
    (skills_dir / "README.md").write_text("# Ours\n")
    done = run("validate", skills_dir)
    assert done.exit_code == 0
    assert f"skipped {skills_dir / '_common.py'}" in done.stdout.splitlines()
    assert "  note  README.md it is neither a Python file nor a folder with a SKILL.md, and not read" in done.stdout
    (skills_dir / "shout.py").unlink()
    (skills_dir / "pdf" / "SKILL.md").unlink()
    done = run("validate", skills_dir)
    assert (done.exit_code, "There is no skill in" in done.stderr) == (4, True)
    assert "Not read there: README.md, _common.py." in done.stderr


def test_it_says_just_what_the_server_says(run: Run, skills_dir: Path) -> None:
    files = {
        "repo/plugins/a/skills/one/SKILL.md": PDF.replace("name: pdf", "name: one"),
        "z/weekday/SKILL.md": PDF.replace("name: pdf", "name: weekday"),
        "other/pdf/SKILL.md": PDF,
        "Bad/SKILL.md": BROKEN,
        "loose.md": PDF,
        "again.py": SHOUT,
        "empty.py": "x = 1\n",
        "notes.txt": "x",
    }
    for path, text in files.items():
        (skills_dir / path).parent.mkdir(parents=True, exist_ok=True)
        (skills_dir / path).write_text(text)
    reports = json.loads(run("validate", skills_dir, "--json").stdout)["reports"]
    listed = json.loads(run("list", "--json").stdout)
    loaded = {row["name"] for row in listed["skills"] if row["origin"] != "builtin"}
    assert {name for report in reports for name in report["skills"]} == loaded == {"one", "pdf", "shout"}
    broken = [report["path"] for report in reports if not report["valid"]]
    assert len(broken) == len(listed["problems"]) == 6
    assert all(any(path.removesuffix("/SKILL.md") in problem for problem in listed["problems"]) for path in broken)


def test_a_file_of_a_skill_is_no_skill_and_is_not_run(run: Run, skills_dir: Path) -> None:
    (skills_dir / "pdf" / "scripts").mkdir()
    for path in ("pdf/scripts/a.py", "pdf/run.py"):
        (skills_dir / path).write_text("raise SystemExit('it was run')\n")
        done = run("validate", skills_dir / path)
        assert done.exit_code == 1
        assert f"it is a file of the skill in {skills_dir / 'pdf'}, and no skill by itself" in done.stdout


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pdf.skill", "PK", "it is an archive, which is not opened"),
        ("pdf.md", PDF, "it lies loose, and a skill is a folder; move it to"),
        ("_shout.py", SHOUT, "its name begins with _, so it is not loaded"),
        ("shout.pyi", SHOUT, "it is neither a Python file nor a SKILL.md"),
    ],
)
def test_a_file_that_no_server_loads(run: Run, tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    done = run("validate", tmp_path / name)
    assert (done.exit_code, message in done.stdout) == (1, True)


# --- add ---


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A folder with skills to add."""
    folder = tmp_path / "new"
    for path, text in {
        "forms/SKILL.md": PDF.replace("name: pdf", "name: forms"),
        "forms/references/x.md": "x",
        "forms/.git/config": "not copied",
        "pdf/SKILL.md": PDF.replace("Reads", "Draws"),
        "bad/SKILL.md": BROKEN,
        "yell.py": SHOUT.replace("shout", "yell"),
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def test_a_folder_and_a_file_are_copied(run: Run, skills_dir: Path, new: Path) -> None:
    done = run("add", new / "forms")
    assert done.exit_code == 0
    assert done.stdout == f"added forms as {skills_dir / 'forms'}; restart the server to load it\n"
    copied = sorted(str(path.relative_to(skills_dir)) for path in (skills_dir / "forms").rglob("*") if path.is_file())
    assert copied == ["forms/SKILL.md", "forms/references/x.md"]
    told = json.loads(run("add", new / "yell.py", "--json").stdout)
    assert told == {"added": str(skills_dir / "yell.py"), "skills": ["yell"]}
    assert json.loads(run("show", "yell", "--json").stdout)["origin"] == str(skills_dir / "yell.py")
    assert names(skills_dir) == ["forms", "pdf", "shout.py", "yell.py"]


def test_a_broken_one_is_not_added(run: Run, skills_dir: Path, new: Path) -> None:
    done = run("add", new / "bad")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "SKILL.md:3 its YAML cannot be read" in done.stderr
    assert not (skills_dir / "bad").exists()


def test_what_is_there_is_replaced_with_force_only(run: Run, skills_dir: Path, new: Path) -> None:
    (skills_dir / "pdf" / "old.md").write_text("x")
    done = run("add", new / "pdf")
    assert done.exit_code == 1
    assert f"{skills_dir / 'pdf'} is there already; give --force to replace it." in done.stderr
    assert (skills_dir / "pdf" / "SKILL.md").read_text() == PDF
    assert run("add", new / "pdf", "--force").exit_code == 0
    assert "Draws" in (skills_dir / "pdf" / "SKILL.md").read_text()
    assert not (skills_dir / "pdf" / "old.md").exists()
    assert names(skills_dir) == ["pdf", "shout.py"]


def test_a_name_that_another_file_has_is_refused(run: Run, skills_dir: Path, new: Path) -> None:
    (new / "loud.py").write_text(SHOUT)
    done = run("add", new / "loud.py", "--force")
    assert done.exit_code == 1
    assert f"the skill 'shout' is there already, in {skills_dir / 'shout.py'}" in done.stderr
    assert not (skills_dir / "loud.py").exists()


def test_a_link_out_of_the_folder_is_not_added(run: Run, skills_dir: Path, new: Path) -> None:
    (new / "forms" / "out.md").symlink_to(new / "yell.py")
    done = run("add", new / "forms")
    assert (done.exit_code, "leads out of the skill's folder" in done.stderr) == (1, True)
    assert not (skills_dir / "forms").exists()


def test_what_is_no_file_is_not_added(run: Run, skills_dir: Path, new: Path) -> None:
    os.mkfifo(new / "forms" / "pipe")
    done = run("add", new / "forms")
    assert (done.exit_code, "cannot be copied" in done.stderr) == (1, True)
    assert names(skills_dir) == ["pdf", "shout.py"]


def test_a_link_to_a_skill_is_added_under_its_own_name(run: Run, skills_dir: Path, new: Path) -> None:
    (new / "forms").rename(new / "forms-2.0")
    (new / "forms").symlink_to("forms-2.0")
    assert run("add", new / "forms").exit_code == 0
    assert (skills_dir / "forms" / "SKILL.md").is_file()
    assert not (skills_dir / "forms").is_symlink()


def test_what_cannot_be_added_at_all(run: Run, skills_dir: Path, new: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (new / "bad" / "SKILL.md").unlink()
    done = run("add", new)
    assert (done.exit_code, "is a folder of skills; add them one by one" in done.stderr) == (1, True)
    assert "is in CALLBOARD_SKILLS_DIR already" in run("add", skills_dir / "pdf", "--force").stderr
    monkeypatch.delenv("CALLBOARD_SKILLS_DIR")
    done = run("add", new / "forms")
    assert (done.exit_code, "CALLBOARD_SKILLS_DIR is not set" in done.stderr) == (78, True)


def test_the_folder_is_made_where_there_is_none(
    run: Run, tmp_path: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBOARD_SKILLS_DIR", str(tmp_path / "fresh" / "skills"))
    assert run("add", new / "forms" / "SKILL.md").exit_code == 0
    assert (tmp_path / "fresh" / "skills" / "forms" / "SKILL.md").is_file()
