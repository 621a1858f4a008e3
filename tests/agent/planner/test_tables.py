"""Questions on CSV and JSON: the right number, or a sentence that says what could be asked."""

from collections.abc import Callable
from typing import Any

import pytest

from callboard.agent.planner import Plan
from callboard.errors import TaskError

CSV = "name,price,region,status,units sold\nApple,1.20,North,paid,3\nPear,2.50,South,open,4\nFig,0.80,North,paid,5"
SALES = "date,customer,amount\n2026-01-01,Ann,10\n2026-01-02,Bob,20\n2026-01-03,Ann,30"
JSON = (
    '[{"product": "A", "unitPrice": 10, "category": "x"}, {"product": "B", "unitPrice": 30, "category": "y"}, '
    '{"product": "C", "unitPrice": 5, "category": "x"}]'
)

TASKS: list[tuple[str, Any]] = [
    (f"What is the average price in this CSV: {CSV}", 1.5),
    (f"What is the average price in this CSV:\n{CSV}", 1.5),
    (f"What is the average price in this CSV:\n```csv\n{CSV}\n```", 1.5),
    (f"What is the average price in this CSV? {CSV}", 1.5),
    (f"{CSV}\n\nWhat is the average price?", 1.5),
    (f"Here is my data:\n{CSV}\nWhat is the average price?", 1.5),
    (f"What's the average of the prices in the following data?\n\n{CSV}", 1.5),
    (f"Use the data below to compute the average price:\n```\n{CSV}\n```", 1.5),
    (f"sum of units sold by region:\n{CSV}", {"North": 8, "South": 4}),
    (f"What is the total units_sold per region?\n{CSV}", {"North": 8, "South": 4}),
    (f"group by region and sum the Units Sold\n{CSV}", {"North": 8, "South": 4}),
    (f"sum(price) grouped by region\n{CSV}", {"North": 2, "South": 2.5}),
    (f"mean of price for each status\n{CSV}", {"paid": 1, "open": 2.5}),
    (f"highest price per region\n{CSV}", {"North": 1.2, "South": 2.5}),
    (f"count by status\n\n{CSV}", {"paid": 2, "open": 1}),
    (f"number of rows per region: {CSV}", {"North": 2, "South": 1}),
    (f"how many rows have status = paid\n{CSV}", 2),
    (f"How many rows have status paid?\n{CSV}", 2),
    (f"How many rows are paid?\n{CSV}", 2),
    (f"How many paid orders are there?\n{CSV}", 2),
    (f"Count the rows where region is North and price < 1 in this table:\n{CSV}", 1),
    (f"How many rows are in this CSV?\n{CSV}", 3),
    (f"How many orders did Ann make?\n{SALES}", 2),
    (f"How many times does Ann appear?\n{SALES}", 2),
    (f"maximum of price\n{CSV}", 2.5),
    (f"What is the lowest price where region = North?\n{CSV}", 0.8),
    (f"What is the minimum and maximum price?\n{CSV}", {"min": 0.8, "max": 2.5}),
    (f"What is the median price\n{CSV}", 1.2),
    (f"What is the average price of paid rows\n{CSV}", 1),
    (f"What is the total price for North?\n{CSV}", 2),
    (f"total units sold for region = North\n{CSV}", 8),
    (f"average price by region where status is paid\n{CSV}", {"North": 1}),
    (f"sum of amount where date > 2026-01-01\n{SALES}", 50),
    (f"list the names where price is at least 1\n{CSV}", ["Apple", "Pear"]),
    (f"list the names\n{CSV}", ["Apple", "Pear", "Fig"]),
    (f"How many regions are there?\n{CSV}", 2),
    (f"How many customers are in this CSV?\n{SALES}", 2),
    (f"count customers\n{SALES}", 2),
    ("how many prices are there?\nname,price\na,1\nb,1", 2),
    (f"how many names per region?\n{CSV}", {"North": 2, "South": 1}),
    (f"how many different statuses per region\n{CSV}".replace("statuses", "status"), {"North": 1, "South": 1}),
    (f"find the price of Apple\n{CSV}", ["1.20"]),
    (f"What is the price of Apple?\n{CSV}", ["1.20"]),
    (f"minimum, maximum and average price\n{CSV}", {"min": 0.8, "max": 2.5, "mean": 1.5}),
    (f"unique regions in this data:\n{CSV}", ["North", "South"]),
    (f"how many distinct regions are there?\n{CSV}", 2),
    (f"what columns does this table have?\n{CSV}", ["name", "price", "region", "status", "units sold"]),
    (f"how many columns does this CSV have?\n{CSV}", 5),
    (f"top 2 names by price\n{CSV}", ["Pear", "Apple"]),
    (f"Which name has the highest price?\n{CSV}", "Pear"),
    (f"Who has the highest amount?\n{SALES}", "Ann"),
    (f"what is the cheapest product in: {CSV}", "Fig"),
    (f"Which product has the lowest unit price? {JSON}", "C"),
    ("Which name has the most expensive price?\nname,price\na,1\nb,3\nc,3", ["b", "c"]),
    (f"What is the median unit price? {JSON}", 10),
    (f"average unitPrice per category in this JSON: {JSON}", {"x": 7.5, "y": 30}),
    (f"Given this JSON {JSON} what is the maximum unit price?", 30),
    ('What is the total of amount in {"items":[{"amount":3},{"amount":4}]}', 7),
    ('How many users have age > 30 in [{"name":"A","age":31},{"name":"B","age":20}]', 1),
    ('What is the average age of the users in this JSON: {"users":[{"age":31},{"age":20}]}', 25.5),
    ("What is the average score?\n| name | score |\n|---|---|\n| a | 1 |\n| b | 4 |", 2.5),
    ("What is the sum of b?\na;b\n1;2\n3;4", 6),
    (f"How many products cost more than 1?\n{CSV}", 2),
    (f"Which region has the highest total price?\n{CSV}", "South"),
    (f"Which name has the highest total price?\n{CSV}", "Pear"),
    (f"What is the average price not in North?\n{CSV}", 2.5),
    (f"What is the average price for North or South?\n{CSV}", 1.5),
]


