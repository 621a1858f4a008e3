"""What a calendar shows: the last day of next month, week numbers, quarters, how many weekdays. Any thread; imported by the offline planner.

Business days are those from Monday to Friday, as spreadsheets have it where no holidays are given: which there are differs from
country to country, and the documents say so. What people count in two ways that differ is refused, such as weekdays
between two of them.
"""

import calendar
import re
from datetime import date, timedelta

from callboard.agent.planner.base import Plan, PlanRequest, no_fit, own_plan
from callboard.agent.planner.date_patterns import DATE
from callboard.agent.planner.dates import resolve_day
from callboard.agent.planner.numbers import NUMBER, whole_number
from callboard.agent.planner.reading import Reading, matched
from callboard.agent.planner.relative_days import RELATIVE, relative_day, weekday_number
from callboard.agent.skills._calendar import MONTH, WEEKDAY, month_number, parse_date

_MAX_CHARS = 200
_MOST_WEEKDAYS = 100_000
_OPENING = re.compile(
    r"(?:what(?:'s|s| is| was| will be| are)|tell me|find|calculate|compute|give me|when(?:'s| is| was| will be)|(?:what|which|on (?:what|which)) date (?:is|was|will be)) "
)
_MONTH_OF = rf"(?:(?P<rel>next|this|last|the current|the) month|(?:the month of )?(?P<month>{MONTH})(?:,? (?:of |in )?(?P<year>\d{{4}})))"
_PERIOD = rf"(?:{_MONTH_OF}|(?P<relyear>next|this|last|the current|the) year|(?:the year )?(?P<only>\d{{4}}))"
_EDGE = (
    rf"(?:the )?(?P<edge>first|last) day (?:of|in) {_PERIOD}",
    rf"(?:the )?(?P<edge>end) of {_MONTH_OF}",
)
_NTH = {
    "first": 1,
    "1st": 1,
    "second": 2,
    "2nd": 2,
    "third": 3,
    "3rd": 3,
    "fourth": 4,
    "4th": 4,
    "fifth": 5,
    "5th": 5,
    "last": 0,
}
_NTH_DAY = rf"(?:the )?(?P<nth>{'|'.join(_NTH)}) (?P<weekday>{WEEKDAY}) (?:of|in) {_MONTH_OF}"
_NAMED = rf"(?:the )?(?:date (?:of |on |for )?)?(?P<day>{RELATIVE})(?:'s date)?"
_WEEK = (
    rf"(?:what |which |the )?(?P<iso>iso |calendar )?week(?: number)?(?: of the year)? (?:is it|is this|are we in|is today|is now|(?:is|of|for|is it on|does) (?P<day>{DATE}))(?: in| fall in| now| today)?",
    r"(?:the )?(?:current )(?P<iso>iso |calendar )?week(?: number)?(?P<day>)",
)
_QUARTER = (
    rf"(?:what |which |the )?quarter(?: of the year)? (?:is it|is this|are we in|is today|(?:is|of|for|does) (?P<day>{DATE}))(?: in| fall in| lie in| now)?",
    rf"(?:what|which) quarter (?:is|does) (?P<month>{MONTH}) (?:in|fall in|belong to)",
)
_WORKING = r"(?P<what>week ?days|business days?|working days?|work ?days?)"
_COUNTED = (
    rf"(?:how many |(?:the )?number of |count (?:the )?){_WORKING} (?:are )?(?:there )?(?:between|from) (?P<first>{DATE}) (?:and|to|until|till|through) (?P<second>{DATE})(?P<inclusive>,? (?:inclusive|including both|both included|both inclusive))?",
    rf"{_WORKING} (?:between|from) (?P<first>{DATE}) (?:and|to|until|till|through) (?P<second>{DATE})(?P<inclusive>,? (?:inclusive|including both|both included|both inclusive))?",
)
_ADDED = rf"(?:(?:what|which) (?:date|day) (?:is|was|will be) |when is |what is )?(?P<n>{NUMBER}) {_WORKING} (?P<way>after|before|from) (?P<first>{DATE})"
_IN_MONTH = rf"(?:how many |(?:the )?number of )(?:{_WORKING}|(?P<weekday>{WEEKDAY})s) (?:are |were |is |will )?(?:there )?(?:be )?in {_PERIOD}"
_DAYS_IN = r"(?:how many |(?:the )?number of )?days (?:are |were |is )?(?:there )?(?:in )(?:(?P<rel>next|this|last|the current) month|(?P<relyear>next|this|last|the current) year)(?P<month>)(?P<year>)(?P<only>)(?: have)?"
_CLUE = re.compile(r"\b(?:day|days|week|quarter|weekdays?|date|end|month|year|\w+days?)\b")
_REL = {"next": 1, "last": -1}


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    line = reading.line
    if not line or len(line) > _MAX_CHARS or not _CLUE.search(line):
        return None
    today = request.now.date()
    opening = _OPENING.match(line)
    for text in (line, line[opening.end() :]) if opening else (line,):
        asked = opening is not None and text != line
        for read in (_edge, _nth, _named, _week, _quarter, _counted, _added, _in_period):
            answer = read(text, request, today, asked)
            if answer is not None:
                return own_plan(repr(answer.isoformat() if isinstance(answer, date) else answer), "date")
    return None


