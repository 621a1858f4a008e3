"""Files that come with a task: what is taken, and what becomes of them."""

import base64
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard import SkillContext
from callboard.agent.attachments import check_attachment, check_attachments, materialise
from callboard.agent.cancel import Cancelled
from callboard.agent.skills.files import list_files, read_file
from callboard.errors import AttachmentRefused, TaskError
from callboard.messages import AttachedFile
from callboard.settings import Settings
from callboard.task_spec import Attachment
from tests.agent.documents.pdfs import pdf
from tests.agent.pages import Site, drip, page, serving

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
SAMPLES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0" + bytes(20),
    "image/gif": b"GIF89a" + bytes(20),
    "image/webp": b"RIFF\x10\0\0\0WEBPVP8 " + bytes(20),
    "application/pdf": pdf("x"),
    "text/csv": b"a,b\n1,2\n",
    "text/plain": "é".encode("latin-1"),
    "text/markdown": b"# x",
    "application/json": b"{}",
    "application/xml": b"<a/>",
    "application/yaml": b"a: 1",
    "text/html": b"",
}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(max_file_bytes=5000)


def spec(name: str = "a.csv", kind: str = "text/csv", data: bytes | str | None = b"a\n1\n", **more: Any) -> Attachment:
    text = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    return Attachment(name=name, media_type=kind, data=text, **more)


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_file_whose_bytes_are_of_its_type_is_taken(settings: Settings, kind: str) -> None:
    found = check_attachment(spec("file", kind, SAMPLES[kind]), settings)
    assert found == AttachedFile(name="file", media_type=kind, data=SAMPLES[kind])


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_picture_or_a_pdf_is_of_no_other_type(settings: Settings, kind: str) -> None:
    for other in SAMPLES.keys() - {kind}:
        if other.startswith("image/") or other == "application/pdf" or b"\0" in SAMPLES[kind]:
            with pytest.raises(AttachmentRefused, match=f"says that it is {other}, and its bytes are not"):
                check_attachment(spec("file", other, SAMPLES[kind]), settings)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (spec(data="not base64!"), "not base64"),
        (spec(data="YQ"), "not base64"),
        (spec(data="YR=="), "not base64"),
        (spec(data="YQ==\n"), "not base64"),
        (spec(data="-_-_"), "not base64"),
        (spec(data=bytes(5001)), "larger than 5000 bytes"),
        (spec(data="A" * 20_000_000), "larger than 5000 bytes"),
        (spec(data=None), "either data or url"),
        (spec(url="https://example.com/a.csv"), "either data or url"),
        (spec(kind="application/zip"), "is application/zip; text, JSON"),
        (spec(kind="image/svg+xml"), "is image/svg"),
        (spec(kind="video/mp4"), "is video/mp4"),
        (spec("a.csv "), "has a name that cannot be used"),
        (spec(data=None, url="http://127.0.0.1/a"), "not a public address"),
        (spec(data=None, url="http://169.254.169.254/"), "metadata"),
        (spec(data=None, url="http://localhost/a"), "not a public name"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_name(settings: Settings, made: Attachment, reason: str) -> None:
    with pytest.raises(AttachmentRefused, match=reason) as refused:
        check_attachment(made, settings)
    assert refused.value.message.startswith(f"The attachment {made.name!r} ")
    assert refused.value.details == {"attachment": made.name}


def test_two_files_of_one_name_are_refused_whatever_their_case(settings: Settings) -> None:
    with pytest.raises(AttachmentRefused, match=r"two attachments 'A\.csv'"):
        check_attachments([spec("a.csv"), spec("A.csv")], settings)
    assert len(check_attachments([spec("a.csv"), spec("b.csv")], settings)) == 2


@given(st.binary(max_size=300))
def test_every_file_of_text_arrives_as_it_was_sent(data: bytes) -> None:
    settings = Settings()
    try:
        assert check_attachment(spec(data=data), settings).data == data
    except AttachmentRefused:
        assert b"\0" in data


# --- when the task begins ---


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as running:
        yield running


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., SkillContext]:
    def make(**changes: Any) -> SkillContext:
        given = {"task_id": "t1", "session_id": "s", "effect_id": "e", "workspace_root": tmp_path}
        return SkillContext(**{**given, "fetch_allow_private": True, "max_file_bytes": 5000, **changes})

    return make


def csv(data: bytes = b"a\n1\n", name: str = "a.csv") -> AttachedFile:
    return AttachedFile(name=name, media_type="text/csv", data=data)


