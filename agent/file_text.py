"""The text of a file of a session's workspace, as `read-file` gives it and as a planner looks at it before it plans.

Reads and changes nothing, so it may be done again after a crash. In a worker's thread. Imported by the file skills and
by the run, which hands it to the planner.
"""

import mimetypes
from dataclasses import replace

from callboard.agent.cancel import Cancelled
from callboard.agent.documents.reading import (
    MAX_CHARS,
    WORKBOOKS,
    XLSX,
    CannotRead,
    Document,
    is_readable,
    read,
)
from callboard.agent.skill import SkillContext
from callboard.agent.workspace import Workspace

_DEFAULT_SECONDS = 20.0
_OTHER = "application/octet-stream"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


def text_of(
    path: str,
    ctx: SkillContext,
    *,
    offset: int = 0,
    max_chars: int | None = None,
    sheet: str | None = None,
    rendered: bool = False,
) -> Document:
    """Return the text of a file, all of it or an error, or with `max_chars` a part.

    `rendered` gives of HTML what a reader sees, as Markdown. Raises ValueError that names the file, `TaskError` for a path
    that is none of a file here; CannotRead with the names of a workbook's sheets where one has to be named.
    """
    data = Workspace(ctx.workspace, max_file_bytes=ctx.max_file_bytes).read(path)
    media_type = _looks_like(path, data, rendered=rendered)
    if sheet is not None and media_type not in WORKBOOKS:
        raise ValueError(f"{path} is no workbook, so it has no sheet {sheet[:100]!r}; leave sheet away.")
    most = len(data) if media_type == "text/plain" else offset + (max_chars or MAX_CHARS)
    seconds = _DEFAULT_SECONDS if ctx.remaining_s is None else min(_DEFAULT_SECONDS, ctx.remaining_s)
    try:
        document = read(data, media_type, sheet=sheet, max_chars=most, timeout_s=seconds, stop=ctx.cancel_event)
    except CannotRead as error:
        if error.sheets:
            raise CannotRead(f"{path}{str(error).removeprefix('The workbook')}", error.sheets) from error
        raise ValueError(_unreadable(path, media_type, str(error))) from error
    part = document.text[offset:] if max_chars is None else document.text[offset : offset + max_chars]
    if len(part) > MAX_CHARS or (document.cut and max_chars is None):
        raise ValueError(
            f"{path} has more than {MAX_CHARS:,} characters; read it in parts, with offset and max_chars={MAX_CHARS}."
        )
    if document.faults and max_chars is None:
        raise ValueError(
            f"{path}, sheet {document.sheet}: {', '.join(document.faults)}. Such cells have no value to count with: mend "
            f"them and save the workbook again, or have them as text with max_chars={MAX_CHARS}."
        )
    return replace(document, text=part)


def look_at(path: str, sheet: str | None = None, *, ctx: SkillContext, rendered: bool = False) -> Document:
    """Return the whole text of a file for a planner; raise `Cancelled` where the task was ended meanwhile."""
    try:
        return text_of(path, ctx, sheet=sheet, rendered=rendered)
    except ValueError as error:
        if ctx.cancelled:
            raise Cancelled from error
        raise


def media_type_of(name: str) -> str:
    """Return what a name says of its file."""
    return _TYPES.get(name.rpartition(".")[2].lower()) or mimetypes.guess_type(name)[0] or _OTHER


# not known everywhere: mimetypes reads the machine's own tables too
_TYPES = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "md": "text/markdown",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "toml": "application/toml",
    "jsonl": "application/x-ndjson",
    "ndjson": "application/x-ndjson",
    "py": "text/x-python",
    "log": "text/plain",
    "xlsx": XLSX,
}


def _looks_like(path: str, data: bytes, *, rendered: bool) -> str:
    """Return what a file is read as, by how it begins, and what it is called only for HTML that is to be rendered."""
    if data.startswith(b"%PDF-"):
        return "application/pdf"
    if data.startswith(b"PK\x03\x04"):
        return XLSX
    if data.startswith(_OLE):
        raise ValueError(
            f"{path} is a workbook that asks for a password; save it without one."
            if _ENCRYPTED in data
            else f"{path} is of an old Office format, such as XLS, which cannot be read; save it as XLSX or CSV."
        )
    return "text/html" if rendered and media_type_of(path) == "text/html" else "text/plain"


def _unreadable(path: str, media_type: str, why: str) -> str:
    if media_type != "text/plain":
        return f"{path} cannot be read as text. {why}"
    kind = media_type_of(path)
    return f"{path} cannot be read as text." if is_readable(kind) or kind == _OTHER else f"{path} is {kind}, not text."
