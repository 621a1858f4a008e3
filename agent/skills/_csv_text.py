"""CSV, TSV and Markdown tables as a header and rows of texts, read strictly: what does not fit is named, never mended.

Pure functions; any thread; imported by `_tables`.
"""

import csv
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

from callboard.agent.cancel import let_go
from callboard.agent.skills._table_limits import check_size

_SEPARATORS = "\t;,|"
# The possessive quantifiers matter: blanks could be shared out in many ways otherwise.
_RULE = re.compile(r"\s*+\|?+\s*+:?+-++:?+\s*+(?:\|\s*+:?+-++:?+\s*+)*+\|?+\s*+")
_SEP_LINE = re.compile(r"\"?sep=([,;\t|])\"?[ \t]*(?:\r\n|\r|\n)", re.IGNORECASE)
_BREAK = re.compile(r"\r\n|\r|\n")
_BAR = re.compile(r"(?<!\\)\|")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_FIGURE = re.compile(r"[-+]?\d+(?:[.,]\d+)?")
_YEAR = re.compile(r"(?:19|20)\d\d")
_PROBE_ROWS = 30
_SHOWN_CHARS = 60


class Grid(NamedTuple):
    """A header, the rows below it, the line each of them begins in (from 1), and the separator in use."""

    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    separator: str


def read_grid(text: str) -> Grid:
    """Return the table in a text without a byte-order mark; raise `ValueError` naming the line that cannot be read."""
    blank = len(text) - len(text.lstrip("\r\n"))
    first = len(_BREAK.findall(text[:blank]))
    text = text[blank:]
    said = _SEP_LINE.match(text)
    if said:
        first, text = first + 1, text[said.end() :]
    lines = _BREAK.split(text, 2)
    ruled = len(lines) > 1 and "|" in lines[0] and _RULE.fullmatch(lines[1]) and "-" in lines[1]
    if not said and (ruled or lines[0].lstrip().startswith("|")):
        records, separator = list(_markdown(text)), "|"
    else:
        separator = said[1] if said else _separator(text, lines[0])
        records = list(_records(text, separator))
    records = [(line + first, cells) for line, cells in records if any(cells)]
    if not records:
        raise ValueError("There is no data; put the CSV or JSON itself into the task.")
    (line, header), body = records[0], records[1:]
    rows = [cells for _, cells in body]
    header, rows = _fitted(header, rows, [number for number, _ in body], line)
    return Grid(header, rows, [number for number, _ in body], separator)


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    # PERF: csv reads a megabyte in 40 ms; it breaks lines at CR and LF only, so U+2028 is a character like any other
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    line = 1
    while True:
        let_go()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(_told(str(error), line)) from None
        yield line, [cell.strip() for cell in cells]
        line = reader.line_num + 1


def _told(error: str, line: int) -> str:
    if "unexpected end" in error:
        return f'The CSV cannot be read: the row in line {line} opens a quote (") that is never closed; close it, or double it.'
    if "expected after" in error:
        return f'The CSV cannot be read: in the row that begins in line {line} a quote (") is closed before the cell ends; double it.'
    return f"The CSV cannot be read at line {line}: {error}."


def _markdown(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield rows of cells between bars; Markdown has no quoting but `\\|`."""
    for number, line in enumerate(_BREAK.split(text), 1):
        let_go()
        if number == 2 and _RULE.fullmatch(line) and "-" in line:
            continue
        bare = line.strip()
        if not bare:
            continue
        bare = bare.removeprefix("|")
        if bare.endswith("|") and not bare.endswith("\\|"):
            bare = bare[:-1]
        yield number, [cell.strip().replace("\\|", "|") for cell in _BAR.split(bare)]


def _separator(text: str, header: str) -> str:
    """Return the separator under which the first rows have as many cells as the header.

    A tab goes before the others, since no text holds it by chance; where two of the others fit, nothing tells which.
    """
    bare = _QUOTED.sub("", header)
    candidates = [mark for mark in _SEPARATORS if mark in bare]
    if not candidates:
        return ","
    if len(candidates) == 1:
        return candidates[0]
    fitting = [mark for mark in candidates if _even(text, mark)]
    if fitting and fitting[0] == "\t":
        return "\t"
    if len(fitting) > 1:
        told = " or ".join(repr(mark) for mark in fitting)
        raise ValueError(
            f"The cells may be separated by {told}; put quotes around cells that hold the other, or begin with a line sep=;"
        )
    return fitting[0] if fitting else max(candidates, key=bare.count)


def _even(text: str, separator: str) -> bool:
    widths = set()
    try:
        for count, (_, cells) in enumerate(_records(text, separator)):
            if count == _PROBE_ROWS:
                break
            if any(cells):
                widths.add(len(cells))
    except ValueError:
        return False
    return len(widths) == 1


def _fitted(header: list[str], rows: list[list[str]], lines: list[int], line: int) -> tuple[list[str], list[list[str]]]:
    """Return a header of names and rows of as many cells; raise `ValueError` for what has others."""
    width = len(header)
    check_size(sum(map(bool, header)), len(rows))
    for number, cells in zip(lines, rows, strict=True):
        if len(cells) != width:
            if len(cells) > width and not any(cells[width:]):
                del cells[width:]  # a separator at the end of the line
                continue
            _check_title(header, rows, line)
            told = (
                "put quotes around cells that hold the separator"
                if len(cells) > width
                else "keep the separators of empty cells"
            )
            raise ValueError(f"Row {number} has {len(cells)} cells and there are {width} columns; {told}.")
    empty = {place for place, name in enumerate(header) if not name and not any(cells[place] for cells in rows)}
    if empty and len(empty) < width:
        header = [name for place, name in enumerate(header) if place not in empty]
        rows = [[cell for place, cell in enumerate(cells) if place not in empty] for cells in rows]
    return _named(header, line), rows


def _check_title(header: list[str], rows: list[list[str]], line: int) -> None:
    """Raise where the first line seems to be a title or a comment: the rows below agree with each other, not with it."""
    widths = {len(cells) for cells in rows}
    if len(rows) > 1 and len(widths) == 1 and (len(header) == 1 or header[0].startswith("#")):
        raise ValueError(
            f"Line {line} ({_cut(' '.join(header))!r}) has {len(header)} cells and all lines below have {widths.pop()}; "
            "leave out titles and comments above the line that names the columns."
        )


def _named(header: list[str], line: int) -> list[str]:
    names = [name.strip() for name in header]
    unnamed = [place for place, name in enumerate(names) if not name]
    if any(unnamed):  # beyond the first column, where an index stands
        raise ValueError(
            f"{_place(line)} must give each column a name of its own: column {max(unnamed) + 1} has none. "
            "If it is a title, leave it out."
        )
    if unnamed:
        names[0] = "index" if "index" not in map(str.lower, names) else "column 1"
    first: dict[str, int] = {}
    for place, name in enumerate(names):
        if first.setdefault(name, place) != place:
            raise ValueError(
                f"{_place(line)} must give each column a name of its own: {_cut(name)!r} is the name of columns "
                f"{first[name] + 1} and {place + 1}."
            )
    if len(names) > 1 and all(_FIGURE.fullmatch(name) and not _YEAR.fullmatch(name) for name in names):
        raise ValueError(
            f"{_place(line)} must name the columns, and it holds numbers ({_cut(', '.join(names))}); put a line of names above."
        )
    return names


def _place(line: int) -> str:
    return "The first line" if line == 1 else f"Line {line}"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
