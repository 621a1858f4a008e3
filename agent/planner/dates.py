"""Dates: how far apart, which weekday, what date so many days on, what date it is.

Words such as today, Christmas or a date without its year are turned into plain dates here, by `request.now`, so that
the code means the same whenever it runs. Any thread; imported by the offline planner.
"""

import re
from datetime import date

from callboard.agent.planner.base import Plan, PlanRequest, call, script
from callboard.agent.planner.numbers import NUMBER, whole_number
from callboard.agent.planner.reading import Reading
from callboard.agent.skills._calendar import MONTH, MONTHS, WEEKDAY, WEEKDAYS, month_number, parse_date

_HOLIDAYS = {
    "christmas": (12, 25), "christmas day": (12, 25), "xmas": (12, 25), "christmas eve": (12, 24), "new year": (1, 1),
    "new year's": (1, 1), "new year's day": (1, 1), "new years": (1, 1), "new years day": (1, 1), "new year's eve": (12, 31),
    "new years eve": (12, 31), "halloween": (10, 31), "valentine's day": (2, 14), "valentines day": (2, 14),
}  # fmt: skip
_HOLIDAY = "|".join(sorted(_HOLIDAYS, key=len, reverse=True))
_YEAR = r"(?:,? (?:in )?\d{4})"
_DATE = (
    rf"(?:today|tomorrow|yesterday|now|(?:{WEEKDAY},? )?(?:\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}}"
    rf"|(?:the )?\d{{1,2}}(?:st|nd|rd|th)?(?: of)?[ -]{MONTH}\.?(?:[ -]\d{{4}}|{_YEAR})?"
    rf"|{MONTH}\.? (?:the )?\d{{1,2}}(?:st|nd|rd|th)?{_YEAR}?)|(?:the )?(?:{_HOLIDAY})(?:{_YEAR}| this year)?|{WEEKDAY})"
)
_UNIT = r"days?|weeks?|months?|years?"
_SPAN = rf"{NUMBER} (?:{_UNIT})(?:(?:,? and |, | ){NUMBER} (?:{_UNIT})){{0,3}}"
_PER_DAY = {"hours": 24, "minutes": 1440, "seconds": 86_400}
_IS = r"(?:is|was|will be|would be|is it|was it|will it be|would it be|falls|comes|are)"
_COUNT = rf"(?:how many |(?:the )?number of |count (?:the )?)?(?P<unit>{_UNIT})"
_AND = r"(?:and|to|until|till|through|-)"
_WHICH = r"(?:what|which) (?:day(?: of the week| of week)?|weekday)"


def _patterns(*templates: str) -> tuple[re.Pattern[str], ...]:
    """Compile patterns in which D1 and D2 stand for dates and SPAN for a span of days."""
    filled = (t.replace("D1", f"(?P<first>{_DATE})").replace("D2", f"(?P<second>{_DATE})") for t in templates)
    return tuple(re.compile(t.replace("SPAN", f"(?P<span>{_SPAN})")) for t in filled)


