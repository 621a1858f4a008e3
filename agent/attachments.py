"""Files that come with a task: checked and named when it is posted, put into the session's workspace when it begins.

`check_attachments` runs in the gateway's thread and touches nothing but its arguments; `materialise` runs in a worker's.
Imported by the gateway's admission and by `attached.py`.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from callboard.agent.cancel import Cancelled
from callboard.agent.documents.charsets import as_utf_8
from callboard.agent.documents.kinds import WrongKind, is_usable, kind_of, media_type_of, told, unreadable
from callboard.agent.documents.reading import is_textual
from callboard.agent.fetch.client import FetchFailed, FetchLimits, fetch
from callboard.agent.fetch.target import FetchRefused, check_host
from callboard.agent.models.base import Image
from callboard.agent.skill import SkillContext
from callboard.agent.workspace import Workspace
from callboard.errors import AttachmentRefused, TaskError
from callboard.file_names import NOTE, told_apart
from callboard.media_types import joined, split
from callboard.messages.tasks import AttachedFile
from callboard.settings import Settings
from callboard.task_spec import Attachment
from callboard.values import Json

FETCH_TIMEOUT_S = 60.0
"""Longest time that getting one attachment from its address takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """Files of the workspace, as the prompt lists them (`name`, `mediaType`, `size`), and pictures for the model."""

    files: tuple[Mapping[str, Any], ...] = ()
    images: tuple[Image, ...] = ()


# --- when the task is posted ---


def check_attachments(
    specs: Sequence[Attachment], settings: Settings, *, takes_images: bool = True
) -> tuple[AttachedFile, ...]:
    """Return the files, of which no two have one name; raise `AttachmentRefused` naming the first one that cannot be used."""
    names = told_apart([spec.name for spec in specs])
    files = tuple(replace(check_attachment(spec, settings), name=name) for spec, name in zip(specs, names, strict=True))
    check_images(files, takes_images=takes_images)
    return files


def check_images(files: Iterable[AttachedFile], *, takes_images: bool) -> None:
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
    if (spec.data is None) == (spec.url is None):
        raise _refused(spec, "must have either data or url.")
    if spec.url is not None:
        url = _checked_url(spec, spec.url, settings)
        return AttachedFile(name=spec.name, media_type=_promised(spec), url=url)
    data = _decoded(spec, spec.data or "", settings.max_file_bytes)
    try:
        return AttachedFile(name=spec.name, media_type=_told(spec, data), data=data)
    except WrongKind as error:
        raise _refused(spec, str(error)) from error


def _told(spec: Attachment, data: bytes) -> str:
    said, charset = split(spec.media_type)
    kind = told(spec.name, said, as_utf_8(data, charset))
    return joined(kind, charset if is_textual(kind) else None)


def _promised(spec: Attachment) -> str:
    """Return what a file will be that is not here yet: what is said of it, else what its name says."""
    said, charset = split(spec.media_type)
    kind = next((kind for kind in (said, media_type_of(spec.name)) if is_usable(kind)), None)
    if kind is None:
        raise _refused(spec, f"is {unreadable(said, media_type_of(spec.name))}; or mend its mediaType.")
    return joined(kind, charset if is_textual(kind) else None)


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
        listed.append({"name": file.name, "mediaType": split(file.media_type)[0], "size": len(data)})
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
            if not file.is_image or kind_of(kept) == file.media_type:
                return kept
    data = _fetched(file, ctx) if file.data is None else as_utf_8(file.data, split(file.media_type)[1])
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
        accept=f"{split(file.media_type)[0]}, */*;q=0.5",
        stop=ctx.cancel_event,
    )
    try:
        found = fetch(file.url or "", limits)
    except (FetchRefused, FetchFailed) as error:
        if ctx.cancelled:
            raise Cancelled from error
        raise _unavailable(file, str(error), retryable=getattr(error, "retryable", False)) from error
    kind, charset = split(file.media_type)
    data = as_utf_8(found.body, charset or found.charset) if is_textual(kind) else found.body
    try:
        told(file.name, kind, data)
    except WrongKind as error:
        raise _unavailable(file, f"it {error}") from error
    return data


def _unavailable(file: AttachedFile, why: str, *, retryable: bool = False) -> TaskError:
    return TaskError("attachment_unavailable", f"The attachment {file.name!r}: {why}", retryable=retryable)
