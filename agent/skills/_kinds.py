"""Telling what a column holds: the kinds are tried in turn, and the one that all cells fit is the column's.

Any thread; imported by `_tables`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from callboard.agent.cancel import let_go
from callboard.agent.skills import _codes
from callboard.agent.skills._cell_units import SIZES, known_unit, scaled, sure_figure
from callboard.agent.skills._columns import ADDED, MISSING, Column, Kind, Misfit, Value, exact, is_number
from callboard.agent.skills._figures import Figure, Notation, figure, is_money, settle
from callboard.agent.skills._moments import Moment, Written, day_first, moments, written
from callboard.agent.skills._quantities import Clock, Span, clock, span

_LEADING = re.compile(r"[0-9]{1,18}")
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}
_Read = Mapping[str, Value | Misfit]


def typed(
    name: str,
    plain_name: str,
    cells: Sequence[Any],
    lines: Sequence[int],
    separator: str,
    hint: Callable[[], Notation | None],
) -> Column:
    """Return a column with its kind; `hint` is asked for the notation of the table's other numbers where that decides."""
    return _Typing(name, plain_name, cells, lines, separator, hint).column()


class _Typing:
    """One column while its kind is looked for: the kinds are tried in turn, and one that all cells fit is it."""

    def __init__(
        self,
        name: str,
        plain_name: str,
        cells: Sequence[Any],
        lines: Sequence[int],
        separator: str,
        hint: Callable[[], Notation | None],
    ) -> None:
        self.name, self.plain_name, self.cells, self.lines = name, plain_name, cells, lines
        self.separator, self.hint = separator, hint
        # PERF: each different text is read once, however often it is there
        texts = dict.fromkeys(cell.strip() for cell in dict.fromkeys(c for c in cells if isinstance(c, str)))
        self.texts = [text for text in texts if text.lower() not in MISSING]
        if self.texts and all(len(text) in (2, 3) and text.isalpha() and text.isupper() for text in self.texts):
            self.texts += [text for text in texts if text == "NA"]  # Namibia among the countries
        self.others = {type(cell) for cell in cells if not isinstance(cell, str) and cell is not None}
        self.numbers = bool(self.others & {int, float, Decimal})

    def column(self) -> Column:
        if not self.texts and not self.others:
            return self.made("empty", {})
        if self.others <= {bool} and all(text.lower() in _TRUTH for text in self.texts):
            return self.made("boolean", {text: Value(_TRUTH[text.lower()]) for text in self.texts})
        if not self.texts and self.others in ({list}, {dict}):
            kind: Kind = "list" if self.others == {list} else "object"
            return self.made(kind, {}, unordered=f"it holds {kind}s")
        if self.others <= {int, float, Decimal}:
            found = (None if self.numbers else self.of_texts()) or self.of_figures()
            if found:
                return found
        return self.mixed()

    def made(self, kind: Kind, read: _Read, **more: Any) -> Column:
        values: list[Value | Misfit | None] = []
        for cell in self.cells:
            if isinstance(cell, str):
                values.append(read.get(cell.strip()))
            elif cell is None:
                values.append(None)
            else:
                values.append(self.other(cell, kind, more.get("expected", "number")))
        return Column(self.name, kind, self.cells, values, self.lines, **more)

    def other(self, cell: Any, kind: Kind, expected: str) -> Value | Misfit:
        if isinstance(cell, bool):
            return (
                Value(cell)
                if kind == "boolean"
                else Misfit(f"is not a {expected}")
                if kind == "mixed"
                else _text(str(cell))
            )
        if is_number(cell) and (kind in ADDED or (kind == "mixed" and expected == "number")):
            return Value(exact(cell))
        return Misfit(f"is not a {expected}") if kind in (*ADDED, "mixed") else _text(str(cell))

    # --- the kinds that only texts have ---

    def of_texts(self) -> Column | None:
        texts, name = self.texts, self.plain_name
        if not _codes.is_version_name(name) and (read := _all(written, texts)) is not None:
            return self.of_dates(read)
        if (orders := _codes.addresses(texts) or _codes.versions(texts, name)) is not None:
            return self.made("code", {text: Value(order) for text, order in orders.items()})
        if _codes.is_code(texts, name):
            uneven = "" if len(set(map(len, texts))) == 1 else "it holds codes of different lengths"
            return self.made("code", {text: _text(text) for text in texts}, unordered=uneven)
        if (clocks := _all(clock, texts)) is not None:
            return self.of_clocks(clocks)
        spans = _all(span, texts)
        if spans is not None and any(one.units != ("m",) for one in spans.values()):
            return self.of_spans(spans)
        return None

    def of_dates(self, found: Mapping[str, Written], kind: Kind = "date", rest: _Read | None = None) -> Column:
        read: dict[str, Value | Misfit] = dict(rest or {})
        days = {}
        for text, moment in moments(found).items():
            if isinstance(moment, Moment):
                read[text] = Value((moment.at, moment.nanos))
                days[text] = moment.day
            else:
                read[text] = Misfit(moment)
        return self.made(kind, read, expected="date", days=days, first_is_day=day_first(found.values()))

    def of_clocks(
        self, found: Mapping[str, Clock | str], kind: Kind | None = None, rest: _Read | None = None
    ) -> Column:
        read: dict[str, Value | Misfit] = dict(rest or {})
        clocks = {text: one for text, one in found.items() if isinstance(one, Clock)}
        parts = {one.parts for one in clocks.values() if not one.half}
        for text, one in found.items():
            if isinstance(one, str):
                read[text] = Misfit(one)
            elif len(parts) > 1 and one.parts == 2 and not one.half:
                read[text] = Misfit("can be hours and minutes or minutes and seconds; write it with three parts")
            else:
                read[text] = Value(one.seconds)
        long = any(one.hours > 23 or one.seconds < 0 for one in clocks.values())
        return self.made(kind or ("duration" if long else "time"), read, expected="time", forms=clocks)

    def of_spans(self, found: Mapping[str, Span], kind: Kind = "duration", rest: _Read | None = None) -> Column:
        read: dict[str, Value | Misfit] = dict(rest or {})
        for text, one in found.items():
            read[text] = Value(one.amount, "months" if one.months else "time")
        return self.made(kind, read, expected="duration", forms=found)

    # --- numbers, with units or without ---

    def of_figures(self) -> Column | None:
        figures = _all(figure, self.texts)
        if figures is None:
            return None
        units = {one.unit for one in figures.values()} | ({""} if self.numbers else set())
        if any(one.unit and not one.apart and not known_unit(one.unit) for one in figures.values()):
            return None
        strange = {unit for unit in units if unit and not known_unit(unit)}
        if strange and "" in units and not all(one.apart for one in figures.values() if one.unit):
            return None
        return self.counted(figures, units)

    def counted(
        self, figures: Mapping[str, Figure], units: set[str], kind: Kind | None = None, rest: _Read | None = None
    ) -> Column:
        settled = settle(figures, self.separator)
        conflict = settled.notation is None and _conflict(figures)
        if settled.notation != "comma" and not settled.firm and any(one.doubtful for one in figures.values()):
            settled = settle(figures, self.separator, self.hint())
        doubtful = settled.notation is None
        read: dict[str, Value | Misfit] = dict(rest or {})
        for text, one in figures.items():
            if doubtful and one.doubtful:
                read[text] = Misfit(
                    f"can be read as {one.point} or as {one.comma}, and nothing in the column tells which"
                )
            else:
                number = one.read(settled.notation or ("point" if one.point is not None else "comma"))
                read[text] = Value(*scaled(number or Decimal(0), one.unit))
        return self.made(
            kind or _kind_of(units, read),
            read,
            notation=settled.notation if settled.firm or settled.notation == "comma" else None,
            problem=settled.why if conflict else "",
            twofold=units == {""} and not self.numbers and _codes.twofold(self.texts),
        )

    # --- columns whose cells are of several kinds ---

    def mixed(self) -> Column:
        """Return a column of which most cells that are no plain text are of one kind, or a text column if there are none."""
        fits: list[tuple[int, str, dict[str, Any]]] = []
        for name, reader in (("number", sure_figure), ("date", written), ("time", clock), ("duration", span)):
            read = {text: one for text in self.texts if (one := reader(text)) is not None}
            fits.append((len(read) + (self.numbers and name == "number"), name, read))
        count, expected, found = max(fits, key=lambda fit: fit[0])
        if not count:
            unordered = "it holds cells of several kinds" if self.others else _numbered(self.texts)
            return self.made("text", {text: _text(text) for text in self.texts}, unordered=unordered)
        rest = {text: Misfit(f"is not a {expected}") for text in self.texts if text not in found}
        if expected == "date":
            return self.of_dates(found, "mixed", rest)
        if expected == "time":
            return self.of_clocks(found, "mixed", rest)
        if expected == "duration":
            return self.of_spans(found, "mixed", rest)
        return self.counted(found, {one.unit for one in found.values()}, "mixed", rest)


