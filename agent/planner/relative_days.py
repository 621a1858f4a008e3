"""Weekdays said by their week: `next Friday`, `this Friday`, `Friday of next week`.

People mean two things by `next Friday` while this week's Friday is still to come: that one, or the one after. The rule
here: `next` and `last` are answered where the nearest such day and that of the next or last week (begun on a Sunday or
on a Monday) are the same day, and are refused, naming the days, where they are not. `this` is the day of the week from
Monday to Sunday, if it has not passed; `coming` is the first after today. Pure functions; any thread; imported by the
recognisers of dates.
"""

import re
from datetime import date, timedelta

from callboard.agent.planner.base import no_fit
from callboard.agent.skills._calendar import WEEKDAY, WEEKDAYS

RELATIVE = rf"(?:(?:next|this coming|the coming|coming|this|last) {WEEKDAY}|{WEEKDAY} (?:of )?(?:next|this|last) week)"
_RELATIVE = re.compile(
    rf"(?P<which>next|this coming|the coming|coming|this|last) (?P<a>{WEEKDAY})|(?P<b>{WEEKDAY}) (?:of )?(?P<week>next|this|last) week"
)
_WEEKS = {"next": 1, "this": 0, "last": -1}


def weekday_number(name: str) -> int:
    """Return 0 for Monday to 6 for Sunday."""
    return next(n for n, weekday in enumerate(WEEKDAYS) if weekday.startswith(name[:3]))


def relative_day(text: str, today: date) -> date | None:
    """Return the day that a text in lower case names by its week; None if it names none; raise `TaskError` if it names two."""
    found = _RELATIVE.fullmatch(text)
    if not found:
        return None
    wanted = weekday_number(found["a"] or found["b"])
    which, in_week = found["which"] or found["week"], bool(found["week"])
    after = today + timedelta(days=(wanted - today.weekday() - 1) % 7 + 1)
    before = today - timedelta(days=(today.weekday() - wanted - 1) % 7 + 1)
    if "coming" in which:
        return after
    week = 7 * _WEEKS[which]
    monday = today - timedelta(days=today.weekday())
    sunday = today - timedelta(days=(today.weekday() + 1) % 7)
    days = {monday + timedelta(days=wanted + week)}
    if in_week or week:
        days.add(sunday + timedelta(days=(wanted + 1) % 7 + week))
    if not in_week and week:
        days.add(after if week > 0 else before)
    if not in_week and not week and min(days) < today:
        days.add(after)
    if len(days) > 1:
        named = " or ".join(day.isoformat() for day in sorted(days))
        raise no_fit(
            f"{text!r} may be {named}; write the date, or 'coming {WEEKDAYS[wanted].title()}' for {after.isoformat()}."
        )
    return days.pop()
