"""`query-table`: sums are exact, filters read what people write, and what is not a number is said so."""

import contextlib
import csv
import io
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.skills._tables import read_table
from callboard.agent.skills.query_table import query_table

ORDERS = """Order ID,Product Name,unit_price,region,status,date,qty
1,Apple,"$1,200.50",North,paid,2026-01-02,2
2,Pear,$3.25,South,open,2026-02-03,
3,"Fig, dried",$0.25,North,paid,2026-03-04,5
4,Kiwi,,East,Paid,2026-04-05,1
"""
PEOPLE = (
    '[{"name": "Bob", "age": 30, "ok": true}, {"name": "Ann", "age": 25.5, "ok": false}, {"name": "Cy", "age": null}]'
)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"operation": "count"}, 4),
        ({"operation": "count", "column": "qty"}, 3),
        ({"operation": "sum", "column": "unit_price"}, 1204),
        ({"operation": "sum", "column": "Unit Price"}, 1204),
        ({"operation": "sum", "column": "unitprice"}, 1204),
        ({"operation": "mean", "column": "qty"}, 8 / 3),
        ({"operation": "median", "column": "qty"}, 2),
        ({"operation": "min", "column": "unit_price"}, 0.25),
        ({"operation": "max", "column": "date"}, "2026-04-05"),
        ({"operation": "sum", "column": "qty", "group_by": "region"}, {"North": 7, "South": 0, "East": 1}),
        ({"operation": "mean", "column": "qty", "group_by": "region"}, {"North": 3.5, "South": None, "East": 1}),
        ({"operation": "distinct_count", "column": "region"}, 3),
        ({"operation": "distinct_count", "column": "region", "group_by": "status"}, {"paid": 1, "open": 1, "Paid": 1}),
        ({"operation": "count", "group_by": "status"}, {"paid": 2, "open": 1, "Paid": 1}),
        ({"operation": "distinct", "column": "region"}, ["North", "South", "East"]),
        ({"operation": "values", "column": "product name", "limit": 2}, ["Apple", "Pear"]),
        (
            {"operation": "values", "column": "product name", "sort_by": "unit price", "descending": True},
            ["Apple", "Pear", "Fig, dried", "Kiwi"],
        ),
        ({"operation": "values", "column": "region", "sort_by": "region"}, ["East", "North", "North", "South"]),
    ],
)
def test_an_operation_gives_its_value(arguments: dict[str, Any], expected: Any) -> None:
    assert query_table(ORDERS, **arguments) == expected


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("status = paid", "134"),
        ("status is Paid", "134"),
        ("status == 'paid'", "134"),
        ("status != paid", "2"),
        ("status is not paid", "2"),
        ("region in North, East", "134"),
        ("unit_price > 1", "12"),
        ("Unit Price is greater than 1", "12"),
        ("unit price >= 3.25", "12"),
        ("unit price at most $3.25", "23"),
        ("unit price between 0.1 and 5", "23"),
        ("unit price is more than 1,200", "1"),
        ("qty is empty", "2"),
        ("qty is not empty", "134"),
        ("date after 2026-02-03", "34"),
        ("date <= 2026-02-03", "12"),
        ("product name contains fig", "3"),
        ("product name starts with a", "1"),
        ("product name ends with 'i'", "4"),
        ('`Product Name` = "Fig, dried"', "3"),
        ("region is North and qty > 2", "3"),
        ("region = North or region = South", "123"),
        ("region = South or region = North and qty > 2", "23"),
        ("where region = North".removeprefix("where "), "13"),
    ],
)
def test_a_filter_reads_what_people_write(where: str, ids: str) -> None:
    assert "".join(query_table(ORDERS, "values", column="order id", where=where)) == ids


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("prize > 3", "cannot be read at 'prize > 3'.* The columns are Order ID, Product Name"),
        ("status", "cannot be read"),
        ("status paid", "cannot be read at 'paid'"),
        ("qty > many", "'many' is neither a number nor a date"),
        ("status = 'paid' or else", "cannot be read at 'or else'"),
        ("qty between 3", "cannot be read"),
        ("status =", "cannot be read"),
        ("x" * 3000, "the limit is 2000"),
    ],
)
def test_a_filter_that_cannot_be_read_names_the_place_and_the_columns(where: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        query_table(ORDERS, "count", where=where)


@pytest.mark.parametrize(
    ("data", "arguments", "reason"),
    [
        (ORDERS, {"operation": "sum", "column": "nope"}, "'nope' is not there; the columns are Order ID"),
        (ORDERS, {"operation": "sum"}, "name a column; the columns are Order ID"),
        (ORDERS, {"operation": "values"}, "name a column"),
        (ORDERS, {"operation": "sum", "column": "region"}, "'North' in the column region is not a number"),
        (ORDERS, {"operation": "rows", "limit": 0}, "limit is 0; give at least 1"),
        ("a\n1.234,5", {"operation": "count"}, "Row 2 has 2 cells and there are 1 columns"),
        ("a,b\n1,2,3", {"operation": "count"}, "put quotes around cells"),
        ("a,a\n1,2", {"operation": "count"}, "a name of its own"),
        ("", {"operation": "count"}, "There is no data"),
        ("a,b\n€1,2\n$3,2", {"operation": "sum", "column": "a"}, r"mixes \$ and €"),
        ("a\n1\nx", {"operation": "rows", "sort_by": "a"}, "'x' in the column a is not a number"),
        ("A,a b,a_b\n1,2,3", {"operation": "sum", "column": "AB"}, "'AB' is not unique"),
        ("[1, 2]", {"operation": "count"}, "a list of objects"),
        ("[]", {"operation": "count"}, "a list of objects"),
        ('[{"a": 1}', {"operation": "count"}, "The JSON cannot be read"),
        ("[" * 100_000, {"operation": "count"}, "nested too deeply"),
        ("a\n" + "1\n" * 500_000, {"operation": "count"}, "1000002 characters and the limit is 1000000"),
        (",".join(f"c{n}" for n in range(300)), {"operation": "count"}, "300 columns and the limit is 200"),
        ('[{"a": true}]', {"operation": "sum", "column": "a"}, "'True' in the column a is not a number"),
        ('[{"a": [1]}]', {"operation": "sum", "column": "a"}, "is not a number"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(data: str, arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        query_table(data, **arguments)


@pytest.mark.parametrize(
    "data",
    [
        "a,b\n1,2\n3,4",
        "a;b\n1;2\n3;4",
        "a\tb\n1\t2\n3\t4",
        "a|b\n1|2\n3|4",
        "| a | b |\n|---|--:|\n| 1 | 2 |\n| 3 | 4 |",
        'a, "b"\n1, "2"\n\n3, 4\n',
        "a,b\r\n1,2\r\n3,4\r\n",
        '[{"a": 1, "b": 2}, {"a": 3, "b": 4}]',
        '{"a": 1, "b": 2}\n{"a": 3, "b": "4"}',
        '{"data": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}',
    ],
)
def test_every_form_of_table_is_read(data: str) -> None:
    assert read_table(data).columns == ("a", "b")
    assert query_table(data, "sum", column="b") == 6


def test_json_keeps_its_types() -> None:
    assert query_table(PEOPLE, "mean", column="age") == 27.75
    assert query_table(PEOPLE, "values", column="name", where="ok = true") == ["Bob"]
    assert query_table(PEOPLE, "rows", where="age > 26") == [{"name": "Bob", "age": 30, "ok": True}]


def test_decimals_are_added_exactly() -> None:
    assert query_table("x\n0.1\n0.2", "sum", column="x") == 0.3
    assert query_table("x\n" + "0.1\n" * 1000, "sum", column="x") == 100


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=30))
def test_folds_agree_with_python(numbers: list[int]) -> None:
    data = "n\n" + "\n".join(map(str, numbers))
    assert query_table(data, "sum", column="n") == sum(numbers)
    assert query_table(data, "min", column="n") == min(numbers)
    assert query_table(data, "max", column="n") == max(numbers)
    assert query_table(data, "mean", column="n") == pytest.approx(sum(numbers) / len(numbers))


CELL = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x85\u2028\u2029"), min_size=1, max_size=8
)


@given(
    st.lists(st.tuples(CELL, CELL).map(lambda row: tuple(cell.strip() or "x" for cell in row)), min_size=1, max_size=8)
)
def test_csv_that_python_writes_is_read_back(rows: list[tuple[str, str]]) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("first", "second"), *rows])
    assert query_table(out.getvalue(), "values", column="second") == [row[1] for row in rows]


