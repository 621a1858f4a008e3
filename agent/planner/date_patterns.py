"""How people ask about dates: the patterns, each matched against a whole question in lower case.

Patterns of a kind are tried in their order. Pure data; imported by `dates` only.
"""

import re

from callboard.agent.planner.numbers import NUMBER
from callboard.agent.planner.relative_days import RELATIVE
from callboard.agent.skills._calendar import MONTH, WEEKDAY

HOLIDAYS = {
    "christmas": (12, 25), "christmas day": (12, 25), "xmas": (12, 25), "christmas eve": (12, 24), "new year": (1, 1),
    "new year's": (1, 1), "new year's day": (1, 1), "new years": (1, 1), "new years day": (1, 1), "new year's eve": (12, 31),
    "new years eve": (12, 31), "halloween": (10, 31), "valentine's day": (2, 14), "valentines day": (2, 14),
}  # fmt: skip
_HOLIDAY = "|".join(sorted(HOLIDAYS, key=len, reverse=True))
_YEAR = r"(?:,? (?:in )?\d{4})"
DATE = (
    rf"(?:today|tomorrow|yesterday|now|(?:{WEEKDAY},? )?(?:\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}}"
    rf"|(?:the )?\d{{1,2}}(?:st|nd|rd|th)?(?: of)?[ -]{MONTH}\.?(?:[ -]\d{{4}}|{_YEAR})?"
    rf"|{MONTH}\.? (?:the )?\d{{1,2}}(?:st|nd|rd|th)?{_YEAR}?)|(?:the )?(?:{_HOLIDAY})(?:{_YEAR}| this year)?|{RELATIVE}|{WEEKDAY})"
)
_UNIT = r"days?|weeks?|months?|years?"
_SPAN = rf"{NUMBER} (?:{_UNIT})(?:(?:,? and |, | ){NUMBER} (?:{_UNIT})){{0,3}}"
PER_DAY = {"hours": 24, "minutes": 1440, "seconds": 86_400}
_IS = r"(?:is|was|will be|would be|is it|was it|will it be|would it be|falls|comes|are)"
_COUNT = rf"(?:how many |(?:the )?number of |count (?:the )?)?(?P<unit>{_UNIT})"
_AND = r"(?:and|to|until|till|through|-)"
_WHICH = r"(?:what|which) (?:day(?: of the week| of week)?|weekday)"


def _patterns(*templates: str) -> tuple[str, ...]:
    """Return patterns in which D1 and D2 stand for dates and SPAN for a span of days; `reading.matched` compiles them."""
    filled = (t.replace("D1", f"(?P<first>{DATE})").replace("D2", f"(?P<second>{DATE})") for t in templates)
    return tuple(t.replace("SPAN", f"(?P<span>{_SPAN})") for t in filled)


