"""The rules for one number, or one for each group: totals, averages, counts.

Pure; any thread; imported by the rules for other kinds of questions.
"""

from collections.abc import Iterator
from dataclasses import replace

from callboard.agent.planner.table_grammar import DET, NONE, Mods, Ways
from callboard.agent.planner.table_modifiers import Modifiers
from callboard.agent.planner.table_question import Condition, Question

Found = Iterator[tuple[Question, Mods, int]]
LEAD = (
    "|what is|what are|what was|what were|what 's|whats|which is|find|calculate|compute|give|give me|show|show me|tell me|get|get me|"
    "determine|return|work out|figure out|i need|i want|i would like|i 'd like|i want to know|i 'd like to know|print|display|output|"
    "please give me|please show me|please calculate|please compute|please|report|how much is|how high is|how much was|find me|find out"
)
_FOLDS = {
    "mean": "average|mean|avg|averages|average value|mean value",
    "median": "median|medians|median value",
    "mode": "mode|most common|most frequent|most frequently occurring",
    "max": "max|maximum|highest|largest|biggest|greatest|maximum value|highest value",
    "min": "min|minimum|lowest|smallest|minimum value|lowest value",
    "sum": "sum|total|totals|sum total|total sum|overall total|combined|grand total|sums|total value|combined total|overall",
    "range": "range|value range",
}
_DATED = {"max": "latest|newest|most recent|last", "min": "earliest|first"}
COUNT = (
    "how many|count|count of|count all|count up|number of|total number of|total count of|the number of|the total number of|the count of|"
    "the total count of|count the number of|count how many|number of all|total|the total"
)
_BE = "|are there|are|is|were there|were|there are|do|do we have|do i have|exist|appear|is there|are there that|did we have|in total are there|does this table have|does the table have|does it have|does this data have|does this csv have|does the csv have|does this file have|does the data have|does this dataset have|are in this table|are in the table|are in this csv|are in the data"
DISTINCT = "distinct|unique|different|distinct values of|unique values of|different values of|distinct values in|unique values in|various"


