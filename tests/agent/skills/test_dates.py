"""The date and duration skills: the calendar is right, and nothing ambiguous is guessed."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.skills.dates import add_to_date, date_difference, weekday
from callboard.agent.skills.durations import convert_duration

DAYS = st.dates(date(1, 1, 1), date(9999, 12, 31))


@given(DAYS, DAYS)
def test_days_between_agree_with_the_calendar(first: date, last: date) -> None:
    assert date_difference(first.isoformat(), last.isoformat()) == (last - first).days


@given(DAYS, st.integers(-(10**6), 10**6))
def test_adding_days_and_counting_them_are_inverse(start: date, days: int) -> None:
    try:
        later = start + timedelta(days=days)
    except OverflowError:
        with pytest.raises(ValueError, match="beyond the years 1 to 9999"):
            add_to_date(start.isoformat(), days)
    else:
        assert add_to_date(start.isoformat(), days) == later.isoformat()


@given(st.dates(date(1900, 1, 1), date(2100, 12, 31)), st.integers(0, 600))
def test_adding_months_and_counting_them_are_inverse(start: date, months: int) -> None:
    assert date_difference(start.isoformat(), add_to_date(start.isoformat(), months, "months"), "months") == months


@given(
    DAYS,
    st.sampled_from(
        [
            "{0:%d} {0:%B} {1}",
            "{0:%B} {0:%d}, {1}",
            "{0:%b} {0:%d} {1}",
            "{0:%d}.{0:%m}.{1}",
            "{0:%A}, {0:%d} {0:%b} {1}",
        ]
    ),
)
def test_written_forms_mean_the_same_day(day: date, form: str) -> None:
    assert weekday(form.format(day, f"{day.year:04}")) == f"{day:%A}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-07-04", "Saturday"),
        ("2026/7/4", "Saturday"),
        ("July 4, 2026", "Saturday"),
        ("the 4th of July 2026", "Saturday"),
        ("4. July 2026".replace(".", ""), "Saturday"),
        ("Jul 4th 2026", "Saturday"),
        ("4.7.2026", "Saturday"),
        ("07/13/2026", "Monday"),
        ("13/07/2026", "Monday"),
        ("07/07/2026", "Tuesday"),
        ("25-Dec-2026", "Friday"),
        ("Sept 5 2025", "Friday"),
        ("29 Feb 2024", "Thursday"),
        ("  friday,   25 DECEMBER 2026 ", "Friday"),
    ],
)
def test_usual_ways_to_write_a_date_are_read(text: str, expected: str) -> None:
    assert weekday(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("03/04/2025", "two ways, 2025-03-04 or 2025-04-03"),
        ("3-4-2025", "two ways"),
        ("3/4/25", "four digits"),
        ("25 December", "has no year; write it as 2026-12-25"),
        ("December 2026", "not a date that can be read"),
        ("30 Feb 2025", "February 2025 has 28 days"),
        ("2025-02-29", "February 2025 has 28 days"),
        ("2026-13-01", "no month 13"),
        ("0000-01-01", "no year from 1 to 9999"),
        ("Monday 25 December 2026", "2026-12-25 is a Friday"),
        ("mayhem 5 2025", "names no month"),
        ("soon", "not a date that can be read"),
        ("", "not a date that can be read"),
        ("1" * 200, "too long"),
    ],
)
def test_an_unclear_or_impossible_date_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        weekday(text)


def test_relative_words_are_taken_in_utc() -> None:
    before = datetime.now(UTC).date()
    found = add_to_date("today", 0)
    assert before.isoformat() <= found <= datetime.now(UTC).date().isoformat()
    assert date_difference("yesterday", "tomorrow") == 2


@pytest.mark.parametrize(
    ("start", "end", "unit", "expected"),
    [
        ("2026-01-01", "2026-12-25", "weeks", 51.14),
        ("2026-01-01", "2026-01-15", "weeks", 2),
        ("2026-01-10", "2026-01-01", "weeks", -1.29),
        ("2026-01-31", "2026-02-28", "months", 1),
        ("2026-01-15", "2026-02-14", "months", 0),
        ("2026-02-14", "2026-01-15", "months", 0),
        ("1990-05-04", "2026-05-03", "years", 35),
        ("1990-05-04", "2026-05-04", "years", 36),
        ("2024-02-29", "2025-02-28", "years", 1),
        ("2026-05-03", "1990-05-04", "years", -35),
    ],
)
def test_longer_units_count_what_has_passed(start: str, end: str, unit: str, expected: float) -> None:
    assert date_difference(start, end, unit) == expected  # type: ignore[arg-type]  # from a table


@pytest.mark.parametrize(
    ("start", "amount", "unit", "expected"),
    [
        ("2026-01-31", 1, "months", "2026-02-28"),
        ("2024-01-31", 1, "months", "2024-02-29"),
        ("2024-02-29", 1, "years", "2025-02-28"),
        ("2024-02-29", 4, "years", "2028-02-29"),
        ("2026-03-31", -1, "months", "2026-02-28"),
        ("2026-01-01", -1, "days", "2025-12-31"),
        ("2026-12-25", 2, "weeks", "2027-01-08"),
    ],
)
def test_month_ends_and_leap_years_come_out_as_people_count(start: str, amount: int, unit: str, expected: str) -> None:
    assert add_to_date(start, amount, unit) == expected  # type: ignore[arg-type]  # from a table


@pytest.mark.parametrize("unit", ["days", "weeks", "months", "years"])
def test_a_date_beyond_the_calendar_is_refused(unit: str) -> None:
    for amount in (10**30, -(10**30), 10**7):
        with pytest.raises(ValueError, match="beyond the years 1 to 9999"):
            add_to_date("2026-01-01", amount, unit)  # type: ignore[arg-type]  # from a table


@pytest.mark.parametrize(
    ("duration", "unit", "expected"),
    [
        ("3 days", "minutes", 4320),
        ("2 hours 30 minutes", "seconds", 9000),
        ("2 hours and 30 minutes", "seconds", 9000),
        ("1h30m", "minutes", 90),
        ("1 hour, 5 min and 3 s", "seconds", 3903),
        ("1.5 days", "hours", 36),
        ("90 Minutes", "hours", 1.5),
        ("100 minutes", "hours", 100 / 60),
        ("2 years", "months", 24),
        ("18 months", "years", 1.5),
        ("1 week", "milliseconds", 604_800_000),
        ("0.1 seconds", "milliseconds", 100),
    ],
)
def test_durations_are_converted(duration: str, unit: str, expected: float) -> None:
    assert convert_duration(duration, unit) == expected  # type: ignore[arg-type]  # from a table


@pytest.mark.parametrize(
    ("duration", "unit", "reason"),
    [
        ("1 year", "days", r"years differ in length\.$"),
        ("3 days", "months", "months differ in length"),
        ("1 month 3 days", "months", "differ in length"),
        ("a while", "hours", "not a span of time"),
        ("90", "hours", "not a span of time"),
        ("", "hours", "not a span of time"),
        ("5 parsecs", "hours", "not a span of time"),
        ("1 day " * 1000, "hours", "not a span of time"),
    ],
)
def test_a_span_that_is_unclear_is_refused(duration: str, unit: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        convert_duration(duration, unit)  # type: ignore[arg-type]  # from a table