BETWEEN = _patterns(
    rf"(?:how many |(?:the )?number of |count (?:the )?)?(?P<unit>{_UNIT}|hours?|minutes?|seconds?) (?:(?:are|is|were|was|lie) (?:there |it )?)?(?:between|from) D1 {_AND} D2",
    rf"(?:the )?(?:difference|time|interval|gap|distance|span)(?: in (?P<unit>{_UNIT}))? between D1 {_AND} D2",
    rf"(?:the )?(?:difference|time|interval|gap) between D1 {_AND} D2 in (?P<unit>{_UNIT})",
    rf"how (?:long|far)(?: apart)? (?:(?:is|was|are) (?:it |there )?)?(?:between |from )?D1 {_AND} D2(?: in (?P<unit>{_UNIT}))?",
    rf"D1 {_AND} D2 in (?P<unit>{_UNIT})",
)
UNTIL = _patterns(
    rf"{_COUNT} (?:(?:are|is|do|will) )?(?:(?:there|left|remaining|remain|it|we|have|be|to go|still) ){{0,4}}(?:until|till|til|to|before) D1",
    r"how (?:long|far) (?:(?:is|will) )?(?:it |be )?(?:until|till|til|to|before) D1",
    rf"how (?:many (?P<unit>{_UNIT})|far|long) (?:away |off )?is D1(?: away| from now| from today)?",
)
SINCE = _patterns(
    rf"{_COUNT} (?:(?:have|has|had|it|been|passed|elapsed|gone|by|is|are|there) ){{0,5}}since D1",
    rf"how (?:many (?P<unit>{_UNIT})|long) (?:ago )?(?:is|was|has it been since|is it since) D1(?: ago)?",
)
AGE = _patterns(
    r"(?:what(?:'s| is) )?(?:the |my )?age (?:of )?(?:someone|a person|somebody|a man|a woman|a child)?(?: (?:who|that) (?:was|is))? ?(?:if i was |i was )?born (?:on )?D1",
    r"how old (?:am i|is (?:he|she|it|someone|somebody|a person)|are they)(?: if (?:i|he|she|it|they))?(?: (?:who |was |were |i |he |she |they ){0,3})?,? ?born (?:on |in )?D1",
    r"(?:if )?(?:i|he|she|someone|a person|it|they) (?:was|were|am|is) born (?:on )?D1[.,;]? (?:and )?(?:then )?how old (?:am i|is (?:he|she|it|someone)|are they)(?: now| today)?",
)
WEEKDAY_OF = _patterns(
    rf"(?:on )?{_WHICH} (?:{_IS}|does|did|will) (?:it )?(?:on )?D1(?: (?:fall|falls|fell|be|land|occur|on|this year)){{0,3}}(?: in (?P<year>\d{{4}}))?",
    rf"{_WHICH} D1 (?:{_IS}|falls on|fell on|was on|is on)",
    r"(?:the )?(?:day of (?:the )?week|weekday) (?:of|for|on|is) D1",
    rf"D1 (?:is|was|falls on|fell on|will be|is on) {_WHICH}",
)
LATER = _patterns(
    rf"(?:(?P<weekday>(?:what|which) (?:day of the week|weekday))|(?:what|which)(?: date| day)?|when)? ?(?:{_IS} )?(?:the (?:date|day) (?:that is )?)?SPAN (?P<way>after|from|following|later than|past|before|prior to|earlier than) D1",
    r"(?P<way>add|subtract|take) SPAN (?:to|from|away from) D1",
    r"D1 (?P<way>plus|\+|minus|-) SPAN",
    rf"(?:(?P<weekday>(?:what|which) (?:day of the week|weekday))|(?:what|which)(?: date| day)?|when)? ?(?:(?:{_IS}|will) )?(?:the date )?(?:be )?in SPAN(?: from now| from today| time)?",
    rf"(?:(?:what|which)(?: date| day)?|when)? ?(?:{_IS} )?(?:it )?(?:the date )?(?:be )?SPAN (?P<way>ago|hence|from now|later)",
    r"in SPAN,? what (?:date|day) (?:will it be|is it)",
)
OPENING = re.compile(
    r"(?:what(?:'s| is| was| will be| are)|tell me|find|calculate|compute|work out|give me|do you know|determine) (?!day|date)"
)
CLUE = re.compile(
    r"\b(?:days?|date|weeks?|months?|years?|long|far|weekday|until|till|since|today|tomorrow|when|old|age|time|ago)\b|today's|\d{4}-"
)
FIXED_DAY = re.compile(
    r"(?:(?:the )?(?:current |today'?s )?date(?: (?:is it )?(?P<day>today|tomorrow|yesterday|now))?|(?:what |which )?date (?:is|was|will be) (?:it |the date )?(?P<day2>today|tomorrow|yesterday|now)|(?P<day3>tomorrow|yesterday)'?s date|(?:what |which )date is it|(?P<today>today))"
)
WHEN = re.compile(
    rf"(?:when|what date|on (?:what|which) date) (?:is|will be|does) (?P<day>(?:the )?(?:{_HOLIDAY})(?:{_YEAR}| this year| next year)?)(?: fall(?: on)?)?"
)
DAY_NOW = re.compile(
    r"(?:what|which) (?:day|weekday|day of the week) is (?:it(?: today| now)?|today)|today's (?:day|weekday)|the day today"
)
TIME_NOW = re.compile(
    r"(?:(?:what|the|current|the current) )?time(?: is it)?(?: right)?(?: now)?|(?:what )?(?:the )?(?:current )?time (?:is it )?in utc"
)
PART_NOW = re.compile(r"(?:what|which|the current|current) (?P<part>year|month)(?: is (?:it|this))?(?: now| today)?")
LEAP = re.compile(r"(?:is|was|will) (?P<year>\d{4}) (?:be )?a leap[ -]?year")
DAYS_IN = re.compile(
    rf"(?:how many |number of )?days (?:are |were |is )?(?:there |does )?(?:in )?(?:(?:the month of )?(?P<month>{MONTH})(?: of)?,? )?(?:the year )?(?P<year>\d{{4}})(?: have)?"
)
PART = re.compile(rf"({NUMBER}) (year|month|week|day)")
