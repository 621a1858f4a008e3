"""The sandbox really contains what it runs, and really checks types; real interpreter processes throughout."""

import gc
import re
import threading
import weakref
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from callboard.agent.cancel import Cancelled, CancelToken
from callboard.agent.sandbox import Sandbox
from callboard.agent.sandbox_run import SandboxResult, Script
from callboard.errors import TaskError
from callboard.settings import Settings
from tests.agent.answers import one_by_one

STUBS = """
def calculate(expression: str) -> float: ...
def shout(text: str) -> str: ...
async def async_calculate(expression: str) -> float: ...
async def async_shout(text: str) -> str: ...
"""

POINT = "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int\n"
FROZEN = POINT.replace("@dataclass", "@dataclass(frozen=True)")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        sandbox_time_s=1,
        sandbox_memory_bytes=32 * 1024 * 1024,
        sandbox_output_bytes=50_000,
        sandbox_skill_calls=20,
        workers=4,
    )
    made = Sandbox(settings, stubs=STUBS, skills=["calculate", "shout"])
    made.start()
    yield made
    made.close()


def call_skill(name: str, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Any:
    if args == ("fail",):
        raise TaskError("skill_not_configured", "set CALLBOARD_SKILL_X")
    return args[0].upper() if name == "shout" else 84.0


def run(
    sandbox: Sandbox, code: str, *, state: bytes | None = None, variables: tuple[str, ...] = (), **options: Any
) -> SandboxResult:
    sandbox.check(code, variables)
    return sandbox.run(
        Script(code=code, state=state), **{"answer": one_by_one(call_skill), "token": CancelToken(), **options}
    )


def test_the_last_expression_is_the_value(sandbox: Sandbox) -> None:
    assert run(sandbox, "x = 6\nx * 7").value == 42


def test_a_skill_call_comes_back_to_the_host_and_its_value_goes_in(sandbox: Sandbox) -> None:
    assert run(sandbox, "from skills import shout\nshout('hi') + '!'").value == "HI!"


def test_a_skill_is_reached_through_the_module_too(sandbox: Sandbox) -> None:
    assert run(sandbox, "import skills\nskills.shout('hi')").value == "HI"


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("from skills import shout\nshout('hi')", "HI"),
        ("from skills import calculate, shout\n[calculate('x'), shout('hi')]", [84.0, "HI"]),
        ("from skills import shout\nimport skills\n[skills.calculate('x'), shout('hi')]", [84.0, "HI"]),
        ("from skills import shout\nfrom skills import calculate as c\n[c('x'), shout('hi')]", [84.0, "HI"]),
        ("from skills import shout\ndef f():\n    from skills import calculate\n    return calculate('x')\nf()", 84.0),
        ("from skills import shout\nimport skills as s\ngetattr(s, 'calcu' + 'late')('x')", 84.0),
        ("from skills import shout, async_shout\nawait async_shout('hi')", "HI"),
        ("from skills import shout\nstr(shout)", "<function 'skills.shout' external>"),
        ("from skills import shout\nshout = str\nshout(1)", "1"),
        ('"""\nfrom skills import shout\n"""\nfrom skills import calculate\ncalculate("x")', 84.0),
    ],
)
@pytest.mark.parametrize("keep_state", [True, False])
def test_a_skill_is_reached_however_it_is_imported(
    sandbox: Sandbox, code: str, value: Any, *, keep_state: bool
) -> None:
    script = Script(code=code, keep_state=keep_state)
    assert sandbox.run(script, answer=one_by_one(call_skill), token=CancelToken()).value == value


@pytest.mark.parametrize("keep_state", [True, False])
def test_the_import_of_a_skill_does_not_bring_the_module(sandbox: Sandbox, *, keep_state: bool) -> None:
    script = Script(code="from skills import shout\nskills.shout('hi')", keep_state=keep_state)
    with pytest.raises(TaskError, match="name 'skills' is not defined"):
        sandbox.run(script, answer=one_by_one(call_skill), token=CancelToken())


@pytest.mark.parametrize("keep_state", [True, False])
def test_what_is_no_skill_is_not_there(sandbox: Sandbox, *, keep_state: bool) -> None:
    script = Script(code="from skills import shout, whisper\nshout('hi')", keep_state=keep_state)
    with pytest.raises(TaskError, match="cannot import name 'whisper' from 'skills'"):
        sandbox.run(script, answer=one_by_one(call_skill), token=CancelToken())


