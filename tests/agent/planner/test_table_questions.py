"""Questions on tables whose cells and columns are words of questions too: the right answer or a refusal, never another.

The questions stand in `table_questions.txt`, with answers that were read over one by one. Those below are made up, with an oracle of
their own.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.planner import Plan
from callboard.errors import TaskError
from tests.profiles import examples

_FILE = Path(__file__).with_name("table_questions.txt")


def _cases() -> Iterator[tuple[str, str, str, str]]:
    """Yield the name of a table, the table, a question, and its answer with the sign before it."""
    for section in _FILE.read_text().split("\n== ")[1:]:
        head, _, questions = section.partition("\n--\n")
        name, _, table = head.partition("\n")
        for line in questions.strip().split("\n"):
            sign = "=!" if " =! " in line else "=>"
            question, _, answer = line.partition(f" {sign} ")
            yield name, table, question, f"{sign} {answer}"


CASES = list(_cases())
RIGHT = [pytest.param(t, q, json.loads(a[3:]), id=f"{n}-{q}") for n, t, q, a in CASES if a.startswith("=>")]
REFUSED = [pytest.param(t, q, a[3:], id=f"{n}-{q}") for n, t, q, a in CASES if a.startswith("=!")]


@pytest.mark.parametrize(("table", "question", "expected"), RIGHT)
def test_a_question_with_one_meaning_is_answered_right(
    answer: Callable[..., Any], table: str, question: str, expected: Any
) -> None:
    assert _brief(answer(f"{question}\n{table}"), table) == expected


@pytest.mark.parametrize(("table", "question", "named"), REFUSED)
def test_a_question_that_is_not_plain_is_refused_and_says_why(
    plan: Callable[..., Plan], table: str, question: str, named: str
) -> None:
    with pytest.raises(TaskError) as caught:
        plan(f"{question}\n{table}")
    assert caught.value.code == "no_skill_fits"
    message = str(caught.value)
    assert named in message.partition(" Ask for a count")[0]
    assert "the columns are" in message


def _brief(found: Any, table: str) -> Any:
    """Return whole rows as their first cells, so that the expected fits on a line."""
    rows = found if isinstance(found, list) else [found]
    header = table.partition("\n")[0]
    if not rows or not all(
        isinstance(row, dict) and len(row) > 2 and all(key in header for key in row) for row in rows
    ):
        return found
    cells = [next(iter(row.values())) for row in rows]
    return cells if isinstance(found, list) else cells[0]


# --- tables that are made up ---

FILLERS = (
    "IT US A I Will First High May March Last Top All Count Total Average In Of By Not And Or The Per Each Data Rows Name Date "
    "Sales HR Most Min Max It Us None-such Both Other Only"
).split()
COLUMNS = (
    "count",
    "total",
    "date",
    "top",
    "in",
    "of",
    "average",
    "min",
    "max",
    "first",
    "by",
    "per",
    "rows",
    "sum",
    "data",
    "list",
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, str, list[tuple[str, int]], str]:
    """Draw a table of a group and a number, with names that are words of questions; return it with what is in it."""
    column = draw(st.sampled_from(COLUMNS))
    group = draw(st.sampled_from(["department", "team", "status"]))
    cells = draw(st.lists(st.sampled_from(FILLERS), min_size=2, max_size=4, unique_by=str.lower))
    rows = [(cell, 10 * n + 3**n) for n, cell in enumerate(draw(st.permutations(cells * 2)), 1)]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([(group, column), *rows])
    return column, group, rows, out.getvalue()


def _of(rows: list[tuple[str, int]], cell: str) -> list[int]:
    return [value for name, value in rows if name == cell]


def _mean(values: list[int]) -> float:
    return sum(values) / len(values)


REFUSAL = object()


def _answered(answer: Callable[..., Any], task: str) -> Any:
    """Return the answer, or REFUSAL where the planner or the skill says that there is none."""
    try:
        return answer(task)
    except TaskError as error:
        return REFUSAL if error.code in ("no_skill_fits", "skill_failed") else error


Oracle = Callable[[list[tuple[str, int]], str], Any]
TEMPLATES: list[tuple[str, Oracle]] = [
    ("average {column} in {cell}", lambda rows, cell: _mean(_of(rows, cell))),
    ("What is the sum of {column} for {cell}?", lambda rows, cell: sum(_of(rows, cell))),
    ("highest {column} of {cell} rows", lambda rows, cell: max(_of(rows, cell))),
    ("How many rows are in {cell}?", lambda rows, cell: len(_of(rows, cell))),
    ("How many rows are not {cell}?", lambda rows, cell: len(rows) - len(_of(rows, cell))),
    ("sum of {column} except {cell}", lambda rows, cell: sum(v for name, v in rows if name != cell)),
    ("sum of {column} where {group} is not {cell}", lambda rows, cell: sum(v for name, v in rows if name != cell)),
    ("total {column} in the {cell} {group}", lambda rows, cell: sum(_of(rows, cell))),
    ("count rows where {group} = {cell}", lambda rows, cell: len(_of(rows, cell))),
    ("sum of the 2 highest {column} values", lambda rows, cell: sum(sorted(v for _, v in rows)[-2:])),
    ("average of the top 2 rows by {column}", lambda rows, cell: _mean(sorted(v for _, v in rows)[-2:])),
    ("sum of {column} of the top 2 rows by {column} in {cell}", lambda rows, cell: sum(sorted(_of(rows, cell))[-2:])),
    ("total {column} by {group}", lambda rows, cell: {name: sum(_of(rows, name)) for name, _ in rows}),
    ("number of rows with {column} above 25", lambda rows, cell: sum(v > 25 for _, v in rows)),
    ("how many rows in {cell} have {column} below 40", lambda rows, cell: sum(v < 40 for v in _of(rows, cell))),
]  # fmt: skip


@given(table=tables(), template=st.sampled_from(TEMPLATES), number=st.integers(0, 3), small=st.booleans())
@examples(150)
def test_whatever_cells_and_columns_are_called_an_answer_is_right(
    answer: Callable[..., Any], table: Any, template: tuple[str, Oracle], number: int, small: bool
) -> None:
    column, group, rows, data = table
    words, oracle = template
    cell = rows[number % len(rows)][0]
    said = cell.lower() if small else cell
    found = _answered(answer, f"{words.format(column=column, group=group, cell=said)}\n\n{data}")
    assert found is REFUSAL or found == pytest.approx(oracle(rows, cell))


Row = dict[str, Any]
TWO_COLUMNS: list[tuple[str, Callable[[list[Row], str, str], Any]]] = [
    ("average amount of {s} rows in {r}", lambda rows, s, r: _mean([x["amount"] for x in rows if _is(x, s, r)])),
    ("how many {s} rows are in {r}?", lambda rows, s, r: sum(_is(x, s, r) for x in rows)),
    ("How many rows in {r} are not {s}?", lambda rows, s, r: sum(_in(x, r) and not _is(x, s, r) for x in rows)),
    ("total amount in {r} excluding {s}", lambda rows, s, r: sum(x["amount"] for x in rows if _in(x, r) and not _is(x, s, r))),
    ("total amount in {r} after 2025-02-01", lambda rows, s, r: sum(x["amount"] for x in rows if _in(x, r) and x["day"] > "2025-02-01")),
    ("total amount in {r} in February", lambda rows, s, r: sum(x["amount"] for x in rows if _in(x, r) and x["day"][5:7] == "02")),
    ("number of rows in {r} in March 2025", lambda rows, s, r: sum(_in(x, r) and x["day"][5:7] == "03" for x in rows)),
    ("what percent of rows are {s}", lambda rows, s, r: 100 * sum(x["status"] == s for x in rows) / len(rows)),
    ("count rows where amount is between 15 and 40 in {r}", lambda rows, s, r: sum(_in(x, r) and 15 <= x["amount"] <= 40 for x in rows)),
    ("amounts of {r} rows with amount above 20", lambda rows, s, r: [str(x["amount"]) for x in rows if _in(x, r) and x["amount"] > 20]),
    ("average amount of the top 2 rows by amount in {r}", lambda rows, s, r: _mean(sorted(x["amount"] for x in rows if _in(x, r))[-2:])),
]  # fmt: skip


def _in(row: Row, region: str) -> bool:
    return bool(row["region"] == region)


def _is(row: Row, status: str, region: str) -> bool:
    return _in(row, region) and bool(row["status"] == status)


@st.composite
def rows_of_two(draw: st.DrawFn) -> list[Row]:
    """Draw rows whose regions and states may be the same words, as months and names are."""
    words = st.lists(
        st.sampled_from([*FILLERS, "New York", "New", "R&D", "Office"]), min_size=3, max_size=3, unique_by=str.lower
    )
    regions, states = draw(words), draw(words)
    return [
        {
            "region": draw(st.sampled_from(regions)),
            "status": draw(st.sampled_from(states)),
            "amount": amount,
            "day": f"2025-0{draw(st.integers(1, 6))}-0{draw(st.integers(1, 9))}",
        }
        for amount in draw(st.lists(st.integers(5, 60), min_size=6, max_size=6, unique=True))
    ]


@given(rows=rows_of_two(), template=st.sampled_from(TWO_COLUMNS), small=st.booleans())
@examples(100)
def test_cells_of_two_columns_are_not_taken_for_each_other(
    answer: Callable[..., Any], rows: list[Row], template: tuple[str, Any], small: bool
) -> None:
    words, oracle = template
    status, region = rows[0]["status"], rows[0]["region"]
    said = words.format(s=status.lower() if small else status, r=region.lower() if small else region)
    data = "\n".join(["region,status,amount,day", *(",".join(map(str, row.values())) for row in rows)])
    found = _answered(answer, f"{said}\n\n{data}")
    assert found is REFUSAL or found == pytest.approx(oracle(rows, status, region))


STAFF = next(table for name, table, _, _ in CASES if name == "STAFF")
ANSWERED = [q for name, _, q, a in CASES if name == "STAFF" and a.startswith("=>")]


@given(
    question=st.sampled_from(ANSWERED),
    place=st.integers(0, 12),
    word=st.sampled_from(
        "zorp not never except without twice half about nearly cumulative weighted second other 7 last few".split()
    ),
)
@examples(200)
def test_no_word_of_a_question_is_passed_over(answer: Callable[..., Any], question: str, place: int, word: str) -> None:
    words = question.split()
    place %= len(words) + 1
    more = " ".join([*words[:place], word, *words[place:]])
    if more in ANSWERED:
        return
    found = _answered(answer, f"{more}\n{STAFF}")
    assert found is REFUSAL or found != answer(f"{question}\n{STAFF}"), f"{word!r} in {more!r} changed nothing"


def test_all_of_a_question_costs_little_time_on_many_rows(plan: Callable[..., Plan]) -> None:
    data = "\n".join(["name,department,salary", *(f"N{n},{FILLERS[n % 20]},{n}" for n in range(20_000))])
    assert plan(f"What is the average salary in IT?\n{data}").intent == "table"
    with pytest.raises(TaskError, match=r"not understood at|ways"):
        plan(f"{'in the of a it by and may will first ' * 5}\n{data}")


@pytest.mark.parametrize("question", ["latest when", "sort by when"])
def test_dates_that_can_be_read_in_two_ways_are_refused_by_the_skill(answer: Callable[..., Any], question: str) -> None:
    with pytest.raises(TaskError, match="can be read as 2026-02-05 or 2026-05-02"):
        answer(f"{question}\n\nid,when\n1,05/02/2026\n2,03/01/2026")
