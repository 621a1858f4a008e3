"""Files that come with a task: checked when it is posted, put into the session's workspace when it begins.

`check_attachments` runs in the gateway's thread and touches nothing but its arguments; `materialise` runs in a worker's.
Imported by the gateway's admission and by `attached.py`.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from callboard.agent.cancel import Cancelled
from callboard.agent.documents.charsets import is_text
from callboard.agent.documents.reading import WORKBOOKS, is_textual
from callboard.agent.fetch.client import FetchFailed, FetchLimits, fetch
from callboard.agent.fetch.target import FetchRefused, check_host
from callboard.agent.models.base import Image
from callboard.agent.skill import SkillContext
from callboard.agent.workspace import Workspace, parts_of
from callboard.errors import AttachmentRefused, TaskError
from callboard.messages import AttachedFile, Json
from callboard.settings import Settings
from callboard.task_spec import Attachment

IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""The pictures that models take."""

FETCH_TIMEOUT_S = 60.0
"""Longest time that getting one attachment from its address takes."""


_OTHER_WORKBOOKS = frozenset(
    {
        "application/vnd.ms-excel",
        "application/vnd.ms-excel.sheet.binary.macroenabled.12",
        "application/vnd.oasis.opendocument.spreadsheet",
    }
)
_OLE = b"\xd0\xcf\x11\xe0"
"""How an XLS begins, and an XLSX with a password."""

NOTE = ".attached-"
"""What the name begins with of the file that says that a task's attachments are there; the task's id follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """Files of the workspace, as the prompt lists them (`name`, `mediaType`, `size`), and pictures for the model."""

    files: tuple[Mapping[str, Any], ...] = ()
    images: tuple[Image, ...] = ()


# --- when the task is posted ---


def check_attachments(
    specs: Sequence[Attachment], settings: Settings, *, takes_images: bool = True
) -> tuple[AttachedFile, ...]:
    """Return the files; raise `AttachmentRefused` naming the first one that cannot be used."""
    seen: set[str] = set()
    check_images(specs, takes_images=takes_images)
    for spec in specs:
        if spec.name.lower() in seen:  # some file systems tell no case apart
            raise AttachmentRefused(f"There are two attachments {spec.name!r}; give each a name of its own.")
        seen.add(spec.name.lower())
    return tuple(check_attachment(spec, settings) for spec in specs)


def check_images(files: Iterable[Attachment | AttachedFile], *, takes_images: bool) -> None:
    """Raise `AttachmentRefused` for the first image where the model takes none."""
    for file in files:
        if file.media_type.startswith("image/") and not takes_images:
            raise _refused(
                file,
                f"is an image ({file.media_type}), and the model that would work on the task takes none; leave it out, or "
                "have the server use a model that does (CALLBOARD_LLM_MODEL, CALLBOARD_LLM_IMAGES).",
            )


def described(files: Sequence[AttachedFile]) -> tuple[Mapping[str, Json], ...]:
    """Return what a task's record says of its files: all but the bytes."""
    return tuple(
        {"name": file.name, "mediaType": file.media_type}
        | ({"url": file.url} if file.data is None else {"size": len(file.data)})
        for file in files
    )


def check_attachment(spec: Attachment, settings: Settings) -> AttachedFile:
    """Return the file, its bytes decoded; raise `AttachmentRefused` naming it, what is wrong and what would do."""
    try:
        parts_of(spec.name)
    except TaskError as error:
        raise _refused(spec, f"has a name that cannot be used: {error.message}") from error
    if not _is_taken(spec.media_type):
        old = " Save it as XLSX or CSV (text/csv)." if spec.media_type.lower() in _OTHER_WORKBOOKS else ""
        raise _refused(
            spec,
            f"is {spec.media_type}; text, JSON, XML, YAML, PDF, XLSX and {', '.join(IMAGE_TYPES)} can be attached.{old}",
        )
    if (spec.data is None) == (spec.url is None):
        raise _refused(spec, "must have either data or url.")
    if spec.url is not None:
        return AttachedFile(name=spec.name, media_type=spec.media_type, url=_checked_url(spec, spec.url, settings))
    data = _decoded(spec, spec.data or "", settings.max_file_bytes)
    fault = _fault(data, spec.media_type)
    if fault:
        raise _refused(spec, f"{fault}; mend its mediaType, or its data.")
    return AttachedFile(name=spec.name, media_type=spec.media_type, data=data)


def _is_taken(media_type: str) -> bool:
    return (
        media_type in IMAGE_TYPES
        or media_type == "application/pdf"
        or media_type.lower() in WORKBOOKS
        or is_textual(media_type.lower())
    )


