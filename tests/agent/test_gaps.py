"""What Python has and the sandbox lacks: each entry of the table is lacking today, and what it says to write instead runs."""

import builtins
import contextlib
import re
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from callboard import AgentSystem
from callboard.agent import gaps
from callboard.agent.cancel import CancelToken
from callboard.agent.catalogue import Catalogue
from callboard.agent.gap_hints import SANDBOX_HINT
from callboard.agent.gaps import BySkill
from callboard.agent.sandbox import Sandbox
from callboard.agent.sandbox_run import Asked, Dump, Script
from callboard.errors import TaskError
from callboard.settings import Settings
from tests.callboard import harness

ROOT = Path(__file__).parents[2]
MADE = """
import base64, bisect, collections, copy, csv, dataclasses, datetime, decimal, functools, hashlib, itertools, json, math, pathlib
import random, re, time, unicodedata
from skills import calculate, list_files, query_table, read_file, web_fetch, write_file
xs = [3, 1, 2]
d = {"b": 2, "a": 1}
text = "a-b"
n = 12
x = 1.5
day = datetime.date(2026, 1, 2)
def f(one): return one
"""
IGNORED = {"copyright", "credits", "license"}
"""Of `site`, for people at a prompt."""

SAMPLES: dict[str, Any] = {
    "''": str, "b''": bytes, "[]": list, "{}": dict, "{1}": set, "frozenset()": frozenset, "()": tuple, "(1)": int,
    "(1.5)": float, "range(3)": range, "datetime.date(2026, 1, 2)": date, "datetime.timedelta(1)": timedelta,
    "datetime.datetime(2026, 1, 2)": datetime, "re.compile('a')": re.Pattern, "re.match('a', 'a')": re.Match,
}  # fmt: skip
SYNTAX = {
    "class inheritance and metaclasses": "class A(dict): pass",
    "yield expressions": "def g():\n    yield 1",
    "yield from expressions": "def g():\n    yield from [1]",
    "the 'del' statement": "a = [1]\ndel a[0]",
    "method decorators (classmethod/staticmethod/property)": "class A:\n    @property\n    def p(self): return 1",
    "class bodies containing anything other than methods and simple class variables": "class A:\n    class B: pass",
    "type aliases": "type X = int",
    "exception groups (try*/except*)": "try: pass\nexcept* ValueError: pass",
    "async comprehensions": "async def f(y: Any): return [x async for x in y]",
    "async for loops": "async def f(y: Any):\n    async for x in y: pass",
    "async context managers (async with)": "async def f(y: Any):\n    async with y: pass",
    "template strings (t-strings)": "t'{1}'",
    "Wildcard imports": "from math import *",
}
PHRASES = {
    "cannot suspend in this synchronous context": "from skills import calculate\nlist(map(calculate, ['1']))",
    "'list' object is not an iterator": "next(one for one in [1])",
    "callable replacement is not yet supported": "import re\nre.sub('a', lambda m: 'b', 'a')",
    "JSONEncoder.__init__() got an unexpected keyword argument": "import json\njson.dumps({}, default=str)",
    "JSONDecoder.__init__() got an unexpected keyword argument": "import json\njson.loads('{}', object_pairs_hook=list)",
    "dataclass() does not yet support": "from dataclasses import dataclass\n@dataclass(order=True)\nclass A:\n    x: int",
    "'system.sleep' is not supported": "import time\ntime.sleep(1)",
    "PermissionError: Permission denied": "import pathlib\npathlib.Path('a').read_text()",
    "cannot create 'object' instances": "object()",
    "cannot convert 'list' object to bytes": "bytes([1])",
    "exceptions can only be called with zero or one string argument": "ValueError('a', 1)",
    "'float' object cannot be interpreted as an integer": "import datetime\ndatetime.timedelta(hours=1.5)",
    "is not async-iterable": "async def f():\n    async for x in [1]: pass",
    "cannot be used with `async with`": "async def f():\n    async with 1: pass",
    "unknown encoding": "'a'.encode('latin-1')",
    "is not defined on `None` in union": "import re\nre.match('a', 'b').group()",
}
CLASS_METHODS = {
    "len(A())": "__len__", "reversed(A())": "__reversed__", "bytes(A())": "__bytes__", "complex(A())": "__complex__",
    "1 if f'{A()}' == 'called' else 0": "__format__", "1 if not A() else 0": "__bool__", "A() < A()": "__lt__",
    "A() <= A()": "__le__", "A() > A()": "__gt__", "A() >= A()": "__ge__", "1 if A() == 'called' else 0": "__new__",
    "A().x": "__getattr__",
}  # fmt: skip


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    catalogue = Catalogue.load()
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), workers=2)
    made = Sandbox(
        settings, stubs=catalogue.stubs(twins=True), skills=[one.python_name for one in catalogue.skills.values()]
    )
    made.start()
    yield made
    made.close()


