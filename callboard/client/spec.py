"""A task as the client's caller writes it, as a body of `POST /agent/execute`.

Pure but for reading the files that are attached; any thread. Imported by `callboard.client`, and
by the command line, which submits tasks without a server too.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from callboard.budget import Budget
from callboard.task_spec import Attachment, RetryPolicy

AttachmentLike = Attachment | str | os.PathLike[str]
"""An attachment, or the path of a file to attach."""

_MEDIA_TYPES = {
    ".csv": "text/csv",
    ".gif": "image/gif",
    ".htm": "text/html",
    ".html": "text/html",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".tsv": "text/tab-separated-values",
    ".webp": "image/webp",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".xls": "application/vnd.ms-excel",
    ".xlsm": "application/vnd.ms-excel.sheet.macroEnabled.12",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}


class TaskFields(TypedDict, total=False):
    """What a task may have beside its text; docs/api.md says what each means. None is the same as absent."""

    session_id: str | None
    system_prompt: str | None
    available_skills: Sequence[str] | None
    agent: str | None
    labels: Mapping[str, str | int | float] | None
    timeout_ms: int | None
    priority: int | None
    budget: Budget | Mapping[str, Any] | None
    retry: RetryPolicy | Mapping[str, Any] | None
    callback_url: str | None
    attachments: Sequence[AttachmentLike] | None


def body_of(task: str, fields: TaskFields) -> dict[str, Any]:
    """Return the body that submits a task; raise `TypeError` for a field that no task has, `OSError` for a file."""
    unknown = fields.keys() - TaskFields.__annotations__.keys()
    if unknown:
        known = ", ".join(TaskFields.__annotations__)
        raise TypeError(f"a task has no {', '.join(sorted(unknown))}; there are {known}")
    given = {name: value for name, value in fields.items() if value is not None}
    return {"task": task, **{to_camel(name): _wire(name, value) for name, value in given.items()}}


def _wire(name: str, value: Any) -> Any:
    if name == "attachments":
        return [_attachment(file) for file in value]
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True, exclude_none=True, mode="json")
    if name == "labels":
        return dict(value)  # the names are the caller's own
    if isinstance(value, Mapping):
        return {to_camel(key): entry for key, entry in value.items()}
    return list(value) if name == "available_skills" else value


def _attachment(file: AttachmentLike) -> dict[str, Any]:
    if isinstance(file, Attachment):
        return file.model_dump(by_alias=True, exclude_none=True)
    path = Path(file)
    media_type = _MEDIA_TYPES.get(path.suffix.lower(), "text/plain")  # the server looks whether it is text
    return {"name": path.name, "mediaType": media_type, "data": base64.b64encode(path.read_bytes()).decode()}
