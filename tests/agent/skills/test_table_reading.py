"""CSV, Markdown and JSON are read strictly: every row that is there, or an error that names the line."""

from typing import Any

import pytest

from callboard import SkillContext
from callboard.agent.skills._tables import read_table
from callboard.agent.skills.describe_table import describe_table
from callboard.agent.skills.query_table import query_table


def rows(data: str, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = query_table(data, "rows", **more)
    return found


@pytest.mark.parametrize(
    "data",
    [
        "sep=;\na;b\nx;2",
        '"sep=;"\r\na;b\r\nx;2\r\n',
        "\ufeffa;b\nx;2",
        "a,b,\nx,2,\n",
        "a,b\nx,2,\n",
        "a,b\rx,2\r",
        "a,b\r\nx,2\r\n",
        "\n\na,b\n\n\nx,2\n\n",
        "a\tb\nx\t2",
        '"a";"b"\n"x";2',
        "| a | b |\n|:--|--:|\n| x | 2 |",
        "a | b\n--- | ---\nx | 2",
    ],
)
def test_every_common_way_to_write_a_table_gives_the_same_rows(data: str) -> None:
    assert rows(data) == [{"a": "x", "b": "2"}]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ('"Name, Vorname";Betrag\n"Aa, Bb";5', {"Name, Vorname": "Aa, Bb", "Betrag": "5"}),
        ('Umsatz, netto;Jahr\n"1,5";2024', {"Umsatz, netto": "1,5", "Jahr": "2024"}),
        ("place, state\tn\nAustin, TX\t5", {"place, state": "Austin, TX", "n": "5"}),
        ("place;n\nA, B;1,5", {"place": "A, B", "n": "1,5"}),
        (",city,pop\n0,Oslo,7", {"index": "0", "city": "Oslo", "pop": "7"}),
        ("\tcity\tpop\n0\tOslo\t7", {"index": "0", "city": "Oslo", "pop": "7"}),
        ('a,b\n"x\u2028y",2', {"a": "x\u2028y", "b": "2"}),
        ('a,b\n"x\ny",2', {"a": "x\ny", "b": "2"}),
        ('a,b\n"say ""hi""",2', {"a": 'say "hi"', "b": "2"}),
        ('a,b\n22" pipe,2', {"a": '22" pipe', "b": "2"}),
        ('| a | b |\n|---|---|\n| "big | 2 |', {"a": '"big', "b": "2"}),
        ("| a | b |\n|---|---|\n| x \\| y | 2 |", {"a": "x | y", "b": "2"}),
        ("a|b\n1|2", {"a": "1", "b": "2"}),
        ("2024;2025\n1;2", {"2024": "1", "2025": "2"}),
    ],
)
def test_cells_are_what_stands_there(data: str, expected: dict[str, str]) -> None:
    assert rows(data) == [expected]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ('item,qty\nbolt,6\n"22in monitor,5\nnut,7', r"the row in line 3 opens a quote \(\"\) that is never closed"),
        ('a,b\n"x"y,2', "begins in line 2 a quote .* is closed before the cell ends"),
        ("a,b\n1,2\n3", "Row 3 has 1 cells and there are 2 columns"),
        ("a,b\n\n1,2,3", "Row 3 has 3 cells"),
        ("Report 2026\na,b\n1,2", r"Line 1 \('Report 2026'\) has 1 cells and all lines below have 2; leave out titles"),
        ("# made by us\na,b\n1,2", "leave out titles and comments"),
        ("Report,,\na,b,c\n1,2,3", "column 3 has none. If it is a title, leave it out"),
        ("a,b,a\n1,2,3", "'a' is the name of columns 1 and 3"),
        ("1,2\n3,4", "must name the columns, and it holds numbers"),
        ("a, b;c, d\n1, 2;3, 4", "may be separated by ';' or ','"),
        ("sep=;\n", "There is no data"),
    ],
)
def test_a_table_that_is_broken_is_refused_by_its_line(data: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_table(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ('{"items": [{"v": 1}, {"v": 2}], "warnings": []}', 3),
        ('{"count": 2, "data": {"items": [{"v": 1}, {"v": 2}]}}', 3),
        ('{"v": [1, 2], "w": ["x", "y"]}', 3),
        ('{"v": 1}\n\n{"v": 2, "t": "\u2028"}\r\n', 3),
        ('{"v": 3}', 3),
        ('[{"v": NaN}, {"v": 3}, {}]', 3),
        ('[{"v": 0.12345678901234567891}, {"v": 1}]', "1.12345678901234567891"),
        ('[{"v": 100000000000000000000000000000}, {"v": 1}]', 10**29 + 1),
        ('[{"v": 1e400}, {"v": 1}]', 10**400 + 1),
        ('[{"v": "1,5"}, {"v": 2}]', 3.5),
    ],
)
def test_json_is_read_whole_and_exactly(data: str, expected: Any) -> None:
    assert query_table(data, "sum", "v") == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ('{"a": [{"v": 1}], "b": [{"v": 2}]}', "2 lists of rows: a, b. Say which, as in path='a'"),
        ('{"items": []}', "the list 'items' in it is empty"),
        ('{"a": {"v": 1}, "b": {"v": 2}}', r"an object of objects \(a, b\)"),
        ('{"a": [1], "b": [1, 2]}', "no columns of one length"),
        ('[{"v": 1, "v": 2}]', "has the key 'v' twice"),
        ('[{"v": 1}, 2]', "row 2 is a number"),
        ('{"v": 1}\n{"v": }', "at line 2"),
        ('[{"v": 1e5000}]', "out of reach: the limit is an exponent of 999"),
        ('[{"v": Infinity}, {"v": 1}]', "'Infinity' in the column v is not a number"),
    ],
)
def test_json_that_does_not_hold_one_list_of_rows_is_refused(data: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        query_table(data, "sum", "v")


def test_a_path_names_one_of_several_lists() -> None:
    data = '{"a": [{"v": 1}], "more": {"b": [{"v": 2}, {"v": 3}]}}'
    assert query_table(data, "sum", "v", path="more.b") == 5
    assert describe_table(data, path="a")["rows"] == 1
    with pytest.raises(ValueError, match=r"no 'more.c' in the JSON; at 'c' there is b"):
        query_table(data, "count", path="more.c")
    with pytest.raises(ValueError, match="the data is not JSON; leave path out"):
        query_table("a\n1", "count", path="a")


def test_values_inside_of_objects_are_columns_by_their_path() -> None:
    data = '[{"id": 1, "address": {"city": "Oslo", "at": {"lat": 59.9}}}, {"id": 2, "address": {"city": "Bergen"}}, {"id": 3}]'
    assert query_table(data, "values", "address.city") == ["Oslo", "Bergen", None]
    assert query_table(data, "sum", "id", where="address.city = Oslo or address.at.lat > 60") == 1
    assert query_table(data, "count", group_by="address.city") == {"Oslo": 1, "Bergen": 1, "": 1}
    described = {column["name"]: column["type"] for column in describe_table(data)["columns"]}
    assert (described["address"], described["address.city"], described["address.at.lat"]) == (
        "object",
        "text",
        "number",
    )


class Host:
    """A run's place for notes; nothing else of it is called."""

    def __init__(self) -> None:
        self.notes: dict[str, Any] = {}

    def note(self, name: str, value: Any) -> None:
        self.notes[name] = value


def noted(skill: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    host = Host()
    skill.call(args, kwargs, SkillContext(task_id="t", session_id="s", effect_id="e", host=host))  # type: ignore[arg-type]
    return host.notes


def test_missing_cells_and_units_are_told_beside_the_answer() -> None:
    data = "k,v,w\na,$1,x\na,,\nb,$2,z"
    assert noted(query_table, data, "sum", "v") == {"missingCells": {"v": 1}, "units": {"v": "$"}}
    assert noted(query_table, data, "sum", "v", where="k = b") == {"units": {"v": "$"}}
    assert noted(query_table, data, "count", group_by="w") == {"missingCells": {"w": 1}}
    assert noted(query_table, data, "rows", sort_by="v") == {"missingCells": {"v": 1}}
    assert noted(describe_table, data) == {"missingCells": {"v": 1, "w": 1}}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("1,250", "can be read as"),
        ("50%\n0.5", "with and without a unit"),
        ("05/02/2026", "can be read as"),
        ("1.9\n1.10", "numbers or versions"),
    ],
)
def test_a_description_tells_what_is_wrong_with_a_column(cells: str, expected: str) -> None:
    (column,) = describe_table('x\n"' + cells.replace("\n", '"\n"') + '"')["columns"]
    assert expected in column["problem"]


def test_a_description_has_the_extremes_of_everything_that_is_ordered() -> None:
    data = "d;s;t;c\n01.02.2026;9 MB;1h 30m;02134\n31.01.2025;10 MB;45m;10001"
    found = {column["name"]: column for column in describe_table(data)["columns"]}
    assert (found["d"]["type"], found["d"]["min"], found["d"]["max"]) == ("date", "31.01.2025", "01.02.2026")
    assert (found["s"]["type"], found["s"]["max"], found["s"]["sum"]) == ("size", "10 MB", "19 MB")
    assert (found["t"]["type"], found["t"]["min"], found["t"]["mean"]) == ("duration", "45m", "1h 7.5m")
    assert (found["c"]["type"], found["c"]["min"], "sum" in found["c"]) == ("code", "02134", False)