@pytest.mark.parametrize(("task", "expected"), TASKS, ids=[task[:70] for task, _ in TASKS])
def test_a_question_on_data_is_answered(answer: Callable[..., Any], task: str, expected: Any) -> None:
    assert answer(task) == expected


def test_filtered_rows_come_whole(answer: Callable[..., Any]) -> None:
    pear = {"name": "Pear", "price": "2.50", "region": "South", "status": "open", "units sold": "4"}
    assert answer(f"Show me all rows with status = open:\n{CSV}") == [pear]
    assert answer(f"Filter this CSV for region is South: {CSV}") == [pear]


def test_rows_are_sorted_as_numbers(answer: Callable[..., Any]) -> None:
    rows = answer(f"sort this CSV by amount descending: {SALES}\n2026-01-04,Cy,9")
    assert [row["amount"] for row in rows] == ["30", "20", "10", "9"]


@pytest.mark.parametrize(
    "question",
    [
        "What is the average weight?",
        "What is the average price excluding Pear-like fruit?",
        "Which region has the worst name?",
        "What is the price?",
        "What is the highest average price by region?",
        "sort by price and region",
        "What is the average price of everything except Pear?",
        "What is the average price for North and South?",
        "What is the total of price times units sold?",
        "top 2 regions by total price",
        "list the names by region",
        "show the first row",
        "What is the average price and the total units sold?",
        "Who has the highest price per region?",
    ],
)
def test_a_question_that_is_not_understood_whole_names_the_columns(plan: Callable[..., Plan], question: str) -> None:
    with pytest.raises(TaskError, match="the columns are name, price, region") as caught:
        plan(f"{question} Use this CSV:\n{CSV}")
    assert caught.value.code == "no_skill_fits"


def test_data_that_cannot_be_read_is_explained(plan: Callable[..., Plan]) -> None:
    with pytest.raises(TaskError, match="The JSON cannot be read"):
        plan('What is the average of a in this JSON: [{"a":1},{"a":2}')


def test_a_cell_that_is_not_a_number_is_named(answer: Callable[..., Any]) -> None:
    with pytest.raises(TaskError, match="'x' in the column price is not a number"):
        answer("average of price: name,price\na,1\nb,x")


def test_prose_with_commas_is_not_taken_for_a_table(plan: Callable[..., Plan]) -> None:
    assert plan("Summarize: Find the total, please.\nIt is late, and dark.").intent == "summary"


@pytest.mark.parametrize(
    ("rows", "question"),
    [
        ("Will,8\nMay,4\nTotal,12", "sum of Hours"),
        ("Will,8\nMay,4\nTotal,12", "How many rows?"),
        ("Will,8\nMay,4\n**Grand total**,12", "Who has the most Hours?"),
        ("Will,8\nMay,4\n,12", "average Hours"),
        ("Will,8\nMay,4\nSumme,12", "list the Name"),
    ],
)
def test_a_last_row_that_holds_the_sums_is_not_counted_with_the_others(
    plan: Callable[..., Plan], rows: str, question: str
) -> None:
    with pytest.raises(TaskError, match="is the sum of those above it"):
        plan(f"{question}\n\nName,Hours\n{rows}")


@pytest.mark.parametrize("rows", ["Will,8\nMay,4\nTotal,5", "Will,8\nMay,4\nBob,12"])
def test_a_last_row_that_only_looks_like_it_is_a_row(answer: Callable[..., Any], rows: str) -> None:
    assert answer(f"How many rows?\n\nName,Hours\n{rows}") == 3


def test_a_month_of_dates_that_can_be_read_in_two_ways_says_so(plan: Callable[..., Plan]) -> None:
    with pytest.raises(TaskError, match="dates of Date can be read in more than one way"):
        plan("total amount in April\n\nName;Date;Amount\nWill;03/04/2025;1\nMay;05/04/2025;2")
