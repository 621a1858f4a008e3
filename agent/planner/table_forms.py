"""All rules for whole questions on tables, and how what they find goes together.

Pure; any thread; imported by `questions`.
"""

from dataclasses import replace
from typing import Any

from callboard.agent.planner.table_grammar import NONE, Mods
from callboard.agent.planner.table_lists import LISTING, Lists
from callboard.agent.planner.table_question import Question
from callboard.agent.planner.table_rankings import Rankings
from callboard.agent.planner.table_totals import COUNT, LEAD, Found

_BEFORE_DATA = "in|from|of|for|on|using|given|with"
"""What may stand last, as the data comes behind it."""


class Forms(Lists, Rankings):
    def questions(self) -> list[Question]:
        """Return every way to understand the whole."""
        found: dict[Question, None] = {}
        for lead, a in self.mods(0):
            for core, mods, b in self._cores(a):
                for more, c in self.mods(b):
                    self.whole = max(self.whole, c)
                    if not any(d == self.end for d in (c, *self.lit(c, _BEFORE_DATA))):
                        continue
                    both = lead + mods
                    together = both + more if both is not None else None
                    if together is not None and (question := _asked(core, together)) is not None:
                        found[question] = None
        return list(found)

    def _cores(self, i: int) -> Found:
        for a in self.lit(i, "|,|.|:|?|!"):
            for rule in (
                self._fold, self._fold_behind, self._count, self._times, self._distinct, self._list, self._possessive, self._top,
                self._nth, self._extreme, self._most, self._share, self._difference, self._columns, self._unsaid,
            ):  # fmt: skip
                yield from rule(a)

    def _columns(self, i: int) -> Found:
        names = "columns|column names|fields|field names|headers|header|column headers|keys|names of the columns|names of columns|column titles"
        ends = "|does it have|does this table have|does this csv have|does this data have|does the table have|does the csv have|does this json have|does the data have|does this dataset have|are there|are in this table|do we have|are available|does this file have|does this have|are present|exist"
        for a in self.lit(i, LISTING):
            for b in self.lit(a, "|the|all|all the"):
                for c in self.lit(b, names):
                    for d in self.lit(c, ends):
                        yield Question(kind="columns"), NONE, d
        for a in self.lit(i, LEAD):
            for b in self.lit(a, COUNT):
                for c in self.lit(b, "columns|fields"):
                    for d in self.lit(c, ends):
                        yield Question(kind="column_count"), NONE, d

    def _unsaid(self, i: int) -> Found:
        """Take `salary by department`, which does not say what is wanted of the salaries."""
        for a in self.lit(i, LEAD):
            for b in self.lit(a, "|the"):
                for column, c in self.column(b):
                    for d in self._group_ahead(c):
                        for _, e in self._group(d):
                            if e > d:
                                yield Question(kind="unsaid", columns=(column,)), NONE, d


def _asked(core: Question, mods: Mods) -> Question | None:
    """Return a question with its modifiers; None where it has no room for one of them."""
    if core.kind == "value":
        if not (mods.where or mods.either or mods.pick or mods.by):
            return None
        core = replace(core, kind="values")
    if mods.groups and core.kind not in ("fold", "count", "distinct", "share", "unsaid", "ordinal"):
        return None
    if mods.by and (core.kind not in ("rows", "values") or mods.pick):
        return None
    if mods.pick and core.kind not in ("fold", "rows", "values", "nth"):
        return None
    if mods.pick and mods.groups:
        return None
    if core.kind in ("columns", "column_count") and (mods.where or mods.either):
        return None
    changes: dict[str, Any] = {"where": mods.where, "either": mods.either, "pick": mods.pick}
    if core.kind != "group_extreme":
        changes["groups"] = mods.groups
    changes["nouns"] = core.nouns | mods.nouns
    if mods.by:
        changes |= {"by": mods.by, "descending": mods.descending}
    if core.kind == "rows" and not (mods.where or mods.either or mods.pick or mods.by):
        return None if not mods.nouns else replace(core, **changes)
    return replace(core, **changes)
