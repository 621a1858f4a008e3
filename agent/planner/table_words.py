"""The words of a question on a table, and what each may name: a column, a cell, or neither.

Pure; any thread; imported by the grammar of such questions.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from callboard.agent.cancel import let_go
from callboard.agent.planner.table_facts import Facts, forms, numbers_of, plain
from callboard.agent.skills._calendar import MONTHS

_TOKEN = re.compile(
    r"(?P<quoted>\"[^\"\n]{1,100}\"|“[^”\n]{1,100}”|`[^`\n]{1,100}`|(?<![\w'])'[^'\n]{1,100}'(?!\w))"
    r"|(?P<date>\d{4}-\d{2}-\d{2}(?!\d))|(?P<ordinal>\d{1,3}(?:st|nd|rd|th)\b)"
    r"|(?P<number>(?:(?<![\w.)])[-−])?[$€£¥]?(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+)(?:\.\d+)?(?:[km](?![^\W_])|(?![^\W_]))[%€]?)"
    r"|(?P<tail>(?<=\w)'(?:s|t|re|ll|d|m|ve)\b)|(?P<word>[^\W_]\w*)|(?P<sign><=|>=|=>|=<|==|!=|<>|\S)",
    re.IGNORECASE,
)
_MOST_SPAN = 8
_STOPS = frozenset(".?!:;")


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    low: str
    kind: str
    start: int
    end: int


def tokenise(text: str) -> list[Token]:
    text = text.replace("’", "'").replace("‘", "'")
    found = (match for match in _TOKEN.finditer(text))
    return [Token(m[0], m[0].lower(), str(m.lastgroup), m.start(), m.end()) for m in found]


@dataclass(frozen=True, slots=True)
class Cell:
    """A column that has a cell as the words say, and the cell."""

    column: str
    value: str


class Mentions:
    """Which words of a question are columns and cells of the table; every such reading is kept."""

    def __init__(self, text: str, facts: Facts) -> None:
        self.text = text.replace("’", "'").replace("‘", "'")
        self.facts = facts
        self.tokens = tokenise(self.text)
        while self.tokens and self.tokens[-1].low in _STOPS | {","}:
            self.tokens.pop()
        self.low = tuple(token.low for token in self.tokens)
        self._pinned: set[int] = set()
        self.columns = self._find_columns()
        self.cells = self._find_cells()

    @property
    def pinned(self) -> set[int]:
        """The words in capitals, in the midst of a sentence, that are cells: no words of grammar."""
        return self._pinned

    @cached_property
    def _spans(self) -> list[tuple[int, int, str]]:
        spans = []
        for start, token in enumerate(self.tokens):
            if token.kind == "quoted":
                spans.append((start, start + 1, token.text[1:-1]))
                continue
            for end in range(start + 1, min(start + _MOST_SPAN, len(self.tokens)) + 1):
                spans.append((start, end, self.text[token.start : self.tokens[end - 1].end]))
        return spans

    def _find_columns(self) -> dict[int, list[tuple[str, int]]]:
        ranks: list[dict[str, list[str]]] = [{}, {}, {}]
        for column in self.facts.columns:
            for rank, names in zip(ranks, forms(column), strict=True):
                for name in names:
                    rank.setdefault(name, []).append(column)
        found: dict[int, list[tuple[str, int]]] = {}
        named = [column for column in self.facts.columns if plain(column).endswith(" name")]
        for start, end, words in self._spans:
            name = plain(words)
            exact = [column for column in self.facts.columns if column == words]
            columns = exact or next((rank[name] for rank in ranks if name in rank), [])
            if not columns and name in ("name", "names") and len(named) == 1:
                columns = named
            found.setdefault(start, []).extend((column, end) for column in columns)
        return found

    def _find_cells(self) -> dict[int, list[tuple[Cell, int]]]:
        exact: dict[str, list[tuple[int, int]]] = {}
        loose: dict[str, list[tuple[int, int]]] = {}
        for start, end, words in self._spans:
            name = _folded(words)
            exact.setdefault(name, []).append((start, end))
            others = numbers_of(name) if len(name) > 3 and self.tokens[end - 1].kind in ("word", "quoted") else set()
            for form in others | _months(name):
                loose.setdefault(form, []).append((start, end))
        hits = self._hits(exact, loose)
        found: dict[int, list[tuple[Cell, int]]] = {}
        sure = {place for place, _, is_exact in hits if is_exact}
        for (start, end), cell, is_exact in hits:
            if is_exact or (start, end) not in sure:
                found.setdefault(start, []).append((cell, end))
            if is_exact and self._stands_out(start, end, cell.value):
                self._pinned |= set(range(start, end))
        return found

    def _hits(
        self, exact: dict[str, list[tuple[int, int]]], loose: dict[str, list[tuple[int, int]]]
    ) -> list[tuple[tuple[int, int], Cell, bool]]:
        hits = []
        for column in self.facts.columns:
            labels = self.facts.is_label(column)
            # PERF: each different cell is looked at once; of 33,000 rows this takes a few milliseconds
            for value in {cell if isinstance(cell, str) else str(cell) for cell in self.facts.cells(column)}:
                let_go()
                name = _folded(value)
                if len(name) > 80 or not (name in exact or name in loose):
                    continue
                if not labels and (self.facts.kind(column) not in ("text", "mixed") or _is_number(value)):
                    continue
                hits += [(place, Cell(column, value), True) for place in exact.get(name, [])]
                hits += [(place, Cell(column, value), False) for place in loose.get(name, []) if not labels]
        return hits

    def _stands_out(self, start: int, end: int, value: str) -> bool:
        words = self.text[self.tokens[start].start : self.tokens[end - 1].end]
        if words != value or words == "I" or not any(char.isupper() for char in words):
            return False
        if words.isupper() and len(words) > 1:
            return any(token.text != token.text.upper() for token in self.tokens if token.kind == "word")
        first = start == 0 or self.tokens[start - 1].low in _STOPS
        small = sum(token.text == token.low for token in self.tokens if token.kind == "word")
        large = sum(token.text != token.low for token in self.tokens if token.kind == "word")
        return not first and small >= large


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[-+$€£¥]*[\d.,]+\s*[%€$£¥]?", text.strip()))


def _months(name: str) -> set[str]:
    """Return a month's other spelling: `jan` is found in a column that has `January`, and the other way."""
    found = {month for month in MONTHS if month and (name == month[:3] or name == month)}
    return {form for month in found for form in (month, month[:3])} - {name}