def _span(found: re.Match[str], today: date) -> tuple[date, date] | None:
    """Return the first and the last day of the month or year that is named."""
    named = found.groupdict()
    if named.get("relyear") or named.get("only"):
        year = int(named["only"]) if named.get("only") else today.year + _REL.get(named["relyear"] or "", 0)
        return (date(year, 1, 1), date(year, 12, 31)) if 1 <= year <= 9999 else None
    if named.get("rel"):
        years, month = divmod(today.month - 1 + _REL.get(named["rel"] or "", 0), 12)
        year, month = today.year + years, month + 1
    else:
        number = month_number(named.get("month") or "")
        year = int(named.get("year") or 0)
        if number is None or not 1 <= year <= 9999:
            return None
        month = number
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def _edge(text: str, _request: PlanRequest, today: date, asked: bool) -> date | None:
    found = matched(_EDGE, text)
    span = _span(found, today) if found else None
    if not found or span is None or (found["edge"] == "end" and not asked):
        return None
    return span[0] if found["edge"] == "first" else span[1]


def _nth(text: str, _request: PlanRequest, today: date, _asked: bool) -> date | None:
    found = matched((_NTH_DAY,), text)
    span = _span(found, today) if found else None
    if not found or span is None:
        return None
    wanted, nth = weekday_number(found["weekday"]), _NTH[found["nth"]]
    days = [day for day in _days(*span) if day.weekday() == wanted]
    if nth > len(days):
        raise no_fit(f"{span[0]:%Y-%m} has no {found['nth']} {found['weekday'].title()}.")
    return days[nth - 1]


def _named(text: str, _request: PlanRequest, today: date, asked: bool) -> date | None:
    found = matched((_NAMED,), text)
    return relative_day(found["day"], today) if found and (asked or "date" in text) else None


def _week(text: str, request: PlanRequest, today: date, _asked: bool) -> int | None:
    found = matched(_WEEK, text)
    if not found:
        return None
    day = _read(found["day"], request, today)
    iso = day.isocalendar().week
    january = date(day.year, 1, 1)
    sunday = (day.timetuple().tm_yday + (january.weekday() + 1) % 7 - 1) // 7 + 1
    if not found["iso"] and iso != sunday:
        raise no_fit(
            f"{day.isoformat()} is in week {iso} where weeks begin on Mondays (ISO 8601), and in week {sunday} where they "
            "begin on Sundays. Ask for the ISO week for the one."
        )
    return iso


def _quarter(text: str, request: PlanRequest, today: date, _asked: bool) -> str | None:
    found = matched(_QUARTER, text)
    if not found:
        return None
    named = found.groupdict()
    month = month_number(named["month"]) if named.get("month") else _read(named.get("day"), request, today).month
    return f"Q{(month + 2) // 3}" if month else None


def _counted(text: str, request: PlanRequest, today: date, _asked: bool) -> int | None:
    found = matched(_COUNTED, text)
    if not found:
        return None
    first, last = _read(found["first"], request, today), _read(found["second"], request, today)
    if first > last:
        first, last = last, first
    inclusive = _weekdays(first, last)
    if not found["inclusive"] and (first.weekday() < 5 or last.weekday() < 5):
        raise no_fit(
            f"Whether {first.isoformat()} and {last.isoformat()} count themselves is not said: with both it is {inclusive} "
            f"weekdays, without them {_weekdays(first + timedelta(days=1), last - timedelta(days=1))}. Write 'inclusive' "
            "for the one."
        )
    return inclusive


def _added(text: str, request: PlanRequest, today: date, _asked: bool) -> date | None:
    found = matched((_ADDED,), text)
    count = whole_number(found["n"]) if found else None
    if not found or not count:
        return None
    if count > _MOST_WEEKDAYS:
        raise no_fit(f"{count} weekdays are more than the {_MOST_WEEKDAYS} that are counted here.")
    day, step = _read(found["first"], request, today), timedelta(days=-1 if found["way"] == "before" else 1)
    try:
        while count:
            day += step
            count -= day.weekday() < 5
    except OverflowError:
        raise no_fit("That lies beyond the years 1 to 9999.") from None
    return day


def _in_period(text: str, _request: PlanRequest, today: date, _asked: bool) -> int | None:
    if found := matched((_DAYS_IN,), text):
        span = _span(found, today)
        return (span[1] - span[0]).days + 1 if span else None
    found = matched((_IN_MONTH,), text)
    span = _span(found, today) if found else None
    if not found or span is None:
        return None
    if found["what"]:
        return _weekdays(*span)
    wanted = weekday_number(found["weekday"])
    return sum(day.weekday() == wanted for day in _days(*span))


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _weekdays(first: date, last: date) -> int:
    """Count the days from Monday to Friday, both ends included."""
    whole, rest = divmod((last - first).days + 1, 7)
    return max(0, whole * 5 + sum((first.weekday() + n) % 7 < 5 for n in range(rest)))


def _read(text: str | None, request: PlanRequest, today: date) -> date:
    try:
        return parse_date(resolve_day(text or "today", request), today)
    except ValueError as error:
        raise no_fit(str(error)) from error