def _decoded(spec: Attachment, text: str, limit: int) -> bytes:
    too_large = _refused(spec, f"is larger than {limit} bytes, which is the limit (CALLBOARD_MAX_FILE_BYTES).")
    if len(text) > (limit + 2) // 3 * 4:
        raise too_large
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise _refused(spec, "has data that is not base64 (RFC 4648, section 4), with its padding.") from error
    if base64.b64encode(data).decode() != text:  # bits after the end, or padding in the middle
        raise _refused(spec, "has data that is not base64 as RFC 4648 writes it.")
    if len(data) > limit:
        raise too_large
    return data


def _checked_url(spec: Attachment, url: str, settings: Settings) -> str:
    try:
        check_host(urlsplit(url).hostname or "", allow_private=settings.fetch_allow_private)
    except FetchRefused as error:
        raise _refused(spec, f"cannot be got: {error}") from error
    return url


def _refused(spec: Attachment | AttachedFile, why: str) -> AttachmentRefused:
    return AttachmentRefused(f"The attachment {spec.name!r} {why}", details={"attachment": spec.name})


def _fault(data: bytes, media_type: str) -> str | None:
    """Say how a file's bytes are not of the type that it is said to be; None where they may be."""
    begins = {
        "image/png": data.startswith(b"\x89PNG\r\n\x1a\n"),
        "image/jpeg": data.startswith(b"\xff\xd8\xff"),
        "image/gif": data.startswith((b"GIF87a", b"GIF89a")),
        "image/webp": data[:4] == b"RIFF" and data[8:12] == b"WEBP",
        "application/pdf": b"%PDF-" in data[:1024],
        **dict.fromkeys(WORKBOOKS, data.startswith(b"PK\x03\x04")),
    }
    if begins.get(media_type.lower(), is_text(data)):
        return None
    if media_type.lower() in WORKBOOKS and data.startswith(_OLE):
        return "is an XLS, or has a password, and neither can be read; save it as XLSX without one, or as CSV"
    return f"says that it is {media_type}, and its bytes are not"


# --- when the task begins ---


def materialise(files: Iterable[AttachedFile], ctx: SkillContext) -> Attached:
    """Put the files into the session's workspace; return what there is, with the pictures for the model.

    Done once a task: a later attempt leaves the files as the task's code has left them. Pictures with their bytes are
    kept out of the workspace, those from an address are kept in it, so that a later attempt shows the model the same
    ones. Raises `TaskError` `attachment_unavailable` where an address does not give its file.
    """
    given = tuple(files)
    workspace = Workspace(ctx.workspace, max_file_bytes=ctx.max_file_bytes)
    note = f"{NOTE}{ctx.task_id}"
    noted = workspace.noted(note)
    listed, images = [], []
    for file in given:
        data = _bytes_of(file, workspace, ctx, again=noted is not None)
        if file.is_image:
            images.append(Image(media_type=file.media_type, data=data))
        listed.append({"name": file.name, "mediaType": file.media_type, "size": len(data)})
    if noted is None:
        workspace.note(note, b"")
    return Attached(files=tuple(listed), images=tuple(images))


def _bytes_of(file: AttachedFile, workspace: Workspace, ctx: SkillContext, *, again: bool) -> bytes:
    """Return a file's bytes and have it where it belongs; `again` leaves what is there as it is."""
    if ctx.cancelled:
        raise Cancelled
    if again and file.data is None:
        with suppress(TaskError):  # its name was taken, or it was deleted
            kept = workspace.read(file.name)
            if not file.is_image or _fault(kept, file.media_type) is None:
                return kept
    data = _fetched(file, ctx) if file.data is None else file.data
    if not again and (file.data is None or not file.is_image):
        try:
            workspace.write(file.name, data)
        except TaskError as error:
            raise _unavailable(file, f"it cannot be kept: {error.message}") from error
    return data


def _fetched(file: AttachedFile, ctx: SkillContext) -> bytes:
    limits = FetchLimits(
        max_bytes=ctx.max_file_bytes,
        timeout_s=FETCH_TIMEOUT_S if ctx.remaining_s is None else min(FETCH_TIMEOUT_S, ctx.remaining_s),
        allow_private=ctx.fetch_allow_private,
        accept=f"{file.media_type}, */*;q=0.5",
        stop=ctx.cancel_event,
    )
    try:
        data = fetch(file.url or "", limits).body
    except (FetchRefused, FetchFailed) as error:
        if ctx.cancelled:
            raise Cancelled from error
        raise _unavailable(file, str(error), retryable=getattr(error, "retryable", False)) from error
    fault = _fault(data, file.media_type)
    if fault:
        raise _unavailable(file, f"it {fault}.")
    return data


def _unavailable(file: AttachedFile, why: str, *, retryable: bool = False) -> TaskError:
    return TaskError("attachment_unavailable", f"The attachment {file.name!r}: {why}", retryable=retryable)
