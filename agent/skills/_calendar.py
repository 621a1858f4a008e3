"""Reading dates as people write them, and arithmetic on the calendar.

Nothing is guessed: a form that can mean two days is refused, and so is a date without its year. Pure functions; any
thread; imported by the date skills and by the planner's recogniser of dates.
"""

import calendar
import re
from datetime import date, timedelta

MONTHS = tuple(name.lower() for name in calendar.month_name)
WEEKDAYS = tuple(name.lower() for name in calendar.day_name)
MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]{0,6}"
WEEKDAY = r"(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?"

_WEEKDAY_FIRST = re.compile(rf"({WEEKDAY})\b[\s,]+(?=\S)")
_ISO = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})")
_DAY_FIRST = re.compile(rf"(?:the )?(\d{{1,2}})(?:st|nd|rd|th)?(?: of)?[ -]({MONTH})\.?(?:[ -](\d+))?")
_MONTH_FIRST = re.compile(rf"({MONTH})\.? (?:the )?(\d{{1,2}})(?:st|nd|rd|th)?(?: (\d+))?")
_NUMBERS = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d+)")
_RELATIVE = {"today": 0, "now": 0, "tomorrow": 1, "yesterday": -1}
_HOW = "write it as 2026-12-25 or 25 December 2026"


def parse_date(text: str, today: date) -> date:
    """Return the day that `text` names; raise `ValueError` saying what is unclear and how to write it."""
    if len(text) > 100:
        raise ValueError(f"A date of {len(text)} characters is too long; {_HOW}.")
    plain = " ".join(text.lower().replace(",", " ").split()).rstrip(".")
    if plain in _RELATIVE:
        return today + timedelta(days=_RELATIVE[plain])
    weekday = _WEEKDAY_FIRST.match(plain)
    found = _written(plain[weekday.end() :] if weekday else plain, text)
    if weekday and WEEKDAYS[found.weekday()][:3] != weekday[1][:3]:
        raise ValueError(f"{found.isoformat()} is a {WEEKDAYS[found.weekday()].title()}, unlike {text!r} says.")
    return found


def _written(plain: str, text: str) -> date:
    if iso := _ISO.fullmatch(plain):
        return _day(int(iso[1]), int(iso[3]), int(iso[4]), text)
    if numbers := _NUMBERS.fullmatch(plain):
        return _numeric(numbers, text)
    if day_first := _DAY_FIRST.fullmatch(plain):
        return _day(_year(day_first[3], text), _month(day_first[2], text), int(day_first[1]), text)
    if month_first := _MONTH_FIRST.fullmatch(plain):
        return _day(_year(month_first[3], text), _month(month_first[1], text), int(month_first[2]), text)
    raise ValueError(f"{text!r} is not a date that can be read; {_HOW}.")


def _numeric(found: re.Match[str], text: str) -> date:
    first, second, year = int(found[1]), int(found[3]), _year(found[4], text)
    # With points the day comes first everywhere they are used.
    if found[2] == "." or first > 12 or first == second:
        return _day(year, second, first, text)
    if second > 12:
        return _day(year, first, second, text)
    readings = f"{year}-{first:02}-{second:02} or {year}-{second:02}-{first:02}"
    raise ValueError(f"{text!r} can be read in two ways, {readings}; write it in one of these forms.")


def _year(digits: str | None, text: str) -> int:
    if digits is None:
        raise ValueError(f"{text!r} has no year; {_HOW}.")
    if len(digits) != 4:
        raise ValueError(f"{text!r} needs a year of four digits; {_HOW}.")
    return int(digits)


def _month(name: str, text: str) -> int:
    found = month_number(name)
    if found is None:
        raise ValueError(f"{text!r} names no month; {_HOW}.")
    return found


def month_number(name: str) -> int | None:
    """Return 1 to 12 for a month's name or its usual abbreviation, in lower case."""
    name = "sep" if name == "sept" else name
    matches = [n for n, month in enumerate(MONTHS) if n and (month == name or month[:3] == name)]
    return matches[0] if matches else None


def _day(year: int, month: int, day: int, text: str) -> date:
    if not 1 <= month <= 12:
        raise ValueError(f"{text!r} has no month {month}; {_HOW}.")
    if year < 1:
        raise ValueError(f"{text!r} has no year from 1 to 9999; {_HOW}.")
    last = calendar.monthrange(year, month)[1]
    if not 1 <= day <= last:
        raise ValueError(f"{text!r} is not a day: {MONTHS[month].title()} {year} has {last} days.")
    return date(year, month, day)


def add_months(start: date, months: int) -> date:
    """Return the same day that many months on, or the last day of a shorter month."""
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    if not 1 <= year <= 9999:
        raise OverflowError("beyond the years 1 to 9999")
    return date(year, month + 1, min(start.day, calendar.monthrange(year, month + 1)[1]))


def whole_months(start: date, end: date) -> int:
    """Return how many whole months lie between, negative if `end` is earlier."""
    if end < start:
        return -whole_months(end, start)
    months = (end.year - start.year) * 12 + end.month - start.month
    return months if add_months(start, months) <= end else months - 1
