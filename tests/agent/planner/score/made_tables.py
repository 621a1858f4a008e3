"""Tables that are made from a seed: the values first, then the text in some country's writing.

The names of columns and the values of texts are words that a question may hold as well.
"""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Literal

from tests.agent.planner.score.locales import GERMAN, LOCALES, Locale

Kind = Literal["key", "text", "number", "percent", "date", "size", "duration", "version", "zip"]

WORDS = [
    *"IT US HR Sales High Low First Last Will May March A I Of In Top Total Count Mean And Or Is Open Paid Average".split(),
    *"On By Latest Next Not None Max Per Order Item Year Day Other".split(),
    *("North East", "Top 10", "New York", "R&D", "A/B", "St. Gallen", "Zürich"),
]
KEYS = (
    "Ann Bob Will May April June March Mark Bill Grant Sue Art Max Rob Chase Hope Joy Grace Faith Drew Pat Frank Sunday "
    "Monday Count Total First Last Top"
).split()
NAMES: dict[str, tuple[str, ...]] = {
    "key": ("name", "customer", "item", "person", "player", "who"),
    "text": ("region", "status", "dept", "team", "category", "first", "type", "in", "level"),
    "number": ("price", "amount", "count", "total", "average", "top", "qty", "score", "net price", "units_sold", "max", "number"),
    "percent": ("rate", "discount", "share"),
    "date": ("date", "due", "day", "Order Date", "when"),
    "size": ("size", "disk"),
    "duration": ("time", "duration"),
    "version": ("version", "release"),
    "zip": ("zip", "code", "sku"),
}  # fmt: skip
HARD_NAMES = frozenset("count total average top max number first in day level type when who time date share".split())
"""Names that are words of questions: such a column is asked for in quotes."""
_MISSING = ("", "", "N/A", "-")
_UNCLEAR = re.compile(r"-?\d{1,3}\.\d{3}|N/A|-")


@dataclass(frozen=True, slots=True)
class Column:
    """A column with its values, None where a cell is missing, and the texts that stand for them."""

    name: str
    kind: Kind
    values: list[Any]
    texts: list[str]

    @property
    def shown(self) -> str:
        """Return the name as a question may use it without more words around."""
        return f'"{self.name}"' if self.name in HARD_NAMES else self.name


@dataclass(frozen=True, slots=True)
class Table:
    columns: tuple[Column, ...]
    locale: Locale
    text: str
    fence: str

    @property
    def size(self) -> int:
        return len(self.columns[0].values)

    def of(self, *kinds: Kind) -> list[Column]:
        return [column for column in self.columns if column.kind in kinds]


def make_table(random: Random) -> Table:
    """Make a table: names first, then one or two texts, numbers, and columns of other kinds."""
    locale, rows = random.choice(LOCALES), random.randint(4, 9)
    kinds: list[Kind] = ["text", "number", *random.sample(_REST, random.randint(1, 3))]
    random.shuffle(kinds)
    names: set[str] = set()
    columns = []
    for kind in ("key", *kinds):
        name = random.choice([name for name in NAMES[kind] if name not in names])
        names.add(name)
        columns.append(_MAKERS[kind](name, rows, locale, random))
    return _written(tuple(columns), locale, random)


_REST: list[Kind] = ["text", "number", "percent", "date", "date", "size", "duration", "version", "zip"]


def _key(name: str, rows: int, locale: Locale, random: Random) -> Column:
    values = random.sample(KEYS, rows)
    return Column(name, "key", list(values), values)


def _text(name: str, rows: int, locale: Locale, random: Random) -> Column:
    some = random.sample(WORDS, random.randint(2, 4))
    return _with_gaps(Column(name, "text", [random.choice(some) for _ in range(rows)], []), str, random)


def _number(name: str, rows: int, locale: Locale, random: Random) -> Column:
    places, most = random.choice((0, 0, 2)), random.choice((10, 100, 9999, 5_000_000))
    values: list[Any] = [Decimal(random.randint(1, most * 10**places)).scaleb(-places) for _ in range(rows)]
    if random.random() < 0.2:
        values[random.randrange(rows)] *= -1
    if random.random() < 0.4:
        values[0] = values[-1]
    form = random.choice(locale.money) if random.random() < 0.25 else "{}"
    grouped = random.random() < 0.6
    return _with_gaps(
        Column(name, "number", values, []), lambda value: form.format(locale.number(value, grouped=grouped)), random
    )


