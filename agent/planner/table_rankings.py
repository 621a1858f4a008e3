"""The rules for what is held against each other: who has the most, shares, differences.

Pure; any thread; imported by `table_forms` only.
"""

from collections.abc import Iterator
from dataclasses import replace

from callboard.agent.planner.table_facts import plain
from callboard.agent.planner.table_grammar import NONE, PERSONS, Mods
from callboard.agent.planner.table_modifiers import HIGH, LOW
from callboard.agent.planner.table_question import Condition, Question
from callboard.agent.planner.table_totals import LEAD, Found, Totals

Asked = Iterator[tuple[tuple[str, ...], Mods, int]]
_HAS = (
    "has|have|had|with|got|is the one with|has got|that has|having|who has|is with|who had|which has|that have|who have"
)


class Rankings(Totals):
    def _extreme(self, i: int) -> Found:
        for asked, first, a0 in self._asked_for(i):
            for more, a in self.mods(a0):
                mods = first + more
                if mods is not None:
                    yield from self._extreme_of(asked, mods, a)
        for a in self.lit(
            i,
            "which|what is|what 's|who is|who 's|what was|find|show|show me|give me|get|tell me|who was|name|list|which is|",
        ):
            for b in self.lit(a, "|the"):
                for column, down, c in self.superlative(b):
                    for asked, mods, d in self._noun_asked(c):
                        yield self._extremum(asked, column, down), mods, d
                for d in self.lit(b, "top earner|highest earner|biggest earner"):
                    for column in self.implied("salary"):
                        yield self._extremum(self._named("earner"), column, True), NONE, d
                for words, down in (("top", True), ("bottom", False)):  # the top player by points
                    for c in self.lit(b, words):
                        for asked, mods, d in self._noun_asked(c):
                            for e in self.lit(d, "by|in"):
                                for column, f in self.named_column(e):
                                    yield self._extremum(asked, column, down), mods, f

    def _extreme_of(self, asked: tuple[str, ...], mods: Mods, a: int) -> Found:
        """Take what decides, behind who is asked for: `has the highest price`, `is the oldest`."""
        for b in self.lit(a, _HAS):
            for c in self.lit(b, "|the|a"):
                for down, column, d in self._deciding(c):
                    yield self._extremum(asked, column, down), mods, d
        for b in self.lit(a, "|is|is the|was|was the|are the|are|of the|of|for the|with the"):
            for column, down, c in self.superlative(b):
                for d in self._closed(c):
                    yield replace(self._extremum(asked, column, down), of_row=d > c), mods, d
        for words, down in (
            ("earns the most|earn the most|makes the most|earned the most|is paid the most|gets paid the most", True),
            ("earns the least|earn the least|makes the least|is paid the least", False),
        ):
            for b in self.lit(a, words):
                for column in self.implied("salary"):
                    yield self._extremum(asked, column, down), mods, b
        for words, down in (
            ("scored the highest|scored highest|scored the most", True),
            ("scored the lowest|scored lowest|scored the least", False),
        ):
            for b in self.lit(a, words):
                for column in self.implied("score"):
                    yield self._extremum(asked, column, down), mods, b
        for b in self.lit(a, "of the|for the|of"):
            for more, c in self.subjects(b):
                together = mods + more
                for d in self.lit(c, _HAS):
                    for e in self.lit(d, "|the|a"):
                        for down, column, f in self._deciding(e):
                            if together is not None:
                                yield replace(self._extremum(asked, column, down), of_row=True), together, f

    def _closed(self, i: int) -> Iterator[int]:
        yield i
        for _, a in self.subjects(i):
            yield a
        for column, a in self.column(i):
            if column == self.name_column():
                yield a

    def _noun_asked(self, i: int) -> Asked:
        for mods, a in self.rows(i):
            yield self._named(self.low[a - 1]), mods, a
        for mods, a in self.before(i):
            for column, b in self.column(a):
                yield (column,), mods, b
        if self.low[:i][:1] == ("who",):
            name = self.name_column()
            yield ((name,) if name else ()), NONE, i

    def _named(self, noun: str) -> tuple[str, ...]:
        """Return the column that tells which row it is, if there is one."""
        singular = {noun, noun.removesuffix("s"), noun.removesuffix("es")}
        own = [
            c for c in self.facts.columns if plain(c) in {"name", "title", *singular, *(f"{s} name" for s in singular)}
        ]
        if noun in PERSONS and not own:
            own = [name] if (name := self.name_column()) else []
        return (own[0],) if len(own) == 1 else ()

    def _asked_for(self, i: int) -> Asked:
        for a in self.lit(
            i,
            "which|what|find|show|show me|give me|get|tell me|name|list|what is|what 's|what was|return|which is|tell me which|",
        ):
            for b in self.lit(a, "|the"):
                for mods, c in self.before(b):
                    for columns, d in self.columns(c):
                        yield columns, mods, d
            for mods, b in self.rows(a):
                yield self._named(self.low[b - 1]), mods, b
        for a in self.lit(i, "who|who all|tell me who|find out who|which one|find who|show who"):
            name = self.name_column()
            yield ((name,) if name else ()), NONE, a

    def _deciding(self, i: int) -> Iterator[tuple[bool, str, int]]:
        for words, down in ((HIGH + "|most", True), (LOW + "|fewest", False)):
            for a in self.lit(i, words):
                for column, b in self.named_column(a):
                    yield down, column, b
        for column, down, a in self.superlative(i):  # the most expensive price
            for same, b in self.named_column(a):
                if same == column:
                    yield down, column, b

    def _extremum(self, asked: tuple[str, ...], column: str, down: bool) -> Question:
        return Question(kind="extreme", folds=("max" if down else "min",), columns=asked, by=column, descending=down)

    def _most(self, i: int) -> Found:
        """Take `which region has the highest total price` and `which department has the most employees`."""
        for asked, mods, a in self._asked_for(i):
            if len(asked) != 1 or mods.nouns:
                continue
            for b in self.lit(a, _HAS):
                for c in self.lit(b, "|the"):
                    for words, down in ((HIGH, True), (LOW, False)):
                        for d in self.lit(c, words):
                            for folds, e in self.folds(d):
                                for column, f in self.named_column(e):
                                    if len(folds) == 1:
                                        yield self._group_extreme(asked, folds, (column,), down), mods, f
                            for e in self.lit(d, "number of|count of"):
                                for more, f in self.subjects(e):
                                    together = mods + more
                                    if together is not None:
                                        yield self._group_extreme(asked, (), (), down), together, f
                    for words, down in (("most|largest number of", True), ("fewest|least", False)):
                        for d in self.lit(c, words):
                            for more, e in self.subjects(d):
                                together = mods + more
                                if together is not None:
                                    yield self._group_extreme(asked, (), (), down), together, e
            for b in self.lit(a, "appears most often|occurs most often|appears most|appears the most|occurs most frequently|is most common|is the most common|appears most frequently|is most frequent|is the most frequent"):  # fmt: skip
                yield Question(kind="fold", folds=("mode",), columns=asked), mods, b

    def _group_extreme(
        self, asked: tuple[str, ...], folds: tuple[str, ...], columns: tuple[str, ...], down: bool
    ) -> Question:
        return Question(kind="group_extreme", folds=folds, columns=columns, groups=asked, descending=down)

    # --- shares and differences ---

    def _share(self, i: int) -> Found:
        words = "what percent|what percentage|what share|percent|percentage|the percentage|the percent|the share|share|what is the percentage|what is the percent|what is the share|what 's the percentage|how many percent|show the percentage|calculate the percentage|calculate the share|compute the percentage|give me the percentage|show the share|show me the share|give me the share"  # fmt: skip
        for a in self.lit(i, words):
            for b in self.lit(a, "of|of all|"):
                for column, mods, c in self._whole(b):
                    yield from self._part(Question(kind="share", columns=column), mods, c)
            for b in self.lit(a, "of each|for each|by|per|of every|for every"):
                for group, c in self.named_column(b):
                    for d in self.lit(c, "in|of|of the|in the|from the|to the"):
                        for column, mods, e in self._whole(d):
                            together = mods + Mods(groups=(group,)) if not mods.where else None
                            if together is not None:
                                yield Question(kind="share", columns=column), together, e
                    yield Question(kind="share", columns=self._only_measure()), Mods(groups=(group,)), c

    def _part(self, core: Question, whole: Mods, i: int) -> Found:
        """Take what the part is, behind a verb where the whole has conditions of its own: paid orders that are in North."""
        verb = "is|are|was|were|comes|come|is from|comes from|come from|is in|are in|is for|was from|belongs to|does|do|falls on|goes to"
        if not whole.where:
            for a in self.lit(i, "|" + verb):
                yield core, NONE, a
        for more, a in self.mods(i):
            both = whole + more
            if both is None or not both.where or replace(both, where=NONE.where, nouns=NONE.nouns) != NONE:
                continue
            of = replace(core, against=tuple(sorted(both.where, key=str)), nouns=both.nouns)
            for b in self.lit(a, verb):
                yield of, NONE, b
            if self.low[a : a + 1] and self.low[a] in ("live", "work", "have", "earn", "cost", "belong", "come"):
                yield of, NONE, a

    def _whole(self, i: int) -> Asked:
        """Take what the whole is: the total of a column, the only column there is to add up, or the rows."""
        for a in self.lit(i, "|the|all|all the|our"):
            for b in self.lit(
                a, "|total|overall|sum of|total of|total of the|whole|sum of the|sum of all|sum of all the"
            ):
                for column, c in self.named_column(b):
                    if self.facts.kind(column) == "number":
                        yield (column,), NONE, c
            for b in self.lit(a, "total|whole|sum|grand total|overall total"):
                if self._only_measure():
                    yield self._only_measure(), NONE, b
        for mods, a in self.subjects(i):
            yield (), mods, a

    def _only_measure(self) -> tuple[str, ...]:
        measures = self.facts.measures()
        return (measures[0],) if len(measures) == 1 else ("?",) if measures else ()

    def _difference(self, i: int) -> Found:
        for a in self.lit(i, LEAD):
            for b in self.lit(a, "|the|a"):
                for c in self.lit(
                    b,
                    "difference between|difference between the|difference of the|gap between the|gap between|difference in",
                ):
                    for folds, d in self.folds(c):
                        if folds in (("max", "min"), ("min", "max")):
                            for column, e in self.named_column(d):
                                yield Question(kind="fold", folds=("range",), columns=(column,)), NONE, e
                        if len(folds) == 1:
                            yield from self._two(folds, d)
                        for column, e in self.named_column(d):  # the highest price and the lowest price
                            for f in self.lit(e, "and|and the"):
                                for others, g in self.folds(f):
                                    for same, h in self.named_column(g):
                                        if same == column and {*folds, *others} == {"max", "min"}:
                                            yield Question(kind="fold", folds=("range",), columns=(column,)), NONE, h

    def _two(self, folds: tuple[str, ...], i: int) -> Found:
        for column, a in self.named_column(i):
            for b in self.lit(a, "in|of|for|between|in the|of the|for the|from"):
                for first, c in self.cell_with_name(b):
                    for d in self.lit(c, "and|and in|and for|and of|and the|and from"):
                        for second, e in self.cell_with_name(d):
                            if first.column == second.column and first.value != second.value:
                                against = tuple(Condition(x.column, "=", (x.value,)) for x in (first, second))
                                yield (
                                    Question(kind="difference", folds=folds, columns=(column,), against=against),
                                    NONE,
                                    e,
                                )
