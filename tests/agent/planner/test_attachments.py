"""Questions on files that come with a task: looked at, planned, read in the sandbox; or refused with a word on the file."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from callboard import SkillContext
from callboard.agent.cancel import Cancelled, CancelToken
from callboard.agent.documents.kinds import media_type_of
from callboard.agent.documents.reading import Document
from callboard.agent.file_text import look_at
from callboard.agent.planner.file_mentions import mentions
from callboard.agent.roster import Roster
from callboard.agent.sandbox_run import Script
from callboard.errors import TaskError
from callboard.values import storable
from tests.agent.answers import one_by_one
from tests.agent.documents.pdfs import pdf
from tests.agent.documents.workbooks import xlsx
from tests.agent.planner.conftest import Desk

CSV = b"a,b\n1,2\n3,4\n"
SALES = b"name;price;region;status\nApple;1.2;North;paid\nPear;2.5;South;open\n"
NOTES = b"# Actors\n\nActors keep state. They talk by messages. Locks are not needed here.\n"
CODE = b"import os\n\ndef f(x=[]):\n    return eval(x)\n"
TWO = xlsx({"Sales": [["a", "b"], [1, 10], [2, 20]], "Q1 Costs": [["a", "b"], [1, 5]]})
DAYS = xlsx({"Sheet": [["day", "b"], [date(2026, 1, 2), 10], [date(2026, 1, 3), 20.5]], "Sheet2": []})
FILES: Mapping[str, bytes] = {
    "x.csv": CSV,
    "sales.csv": SALES,
    "my report 2.csv": CSV,
    "Umsätze Süd.csv": CSV,
    "Übersicht (1).csv": CSV,
    "t.tsv": b"a\tb\n1\t2\n",
    "list.json": b'[{"k": 1}, {"k": 5}]',
    "lines.jsonl": b'{"k":1}\n{"k":4}\n',
    "config.json": b'{"password": "hunter2hunter2", "hosts": ["a", "b"]}',
    "notes.md": NOTES,
    "notes.pdf": pdf("Actors keep state. They talk."),
    "page.html": b"<html><body><nav>Home</nav><p>Actors keep state. They talk.</p></body></html>",
    "table.txt": CSV,
    "app.py": CODE,
    "app.js": b"var x = 1;\nif (x == 2) { eval(x) }\n",
    "west.csv": "größe;b\n1;2\n".encode("cp1252"),
    "wide.csv": "a,größe\n1,2\n".encode("utf-16"),
    "mark.csv": b"\xef\xbb\xbf" + CSV,
    "two.xlsx": TWO,
    "days.xlsx": DAYS,
    "price.csv": b"price,n\n1,2\n3,5\n",
    "north.csv": SALES,
    "empty.csv": b" \n",
    "bad.csv": b"a,a\n1,2\n",
    "merged.xlsx": xlsx({"S": [["r", "b"], ["x", 1], [None, 2]]}, merged=["A2:A3"]),
    "wrong.xlsx": xlsx({"S": [["a", "b"], [1, "=A2"]]}),
    "old.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100),
}

ODD_NAMES: Sequence[tuple[str, str]] = [  # a file's name, and how a question calls it
    ("report (1).csv", "report (1).csv"),
    ("report (1).csv", "report (1)"),
    ("report (1).csv", "'Report (1).CSV'"),
    ("Übersicht.csv", "Übersicht.csv"),
    ("Übersicht.csv", "übersicht"),
    ("Übersicht.csv", "„Übersicht.csv“"),
    ("Übersicht.csv", "U\u0308BERSICHT.csv"),
    ("décembre 2025.csv", "décembre 2025.csv"),
    ("报告.csv", "报告.csv"),
    ("報告書 最終版.csv", "「報告書\u3000最終版.csv」"),
    ("تقرير.csv", "تقرير.csv"),
    ("דוח שנתי.csv", "דוח שנתי.csv"),
    ("📊 figures.csv", "📊 figures.csv"),
    ("👨\u200d👩\u200d👧.csv", "👨\u200d👩\u200d👧.csv"),
    ("Bob's data.csv", "Bob’s data.csv"),
    ("Bob’s data.csv", "Bob's data.csv"),
    ("R&D #1, 100% + more.csv", "R&D #1, 100% + more.csv"),
    ("a.b.c.v2.csv", "a.b.c.v2.csv"),
    ("SALES.CSV", "sales.csv"),
    ("Q1–Q2.csv", "Q1-Q2.csv"),
    ("Screenshot 3.15\u202fPM.csv", "Screenshot 3.15 PM.csv"),
    ("Straße.csv", "STRASSE.csv"),
    (".hidden.csv", ".hidden.csv"),
    ("[2025] final, final.csv", "[2025] final, final.csv"),
    ("$total^2.csv", "$total^2.csv"),
    ("10:30 Uhr.csv", "10:30 Uhr.csv"),
    ("my_data-set 2.csv", "my data set_2.csv"),
]

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> SkillContext:
    context = SkillContext(task_id="t", session_id="s", effect_id="e", workspace_root=tmp_path_factory.mktemp("files"))
    for name, data in FILES.items():
        (context.workspace / name).write_bytes(data)
    return context


@pytest.fixture
def ask(desk: Desk, ctx: SkillContext) -> Ask:
    """Return a function that carries out a task that comes with files."""

    def call(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        try:
            return storable(desk.catalogue.get(name.replace("_", "-")).call(args, kwargs, ctx))
        except ValueError as error:
            raise TaskError("skill_failed", str(error)) from error

    def answer(task: str, *names: str, **changes: Any) -> Any:
        files = tuple({"name": n, "mediaType": media_type_of(n), "size": len(FILES[n])} for n in names)
        plan = desk.plan(task, files=files, look=partial(look_at, ctx=ctx), **changes)
        assert plan.code is not None
        desk.sandbox.check(plan.code)
        return desk.sandbox.run(
            Script(code=plan.code, keep_state=False), answer=one_by_one(call), token=CancelToken()
        ).value

    return answer


TABLES: Sequence[tuple[str, str, Any]] = [
    ("average of b in x.csv", "x.csv", 3),
    ("What is the average of b in X.CSV?", "x.csv", 3),
    ("What is the average of b in 'x.csv'?", "x.csv", 3),
    ("average of b in /home/me/x.csv", "x.csv", 3),
    ("average of b in x", "x.csv", 3),
    ("x.csv: average of b", "x.csv", 3),
    ("average of b (x.csv)", "x.csv", 3),
    ("Here is x.csv. What is the average of b?", "x.csv", 3),
    ("I have attached x.csv. What is the average of b in it?", "x.csv", 3),
    ("Please read x.csv and tell me the average of b", "x.csv", 3),
    ("Using the attached file x.csv, compute the minimum and maximum of b", "x.csv", {"min": 2, "max": 4}),
    ("average of b", "x.csv", 3),
    ("In this file: what is the average of b", "x.csv", 3),
    ("What is the average of b in the attached CSV?", "x.csv", 3),
    ("how many rows", "x.csv", 2),
    ("How many rows does the file have?", "x.csv", 2),
    ("What columns are there?", "x.csv", ["a", "b"]),
    ("average of b in x.csv where a is 3", "x.csv", 4),
    ("sum of a in my report 2.csv", "my report 2.csv", 4),
    ('sum of a in "My Report 2"', "my report 2.csv", 4),
    ("sum of a in Umsätze Süd.csv", "Umsätze Süd.csv", 4),
    ("sum of a in umsa\u0308tze su\u0308d.csv", "Umsätze Süd.csv", 4),
    ("sum of a in Übersicht (1).csv", "Übersicht (1).csv", 4),
    ("sum of b in t.tsv", "t.tsv", 2),
    ("sum of k in list.json", "list.json", 6),
    ("max k", "lines.jsonl", 4),
    ("sum of b in table.txt", "table.txt", 6),
    ("sum of größe", "west.csv", 1),
    ("sum of größe", "wide.csv", 2),
    ("sum of a", "mark.csv", 4),
    ("What is the price of Apple in sales.csv?", "sales.csv", ["1.2"]),
    ("how many paid orders are in sales.csv?", "sales.csv", 1),
    ("average price by region in sales.csv where status is paid", "sales.csv", {"North": 1.2}),
    ("Which name has the highest price?", "sales.csv", "Pear"),
    ("average price in sales", "sales.csv", 1.85),
    ("sum of price", "price.csv", 4),
    ("sum of b in days.xlsx", "days.xlsx", 30.5),
    ("latest day in the spreadsheet", "days.xlsx", "2026-01-03"),
    ("average of b in sheet Sales of two.xlsx", "two.xlsx", 15),
    ("average of b in the Sales sheet", "two.xlsx", 15),
    ("average of b in two.xlsx (Q1 Costs)", "two.xlsx", 5),
    ("average of b in sheet 'q1 costs' of two.xlsx", "two.xlsx", 5),
]


@pytest.mark.parametrize(("task", "name", "expected"), TABLES, ids=[task for task, _, _ in TABLES])
def test_a_question_on_a_table_in_a_file_is_answered(ask: Ask, task: str, name: str, expected: Any) -> None:
    assert ask(task, name) == expected


@pytest.mark.parametrize("question", ["What is the sum of b in {}?", "sum of b in {}", "In {}, what is the sum of b?"])
@pytest.mark.parametrize(("name", "called"), ODD_NAMES, ids=[f"{name!a} as {called!a}" for name, called in ODD_NAMES])
def test_a_file_is_found_by_its_name_however_that_is_written(desk: Desk, name: str, called: str, question: str) -> None:
    others = ("x.csv", "notes.md")
    files = tuple({"name": each, "mediaType": media_type_of(each), "size": 1} for each in (name, *others))
    plan = desk.plan(question.format(called), files=files, look=lambda path, *_, **__: Document(text="a,b\n1,2\n"))
    assert f"read_file({name!r})" in (plan.code or "")


@pytest.mark.parametrize(
    "name", [f"a{' ' * 200}.csv", f"{'_-' * 60}.csv", f"a{'_b-' * 60}.csv"], ids=["spaces", "signs", "both"]
)
def test_no_name_makes_a_question_a_long_one(name: str) -> None:
    started_s = time.process_time()
    for text in (
        f"sum of b in {name[:-3]}",
        f"sum of b in {name[:-3].replace('_', ' ')}",
        f"sum of b in {name * 7}!"[:2000],
    ):
        mentions(text, [name])
    assert time.process_time() - started_s < 1


@pytest.mark.parametrize(
    ("task", "found"),
    [
        ("average of b in x.csv", "x.csv"),
        ("What is the average of b in 'Report (1).CSV'?", "report (1).csv"),
        ("average of b in data/y.csv", "data/y.csv"),
        ("average of b in y.csv", "data/y.csv"),
        ("average of b in new.csv", "new.csv"),
        ("average of b", "new.csv"),  # what came with the task is what it is about
        ("What is 2.5 + 2.5?", None),
        ("What is the average of 3, 4.5 and x?", None),
    ],
)
def test_a_file_of_an_earlier_task_is_found_by_its_whole_name(desk: Desk, task: str, found: str | None) -> None:
    kept = [
        {"name": name, "mediaType": "text/csv", "size": 1}
        for name in ("x.csv", "report (1).csv", "data/y.csv", "new.csv")
    ]
    files = (kept[-1],) if found == "new.csv" else ()
    looked: list[str] = []

    def look(path: str, *_: object, **__: object) -> Document:
        looked.append(path)
        return Document(text="a,b\n1,2\n")

    try:
        plan = desk.plan(task, files=files, kept=lambda: tuple(kept), look=look)
    except TaskError as error:
        assert error.code == "no_skill_fits"  # noqa: PT017  # a sum of letters, say
        plan = None
    assert looked == ([found] if found else [])
    assert found is None or (plan is not None and f"read_file({found!r})" in (plan.code or ""))


@pytest.mark.parametrize(
    "task", ["Describe x.csv", "describe", "Describe it", "Summarize this file", "What's in x.csv?", "What does x.csv contain?"]
)  # fmt: skip
def test_a_table_in_a_file_is_described(ask: Ask, task: str) -> None:
    assert ask(task, "x.csv")["rows"] == 2


@pytest.mark.parametrize(
    ("task", "name", "expected"),
    [
        ("Summarize notes.pdf in one sentence", "notes.pdf", "Actors keep state."),
        ("Summarize this document in one sentence", "page.html", "Actors keep state."),
        ("How many words are in notes.pdf?", "notes.pdf", 5),
        ("How many words are there?", "notes.md", 13),
        ("word count of notes", "notes.md", 13),
        ("How many words are in page.html?", "page.html", 5),
        ("How many lines does app.py have?", "app.py", 4),
        ("How many characters are in x.csv?", "x.csv", 12),
    ],
)
def test_a_text_in_a_file_is_summarised_and_counted(ask: Ask, task: str, name: str, expected: Any) -> None:
    assert ask(task, name) == expected


@pytest.mark.parametrize(
    ("task", "name", "rule"),
    [
        ("Review app.py", "app.py", "eval"),
        ("Find bugs in this code", "app.py", "eval"),
        ("Review app.js", "app.js", "eval"),
        ("Security audit of app.py", "app.py", "B307"),
        ("Is app.py secure?", "app.py", "B307"),
        ("Are there secrets in config.json?", "config.json", "named-secret"),
    ],
)
def test_code_in_a_file_is_analysed_and_searched(ask: Ask, task: str, name: str, rule: str) -> None:
    assert rule in {finding["rule"] for finding in ask(task, name)["findings"]}


@pytest.mark.parametrize(
    ("agent", "name", "key"),
    [("data-analyst", "x.csv", "rows"), ("code-reviewer", "app.py", "score"), ("security-auditor", "app.py", "counts")],
)
def test_an_agent_does_with_a_file_what_it_is_there_for(ask: Ask, desk: Desk, agent: str, name: str, key: str) -> None:
    assert key in ask(
        "Have a look at this file, please", name, agent=Roster.load(None, desk.catalogue.names).get(agent)
    )


def test_several_files_are_told_apart_by_their_names_or_kinds(ask: Ask) -> None:
    files = ("x.csv", "sales.csv", "notes.md")
    assert ask("average of b in x.csv", *files) == 3
    assert ask("average price in sales", *files) == 1.85
    assert ask("How many words are in notes?", *files) == 13
    assert ask("average of b in the csv", "x.csv", "notes.md") == 3


def test_a_task_that_is_about_something_else_is_worked_out_as_ever(ask: Ask, desk: Desk) -> None:
    assert ask("What is 2 + 2?", "x.csv") == ask("What is 2 + 2?", "x.csv", "notes.md") == 4
    assert ask("What is the average of 3, 4 and 8?", "x.csv") == 5
    assert ask("What day of the week is 2026-07-04?", "x.csv") == "Saturday"
    assert ask("What is the average of b in this CSV:\na,b\n1,8\n3,8", "x.csv") == 8
    assert ask("Summarize: Actors keep state.", "notes.md") == "Actors keep state."
    assert ask("```python\nfrom skills import read_file\nread_file('x.csv')\n```", "x.csv") == CSV.decode()
    assert ask("What is 6 * 7?", "x.csv", skills={"calculate": desk.catalogue.skills["calculate"]}) == 42


def test_what_is_told_before_the_question_is_kept(ask: Ask) -> None:
    assert ask("My name is Alice. What is the average of b in x.csv?", "x.csv") == 3


REFUSED: Sequence[tuple[str, tuple[str, ...], str]] = [
    ("average of zzz in x.csv", ("x.csv",), r"The file x\.csv \(CSV, 12 bytes\) has 2 rows and the columns a, b\. .*Ask for a count"),
    ("Write a poem", ("x.csv",), r"x\.csv \(CSV, 12 bytes\) has 2 rows and the columns a, b"),
    ("average of b for rich people", ("x.csv",), r"x\.csv .* columns a, b"),
    ("average of b", ("x.csv", "sales.csv"), r"x\.csv \(CSV, 12 bytes\), sales\.csv \(CSV, 66 bytes\).*name it, such as 'Describe x\.csv'"),
    ("Summarize", ("x.csv", "notes.md"), r"x\.csv .*, notes\.md \(Markdown"),
    ("compare x.csv and sales.csv", ("x.csv", "sales.csv"), r"One file can be asked about at a time, and the task names x\.csv, sales\.csv"),
    ("average of b in y.csv", ("x.csv",), r"No file y\.csv is attached; attached is x\.csv"),
    ("average of b in x-2.csv", ("x.csv",), r"No file x-2\.csv is attached; attached is x\.csv"),
    ("translate notes.md to German", ("notes.md",), r"notes\.md \(Markdown, \d+ bytes\) is a text\. .*'Summarize notes\.md'"),
    ("Summarize notes.md in German", ("notes.md",), r"notes\.md .* is a text\. .*'German' is not understood"),
    ("How many lines contain state in notes.md?", ("notes.md",), r"notes\.md .* is a text"),
    ("run app.py", ("app.py",), r"Code from a file is not run\. app\.py can be reviewed"),
    ("Explain app.py", ("app.py",), r"app\.py \(python, \d+ bytes\) is code"),
    ("average of x in config.json", ("config.json",), r"config\.json \(JSON, \d+ bytes\) has 1 row and the columns password, hosts"),
    ("average of b in two.xlsx", ("two.xlsx",), r"two\.xlsx \(XLSX, [\d,]+ bytes\) has several sheets, 'Sales', 'Q1 Costs'.*'Describe sheet Sales of two\.xlsx'"),
    ("average of b", ("two.xlsx",), r"has several sheets, 'Sales', 'Q1 Costs'"),
    ("average of b in sheet Nope of two.xlsx", ("two.xlsx",), r"has several sheets"),
    ("sum of b where r = x in merged.xlsx", ("merged.xlsx",), r"Its cells A2:A3 are merged over several rows"),
    ("sum of b in wrong.xlsx", ("wrong.xlsx",), r"wrong\.xlsx, sheet S: B2 is a formula whose result was not saved"),
    ("sum of b in old.xls", ("old.xls",), r"old\.xls is an old Excel workbook \(\.xls\), which cannot be read; save it as XLSX or CSV"),
    ("sum of b in empty.csv", ("empty.csv",), r"empty\.csv \(CSV, 2 bytes\) is empty"),
    ("sum of a in bad.csv", ("bad.csv",), r"bad\.csv \(CSV, 8 bytes\) cannot be read as a table"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "names", "why"), REFUSED, ids=[task for task, _, _ in REFUSED])
def test_a_refusal_speaks_of_the_file(ask: Ask, task: str, names: tuple[str, ...], why: str) -> None:
    with pytest.raises(TaskError, match=why) as caught:
        ask(task, *names)
    assert caught.value.code == "no_skill_fits"
    assert caught.value.message.count("CALLBOARD_LLM_PROVIDER") == 1


@pytest.mark.parametrize("task", ["average of b in x.csv", "average of b"])
def test_a_task_that_may_not_read_files_is_told_so(ask: Ask, desk: Desk, task: str) -> None:
    with pytest.raises(TaskError, match=r"To ask about x\.csv: This task needs the skill read-file") as caught:
        ask(task, "x.csv", skills={"query-table": desk.catalogue.skills["query-table"]})
    assert caught.value.code == "skill_not_allowed"


def test_a_name_that_is_a_column_too_is_not_guessed_at(ask: Ask) -> None:
    assert ask("sum of n in price", "price.csv") == 7
    with pytest.raises(TaskError, match=r"whole name of the file, such as north\.csv"):
        ask("average price in North", "north.csv")


def test_a_file_that_is_used_twice_is_read_once(desk: Desk, ctx: SkillContext) -> None:
    files = ({"name": "x.csv", "mediaType": "text/csv", "size": 12},)
    plan = desk.plan("minimum and maximum of b in x.csv", files=files, look=partial(look_at, ctx=ctx))
    assert (plan.code or "").count("read_file('x.csv')") == 1


def test_looking_ends_with_its_task(tmp_path: Path) -> None:
    ctx = SkillContext(task_id="t", session_id="s", effect_id="e", workspace_root=tmp_path)
    (ctx.workspace / "two.xlsx").write_bytes(TWO)
    ctx.cancel_event.set()
    with pytest.raises(Cancelled):
        look_at("two.xlsx", ctx=ctx)
