"""Skills are found where they are, and what is broken is reported and left out."""

import ast
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from callboard import SkillContext, __version__, skill
from callboard.agent import skill_loader
from callboard.agent.cancel import CancelToken
from callboard.agent.catalogue import Catalogue
from callboard.agent.skill import Skill
from callboard.agent.stubs import twin
from callboard.errors import ConfigurationError, SkillNotFound, SkillNotReady, UnknownSkill

BUILT_IN = (
    "add-to-date",
    "calculate",
    "code-analysis",
    "convert-duration",
    "convert-number",
    "convert-units",
    "date-difference",
    "delete-file",
    "describe-table",
    "factorize",
    "find-secrets",
    "list-files",
    "query-table",
    "read-file",
    "security-scan",
    "summarize",
    "text-statistics",
    "web-fetch",
    "web-search",
    "weekday",
    "write-file",
)
SAFE = {"delete-file", "list-files", "read-file", "web-fetch", "web-search", "write-file"}
GOOD = '''
from callboard import skill

@skill
def {name}(text: str) -> str:
    """Say it."""
    return text
'''


CTX = SkillContext(task_id="t", session_id="s", effect_id="t:1")


def call(catalogue: Catalogue, name: str, *arguments: object) -> object:
    return catalogue.get(name).call(arguments, {}, CTX)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_the_built_in_skills_are_found_by_looking() -> None:
    catalogue = Catalogue.load()
    assert catalogue.names == BUILT_IN
    assert catalogue.problems == ()
    told = {(found.origin, found.version, found.kind) for found in catalogue.skills.values()}
    assert told == {("builtin", __version__, "python")}


def test_every_built_in_skill_has_a_schema_a_description_and_a_replay_policy() -> None:
    for found in Catalogue.load().skills.values():
        assert found.schema["type"] == "object"
        assert found.description
        assert found.replay == ("safe" if found.name in SAFE else "pure")


def test_loading_them_loads_no_heavy_library() -> None:
    code = (
        "import sys; from callboard.agent.catalogue import Catalogue; Catalogue.load().stubs();"
        "print([name for name in ('bandit', 'httpx', 'lizard', 'pydantic_monty') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_folder_adds_its_files(tmp_path: Path) -> None:
    write(tmp_path, shout=GOOD.format(name="shout"), _helper="raise RuntimeError('not a skill file')")
    (tmp_path / "notes.txt").write_text("not Python")
    catalogue = Catalogue.load(tmp_path)
    assert set(catalogue.names) - set(BUILT_IN) == {"shout"}
    assert catalogue.get("shout").origin == str(tmp_path / "shout.py")
    assert call(catalogue, "shout", "hi") == "hi"
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


def test_a_hundred_files_and_folders_start_in_time(tmp_path: Path) -> None:
    """The bound is some seven times what it takes, so that it fails for a blow-up and not on a busy machine."""
    for number in range(100):
        write(tmp_path, **{f"tool_{number}": GOOD.format(name=f"tool_{number}")})
        (tmp_path / f"folder-{number}").mkdir()
        text = f"---\nname: folder-{number}\ndescription: Number {number}.\n---\nBody.\n"
        (tmp_path / f"folder-{number}" / "SKILL.md").write_text(text)
    Catalogue.load()
    started_s = time.process_time()
    catalogue = Catalogue.load(tmp_path)
    assert time.process_time() - started_s < 0.7
    assert (len(catalogue), catalogue.problems) == (len(BUILT_IN) + 200, ())


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
        (GOOD.format(name="odd").replace("text: str", "text: list[dict[str, Exception]]"), "types cannot be described"),
        (GOOD.format(name="delegate"), "the name is Callboard's own"),
        (GOOD.format(name="async_shout"), "the name is Callboard's own"),
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
    assert call(first, "shout", "") == "one"
    assert call(second, "shout", "") == "two"


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
    group = skill_loader.ENTRY_POINTS
    found = EntryPoints(
        [
            EntryPoint("bad", "callboard_test_bad", group),
            EntryPoint("one", "callboard_test_plugin:plugged", group),
            EntryPoint("whole", "callboard_test_plugin", group),
        ]
    )
    monkeypatch.setattr(skill_loader, "entry_points", lambda *, group: found.select(group=group))
    catalogue = Catalogue.load()
    assert catalogue.get("plugged").origin == "entry point one"
    assert catalogue.get("other").origin == "entry point whole"
    assert "entry point bad cannot be loaded (ZeroDivisionError" in catalogue.problems[0]


def test_an_entry_points_version_is_that_of_its_package_unless_the_skill_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = GOOD.format(name="plugged") + GOOD.format(name="other").replace("@skill", "@skill(version='9')")
    write(tmp_path, callboard_test_versions=text)
    about = tmp_path / "some_package-4.5.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: some-package\nVersion: 4.5\n")
    (about / "entry_points.txt").write_text("[callboard.skills]\nversions = callboard_test_versions\n")
    monkeypatch.syspath_prepend(tmp_path)
    catalogue = Catalogue.load()
    assert (catalogue.get("plugged").version, catalogue.get("other").version) == ("4.5", "9")


