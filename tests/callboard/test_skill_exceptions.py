"""What authors see of an exception in a skill: file and line in the task's log, the traceback in the server's, each once."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callboard import AgentSystem, Settings, TaskRecord
from callboard.agent import exceptions
from callboard.limits import TRACE_CHARS
from tests.callboard.harness import code, ended, submit
from tests.template import lay_history

SKILLS = '''
import json
import sys
from pathlib import Path

from callboard import RetryableError, SkillContext, skill

sys.path.insert(0, str(Path(__file__).parent))
import far_side
sys.path.pop(0)


@skill(replay="pure")
def divide(a: int, b: int) -> float:
    """Divide."""
    return a / b


@skill(replay="never")
def parse(text: str) -> object:
    """Read JSON."""
    return json.loads(text)


@skill(replay="pure")
def reach(name: str) -> str:
    """Ask the far side."""
    return far_side.ask(name)


@skill(replay="never")
def wrong(how: str) -> int:
    """Return what was not declared."""
    return how if how == "text" else object()


@skill(replay="pure")
def remark(text: str, *, ctx: SkillContext) -> str:
    """Note an object."""
    ctx.note("remark", object())
    return text


@skill(replay="never")
def jot(name: object, *, ctx: SkillContext) -> str:
    """Note something under a name that no database holds."""
    ctx.note({"nul": "a\\x00", "half": "a\\ud800"}.get(name, name), {"b\\x00": "c\\ud800"})
    return "jotted"


@skill(replay="never")
def give(what: str) -> object:
    """Return an object whose methods lie or fail."""
    return {"text": Text("a\\ud800"), "number": Number(7), "items": Items([1]), "keys": {1: 1, "1": 2}, "long": 10**5000}[what]


@skill(replay="pure")
def hand_over(what: str, *, ctx: SkillContext) -> str:
    """Hand an object to the model, or to a script."""
    if what == "prompt":
        return str(ctx.host.ask_model(object()))
    return str(ctx.host.run_script("argv", ["a", object()], None))


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Stop(BaseException):
    pass


class Text(str):
    def _fails(self, *_):
        raise RuntimeError("no such text")

    __str__ = __repr__ = __format__ = __iter__ = __getitem__ = __eq__ = replace = strip = isascii = partition = encode = _fails
    __hash__ = None

    def __len__(self):
        return 5


class Number(int):
    __int__ = __index__ = __str__ = __repr__ = __le__ = __ge__ = Text._fails


class Items(list):
    __iter__ = Text._fails


class Long(Exception):
    def __str__(self):
        return Text("x\\ud800" * 1_000_000)


Far = type("Far", (Exception,), {"__module__": "m\\ud800", "__name__": Text("n")})
Odd = type("Odd", (Exception,), {"__module__": Text("m")})


def surrogates():
    raise ValueError("in odd code")


surrogates.__code__ = surrogates.__code__.replace(co_name="f\\ud800" * 500, co_filename="/x/\\udfff\\ud800.py")


class Nameless(type):
    def __getattribute__(cls, name):
        if name in ("__name__", "__qualname__", "__module__"):
            raise RuntimeError("no name")
        return super().__getattribute__(name)


class Hidden(Exception, metaclass=Nameless):
    pass


@skill(replay="pure")
def fail(how: str) -> str:
    """Fail in one of many ways."""
    if how == "unspeakable":
        raise Unspeakable
    if how == "huge":
        raise ValueError("x" * 3_000_000)
    if how == "from":
        try:
            {}["key"]
        except KeyError as error:
            raise ValueError("outer") from error
    if how == "group":
        raise ExceptionGroup("both", [ValueError("one"), KeyError("two")])
    if how == "base":
        raise Stop("all of it")
    if how == "nameless":
        raise Hidden("who")
    if how == "long":
        raise Long
    if how == "far":
        raise Far("away")
    if how == "odd":
        raise Odd("one")
    if how == "surrogates":
        surrogates()
    if how == "exit":
        sys.exit(3)
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "deep":
        return fail.function("deep")
    if how == "retry":
        raise RetryableError("down")
    raise ValueError
'''
FAR = "from callboard import skill\n\n\ndef ask(name):\n    raise LookupError('nobody called ' + name)\n"
SCRIPT = "def f(x):\n    return 1 / x\n\n\nf(0)"


def line_of(words: str) -> int:
    return next(number for number, line in enumerate(SKILLS.splitlines(), start=1) if words in line)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authored")
    (folder / "sums.py").write_text(SKILLS)
    (folder / "far_side.py").write_text(FAR)
    scripts = folder / "counting" / "scripts"
    scripts.mkdir(parents=True)
    (folder / "counting" / "SKILL.md").write_text("---\nname: counting\ndescription: Counts.\n---\nBody.\n")
    (folder / "agents").mkdir()
    (folder / "agents" / "adder.yaml").write_text(
        "name: adder\ndescription: Adds.\nsystemPrompt: Add.\nskills: [divide]\n"
    )
    (scripts / "count.py").write_text(SCRIPT)
    (scripts / "typed.py").write_text("x = 1\ny = not_there")
    return folder


@pytest.fixture(scope="module")
def system(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentSystem]:
    data = tmp_path_factory.mktemp("data")
    settings = Settings(
        data_dir=data, port=0, rate_limit_max_requests=0, workers=2, skills_dir=folder, agents_dir=folder / "agents"
    )
    with AgentSystem.start(lay_history(settings)) as system:
        yield system


Failed = Callable[[str], tuple[TaskRecord, dict[str, Any]]]


@pytest.fixture
def failed(system: AgentSystem) -> Failed:
    """Return a function that runs code in which a call fails, and returns the task and the call's event."""

    def run(python: str) -> tuple[TaskRecord, dict[str, Any]]:
        task = ended(system, submit(system, code(python)))
        told = [dict(event.data) for event in system.events(task.task_id) if event.topic == "agent.skill.completed"]
        return task, next(data for data in told if not data["ok"])

    return run