def test_a_module_that_a_session_keeps_has_every_skill(sandbox: Sandbox) -> None:
    first = run(sandbox, "from skills import shout\nimport skills\nshout('hi')")
    script = Script(code="skills.calculate('x')", state=first.state, keep_state=False)
    assert sandbox.run(script, answer=one_by_one(call_skill), token=CancelToken()).value == 84.0


def test_what_is_printed_is_kept(sandbox: Sandbox) -> None:
    assert run(sandbox, "print('a')\nprint('b')").printed == "a\nb\n"


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        ("from skills import calculate\ncalculate(5)", "line 2, column 11"),
        ("from skills import no_such_skill", "has no member `no_such_skill`"),
        ("undefined + 1", "line 1, column 1"),
        ("def f(:", "line 1"),
        ("class A(Exception): pass", "class inheritance"),
        ("import statistics", "statistics"),
        ("open('/etc/passwd')", "open"),
    ],
)
def test_code_that_cannot_work_is_refused_before_it_runs(sandbox: Sandbox, code: str, finding: str) -> None:
    with pytest.raises(TaskError) as caught:
        run(sandbox, code)
    assert caught.value.code == "type_check_failed"
    assert finding in caught.value.message


def test_the_check_runs_nothing(sandbox: Sandbox) -> None:
    sandbox.check("while True: pass")
    sandbox.check("x = 1")
    with pytest.raises(TaskError):
        sandbox.check("x + 1")


def test_the_check_knows_a_sessions_variables(sandbox: Sandbox) -> None:
    sandbox.check("x + y", ["x", "y"])
    sandbox.check("x: int = 3\nx", ["x"])


@pytest.mark.parametrize(
    ("code", "error_code"),
    [
        ("while True: pass", "time_limit"),
        ("x = []\nwhile True: x.append('a' * 100_000)", "memory_limit"),
        ("'a' * 10**10", "memory_limit"),
        ("2 ** 10**9", "memory_limit"),
        ("def f(n: int) -> int: return f(n + 1)\nf(0)", "recursion_limit"),
        ("while True: print('a' * 1000)", "output_limit"),
        ("'a' * 60_000", "output_limit"),
        ("from skills import calculate\nfor i in range(30): calculate('1')", "call_limit"),
        ("1 / 0", "script_error"),
        ("raise ValueError('boo')", "script_error"),
        ("import time\ntime.sleep(1)", "script_error"),
        ("from skills import calculate\ncalculate('fail')", "skill_not_configured"),
    ],
)
def test_code_that_misbehaves_is_stopped_with_a_code_that_says_why(
    sandbox: Sandbox, code: str, error_code: str
) -> None:
    with pytest.raises(TaskError) as caught:
        run(sandbox, code)
    assert caught.value.code == error_code
    if error_code == "time_limit":
        assert re.fullmatch(
            r"The code ran longer than the limit of [\d.]+ s; .*CALLBOARD_SANDBOX_TIME_S\.", caught.value.message
        )
    assert run(sandbox, "1 + 1").value == 2, "the sandbox must go on"


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.environ",
        "import os\nos.system('id')",
        "import subprocess",
        "import socket",
        "__import__('os').listdir('/')",
        "().__class__.__bases__[0].__subclasses__()",
        "import pathlib\npathlib.Path('/etc/passwd').read_text()",
        "eval('__import__(\"os\").getcwd()')",
        "import sys\nsys.modules",
        "from skills import calculate\ncalculate.__globals__",
    ],
)
def test_code_reaches_nothing_of_the_host(sandbox: Sandbox, code: str) -> None:
    with pytest.raises(TaskError) as caught:
        run(sandbox, code)
    assert caught.value.code in {"type_check_failed", "script_error"}


def test_a_skills_error_can_be_caught_by_the_code(sandbox: Sandbox) -> None:
    code = "from skills import calculate\ntry:\n    calculate('fail')\nexcept RuntimeError as e:\n    m = str(e)\nm"
    assert run(sandbox, code).value == "calculate: set CALLBOARD_SKILL_X"


def test_variables_come_back_from_a_dump_in_another_process(sandbox: Sandbox) -> None:
    first = run(sandbox, "x = {'a': [1, 2]}\ndef twice(n: int) -> int: return 2 * n")
    second = run(sandbox, "x['a'].append(twice(2))\nx", state=first.state, variables=("x", "twice"))
    assert second.value == {"a": [1, 2, 4]}


