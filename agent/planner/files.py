"""The attached files as the planner sees them: what kind each is, what it holds, which sheet is meant, how it is described.

Any thread; imported by `attachments`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from callboard.agent.documents.reading import WORKBOOKS, CannotRead, Document
from callboard.agent.planner.base import MODELS, PlanRequest
from callboard.agent.planner.file_mentions import sheet_in
from callboard.agent.skills._languages import find_language
from callboard.agent.skills._tables import read_table
from callboard.errors import TaskError

_SAMPLE_LINES = 20
_TABLES = {
    "csv": "CSV", "tsv": "TSV", "tab": "TSV", "json": "JSON", "jsonl": "JSON lines", "ndjson": "JSON lines", "xlsx": "XLSX", "xlsm": "XLSX",
}  # fmt: skip
_TABLE_TYPES = {
    "text/csv": "CSV", "application/csv": "CSV", "text/tab-separated-values": "TSV", "application/json": "JSON",
    "application/x-ndjson": "JSON lines", "application/jsonl": "JSON lines", **dict.fromkeys(WORKBOOKS, "XLSX"),
}  # fmt: skip
_TEXTS = {"md": "Markdown", "markdown": "Markdown", "pdf": "PDF", "html": "HTML", "htm": "HTML"}


class AboutFile(TaskError):
    """A refusal that speaks of the file already."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that was looked at: `kind` is table, text or code, `expression` what reads it in the plan."""

    name: str
    size: int
    kind: str
    form: str
    content: str
    expression: str
    tag: str
    sheet: str | None = None
    merged: tuple[str, ...] = ()


def refused(sentence: str) -> AboutFile:
    """Return the error for a task that nothing is made of, which says so of the file."""
    return AboutFile("no_skill_fits", f"{sentence} {MODELS}")


def listed(request: PlanRequest) -> str:
    """Return the files by name, kind and size."""
    return ", ".join(
        f"{file['name']} ({_form(str(file['name']), str(file['mediaType']))}, {int(file['size']):,} bytes)"
        for file in request.files
    )


def looked_at(name: str, words: str, request: PlanRequest) -> tuple[File, str]:
    """Return the file, of a workbook the sheet that the words name, and the words without it; raise a refusal."""
    given = next(file for file in request.files if file["name"] == name)
    size, form = int(given["size"]), _form(name, str(given["mediaType"]))
    about = f"The file {name} ({form}, {size:,} bytes)"
    if str(given["mediaType"]).startswith("image/"):
        raise refused(f"{about} is a picture, which only a model can look at.")
    try:
        document, sheet, words = _document(name, words, request, rendered=form == "HTML")
    except CannotRead as error:  # which of its sheets is meant is not clear
        example = f"such as 'Describe sheet {error.sheets[0]} of {name}'"
        raise refused(f"{about}{str(error).removeprefix(name).rstrip('.')}, {example}.") from error
    except ValueError as error:
        raise refused(f"{about} cannot be used. {error}") from error
    if not document.text.strip():
        raise refused(f"{about} is empty.")
    kind, tag = _kind(name, form, document.text)
    options = f", sheet={sheet!r}" if sheet else ", rendered=True" if form == "HTML" else ""
    expression = f"read_file({name!r}{options})"
    return File(name, size, kind, form, document.text, expression, tag, document.sheet, document.merged), words


def _document(name: str, words: str, request: PlanRequest, *, rendered: bool) -> tuple[Document, str | None, str]:
    assert request.look is not None, "where files are attached, they can be looked at"
    try:
        document = request.look(name, rendered=rendered)
    except ValueError as error:
        sheet, without = sheet_in(words, getattr(error, "sheets", ()))
        if sheet is None:
            raise
        return request.look(name, sheet), sheet, without
    sheet, without = sheet_in(words, document.sheets)
    if sheet is None or sheet == document.sheet:
        return document, None, without
    return request.look(name, sheet), sheet, without


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def _form(name: str, media_type: str) -> str:
    """Return what a file is called: by its name, where that says so, else by its type."""
    ending = _ending(name)
    known = _TABLES.get(ending) or _TEXTS.get(ending) or _TABLE_TYPES.get(media_type.lower())
    language = find_language(ending) if ending else None
    return known or (language.name if language else None) or media_type


def _kind(name: str, form: str, content: str) -> tuple[str, str]:
    """Return what is asked of such a file, and how its content would be marked in a task."""
    language = find_language(_ending(name)) if _ending(name) else None
    if form in _TEXTS.values():
        return "text", "text"
    if form in _TABLES.values():
        return ("table", "csv") if form != "JSON" or _is_table(content) else ("text", "json")
    if language is not None:
        return "code", language.name
    return ("table", "csv") if _looks_like_table(content) else ("text", "text")


def _is_table(content: str) -> bool:
    try:
        read_table(content)
    except ValueError:
        return False
    return True


def _looks_like_table(content: str) -> bool:
    """Tell whether the first lines of a file that is not called a table all have as many separators."""
    lines = [line for line in content.split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES] if line.strip()]
    counts: Iterator[set[int]] = ({line.count(sign) for line in lines} for sign in ",;\t|")
    return len(lines) > 1 and any(len(found) == 1 and found != {0} for found in counts) and _is_table(content)


def described(file: File) -> str:
    """Return what a file is, in one sentence, with the columns of a table."""
    sheet = f", sheet {file.sheet}" if file.sheet else ""
    about = f"The file {file.name} ({file.form}, {file.size:,} bytes{sheet})"
    if file.kind == "code":
        return f"{about} is code."
    if file.form not in _TABLES.values() and file.kind == "text":
        return f"{about} is a text."
    try:
        table = read_table(file.content)
    except ValueError as error:
        return f"{about} cannot be read as a table: {error}"
    rows = f"{len(table.rows):,} row" + ("" if len(table.rows) == 1 else "s")
    return f"{about} has {rows} and the columns {', '.join(table.columns)[:500]}."
