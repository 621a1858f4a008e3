"""A folder as a skill: it gives its instructions, its files and what its scripts return, and nothing from elsewhere."""

import ast
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callboard import AgentSystem, SkillContext, TaskError
from callboard.agent.skill import AnySkill
from callboard.agent.skill_folders.files import MAX_FILE_BYTES
from callboard.agent.skill_folders.skill import FolderSkill
from tests.agent.skill_folders.conftest import FORMS, Host, write

Make = Callable[..., FolderSkill]
RESTRICTED = FORMS.replace("metadata:", "allowed-tools: Read calculate Bash(git:*)\nmetadata:")


def test_what_is_known_of_it_without_reading_on(make: Make, tmp_path: Path) -> None:
    skill: AnySkill = make()
    assert (skill.name, skill.python_name, skill.kind, skill.replay) == ("pdf-forms", "pdf_forms", "folder", "pure")
    assert (skill.version, skill.origin) == ("1.10", str(tmp_path / "pdf-forms"))
    assert (skill.permissions, skill.approval) == ((), False)
    assert make(RESTRICTED).permissions == ("calculate", "read-file")


def test_its_stub_holds_its_description_and_nothing_of_its_body(make: Make) -> None:
    stub = make(FORMS.replace("Fill in", 'Fill """in\\')).stub
    [function] = ast.parse(stub).body
    assert isinstance(function, ast.FunctionDef)
    assert ast.unparse(function.args) == "file: str=..., arguments: list[str] | None=..."
    told = ast.get_docstring(function) or ""
    assert told.startswith("Fill '''in\\ and flatten PDF forms.")
    assert told.endswith("Call it without arguments for its instructions, and do as they say.")
    assert "# Forms" not in stub


def test_a_description_that_ends_in_a_quote_does_not_end_its_stub(make: Make) -> None:
    [function] = ast.parse(make('---\nname: pdf-forms\ndescription: Says "yes"\n---\nDo.\n').stub).body
    assert isinstance(function, ast.FunctionDef)
    assert 'Says "yes"' in (ast.get_docstring(function) or "")


def test_the_body_is_read_when_it_is_asked_for(make: Make, ctx: SkillContext) -> None:
    skill = make()
    body = skill.call((), {}, ctx)
    assert body.startswith("# Forms\n\nRead [the fields]")
    (skill.folder / "SKILL.md").write_text(FORMS.replace("# Forms", "# New"))
    assert skill.call((), {}, ctx).startswith("# New")
    assert skill.call(("SKILL.md",), {}, ctx) == skill.call((), {"file": "./SKILL.md"}, ctx)


def test_a_file_is_read_as_it_stands(make: Make, ctx: SkillContext) -> None:
    skill = make(files={"references/fields.md": "\ufeffName, größe\n", "a b/c.csv": "x\n"})
    assert skill.call(("references/fields.md",), {}, ctx) == "Name, größe\n"
    assert skill.call((), {"file": "a b/c.csv", "arguments": None}, ctx) == "x\n"


def test_a_file_that_is_not_there_names_those_that_are(make: Make, ctx: SkillContext) -> None:
    skill = make(files={"references/fields.md": "x", ".git/config": "x"})
    with pytest.raises(TaskError, match=r"'fields.md' is not there. Its files: SKILL.md, references/fields.md.$") as no:
        skill.call(("fields.md",), {}, ctx)
    assert no.value.code == "skill_failed"
    with pytest.raises(TaskError, match="'references' is no file"):
        skill.call(("references",), {}, ctx)


