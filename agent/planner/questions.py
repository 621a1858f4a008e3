"""Reading a question on a table: the operation, its column, the groups and the filter.

The table's own column names and cells are looked for in the question, and every other word has to be one that is known
here: a word that is not understood may be a condition, and an answer without it would be wrong. Pure functions; any
thread; imported by `tables` only.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from callboard.agent.planner.numbers import whole_number
from callboard.agent.skills._filters import column_pattern
from callboard.agent.skills._tables import Table, is_missing, number, read_table

_FOLDS = {
    "mean": r"averages?|mean|avg",
    "median": r"median",
    "max": r"max(?:imum)?|highest|largest|biggest|greatest|most expensive|latest|newest",
    "min": r"min(?:imum)?|lowest|smallest|cheapest|least|earliest",
    "sum": r"sum(?: up)?|totals?(?! number\b)|add up|altogether|combined",
}
_FOLD = {name: re.compile(rf"\b(?:{pattern})\b") for name, pattern in _FOLDS.items()}
_DISTINCT = re.compile(r"\b(?:distinct|unique|different)\b")
_COUNT = re.compile(r"\b(?:how many|count|number of)\b")
_LIST = re.compile(
    r"\b(?:filter|list|show|find|give me|display|select|get|which|who|sort|order|print|return|what are|extract)\b"
)
_COLUMNS = re.compile(r"\b(?:columns?|fields?|headers?|keys)\b")
CLUE = re.compile(
    rf"\b(?:{'|'.join(_FOLDS.values())}|{'|'.join(p.pattern[5:-3] for p in (_DISTINCT, _COUNT, _LIST, _COLUMNS))}|top|bottom|group|sort|what is|what's|whats|what are)\b",
    re.IGNORECASE,
)

_DATA = r"(?:csv|json|tsv|table|data ?set|data|spreadsheet|records?|array|list|file|rows?|entries|objects)"
_ABOUT_DATA = re.compile(
    rf"(?<!number )\b(?:in|from|of|for|on|using|given|within|with)\s+(?:(?:this|these|the|following|below|above|my|our|given|attached)\s+)*(?:(?:csv|json)\s+)?{_DATA}"
    rf"(?:\s+(?:data|file|table|list|array|below|above|records|rows|text))*(?=\s*(?:[,.:;?!]|$|by\b|where\b|with\b|per\b|whose\b|for\b|grouped\b|group\b|that\b))"
)
_LOOSE_END = re.compile(r"(?:\s+(?:in|from|of|for|on|using|given|with|and|below|following|here))+$", re.IGNORECASE)
_MARKS = re.compile(r"[?!:]+(?=\s|$)|\.(?=\s|$)")
_WHERE = r"(?:where|whose|with|having|have|has|that have|for which|in which|when|if|only(?: for| if| where| with)?|for|that (?:is|are)|who have|which have|and)"
_GROUP = r"(?:grouped by|group by|broken down by|split by|by|per|for each|for every|in each|of each|each|across)"
_SORT = r"(?:sort(?:ed)?|order(?:ed)?)(?: (?:the|this|these|them|all|rows|data|table|records|csv|json|list)){0,4} by"
_OPERATOR_AHEAD = r"(?=[\"'`]?\s*(?:[=<>!≥≤≠:]|(?:is|are|was|equals?|not|contains?|containing|above|over|below|under|at least|at most|more than|less than|greater|fewer|higher|lower|older|younger|between|starts?|ends?|before|after|in|exceed\w*|does|do)\b))"
_DESCENDING = re.compile(r"\b(?:desc(?:ending)?|highest first|largest first|decreasing|high to low|from high to low)\b")
_COUNTED = r"\d{1,4}|one|two|three|four|five|six|seven|eight|nine|ten"
_WAYS = r"top|bottom|highest|lowest|largest|smallest|cheapest|most expensive"
_TOP = re.compile(rf"\b(?P<way>{_WAYS}) (?P<count>{_COUNTED})\b|\b(?P<count2>{_COUNTED}) (?P<way2>{_WAYS})\b")
_LOW = frozenset({"bottom", "lowest", "smallest", "cheapest"})

_NOUNS = frozenset(
    "row rows record records entry entries item items line lines object objects element elements product products order "
    "orders people persons person users user customers customer employees employee students student transactions "
    "transaction sales purchases books book companies company invoices invoice tickets ticket events players teams "
    "results values value cells points".split()
)
_PLAIN = _NOUNS | frozenset(
    "what what's whats is are was were the a an of in for all this that these those csv json tsv table data dataset set "
    "spreadsheet file array below above following given please me give find show calculate compute determine tell get "
    "and to with there how many number it its it's do does did they each every by per from on my our here here's column "
    "columns field fields list return print display select extract output as has have had which who whose using within "
    "overall entire whole only just you can could would i need want know grouped group first last be will i'd like now "
    "then when where up out into work across broken down split sort sorted order ordered them ascending descending desc "
    "asc increasing decreasing high low highest lowest together average averages mean avg median max maximum largest "
    "biggest greatest most expensive latest newest min minimum smallest cheapest least earliest sum total totals add "
    "altogether combined question answer q use let us i have times time did make made appear appears occur occurs "
    "there's distinct unique different count counts filter top bottom say name's contains".split()
)
_WORD = re.compile(r"[^\W_][\w'’.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked; `operations` are the skill's, or one of columns, columnCount, argmax, argmin."""

    operations: tuple[str, ...]
    column: str | None = None
    group_by: str | None = None
    where: str | None = None
    sort_by: str | None = None
    descending: bool = False
    limit: int | None = None


