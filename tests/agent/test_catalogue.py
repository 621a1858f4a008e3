"""Skills are found where they are, and what is broken is reported and left out."""

import re
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from callboard.agent import catalogue as catalogue_module
from callboard.agent.catalogue import Catalogue
from callboard.errors import ConfigurationError, SkillNotFound, UnknownSkill

BUILT_IN = (
    "add-to-date",
    "calculate",
    "code-analysis",
    "convert-duration",
    "date-difference",
    "query-table",
    "summarize",
    "text-statistics",
    "web-search",
    "weekday",
)
GOOD = '''
from callboard import skill

@skill
def {name}(text: str) -> str:
    """Say it."""
    return text
'''


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_the_built_in_skills_are_found_by_looking() -> None:
    catalogue = Catalogue.load()
    assert catalogue.names == BUILT_IN
    assert catalogue.problems == ()
    assert {skill.origin for skill in catalogue.skills.values()} == {"builtin"}


def test_every_built_in_skill_has_a_schema_a_description_and_a_replay_policy() -> None:
    for skill in Catalogue.load().skills.values():
        assert skill.schema["type"] == "object"
        assert skill.description
        assert skill.replay == ("safe" if skill.name == "web-search" else "pure")


def test_loading_them_loads_no_heavy_library() -> None:
    code = (
        "import sys; from callboard.agent.catalogue import Catalogue; Catalogue.load().stubs();"
        "print([name for name in ('httpx', 'lizard', 'pydantic_monty') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_folder_adds_its_files(tmp_path: Path) -> None:
    write(tmp_path, shout=GOOD.format(name="shout"), _helper="raise RuntimeError('not a skill file')")
    (tmp_path / "notes.txt").write_text("not Python")
    catalogue = Catalogue.load(tmp_path)
    assert set(catalogue.names) - set(BUILT_IN) == {"shout"}
    assert catalogue.get("shout").origin == str(tmp_path / "shout.py")
    assert catalogue.get("shout")("hi") == "hi"
    assert catalogue.problems == ()


def test_one_file_may_hold_several_skills_and_only_its_own_count(tmp_path: Path) -> None:
    text = (
        GOOD.format(name="first")
        + GOOD.format(name="second")
        + "\nfrom callboard.agent.skills.calculate import calculate\n"
    )
    catalogue = Catalogue.load(write(tmp_path, pair=text))
    assert set(catalogue.names) - set(BUILT_IN) == {"first", "second"}
    assert catalogue.problems == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def broken(:\n", "SyntaxError.* at line 1"),
        ("import no_such_module_anywhere\n", "ModuleNotFoundError.*no_such_module_anywhere"),
        ("raise ValueError('boom')\n", "ValueError: boom"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("x = 1\n", "has no skill in it; decorate a function with @skill"),
        ("from callboard import skill\n@skill\ndef f(x):\n    'Say.'\n", "TypeError.* has no type"),
        (GOOD.format(name="calculate"), "'calculate' is left out, since the name is taken by builtin; rename it"),
        (GOOD.format(name="lambda_").replace("@skill", "@skill(name='lambda')"), "means something else in Python"),
        (GOOD.format(name="list"), "means something else in Python"),
        (GOOD.format(name="odd").replace("text: str", "text: 'Missing'"), "types cannot be described .*Missing"),
        (GOOD.format(name="odd").replace("text: str", "text: Exception"), "types cannot be described"),
    ],
)
def test_a_broken_file_is_reported_with_its_name_and_the_rest_loads(tmp_path: Path, text: str, reason: str) -> None:
    catalogue = Catalogue.load(write(tmp_path, aaa=text, shout=GOOD.format(name="shout")))
    assert set(catalogue.names) - set(BUILT_IN) == {"shout"}
    assert len(catalogue.problems) == 1
    problem = catalogue.problems[0]
    assert problem.startswith(str(tmp_path / "aaa.py"))
    assert re.search(reason, problem), problem


def test_a_name_taken_by_another_file_stays_with_the_first(tmp_path: Path) -> None:
    catalogue = Catalogue.load(write(tmp_path, a=GOOD.format(name="same"), b=GOOD.format(name="same")))
    assert catalogue.get("same").origin == str(tmp_path / "a.py")
    assert "taken by" in catalogue.problems[0]


def test_files_of_the_same_name_in_two_folders_do_not_meet(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, shout=GOOD.format(name="shout").replace("return text", f"return {folder!r}"))
    first, second = Catalogue.load(tmp_path / "one"), Catalogue.load(tmp_path / "two")
    assert first.get("shout")("") == "one"
    assert second.get("shout")("") == "two"


def test_a_missing_folder_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"CALLBOARD_SKILLS_DIR names .*nowhere, which is not a folder"):
        Catalogue.load(tmp_path / "nowhere")


def test_entry_points_of_installed_packages_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        callboard_test_plugin=GOOD.format(name="plugged") + GOOD.format(name="other"),
        callboard_test_bad="1 / 0",
    )
    monkeypatch.syspath_prepend(tmp_path)
    group = catalogue_module.ENTRY_POINTS
    found = EntryPoints(
        [
            EntryPoint("bad", "callboard_test_bad", group),
            EntryPoint("one", "callboard_test_plugin:plugged", group),
            EntryPoint("whole", "callboard_test_plugin", group),
        ]
    )
    monkeypatch.setattr(catalogue_module, "entry_points", lambda *, group: found.select(group=group))
    catalogue = Catalogue.load()
    assert catalogue.get("plugged").origin == "entry point one"
    assert catalogue.get("other").origin == "entry point whole"
    assert "entry point bad cannot be loaded (ZeroDivisionError" in catalogue.problems[0]


def test_an_unknown_name_lists_the_known_ones() -> None:
    catalogue = Catalogue.load()
    with pytest.raises(UnknownSkill, match="'fly', 'swim'; there are add-to-date, calculate") as caught:
        catalogue.require(["calculate", "fly", "swim", "fly"])
    assert caught.value.details == {"unknown": ["fly", "swim"], "known": list(BUILT_IN)}
    with pytest.raises(SkillNotFound, match="no skill 'fly'; there are add-to-date"):
        catalogue.get("fly")
    assert "fly" not in catalogue
    assert list(catalogue.require(["weekday", "calculate"])) == ["weekday", "calculate"]


def test_the_stubs_are_one_python_module() -> None:
    catalogue = Catalogue.load()
    text = catalogue.stubs()
    compile(text, "skills.pyi", "exec")
    assert text.startswith("from typing import Any, Literal\n")
    assert text.count("\ndef ") == len(catalogue)
    assert catalogue.stubs(["weekday"]).count("\ndef ") == 1


def test_the_skills_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        Catalogue.load().skills["x"] = None  # type: ignore[index]  # what is tested
