"""Reads one sheet of an XLSX workbook as CSV; run by `_reader.py`, within its process and its limits, and never imported.

A value is what the file holds of it: nothing is calculated, and neither macros nor links to other files are followed. What
is no value (an error, a formula whose result was not saved) is told, since it would count as one, or as an empty cell.
"""

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl  # type: ignore[import-untyped]
from openpyxl.utils import get_column_letter  # type: ignore[import-untyped]
from openpyxl.utils.escape import unescape  # type: ignore[import-untyped]
from openpyxl.worksheet._reader import (  # type: ignore[import-untyped]
    FORMULA_TAG,
    WorkSheetParser,
)

MAX_UNPACKED_BYTES = 500_000_000
"""Most that a workbook unpacks to; a row of CSV takes some ten times as much XML."""

_SHOWN = 3
_NOT_SAVED = "unsaved"
_EXACT = 10**15
"""From here on not every whole number is a float."""


def read(data: bytes, sheet: str | None, max_chars: int) -> dict[str, Any]:
    """Return a sheet's `text`, its name, those of all `sheets`, its `faults` and the `merged` cells that go over rows.

    Without a name it is the one visible sheet that holds anything. Raises ValueError that says what is wrong.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        _check(archive)
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    chosen = _chosen(book, sheet)
    rows, faults, merged, cut = _content(book, chosen, max_chars)
    text = _csv(rows, max_chars)
    return {
        "text": text,
        "title": None,
        "cut": cut or len(text) > max_chars,
        "sheet": chosen.title,
        "sheets": [each.title for each in book.worksheets],
        "faults": faults,
        "merged": merged,
    }


def _check(archive: zipfile.ZipFile) -> None:
    """Raise ValueError for what is a zip archive and no workbook, and for what unpacks to too much."""
    names = {entry.filename for entry in archive.infolist()}
    if "mimetype" in names and b"opendocument" in archive.read("mimetype")[:200]:
        raise ValueError("it is an OpenDocument file; save it as XLSX or CSV")
    if "xl/workbook.bin" in names:
        raise ValueError("it is an XLSB workbook; save it as XLSX or CSV")
    if "[Content_Types].xml" not in names or not any(name.startswith("xl/") for name in names):
        raise ValueError("it is a zip archive and no XLSX workbook")
    if any(entry.flag_bits & 1 for entry in archive.infolist()):
        raise ValueError("it asks for a password")
    # SECURITY: no more than this is ever taken out of an entry, whatever it really unpacks to
    if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED_BYTES:
        raise ValueError(f"it unpacks to more than {MAX_UNPACKED_BYTES:,} bytes")


# --- which sheet ---


class SheetUnclear(ValueError):
    """No sheet, or several ones; `sheets` are those that can be named. The message goes on from the workbook's name."""

    def __init__(self, message: str, sheets: list[str]) -> None:
        super().__init__(message)
        self.sheets = sheets


def _chosen(book: Any, name: str | None) -> Any:
    sheets = book.worksheets
    titles = [sheet.title for sheet in sheets]
    known = ", ".join(f"{sheet.title!r}" + (" (hidden)" if _hidden(sheet) else "") for sheet in sheets)
    if name is not None:
        for same in (str, _plain):
            found = [sheet for sheet in sheets if same(sheet.title) == same(name)]
            if len(found) == 1:
                return found[0]
        raise SheetUnclear(f"has no sheet {name[:100]!r}; there are {known}", titles)
    filled = [sheet for sheet in sheets if not _hidden(sheet) and _is_filled(book, sheet)]
    if len(filled) == 1:
        return filled[0]
    if not filled:
        raise SheetUnclear(f"holds nothing in a sheet that is shown; there are {known}", titles)
    raise SheetUnclear(f"has several sheets, {known}; name one of them", titles)


