"""The rules for what narrows, divides or sorts the rows: `in IT`, `by region`, `of the top 3 earners`, `sorted by price`.

Pure; any thread; imported by the rules for whole questions.
"""

from collections.abc import Iterator

from callboard.agent.planner.table_conditions import Conditions
from callboard.agent.planner.table_facts import one_of, plain
from callboard.agent.planner.table_grammar import DEALS, DET, NONE, PERSONS, THINGS, Mods, Ways, where
from callboard.agent.planner.table_question import Condition, Pick
from callboard.agent.planner.table_words import Cell

Picked = Iterator[tuple[Mods, tuple[str, ...], int]]

_DATA = (
    "csv|csv data|csv file|csv table|json|json data|json file|json list|json array|tsv|table|table above|data table|dataset|data set|"
    "data|spreadsheet|sheet|file|data file|data above|table data|markdown table"
)
_HERE = "|here is|here 's|here are|use|using|given|consider|look at|take|i have|we have|this is|these are|see|from|with|based on|this is a"
_POINTING = (
    "|the|this|these|that|my|our|the following|following|the above|above|the given|given|the attached|attached|a"
)
_BY = "by|per|for each|for every|in each|in every|of each|from each|at each|each|grouped by|group by|broken down by|split by|per each"
_WITH = (
    "where|where the|on|on the|whose|with|with a|with an|with the|having|having a|have|have a|have an|has|has a|has an|had|had a|that have|"
    "that have a|who have|who have a|which have|that has|who has|which has|when|when the|if|if the|for which|for which the|in which|"
    "for which the|only where|only if|for|for the|only for|that are|who are|which are|are|is|were|was|that is|who is|which is|that|who|"
    "which|at|that cost|only those with|those with|and where|and whose|and with|and a|of a|in|of"
)
_BESIDES = "and|,|and are|and is|and the|and a|and whose|and with|and have|and where|and that|but|, and"
_IN = (
    "in|in the|in a|for|for the|from|from the|of|of the|of all|at|at the|on|on the|with|with the|within|within the|inside|under|"
    "only in|only for|just in|just for|are|is|were|was|that are|who are|which are|that is|who is|which was|that were|are in|is in|"
    "are in the|is in the|were in|was in|that are in|who are in|which are in|who is in|are from|is from|who are from|that are from|"
    "are on|are at|who work in|works in|work in|working in|who works in|that work in|work in the|work at|work for|who live in|live in|"
    "lives in|living in|based in|located in|are based in|are located in|are located at|that are located in|placed by|made by|bought by|"
    "placed in|made in|ordered by|sold by|sold in|sold to|assigned to|belong to|belonging to|that belong to|come from|coming from|"
    "and live in|and lives in|and work in|and works in|and who live in|and who work in|of a|for a|in an|called|named|by|have the|has the|with the|marked|marked as|labelled|for a|of an|a|an|went to|being|"
    "in either|from either|either"
)
_LIMITS = {
    ">": "over|above|worth more than|worth over|of more than|of over|for more than",
    "<": "under|below|worth less than|of less than|for less than",
}
_NOT_IN = (
    "not in|not in the|not from|not for|not of|outside|outside of|outside the|except|except for|except in|except for the|excluding|"
    "excluding the|other than|other than in|but not|but not in|but not for|are not|are not in|are not from|is not|is not in|isn 't in|"
    "aren 't in|isn 't|aren 't|that are not|that are not in|who are not|who are not in|which are not|who is not in|which are not in|"
    "not working in|who don 't work in|who do not work in|don 't work in|do not work in|were not|was not|leaving out|"
    "ignoring|without counting|not counting|not including|who aren 't in|that aren 't in|that aren 't|who aren 't|not|for all but"
)
_LAST = (
    "please|in total|overall|altogether|combined|are there|are there in total|there are|thanks|thank you|do i have|do we have|"
    "exist|are listed|is there|were there|was there|are there altogether|to me|for me|appear|are shown|all together|are included"
)
_SORTED = "sorted by|ordered by|sort by|order by|sorted on|arranged by|and sort by|and sort them by|and sort it by|sorted by the|ranked by|and order by"
_UP = "ascending|in ascending order|asc|increasing|in increasing order|from low to high|low to high|lowest first|smallest first|from lowest to highest|from smallest to largest"
_DOWN = (
    "descending|in descending order|desc|decreasing|in decreasing order|from high to low|high to low|highest first|largest first|"
    "from highest to lowest|from largest to smallest|biggest first"
)
_TURNED = "in reverse order|reversed|in alphabetical order|alphabetically"