def test_files_are_in_the_workspace_and_pictures_go_to_the_model(context: Callable[..., SkillContext]) -> None:
    ctx = context()
    picture = AttachedFile(name="a.png", media_type="image/png", data=PNG)
    found = materialise((csv(), picture), ctx)
    assert found.files == (
        {"name": "a.csv", "mediaType": "text/csv", "size": 4},
        {"name": "a.png", "mediaType": "image/png", "size": len(PNG)},
    )
    assert [(image.media_type, image.data) for image in found.images] == [("image/png", PNG)]
    assert [entry["name"] for entry in list_files(ctx=ctx)] == ["a.csv"]
    assert read_file("a.csv", ctx=ctx) == "a\n1\n"


def test_what_the_tasks_code_has_changed_stays_when_the_task_goes_on(context: Callable[..., SkillContext]) -> None:
    ctx = context()
    first = materialise((csv(),), ctx)
    (ctx.workspace / "a.csv").write_text("changed")
    assert materialise((csv(),), ctx) == first
    assert read_file("a.csv", ctx=ctx) == "changed"


def test_a_crash_in_the_middle_is_made_up_for(
    context: Callable[..., SkillContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = context()
    (ctx.workspace / "a.csv").write_text("of an earlier task")
    monkeypatch.setattr(os, "replace", lambda *_args, **_more: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        materialise((csv(),), ctx)
    monkeypatch.undo()
    materialise((csv(),), ctx)
    assert read_file("a.csv", ctx=ctx) == "a\n1\n"


def test_the_next_task_of_the_session_brings_its_own(context: Callable[..., SkillContext]) -> None:
    materialise((csv(b"old"),), context())
    materialise((csv(b"new"),), context(task_id="t2"))
    assert read_file("a.csv", ctx=context()) == "new"


def test_of_many_tasks_notes_only_the_last_hundred_stay(context: Callable[..., SkillContext]) -> None:
    for n in range(105):
        materialise((csv(),), context(task_id=f"t{n}"))
    assert len(names_in(context().workspace)) == 101


def test_a_file_by_its_address_is_got_once(context: Callable[..., SkillContext], site: Site) -> None:
    site.pages["/a"] = page(b"a\n2\n", "application/octet-stream")
    site.pages["/p"] = page(PNG, "image/png")
    files = (
        AttachedFile(name="a.csv", media_type="text/csv", url=f"{site.url}/a"),
        AttachedFile(name="p.png", media_type="image/png", url=f"{site.url}/p"),
    )
    first = materialise(files, context())
    assert read_file("a.csv", ctx=context()) == "a\n2\n"
    assert first.images[0].data == PNG
    site.pages.clear()
    assert materialise(files, context()) == first
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    ("sent", "reason", "retryable"),
    [
        (page(b"", status=404), "has no such page", False),
        (page(b"", status=503), "status 503", True),
        (page(b"<html>", "image/png"), "says that it is image/png, and its bytes are not", False),
        (page(PNG + bytes(5000), "image/png"), "more than 5000 bytes", False),
    ],
)
def test_an_address_that_does_not_give_its_file_fails_the_task(
    context: Callable[..., SkillContext], site: Site, sent: Any, reason: str, retryable: bool
) -> None:
    site.pages["/"] = sent
    with pytest.raises(TaskError, match=reason) as failed:
        materialise((AttachedFile(name="p.png", media_type="image/png", url=f"{site.url}/"),), context())
    assert failed.value.code == "attachment_unavailable"
    assert failed.value.message.startswith("The attachment 'p.png': ")
    assert failed.value.retryable is retryable
    assert list_files(ctx=context()) == []


def test_an_address_that_has_become_private_is_refused(context: Callable[..., SkillContext], site: Site) -> None:
    with pytest.raises(TaskError, match="not a public address") as failed:
        materialise((AttachedFile(name="a", media_type="text/csv", url=site.url),), context(fetch_allow_private=False))
    assert failed.value.code == "attachment_unavailable"


def test_a_cancel_ends_the_fetching(context: Callable[..., SkillContext], site: Site) -> None:
    site.pages["/"] = drip
    stop = threading.Event()
    thread = threading.Thread(target=lambda: stop.set() if site.begun.wait(10) else None)
    thread.start()
    with pytest.raises(Cancelled):
        materialise((AttachedFile(name="a", media_type="text/csv", url=f"{site.url}/"),), context(cancel_event=stop))
    thread.join()


def test_a_workspace_without_room_fails_the_task(context: Callable[..., SkillContext]) -> None:
    ctx = context()
    for n in range(20):
        (ctx.workspace / f"{n}").write_bytes(bytes(5000))
    with pytest.raises(TaskError, match="cannot be kept: The workspace would hold more than"):
        materialise((csv(),), ctx)