def test_cancelling_ends_a_running_loop_at_once(sandbox: Sandbox) -> None:
    token = CancelToken()
    in_skill = threading.Event()

    def cancel_soon(_name: str, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Any:
        in_skill.set()
        return 1.0

    def cancel() -> None:
        in_skill.wait(5)
        token.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(Cancelled):
        run(
            sandbox,
            "from skills import calculate\ncalculate('1')\nwhile True: pass",
            answer=one_by_one(cancel_soon),
            token=token,
        )
    canceller.join(5)


def test_a_token_set_before_the_run_stops_it(sandbox: Sandbox) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        run(sandbox, "1 + 1", token=token)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("float('nan')", "nan"),
        ("2 ** 70", str(2**70)),
        ("10 ** 5000", "1" + "0" * 5000),
        ("{'a': {10 ** 5000: 2}}", {"a": {"1" + "0" * 5000: 2}}),
        ("{(10 ** 5000, 1): (2,)}", {f"('1{'0' * 5000}', 1)": [2]}),
        ("(1, {2})", [1, [2]]),
        ("import datetime\ndatetime.date(2026, 11, 23)", "2026-11-23"),
        ("'a\\x00b'", "a\N{REPLACEMENT CHARACTER}b"),
        (f"{POINT}[Point(1)]", [{"x": 1}]),
        ("from collections import namedtuple\nnamedtuple('P', 'x')(1)", [1]),
        ("import pathlib\npathlib.Path('a')", "a"),
        ("(x for x in [1])", [1]),
    ],
)
def test_any_value_becomes_one_that_can_be_stored(sandbox: Sandbox, code: str, value: Any) -> None:
    assert run(sandbox, code).value == value


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def f(): return 1\nf", "ended in a function, which has no JSON form: give what it returns: call it"),
        ("def f(): return 1\n{'a': [f]}", "ended in a function"),
        ("[lambda: 1]", "ended in a function"),
        ("print", "ended in the function print"),
        ("from skills import shout\nshout", "ended in a function"),
        ("class A: pass\nA", "ended in a class"),
        ("class A: pass\nA()", "ended in an object of the class A, which has no JSON form: give a dict of what it holds"),
        ("class A: pass\n[1, {'a': A()}]", "an object of the class A at [1].a"),
        ("int", "ended in the class int"),
        ("range(3)", "ended in a range, which has no JSON form: make a list of it: list(…)"),
        ("{'a': 1}.keys()", "ended in a dict_keys"),
        ("[1, {'a': 1}.items()]", "ended in a dict_items"),
        ("iter([1])", "ended in a list_iterator, which has no JSON form: make a list of it"),
        ("import itertools\nitertools.count()", "ended in a count"),
        ("slice(1, 2)", "ended in an object of the type slice"),
        ("import math\nmath", "ended in a module"),
        ("import re\nre.match('a', 'a')", "ended in a match of a regular expression, which has no JSON form: give its group()"),
        ("list[int]", "ended in an object of the type GenericAlias"),
        ("...", "ended in an object of the class ellipsis"),
        ("ValueError('x')", "ended in the exception ValueError, which has no JSON form: raise it"),
        ("l = []\nl.append(l)\nl", "ended in a value inside itself"),
        ("x = [1]\nfor _ in range(80): x = [x]\nx", "ended in more than 64 levels"),
        ("class A: pass\n{A(): 1}", "ended in an object of a class as a key of a dict or in a set, which has no JSON form: give texts as keys"),
        ("class A: pass\n[{'a': {(1, A()): 1}}]", "ended in an object of a class as a key"),
        ("class A: pass\n{A()}", "in a set, which has no JSON form: give texts as keys, and a list in place of the set"),
        (f"{FROZEN}{{Point(1): 1}}", "ended in an object of a class as a key"),
        ("{1: 1, '1': 2}", "ended in two keys that are the same text, which has no JSON form: give keys that differ"),
        ("b'\\xff'", "ended in bytes that are no UTF-8 text"),
        ("class A: pass\nstr(A())", "ended in a text that shows an object"),
        ("class A: pass\nf'It is {A()}.'", "ended in a text that shows an object"),
        ("class A: pass\nprint(A())", "printed a text that shows an object"),
    ],
)  # fmt: skip
def test_an_object_is_never_an_answer_and_the_error_says_what_to_write(sandbox: Sandbox, code: str, words: str) -> None:
    with pytest.raises(TaskError) as caught:
        sandbox.run(Script(code=code), answer=one_by_one(call_skill), token=CancelToken())
    assert caught.value.code == "script_error"
    assert words in caught.value.message
    assert " 0x" not in caught.value.message


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("'range(0, 3)'", "range(0, 3)"),
        ("str(range(0, 3))", "range(0, 3)"),
        ("[str(type(3)), '<p>', '[...]', 'list[int]']", ["<class 'int'>", "<p>", "[...]", "list[int]"]),
        ("'<Foo object at 0x7f12ab34cd56>'", "<Foo object at 0x7f12ab34cd56>"),
        ("from skills import shout\n[shout('<p>')]", ["<P>"]),
        ("import asyncio\nfrom skills import async_shout\n['<b>', await async_shout('<p>')]", ["<b>", "<P>"]),
    ],
)
def test_a_text_that_reads_like_an_object_is_a_text(sandbox: Sandbox, code: str, value: Any) -> None:
    assert sandbox.run(Script(code=code), answer=one_by_one(call_skill), token=CancelToken()).value == value