def test_the_event_of_a_failed_call_names_type_file_and_line_of_the_authors_code(failed: Failed) -> None:
    task, told = failed("from skills import divide\ndivide(1, 0)")
    assert task.error == told["error"] == "The skill divide failed: ZeroDivisionError: division by zero"
    place = {"file": "sums.py", "line": line_of("return a / b"), "function": "divide"}
    assert told["exception"] == {"type": "ZeroDivisionError", **place}


def test_the_innermost_frame_is_told_too_where_the_authors_code_called_something(failed: Failed) -> None:
    _, told = failed("from skills import parse\nparse('{')")
    raised = told["exception"]
    assert (raised["type"], raised["file"], raised["line"]) == (
        "json.decoder.JSONDecodeError",
        "sums.py",
        line_of("json.loads"),
    )
    assert (raised["innermost"]["file"], raised["innermost"]["function"]) == ("json/decoder.py", "raw_decode")


def test_a_file_beside_the_skills_is_named_from_their_folder(failed: Failed, folder: Path) -> None:
    task, told = failed("from skills import reach\nreach('x')")
    raised = told["exception"]
    assert (raised["file"], raised["innermost"]) == ("sums.py", {"file": "far_side.py", "line": 5, "function": "ask"})
    assert str(folder) not in str(told), "the operator's paths are nobody's business"
    assert task.error is not None
    assert str(folder) not in task.error


@pytest.mark.parametrize(
    ("how", "words", "raised"),
    [
        ("unspeakable", "failed: Unspeakable: its text cannot be shown, since its __str__ raised RuntimeError", {}),
        ("huge", "failed: ValueError: xxx", {}),
        ("from", "failed: ValueError: outer", {"causes": ["KeyError: 'key'"]}),
        ("group", "failed: ExceptionGroup: both (2 sub-exceptions)", {"exceptions": ["ValueError: one", "KeyError: 'two'"]}),
        ("base", "failed: Stop: all of it", {"type": "Stop"}),
        ("nameless", "failed: Hidden: who", {"type": "Hidden"}),
        ("long", "failed: Long: x\ufffdx\ufffd", {"type": "Long"}),
        ("far", "failed: Far: away", {"type": "m\\ud800.Far"}),
        ("odd", "failed: Odd: one", {"type": "m.Odd"}),
        ("surrogates", "failed: ValueError: in odd code", {}),
        ("exit", "failed: SystemExit: 3", {}),
        ("interrupt", "failed: KeyboardInterrupt", {}),
        ("deep", "failed: RecursionError: maximum recursion depth exceeded", {}),
        ("retry", "is not available now: down", {"type": "callboard.agent.skill.RetryableError"}),
        ("empty", "failed: ValueError", {}),
    ],
)  # fmt: skip
def test_whatever_a_skill_raises_is_told_bounded_and_with_its_place(
    failed: Failed, caplog: pytest.LogCaptureFixture, how: str, words: str, raised: dict[str, Any]
) -> None:
    caplog.set_level(logging.WARNING, "callboard.skills")
    task, told = failed(f"from skills import fail\nfail({how!r})")
    assert told["error"].startswith(f"The skill fail {words}"), told
    assert len(told["error"]) < 2200
    assert task.error == told["error"]
    assert told["exception"]["file"] == "sums.py"
    assert told["exception"] | raised == told["exception"]
    logged = [record.getMessage() for record in caplog.records if record.name == "callboard.skills"]
    assert len(logged) == 1
    assert len(logged[0]) < 25_000
    assert "Traceback" in logged[0]