def ask(words: str, table: Table, data: str) -> Question | None:
    """Return the question, or None where it does not say what it is about or says more than is understood.

    `table` may hold the first rows only; `data` is read whole only if its cells have to be looked through.
    """
    text = _LOOSE_END.sub("", _MARKS.sub(" ", " ".join(words.split())).strip())
    names = _Names(table)
    # The filter keeps its case, as its values may matter; the rest is compared in lower case.
    where, text = _cut_where(text, names)
    line = " ".join(_ABOUT_DATA.sub(" ", text.lower()).split())
    meant = _cells_meant(line, names, data)
    if meant is None:
        return None
    filters = [part for part in (where, *(f'"{column}" = "{value}"' for column, value in meant)) if part]
    if len(filters) > 1 and where and re.search(r"\bor\b", where, re.IGNORECASE):
        return None
    line = names.without({column for column, _ in meant}, line)
    question = _top(line, names) or _sorted(line, names) or _columns(line, names) or _folded(line, names)
    question = question or _counted(line, names, bool(filters)) or _listed(line, names, bool(filters))
    return replace(question, where=" and ".join(filters) or None) if question else None


class _Names:
    """The columns of a table, as they may stand in a sentence."""

    def __init__(self, table: Table) -> None:
        self.table = table
        # Plurals too: the average of all prices.
        self.source = rf"(?:the |all |their )?[\"'`]?(?P<name>(?:{column_pattern(table)}))(?:e?s)?(?![^\W_])[\"'`]?(?: (?:column|field)\b)?"
        self.pattern = re.compile(rf"(?<![^\W_]){self.source}", re.IGNORECASE)

    def all_in(self, line: str) -> list[str]:
        return list(dict.fromkeys(name for name, _, _ in self.places(line)))

    def places(self, line: str) -> list[tuple[str, int, int]]:
        """Return each mention of a column with where it begins and ends."""
        found = self.pattern.finditer(_singular(line))
        return [(self.table.column(match["name"]), match.start(), match.end()) for match in found]

    def after(self, words: str, line: str) -> tuple[str, int, int] | None:
        """Return the column named right behind some words, and where the words begin and the name ends."""
        found = re.search(rf"\b{words}\s+{self.source}", _singular(line), re.IGNORECASE)
        return (self.table.column(found["name"]), found.start(), found.end()) if found else None

    def without(self, columns: set[str], line: str) -> str:
        """Return the line without mentions of these columns."""
        for column, start, end in reversed(self.places(line)):
            if column in columns:
                line = f"{line[:start]} {line[end:]}"
        return " ".join(line.split())


def _singular(line: str) -> str:
    """Turn `categories` into `category`, keeping offsets, so that it is found as a column."""
    return re.sub(r"([a-z]{2})ies\b", lambda found: f"{found[1]}y  ", line)


