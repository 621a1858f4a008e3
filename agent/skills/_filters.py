"""The little language of `query_table`'s `where`: `status = paid and price > 10`.

Conditions are joined by `and` and `or` (and binds tighter). Comparisons may be signs or words, since people write
both. Pure functions; any thread.
"""

import re
from collections.abc import Iterator

from callboard.agent.skills._comparisons import condition
from callboard.agent.skills._equality import Condition
from callboard.agent.skills._given import Given
from callboard.agent.skills._tables import Table, plain

MAX_CHARS = 2000
MAX_CONDITIONS = 10

_OPERATORS = (
    (">=", r">=|=>|≥|(?:is |are |was )?(?:at least|no less than|not less than|greater than or equal to|more than or equal to)"),
    ("<=", r"<=|=<|≤|(?:is |are |was )?(?:at most|no more than|not more than|less than or equal to|up to)"),
    ("not in", r"(?:is |are |was |were )?not (?:one of|in)|(?:isn't|aren't) (?:one of|in)"),
    ("!=", r"!=|<>|≠|is not equal to|does not equal|do not equal|isn't(?! empty| missing| null| blank)|aren't|(?:is|are|was|were) not(?! empty| missing| null| blank)|not equal to"),
    ("empty", r"(?:is |are )?(?:empty|missing|null|blank)"),
    ("filled", r"(?:is not|isn't|are not) (?:empty|missing|null|blank)"),
    ("in", r"(?:is |are )?(?:one of|in)"),
    ("between", r"(?:is |are )?between"),
    (">", r">|(?:is |are |was )?(?:greater than|more than|above|over|bigger than|higher than|larger than|older than|after|exceeds|exceeding)"),
    ("<", r"<|(?:is |are |was )?(?:less than|fewer than|below|under|smaller than|lower than|younger than|before)"),
    ("not contains", r"(?:does not|doesn't|do not|don't) (?:contain|include)|not (?:contains|containing)"),
    ("contains", r"contains|contain|containing|includes"),
    ("starts", r"starts with|begins with|start with"),
    ("ends", r"ends with|end with"),
    ("=", r"==?|equals|(?:is|are|was|were) equal to|equal to|is|are|was|were|:"),
)  # fmt: skip
_OPERATOR = re.compile(
    "|".join(rf"(?P<o{n}>(?:{pattern})(?:(?<!\w)|(?!\w)))" for n, (_, pattern) in enumerate(_OPERATORS)), re.IGNORECASE
)
_QUOTED = re.compile(r"\s*(?:\"([^\"]*)\"|'([^']*)'|“([^”]*)”|`([^`]*)`)")
_IN_QUOTES = re.compile(r"(?<!\w)(?:\"[^\"]*\"|'[^']*'|“[^”]*”|`[^`]*`)(?!\w)")
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_OR = re.compile(r"\s*,?\s+(?:or|and)\s+", re.IGNORECASE)
_SIGN = re.compile(r"[=<>]")
_ENDS = " .,;?!\n\t"


def column_pattern(table: Table) -> str:
    """Return a pattern for any column's name, however its words are joined, the longest first."""
    names = sorted(
        {name for name in map(plain, (*table.columns, *table.nested)) if 0 < len(name) <= 100}, key=len, reverse=True
    )
    return "|".join(r"[\s_\-]*".join(map(re.escape, name.split())) for name in names)


def parse_where(where: str, table: Table) -> Condition:
    """Return a test for rows; raise `ValueError` naming what cannot be read, and the columns."""
    if len(where) > MAX_CHARS:
        raise ValueError(f"The filter has {len(where)} characters and the limit is {MAX_CHARS}.")
    return _Parser(where, table).parse()


