"""The rules for conditions: `salary above 4000`, `not in IT`, `older than 30`, `in February`, `with a price of 5`.

Pure; any thread; imported by the rules for whole questions.
"""

from collections.abc import Iterator
from datetime import date, timedelta

from callboard.agent.planner.table_facts import as_number
from callboard.agent.planner.table_grammar import DET, Ground, Ways
from callboard.agent.planner.table_question import Condition
from callboard.agent.skills._calendar import MONTHS

_IS = "|is|are|was|were|be|being|that is|that are|which is|which are"
COMPARED = {
    ">": "above|over|more than|greater than|higher than|larger than|bigger than|exceeding|exceeds|exceed|exceeded|in excess of|>",
    ">=": "at least|no less than|not less than|greater than or equal to|more than or equal to|> =|>=|=>|≥|a minimum of",
    "<": "below|under|less than|lower than|smaller than|fewer than|<",
    "<=": "at most|no more than|not more than|less than or equal to|up to|<=|=<|≤|a maximum of",
}
_AFTERWARDS = {
    ">=": "or more|or above|or higher|or over|or greater|and above|and more|and up|or older|and over|and older",
    "<=": "or less|or below|or lower|or fewer|or under|and below|or younger|and under|and less",
}
_EQUAL = "=|==|:|is|are|was|were|equals|equal to|is equal to|are equal to|of exactly|is exactly|set to"
_HAVING = frozenset("with have has had having".split())
_SAID = frozenset("= == : is are was were equals to of exactly".split())
_UNEQUAL = (
    "!=|<>|≠|is not|are not|isn 't|aren 't|was not|were not|wasn 't|not|not equal to|is not equal to|does not equal|"
    "other than|is other than|except"
)
_EMPTY = "is empty|is missing|is blank|is null|are empty|are missing|empty|missing"
_FILLED = (
    "is not empty|is not missing|is not blank|is not null|are not empty|not empty|is filled|isn 't empty|isn 't missing"
)
_TEXTS = {
    "contains": "contains|contain|containing|includes|including the text|that contains",
    "starts": "starts with|start with|starting with|begins with|beginning with|begin with",
    "ends": "ends with|end with|ending with|ends in",
}
_COMPARATIVES = (
    (">", "age", "older than"), ("<", "age", "younger than"), (">", "price", "more expensive than"), ("<", "price", "cheaper than|less expensive than"),
    (">", "height", "taller than"), ("<", "height", "shorter than"), (">", "weight", "heavier than"), ("<", "weight", "lighter than"),
)  # fmt: skip
_VERBS = (
    ("salary", "earn|earns|earning|earned|make|makes|making|paid|are paid|is paid"), ("price", "cost|costs|costing"),
    ("score", "score|scores|scored|scoring|got"), ("weight", "weigh|weighs|weighing"),
)  # fmt: skip
_GIVEN = {
    "empty": "without|without a|without an|without any|with no|have no|has no|having no|no|that have no|who have no",
    "filled": "with a|with an|with any|have a|have an|has a|has an|having a|having an|that have a|who have a",
}
_UNITS = {"€": "€|eur|euros|euro", "$": "dollars|usd|dollar|us dollars", "£": "pounds|gbp", "y": "years|years old"}
_DAYS = frozenset({"date", "moment"})


