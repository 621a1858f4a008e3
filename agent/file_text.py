"""The text of a file of a session's workspace, as `read-file` gives it and as a planner looks at it before it plans.

Reads and changes nothing, so it may be done again after a crash. In a worker's thread. Imported by the file skills and
by the run, which hands it to the planner.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from callboard.agent.cancel import Cancelled
from callboard.agent.documents.charsets import is_text
from callboard.agent.documents.kinds import kind_of, media_type_of, unreadable
from callboard.agent.documents.reading import MAX_CHARS, PDF, WORKBOOKS, CannotRead, Document, read
from callboard.agent.skill import SkillContext, folder_of
from callboard.agent.workspace import Workspace

_DEFAULT_SECONDS = 20.0


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
    media_type = _read_as(path, data, rendered=rendered)
    if sheet is not None and media_type not in WORKBOOKS:
        raise ValueError(f"{path} is no workbook, so it has no sheet {sheet[:100]!r}; leave sheet away.")
    most = len(data) if media_type == "text/plain" else offset + (max_chars or MAX_CHARS)
    seconds = _DEFAULT_SECONDS if ctx.remaining_s is None else min(_DEFAULT_SECONDS, ctx.remaining_s)
    try:
        document = read(data, media_type, sheet=sheet, max_chars=most, timeout_s=seconds, stop=ctx.cancel_event)
    except CannotRead as error:
        if error.sheets:
            raise CannotRead(f"{path}{str(error).removeprefix('The workbook')}", error.sheets) from error
        raise ValueError(f"{path} cannot be read as text. {error}") from error
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


def kept_files(ctx: SkillContext) -> tuple[Mapping[str, Any], ...]:
    """Return the files of the session's workspace, as planners are given files: `name`, `mediaType` and `size`."""
    if ctx.workspace_root is None or not (ctx.workspace_root / folder_of(ctx.session_id)).is_dir():
        return ()  # to ask for the workspace would make it
    entries = Workspace(ctx.workspace, max_file_bytes=ctx.max_file_bytes).files()
    return tuple({"name": entry.name, "mediaType": media_type_of(entry.name), "size": entry.size} for entry in entries)


def _read_as(path: str, data: bytes, *, rendered: bool) -> str:
    """Return what a file is read as: what it is by its bytes, and what it is called only for HTML that is to be rendered."""
    named = media_type_of(path)
    kind = kind_of(data, expected=named)
    if kind == PDF or kind in WORKBOOKS:
        return kind
    if kind is not None or not is_text(data):
        raise ValueError(f"{path} is {unreadable(kind, named)}.")
    return "text/html" if rendered and named == "text/html" else "text/plain"
