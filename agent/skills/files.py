"""The skills `list-files`, `read-file`, `write-file` and `delete-file`: the session's own folder, nothing outside it.

Files that came with a task are there; what one task of a session writes, the next one reads. `agent/workspace.py` keeps
paths inside. Any thread.
"""

import mimetypes
from typing import Any

from callboard.agent.documents.reading import MAX_CHARS, CannotRead, is_readable, read
from callboard.agent.skill import SkillContext, skill
from callboard.agent.workspace import Workspace
from callboard.errors import TaskError

_DEFAULT_SECONDS = 20.0
_OTHER = "application/octet-stream"


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
def read_file(path: str, offset: int = 0, max_chars: int | None = None, *, ctx: SkillContext) -> str:
    """Return the text of a file of the session's workspace, that of a PDF too; `offset` and `max_chars` take a part of it.

    Raises ValueError for a file that is not text, and for one of more than 1,000,000 characters where no part is asked
    for: a table that was cut would add up to something else.
    """
    if offset < 0 or (max_chars is not None and not 1 <= max_chars <= MAX_CHARS):
        raise ValueError(f"Give an offset of at least 0 and a max_chars of 1 to {MAX_CHARS:,}.")
    workspace = _workspace(ctx)
    data = workspace.read(path)
    media_type = "application/pdf" if data.startswith(b"%PDF-") else "text/plain"
    most = len(data) if media_type == "text/plain" else offset + (max_chars or MAX_CHARS)
    seconds = _DEFAULT_SECONDS if ctx.remaining_s is None else min(_DEFAULT_SECONDS, ctx.remaining_s)
    try:
        document = read(data, media_type, max_chars=most, timeout_s=seconds, stop=ctx.cancel_event)
    except CannotRead as error:
        kind = media_type_of(path)
        what = (
            f"{path} cannot be read as text" if is_readable(kind) or kind == _OTHER else f"{path} is {kind}, not text"
        )
        raise ValueError(f"{what}. {error}" if media_type == "application/pdf" else f"{what}.") from error
    part = document.text[offset:] if max_chars is None else document.text[offset : offset + max_chars]
    if len(part) > MAX_CHARS or (document.cut and max_chars is None):
        raise ValueError(
            f"{path} has more than {MAX_CHARS:,} characters; read it in parts, with offset and max_chars={MAX_CHARS}."
        )
    return part


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
}


def _workspace(ctx: SkillContext) -> Workspace:
    if ctx.cancelled:
        raise TaskError("skill_failed", "The task has been ended.")
    return Workspace(ctx.workspace, max_file_bytes=ctx.max_file_bytes)