def _cut_where(text: str, names: _Names) -> tuple[str | None, str]:
    """Return the filter and the text without it; the filter goes on to the groups, the data's name or the end."""
    start = re.search(rf"\b{_WHERE}\s+(?:the\s+)?(?={names.source}{_OPERATOR_AHEAD})", text, re.IGNORECASE)
    if not start:
        return None, text
    rest = text[start.end() :]
    stop = re.search(
        rf"[,;]?\s+(?:{_GROUP}|{_SORT})\s+{names.source}|,?\s+{_ABOUT_DATA.pattern}|[,;]\s+(?:what|how|which)\b",
        rest,
        re.IGNORECASE,
    )
    end = stop.start() if stop else len(rest)
    return rest[:end].strip(" .,;"), f"{text[: start.start()]} {rest[end:]}"


def _cells_meant(line: str, names: _Names, data: str) -> list[tuple[str, str]] | None:
    """Return the columns and cells that unknown words name, as in `paid orders`; None if a word stays unknown.

    Each cell must belong to one column only, and no two to the same.
    """
    bare = names.without(set(names.table.columns), line)
    unknown = {word for word in _words(bare) if not _TOP.search(line) or whole_number(word) is None}
    if not unknown:
        return []
    lowered = data.lower()
    if any(word not in lowered for word in unknown):
        return None
    meant: dict[str, str] = {}
    for cell, columns in _cells(read_table(data), unknown).items():
        if not re.search(rf"(?<![^\W_]){re.escape(cell.lower())}(?![^\W_])", line):
            continue
        if len(columns) != 1 or columns & meant.keys() or '"' in cell:
            return None
        meant[next(iter(columns))] = cell
        unknown -= set(_words(cell.lower()))
    return None if unknown else list(meant.items())


def _words(text: str) -> Iterable[str]:
    return (word for word in map(str, _WORD.findall(text)) if word.rstrip(".'’-") not in _PLAIN)


def _cells(table: Table, unknown: set[str]) -> dict[str, set[str]]:
    """Return the texts of cells that hold one of the words, the longest first, with the columns they stand in."""
    found: dict[str, set[str]] = {}
    for row in table.rows:
        for column, cell in row.items():
            if (
                isinstance(cell, str)
                and len(cell) <= 60
                and number(cell) is None
                and unknown & set(_WORD.findall(cell.lower()))
            ):
                found.setdefault(cell, set()).add(column)
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _top(line: str, names: _Names) -> Question | None:
    """Read `top 3 products by price`."""
    found = _TOP.search(line)
    if not found:
        return None
    by = names.after(rf"(?:{_SORT}|by|with the (?:highest|lowest|most|least|largest|smallest))", line)
    way = found["way"] or found["way2"]
    others = [name for name in names.all_in(line) if not by or name != by[0]]
    sort_by = by[0] if by else (others.pop() if len(others) == 1 and way not in ("top", "bottom") else None)
    if sort_by is None or len(others) > 1:
        return None
    return Question(
        operations=("values" if others else "rows",),
        column=others[0] if others else None,
        sort_by=sort_by,
        descending=way not in _LOW,
        limit=whole_number(found["count"] or found["count2"]),
    )


def _sorted(line: str, names: _Names) -> Question | None:
    by = names.after(_SORT, line)
    if not by:
        return None
    others = [name for name in names.all_in(line[: by[1]]) if name != by[0]]
    if len(others) > 1 or names.all_in(line[by[2] :]):
        return None
    column = others[0] if others else None
    descending = bool(_DESCENDING.search(line))
    return Question(operations=("values" if column else "rows",), column=column, sort_by=by[0], descending=descending)


def _columns(line: str, names: _Names) -> Question | None:
    if not _COLUMNS.search(line) or names.pattern.search(line):
        return None
    return Question(operations=("columnCount" if _COUNT.search(line) else "columns",))


def _grouped(line: str, names: _Names) -> tuple[str | None, str]:
    """Return the column that groups, and the line without it."""
    found = names.after(_GROUP, line)
    return (found[0], f"{line[: found[1]]} {line[found[2] :]}") if found else (None, line)