def test_the_servers_log_has_the_traceback_once_with_task_skill_and_call(
    failed: Failed, caplog: pytest.LogCaptureFixture, folder: Path
) -> None:
    caplog.set_level(logging.WARNING, "callboard.skills")
    task, _ = failed("from skills import divide\ndivide(4, 2)\ndivide(1, 0)")
    (record,) = [record for record in caplog.records if record.name == "callboard.skills"]
    said = record.getMessage()
    assert record.levelno == logging.WARNING
    assert f"the skill divide ({folder / 'sums.py'}) failed in call 2 of the task {task.task_id}" in said
    assert f'File "{folder / "sums.py"}", line {line_of("return a / b")}, in divide' in said
    assert said.count("Traceback") == 1
    assert said.endswith("ZeroDivisionError: division by zero")


def test_the_cause_of_an_exception_is_in_the_log(failed: Failed, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "callboard.skills")
    failed("from skills import fail\nfail('from')")
    assert "KeyError: 'key'" in caplog.text
    assert "The above exception was the direct cause" in caplog.text


def test_a_script_of_a_skills_folder_that_fails_names_its_file_and_line(
    failed: Failed, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "callboard.skills")
    task, told = failed("from skills import counting\ncounting('scripts/count.py', [])")
    assert told["exception"] == {"type": "ZeroDivisionError", "file": "counting/scripts/count.py", "line": 2}
    assert task.error == "The script counting/scripts/count.py (line 2) raised ZeroDivisionError: division by zero"
    assert 'File "counting/scripts/count.py", line 5' in caplog.text
    assert 'File "counting/scripts/count.py", line 2, in f' in caplog.text


def test_the_lines_of_a_script_that_cannot_be_run_are_those_of_its_file(failed: Failed) -> None:
    task, _ = failed("from skills import counting\ncounting('scripts/typed.py', [])")
    assert task.error is not None
    assert "The script counting/scripts/typed.py (line 2) raised NameError" in task.error


def test_a_delegated_tasks_failed_call_says_where_in_its_own_log(
    system: AgentSystem, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "callboard.skills")
    inner = code("from skills import divide\ndivide(1, 0)")
    task = ended(system, submit(system, code(f"from skills import delegate\ndelegate('adder', {inner!r})")))
    (started,) = [event.data for event in system.events(task.task_id) if event.topic == "agent.skill.started"]
    (below,) = [event.data for event in system.events(started["taskId"]) if event.topic == "agent.skill.completed"]
    assert below["exception"]["file"] == "sums.py"
    assert task.error is not None
    assert "ZeroDivisionError: division by zero" in task.error
    assert caplog.text.count("Traceback") == 1


@pytest.mark.parametrize(
    ("how", "came"),
    [
        ("text", "the str 'text' (Input should be a valid integer), and it is declared to return int"),
        ("object", "an object of the class object, which has no JSON form"),
    ],
)
def test_an_answer_that_is_not_what_the_signature_says_fails_the_call_and_names_the_function(
    failed: Failed, caplog: pytest.LogCaptureFixture, folder: Path, how: str, came: str
) -> None:
    caplog.set_level(logging.WARNING, "callboard.skills")
    task, told = failed(f"from skills import wrong\nwrong({how!r})")
    assert (task.error_code, task.output) == ("skill_failed", None)
    assert task.error is not None
    assert task.error.startswith(f"The skill wrong has run, but returned {came}")
    place = {"file": "sums.py", "line": line_of("def wrong") - 1, "function": "wrong"}
    assert told["exception"] == {"type": "callboard.agent.skill_answers.WrongAnswer", **place}
    (record,) = [record for record in caplog.records if record.name == "callboard.skills"]
    assert f'File "{folder / "sums.py"}", line {place["line"]}' in record.getMessage()
    assert "Traceback" not in record.getMessage()


def test_a_note_that_is_no_data_fails_the_call_where_it_was_made(failed: Failed) -> None:
    task, told = failed("from skills import remark\nremark('x')")
    assert task.error is not None
    assert "an object of the class object, which has no JSON form" in task.error
    assert told["exception"]["line"] == line_of("ctx.note")


