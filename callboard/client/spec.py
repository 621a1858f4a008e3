"""A task as the client's caller writes it, as a body of `POST /agent/execute`.

Pure but for reading the files that are attached; any thread. Imported by `callboard.client`, and
by the command line, which submits tasks without a server too.
"""

import base64
import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from callboard.task_spec import Attachment, AttachmentLike, TaskFields

MAX_FILE_BYTES = 75_000_000
"""Largest file that is read: in base64 it fills the largest body that a server can be told to take."""


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
    name, data = file if isinstance(file, tuple) else (name_of(file), _content(Path(file)))
    # the server tells what it is, by the name and the bytes
    return {"name": name, "data": base64.b64encode(data).decode()}


def name_of(path: str | os.PathLike[str]) -> str:
    """Return what a file is called when it is attached: its name, with U+FFFD for bytes of it that are not UTF-8."""
    return os.fsencode(Path(path).name).decode("utf-8", "replace")


def _content(path: Path) -> bytes:
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):  # of a pipe or a device nobody knows whether it ends
        raise OSError(errno.EINVAL, "Not a regular file; write what it gives into one and attach that", str(path))
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise OSError(
            errno.EFBIG, f"Larger than {MAX_FILE_BYTES:,} bytes; give its address (url) instead of its bytes", str(path)
        )
    return data
