"""How numbers and dates are written in some countries: from a value to a text, never back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

MONTHS = "January February March April May June July August September October November December".split()


@dataclass(frozen=True, slots=True, kw_only=True)
class Locale:
    """A way of writing; `delimiters` are those of the CSV that people there make, | is Markdown."""

    name: str
    decimal: str
    thousands: str
    dates: tuple[Callable[[date], str], ...]
    money: tuple[str, ...]
    delimiters: str

    def number(self, value: Decimal | int, *, grouped: bool = True) -> str:
        """Write a number with all of its decimals."""
        whole, _, rest = f"{value:,f}".partition(".")
        whole = whole.replace(",", self.thousands if grouped else "")
        return f"{whole}{self.decimal}{rest}" if rest else whole


def _iso(day: date) -> str:
    return day.isoformat()


def _dotted(day: date) -> str:
    return f"{day:%d.%m.%Y}"


def _day_first(day: date) -> str:
    return f"{day:%d/%m/%Y}"


def _month_first(day: date) -> str:
    return f"{day:%m/%d/%Y}"


def in_words(day: date) -> str:
    return f"{MONTHS[day.month - 1]} {day.day}, {day.year}"


def short(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1][:3]} {day.year}"


GERMAN = Locale(
    name="German", decimal=",", thousands=".", dates=(_dotted, _iso), money=("{} €", "{} EUR"), delimiters=";;\t|"
)
FRENCH = Locale(
    name="French", decimal=",", thousands="\u202f", dates=(_day_first, _iso), money=("{} €",), delimiters=";;\t|"
)
SPACED = Locale(
    name="French, spaces", decimal=",", thousands=" ", dates=(_day_first, short), money=("{} €",), delimiters=";;\t|"
)
SWISS = Locale(
    name="Swiss", decimal=".", thousands="'", dates=(_dotted, _iso), money=("CHF {}", "{} CHF"), delimiters=";,\t|"
)
US = Locale(
    name="US",
    decimal=".",
    thousands=",",
    dates=(_month_first, _iso, in_words),
    money=("${}", "$ {}"),
    delimiters=",,\t|",
)
UK = Locale(name="UK", decimal=".", thousands=",", dates=(_day_first, _iso, short), money=("£{}",), delimiters=",,\t|")
LOCALES = (GERMAN, FRENCH, SPACED, SWISS, US, UK)
