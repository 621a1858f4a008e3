"""The ground of the grammar of questions on tables: literal words, columns, cells, numbers, days, and nouns for rows.

Each rule takes a place in the question and yields every way to go on from there, with the place behind it. What no rule
takes is left over and makes the question one that is not understood: nothing is skipped. Pure; any thread; imported by
the rules.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TypeVar

from callboard.agent.planner.numbers import whole_number
from callboard.agent.planner.table_facts import Facts
from callboard.agent.planner.table_question import Condition, Pick
from callboard.agent.planner.table_words import Cell, Mentions

T = TypeVar("T")
Ways = Iterator[tuple[T, int]]
_MOST_STEPS = 60_000

DET = "|the|all|all the|all of the|all our|all my|these|those|this|that|my|our|their|its|the whole|the entire|a|an|each of the"

ROWS = frozenset("row rows record records entry entries line lines object objects element elements".split())
PERSONS = frozenset(
    "person people persons user users customer customers employee employees student students player players client clients "
    "member members patient patients worker workers staff candidates applicants participants participant candidate earner "
    "earners colleagues colleague teacher teachers".split()
)
THINGS = frozenset(
    "product products item items book books company companies article articles movie movies film films song songs car cars "
    "team teams game games project projects".split()
)
DEALS = frozenset(
    "order orders transaction transactions purchase purchases invoice invoices ticket tickets event events payment payments "
    "sale sales booking bookings deal deals task tasks issue issues bug bugs trip trips flight flights expense expenses".split()
)
_ALWAYS = frozenset({"row", "rows", "record", "records", "entries"})
NOUNS = ROWS | PERSONS | THINGS | DEALS

IMPLIED = {
    "age": ("age",),
    "price": ("price", "cost", "unit price"),
    "salary": ("salary", "income", "wage", "pay", "earnings"),
    "score": ("score", "points"),
    "height": ("height",),
    "weight": ("weight",),
}


@dataclass(frozen=True, slots=True)
class Mods:
    """What narrows or divides the rows, gathered from all over a question."""

    where: frozenset[Condition] = frozenset()
    either: frozenset[Condition] = frozenset()
    groups: tuple[str, ...] = ()
    pick: Pick | None = None
    by: str | None = None
    descending: bool = False
    nouns: frozenset[str] = field(default=frozenset())

    def __add__(self, other: "Mods") -> "Mods | None":
        """Return both together; None where each says something of its own on the same thing."""
        for name in ("groups", "pick", "by", "either"):
            if getattr(self, name) and getattr(other, name):
                return None
        if self.where & other.where:
            return None
        if (self.either and other.where) or (other.either and self.where):
            return None  # and binds tighter than or, and who asks may not mean it so
        return replace(
            self,
            where=self.where | other.where,
            either=self.either or other.either,
            groups=self.groups or other.groups,
            pick=self.pick or other.pick,
            by=self.by or other.by,
            descending=self.descending or other.descending,
            nouns=self.nouns | other.nouns,
        )


NONE = Mods()


def where(*conditions: Condition) -> Mods:
    return Mods(where=frozenset(conditions))


class TooLongError(ValueError):
    """There are too many ways to read a question."""


@cache
def _phrases(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(phrase.split()) for phrase in text.split("|"))


class Ground:
    """Rules for single words; `far` is the furthest place that any rule has come to, `whole` that a whole question has."""

    def __init__(self, mentions: Mentions, facts: Facts) -> None:
        self.mentions, self.facts = mentions, facts
        self.low, self.tokens = mentions.low, mentions.tokens
        self.end = len(mentions.tokens)
        self.far = self.whole = 0
        self.steps = 0

    def reached(self, place: int) -> int:
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise TooLongError
        self.far = max(self.far, place)
        return place

    def lit(self, i: int, text: str) -> Iterator[int]:
        """Take one of the phrases, which | separates; an empty one takes nothing."""
        for phrase in _phrases(text):
            j = i + len(phrase)
            if self.low[i:j] == phrase and self.mentions.pinned.isdisjoint(range(i, j)):
                yield self.reached(j)

    def column(self, i: int) -> Ways[str]:
        for column, j in self.mentions.columns.get(i, ()):
            yield column, self.reached(j)

    def named_column(self, i: int) -> Ways[str]:
        """Take a column with its article and the word column."""
        for a in self.lit(i, DET + "|column|the column"):
            for column, b in self.column(a):
                if self.low[a - 1 : b] == ("column", "names"):
                    continue  # the names of the columns
                for c in self.lit(b, "|column|columns|field|values|value|figures|numbers"):
                    yield column, c

    def columns(self, i: int) -> Ways[tuple[str, ...]]:
        """Take one column or more: `a`, `a and b`, `a, b and c`."""
        for first, a in self.named_column(i):
            yield (first,), a
            for b in self.lit(a, "and|,|, and|&"):
                for rest, c in self.columns(b):
                    if first not in rest:
                        yield (first, *rest), c

    def cell(self, i: int) -> Ways[Cell]:
        for cell, j in self.mentions.cells.get(i, ()):
            yield cell, self.reached(j)

    def number(self, i: int) -> Ways[str]:
        """Take a number as the filter's language writes it; its unit stays for `fits_unit`."""
        if i >= self.end:
            return
        token = self.tokens[i]
        if token.kind == "number":
            text = token.low.replace("−", "-").replace(",", "")
            if re.search(r"(?<!\d)[1-9]\d{0,2}\.\d{3}(?!\d)", text):
                return  # 4.000 may be four, or four thousand
            scale = {"k": "000", "m": "000000"}.get(text[-1])
            if scale is None:
                yield text, self.reached(i + 1)
            elif "." not in text:
                yield text[:-1] + scale, self.reached(i + 1)
        elif token.kind == "word":
            for j in range(min(i + 4, self.end), i, -1):
                if token.low in ("a", "an", "and"):
                    return
                found = whole_number(" ".join(self.low[i:j]))
                if found is not None and "and" not in self.low[i:j]:
                    yield str(found), self.reached(j)
                    return
        elif token.low == "-" and i + 1 < self.end and self.tokens[i + 1].kind == "number":
            yield f"-{self.low[i + 1]}", self.reached(i + 2)

    def count(self, i: int) -> Ways[int]:
        for text, j in self.number(i):
            if text.isdigit() and 0 < int(text) < 10_000:
                yield int(text), j

    def year(self, i: int) -> Ways[int]:
        if i < self.end and re.fullmatch(r"(?:19|20)\d\d", self.low[i]):
            yield int(self.low[i]), self.reached(i + 1)

    def word(self, i: int) -> Ways[str]:
        """Take what stands in quotes, or one word as it is."""
        if i < self.end and self.tokens[i].kind == "quoted":
            yield self.tokens[i].text[1:-1], self.reached(i + 1)
        elif i < self.end and self.tokens[i].kind == "word":
            yield self.tokens[i].text, self.reached(i + 1)

    def noun(self, i: int) -> Ways[str]:
        """Take a noun that rows may be called by, if no column is called so."""
        named = any(j == i + 1 for _, j in self.mentions.columns.get(i, ())) and self.low[i] not in _ALWAYS
        cell = any(j == i + 1 for _, j in self.mentions.cells.get(i, ())) and self.low[i] not in _ALWAYS
        if i < self.end and self.low[i] in NOUNS and not named and not cell and i not in self.mentions.pinned:
            yield self.low[i], self.reached(i + 1)
        for j in self.lit(i, "data points|data point"):
            yield "rows", j

    def implied(self, kind: str) -> list[str]:
        return self.facts.named(*IMPLIED[kind])[:2]