def test_what_code_has_done_is_not_done_again_to_find_out_what_it_ended_in(sandbox: Sandbox) -> None:
    asked: list[str] = []

    def answer(name: str, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Any:
        asked.append(name)
        return args[0]

    code = "from skills import shout\ndef f():\n    shout('x')\n    return '<p>'\nf()"
    assert sandbox.run(Script(code=code), answer=one_by_one(answer), token=CancelToken()).value == "<p>"
    assert asked == ["shout"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("lambda: 1", "shout() was given a text that shows an object"),
        ("[{'a': 1}.keys()]", "shout() was given a dict_keys, which has no JSON form: make a list of it"),
        ("{'a': (int,)}", "shout() was given the class int"),
        ("Plain()", "shout() was given an object of the class Plain"),
        ("ValueError('x')", "shout() was given the exception ValueError"),
        ("{Plain(): 1}", "shout() was given an object of a class as a key of a dict or in a set"),
        ("[{(Plain(),)}]", "shout() was given an object of a class as a key of a dict or in a set"),
    ],
)
def test_an_object_is_never_given_to_a_skill(sandbox: Sandbox, given: str, words: str) -> None:
    code = f"{POINT}class Plain: pass\nfrom skills import shout\ntry:\n    r = shout({given})\nexcept TypeError as e:\n    r = str(e)\nr"
    assert words in sandbox.run(Script(code=code), answer=one_by_one(call_skill), token=CancelToken()).value


def test_a_skill_is_given_a_dataclass_as_a_dict_and_everything_else_as_it_is(sandbox: Sandbox) -> None:
    got: list[Any] = []

    def answer(_name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        got.extend([*args, kwargs])

    code = f"{POINT}import datetime\nfrom skills import shout\nshout([Point(1)], (1, {{2}}), b'\\xff', at=datetime.date(2026, 1, 2))"
    sandbox.run(Script(code=code), answer=one_by_one(answer), token=CancelToken())
    assert got == [[{"x": 1}], (1, {2}), b"\xff", {"at": date(2026, 1, 2)}]


def test_parallel_runs_do_not_see_each_other(sandbox: Sandbox) -> None:
    results: dict[int, Any] = {}

    def work(number: int) -> None:
        results[number] = run(sandbox, f"x = {number}\nfor i in range(2000): x = x + 0\nx").value

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == {number: number for number in range(8)}


def test_a_dump_is_opened_only_by_the_key_and_session_that_signed_it(tmp_path: Path) -> None:
    from callboard.agent.signing import Signer, load_key

    signer = Signer(load_key("", tmp_path))
    signed = signer.sign(b"state", "session-1")
    assert signer.open(signed, "session-1") == b"state"
    assert signer.open(signed, "session-2") is None
    assert signer.open(signed[:-1] + b"!", "session-1") is None
    assert signer.open(b"", "session-1") is None
    assert Signer(b"another key").open(signed, "session-1") is None
    assert Signer(load_key("", tmp_path)).open(signed, "session-1") == b"state", "the key must be kept"
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


def test_a_call_that_failed_leaves_nothing_behind(sandbox: Sandbox) -> None:
    class Kept:
        """Something in a frame of the failing skill."""

    kept: list[weakref.ref[Kept]] = []

    def fail(_name: str, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Any:
        something = Kept()
        kept.append(weakref.ref(something))
        raise TaskError("skill_failed", "no")

    code = "from skills import calculate\ntry:\n    calculate('1')\nexcept RuntimeError:\n    pass\ncalculate('2')"
    with pytest.raises(TaskError, match="no"):
        run(sandbox, code, answer=one_by_one(fail))
    gc.collect()
    assert [reference() for reference in kept] == [None, None]