def _all(reader: Callable[[str], Any], texts: Iterable[str]) -> dict[str, Any] | None:
    """Return what a reader makes of each text; None where one is nothing to it."""
    found = {}
    for text in texts:
        let_go()
        read = reader(text)
        if read is None:
            return None
        found[text] = read
    return found


def _text(text: str) -> Value:
    return Value((text.casefold(), text))


def _numbered(texts: Sequence[str]) -> str:
    """Return why texts that all begin with numbers have no order: `10 green apples` stands before `9 apples` by its letters."""
    found = [_LEADING.match(text) for text in texts]
    if not all(found):
        return ""
    numbers = [int(one[0]) for one in found if one]
    by_letters = sorted(range(len(texts)), key=lambda place: texts[place].casefold())
    if all(numbers[one] <= numbers[other] for one, other in pairwise(by_letters)):
        return ""
    return f"its texts begin with numbers, such as {texts[by_letters[0]][:60]!r}, and stand in another order by them"


def _conflict(figures: Mapping[str, Figure]) -> bool:
    return any(one.point is None for one in figures.values()) and any(one.comma is None for one in figures.values())


def _kind_of(units: set[str], read: _Read) -> Kind:
    bare = any(isinstance(value, Value) and not value.unit and value.order for value in read.values())
    marked = units - {""}
    if not marked or (bare and "" in units):
        return "number"
    if marked <= {"%", "‰"}:
        return "percentage"
    if is_money(marked):
        return "money"
    return "size" if marked <= SIZES.keys() else "quantity"
