"""The planner's own code is checked once a shape, and what is said of it is what a check of it as it stands would say."""

import ast
import contextlib
import threading
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.documents.reading import Document
from callboard.agent.planner import Plan
from callboard.agent.planner.base import literal
from callboard.agent.sandbox import Sandbox
from callboard.errors import TaskError
from callboard.settings import Settings
from tests.agent.planner.conftest import Desk
from tests.agent.planner.score.cases import plain_cases, table_cases
from tests.agent.planner.test_table_questions import CASES
from tests.profiles import examples, is_nightly

PYTHON = "```python\ndef f(a):\n    return eval(a)\n```"
CSV = "name,department,salary,age,city\n" + "\n".join(
    "Mark,IT,5000,34,Berlin Will,Sales,4000,45,Paris Art,US,3500,28,Berlin Rose,IT,6000,51,Rome Bob,HR,4500,34,Rome".split()
)
LINES = r"""
What is 12 times 7? | Split a $60 bill between 4 people | Is 97 prime? | prime factors of 84 | divisors of 36 | 255 in hex
Is 12 divisible by 5? | Is 7 odd? | XIV in decimal | simplify the ratio 12:18 | share 90 in the ratio 2:3:4 | 100 F in C
sum of the first 10 odd numbers | How many minutes in 3 days? | How many feet are in 3 miles? | How many days until Christmas?
How many hours between 2024-01-01 and 2024-02-01? | weeks from 2024-01-01 to 2024-03-01 | What date is it? | What time is it?
What day of the week is 2026-07-04? | What date is 45 days after March 3, 2025? | What is 2 months and 3 days before 2025-03-03?
which weekday is 2 weeks after 2025-03-03 | what year is it | when is Christmas | Was 2024 a leap year? | what quarter is it
How many days are in February 2024? | how old is someone born on 1990-05-05 | how many weekdays are in May 2024
last day of February 2024 | How many r in strawberry | how many letters are in 'banana' | hello backwards | make 'abc' uppercase
is level a palindrome | are listen and silent anagrams | third letter of banana | Sort these numbers: 3, -1.5, 12
sort pear, apple, fig alphabetically | How many words are in: the cat sat on the mat | count the characters in "don't \ {x}"
text statistics: one. two? three! | Summarize: The cat sat. The dog ran. It rained all day long. | Search the web for actor systems
Find secrets in this text: password = 'hunter2 and more' | Hello | What can you do? | My name is Alice | My name is Bo. What is 2 + 2?
remember that my locker code is 'q"7 | note that the cat is fed | remember: milk | what is my name | who am i | forget everything
what do you remember | forget my name
"""
OF_A_TABLE = """
Describe this CSV | what columns are there | how many columns are there | rows | average salary | average salary in IT | salary range
how many employees do I have? | how many employees are older than 30 | total salary by city | total salary by city older than 30
which department has the most employees | which department has the lowest total salary | average and total salary | first 3 rows
minimum and maximum age in Berlin | names sorted by age | sort by salary descending | top 3 names by salary | bottom 3 names by salary
bottom 1 by age | the 2 oldest employees | last 2 rows | oldest person in Berlin | Who is the youngest? | Which employee in Berlin has the highest salary?
average salary of the top 3 earners | average salary by department and city | what percent of employees are in IT
share of each department in total salary | percent of employees by city | what percentage of IT employees live in Berlin
difference between average salary in IT and Sales | names of people in IT | list name and age | name and salary of the oldest employee
show all employees from Rome sorted by salary descending | mode of city | most common department | how many different cities
how many employees earn at least 4500 per department | average age by department | mode of age
"""
TASKS = (
    *(task.strip() for line in LINES.strip().split("\n") for task in line.split(" | ")),
    *(f"{asked.strip()}\n\n{CSV}" for line in OF_A_TABLE.strip().split("\n") for asked in line.split(" | ")),
    *(f"Review this:\n{PYTHON}", f"Security audit of this Python:\n{PYTHON}", f"Summarize in 2 sentences: {'It is. ' * 40}"),
)  # fmt: skip
FILES = {"staff.csv": CSV, "notes.txt": "The cat sat on the mat. It rained.", "f.py": "def f(a):\n    return eval(a)\n"}
OF_FILES = (
    "average salary in staff.csv",
    "salary range in staff.csv",
    "describe staff.csv",
    "summarize notes.txt",
    "review f.py",
)
SESSIONS = (frozenset[str](), frozenset({"memory"}), frozenset({"memory", "str", "data", "calculate", "_any", "text"}))