class Totals(Modifiers):
    def folds(self, i: int) -> Ways[tuple[str, ...]]:
        for name, words in _FOLDS.items():
            for a in self.lit(i, words):
                yield (name,), a
                for b in self.lit(a, "and|,|, and|and the|, the|, and the|&|/"):
                    for rest, c in self.folds(b):
                        if name not in rest:
                            yield (name, *rest), c

    def _fold(self, i: int) -> Found:
        for a in self.lit(i, LEAD):
            for b in self.lit(a, "|the|me the|a|an|all the|us the"):
                for folds, c in self.folds(b):
                    for d in self.lit(
                        c,
                        "|of|of the|of all|of all the|for|for the|in|(|up|up the|up all|up all the|the|all|all the|of our|of their",
                    ):
                        yield from self._folded(folds, d)
                for column, down, c in self.superlative(b):  # the cheapest price
                    for same, d in self.named_column(c):
                        if same == column:
                            yield Question(kind="fold", folds=("max" if down else "min",), columns=(column,)), NONE, d
                for folds, c in self._dated(b):
                    yield from self._folded(folds, c, dated=True)
            for b in self.lit(a, "add up|sum up|total up|add up all|add together|add|add all"):
                yield from self._folded(("sum",), b)
            for b in self.lit(a, "group by|group the rows by|group them by|group the data by"):
                for groups, c in self.columns(b):
                    for d in self.lit(c, "and|, then|and then|,|, and"):
                        for core, mods, e in self._fold_or_count(d):
                            together = mods + Mods(groups=groups)
                            if together is not None:
                                yield core, together, e

    def _fold_or_count(self, i: int) -> Found:
        yield from self._fold(i)
        yield from self._count(i)
        for a in self.lit(i, "count|count them|count the rows"):
            yield Question(kind="count"), NONE, a

    def _dated(self, i: int) -> Ways[tuple[str, ...]]:
        for name, words in _DATED.items():
            for a in self.lit(i, words):
                yield (name,), a

    def _folded(self, folds: tuple[str, ...], i: int, dated: bool = False) -> Found:
        for a in self.lit(i, DET):
            for mods, b in self.before(a):
                for c in self._adjunct(b):
                    for column, d in self.named_column(c):
                        if dated and self.facts.kind(column) not in ("date", "moment"):
                            continue
                        for e in self.lit(d, "|)"):
                            yield Question(kind="fold", folds=folds, columns=(column,)), mods, e
        if folds == ("sum",) or folds == ("mean",) or dated:
            return
        for mods, columns, a in self.pick(i):
            if len(columns) == 1:
                yield Question(kind="fold", folds=folds, columns=columns), mods, a

    def _adjunct(self, i: int) -> Iterator[int]:
        """Take a noun right in front of a column, as in `the average employee age`."""
        yield i
        for noun, a in self.noun(i):
            if not noun.endswith("s") and noun not in ("people", "staff"):
                yield a

    def _fold_behind(self, i: int) -> Found:
        """Take `salary average`, and `sum of the 5 largest orders`, where the top few say what is added up."""
        for a in self.lit(i, LEAD):
            for column, b in self.named_column(a):
                for folds, c in self.folds(b):
                    if self.low[b] in (
                        "average",
                        "mean",
                        "median",
                        "total",
                        "sum",
                        "range",
                        "mode",
                        "maximum",
                        "minimum",
                        "max",
                        "min",
                    ):
                        yield Question(kind="fold", folds=folds, columns=(column,)), NONE, c
            for b in self.lit(a, "|the"):
                for folds, c in self.folds(b):
                    for d in self.lit(c, "of|of the|of all"):
                        for mods, columns, e in self.pick(d):
                            by = (mods.pick.column,) if mods.pick and mods.pick.column else ()
                            yield Question(kind="fold", folds=folds, columns=columns or by), mods, e

    # --- counts ---

    def _count(self, i: int) -> Found:
        for a in self.lit(i, LEAD):
            for b in self.lit(a, COUNT):
                yield from self._counted(b, total=self.low[b - 1] == "total")
            for b in self.lit(a, "|the"):
                for c in self.lit(b, "count|counts|number"):
                    for d in self._group_ahead(c):
                        yield Question(kind="count"), NONE, d
            for b in self.lit(a, "|the"):
                for c in self.lit(b, "row count|record count|number of rows|total rows|total records"):
                    yield Question(kind="count"), NONE, c

    def _group_ahead(self, i: int) -> Iterator[int]:
        for a in self.lit(i, "|,"):
            for _, b in self._group(a):
                if b > a:
                    yield i
                    return
        for a in self.lit(i, "where|with|for|in|of|of the"):
            if self.low[i] != "of" or self.mentions.cells.get(a):
                yield i
                return

    def _counted(self, i: int, total: bool) -> Found:
        for mods, a in self.rows(i):
            for b in self._verb(a):
                yield Question(kind="count", nouns=mods.nouns), mods, b
            for b in self.lit(a, "did|does|has|have"):
                for core, more, c in self._doer(b):
                    together = mods + more
                    if together is not None:
                        yield replace(core, nouns=mods.nouns), together, c
        if total:
            return
        for a in self.lit(i, DET):
            for b in self.lit(a, DISTINCT):
                for column, c in self.named_column(b):
                    for d in self._verb(c):
                        yield Question(kind="distinct", folds=("distinct_count",), columns=(column,)), NONE, d
            for mods, b in self.before(a):
                for column, c in self.column(b):
                    if not self._is_plural(b, c):
                        continue  # how many active: which are, not how many values there are
                    for d in self._verb(c):
                        yield self._count_of(column), mods, d
        if self.low[i - 1] == "many":
            for a in self.lit(
                i, "are|have|has|of them are|of them have|were|earn|cost|work in|live in|are in|in|of these are"
            ):
                yield Question(kind="count"), NONE, i if self.low[i] != "of" else a - 1

    def _verb(self, i: int) -> Iterator[int]:
        yield from self.lit(i, _BE)

    def _is_plural(self, i: int, j: int) -> bool:
        return self.low[j - 1].endswith("s") or (j == i + 1 and self.low[i] in ("people", "children", "men", "women"))

    def _count_of(self, column: str) -> Question:
        """Return what a count of a column is: how many customers, each once, but as many prices as there are."""
        if self.facts.kind(column) == "number":
            return Question(kind="count", columns=(column,))
        return Question(kind="distinct", folds=("distinct_count",), columns=(column,))

    def _doer(self, i: int) -> Found:
        """Take `did Ann make` behind `how many orders`."""
        for cell, a in self.cell_with_name(i):
            condition = Condition(cell.column, "=", (cell.value,))
            for b in self.lit(a, "make|have|place|buy|order|do|made|placed|get|sell"):
                yield Question(kind="count"), Mods(where=frozenset({condition})), b

    def _times(self, i: int) -> Found:
        for a in self.lit(
            i, "how many times does|how many times did|how often does|how often did|count how many times|how many times"
        ):
            for cell, b in self.cell_with_name(a):
                for c in self.lit(b, "appear|occur|show up|come up|appears|occurs"):
                    yield Question(kind="count"), Mods(where=frozenset({Condition(cell.column, "=", (cell.value,))})), c