@pytest.mark.parametrize("name", ["nul", "half"])
def test_the_name_of_a_note_is_mended_as_its_value_is(system: AgentSystem, name: str) -> None:
    task = ended(system, submit(system, code(f"from skills import jot\njot({name!r})")))
    assert (task.error, task.output) == (None, "jotted")
    assert task.metadata["notes"] == {"a\ufffd": {"b\ufffd": "c\ufffd"}}


@pytest.mark.parametrize(("what", "output"), [("text", "a\ufffd"), ("number", 7), ("long", f"1{'0' * 5000}")])
def test_an_answer_of_a_class_of_its_own_is_read_past_its_methods(system: AgentSystem, what: str, output: Any) -> None:
    task = ended(system, submit(system, code(f"from skills import give\ngive({what!r})")))
    assert (task.error, task.output) == (None, output)


@pytest.mark.parametrize(
    ("what", "words"), [("items", "whose own code raised RuntimeError"), ("keys", "two keys that are")]
)
def test_an_answer_that_would_lose_something_is_an_error(failed: Failed, what: str, words: str) -> None:
    task, _ = failed(f"from skills import give\ngive({what!r})")
    assert task.error_code == "skill_failed"
    assert words in str(task.error)


@pytest.mark.parametrize(
    ("what", "words"), [("prompt", "a model is asked in texts"), ("script", "a script's arguments are texts")]
)
def test_an_object_is_neither_a_prompt_nor_a_scripts_argument(failed: Failed, what: str, words: str) -> None:
    task, told = failed(f"from skills import hand_over\nhand_over({what!r})")
    assert f"TypeError: {words}" in str(task.error)
    assert told["exception"]["file"] == "sums.py"


@pytest.mark.parametrize(
    "call",
    [
        "from skills import calculate\ncalculate('1,250')",  # a built-in one's refusal
        "from skills import divide\ndivide(1, *[])",  # nothing of the skill has run
        "from skills import read_file\nread_file('../x')",
    ],
)
def test_what_a_skill_refuses_is_no_exception_of_its_code(
    system: AgentSystem, caplog: pytest.LogCaptureFixture, call: str
) -> None:
    caplog.set_level(logging.WARNING, "callboard.skills")
    task = ended(system, submit(system, code(call)))
    told = [dict(event.data) for event in system.events(task.task_id) if event.topic == "agent.skill.completed"]
    assert [data["ok"] for data in told] == [False]
    assert "exception" not in told[0]
    assert "Traceback" not in caplog.text


def test_a_file_that_cannot_be_imported_is_named_with_its_line_and_its_traceback_is_in_the_log(
    tmp_path: Path, start_system: Callable[..., AgentSystem], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "callboard.skills")
    (tmp_path / "late.py").write_text("import json\n\n\ndef f():\n    return json.loads('{')\n\n\nf()\n")
    system = start_system(skills_dir=tmp_path)
    (problem,) = system.skill_problems
    assert "late.py cannot be loaded (JSONDecodeError: Expecting property name" in problem
    assert "at line 5)" in problem
    (record,) = [record for record in caplog.records if record.name == "callboard.skills"]
    assert f'File "{tmp_path / "late.py"}", line 8, in <module>' in record.getMessage()


class Hostile(Exception):
    """Has its own ideas of what every exception has."""

    @property
    def __notes__(self) -> Any:  # type: ignore[override]
        raise SystemExit

    @property
    def __cause__(self) -> Any:  # type: ignore[override]
        raise SystemExit


def _of_many() -> BaseException:
    text = "member" * 10_000
    group = ExceptionGroup("many" * 10_000, [ValueError(text) for _ in range(10_000)])
    group.__notes__ = ["note" * 10_000] * 10_000
    raised: BaseException = group
    for number in range(1000):
        later = ValueError(f"{number}" * 10_000)
        later.__cause__, raised = raised, later
    return raised


@pytest.mark.parametrize(
    "make",
    [lambda: Hostile("hostile"), _of_many, lambda: ValueError("x" * 40_000_000)],
    ids=["hostile", "many", "long"],
)
def test_the_traceback_in_the_servers_log_is_bounded_whatever_was_raised(
    make: Callable[[], BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    raised = (
        make()
    )  # PERF: what is made for a parameter is kept by all processes of a run, from its beginning to its end
    caplog.set_level(logging.INFO, "callboard.skills")
    exceptions.log_import("some.py", raised)
    [line] = caplog.messages
    assert line.startswith("some.py cannot be loaded")
    assert type(raised).__name__ in line
    assert len(line) <= TRACE_CHARS + 100