Code = tuple[str, frozenset[str]]
"""Code of a plan, with the variables of the session that it is for."""


def _asked() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield tasks, and what comes with them."""
    yield from ((task, {"variables": variables}) for task in TASKS for variables in SESSIONS)
    files = tuple({"name": name, "mediaType": "text/plain", "size": len(text)} for name, text in FILES.items())
    yield from (
        (task, {"files": files, "look": lambda path, *_, **__: Document(text=FILES[path])}) for task in OF_FILES
    )


def _asked_elsewhere() -> Iterator[str]:
    """Yield the questions of other tests; to plan them takes a minute."""
    yield from (case.task for case in chain(plain_cases(), table_cases()))
    yield from (f"{question}\n{table}" for _, table, question, _ in CASES)


@pytest.fixture(scope="module")
def codes(desk: Desk) -> list[Code]:
    """Plans of every family, of each way that one may come out."""
    made: dict[Code, None] = {}
    for task, changes in _asked():
        plan = desk.plan(task, **changes)
        assert plan.own, task
        made[plan.code or "", changes.get("variables", frozenset())] = None
    for task in _asked_elsewhere() if is_nightly() else ():
        with contextlib.suppress(TaskError):
            made[desk.plan(task).code or "", frozenset()] = None
    return list(made)


@pytest.fixture(scope="module")
def shapes(codes: list[Code]) -> list[Code]:
    """One plan of each shape, as the syntax tree has them."""
    return list({(filled(code, ["0"] * 99), variables): (code, variables) for code, variables in codes}.values())


@pytest.fixture
def new_sandbox(desk: Desk, tmp_path: Path) -> Iterator[Callable[[], Sandbox]]:
    """Return a function that starts a sandbox that has checked nothing yet; it may be closed before the test ends."""
    made: list[Sandbox] = []

    def start() -> Sandbox:
        skills = [skill.python_name for skill in desk.catalogue.skills.values()]
        sandbox = Sandbox(Settings(data_dir=tmp_path, workers=1), stubs=desk.catalogue.stubs(twins=True), skills=skills)
        sandbox.start()
        made.append(sandbox)
        return sandbox

    yield start
    for sandbox in made:
        sandbox.close()


def told(sandbox: Sandbox, code: str, variables: frozenset[str] = frozenset(), *, own: bool = True) -> str:
    """Return what is wrong with code; nothing where it passes."""
    try:
        sandbox.check(code, variables, own=own)
    except TaskError as error:
        return f"{error.code}: {error.message} {error.details}"
    return ""


def is_known(closed: Sandbox, code: str, variables: frozenset[str] = frozenset()) -> bool:
    """Tell whether a sandbox that can check nothing any more lets code pass."""
    try:
        closed.check(code, variables, own=True)
    except RuntimeError:  # there is no process to check it
        return False
    return True


# --- what is checked --------------------------------------------------------------------------------------------------


def test_code_of_a_shape_that_has_passed_is_not_checked_again(new_sandbox: Callable[[], Sandbox]) -> None:
    sandbox = new_sandbox()
    sandbox.check("from skills import calculate\ncalculate('12 * 7')", own=True)
    sandbox.check("from skills import date_difference\ndate_difference('2024-01-01', '2024-02-01', 'days')", own=True)
    sandbox.close()
    assert is_known(sandbox, 'from skills import calculate\ncalculate("it\'s {1} \\n")')
    assert is_known(sandbox, f"from skills import calculate\ncalculate({literal('(1 + ' * 1000)})")
    assert is_known(sandbox, "from skills import date_difference\ndate_difference('x', '', 'days')")
    assert not is_known(sandbox, "from skills import date_difference\ndate_difference('x', '', 'weeks')")
    assert not is_known(sandbox, "from skills import calculate\ncalculate(12)")
    assert not is_known(sandbox, "from skills import calculate\ncalculate('1') + calculate('2')")
    assert not is_known(sandbox, "from skills import calculate\ncalculate(__text)")


def test_nearly_every_plan_is_known_by_its_shape(codes: list[Code], new_sandbox: Callable[[], Sandbox]) -> None:
    sandbox = new_sandbox()
    for code, variables in codes:
        sandbox.check(code, variables, own=True)
    sandbox.close()
    unknown = [code for code, variables in codes if not is_known(sandbox, code, variables)]
    assert len(unknown) <= len(codes) / 50, unknown
    assert all(len(code) > 150 for code in unknown), unknown  # with a text that Monty might take for something nested


def test_code_that_is_not_the_planners_own_is_checked_each_time(new_sandbox: Callable[[], Sandbox]) -> None:
    sandbox = new_sandbox()
    code = "from skills import calculate\ncalculate('12 * 7')"
    sandbox.check(code, own=True)
    sandbox.check(code)
    sandbox.close()
    with pytest.raises(RuntimeError):
        sandbox.check(code)


@pytest.mark.parametrize(
    "task", [f"Run this:\n{PYTHON}", "Execute python: print(1)", f"My name is Bo. Run this:\n{PYTHON}", PYTHON]
)
def test_python_of_the_task_is_not_the_planners_own(task: str, plan: Callable[..., Plan]) -> None:
    assert not plan(task).own


# --- what is said -----------------------------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="\"'\\\n{}()[]-+,:# f").map(lambda text: text * 3),
    st.sampled_from(
        ["", "days", "weeks", "Days", "sum", "mean", "hexadecimal", "name", "\ud800", "\udfff\n", "\0", "\ufeff", "\u2028", "'''", '"""',
         "\\", "{x}", "{{", "\\N{DASH}", "# no", "__text", "-" * 188 + "1", "not " * 47 + "1", "(" * 189, "[" * 94 + "]" * 94, "1+" * 94 + "1",
         "-" * 170 + "1", "(" * 1990 + "\n", "-" * 1990 + "\n", "(" * 5000, "x" * 90_000, "lambda:" * 280 + "\n", "a\n" * 900]
    ),
)  # fmt: skip
SOURCES = st.one_of(
    TEXTS.map(literal),
    TEXTS.map(repr),
    st.integers(0).map(str),
    st.floats(0).map(repr),  # nan and inf are names
    st.sampled_from(["0", "9" * 18, "9" * 19, "9" * 400, "9" * 5000, "007", "1_000", "0x1f", "1e400", "0.50", "00.5", "5.", ".5", "1j"]),
    st.sampled_from(["True", "None", "-1", "b'x'", "r'x'", "rf'x'", "f'{1}'", "'a' 'b'", "'''a'''", "('a')", "[]", "['a', 1]", "[['a']]", "..."]),
)  # fmt: skip


