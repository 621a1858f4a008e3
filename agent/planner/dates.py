"""Dates: how far apart, which weekday, what date so many days on, what date it is.

Words such as today, Christmas or a date without its year are turned into plain dates here, by `request.now`, so that
the code means the same whenever it runs. Any thread; imported by the offline planner.
"""

import contextlib
import re
from dataclasses import replace
from datetime import date, timedelta

from callboard.agent.planner.base import Plan, PlanRequest, call, no_fit, own_plan, script
from callboard.agent.planner.date_patterns import (
    AGE,
    BETWEEN,
    CLUE,
    DAY_NOW,
    DAYS_IN,
    FIXED_DAY,
    HOLIDAYS,
    LATER,
    LEAP,
    OPENING,
    PART,
    PART_NOW,
    PER_DAY,
    SINCE,
    TIME_NOW,
    UNTIL,
    WEEKDAY_OF,
    WHEN,
)
from callboard.agent.planner.numbers import whole_number
from callboard.agent.planner.reading import Reading, matched
from callboard.agent.planner.relative_days import RELATIVE, relative_day, weekday_number
from callboard.agent.skills._calendar import MONTHS, WEEKDAY, month_number, parse_date

_YEAR = re.compile(r"\d{4}|\d[/.-]\d{1,2}[/.-]\d")
_PAST = re.compile(r"\b(?:was|did|fell)\b")


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    line = reading.line
    if not line or len(line) > 250 or not CLUE.search(line):
        return None
    bare = OPENING.sub("", line, count=1) if OPENING.match(line) else line
    for read in (_now, _calendar_facts, _difference, _weekday, _later):
        for text in dict.fromkeys((line, bare)):
            plan = read(text, request)
            if plan:
                return plan
    return None


def _match(patterns: tuple[str, ...], text: str) -> dict[str, str | None] | None:
    found = matched(patterns, text)
    return found and found.groupdict()


def _now(text: str, request: PlanRequest) -> Plan | None:
    today, intent = request.now.date(), "date"
    if TIME_NOW.fullmatch(text):
        return own_plan(repr(f"{request.now:%H:%M} UTC"), intent)
    if found := PART_NOW.fullmatch(text):
        return own_plan(repr(today.year if found["part"] == "year" else MONTHS[today.month].title()), intent)
    if DAY_NOW.fullmatch(text):
        return _plan(request, "weekday", today.isoformat())
    if found := WHEN.fullmatch(text):
        named = found["day"].replace("next year", str(today.year + 1))
        return own_plan(repr(resolve_day(named, request, 0 if named != found["day"] or "this" in named else 1)), intent)
    if found := FIXED_DAY.fullmatch(text):
        day = next((value for value in found.groupdict().values() if value), "today")
        return own_plan(repr(parse_date(day, today).isoformat()), intent)
    return None