@given(st.text(max_size=200))
def test_any_text_is_a_table_or_a_value_error(text: str) -> None:
    try:
        table = read_table(text)
    except ValueError:
        return
    json.dumps([dict(row) for row in table.rows])


@pytest.mark.parametrize(
    "unit", ["a,b\n", ",", "\n", '"', "|", "|-|\n", "[{", '{"a":1}\n', "1,2,3\n", " ", "a;\t|,", '"\n']
)
def test_no_table_takes_long(unit: str) -> None:
    data = "a,b\n" + unit * (100_000 // len(unit))
    started = time.thread_time()
    for arguments in ({"operation": "count", "where": "a = b or b > 1"}, {"operation": "rows", "sort_by": "a"}):
        with contextlib.suppress(ValueError):
            query_table(data, **arguments)  # type: ignore[arg-type]  # from a table
    assert time.thread_time() - started < 2


def test_a_filter_of_many_values_reads_each_cell_once_and_compares_as_numbers_and_as_text() -> None:
    data = "a,b\n1,x\n2.0,y\nthree,z\n"
    assert query_table(data, "values", column="b", where="a in 1, 2, Three") == ["x", "y", "z"]
    assert query_table(data, "count", where="a != 2") == 2


def test_a_filter_of_too_many_conditions_is_refused_with_its_limit() -> None:
    where = " and ".join(["a > 0"] * 11)
    with pytest.raises(ValueError, match="limit of 10 conditions"):
        query_table("a\n1\n", "count", where=where)
    assert query_table("a\n1\n", "count", where=" and ".join(["a > 0"] * 10)) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"operation": "sum", "column": "qty", "group_by": ["region", "status"]}, {"North": {"paid": 7}, "South": {"open": 0}, "East": {"Paid": 1}}),
        ({"operation": "count", "group_by": ["region"]}, {"North": 2, "South": 1, "East": 1}),
        ({"operation": "percent_of_total", "column": "qty", "group_by": "region"}, {"North": 87.5, "South": 0, "East": 12.5}),
        ({"operation": "percent_of_total", "group_by": "region"}, {"North": 50, "South": 25, "East": 25}),
        ({"operation": "percent_of_total", "group_by": ["region", "status"], "where": "region = North"}, {"North": {"paid": 100}}),
        ({"operation": "mode", "column": "region"}, "North"),
        ({"operation": "mode", "column": "product name"}, None),
        ({"operation": "mode", "column": "qty", "where": "qty < 2"}, 1),
        ({"operation": "mode", "column": "status", "group_by": "region"}, {"North": "paid", "South": "open", "East": "Paid"}),
    ],
)  # fmt: skip
def test_groups_shares_and_the_most_frequent_value(arguments: dict[str, Any], expected: Any) -> None:
    assert query_table(ORDERS, **arguments) == expected


