"""The rules for lists: rows, values, different values, sorted, or the first few.

Pure; any thread; imported by `table_forms` only.
"""

from callboard.agent.planner.table_grammar import DET, NONE, ROWS, Mods
from callboard.agent.planner.table_modifiers import HIGH, LOW
from callboard.agent.planner.table_question import Condition, Kind, Pick, Question
from callboard.agent.planner.table_totals import DISTINCT, LEAD, Found, Totals

LISTING = (
    "|who is|who are|who was|list|list all|show|show me|show us|give us|display|print|give|give me|find|find me|get|get me|select|return|extract|filter|filter for|"
    "filter by|output|which|what|what are|what is|what 's|tell me|which are|what were|what was|i need|i want|please list|please show|"
    "show only|list only|name|see"
)
_ONE = (
    (),
    ("what", "is"),
    ("what", "'s"),
    ("what", "was"),
    ("which",),
    ("what",),
    ("tell", "me"),
    ("who", "is"),
    ("who", "was"),
    ("who", "are"),
)
"""What asks for a value of some row, and not for all there are."""


class Lists(Totals):
    def _distinct(self, i: int) -> Found:
        for a in self.lit(i, LISTING):
            for b in self.lit(a, DET):
                for c in self.lit(b, DISTINCT):
                    for column, d in self.named_column(c):
                        for e in self.lit(d, "|are there|exist|there are|appear"):
                            yield Question(kind="distinct", columns=(column,)), NONE, e
                if self.low[i:a] in (("which",), ("what",)):
                    for column, c in self.column(b):
                        for d in self.lit(
                            c, "are there|exist|are listed|are in the data|appear|occur|do we have|are in the table"
                        ):
                            yield Question(kind="distinct", columns=(column,)), NONE, d

    def _list(self, i: int) -> Found:
        for a in self.lit(i, LISTING):
            for mods, b in self.rows(a):
                yield Question(kind="rows"), mods, b
            for b in self.lit(a, DET):
                for mods, c in self.before(b):
                    for columns, d in self.columns(c):
                        kind: Kind = "value" if self.low[i:a] in _ONE else "values"
                        for e in self.lit(d, "|are|is|of those|of the ones|that are"):
                            yield Question(kind=kind, columns=columns), mods, e
            for b in self.lit(a, "everything|all|those|only those|the ones|ones"):
                yield Question(kind="rows"), NONE, b
            for b in self._the_data(a):
                yield Question(kind="rows"), NONE, b
        for a in self.lit(
            i,
            "who|whose|who all|list everyone|show everyone|show me everyone|find everyone|give me everyone|list everyone who|show everyone who|everyone|everyone who",
        ):
            name = self.name_column()
            yield (Question(kind="values", columns=(name,)) if name else Question(kind="rows")), NONE, a
        for a in self.lit(
            i, "sort|order|sort the|order the|sort all|sort these|sort this|sort my|please sort|show|list"
        ):
            yield from self._sort(a)
        for a in self.lit(i, "which|what|in which|in what|from which|for which|to which"):  # which city is Rose in?
            for columns, b in self.columns(a):
                for c in self.lit(b, "is|does|did|was|has|do|are"):
                    for cell, d in self.cell_with_name(c):
                        if cell.column not in columns and (
                            cell.column == self.name_column() or self.is_key(cell.column)
                        ):
                            mods = Mods(where=frozenset({Condition(cell.column, "=", (cell.value,))}))
                            for e in self.lit(
                                d, "|in|from|have|has|live|live in|work|work in|belong to|come from|of|at|on"
                            ):
                                yield Question(kind="values", columns=columns), mods, e
        yield Question(kind="rows"), NONE, i

    def _sort(self, i: int) -> Found:
        for a in self.lit(
            i,
            "|data|table|csv|json|csv data|json data|list|dataset|data set|them|it|csv file|file|spreadsheet|json list|entries",
        ):
            for b in self.lit(a, "by|on|sorted by|ordered by"):
                for mods, c in self.sorted_by(b):
                    yield Question(kind="rows"), mods, c
        for mods, a in self.rows(i):
            for b in self.lit(a, "by|on"):
                for more, c in self.sorted_by(b):
                    together = mods + more
                    if together is not None:
                        yield Question(kind="rows"), together, c
        for columns, a in self.columns(i):
            for b in self.lit(a, "by"):
                if self.low[i - 1] in ("sort", "order", "the", "all"):
                    for mods, c in self.sorted_by(b):
                        yield Question(kind="values", columns=columns), mods, c

    def _possessive(self, i: int) -> Found:
        for a in self.lit(i, LEAD):
            for cell, b in self.cell(a):
                for c in self.lit(b, "'s|'"):
                    for columns, d in self.columns(c):
                        mods = Mods(where=frozenset({Condition(cell.column, "=", (cell.value,))}))
                        yield Question(kind="values", columns=columns), mods, d
                    for folds, d in self.folds(c):
                        for column, e in self.named_column(d):
                            mods = Mods(where=frozenset({Condition(cell.column, "=", (cell.value,))}))
                            yield Question(kind="fold", folds=folds, columns=(column,)), mods, e

    # --- the first few ---

    def _top(self, i: int) -> Found:
        for a in self.lit(i, LISTING + "|what are the|who are|who are the|which are the"):
            for mods, columns, b in self.pick(a):
                yield Question(kind="values" if columns else "rows", columns=columns), mods, b
            for b in self.lit(a, "|the"):
                for words, last in (("first", False), ("last", True)):
                    for c in self.lit(b, words):
                        for count, d in [*self.count(c), (1, c)]:
                            for e in self.lit(d, "rows|records|lines|entries" if d > c else "row|record|line|entry"):
                                yield Question(kind="rows"), Mods(pick=Pick(None, last, count)), e
                            for _, e in (*self.rows(d), *self.columns(d)):
                                whole = any(end == e for _, end in self.mentions.columns.get(b, ()))  # first name
                                if (
                                    self.low[e - 1] not in ROWS and not whole
                                ):  # the first order: by its date, its number, its place?
                                    yield Question(kind="ordinal", folds=(self.low[c - 1],)), NONE, e

    def _nth(self, i: int) -> Found:
        ordinals = {"second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "fifth": 5, "5th": 5}
        for a in self.lit(i, LEAD):
            for b in self.lit(a, "|the"):
                for word, count in ordinals.items():
                    for c in self.lit(b, word):
                        for words, down in ((HIGH, True), (LOW, False)):
                            for d in self.lit(c, words):
                                for column, e in self.named_column(d):
                                    yield (
                                        Question(kind="nth", columns=(column,), by=column),
                                        Mods(pick=Pick(column, down, count)),
                                        e,
                                    )