@pytest.mark.parametrize("path", ["../secret.txt", "/etc/hostname", "references/../../secret.txt", "..", "", "a\0b"])
def test_a_path_out_of_the_folder_is_refused(make: Make, ctx: SkillContext, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    with pytest.raises(TaskError, match="is no path within the skill's folder") as caught:
        make(files={"references/x.md": "x"}).call((path,), {}, ctx)
    assert caught.value.code == "path_refused"


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_not(
    make: Make, ctx: SkillContext, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    skill = make(files={"references/x.md": "x"})
    (skill.folder / "out.md").symlink_to(tmp_path / "secret.txt")
    (skill.folder / "up").symlink_to(tmp_path)
    (skill.folder / "in.md").symlink_to("references/x.md")
    (skill.folder / "ring").symlink_to("ring")
    for path in ("out.md", "up/secret.txt"):
        with pytest.raises(TaskError, match="leads out of the skill's folder") as caught:
            skill.call((path,), {}, ctx)
        assert caught.value.code == "path_refused"
    assert skill.call(("in.md",), {}, ctx) == "x"
    with pytest.raises(TaskError, match="'ring'"):
        skill.call(("ring",), {}, ctx)


def test_what_is_no_text_or_too_much_of_it_is_refused(make: Make, ctx: SkillContext) -> None:
    skill = make(files={"a.bin": b"PNG\xff\xfe", "b.bin": b"a\0b", "c.txt": b"x" * (MAX_FILE_BYTES + 1)})
    os.mkfifo(skill.folder / "pipe.md")
    for path, why in (
        ("a.bin", "is no text in UTF-8"),
        ("b.bin", "there are zero bytes"),
        ("c.txt", "has 1,000,001 bytes, 1,000,000 are the most; split it"),
        ("pipe.md", "is no file"),
        ("x" * 5000, "cannot be read"),
    ):
        with pytest.raises(TaskError, match=why):
            skill.call((path,), {}, ctx)


def test_a_document_that_has_been_broken_since_says_so(make: Make, ctx: SkillContext) -> None:
    skill = make()
    (skill.folder / "SKILL.md").write_text("no front matter")
    with pytest.raises(TaskError, match="has been changed, and line 1: it does not begin with front matter"):
        skill.call((), {}, ctx)


def test_arguments_have_a_python_script_run(make: Make, ctx: SkillContext, host: Host) -> None:
    skill = make(files={"scripts/count.py": "len(argv)"})
    assert skill.call(("scripts/count.py", ["a", "b"]), {}, ctx) == "ran"
    assert skill.call(("scripts/count.py",), {"arguments": []}, ctx) == "ran"
    assert skill.call(("scripts/count.py",), {}, ctx) == "len(argv)"
    assert host.ran == [("len(argv)", ["a", "b"], None), ("len(argv)", [], None)]
    assert host.names == ["scripts/count.py"] * 2


def test_a_script_that_is_not_python_or_not_there_is_not_run(make: Make, ctx: SkillContext, host: Host) -> None:
    skill = make(files={"scripts/count.sh": "wc", "scripts/b.py": b"\xff"})
    for path, why in (
        ("scripts/count.sh", "cannot run 'scripts/count.sh': the sandbox runs Python only. Read the file by leaving"),
        ("scripts/a.py", "is not there"),
        ("scripts/b.py", "is no text"),
        ("../a.py", "is no path within"),
    ):
        with pytest.raises(TaskError, match=why):
            skill.call((path, []), {}, ctx)
    assert host.ran == []


def test_allowed_tools_hold_for_what_follows_any_text_and_for_scripts(
    make: Make, ctx: SkillContext, host: Host
) -> None:
    allowed = frozenset({"calculate", "read-file", "pdf-forms"})
    skill = make(RESTRICTED, files={"references/x.md": "x", "scripts/a.py": "1"})
    skill.call((), {}, ctx)
    skill.call(("references/x.md",), {}, ctx)
    assert host.restricted == [allowed, allowed]
    skill.call(("scripts/a.py", []), {}, ctx)
    assert host.ran == [("1", [], allowed)]
    assert len(host.restricted) == 2


def test_without_allowed_tools_nothing_is_restricted(make: Make, ctx: SkillContext, host: Host) -> None:
    make().call((), {}, ctx)
    assert host.restricted == []


def test_what_could_not_be_enforced_is_not_given(make: Make) -> None:
    alone = SkillContext(task_id="t", session_id="s", effect_id="t:1")
    calls: list[tuple[Any, ...]] = [(), ("SKILL.md", []), ("scripts/a.py", [])]
    for arguments in calls:
        with pytest.raises(TaskError):
            make(RESTRICTED, files={"scripts/a.py": "1"}).call(arguments, {}, alone)
    assert make().call((), {}, alone).startswith("# Forms")


@pytest.mark.parametrize(
    ("args", "kwargs", "why"),
    [
        ((1,), {}, "argument file: give a text"),
        (("a.py", "b"), {}, "argument arguments: give a list of texts"),
        (("a.py", [1]), {}, "argument arguments: give a list of texts"),
        (("a", None, "b"), {}, "takes at most 2 arguments, 3 were given"),
        (("a",), {"file": "b"}, "got two values for the argument 'file'"),
        ((), {"path": "b"}, "has no argument 'path'"),
    ],
)
def test_arguments_that_do_not_fit_are_named(
    make: Make, ctx: SkillContext, args: tuple[Any, ...], kwargs: dict[str, Any], why: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=why):
        make().call(args, kwargs, ctx)


def test_a_binding_makes_no_call_and_names_what_is_left_out(make: Make) -> None:
    skill = make()
    assert skill.binding((), {"file": "not-there.md", "arguments": ["a"]}).defaults == {}
    assert skill.binding(("not-there.md",), {}).defaults == {"arguments": None}
    with pytest.raises(ValueError, match="argument file"):
        skill.binding((), {"file": 3})


# --- on a real system ---


def _run(system: AgentSystem, *lines: str) -> Any:
    return system.execute("\n".join(["```python", "from skills import pdf_forms", *lines, "```"]))


@pytest.fixture
def system(start_system: Callable[..., AgentSystem], tmp_path: Path) -> AgentSystem:
    script = "from skills import calculate\n[argv, calculate('6 * 7')]\n"
    refused = "from skills import weekday\nweekday('2026-01-01')\n"
    files: dict[str, str | bytes] = {"SKILL.md": RESTRICTED, "scripts/a.py": script, "scripts/b.py": refused}
    write(tmp_path / "skills" / "pdf-forms", files)
    return start_system(skills_dir=tmp_path / "skills")


def test_a_task_reads_it_and_runs_its_scripts(system: AgentSystem) -> None:
    assert _run(system, "pdf_forms()[:7]").output == "# Forms"
    assert _run(system, "pdf_forms('scripts/a.py', ['x'])").output == [["x"], 42]


def test_a_task_that_has_its_instructions_calls_nothing_but_its_allowed_tools(system: AgentSystem) -> None:
    assert _run(system, "from skills import calculate", "pdf_forms()", "calculate('1 + 1')").output == 2
    refused = _run(system, "from skills import weekday", "pdf_forms()", "weekday('2026-01-01')")
    assert (refused.error_code, refused.output) == ("skill_not_allowed", None)
    assert _run(system, "pdf_forms('scripts/b.py', [])").error_code == "skill_not_allowed"
    assert _run(system, "from skills import weekday", "weekday('2026-01-01')").output == "Thursday"