@skill(approval=True)
def pay(amount: int) -> int:
    """Pay."""
    return amount


@skill
def report(amount: int) -> int:
    """Report."""
    return amount


def test_skills_of_other_origins_come_last_and_keep_their_own() -> None:
    taken = replace(report, name="calculate", origin="elsewhere")
    catalogue = Catalogue.load(more=[replace(pay, origin="the server x"), taken])
    assert catalogue.get("pay").origin == "the server x"
    assert catalogue.get("calculate").origin == "builtin"
    assert catalogue.problems == (
        "elsewhere: the skill 'calculate' is left out, since the name is taken by builtin; rename it.",
    )


def test_only_the_wiring_may_offer_a_skill_called_delegate() -> None:
    ours, theirs = replace(pay, name="delegate", origin="builtin"), replace(pay, name="delegate", origin="elsewhere")
    assert "delegate" in Catalogue.load(more=[ours])
    assert "delegate" not in Catalogue.load(more=[theirs])


def test_approval_is_asked_for_by_the_skill_or_by_a_pattern() -> None:
    skills = [pay, report]
    assert not Catalogue(skills).needs_approval("report")
    assert Catalogue(skills).needs_approval("pay")
    catalogue = Catalogue.load(more=skills, approve=["rep*", "week???"])
    assert [name for name in catalogue.names if catalogue.needs_approval(name)] == ["pay", "report", "weekday"]
    assert not catalogue.needs_approval("no-such-skill")
    assert catalogue.problems == ()


def test_a_pattern_that_no_skill_matches_is_a_problem() -> None:
    [problem] = Catalogue.load(approve=["Weekday", "weekday"]).problems
    assert problem.startswith("CALLBOARD_APPROVE_SKILLS names 'Weekday', and no skill is called that")


class Late:
    """A server that has not come yet."""

    trouble = "The MCP server odd is still starting."

    def wait(self, token: CancelToken) -> bool:
        raise AssertionError(f"nobody waits here: {token}")


def tool(name: str, origin: str = "mcp server odd") -> Skill[[int], int]:
    return replace(report, name=name, origin=origin)


def test_tools_join_the_skills_and_a_name_stays_with_whoever_had_it_first() -> None:
    own = Catalogue.load(more=[pay], approve=["odd-p*", "a-*"])
    first = own.with_tools([tool("odd-put"), tool("a-b-c", "mcp server a-b"), tool("pay")], {})
    assert {"pay", "odd-put", "a-b-c", "calculate"} <= set(first.names)
    assert first.get("pay").origin != "mcp server odd"
    assert first.needs_approval("odd-put")
    # another server has come, which stands before the other in the configuration
    second = own.with_tools([tool("a-b-c", "mcp server a"), tool("a-b-c", "mcp server a-b")], {}, before=first)
    assert second.get("a-b-c").origin == "mcp server a-b"
    assert second.needs_approval("a-b-c")
    assert "odd-put" not in second
    assert second.failures == ()
    taken, unused = second.warnings
    assert taken.startswith("mcp server a: the skill 'a-b-c' is left out, since the name is taken by mcp server a-b")
    assert "'odd-p*', and no skill is called that" in unused
    assert own.names == Catalogue.load(more=[pay]).names


def test_a_name_that_a_late_server_may_have_is_neither_known_nor_unknown() -> None:
    catalogue = Catalogue.load(approve=["odd-x", "od?-*", "weekdax"]).with_tools([tool("odd-known")], {"odd": Late()})
    assert [told.split("'")[1] for told in catalogue.warnings] == ["weekdax"]
    with pytest.raises(SkillNotReady, match=r"'odd-new' is not there yet\. The MCP server odd is still starting"):
        catalogue.require(["calculate", "odd-new"])
    with pytest.raises(SkillNotReady):
        catalogue.get("odd-new")
    with pytest.raises(UnknownSkill) as caught:
        catalogue.require(["odd-new", "oddly"])
    assert caught.value.details is not None
    assert caught.value.details["unknown"] == ["oddly"]
    assert catalogue.require(["odd-known"])
    assert catalogue.late("odd-known") is None
    assert catalogue.late("odd_new") is not None


