"""The skills `list-files`, `read-file`, `write-file` and `delete-file`: the session's own folder, nothing outside it.

Files that came with a task are there; what one task of a session writes, the next one reads. `agent/workspace.py` keeps
paths inside. Any thread.
"""

from typing import Any

from callboard.agent.documents.kinds import media_type_of
from callboard.agent.documents.reading import MAX_CHARS
from callboard.agent.file_text import text_of
from callboard.agent.skill import SkillContext, skill
from callboard.agent.workspace import Workspace
from callboard.errors import TaskError


@skill(replay="safe", permissions=("files",))
def list_files(folder: str = "", *, ctx: SkillContext) -> list[dict[str, Any]]:
    """List the files of the session's workspace: a list of dicts with the keys name (its path), size in bytes, mediaType and modified."""
    return [
        {
            "name": entry.name,
            "size": entry.size,
            "mediaType": media_type_of(entry.name),
            "modified": entry.modified.isoformat(timespec="seconds"),
        }
        for entry in _workspace(ctx).files(folder)
    ]


@skill(replay="safe", permissions=("files",))
def read_file(
    path: str,
    offset: int = 0,
    max_chars: int | None = None,
    sheet: str | None = None,
    rendered: bool = False,
    *,
    ctx: SkillContext,
) -> str:
    """Return the text of a file of the session's workspace, of a PDF too, of an XLSX as CSV; `offset` and `max_chars` take a part.

    `sheet` names a workbook's sheet where there are several; `rendered` gives of HTML what is seen of it, as Markdown. Raises
    ValueError for what is no text, for more than 1,000,000 characters, and for cells of a workbook without a value (`#DIV/0!`),
    where no part is asked for: a table that was cut would add up to something else.
    """
    if offset < 0 or (max_chars is not None and not 1 <= max_chars <= MAX_CHARS):
        raise ValueError(f"Give an offset of at least 0 and a max_chars of 1 to {MAX_CHARS:,}.")
    _check_not_ended(ctx)
    return text_of(path, ctx, offset=offset, max_chars=max_chars, sheet=sheet, rendered=rendered).text


@skill(replay="safe", permissions=("files",))
def write_file(path: str, text: str, *, ctx: SkillContext) -> dict[str, Any]:
    """Write a text into a file of the session's workspace, such as `report.md` or `data/a.csv`; what was in it is replaced.

    Returns a dict with the keys name and size. Raises TaskError `path_refused` for a path out of the workspace.
    """
    data = text.encode("utf-8", "replace")
    _workspace(ctx).write(path, data)
    return {"name": path, "size": len(data)}


@skill(replay="safe", permissions=("files",))
def delete_file(path: str, *, ctx: SkillContext) -> None:
    """Delete a file of the session's workspace, if it is there."""
    _workspace(ctx).delete(path)


def _check_not_ended(ctx: SkillContext) -> None:
    if ctx.cancelled:
        raise TaskError("skill_failed", "The task has been ended.")


def _workspace(ctx: SkillContext) -> Workspace:
    _check_not_ended(ctx)
    return Workspace(ctx.workspace, max_file_bytes=ctx.max_file_bytes)
