"""Numbers in sentences are read in one way everywhere: right, or refused where two readings fit."""

from collections.abc import Callable
from typing import Any

import pytest

from callboard.agent.planner import Plan
from callboard.errors import TaskError

RIGHT: list[tuple[str, Any]] = [
    ("1,250,000 / 2", 625000),
    ("$1,250 + 1", 1251),
    ("what is £1,250 plus 1", 1251),
    ("What is 20% of $1,500?", 300),
    ("1,250.50 + 1", 1251.5),
    ("1,250 * 2.5", 3125),  # the point of the one tells how the other is written
    ("1,250 + 1,250,000", 1251250),
    ("what is 1,250 times 2.5", 3125),
    ("1'234.50 + 1", 1235.5),
    ("1’234’567 + 1", 1234568),
    ("average of 100,200,300", 200),
    ("average of 1,250,000 and 1,250,002", 1250001),
    ("max(100,200)", 200),
    ("max(1, 250)", 250),
    ("１２ × ３", 36),
    ("１２＋３", 15),
    ("٣ + ٤", 7),
    ("10²³ / 10²²", 10),
    ("2⁻¹", 0.5),
    ("2⁵", 32),
    ("½ * 90", 45),
    ("½ of 90", 45),
    ("2½ * 2", 5),
    ("¾ + ¼", 1),
    ("5 − 7", -2),
    ("5 % of 20", 1),
    ("1e3 * 2", 2000),
    (".5 + .25", 0.75),
    ("5. + 3", 8),
    ("1.234 + 1", 2.234),
    ("1,000.5 hours in minutes", 60030),
    ("1,500,000 seconds in minutes", 25000),
    ("0.250 hours in minutes", 15),
    ("1e-300 * 1e300", 1),
]

REFUSED = [
    "What is 0,125 * 2?",
    "What is 1234,567 * 2?",
    "0,250 hours in minutes",
    "add 0,100 to 5",
    "1.234,56 + 1",
    "what is 1.234,56 plus 1",
    "1.234.567 + 1",
    "1 234,5 * 2",
    "1 234 + 1",
    "12,5 * 2",
    "what is 12,5 times 2",
    "1,250 * 2",
    "what is 1,250 times 2",
    "What is 5% of 1,200?",
    "€1,250 + 1",
    "1,000 hours in minutes",
    "1,5 hours in minutes",
    "2 hours and 1,500 seconds in minutes",
    "average of 1,5 and 2,5",
    "average of 12,5",
    "sum of 1,234",
    "sum of 1 234 and 5",
    "average of 1,250 and 3",
    "sum of 100,200,300 and 400",
    "max(1,250, 300)",
    "round(3,5)",
    "round(2,675, 2)",
    "max(1,5, 2,5)",
    "1٣ + 1",
    "12,34,567 + 1",
    "01,250,000 + 1",
    "1,250,00 + 1",
    "1'23 + 1",
    "1..2 + 1",
    "1.2.3 + 1",
    "10 + 1_000",
    "2025,5 - 1",
    "add 3,4",
    "what percent of 1,500 is 300",
    "in 1,000 days",
    "add 0,5 days to 2026-01-01",
]


@pytest.mark.parametrize(("task", "expected"), RIGHT, ids=[task for task, _ in RIGHT])
def test_a_number_that_can_be_read_in_one_way_is(answer: Callable[..., Any], task: str, expected: Any) -> None:
    assert answer(task) == expected


@pytest.mark.parametrize("task", REFUSED)
def test_a_number_that_cannot_is_refused(answer: Callable[..., Any], task: str) -> None:
    with pytest.raises(TaskError) as caught:
        answer(task)
    assert caught.value.code in ("no_skill_fits", "skill_failed")


@pytest.mark.parametrize("task", ["1,250 * 2", "what is 1,250 times 2", "add 1,250 to 2", "1,250 hours in minutes"])
def test_the_refusal_names_both_readings_and_the_way_out(answer: Callable[..., Any], task: str) -> None:
    with pytest.raises(TaskError, match=r"'1,250' can be read as 1250 or as 1\.250; write it without the comma"):
        answer(task)


def test_a_number_that_is_refused_does_not_hide_that_the_words_are_not_understood(plan: Callable[..., Plan]) -> None:
    with pytest.raises(TaskError, match="cannot work this task out"):
        plan("1,250 sheep plus 3 goats")