_BETWEEN = _patterns(
    rf"(?:how many |(?:the )?number of |count (?:the )?)?(?P<unit>{_UNIT}|hours?|minutes?|seconds?) (?:(?:are|is|were|was|lie) (?:there |it )?)?(?:between|from) D1 {_AND} D2",
    rf"(?:the )?(?:difference|time|interval|gap|distance|span)(?: in (?P<unit>{_UNIT}))? between D1 {_AND} D2",
    rf"(?:the )?(?:difference|time|interval|gap) between D1 {_AND} D2 in (?P<unit>{_UNIT})",
    rf"how (?:long|far)(?: apart)? (?:(?:is|was|are) (?:it |there )?)?(?:between |from )?D1 {_AND} D2(?: in (?P<unit>{_UNIT}))?",
    rf"D1 {_AND} D2 in (?P<unit>{_UNIT})",
)
_UNTIL = _patterns(
    rf"{_COUNT} (?:(?:are|is|do|will) )?(?:(?:there|left|remaining|remain|it|we|have|be|to go|still) ){{0,4}}(?:until|till|til|to|before) D1",
    r"how (?:long|far) (?:(?:is|will) )?(?:it |be )?(?:until|till|til|to|before) D1",
    rf"how (?:many (?P<unit>{_UNIT})|far|long) (?:away |off )?is D1(?: away| from now| from today)?",
)
_SINCE = _patterns(
    rf"{_COUNT} (?:(?:have|has|had|it|been|passed|elapsed|gone|by|is|are|there) ){{0,5}}since D1",
    rf"how (?:many (?P<unit>{_UNIT})|long) (?:ago )?(?:is|was|has it been since|is it since) D1(?: ago)?",
)
_AGE = _patterns(
    r"how old (?:am i|is (?:he|she|it|someone|somebody|a person)|are they)(?: if (?:i|he|she|it|they))?(?: (?:who |was |were |i |he |she |they ){0,3})?,? ?born (?:on |in )?D1",
    r"(?:if )?(?:i|he|she|someone|a person|it|they) (?:was|were|am|is) born (?:on )?D1[.,;]? (?:and )?(?:then )?how old (?:am i|is (?:he|she|it|someone)|are they)(?: now| today)?",
)
_WEEKDAY = _patterns(
    rf"(?:on )?{_WHICH} (?:{_IS}|does|did|will) (?:it )?(?:on )?D1(?: (?:fall|falls|fell|be|land|occur|on|this year)){{0,3}}(?: in (?P<year>\d{{4}}))?",
    rf"{_WHICH} D1 (?:{_IS}|falls on|fell on|was on|is on)",
    r"(?:the )?(?:day of (?:the )?week|weekday) (?:of|for|on|is) D1",
    rf"D1 (?:is|was|falls on|fell on|will be|is on) {_WHICH}",
)
_LATER = _patterns(
    rf"(?:(?P<weekday>(?:what|which) (?:day of the week|weekday))|(?:what|which)(?: date| day)?|when)? ?(?:{_IS} )?(?:the (?:date|day) (?:that is )?)?SPAN (?P<way>after|from|following|later than|past|before|prior to|earlier than) D1",
    r"(?P<way>add|subtract|take) SPAN (?:to|from|away from) D1",
    r"D1 (?P<way>plus|\+|minus|-) SPAN",
    rf"(?:(?P<weekday>(?:what|which) (?:day of the week|weekday))|(?:what|which)(?: date| day)?|when)? ?(?:(?:{_IS}|will) )?(?:the date )?(?:be )?in SPAN(?: from now| from today| time)?",
    rf"(?:(?:what|which)(?: date| day)?|when)? ?(?:{_IS} )?(?:it )?(?:the date )?(?:be )?SPAN (?P<way>ago|hence|from now|later)",
    r"in SPAN,? what (?:date|day) (?:will it be|is it)",
)
_OPENING = re.compile(r"(?:what(?:'s| is| was| will be| are)|tell me|find|calculate|compute|work out|give me|do you know|determine) (?!day|date)")
_CLUE = re.compile(r"\b(?:days?|date|weeks?|months?|years?|long|far|weekday|until|till|since|today|tomorrow|when|old|time|ago)\b|today's|\d{4}-")
_FIXED_DAY = re.compile(r"(?:(?:the )?(?:current |today'?s )?date(?: (?:is it )?(?P<day>today|tomorrow|yesterday|now))?|(?:what |which )?date (?:is|was|will be) (?:it |the date )?(?P<day2>today|tomorrow|yesterday|now)|(?P<day3>tomorrow|yesterday)'?s date|(?:what |which )date is it|(?P<today>today))")
_WHEN = re.compile(rf"(?:when|what date|on (?:what|which) date) (?:is|will be|does) (?P<day>(?:the )?(?:{_HOLIDAY})(?:{_YEAR}| this year| next year)?)(?: fall(?: on)?)?")
_DAY_NOW = re.compile(r"(?:what|which) (?:day|weekday|day of the week) is (?:it(?: today| now)?|today)|today's (?:day|weekday)|the day today")
_TIME_NOW = re.compile(r"(?:(?:what|the|current|the current) )?time(?: is it)?(?: right)?(?: now)?|(?:what )?(?:the )?(?:current )?time (?:is it )?in utc")
_PART_NOW = re.compile(r"(?:what|which|the current|current) (?P<part>year|month)(?: is (?:it|this))?(?: now| today)?")
_LEAP = re.compile(r"(?:is|was|will) (?P<year>\d{4}) (?:be )?a leap[ -]?year")
_DAYS_IN = re.compile(rf"(?:how many |number of )?days (?:are |were |is )?(?:there |does )?(?:in )?(?:(?:the month of )?(?P<month>{MONTH})(?: of)?,? )?(?:the year )?(?P<year>\d{{4}})(?: have)?")
_PART = re.compile(rf"({NUMBER}) (year|month|week|day)")


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    line = reading.line
    if not line or len(line) > 250 or not _CLUE.search(line):
        return None
    bare = _OPENING.sub("", line, count=1) if _OPENING.match(line) else line
    for read in (_now, _calendar_facts, _difference, _weekday, _later):
        for text in dict.fromkeys((line, bare)):
            plan = read(text, request)
            if plan:
                return plan
    return None


