"""`describe-table`: the right type and the right numbers for every column, whatever the cells hold."""

import json
import statistics
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.skills.describe_table import describe_table

CSV = """\
name,price,paid,day,stock,note
Apple,$1.20,yes,2026-01-01,3,
Pear,$2.50,no,2026-01-02,n/a,
Fig,,yes,2026-02-01,seven,
Fig,,yes,2026-02-01,seven,
"""


def columns(data: str) -> dict[str, dict[str, Any]]:
    return {column.pop("name"): column for column in describe_table(data)["columns"]}


def one(*cells: Any) -> dict[str, Any]:
    """Return the description of one column of these cells."""
    return columns(json.dumps([{"a": cell} for cell in cells]))["a"]


def test_every_column_is_described_by_its_type() -> None:
    found = columns(CSV)
    assert found["name"] == {
        "type": "text",
        "filled": 4,
        "missing": 0,
        "distinct": 3,
        "topValues": [{"value": "Fig", "count": 2}, {"value": "Apple", "count": 1}, {"value": "Pear", "count": 1}],
    }
    assert found["price"] == {
        "type": "number",
        "filled": 2,
        "missing": 2,
        "distinct": 2,
        "min": 1.2,
        "max": 2.5,
        "mean": 1.85,
        "median": 1.85,
        "q1": 1.525,
        "q3": 2.175,
        "sum": 3.7,
        "standardDeviation": 0.9192388155,
        "unit": "$",
    }
    assert found["paid"]["type"] == "boolean"
    assert (found["day"]["type"], found["day"]["min"], found["day"]["max"]) == ("date", "2026-01-01", "2026-02-01")
    assert (found["stock"]["type"], found["stock"]["numbers"], found["stock"]["others"]) == ("mixed", 1, ["seven"])
    assert found["note"] == {"type": "empty", "filled": 0, "missing": 4, "distinct": 0}


def test_the_table_is_counted_and_summed_up() -> None:
    found = describe_table(CSV)
    assert (found["rows"], found["duplicateRows"]) == (4, 1)
    assert found["summary"] == (
        "Rows: 4, repeated: 1; columns: 6, namely name (text), price (number), paid (boolean), day (date), "
        "stock (mixed), note (empty); missing cells: 7."
    )


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([1, 2, 3.0], "integer"),
        ([1, 2.5], "number"),
        (["1,234,000", "5"], "integer"),
        ([True, False], "boolean"),
        (["true", "No"], "boolean"),
        ([1, True], "mixed"),
        (["2026-01-01", "2026-01-01T10:30:00Z"], "date"),
        (["2026-01-01", "2026-13-01"], "date"),
        (["2026-02-30"], "date"),
        ([[1], [2]], "list"),
        ([{"x": 1}], "object"),
        ([[1], {"x": 1}], "text"),
        ([None, "", "n/a"], "empty"),
        (["a", None], "text"),
        ([float("inf"), 1], "mixed"),
    ],
)
def test_a_column_has_the_type_that_all_its_cells_have(cells: list[Any], kind: str) -> None:
    assert one(*cells)["type"] == kind


def test_a_column_of_two_units_gets_no_numbers_but_a_reason() -> None:
    found = one("$1", "€2")
    assert found["note"] == "No statistics: the column a mixes $ and €; filter for one of them."
    assert "mean" not in found


def test_one_number_has_no_standard_deviation() -> None:
    found = one(5)
    assert found["median"] == found["q1"] == found["max"] == 5
    assert "standardDeviation" not in found


def test_sums_are_exact() -> None:
    assert one(0.1, 0.2)["sum"] == 0.3


@given(st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=50))
def test_the_numbers_are_those_of_the_standard_library(values: list[int]) -> None:
    found = one(*values)
    q1, median, q3 = statistics.quantiles(values, method="inclusive")
    assert (found["min"], found["max"], found["sum"]) == (min(values), max(values), sum(values))
    expected = {"mean": statistics.fmean(values), "median": median, "q1": q1, "q3": q3}
    expected["standardDeviation"] = statistics.stdev(values)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_long_cells_are_cut_and_only_values_that_repeat_are_counted() -> None:
    assert one("x" * 500, "x" * 500)["topValues"] == [{"value": "x" * 60 + "…", "count": 2}]
    assert "topValues" not in one("a", "b")


def test_rows_that_lack_a_column_count_as_missing() -> None:
    assert columns('[{"a": 1}, {"b": 2}]')["a"]["missing"] == 1


def test_a_header_alone_is_a_table_without_rows() -> None:
    found = describe_table("a,b")
    assert found["rows"] == 0
    assert [column["type"] for column in found["columns"]] == ["empty", "empty"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "There is no data"),
        ("[1, 2]", "must be a list of objects"),
        ('[{"a": 1]', "cannot be read"),
        ("a,a\n1,2", "a name of its own"),
        ("a\n" * 500_001, "1000002 characters and the limit is 1000000"),
        ('[{"a":' + "[" * 50_000 + "]" * 50_000 + "}]", "nested too deeply"),
    ],
)
def test_data_that_cannot_be_read_is_refused_with_the_reason(data: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        describe_table(data)


@pytest.mark.parametrize(
    "data",
    [
        "a,b\n" + "1,2.5\n" * 160_000,
        "a\n" + "1\n" * 499_000,
        ",".join(f"c{n}" for n in range(200)) + "\n" + (",".join(["1"] * 200) + "\n") * 2400,
        "a\n" + "1e99\n1e-99\n" * 90_000,
        '[{"a":' + "9" * 4000 + "}]",
        '[{"a":1e308},{"a":1e308}]',
    ],
    ids=["two columns", "one column", "wide", "exponents", "digits", "huge"],
)
@pytest.mark.slow
def test_data_at_the_limits_takes_a_few_seconds(data: str) -> None:
    started = time.thread_time()
    assert describe_table(data)["rows"] >= 1
    assert time.thread_time() - started < 6  # about two seconds, on a machine that may be slower