def _percent(name: str, rows: int, locale: Locale, random: Random) -> Column:
    values = [Decimal(random.randint(1, 400)) / 4 for _ in range(rows)]
    return _with_gaps(Column(name, "percent", values, []), lambda value: f"{locale.number(value)}%", random)


def _date(name: str, rows: int, locale: Locale, random: Random) -> Column:
    first, span = date(random.choice((2024, 2025)), random.randint(1, 12), 1), random.choice((40, 200, 900))
    values: list[Any] = [first + timedelta(days=random.randint(0, span)) for _ in range(rows)]
    if random.random() < 0.2:
        values = [day.replace(day=day.day % 12 + 1) for day in values]
    return _with_gaps(Column(name, "date", values, []), random.choice(locale.dates), random)


def _size(name: str, rows: int, locale: Locale, random: Random) -> Column:
    units = {"KB": 10**3, "MB": 10**6, "GB": 10**9}
    pairs = [(random.randint(1, 900), random.choice(list(units))) for _ in range(rows)]
    return Column(name, "size", [n * units[unit] for n, unit in pairs], [f"{n} {unit}" for n, unit in pairs])


def _duration(name: str, rows: int, locale: Locale, random: Random) -> Column:
    values = [random.randint(1, 900) for _ in range(rows)]
    return Column(name, "duration", values, [f"{minutes // 60}:{minutes % 60:02}" for minutes in values])


def _version(name: str, rows: int, locale: Locale, random: Random) -> Column:
    values = [(random.randint(1, 2), random.choice((1, 2, 9, 10, 11))) for _ in range(rows)]
    return Column(name, "version", values, [f"{major}.{minor}" for major, minor in values])


def _zip(name: str, rows: int, locale: Locale, random: Random) -> Column:
    some = ["02134", "2134", "10115", "00501", "8001"]
    values = ["02134", *(random.choice(some) for _ in range(rows - 1))]
    return Column(name, "zip", list(values), values)


_Maker = Callable[[str, int, Locale, Random], Column]
_MAKERS: dict[Kind, _Maker] = {
    "key": _key, "text": _text, "number": _number, "percent": _percent, "date": _date, "size": _size,
    "duration": _duration, "version": _version, "zip": _zip,
}  # fmt: skip


def _with_gaps(column: Column, write: Callable[[Any], str], random: Random) -> Column:
    """Return the column with its texts, and in every fourth with a cell or two that are missing."""
    gaps = set(random.sample(range(1, len(column.values)), random.randint(1, 2))) if random.random() < 0.25 else set()
    missing = random.choice(_MISSING)
    values = [None if n in gaps else value for n, value in enumerate(column.values)]
    return Column(column.name, column.kind, values, [missing if v is None else write(v) for v in values])


def _written(columns: tuple[Column, ...], locale: Locale, random: Random) -> Table:
    header = [column.name for column in columns]
    rows = [list(row) for row in zip(*(column.texts for column in columns), strict=True)]
    if random.random() < 0.15:
        return Table(columns, locale, _as_json(columns, random), "json")
    # Only the semicolon says that 7.542 has thousands.
    unclear = locale is GERMAN and any(all(map(_UNCLEAR.fullmatch, filter(None, c.texts))) for c in columns)
    delimiter = ";" if unclear else random.choice(locale.delimiters)
    if delimiter == "|":
        lines = [header, ["---"] * len(header), *rows]
        return Table(columns, locale, "\n".join(f"| {' | '.join(line)} |" for line in lines), "markdown")
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows([header, *rows])
    return Table(columns, locale, out.getvalue().rstrip("\n"), "tsv" if delimiter == "\t" else "csv")


def _as_json(columns: tuple[Column, ...], random: Random) -> str:
    """Write numbers as JSON has them, gaps as null, and the rest as it stands in CSV."""

    def cell(column: Column, row: int) -> Any:
        value = column.values[row]
        if value is None:
            return None
        plain = isinstance(value, Decimal) and column.kind == "number"
        return (int(value) if value == int(value) else float(value)) if plain else column.texts[row]

    count = len(columns[0].values)
    objects = [{column.name: cell(column, row) for column in columns} for row in range(count)]
    return json.dumps(objects, ensure_ascii=False, indent=random.choice((None, 1)))