def _folded(line: str, names: _Names) -> Question | None:
    group, rest = _grouped(line, names)
    columns = names.all_in(rest)
    bare = names.without(set(names.table.columns), rest)
    found = sorted((match.span(), name) for name, pattern in _FOLD.items() if (match := pattern.search(bare)))
    if not found:
        return None
    operations = tuple(name for _, name in found)
    if len(found) == 1 and not group and (extreme := _extreme(operations[0], rest, columns, names)):
        return extreme
    if re.search(r"\bwho\b|\bwhich\b(?! (?:is|are)\b)", bare):
        return None  # somebody is asked for, not the number
    between = [bare[end:start] for ((_, end), _), ((start, _), _) in pairwise(found)]
    if not all(_JOINT.fullmatch(words) for words in between):
        return None  # the highest average is neither the highest nor the average
    return Question(operations=operations, column=columns[0], group_by=group) if len(columns) == 1 else None


_JOINT = re.compile(r"(?:\s*,?\s*\band\b\s*|\s*[,&/]\s*)(?:the )?(?:the )?")
_WHICH = re.compile(r"\b(?:which|what|who|find|name|show|get|tell me)\b")
_PERSON = re.compile(
    r"(?i)^(?:(?:full|first|user|customer|employee|student|player)[ _]?)?name$|^(?:customer|user|person|employee|student|player|client)$"
)
_IMPLIED = {"cheapest": r"price|cost", "most expensive": r"price|cost"}


def _extreme(fold: str, line: str, columns: list[str], names: _Names) -> Question | None:
    """Read `which product has the highest price` and `the cheapest product`: who has it, not how much it is."""
    word = _FOLD[fold].search(line)
    if fold not in ("max", "min") or not word or not _WHICH.search(line):
        return None
    places = names.places(line)
    deciding = [name for name, start, _ in places if start >= word.end() - 1]
    asked = [name for name, start, _ in places if start < word.start()]
    named = [column for column in names.table.columns if _PERSON.search(column)]
    if word[0] in _IMPLIED and not asked:
        asked = deciding or named
        deciding = [column for column in names.table.columns if re.search(_IMPLIED[word[0]], column, re.IGNORECASE)]
    elif not asked and re.search(r"\b(?:which|who)\b", line[: word.start()]):
        asked = named
    if len(asked) != 1 or len(deciding) != 1 or asked == deciding or set(columns) - {*asked, *deciding}:
        return None
    return Question(operations=(f"arg{fold}",), column=asked[0], sort_by=deciding[0])


def _counted(line: str, names: _Names, filtered: bool) -> Question | None:
    group, rest = _grouped(line, names)
    columns = names.all_in(rest)
    counted = bool(_COUNT.search(rest))
    if _DISTINCT.search(rest):
        operation = "distinct_count" if counted else "distinct"
        listed_by_group = group and not counted
        if len(columns) != 1 or listed_by_group:
            return None
        return Question(operations=(operation,), column=columns[0], group_by=group)
    if not counted or len(columns) > 1:
        return None
    if columns:  # how many customers are there: each counts once; but as many prices as there are
        numbers = [number(row.get(columns[0])) for row in names.table.rows if not is_missing(row.get(columns[0]))]
        operation = "count" if numbers and all(numbers) else "distinct_count"
        return Question(operations=(operation,), column=columns[0], group_by=group)
    named = group or filtered or not _NOUNS.isdisjoint(rest.split()) or "there" in rest
    return Question(operations=("count",), group_by=group) if named else None


_ORDERED = re.compile(
    r"\b(?:sort(?:ed)?|order(?:ed)? by|asc|desc|ascending|descending|top|bottom|first|last|group(?:ed)?)\b"
)


_WHAT = re.compile(r"what(?:'s|s| is| are| was| were)\b")


def _listed(line: str, names: _Names, filtered: bool) -> Question | None:
    columns = names.all_in(line)
    if (
        not (_LIST.search(line) or (filtered and _WHAT.match(line)))
        or _ORDERED.search(line)
        or len(columns) > 1
        or not (filtered or columns)
    ):
        return None
    return Question(operations=("values",) if columns else ("rows",), column=columns[0] if columns else None)