def run(sandbox: Sandbox, code: str) -> Any:
    """Run code unchecked; each skill answers a text."""

    def answer(asked: list[Asked], _dump: Dump) -> list[Any]:
        return ["answer" for _ in asked]

    return sandbox.run(Script(code=code, keep_state=False), answer=answer, token=CancelToken()).value


def lacking(sandbox: Sandbox, tries: dict[str, str]) -> set[str]:
    """Return the names of the expressions or statements that fail in the interpreter."""
    tried = "".join(
        f"try:\n    {code}\nexcept Exception:\n    lacks.append({name!r})\n" for name, code in tries.items()
    )
    return set(run(sandbox, f"import datetime, re, json, decimal\nlacks = []\n{tried}lacks"))


def refused(sandbox: Sandbox, tries: dict[str, str]) -> set[str]:
    """Return the names of the lines of code that the type checker itself finds fault with."""
    findings = sandbox._checker.findings("\n".join(tries.values()), (), CancelToken(), sandbox._modules) or ""
    lines = {int(found) for found in re.findall(r"^line (\d+), column \d+: error\[", findings, re.M)}
    return {name for number, name in enumerate(tries, start=1) if number in lines}


def members_of_modules() -> dict[str, str]:
    modules = {*gaps.STANDARD_LIBRARY}
    return {name: name for name in gaps.MEMBERS if name.rpartition(".")[0] in modules}


def test_every_builtin_of_python_is_there_or_has_its_advice(sandbox: Sandbox) -> None:
    names = {name: f"repr({name})" for name in dir(builtins) if not name.startswith("_")}
    assert lacking(sandbox, names) - IGNORED - {"hasattr", "getattr", "setattr", "open"} <= gaps.BUILTINS.keys()
    assert lacking(sandbox, names | {"__import__": "repr(__import__)"}) >= gaps.BUILTINS.keys() - {
        "getattr", "hasattr", "setattr",  # there, and blind for the methods of Python's own types
        "open",  # there, and without a file
    }  # fmt: skip
    assert run(sandbox, "hasattr('a', 'upper')") is False


def test_what_the_checker_does_not_know_and_the_interpreter_has_may_be_used(sandbox: Sandbox) -> None:
    assert not lacking(sandbox, {name: f"repr({name})" for name in gaps.THERE})
    for name in gaps.THERE:
        with pytest.raises(TaskError):
            sandbox.check(f"from builtins import {name}")
        sandbox.check(f"repr({name})")
    code = "total = sum(map(int, filter(None, '1,,2'.split(','))))\nformat(total / 2, '.2f')"
    sandbox.check(code)
    assert run(sandbox, code) == "1.50"


@pytest.mark.parametrize(
    "code",
    [
        "map = {}\nmap",
        "def map(x: int) -> int: return x\nmap(1)",
        "format: str = 'csv'\nformat",
        "class filter: pass\n1",
    ],
)
def test_code_may_use_their_names_for_its_own(sandbox: Sandbox, code: str) -> None:
    sandbox.check(code)
    run(sandbox, code)


def test_the_list_of_modules_is_that_of_the_sandbox(sandbox: Sandbox) -> None:
    known = {name for name in sys.stdlib_module_names if not name.startswith("_")}
    there = known - lacking(sandbox, {name: f"import {name}" for name in known})
    assert there == {*gaps.STANDARD_LIBRARY}


def test_every_module_of_the_table_is_lacking(sandbox: Sandbox) -> None:
    assert lacking(sandbox, {name: f"import {name}" for name in gaps.MODULES}) == gaps.MODULES.keys()


def test_every_member_of_a_module_in_the_table_is_lacking(sandbox: Sandbox) -> None:
    tries = {name: f"import {name.rpartition('.')[0]}\n    {name}" for name in members_of_modules()}
    # os.walk is there, and finds nothing
    called = ("os.getenv('A')", "os.listdir()", "os.urandom(1)", "1 / len(list(os.walk('.')))", "list(os.scandir())")
    calls = {found: f"import os\n    {code}" for code in called for found in re.findall(r"os\.\w+", code)}
    found = lacking(sandbox, tries | calls)
    assert sorted(tries.keys() - found) == []


