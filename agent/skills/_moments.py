"""Dates as tables have them, with and without a time, read by the evidence of their whole column.

`13/01/2026` anywhere says that days come first, `01/13/2026` that months do; without either, a cell such as
`05/02/2026` is refused. Names of months in English, German and French. Pure functions; any thread; imported by the
modules of tables.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from typing import NamedTuple

_NAMES = (
    "jan january januar janner jaenner janvier janv",
    "feb february februar feber fevrier fevr fev",
    "mar march marz maerz mrz mars",
    "apr april avril avr",
    "may mai",
    "jun june juni juin",
    "jul july juli juillet juil",
    "aug august aout",
    "sep sept september septembre",
    "oct october okt oktober octobre",
    "nov november novembre",
    "dec december dez dezember decembre",
)
_MONTHS = {name: number for number, names in enumerate(_NAMES, 1) for name in names.split()}
_DAYS = "|".join(
    (
        r"(?P<iso>\d{4})(?P<mark>[-/.])(?P<iso2>\d{1,2})(?P=mark)(?P<iso3>\d{1,2})",
        r"(?P<d>\d{1,2})\.[ ]?(?P<m>\d{1,2})\.[ ]?(?P<dy>\d{4}|\d{2})",
        r"(?P<a>\d{1,2})(?P<slash>[/-])(?P<b>\d{1,2})(?P=slash)(?P<ay>\d{4}|\d{2})",
        r"(?:[^\W\d_]{2,10}\.?,? )?(?P<nd>\d{1,2})(?:\.|st|nd|rd|th|er)?(?: of| de)?[ -]?(?P<nm>[^\W\d_]{3,10})\.?,?[ -]?(?P<ny>\d{4}|\d{2})",
        r"(?:[^\W\d_]{2,10}\.?,? )?(?P<mm>[^\W\d_]{3,10})\.? (?P<md>\d{1,2})(?:st|nd|rd|th)?,? (?P<my>\d{4})",
        r"(?P<py>(?:19|20)\d\d)-(?P<pm>\d{2})",
        r"(?P<qm>\d{1,2})[/-](?P<qy>(?:19|20)\d\d)",
        r"(?P<rm>[^\W\d_]{3,10})\.? (?P<ry>\d{4})",
        r"Q(?P<q>[1-4])[ /-]?(?P<qq>\d{4})",
        r"(?P<q2y>\d{4})[ /-]?Q(?P<q2>[1-4])",
    )
)
_TIME = (
    r"(?:T|,? (?:um |at |à )?)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r"[ ]?(?P<half>[AaPp]\.?[Mm]\.?)?(?: Uhr)?[ ]?(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
)
_MOMENT = re.compile(rf"(?:{_DAYS})(?:{_TIME})?")
_CLUE = re.compile(r"\d.*\d")


class Written(NamedTuple):
    """A date as it stands: year, and day and month or two numbers of which neither is known to be the day yet."""

    form: str
    year: str
    first: int
    second: int
    time: tuple[int, int, int, int] | None = None
    zone: str | None = None


class Moment(NamedTuple):
    """A point in time to compare by (in UTC where the cell has a zone), and the day that stands there."""

    at: datetime
    nanos: int
    day: date


def written(text: str) -> Written | None:
    """Return a text's date as it stands; None if it has no form of a date."""
    if len(text) > 60 or not _CLUE.search(text):
        return None
    found = _MOMENT.fullmatch(" ".join(text.split()))
    if not found:
        return None
    form = _form(found)
    if form is None or found["hour"] is None:
        return form
    if form.form in ("month", "quarter"):
        return None
    return form._replace(time=_time(found), zone=found["zone"])


def _form(found: re.Match[str]) -> Written | None:
    if found["iso"]:
        return Written("day", found["iso"], int(found["iso3"]), int(found["iso2"]))
    if found["d"]:
        return Written("day", found["dy"], int(found["d"]), int(found["m"]))
    if found["a"]:
        return Written("either", found["ay"], int(found["a"]), int(found["b"]))
    if found["py"] or found["qm"]:
        return Written("month", found["py"] or found["qy"], 1, int(found["pm"] or found["qm"]))
    if found["q"] or found["q2"]:
        return Written("quarter", found["qq"] or found["q2y"], 1, 3 * int(found["q"] or found["q2"]) - 2)
    month = month_of(found["nm"] or found["mm"] or found["rm"])
    if month is None:
        return None
    if found["rm"]:
        return Written("month", found["ry"], 1, month)
    return Written("day", found["ny"] or found["my"], int(found["nd"] or found["md"]), month)


def month_of(name: str) -> int | None:
    """Return 1 to 12 for a month's name or abbreviation in English, German or French."""
    bare = unicodedata.normalize("NFD", name.lower().rstrip("."))
    return _MONTHS.get("".join(letter for letter in bare if not unicodedata.combining(letter)))


def _time(found: re.Match[str]) -> tuple[int, int, int, int]:
    hour = clock_hour(int(found["hour"]), found["half"])
    return hour, int(found["minute"]), int(found["second"] or 0), int((found["part"] or "0").ljust(9, "0"))


def clock_hour(hour: int, half: str | None) -> int:
    """Return the hour of 24; 99 for one that no clock with am and pm has."""
    if half is None:
        return hour
    if not 1 <= hour <= 12:
        return 99
    return hour % 12 + (12 if half[0] in "Pp" else 0)


def day_first(found: Iterable[Written]) -> bool | None:
    """Tell which number of `05/02/2026` is the day, by the cells where only one can be; None where nothing tells, or both."""
    cells = [one for one in found if one.form == "either"]
    day = any(one.first > 12 >= one.second for one in cells)
    month = any(one.second > 12 >= one.first for one in cells)
    return None if day == month else day


def moments(found: Mapping[str, Written]) -> dict[str, Moment | str]:
    """Return what each text of a column means; a sentence's end saying why for those that cannot be read."""
    first = day_first(found.values())
    forms = {one.form if one.form in ("month", "quarter") else "day" for one in found.values()}
    zoned = any(one.zone for one in found.values())
    read: dict[str, Moment | str] = {}
    for text, one in found.items():
        if len(forms) > 1 and one.form in ("month", "quarter"):
            read[text] = f"is a {one.form} without a day, unlike other cells"
        elif zoned and not one.zone:
            read[text] = "has no time zone, unlike other cells"
        else:
            read[text] = moment(one, first)
    return read


def moment(one: Written, first_is_day: bool | None) -> Moment | str:
    """Return the moment; or a sentence's end saying why there is none."""
    if len(one.year) != 4:
        return "has a year of two digits; write four"
    day, month = one.first, one.second
    if one.form == "either":
        if first_is_day is None and day != month and day <= 12 and month <= 12:
            readings = f"{one.year}-{month:02}-{day:02} or {one.year}-{day:02}-{month:02}"
            return f"can be read as {readings}, and the other cells do not tell which; write dates as 2026-12-25"
        if month > 12 or (first_is_day is False and day <= 12):
            day, month = month, day
    hour, minute, second, nanos = one.time or (0, 0, 0, 0)
    try:
        at = datetime(int(one.year), month, day, hour, minute, second)  # noqa: DTZ001  # a zone is added if there is one
        written_day = at.date()
        if one.zone:
            at = at.replace(tzinfo=_zone(one.zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return "is no day of the calendar" if one.time is None else "is no day and time of the calendar"
    return Moment(at, nanos, written_day)


def _zone(text: str) -> timezone:
    if text in ("Z", "UTC", "GMT"):
        return UTC
    away = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-away if text[0] == "-" else away)