def test_a_name_as_code_writes_it_is_answered_with_the_skills_own() -> None:
    catalogue = Catalogue.load()
    with pytest.raises(
        UnknownSkill, match=r"'Web_Search', 'fly', 'read_file'; did you mean web-search, read-file\? There"
    ):
        catalogue.require(["Web_Search", "fly", "read_file", "calculate"])
    with pytest.raises(SkillNotFound, match=r"no skill 'web_search'; did you mean web-search\? There are add-to-date"):
        catalogue.get("web_search")


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
    assert "async" not in text


def test_the_twins_have_the_signatures_of_their_skills_and_no_docstrings() -> None:
    catalogue = Catalogue.load(more=[pay])
    module = ast.parse(catalogue.stubs(twins=True))
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    twins = {node.name: node for node in module.body if isinstance(node, ast.AsyncFunctionDef)}
    assert len(functions) == len(catalogue)
    assert twins.keys() == {f"async_{name}" for name in functions}
    for name, function in functions.items():
        other = twins[f"async_{name}"]
        assert ast.dump(other.args) == ast.dump(function.args)
        assert ast.unparse(other.returns or function) == ast.unparse(function.returns or other)
        assert (ast.get_docstring(other), bool(ast.get_docstring(function))) == (None, True)


@pytest.mark.parametrize("stub", ["", "x = 1", "def a(): ...\ndef b(): ...", "def a(:"])
def test_a_stub_that_is_not_one_function_has_no_twin(stub: str) -> None:
    with pytest.raises(SyntaxError):
        twin(stub)


def test_the_skills_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        Catalogue.load().skills["x"] = None  # type: ignore[index]  # what is tested


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "SystemExit(3)", "GeneratorExit", "BaseException('own')"])
def test_a_file_that_raises_what_ends_programs_is_left_out_like_any_other(tmp_path: Path, raised: str) -> None:
    (tmp_path / "ends.py").write_text(f"raise {raised}\n")
    assert "ends.py cannot be loaded" in str(Catalogue.load(tmp_path).problems)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_being_told_to_end_while_a_file_is_imported_ends_the_start_and_handlers_set_there_are_taken_off(
    tmp_path: Path, number: signal.Signals
) -> None:
    class Told(BaseException):
        pass

    def handle(_number: int, _frame: object) -> None:
        raise Told

    (tmp_path / "a_sets.py").write_text(f"import signal\nsignal.signal({int(number)}, signal.SIG_IGN)\n")
    (tmp_path / "b_waits.py").write_text(f"import os, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(20)\n")
    before = signal.signal(number, handle)
    try:
        with pytest.raises(Told):
            Catalogue.load(tmp_path)
        assert signal.getsignal(number) is handle
    finally:
        signal.signal(number, before)


ODD_MODULES = {
    "a class of its own": "import sys\nclass M(type(sys)):\n  def __getattribute__(s, n): raise SystemExit\n"
    "sys.modules[__name__].__class__ = M\n",
    "no attributes": "def __getattr__(name): raise SystemExit(2)\n",
    "an object that does not say what it is": "class B:\n  def __getattribute__(s, n): raise SystemExit\nb = B()\n",
    "a class that answers no question": "class T(type):\n  def __getattribute__(s, n): raise SystemExit\nclass B(metaclass=T): pass\nb = B()\n",
    "an end of its objects": "class X:\n  def __del__(s): raise SystemExit\nX()\n",
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("odd", ODD_MODULES)
def test_whatever_a_file_has_in_it_the_others_are_loaded(tmp_path: Path, odd: str) -> None:
    known = set(sys.modules)
    (tmp_path / "a_odd.py").write_text(ODD_MODULES[odd])
    (tmp_path / "good.py").write_text(
        'from callboard import skill\n\n\n@skill(replay="pure")\ndef good() -> str:\n    """Say it."""\n    return "good"\n'
    )
    try:
        assert "good" in Catalogue.load(tmp_path).skills
    finally:
        for name in set(sys.modules) - known:  # whoever looks through them later, as pytest does, trips over an odd one
            del sys.modules[name]