class Conditions(Ground):
    def condition(self, i: int, led: bool = True) -> Ways[tuple[Condition, ...]]:
        """Take one condition that names its column, or whose words imply it; `led`: a word such as `with` leads to it."""
        for column, a in self.named_column(i):
            if self.low[i] in ("my", "our", "their", "its", "this", "that"):
                continue  # my name is Bob: of who asks, not of a row
            yield from self._of_column(column, a)
            for value, b in self.bound(a) if led else ():
                yield from self.numeric(column, "=", value, b)
        for value, a in self.bound(i) if led and self.low[i - 1] in _HAVING else ():  # with 20 points
            for column, b in self.column(a):
                yield from self.numeric(column, "=", value, b)
        for sign, a in self._compared(i):  # more than 3 units
            for value, b in self.bound(a):
                for column, c in self.column(b):
                    yield from self.numeric(column, sign, value, c)
        for sign, kind, words in _COMPARATIVES:
            for a in self.lit(i, words):
                for column in self.implied(kind):
                    for value, b in self.bound(a):
                        yield from self.numeric(column, sign, value, b)
        for operator, words in _GIVEN.items():
            for a in self.lit(i, words):
                for column, b in self.column(a):
                    if self._is_left_empty(column):
                        yield (Condition(column, operator),), b
        for kind, words in _VERBS:
            for a in self.lit(i, words):
                for column in self.implied(kind):
                    for b in self.lit(a, "between"):
                        yield from self._between(column, b)
                    for b in self.lit(a, "exactly|"):
                        for value, c in self.bound(b):
                            yield from self.numeric(column, "=", value, c)
                    for sign, b in self._compared(a):
                        for value, c in self.bound(b):
                            yield from self.numeric(column, sign, value, c)
        for a in self.lit(i, "aged|aged exactly"):
            for column in self.implied("age"):
                for value, b in self.bound(a):
                    yield from self.numeric(column, "=", value, b)

    def _is_left_empty(self, column: str) -> bool:
        """Tell whether what a row does not have is an empty cell there, and nothing else, such as 0 or no."""
        nothing = {"0", "0.0", "no", "false", "0%", "zero", "nil"}
        return self.facts.gaps(column) > 0 and not any(
            str(cell).strip().lower() in nothing for cell in self.facts.cells(column)
        )

    def _of_column(self, column: str, i: int) -> Ways[tuple[Condition, ...]]:
        for a in self.lit(i, _IS + "|of"):
            for sign, b in self._compared(a):
                for value, c in self.bound(b):
                    yield from self.numeric(column, sign, value, c)
            for b in self.lit(a, "between|from|ranging from"):
                yield from self._between(column, b)
            for value, b in self.bound(a):
                for sign, words in _AFTERWARDS.items():
                    for c in self.lit(b, words):
                        yield from self.numeric(column, sign, value, c)
            if column in self.facts.of_kind(*_DAYS):
                yield from self.days(a, (column,))
                yield from self._signed_day(column, a)
        for a in self.lit(i, _EMPTY):
            yield (Condition(column, "empty"),), a
        for a in self.lit(i, _FILLED):
            yield (Condition(column, "filled"),), a
        for operator, words in _TEXTS.items():
            for a in self.lit(i, words):
                for text, b in self.word(a):
                    if self.facts.kind(column) == "text" and '"' not in text:
                        yield (Condition(column, operator, (text,)),), b
        for a in self.lit(i, _EQUAL + "|of|"):
            yield from self._equal(column, a, signed=a > i and self.low[a - 1] in ("=", "=="))
        for a in self.lit(i, _UNEQUAL):
            yield from self._unequal(column, a)

    def _between(self, column: str, i: int) -> Ways[tuple[Condition, ...]]:
        for low, a in self.bound(i):
            for b in self.lit(a, "and|to"):
                for high, c in self.bound(b):
                    if self._ascending(low, high) and self.fits_unit(column, high):
                        for _, d in self.numeric(column, "between", low, c):
                            yield (Condition(column, "between", (_bare(low), _bare(high))),), d

    def _equal(self, column: str, i: int, signed: bool) -> Ways[tuple[Condition, ...]]:
        for values, a in self.values(column, i, "or|, or|,"):
            yield (_among(column, values),), a
        for a in self.lit(i, "in ("):
            for values, b in self.values(column, a, ",|or"):
                for c in self.lit(b, ")"):
                    yield (_among(column, values),), c
        for a in self.lit(i, "in|one of|either|either of"):
            for values, b in self.values(column, a, "or|, or|,|and|, and"):
                yield (_among(column, values),), b
        for value, a in self.bound(i) if self.low[i - 1 : i] and (self.low[i - 1] in _SAID) else ():
            yield from self.numeric(column, "=", value, a)
        if signed or (i < self.end and self.tokens[i].kind == "quoted"):
            for text, a in self.word(i):  # a value that is nowhere: no row has it
                if self.facts.kind(column) == "text" and not self.facts.spellings(column, text) and '"' not in text:
                    yield (Condition(column, "=", (text,)),), a
        for value, a in self.truth(column, i):
            yield (Condition(column, "=", (value,)),), a

    def _unequal(self, column: str, i: int) -> Ways[tuple[Condition, ...]]:
        for values, a in self.values(column, i, "or|, or|nor"):
            yield tuple(Condition(column, "!=", (value,)) for value in values), a
        for value, a in self.bound(i):
            yield from self.numeric(column, "!=", value, a)
        for value, a in self.truth(column, i):
            yield (Condition(column, "!=", (value,)),), a

    def values(self, column: str, i: int, joints: str) -> Ways[tuple[str, ...]]:
        """Take one cell of the column or more, as in `North, South or East`."""
        for cell, a in self.cell(i):
            if cell.column == column:
                yield (cell.value,), a
                for b in self.lit(a, joints):
                    for rest, c in self.values(column, b, joints):
                        if cell.value not in rest:
                            yield (cell.value, *rest), c

    def truth(self, column: str, i: int) -> Ways[str]:
        if self.facts.kind(column) == "boolean":
            for value in ("true", "false"):
                for a in self.lit(i, value):
                    yield value, a

    def _compared(self, i: int) -> Ways[str]:
        for sign, words in COMPARED.items():
            for a in self.lit(i, words):
                yield sign, a

    def bound(self, i: int) -> Ways[str]:
        for value, a in self.number(i):
            yield value, a
            if not value.endswith("%"):
                for b in self.lit(a, "%|percent"):
                    yield f"{value}%", b
                for unit, words in _UNITS.items():
                    for b in self.lit(a, words):
                        yield value + unit, b

    def numeric(self, column: str, sign: str, value: str, i: int) -> Ways[tuple[Condition, ...]]:
        if (
            self.facts.kind(column) == "number"
            and as_number(_bare(value)) is not None
            and self.fits_unit(column, value)
        ):
            yield (Condition(column, sign, (_bare(value),)),), i

    def fits_unit(self, column: str, value: str) -> bool:
        """Tell whether a number with a unit can be held against a column: not 10% against 0.1, nor $5 against €5."""
        unit = value.strip("-0123456789.")
        units = self.facts.unit(column)
        if unit == "y":
            return column in self.implied("age")
        if not unit:
            found = as_number(value)
            return units != {"%"} or found is None or not 0 < abs(found) < 1  # 0.9 may be meant as 90%
        return unit in units or (unit != "%" and not units - {""})

    def _ascending(self, low: str, high: str) -> bool:
        first, second = as_number(_bare(low)), as_number(_bare(high))
        return first is not None and second is not None and first <= second

    # --- days ---

    def day(self, i: int) -> Ways[tuple[date, date]]:
        """Take a day, a month with its year or a year; yield its first day and the day behind its last."""
        if i < self.end and self.tokens[i].kind == "date":
            try:
                found = date.fromisoformat(self.low[i])
                yield (found, found + timedelta(days=1)), self.reached(i + 1)
            except ValueError:
                return
        for year, a in self.year(i):
            yield (date(year, 1, 1), date(year + 1, 1, 1)), a
        for month, a in self.month(i):
            for b in self.lit(a, "|,|of"):
                for year, c in self.year(b):
                    yield _month(year, month), c
            yield from self._in_month(month, a, "|,")
        if i < self.end and self.low[i].rstrip("stndrh").isdigit() and self.tokens[i].kind in ("number", "ordinal"):
            for a in self.lit(i + 1, "|of"):
                for month, b in self.month(a):
                    for c in self.lit(b, "|,"):
                        for year, d in self.year(c):
                            yield from _single(year, month, self.low[i], d)

    def _in_month(self, month: int, i: int, joints: str) -> Ways[tuple[date, date]]:
        if i < self.end and self.tokens[i].kind in ("number", "ordinal"):
            for a in self.lit(i + 1, joints):
                for year, b in self.year(a):
                    yield from _single(year, month, self.low[i], b)

    def month(self, i: int) -> Ways[int]:
        for number, name in enumerate(MONTHS):
            if name and i < self.end and self.low[i] in (name, name[:3], "sept" if number == 9 else name):
                yield number, self.reached(i + 1)

    def days(self, i: int, columns: tuple[str, ...]) -> Ways[tuple[Condition, ...]]:
        """Take `in February`, `before 2026-03-01`, `between … and …`, of each of the columns of dates."""
        for column in columns:
            for a in self.lit(i, "in|during|for|from|of|in the month of|in the year|on|in year"):
                for (first, last), b in self.day(a):
                    yield _span(column, first, last), b
                for month, b in self.month(a):
                    yield from self._only_year(column, month, b)
            for words, at, sign in (("before|prior to|earlier than", 0, "<"), ("after|later than", 1, ">="), ("since|from|on or after|starting from", 0, ">="), ("on or before", 1, "<")):  # fmt: skip
                for a in self.lit(i, words):
                    if words.startswith("since") and self.low[i] == "from" and not self._onward(a):
                        continue
                    for bounds, b in self._day_or_month(column, a):
                        for c in self.lit(b, "onwards|on") if self.low[i] == "from" else (b,):
                            yield (Condition(column, sign, (bounds[at].isoformat(),)),), c
            for words, joint in (("between", "and"), ("from", "to|until|through")):
                for a in self.lit(i, words):
                    for (first, one), b in self._day_or_month(column, a):
                        for c in self.lit(b, joint):
                            for (two, last), d in self._day_or_month(column, c):
                                if first <= two and "until" not in self.low[b:c] and one <= last:
                                    yield _span(column, first, last), d

    def _signed_day(self, column: str, i: int) -> Ways[tuple[Condition, ...]]:
        for words, at, sign in (
            (">|later than", 1, ">="),
            (">=|=>|≥|> =", 0, ">="),
            ("<", 0, "<"),
            ("<=|=<|≤", 1, "<"),
        ):
            for a in self.lit(i, words):
                for bounds, b in self.day(a):
                    yield (Condition(column, sign, (bounds[at].isoformat(),)),), b
        for a in self.lit(i, "=|==|"):
            for (first, last), b in self.day(a):
                yield _span(column, first, last), b

    def _onward(self, i: int) -> bool:
        return any(word in ("onwards", "on") for word in self.low[i : i + 4])

    def _day_or_month(self, column: str, i: int) -> Ways[tuple[date, date]]:
        yield from self.day(i)
        years = self.facts.years(column)
        for month, a in self.month(i):
            if len(years) == 1:
                yield _month(years[0], month), a

    def _only_year(self, column: str, month: int, i: int) -> Ways[tuple[Condition, ...]]:
        """Take a month without its year, which there must be one of; `ask` refuses others by the sign ?."""
        years = self.facts.years(column)
        if len(years) == 1:
            yield _span(column, *_month(years[0], month)), i
        else:
            asked = f"{MONTHS[month].title()} of which year"
            known = f": {column} has {' and '.join(map(str, years))}"
            doubt = f", and the dates of {column} can be read in more than one way; write them as 2026-12-25"
            yield (Condition(column, "?", (asked + (known if years else doubt),)),), i


def _bare(value: str) -> str:
    return value.strip("$€£¥%y") if value[:1] != "-" else "-" + value[1:].strip("$€£¥%y")


def _among(column: str, values: tuple[str, ...]) -> Condition:
    return Condition(column, "=", values) if len(values) == 1 else Condition(column, "in", tuple(sorted(values)))


def _month(year: int, month: int) -> tuple[date, date]:
    return date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)


def _single(year: int, month: int, day: str, end: int) -> Iterator[tuple[tuple[date, date], int]]:
    try:
        found = date(year, month, int(day.rstrip("stndrh")))
    except ValueError:
        return
    yield (found, found + timedelta(days=1)), end


def _span(column: str, first: date, behind: date) -> tuple[Condition, ...]:
    return Condition(column, ">=", (first.isoformat(),)), Condition(column, "<", (behind.isoformat(),))


__all__ = ["DET", "Conditions"]