def _hidden(sheet: Any) -> bool:
    return str(sheet.sheet_state) != "visible"


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _is_filled(book: Any, sheet: Any) -> bool:
    return any(cell["value"] is not None for _, cells in _rows(book, sheet, []) for cell in cells)


# --- what is in it ---


class _Parser(WorkSheetParser):  # type: ignore[misc]  # it has no types
    """Tells a formula without a result from an empty cell: spreadsheet programs save results, libraries do not."""

    def parse_cell(self, element: Any) -> dict[str, Any]:
        cell: dict[str, Any] = super().parse_cell(element)
        formula = element.find(FORMULA_TAG)
        if formula is not None and cell["value"] is None and element.get("t", "n") == "n":
            return cell | {"data_type": _NOT_SAVED, "value": f"={formula.text or ''}"}
        return cell


def _rows(book: Any, sheet: Any, merged: list[Any]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield each row that is there, by its number; then put the merged ranges into `merged`.

    openpyxl's own rows are filled up to the size that the file states, which may be the largest there is.
    """
    with sheet._get_source() as source:
        parser = _Parser(
            source,
            sheet._shared_strings,
            data_only=True,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )
        yield from parser.parse()
        if parser.merged_cells is not None:
            merged += parser.merged_cells.mergeCell


def _content(
    book: Any, sheet: Any, max_chars: int
) -> tuple[list[tuple[int, dict[int, str]]], list[str], list[str], bool]:
    """Return the filled cells by row and column, the faults, the merged ranges, and whether there was more."""
    rows: list[tuple[int, dict[int, str]]] = []
    faults: list[str] = []
    ranges: list[Any] = []
    chars, wrong = 0, 0
    for number, cells in _rows(book, sheet, ranges):
        row: dict[int, str] = {}
        for cell in cells:
            if cell["value"] is None:
                continue
            row[cell["column"]] = _text(cell["value"])
            if cell["data_type"] in ("e", _NOT_SAVED):
                wrong += 1
                if wrong <= _SHOWN:
                    faults.append(f"{get_column_letter(cell['column'])}{cell['row']} {_fault(cell)}")
        if row:
            rows.append((number, row))
            chars += sum(map(len, row.values())) + max(row) - min(row) + 1
            if chars > max_chars:
                return rows, faults, [], True
    if wrong > _SHOWN:
        faults.append(f"and {wrong - _SHOWN} more cells are like that")
    first, last = (rows[0][0], rows[-1][0]) if rows else (0, 0)
    merged = [
        str(each.ref)
        for each in ranges
        if each.max_row > each.min_row and first <= each.max_row and each.min_row <= last
    ]
    return rows, faults, merged[:_SHOWN], False


def _fault(cell: dict[str, Any]) -> str:
    return "is a formula whose result was not saved" if cell["data_type"] == _NOT_SAVED else f"is {cell['value']}"


def _text(value: Any) -> str:
    """Return a cell's text: dates and times as ISO 8601, durations in hours, truth as TRUE and FALSE."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        seconds = abs(round(value.total_seconds()))
        sign = "-" if value < timedelta() else ""
        return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    text = str(value)
    text = str(unescape(text)) if "_x" in text else text
    return text.replace("\r\n", "\n").replace("\r", "\n")  # which csv would not put into quotes


def _csv(rows: list[tuple[int, dict[int, str]]], max_chars: int) -> str:
    """Return the cells as CSV, from the first filled row and column to the last ones, and little more than asked for."""
    if not rows:
        return ""
    out = io.StringIO()
    left, right = min(min(row) for _, row in rows), max(max(row) for _, row in rows)
    writer = csv.writer(out, lineterminator="\n")
    at = rows[0][0]
    for number, row in rows:
        while at < number and out.tell() <= max_chars:  # a row between that is empty
            out.write("," * (right - left) + "\n")
            at += 1
        if out.tell() > max_chars:
            break
        writer.writerow([row.get(column, "") for column in range(left, right + 1)])
        at += 1
    return out.getvalue()
