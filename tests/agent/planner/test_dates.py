"""Dates and durations as people ask for them; today is Monday, 23 November 2026."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from callboard.agent.planner import Plan
from callboard.errors import TaskError

TASKS: list[tuple[str, Any]] = [
    ("How many days between 2026-01-01 and 2026-12-25?", 358),
    ("How many days are there between 1 January 2026 and 25 December 2026?", 358),
    ("How many days are between March 3 and April 10?", 38),
    ("number of days from 2026-01-01 to 2026-02-01", 31),
    ("What day of the week is 2026-07-04?", "Saturday"),
    ("What day is July 4, 2026?", "Saturday"),
    ("what weekday was 20 July 1969", "Sunday"),
    ("On what day does Christmas fall?", "Friday"),
    ("What day of the week does Christmas fall on in 2027?", "Saturday"),
    ("what day is it?", "Monday"),
    ("what day is today", "Monday"),
    ("What date is 45 days after March 3, 2025?", "2025-04-17"),
    ("what date is it in 45 days", "2027-01-07"),
    ("What is the date 3 weeks ago?", "2026-11-02"),
    ("two weeks from today", "2026-12-07"),
    ("what is the date in 10 days", "2026-12-03"),
    ("What date was 90 days before 2026-11-23", "2026-08-25"),
    ("add 45 days to 2025-03-03", "2025-04-17"),
    ("2025-03-03 plus 2 months and 3 days", "2025-05-06"),
    ("days until Christmas", 32),
    ("How many days until Christmas?", 32),
    ("how long until new year's eve", 38),
    ("how many weeks until 2027-01-01", 5.57),
    ("How many days until Friday?", 4),
    ("how many days since 2026-01-01", 326),
    ("how long ago was 2020-02-29", 2459),
    ("how many minutes in 3 days", 4320),
    ("How many minutes are in 3 days?", 4320),
    ("2 hours 30 minutes in seconds", 9000),
    ("convert 90 minutes to hours", 1.5),
    ("convert 2.5 hours into minutes", 150),
    ("how many seconds are there in an hour", 3600),
    ("how many hours in a week", 168),
    ("how many days in 2024", 366),
    ("how many days are in February 2028?", 29),
    ("is 2024 a leap year?", True),
    ("what is the difference in weeks between 2026-01-01 and 2026-12-25", 51.14),
    ("difference between 2026-01-01 and 2026-12-25", 358),
    ("2026-01-01 to 2026-12-25 in weeks", 51.14),
    ("How many months between 15 Jan 2025 and 3 March 2026?", 13),
    ("how old is someone born on 1990-05-04", 36),
    ("I was born on 4 May 1990. How old am I?", 36),
    ("what day of the week is 45 days after 2026-01-01", "Sunday"),
    ("how many days between yesterday and tomorrow", 2),
    ("how many hours between 2026-01-01 and 2026-01-02", 24),
    ("how long is 90 minutes in hours", 1.5),
    ("how many days are in 3 weeks?", 21),
    ("how many years until 2030-01-01", 3),
    ("Convert 2 days to hours please", 48),
    ("half an hour in seconds", 1800),
    ("1h30m in minutes", 90),
    ("3 days in minutes", 4320),
    ("what will the date be in 3 months", "2027-02-23"),
    ("What date is 100 days from now?", "2027-03-03"),
    ("How many days from today until 2026-12-31?", 38),
    ("how far away is christmas", 32),
    ("What is 45 days after March 3rd 2025", "2025-04-17"),
    ("what is 5 days before tomorrow", "2026-11-19"),
    ("a week from now", "2026-11-30"),
    ("what day will it be tomorrow", "Tuesday"),
    ("what day is tomorrow", "Tuesday"),
    ("How many days are there from March 1st, 2024 to March 1st, 2025?", 365),
    ("which day of the week was 2000-01-01?", "Saturday"),
    ("days between 2026-01-01 and 2026-12-25", 358),
    ("What's the weekday of 2026-12-25?", "Friday"),
    ("how many weeks are there in 100 days?", 14.285714285714286),
    ("calculate the number of days between 2024-02-28 and 2024-03-01", 2),
    ("how many seconds in 2 hours and 15 minutes?", 8100),
    ("1 h 30 min in minutes", 90),
    ("How many days between 2026-12-25 and 2026-01-01?", 358),
    ("how many days from 2026-12-25 to 2026-01-01?", -358),
    ("3 weeks, 2 days and 4 hours in hours", 556),
    ("how many minutes are in 1,000,000 hours", 60000000),
    ("an hour in seconds", 3600),
    ("What is today's date?", "2026-11-23"),
    ("what's the date?", "2026-11-23"),
    ("what is the date today", "2026-11-23"),
    ("today's date", "2026-11-23"),
    ("tomorrow's date", "2026-11-24"),
    ("what time is it", "14:03 UTC"),
    ("what month is it?", "November"),
    ("when is christmas", "2026-12-25"),
]

NOT_UNDERSTOOD = [
    "how many days left until the end of the universe",
    "How many business days between 2026-01-01 and 2026-02-02?",
    "What is the time in Tokyo?",
    "how many sleeps until christmas",
    "days",
    "how many days",
    "What day was Rome founded?",
    "how many days until my birthday",
    "When is Easter?",
    "List the months",
]


@pytest.mark.parametrize(("task", "expected"), TASKS, ids=[task for task, _ in TASKS])
def test_a_question_about_time_is_answered(answer: Callable[..., Any], task: str, expected: Any) -> None:
    assert answer(task) == expected


@pytest.mark.parametrize("task", NOT_UNDERSTOOD)
def test_what_is_not_understood_whole_is_refused(plan: Callable[..., Plan], task: str) -> None:
    with pytest.raises(TaskError) as caught:
        plan(task)
    assert caught.value.code == "no_skill_fits"


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("how old is someone born 2030-01-01", "2030-01-01 lies in the future"),
        ("I was born on 1 January 2027. How old am I?", "lies in the future"),
        ("How many days in a year?", r"years differ in length\.$"),
        ("How many days between 03/04/2025 and 05/06/2025?", "two ways, 2025-03-04 or 2025-04-03"),
        ("What day of the week was 30 February 2025?", "February 2025 has 28 days"),
        ("how many days in a year", "differ in length"),
        ("What day of the week is 3/4/25?", "year of four digits"),
    ],
)
def test_a_date_that_is_unclear_is_explained_by_the_skill(answer: Callable[..., Any], task: str, reason: str) -> None:
    with pytest.raises(TaskError, match=reason):
        answer(task)


@pytest.mark.parametrize(
    ("now", "task", "expected"),
    [
        (datetime(2026, 12, 25, 23, 59, tzinfo=UTC), "days until Christmas", 0),
        (datetime(2026, 12, 26, 0, 0, tzinfo=UTC), "days until Christmas", 364),
        (datetime(2027, 2, 28, tzinfo=UTC), "what is tomorrow's date", "2027-03-01"),
        (datetime(2028, 2, 28, tzinfo=UTC), "what is tomorrow's date", "2028-02-29"),
        (datetime(2026, 1, 1, tzinfo=UTC), "how many days since new year", 0),
        (datetime(2026, 11, 27, tzinfo=UTC), "how many days until Friday?", 7),
        (datetime(2026, 11, 26, tzinfo=UTC), "how many days until Friday?", 1),
        (datetime(2027, 1, 31, tzinfo=UTC), "what is the date in 1 month", "2027-02-28"),
    ],
)
def test_relative_words_are_counted_from_now(
    answer: Callable[..., Any], now: datetime, task: str, expected: Any
) -> None:
    assert answer(task, now=now) == expected


def test_the_plan_holds_plain_dates_so_that_it_means_the_same_whenever_it_runs(plan: Callable[..., Plan]) -> None:
    assert "date_difference('2026-11-23', '2026-12-25', 'days')" in (plan("How many days until Christmas?").code or "")
