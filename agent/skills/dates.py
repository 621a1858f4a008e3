"""The skills `date-difference`, `add-to-date` and `weekday`: arithmetic on the calendar.

Dates may be written as `2026-12-25`, `25 December 2026`, `Dec 25, 2026`, `25.12.2026`, or as today, tomorrow and
yesterday, which are taken in UTC. Any thread.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Literal

from callboard.agent.skill import skill
from callboard.agent.skills._calendar import WEEKDAYS, add_months, parse_date, whole_months

Unit = Literal["days", "weeks", "months", "years"]


@skill(replay="pure")
def date_difference(start: str, end: str, unit: Unit = "days") -> int | float:
    """Count the days, weeks, months or years from one date to another; negative if `end` is earlier.

    Neither day is counted twice: from 2026-01-01 to 2026-01-02 is 1. Months and years are whole ones that have
    passed; weeks have up to two decimals. Raises ValueError for a date that is missing, impossible or ambiguous.
    """
    first, last = _read(start), _read(end)
    if unit == "days":
        return (last - first).days
    if unit == "weeks":
        weeks, rest = divmod((last - first).days, 7)
        return weeks if rest == 0 else round(weeks + rest / 7, 2)
    months = whole_months(first, last)
    return months if unit == "months" else int(months / 12)


@skill(replay="pure")
def add_to_date(date: str, amount: int, unit: Unit = "days") -> str:
    """Return the date that many days, weeks, months or years later, as YYYY-MM-DD; earlier for a negative amount.

    A month that lacks the day gives its last one: one month after 2026-01-31 is 2026-02-28.
    """
    start = _read(date)
    try:
        if unit in ("days", "weeks"):
            return (start + timedelta(days=amount * (7 if unit == "weeks" else 1))).isoformat()
        return add_months(start, amount * (12 if unit == "years" else 1)).isoformat()
    except OverflowError:
        raise ValueError(f"{amount} {unit} from {start.isoformat()} lies beyond the years 1 to 9999.") from None


@skill(replay="pure")
def weekday(date: str) -> str:
    """Return the day of the week of a date, such as Monday."""
    return WEEKDAYS[_read(date).weekday()].title()


def _read(text: str) -> date:
    return parse_date(text, datetime.now(UTC).date())