def filled(code: str, sources: list[str | None]) -> str:
    """Return the code with other sources for its literals, in their order; None for one that stays."""
    places = [(node.lineno - 1, node.col_offset, node.end_col_offset or 0) for node in _literals(ast.parse(code))]
    lines = [line.encode() for line in code.split("\n")]
    for (line, start, end), source in reversed(list(zip(sorted(places), sources, strict=False))):
        if source is not None:
            lines[line] = lines[line][:start] + source.encode("utf-8", "surrogatepass") + lines[line][end:]
    return b"\n".join(lines).decode("utf-8", "surrogatepass")


def _literals(node: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    if isinstance(node, ast.Constant | ast.JoinedStr):
        yield node
    else:
        for child in ast.iter_child_nodes(node):
            yield from _literals(child)


@examples(400)
@given(data=st.data())
def test_other_literals_change_nothing_that_the_check_does_not_say(
    data: st.DataObject, shapes: list[Code], desk: Desk
) -> None:
    code, variables = data.draw(st.sampled_from(shapes))
    desk.sandbox.check(code, variables, own=True)
    other = filled(code, data.draw(st.lists(st.none() | SOURCES, max_size=8)))
    assert told(desk.sandbox, other, variables) == told(desk.sandbox, other, variables, own=False), other


def test_a_text_in_the_place_of_a_certain_one_is_refused_in_the_words_of_the_check(desk: Desk) -> None:
    code = "from skills import date_difference\ndate_difference('2024-01-01', '2024-02-01', {})"
    desk.sandbox.check(code.format("'days'"), own=True)
    desk.sandbox.check(code.format("unit='weeks'"), own=True)
    for unit in ("'fortnights'", "unit='fortnights'", "'day' 's and nights'"):
        said = told(desk.sandbox, code.format(unit))
        assert "line 2, column 45: " in said
        assert 'Expected `Literal["days", "weeks", "months", "years"]`' in said
        assert said == told(desk.sandbox, code.format(unit), own=False)


def test_variables_of_a_session_do_not_make_a_check_more_lenient(desk: Desk) -> None:
    code = "from skills import convert_duration\nconvert_duration({})"
    for names in ({"str", "int", "float", "_any", "__text", "_Any"}, {"convert_duration", "memory"}):
        variables = frozenset(names)
        assert not told(desk.sandbox, code.format("'3 days', 'hours'"), variables)
        assert "Expected `Literal" in told(desk.sandbox, code.format("'3 days', 'moons'"), variables)
        assert "Expected `str`" in told(desk.sandbox, code.format("3, 'hours'"), variables)
    assert not told(desk.sandbox, "memory['a']", frozenset({"memory"}))
    assert "`memory` used when not defined" in told(desk.sandbox, "memory['a']")


def test_what_has_passed_with_other_skills_says_nothing(new_sandbox: Callable[[], Sandbox]) -> None:
    sandbox, code = new_sandbox(), "from skills import calculate\ncalculate({})"
    sandbox.check(code.format("'1'"), own=True)

    def offering(kind: str) -> Sandbox:
        stubs = f"from typing import Literal\ndef calculate(expression: {kind}) -> int: ..."
        return sandbox.offering(stubs=stubs, skills=["calculate"])

    other = offering("Literal['1', '2']")
    assert not told(other, code.format("'1'"))
    assert not told(other, code.format("'2'"))
    assert "Expected `Literal" in told(other, code.format("'3'"))
    assert "Expected `int`" in told(offering("int"), code.format("'1'"))
    gone = told(sandbox.offering(stubs="", skills=[]), code.format("'1'"))
    assert "no member `calculate`" in gone
    assert "'lacks': {'calculate'}" in gone
    assert not told(sandbox, code.format("'3'"))


def test_with_more_shapes_than_are_kept_each_is_checked_right(desk: Desk) -> None:
    for number in range(1, 600):
        desk.sandbox.check(f"[{'0, ' * number}]", own=True)
    assert not told(desk.sandbox, "[0, '']")
    assert "used when not defined" in told(desk.sandbox, "[0, nan]")


def test_many_at_once_are_checked_right(new_sandbox: Callable[[], Sandbox]) -> None:
    sandbox, found = new_sandbox(), list[tuple[str, bool]]()

    def check() -> None:
        for number in range(40):
            unit = ("hours", "days", "moons", "weeks")[number % 4]
            code = f"from skills import convert_duration\nconvert_duration('{number} days', '{unit}')"
            found.append((unit, not told(sandbox, code)))

    threads = [threading.Thread(target=check) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 240
    assert set(found) == {("hours", True), ("days", True), ("weeks", True), ("moons", False)}