def _match(patterns: tuple[re.Pattern[str], ...], text: str) -> dict[str, str | None] | None:
    for pattern in patterns:
        found = pattern.fullmatch(text)
        if found:
            return found.groupdict()
    return None


def _now(text: str, request: PlanRequest) -> Plan | None:
    today, intent = request.now.date(), "date"
    if _TIME_NOW.fullmatch(text):
        return Plan(code=repr(f"{request.now:%H:%M} UTC"), intent=intent)
    if found := _PART_NOW.fullmatch(text):
        return Plan(code=repr(today.year if found["part"] == "year" else MONTHS[today.month].title()), intent=intent)
    if _DAY_NOW.fullmatch(text):
        return _plan(request, "weekday", today.isoformat())
    if found := _WHEN.fullmatch(text):
        named = found["day"].replace("next year", str(today.year + 1))
        return Plan(code=repr(_day(named, request, 0 if named != found["day"] or "this" in named else 1)), intent=intent)
    if found := _FIXED_DAY.fullmatch(text):
        day = next((value for value in found.groupdict().values() if value), "today")
        return Plan(code=repr(parse_date(day, today).isoformat()), intent=intent)
    return None


def _calendar_facts(text: str, request: PlanRequest) -> Plan | None:
    if found := _LEAP.fullmatch(text):
        counted = call(request, "date-difference", f"{found['year']}-02-01", f"{found['year']}-03-01")
        return Plan(code=script(f"{counted} == 29", skills=("date-difference",)), intent="date")
    if found := _DAYS_IN.fullmatch(text):
        year, month = int(found["year"]), month_number(found["month"] or "jan")
        if month is None or not 1 <= year < 9999:
            return None
        after = (year + month // 12, month % 12 + 1) if found["month"] else (year + 1, 1)
        return _plan(request, "date-difference", f"{year}-{month:02}-01", f"{after[0]}-{after[1]:02}-01")
    return None


def _difference(text: str, request: PlanRequest) -> Plan | None:
    if found := _match(_BETWEEN, text):
        first, second, unit = _day(found["first"], request), _day(found["second"], request), _unit(found.get("unit"))
        code = call(request, "date-difference", first, second, "days" if unit in _PER_DAY else unit)
        # What lies between two days has no direction; from one to the other it has.
        code = f"abs({code})" if "between" in text else code
        code += f" * {_PER_DAY[unit]}" if unit in _PER_DAY else ""
        return Plan(code=script(code, skills=("date-difference",)), intent="date")
    today = request.now.date().isoformat()
    if found := _match(_AGE, text):
        return _plan(request, "date-difference", _day(found["first"], request, -1), today, "years")
    if found := _match(_UNTIL, text):
        return _plan(request, "date-difference", today, _day(found["first"], request, 1), _unit(found.get("unit")))
    if found := _match(_SINCE, text):
        return _plan(request, "date-difference", _day(found["first"], request, -1), today, _unit(found.get("unit")))
    return None


def _weekday(text: str, request: PlanRequest) -> Plan | None:
    found = _match(_WEEKDAY, text)
    if not found:
        return None
    day = found["first"] or ""
    return _plan(request, "weekday", _day(f"{day} {found['year']}" if found.get("year") else day, request))


def _later(text: str, request: PlanRequest) -> Plan | None:
    found = _match(_LATER, text)
    if not found:
        return None
    way = found.get("way") or "after"
    sign = -1 if way in ("before", "prior to", "earlier than", "subtract", "take", "minus", "-", "ago") else 1
    code = repr(_day(found.get("first") or "today", request))
    for amount, unit in _amounts(found["span"] or ""):
        call(request, "add-to-date", "")
        code = f"add_to_date({code}, {sign * amount}, {unit!r})"
    skills = ["add-to-date"]
    if found.get("weekday"):
        call(request, "weekday", "")
        code, skills = f"weekday({code})", [*skills, "weekday"]
    return Plan(code=script(code, skills=tuple(skills)), intent="date")


def _amounts(span: str) -> list[tuple[int, str]]:
    """Return the parts of a span, the longest unit first, so that month ends come out as people count."""
    parts = [(whole_number(number) or 0, unit + "s") for number, unit in _PART.findall(span)]
    return sorted(parts, key=lambda part: ("years", "months", "weeks", "days").index(part[1]))


def _plan(request: PlanRequest, skill: str, *arguments: str) -> Plan:
    return Plan(code=script(call(request, skill, *arguments), skills=(skill,)), intent="date")


def _unit(unit: str | None) -> str:
    return f"{unit.removesuffix('s')}s" if unit else "days"


def _day(text: str | None, request: PlanRequest, direction: int = 0) -> str:
    """Return a date for the skill: relative words resolved, a missing year added, the rest as it was written.

    `direction` is 1 for the next such day, -1 for the last, 0 for that of this year.
    """
    today, text = request.now.date(), (text or "today").removeprefix("the ").removesuffix(" this year")
    if text in ("today", "tomorrow", "yesterday", "now"):
        return parse_date(text, today).isoformat()
    if re.fullmatch(WEEKDAY, text):
        return _next_weekday(text, today, direction or 1)
    name, year = re.sub(r",? (?:in )?\d{4}$", "", text), re.search(r"\d{4}$", text)
    if name in _HOLIDAYS:
        month, day = _HOLIDAYS[name]
        return f"{year[0]}-{month:02}-{day:02}" if year else _in_year(f"{day} {MONTHS[month]}", today, direction)
    return text.replace(", in ", " ").replace(" in ", " ") if re.search(r"\d{4}|[/.-]\d+[/.-]", text) else _in_year(text, today, direction)


def _in_year(text: str, today: date, direction: int) -> str:
    try:
        day = parse_date(f"{text} {today.year}", today)
        if direction and (day - today).days * direction < 0:
            day = parse_date(f"{text} {today.year + direction}", today)
    except ValueError:
        return text
    return day.isoformat()


def _next_weekday(name: str, today: date, direction: int) -> str:
    wanted = next(n for n, weekday in enumerate(WEEKDAYS) if weekday.startswith(name[:3]))
    distance = (wanted - today.weekday()) % 7 if direction > 0 else -((today.weekday() - wanted) % 7)
    return date.fromordinal(today.toordinal() + (distance or 7 * direction)).isoformat()