class _Parser:
    def __init__(self, where: str, table: Table) -> None:
        names = column_pattern(table)
        self.text, self.table, self.position = where, table, 0
        # what is in quotes holds no "and", no comma and no column's name
        self.masked = _IN_QUOTES.sub(lambda found: found[0][0] + "\x00" * (len(found[0]) - 2) + found[0][-1], where)
        self.name = re.compile(rf"\s*[\"'`“]?({names})(?![^\W_])[\"'`”]?\s*", re.IGNORECASE)
        self.joint = re.compile(
            rf"[\s,]+(and|or)\s+(?:the |whose |where )*(?=[\"'`“]?(?:{names})(?![^\W_]))", re.IGNORECASE
        )

    def parse(self) -> Condition:
        groups: list[list[Condition]] = [[]]
        while True:
            groups[-1].append(self.condition())
            found = self.joint_at(self.position, whole=True)
            if not found:
                break
            if sum(map(len, groups)) == MAX_CONDITIONS:
                raise ValueError(f"The filter has more than its limit of {MAX_CONDITIONS} conditions; use fewer.")
            self.position = found.end()
            if found[1].lower() == "or":
                groups.append([])
        rest = self.text[self.position :].strip(_ENDS)
        if rest:
            raise self.unclear(rest)
        return lambda index: any(all(condition(index) for condition in group) for group in groups)

    def joint_at(self, start: int, *, whole: bool = False) -> re.Match[str] | None:
        """Return the `and` or `or` before the next condition, outside of quotes."""
        for found in [self.joint.match(self.text, start)] if whole else self.joint.finditer(self.text, start):
            if found and "\x00" not in self.masked[found.start() : found.end()]:
                return found
        return None

    def unclear(self, what: str) -> ValueError:
        known = ", ".join(self.table.columns)[:500]
        return ValueError(
            f"The filter cannot be read at {what[:60]!r}; write it like: status = 'paid' and price > 10. "
            f"The columns are {known}."
        )

    def condition(self) -> Condition:
        found = self.name.match(self.text, self.position)
        if not found:
            raise self.unclear(self.text[self.position :].strip() or self.text)
        column = self.table.column(found[1])
        sign = _OPERATOR.match(self.text, found.end())
        if not sign or not sign.lastgroup:
            raise self.unclear(self.text[found.end() :].strip() or self.text)
        operator = _OPERATORS[int(sign.lastgroup[1:])][0]
        self.position = sign.end()
        typed = self.table.typed(column)
        if operator in ("empty", "filled"):
            return lambda index: typed.missing(index) == (operator == "empty")
        return condition(typed, operator, self.values(operator, column))

    def values(self, operator: str, column: str) -> list[Given]:
        if operator in ("in", "not in"):
            values = list(self.listed(column))
        elif operator == "between":
            start, end = self.run()
            parts = [*_AND.finditer(self.masked, start, end)]
            if len(parts) != 1:
                raise self.unclear(self.text)
            values = [self.given(start, parts[0].start()), self.given(parts[0].end(), end)]
        elif quoted := _QUOTED.match(self.text, self.position):
            self.position = quoted.end()
            return [Given(next(group for group in quoted.groups() if group is not None), quoted=True)]
        else:
            values = [self.given(*self.run())]
        if not values or not all(value.text or value.quoted for value in values):
            raise self.unclear(self.text)
        return values

    def run(self) -> tuple[int, int]:
        """Return where that begins and ends which stands before the next condition, and go on behind it."""
        found = self.joint_at(self.position)
        start, end = self.position, found.start() if found else len(self.text)
        self.position = end
        return start, end

    def given(self, start: int, end: int) -> Given:
        """Return what stands in a part of the filter as a value."""
        text = self.text[start:end].strip(_ENDS)
        if _SIGN.search(self.masked[start:end]):
            raise self.unclear(text)  # another condition, or a text that quotes belong around
        if (quoted := _QUOTED.fullmatch(text)) is not None:
            return Given(next(group for group in quoted.groups() if group is not None), quoted=True)
        return Given(text.removeprefix("to ").strip())

    def listed(self, column: str) -> Iterator[Given]:
        """Yield the values of a list: apart by commas, the last one by `or` as well, in brackets or not."""
        start, end = self.run()
        while start < end and self.masked[start] in " ([\n\t":
            start += 1
        while start < end and self.masked[end - 1] in " )]\n\t.;?!":
            end -= 1
        known = None
        for part in self.split(start, end, ","):
            joints = [*_OR.finditer(self.masked, *part)]
            value = self.given(*part)
            if joints and known is None:
                known = {str(cell).strip().casefold() for cell in self.table.cells(column)}
            if not joints or value.text.casefold() in (known or ()):
                yield value
                continue
            begin = part[0]
            for joint in joints:
                if joint.start() > begin:
                    yield self.given(begin, joint.start())
                begin = joint.end()
            yield self.given(begin, part[1])

    def split(self, start: int, end: int, mark: str) -> Iterator[tuple[int, int]]:
        """Yield the parts between marks that are outside of quotes; one behind the last mark may be missing."""
        while start <= end:
            stop = self.masked.find(mark, start, end)
            stop = end if stop < 0 else stop
            yield start, stop
            if stop == end:
                return
            start = stop + 1
            if not self.text[start:end].strip():
                return