def test_every_method_of_pythons_types_is_there_or_has_its_advice(sandbox: Sandbox) -> None:
    of_objects, of_types = {}, {}
    for sample, kind in SAMPLES.items():
        name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
        for attribute in [one for one in dir(kind) if not one.startswith("_")]:
            called = "()" if callable(getattr(kind, attribute)) else ""
            of_objects[f"{name}.{attribute}"] = f"{sample}.{attribute}{called}"
            of_types[f"{name}.{attribute}"] = f"{name}.{attribute}{called}"
    gone = without_attribute(sandbox, of_objects)
    gone_at_all = gone & without_attribute(sandbox, of_types)
    known = gaps.MEMBERS.keys() | {one.replace(".date.", ".datetime.") for one in gaps.MEMBERS}
    assert gone_at_all <= known
    assert {name for name in gaps.MEMBERS if name in of_objects} <= gone | without_attribute(sandbox, of_types)


def without_attribute(sandbox: Sandbox, tries: dict[str, str]) -> set[str]:
    """Return the names of the calls that fail since the object or type has no such attribute."""
    tried = "".join(
        f"try:\n    {code}\nexcept AttributeError as error:\n    if 'has no attribute' in str(error): lacks.append({name!r})\n"
        "except Exception:\n    pass\n"
        for name, code in tries.items()
    )
    return set(run(sandbox, f"import datetime, re\nlacks = []\n{tried}lacks"))


def test_what_the_checker_lets_pass_is_found_before_anything_runs(sandbox: Sandbox) -> None:
    tries = {name: name for name in gaps.BUILTINS} | {name: f"import {name}" for name in gaps.MODULES}
    for name in members_of_modules():
        owner, _, member = name.rpartition(".")
        tries[name] = f"from {owner} import {member}"
    seen = refused(sandbox, tries)
    of_types = {name for name in gaps.UNSEEN if name not in tries}
    assert {name for name in tries if name not in seen} == gaps.UNSEEN - of_types
    for name in sorted(gaps.UNSEEN):
        owner = name.rpartition(".")[0]
        imports = f"import {owner.partition('.')[0]}\n" if owner.partition(".")[0] in gaps.STANDARD_LIBRARY else ""
        with pytest.raises(TaskError, match=re.escape(f"`{name}` is not in the sandbox's Python: ")):
            sandbox.check(f"import {name}" if name in gaps.MODULES else f"{imports}{name}")


@pytest.mark.parametrize("table", ["BUILTINS", "MODULES", "MEMBERS", "CLASS_METHODS", "SYNTAX", "PHRASES"])
def test_what_is_to_be_written_instead_runs(sandbox: Sandbox, table: str) -> None:
    entries = [told[1] if isinstance(told, tuple) else told for told in getattr(gaps, table).values()]
    advice = {
        text for told in entries for text in ((told.advice, told.otherwise) if isinstance(told, BySkill) else (told,))
    }
    codes = sorted({code for text in advice for code in re.findall(r"`([^`]+)`", text)})
    assert codes
    for code in codes:
        sandbox.check(f"{MADE}\n{code}\n")
        run(sandbox, f"{MADE}\n{code}\n0")


def message_of(sandbox: Sandbox, code: str, *, checked: bool, **options: Any) -> str:
    with pytest.raises(TaskError) as caught:
        sandbox.check(code, **options) if checked else run(sandbox, code)
    return caught.value.message


@pytest.mark.parametrize("words", gaps.SYNTAX)
def test_what_the_parser_refuses_is_told_with_its_line_and_what_to_write(sandbox: Sandbox, words: str) -> None:
    name, advice = gaps.SYNTAX[words]
    code = f"from typing import Any\n{SYNTAX[words]}"
    told = message_of(sandbox, code, checked=True)
    assert f"The sandbox's Python does not have {name}: {advice}." in told
    assert re.search(r"^line [234], column \d+: ", told, re.MULTILINE)
    assert f"does not have {name}: {advice}." in message_of(sandbox, code, checked=False)


@pytest.mark.parametrize("words", gaps.PHRASES)
def test_what_is_lacking_in_part_is_told_with_what_to_write(sandbox: Sandbox, words: str) -> None:
    advice = gaps.PHRASES[words]
    text = advice.advice if isinstance(advice, BySkill) else advice
    told = message_of(sandbox, PHRASES[words], checked=any(one in words for one in ("union", "async")))
    assert words in told
    assert f"In the sandbox, {text}." in told