def _calendar_facts(text: str, request: PlanRequest) -> Plan | None:
    if found := LEAP.fullmatch(text):
        counted = call(request, "date-difference", f"{found['year']}-02-01", f"{found['year']}-03-01")
        return own_plan(script(f"{counted} == 29", skills=("date-difference",)), "date")
    if found := DAYS_IN.fullmatch(text):
        year, month = int(found["year"]), month_number(found["month"] or "jan")
        if month is None or not 1 <= year < 9999:
            return None
        after = (year + month // 12, month % 12 + 1) if found["month"] else (year + 1, 1)
        return _plan(request, "date-difference", f"{year}-{month:02}-01", f"{after[0]}-{after[1]:02}-01")
    return None


def _difference(text: str, request: PlanRequest) -> Plan | None:
    if found := _match(BETWEEN, text):
        first, second = _both(found["first"] or "", found["second"] or "", request, between="between" in text)
        unit = _unit(found.get("unit"))
        code = call(request, "date-difference", first, second, "days" if unit in PER_DAY else unit)
        # What lies between two days has no direction; from one to the other it has.
        code = f"abs({code})" if "between" in text else code
        code += f" * {PER_DAY[unit]}" if unit in PER_DAY else ""
        return own_plan(script(code, skills=("date-difference",)), "date")
    today = request.now.date().isoformat()
    if found := _match(AGE, text):
        born = found["first"] or ""
        return _age(born if _lacks_year(born) else resolve_day(born, request, -1), request)
    if found := _match(UNTIL, text):
        return _plan(
            request, "date-difference", today, resolve_day(found["first"], request, 1), _unit(found.get("unit"))
        )
    if found := _match(SINCE, text):
        return _plan(
            request, "date-difference", resolve_day(found["first"], request, -1), today, _unit(found.get("unit"))
        )
    return None


def _both(first: str, second: str, request: PlanRequest, *, between: bool) -> tuple[str, str]:
    """Return the days that a span goes from and to; what lacks a year, or is a weekday, is the next one after the other.

    Raises `TaskError` where `between` leaves open which comes first.
    """
    if re.fullmatch(WEEKDAY, first) and re.fullmatch(WEEKDAY, second):
        start = parse_date(resolve_day(first, request), request.now.date())
        days_on = (weekday_number(second) - start.weekday() - 1) % 7 + 1
        return start.isoformat(), (start + timedelta(days=days_on)).isoformat()
    open_ends = _lacks_year(first), _lacks_year(second)
    if any(open_ends) and (_YEAR.search(first) or _YEAR.search(second)):
        return first, second  # the skill says which has no year
    days = resolve_day(first, request), resolve_day(second, request)
    if not any(open_ends) or days[0] <= days[1]:
        return days
    if between:
        raise no_fit(f"Of which years {first!r} and {second!r} are is not clear; write the years.")
    return (days[0], _a_year_later(second, request)) if open_ends[1] else (resolve_day(first, request, -1), days[1])


def _a_year_later(text: str, request: PlanRequest) -> str:
    now = request.now
    return resolve_day(text, replace(request, now=now.replace(year=now.year + 1, day=min(now.day, 28))))


def _of_one_year(day: str, text: str, request: PlanRequest) -> None:
    """Raise `TaskError` for a day without its year that has passed, unless the question says that it speaks of the past."""
    if not _lacks_year(day) or _PAST.search(text):
        return
    this, coming = resolve_day(day, request), resolve_day(day, request, 1)
    if this != coming:
        raise no_fit(f"{day.title()} may be {this} or {coming}; write the year.")


def _lacks_year(text: str) -> bool:
    """Tell whether a date is a day of any year, as `March 3` and `Christmas` are."""
    relative = text in ("today", "tomorrow", "yesterday", "now") or re.fullmatch(rf"(?:{WEEKDAY}|{RELATIVE})", text)
    return bool(text) and not relative and not _YEAR.search(text) and "this year" not in text


def _age(born: str, request: PlanRequest) -> Plan:
    today = request.now.date()
    with contextlib.suppress(ValueError):  # the skill says what is wrong with a date
        if parse_date(born, today) > today:
            raise no_fit(f"{born} lies in the future, so there is no age yet.")
    return _plan(request, "date-difference", born, today.isoformat(), "years")


def _weekday(text: str, request: PlanRequest) -> Plan | None:
    found = _match(WEEKDAY_OF, text)
    if not found:
        return None
    day = found["first"] or ""
    if not found.get("year"):
        _of_one_year(day, text, request)
    return _plan(request, "weekday", resolve_day(f"{day} {found['year']}" if found.get("year") else day, request))


def _later(text: str, request: PlanRequest) -> Plan | None:
    found = _match(LATER, text)
    if not found:
        return None
    _of_one_year(found.get("first") or "", text, request)
    way = found.get("way") or "after"
    sign = -1 if way in ("before", "prior to", "earlier than", "subtract", "take", "minus", "-", "ago") else 1
    code = repr(resolve_day(found.get("first") or "today", request))
    for amount, unit in _amounts(found["span"] or ""):
        call(request, "add-to-date", "")
        code = f"add_to_date({code}, {sign * amount}, {unit!r})"
    skills = ["add-to-date"]
    if found.get("weekday"):
        call(request, "weekday", "")
        code, skills = f"weekday({code})", [*skills, "weekday"]
    return own_plan(script(code, skills=tuple(skills)), "date")


def _amounts(span: str) -> list[tuple[int, str]]:
    """Return the parts of a span, the longest unit first, so that month ends come out as people count."""
    parts = [(whole_number(number) or 0, unit + "s") for number, unit in PART.findall(span)]
    return sorted(parts, key=lambda part: ("years", "months", "weeks", "days").index(part[1]))


def _plan(request: PlanRequest, skill: str, *arguments: str) -> Plan:
    return own_plan(script(call(request, skill, *arguments), skills=(skill,)), "date")


def _unit(unit: str | None) -> str:
    return f"{unit.removesuffix('s')}s" if unit else "days"


def resolve_day(text: str | None, request: PlanRequest, direction: int = 0) -> str:
    """Return a date for the skill: relative words resolved, a missing year added, the rest as it was written.

    `direction` is 1 for the next such day, -1 for the last, 0 for that of this year.
    """
    today, text = request.now.date(), (text or "today").removeprefix("the ").removesuffix(" this year")
    if text in ("today", "tomorrow", "yesterday", "now"):
        return parse_date(text, today).isoformat()
    if relative := relative_day(text, today):
        return relative.isoformat()
    if re.fullmatch(WEEKDAY, text):
        return _next_weekday(text, today, direction or 1)
    name, year = re.sub(r",? (?:in )?\d{4}$", "", text), re.search(r"\d{4}$", text)
    if name in HOLIDAYS:
        month, day = HOLIDAYS[name]
        return f"{year[0]}-{month:02}-{day:02}" if year else _in_year(f"{day} {MONTHS[month]}", today, direction)
    return (
        text.replace(", in ", " ").replace(" in ", " ")
        if re.search(r"\d{4}|[/.-]\d+[/.-]", text)
        else _in_year(text, today, direction)
    )


def _in_year(text: str, today: date, direction: int) -> str:
    try:
        day = parse_date(f"{text} {today.year}", today)
        if direction and (day - today).days * direction < 0:
            day = parse_date(f"{text} {today.year + direction}", today)
    except ValueError:
        return text
    return day.isoformat()


def _next_weekday(name: str, today: date, direction: int) -> str:
    wanted = weekday_number(name)
    distance = (wanted - today.weekday()) % 7 if direction > 0 else -((today.weekday() - wanted) % 7)
    return date.fromordinal(today.toordinal() + (distance or 7 * direction)).isoformat()
