"""The sandbox really contains what it runs, and really checks types; real interpreter processes throughout."""

import gc
import re
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callboard.agent.cancel import Cancelled, CancelToken
from callboard.agent.sandbox import Sandbox, SandboxResult
from callboard.errors import TaskError
from callboard.settings import Settings
from tests.agent.answers import one_by_one

STUBS = """
def calculate(expression: str) -> float: ...
def shout(text: str) -> str: ...
async def async_calculate(expression: str) -> float: ...
async def async_shout(text: str) -> str: ...
"""


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


def run(sandbox: Sandbox, code: str, **options: Any) -> SandboxResult:
    sandbox.check(code, options.pop("variables", ()))
    return sandbox.run(code, **{"answer": one_by_one(call_skill), "token": CancelToken(), **options})


def test_the_last_expression_is_the_value(sandbox: Sandbox) -> None:
    assert run(sandbox, "x = 6\nx * 7").value == 42


def test_a_skill_call_comes_back_to_the_host_and_its_value_goes_in(sandbox: Sandbox) -> None:
    assert run(sandbox, "from skills import shout\nshout('hi') + '!'").value == "HI!"


def test_a_skill_is_reached_through_the_module_too(sandbox: Sandbox) -> None:
    assert run(sandbox, "import skills\nskills.shout('hi')").value == "HI"


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
    second = run(sandbox, "x['a'].append(twice(2))\nx", state=first.state, variables=["x", "twice"])
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
        ("(1, {2})", [1, [2]]),
        ("import datetime\ndatetime.date(2026, 11, 23)", "2026-11-23"),
        ("'a\\x00b'", "a\N{REPLACEMENT CHARACTER}b"),
        ("l = []\nl.append(l)\nl", ["[...]"]),
    ],
)
def test_any_value_becomes_one_that_can_be_stored(sandbox: Sandbox, code: str, value: Any) -> None:
    assert run(sandbox, code).value == value


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