@pytest.mark.parametrize(("expression", "method"), CLASS_METHODS.items())
def test_a_method_that_the_interpreter_does_not_call_is_refused(sandbox: Sandbox, expression: str, method: str) -> None:
    parameters = {"__new__": "cls", "__format__": "self, spec", "__getattr__": "self, name"}.get(method, "self, *more")
    value = {"__bool__": "False", "__len__": "0"}.get(method, "'called'")
    code = f"class A:\n    def {method}({parameters}): return {value}\n{expression}"
    assert f"line 1, column 1: `{method}` is not in the sandbox's Python: " in message_of(sandbox, code, checked=True)
    with contextlib.suppress(TaskError):
        assert run(sandbox, code) == 0


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import pandas", "`pandas` is not in the sandbox's Python: call `query_table("),
        ("open('sales.csv')", "call `read_file("),
        ("import foo_bar", "There is no module foo_bar in the sandbox; there are asyncio, base64"),
        ("sorted(['a'], key=str.lower)", "write a lambda such as `lambda one: one.lower()`"),
        ("d = {'a': 1}\nmax(d, key=d.get)", "write `lambda one: d.get(one)` for `d.get`"),
        ("import datetime as dt\ndt.datetime.utcnow()", "`datetime.datetime.utcnow` is not in the sandbox's Python"),
        ("from datetime import datetime as when\nwhen.utcnow()", "line 2, column 1: `datetime.datetime.utcnow`"),
        ("import os\nos.popen('ls')", "`os.popen` is not in the sandbox's Python"),
        ("import enum, string, io", "`string` is not in the sandbox's Python"),
    ],
)
def test_the_check_says_what_to_write_instead(sandbox: Sandbox, code: str, told: str) -> None:
    assert told in message_of(sandbox, code, checked=True)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("'a'.translate({})", "`str.translate` is not in the sandbox's Python: write "),
        ("True.bit_length()", "`int.bit_length` is not"),
        ("import datetime\ndatetime.datetime(2026, 1, 2).isocalendar()", "`datetime.datetime.isocalendar` is not"),
        ("f = [].append\nf(1)", "write a lambda such as `lambda one: one.append()`"),
        ("import sys\nsys.stdout.write('a')", "write `print(text, end='')`"),
        ("import statistics", "`statistics` is not in the sandbox's Python: write the mean as "),
        ("import os\nos.environ['HOME']", "`os.environ` is not in the sandbox's Python"),
    ],
)
def test_the_interpreters_errors_say_it_too(sandbox: Sandbox, code: str, told: str) -> None:
    assert told in message_of(sandbox, code, checked=False)


def test_a_skill_is_advised_only_where_it_may_be_called(sandbox: Sandbox) -> None:
    told = message_of(sandbox, "import pandas\nopen('x')", checked=True, allowed=["calculate"])
    assert "query_table" not in told
    assert "read_file" not in told
    assert "csv.DictReader" in told
    told = message_of(sandbox, "read_file('x')", checked=True, allowed=["read-file"])
    assert "`read_file` is a skill: write `from skills import read_file` in front of it." in told


@pytest.mark.parametrize("code", ["calculat('1')", "from skills import calculate\ncalculate(5)", "1 +", "x: int = 'a'"])
def test_other_findings_are_told_without_advice(sandbox: Sandbox, code: str) -> None:
    told = message_of(sandbox, code, checked=True)
    assert "in the sandbox" not in told
    assert SANDBOX_HINT not in told


@pytest.mark.parametrize(
    "code",
    [
        "help = 1\nhelp",
        "def exit(): return 1\nexit()",
        "d = {'UTC': 1}\nd['UTC']",
        "class A:\n    fields: int = 1\nA().fields",
        "dict.fromkeys([1])",
        "str(1).lower()",
    ],
)
def test_code_that_only_has_such_a_word_in_it_passes(sandbox: Sandbox, code: str) -> None:
    sandbox.check(code)
    run(sandbox, code)


def test_what_the_documents_say_is_lacking_is_in_the_table_and_the_modules_are_named() -> None:
    section = (ROOT / "docs" / "skills.md").read_text().partition("## The sandbox")[2]
    modules = re.findall(
        r"`(\w+)`", section.partition("Of the standard library it has")[2].partition("most of them")[0]
    )
    assert modules == [*gaps.STANDARD_LIBRARY]
    rows = section.partition("| lacking | write instead |\n|---|---|\n")[2].partition("\n\n")[0].splitlines()
    named = {name for row in rows for name in re.findall(r"`@?([\w.]+)`", row.split("|")[1])}
    known = {name.rpartition(".")[2] for name, _ in gaps.all_advice()} | {"property"}
    assert {name.rpartition(".")[2] for name in named} <= known
    assert len(named) > 30


def test_a_task_hears_of_skills_that_it_may_call_and_of_no_others(system: AgentSystem) -> None:
    pandas = harness.code("import pandas\npandas.read_csv('sales.csv')")
    free, held = (
        harness.ended(system, harness.submit(system, pandas)),
        harness.ended(system, harness.submit(system, pandas, available_skills=("calculate",))),
    )
    assert free.error_code == held.error_code == "type_check_failed"
    assert "query_table" in str(free.error)
    assert "query_table" not in str(held.error)
    assert "csv.DictReader" in str(held.error)
    assert harness.ended(
        system, harness.submit(system, harness.code("list(map(str, filter(None, [0, 1])))"))
    ).output == ["1"]