def test_equal_values_are_one_however_they_are_written() -> None:
    data = "x,v\n1.50,1\n1.5e0,2\n2.00,4"
    assert query_table(data, "distinct_count", "x") == 2
    assert query_table(data, "mode", "x") == 1.5
    assert query_table("x;v\n05.01.2026;1\n2026-01-05;2", "sum", "v", group_by="x") == {"05.01.2026": 3}
    assert query_table("x\n1\n1\n2\n2", "mode", "x") == [1, 2]


def test_a_mean_is_the_nearest_float_and_a_median_is_exact() -> None:
    assert query_table("x\n1\n1\n2", "mean", "x") == 4 / 3
    assert query_table("x\n0.1\n0.2", "mean", "x") == 0.15
    assert query_table("x\n12345678901234567890.5\n1", "median", "x") == "6172839450617283945.75"
    assert query_table("x\n12345678901234567891\n2\n2", "mean", "x") == "4115226300411522631.666667"


def test_a_percentage_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="name their column with group_by"):
        query_table(ORDERS, "percent_of_total", "qty")
    with pytest.raises(ValueError, match="The sum of v is 0"):
        query_table("k,v\na,0", "percent_of_total", "v", group_by="k")


TYPED = """pkg;version;zip;day;at;size;price;share;tags
a;1.1;02134;03.02.2026;2026-02-03 15:00;9 MB;1.200,50 €;50%;'n, ok'
b;1.10;02135;04.02.2026;2026-02-04 01:00;10 MB;0,25 €;9%;rock and roll
c;1.100;10001;31.12.2025;2025-12-31 09:30;900 kB;3,00 €;0%;in or out
"""


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("version = '1.10'", "b"),
        ("version = 1.10", "b"),
        ("version >= 1.10", "bc"),
        ("version in ('1.1', '1.100')", "ac"),
        ("version not in ('1.1', '1.100')", "b"),
        ("zip = '02134'", "a"),
        ("zip > 02134", "bc"),
        ("day >= 2026-02-04", "b"),
        ("day > '3.2.2026'", "b"),
        ("day between 2026-01-01 and 3 Feb 2026", "a"),
        ("day = 2026-02-03", "a"),
        ("at <= 2026-02-03", "ac"),
        ("at = 2026-02-03", "a"),
        ("at > 2026-02-03 23:00", "b"),
        ("size > 9.5 MB", "b"),
        ("size < 1 MiB", "c"),
        ("price > 1,5", "ac"),
        ("price > 1.5", "ac"),
        ("price = 3", "c"),
        ("price <= 3 €", "bc"),
        ("share > 8", "ab"),
        ("share >= 50%", "a"),
        ("tags = 'rock and roll' or tags = 'in or out'", "bc"),
        ("tags in ('rock and roll', 'in or out')", "bc"),
        ("tags in rock and roll, in or out", "bc"),
        ("pkg in a, b or c", "abc"),
        ("pkg not in (a, b)", "c"),
        ("tags does not contain and", "ac"),
    ],
)
def test_a_filter_compares_as_the_column_does(where: str, found: str) -> None:
    assert "".join(query_table(TYPED, "values", "pkg", where=where)) == found


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("day >= 5", "'5' is neither a number nor a date"),
        ("day = soon", "'soon' is neither a number nor a date"),
        ("price = many", "'many' is neither a number"),
        ("price > 2026-01-01", "is a date and the column price holds numbers"),
        ("price > $5", r"holds numbers in €, which cannot be compared with '\$5'"),
        ("price > 1.250", "can be read as 1.250 or as 1250"),
        ("share > 0.5", "can be a share or a percentage"),
        ("size > 5", "holds sizes such as 10 MB"),
        ("pkg > 5", "holds text, which is not compared"),
        ("pkg between a and b", "holds text, which is not compared"),
        ("zip = 2134", "'02134' is the same but for leading zeros"),
        ("zip > 5", "holds codes"),
        ("day between 2026-05-01 and 2026-01-01", "the lower bound comes first"),
        ("size between 10 MB and 9 MB", "the lower bound comes first"),
        ("pkg = a, price = 3", "cannot be read at 'a, price = 3'"),
        ("price = 3 and", "'3 and' is neither a number"),
        ("price = '3'", "No cell of the column price is the text '3'"),
    ],
)
def test_a_filter_that_can_never_fit_its_column_is_refused(where: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        query_table(TYPED, "count", where=where)


def test_a_cell_that_a_filter_cannot_compare_is_named_and_can_be_left_out() -> None:
    data = "k,d,n\na,2026-01-05,5\nb,05/02/2026,unknown\nc,2025-01-01,7"
    with pytest.raises(ValueError, match=r"'05/02/2026' in the column d .* \(row 3\)"):
        query_table(data, "values", "k", where="d >= 2026-01-01")
    with pytest.raises(ValueError, match=r"'unknown' in the column n is not a number \(row 3\)"):
        query_table(data, "count", where="n > 5")
    assert query_table(data, "sum", "n", where="n != 'unknown' and n > 5") == 7
    with pytest.raises(ValueError, match=r"for which '1\.1' and '1\.10' are the same or not"):
        query_table("v\n1.1\n1.10", "count", where="v = 1.1")


@pytest.mark.parametrize(
    "cells",
    [
        lambda n: f"{n % 28 + 1:02}.{n % 12 + 1:02}.{1900 + n % 120}",
        lambda n: f"{n % 900 + 1}.{n % 900 + 100},{n % 90 + 10} €",
        lambda n: f"{n} MB",
        lambda n: f"text {n}",
        lambda n: "(" * 50 + str(n),
        lambda n: "1" * 60 + "." + "," * (n % 9),
        lambda n: "1 " * 30 + str(n),
    ],
    ids=["dates", "money", "sizes", "text", "brackets", "marks", "blanks"],
)
@pytest.mark.slow
def test_a_table_of_a_megabyte_takes_about_a_second(cells: Any) -> None:
    line, lines = 0, ["k;x"]
    while line < 999_000:
        lines.append(f"k;{cells(len(lines))}")
        line += len(lines[-1]) + 1
    data = "\n".join(lines)[:1_000_000].rpartition("\n")[0]
    started = time.thread_time()
    with contextlib.suppress(ValueError):
        query_table(data, "max", "x")
    assert time.thread_time() - started < 4  # about one second, on a machine that may be slower