HIGH = "highest|largest|biggest|greatest|top|maximum|max"
LOW = "lowest|smallest|minimum|min|bottom|least"
SUPERLATIVES = (
    ("age", True, "oldest"), ("age", False, "youngest"), ("price", True, "most expensive|priciest|dearest"), ("price", False, "cheapest|least expensive"),
    ("salary", True, "highest paid|best paid|highest earning|highest - paid|best - paid"), ("salary", False, "lowest paid|worst paid|lowest - paid"),
    ("height", True, "tallest"), ("height", False, "shortest"), ("weight", True, "heaviest"), ("weight", False, "lightest"),
)  # fmt: skip
_DATED = ((True, "latest|newest|most recent"), (False, "earliest"))
_WHO = frozenset("owner seller buyer rep salesperson author driver agent assignee sender winner".split())
_ASKING = frozenset(
    "is are was were do does did has have had will can could should would who whose which that what when".split()
)
_SIZES = frozenset({"largest", "biggest", "smallest", "highest", "lowest"})


class Modifiers(Conditions):
    def mods(self, i: int) -> Ways[Mods]:
        """Take any number of modifiers."""
        yield NONE, i
        for first, a in self.mod(i):
            for rest, b in self.mods(a):
                together = first + rest
                if together is not None:
                    yield together, b

    def mod(self, i: int) -> Ways[Mods]:
        for a in self.lit(i, "|,|.|?|!|:|;"):
            if self._begins(a) and self.low[a : a + 1] and self.low[a] in _ASKING and not self.mentions.cells.get(a):
                continue  # is Mark in IT, who is in IT: a question of its own
            yield from self._introduction(a)
            yield from self._group(a)
            yield from self._data(a)
            yield from self._conditions(a)
            yield from self._limits(a)
            yield from self._cells(a)
            yield from self._rows(a)
            yield from self._picked(a)
            yield from self._sorting(a)
            for b in self.lit(a, _LAST):
                yield NONE, b

    def _group(self, i: int) -> Ways[Mods]:
        for a in self.lit(i, _BY):
            for columns, b in self.columns(a):
                yield Mods(groups=columns), b
                for c in self.lit(b, "and by|and per|and for each|per"):
                    for other, d in self.named_column(c):
                        if other not in columns:
                            yield Mods(groups=(*columns, other)), d

    def _data(self, i: int) -> Ways[Mods]:
        for a in self.lit(i, "in|from|of|for|on|using|given|within|with|based on|according to|listed in"):
            for b in self.lit(a, _POINTING):
                for c in self.lit(b, _DATA + "|it|them|list|here|there" if b == a else _DATA + "|list"):
                    for d in self.lit(c, "|below|above|here|: here|provided|given|i gave you|i have"):
                        yield NONE, d
        for a in self.lit(i, "below|above|given below|here"):
            yield NONE, a

    def _the_data(self, i: int) -> Iterator[int]:
        for a in self.lit(i, _POINTING):
            yield from self.lit(a, _DATA + "|list")

    def _begins(self, i: int) -> bool:
        """Tell whether a sentence or a clause begins here."""
        return not i or self.low[i - 1] in ".?!:;,"

    def _introduction(self, i: int) -> Ways[Mods]:
        """Take `Here is my data.`, `Use the table below to`, `CSV:`, which only say where the data is."""
        if not self._begins(i):
            return
        for a in self.lit(i, _HERE):
            for b in self.lit(a, _POINTING):
                for c in self.lit(b, _DATA + "|list"):
                    for d in self.lit(c, "|below|above|here"):
                        for e in self.lit(d, "|to|and|, and"):
                            yield NONE, e
                for _, c in self.noun(b) if b > i else ():
                    yield NONE, c
                    for d in self.lit(c, _DATA):
                        yield NONE, d
        for a in self.lit(
            i, "question|q|question :|q :|tell me :|please tell me :|find :|calculate :|compute :|answer :"
        ):
            yield NONE, a

    def _conditions(self, i: int) -> Ways[Mods]:
        for a in self.lit(i, _WITH + "|"):
            yield from self._joined(a, led=a > i)
        days = tuple(self.facts.of_kind("date", "moment"))
        if len(days) == 1:
            for a in self.lit(i, "|that are|which are|made|placed|were|are|dated|and"):
                for found, b in self.days(a, days):
                    yield where(*found), b

    def _joined(self, i: int, led: bool = True) -> Ways[Mods]:
        for first, a in self.condition(i, led):
            yield where(*first), a
            for b in self.lit(a, _BESIDES):
                for rest, c in self._joined(b):
                    together = where(*first) + rest if not rest.either else None
                    if together is not None:
                        yield together, c
            for b in self.lit(a, "or|or whose|or where|or with|, or"):
                for rest, c in self._joined(b):
                    if len(first) == 1 and (rest.either or len(rest.where) == 1):
                        yield Mods(either=frozenset(first) | rest.where | rest.either), c

    def _limits(self, i: int) -> Ways[Mods]:
        """Take `over 30` behind people, `above 100` behind orders: the noun says which column is meant."""
        columns_before = self.mentions.columns.get(i - 1, ())
        noun = self.low[i - 1] if i and all(map(self.is_key, (column for column, _ in columns_before))) else ""
        columns: list[str] = []
        if noun in PERSONS:
            columns = self.implied("age")
        elif noun in DEALS and len(self.facts.measures()) == 1:
            columns = self.facts.measures()
        elif noun in THINGS:
            columns = self.implied("price")
        for sign, words in _LIMITS.items():
            for a in self.lit(i, words) if columns else ():
                for column in columns:
                    for value, b in self.bound(a):
                        for found, c in self.numeric(column, sign, value, b):
                            yield where(*found), c

    def _cells(self, i: int) -> Ways[Mods]:
        """Take a cell behind a word such as `in`; `in the IT department`, `in North or South`."""
        for a in self.lit(i, _IN + "|and in|and from|and for|but only in"):
            for conditions, b in self.some_cells(a, "or|, or|or in|or from|or for|,|and|, and"):
                yield where(*conditions), b
                for c in self.lit(b, "|,|of"):  # in January 2024
                    for year, d in self.cell(c):
                        if self.facts.is_label(year.column) and year.column != conditions[0].column:
                            yield where(*conditions, Condition(year.column, "=", (year.value,))), d
        for a in self.lit(i, _NOT_IN):
            for conditions, b in self.some_cells(a, "or|, or|and|or in|nor|,|, and|or the|and the|and in"):
                column = conditions[0].column
                yield where(*(Condition(column, "!=", (value,)) for value in conditions[0].values)), b

    def some_cells(self, i: int, joints: str) -> Ways[tuple[Condition, ...]]:
        """Take one cell or more of one column, with the column's name at either side or nowhere."""
        for cell, a in self.cell_with_name(i):
            yield (Condition(cell.column, "=", (cell.value,)),), a
            for b in self.lit(a, joints):
                operator = "both" if "and" in self.low[a:b] else "in"
                for c in self.lit(b, "|the"):
                    for (rest,), d in self.some_cells(c, joints):
                        if rest.column == cell.column and cell.value not in rest.values:
                            sign = "both" if rest.operator == "both" else operator
                            yield (Condition(cell.column, sign, tuple(sorted({cell.value, *rest.values}))),), d

    def cell_with_name(self, i: int) -> Ways[Cell]:
        for cell, a in self.cell(i):
            yield cell, a
            for column, b in self.column(a):
                if column == cell.column:
                    yield cell, b
        for column, a in self.column(i):
            for b in self.lit(a, "|of|=|:"):
                for cell, c in self.cell(b):
                    if cell.column == column:
                        yield cell, c
        for noun, a in self.noun(i):  # order A3
            keys = {f"{one_of(noun)}{end}" for end in ("", " id", " number", " no", " nr", " code")} | {"id", "sku"}
            for cell, b in self.cell(a):
                if plain(cell.column) in keys and not self.facts.repeats(cell.column):
                    yield cell, b

    def before(self, i: int) -> Ways[Mods]:
        """Take cells in front of a noun: `paid`, `open high priority`."""
        yield NONE, i
        for cell, a in self.cell_with_name(i):
            if self.facts.is_label(cell.column):
                continue  # the 2 of 2 orders is how many
            for b in self.lit(a, "|,"):
                for rest, c in self.before(b):
                    together = where(Condition(cell.column, "=", (cell.value,))) + rest
                    if together is not None:
                        yield together, c

    def rows(self, i: int) -> Ways[Mods]:
        """Take what rows are called, with cells in front: `the paid orders`, `IT employees`."""
        for a in self.lit(i, DET):
            for mods, b in self.before(a):
                for noun, c in self.noun(b):
                    together = mods + Mods(nouns=frozenset({noun}))
                    if together is not None:
                        yield together, c

    def subjects(self, i: int) -> Ways[Mods]:
        """Take what rows are called, as `rows` does, or by the column that tells one row from another."""
        yield from self.rows(i)
        for a in self.lit(i, DET):
            for mods, b in self.before(a):
                for column, c in self.column(b):
                    if self.is_key(column):
                        yield mods, c

    def is_key(self, column: str) -> bool:
        return self.facts.kind(column) == "text" and not self.facts.repeats(column) and not self.facts.gaps(column)

    def _rows(self, i: int) -> Ways[Mods]:
        for a in self.lit(i, "of|for|among|from|over|across"):
            yield from self.subjects(a)
        for a in self.lit(i, "of everyone|for everyone"):
            yield NONE, a

    def _picked(self, i: int) -> Ways[Mods]:
        for a in self.lit(i, "of|for|among|of only|for only|from|in"):
            for mods, _, b in self.pick(a):
                yield mods, b

    def pick(self, i: int) -> Picked:
        """Take `the top 3 products by price`; yield its modifiers, the columns it names instead of rows, and its end."""
        for a in self.lit(i, "|the|only the|just the|our|my"):
            for way, percent, count, b in self._ways(a):
                yield from self._what_is_picked(b, way, count, percent)
            yield from self._implied_pick(a)

    def _ways(self, i: int) -> Iterator[tuple[bool, bool, int, int]]:
        for words, down in ((HIGH, True), (LOW, False)):
            for a in self.lit(i, words):
                for count, b in self.count(a):
                    for c in self.lit(b, "|%|percent|percent of the|% of the|percent of|% of|% of all"):
                        yield (down, c > b or self.low[b - 1].endswith("%"), count, c)
                if a < self.end and self.low[a].endswith("%") and self.low[a][:-1].isdigit():
                    for b in self.lit(a + 1, "|of|of the|of all"):
                        yield down, True, int(self.low[a][:-1]), b
            for count, a in self.count(i):
                for b in self.lit(a, words):
                    yield down, False, count, b

    def _what_is_picked(self, i: int, down: bool, count: int, percent: bool) -> Picked:
        """Take what behind `top 3` says what is counted, and by what."""
        by = "by|ranked by|sorted by|ordered by|in terms of|according to|with the highest|with the most|with the largest|by the|by highest|when sorted by|based on"
        if not down:
            by = "by|ranked by|in terms of|with the lowest|with the least|with the smallest|by the|by lowest|based on|with the fewest"
        for mods, a in self.rows(i):
            for more, b in self.mods(a):
                for c in self.lit(b, by):
                    for column, d in self.named_column(c):
                        together = mods + more
                        picked = together + Mods(pick=Pick(column, down, count, percent)) if together else None
                        if picked is not None:
                            yield picked, (), d
            said: list[str] = []
            if self.low[a - 1] in ("earners", "earner"):
                said = self.implied("salary")
            elif len(self.facts.measures()) == 1 and {*self.low[max(i - 2, 0) : i]} & _SIZES:
                said = self.facts.measures()
            for column in said:
                picked = mods + Mods(pick=Pick(column, down, count, percent))
                if picked is not None:
                    yield picked, (), a
        for columns, a in self.columns(i):
            if len(columns) == 1 and self.facts.kind(columns[0]) in ("number", "date", "moment", "mixed"):
                yield Mods(pick=Pick(columns[0], down, count, percent)), columns, a
            for b in self.lit(a, by):
                for column, c in self.named_column(b):
                    if column not in columns:
                        yield Mods(pick=Pick(column, down, count, percent)), columns, c
        for a in self.lit(i, by):
            for column, b in self.named_column(a):
                yield Mods(pick=Pick(column, down, count, percent)), (), b

    def _implied_pick(self, i: int) -> Picked:
        """Take `2 oldest employees` or `oldest 2 employees`."""
        for a, count in [(a, count) for count, a in self.count(i)] + [(i, 0)]:
            for column, down, b in self.superlative(a):
                for number, c in [(count, b)] if count else list(self.count(b)):
                    for mods, d in self.rows(c):
                        together = mods + Mods(pick=Pick(column, down, number))
                        if together is not None:
                            yield together, (), d
                    for columns, d in self.columns(c):
                        if column not in columns:
                            yield Mods(pick=Pick(column, down, number)), columns, d
                    yield Mods(pick=Pick(column, down, number)), (), c

    def superlative(self, i: int) -> Iterator[tuple[str, bool, int]]:
        """Take `oldest`, `cheapest`, `latest`: yield the column that decides, and whether its highest is meant."""
        for kind, down, words in SUPERLATIVES:
            for a in self.lit(i, words):
                for column in self.implied(kind):
                    yield column, down, a
        days = self.facts.of_kind("date", "moment")
        for down, words in _DATED:
            for a in self.lit(i, words):
                if len(days) == 1:
                    yield days[0], down, a

    def _sorting(self, i: int) -> Ways[Mods]:
        for a in self.lit(i, _SORTED):
            yield from self.sorted_by(a)
        for words, down in ((_DOWN, True), (_UP, False)):
            for a in self.lit(i, words):
                for b in self.lit(a, "of|by"):
                    for column, c in self.named_column(b):
                        yield Mods(by=column, descending=down), c

    def sorted_by(self, i: int) -> Ways[Mods]:
        for column, a in self.named_column(i):
            yield Mods(by=column), a
            for b in self.lit(a, "|,|("):
                for c in self.lit(b, _UP):
                    yield Mods(by=column), next(iter(self.lit(c, ")")), c)
                for c in self.lit(b, _DOWN):
                    yield Mods(by=column, descending=True), next(iter(self.lit(c, ")")), c)

    def name_column(self) -> str | None:
        """Return the one column that says who or what a row is."""
        exact = [column for column in self.facts.columns if plain(column) in ("name", "full name")]
        more = [c for c in self.facts.columns if plain(c) in PERSONS | _WHO or plain(c).endswith(" name")]
        found = exact or more
        return found[0] if len(found) == 1 else None
