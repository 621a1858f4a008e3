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
from callboard.agent.documents.kinds import kind_of
from callboard.agent.skills.files import list_files, read_file
from callboard.errors import AttachmentRefused, TaskError
from callboard.messages.tasks import AttachedFile
from callboard.settings import Settings
from callboard.task_spec import Attachment
from tests.agent.documents.pdfs import pdf
from tests.agent.documents.workbooks import xlsx
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
        (spec("a.zip", "application/zip", b"PK\3\4"), r"is a zip archive \(\.zip\), which cannot be read; unpack it"),
        (
            spec("a", "", b"\0\1\2"),
            "is neither text nor of a kind that is known, which cannot be read; save it as text",
        ),
        (spec("a.xyz", "x/y", b"\0\1\2"), "is a file of the type x/y, which cannot be read; save it as text"),
        (spec("a.mp4", "", b"\0\0\0\x18ftypmp42"), r"is a film \(\.mp4\), which cannot be read; attach what is said"),
        (spec("a", "", None, url="https://example.com/a"), "or mend its mediaType"),
        (spec("a.docx", "", None, url="https://example.com/a"), r"is a Word document \(\.docx\)"),
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


@pytest.mark.parametrize(
    ("names", "used"),
    [
        (["report.csv", "report.csv", "report.csv"], ["report.csv", "report (2).csv", "report (3).csv"]),
        (["a.csv", "A.csv", "b.csv"], ["a.csv", "A (2).csv", "b.csv"]),
        (["\u00e9.txt", "e\u0301.txt"], ["\u00e9.txt", "\u00e9 (2).txt"]),
        (["a.csv", "a.csv", "a (2).csv"], ["a.csv", "a (3).csv", "a (2).csv"]),
        (["x", "x", ".env", ".env"], ["x", "x (2)", ".env", ".env (2)"]),
        (["é" * 124 + ".c.csv"] * 2, ["é" * 124 + ".c.csv", "é" * 123 + " (2).csv"]),
        (["STRASSE.csv", "straße.csv"], ["STRASSE.csv", "straße (2).csv"]),
    ],
)
def test_two_files_of_one_name_are_told_apart(settings: Settings, names: list[str], used: list[str]) -> None:
    found = check_attachments([spec(name, data=b"%d" % n) for n, name in enumerate(names)], settings)
    assert [(file.name, file.data) for file in found] == [(name, b"%d" % n) for n, name in enumerate(used)]


XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
BOOK = xlsx({"S": [["a"], [1]]})


TOLD: list[tuple[str, str, bytes, str]] = [
    ("a.csv", "Text/CSV", b"a\n1\n", "text/csv"),
    ("a.csv", 'text/csv; header=present; charset="UTF-8"', b"a\n1\n", "text/csv; charset=utf-8"),
    ("a.csv", "application/vnd.ms-excel", b"a\n1\n", "text/csv"),
    ("a.csv", "", b"a\n1\n", "text/csv"),
    ("a.CSV", "application/octet-stream", b"a\n1\n", "text/csv"),
    ("a.csv", "video/mp4", b"a\n1\n", "text/csv"),
    ("a.txt", "text/csv", b"a\n1\n", "text/csv"),
    ("a.ts", "video/mp2t", b"let a = 1;\n", "text/x-typescript"),
    ("a.svg", "image/svg+xml", b"<svg/>", "application/xml"),
    ("Makefile", "", b"all:\n", "text/plain"),
    ("a.xls", "application/vnd.ms-excel", b"a\tb\n1\t2\n", "text/plain"),
    ("BMW.txt", "", b"BMW has 3 models", "text/plain"),
    ("a.md", "", b"A PDF begins with %PDF-1.7 and ends with %%EOF.", "text/markdown"),
    ("a.xlsx", "", BOOK, XLSX),
    ("a.XLSX", "application/x-zip-compressed", BOOK, XLSX),
    ("a.csv", "", BOOK, XLSX),
    ("a", "application/octet-stream", BOOK, XLSX),
    ("a.xlsm", "application/vnd.ms-excel.sheet.macroEnabled.12", BOOK, "application/vnd.ms-excel.sheet.macroenabled.12"),
    ("a", "application/octet-stream", pdf("x"), "application/pdf"),
    ("a.pdf", "application/x-pdf", b"HTTP/1.1 200 OK\r\n\r\n" + pdf("x"), "application/pdf"),
    ("photo.jpg", "", PNG, "image/png"),
    ("a.csv", "text/csv; charset=utf-16le", "a\n1\n".encode("utf-16-le"), "text/csv; charset=utf-16le"),
    ("a.csv", "", "name;n\nEva;1\n".encode("utf-16-le"), "text/csv"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "said", "data", "kind"), TOLD, ids=[f"{name} as {said}" for name, said, *_ in TOLD])
def test_a_file_is_what_its_bytes_are_then_what_is_said_then_what_its_name_says(
    settings: Settings, name: str, said: str, data: bytes, kind: str
) -> None:
    settings = settings.model_copy(update={"max_file_bytes": 50_000})
    assert check_attachment(spec(name, said, data), settings).media_type == kind
    assert check_attachment(spec(name, said, data), settings).data == data


@given(st.binary(max_size=300))
def test_every_file_of_text_arrives_as_it_was_sent(data: bytes) -> None:
    settings = Settings()
    try:
        assert check_attachment(spec(data=data), settings).data == data
    except AttachmentRefused:
        assert b"\0" in data or kind_of(data) is not None


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


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        ("text/csv; charset=iso-8859-7", "Ωραία".encode("iso-8859-7"), "Ωραία"),
        ("text/csv; charset=windows-1251", "яблоко".encode("cp1251"), "яблоко"),
        ("text/csv; charset=utf-16", "a,b\n1,2\n".encode("utf-16"), "a,b\n1,2\n"),
        ("text/csv; charset=utf-16be", "a,é\n".encode("utf-16-be"), "a,é\n"),
        ("text/csv; charset=iso-8859-1", "\ufeffGröße".encode(), "Größe"),  # a mark in the bytes says more than a label
        (
            "text/csv; charset=utf-8",
            "Größe\n".encode("cp1252"),
            "Größe\n",
        ),  # and so do bytes that the label does not fit
        ("text/csv; charset=x-nobody-knows", "Größe\n".encode(), "Größe\n"),
    ],
)
def test_a_text_is_in_the_charset_that_its_sender_says(
    context: Callable[..., SkillContext], kind: str, data: bytes, text: str
) -> None:
    file = AttachedFile(name="a.csv", media_type=kind, data=data)
    for _ in ("at first", "when the task goes on"):
        [listed] = materialise((file,), context()).files
        assert listed == {
            "name": "a.csv",
            "mediaType": "text/csv",
            "size": len((context().workspace / "a.csv").read_bytes()),
        }
        assert read_file("a.csv", ctx=context()) == text


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


def test_a_text_from_an_address_is_in_the_charset_that_its_server_says(
    context: Callable[..., SkillContext], site: Site
) -> None:
    site.pages["/a"] = page("яблоко".encode("cp1251"), "Text/CSV; charset=windows-1251")
    file = AttachedFile(name="a.csv", media_type="text/csv", url=f"{site.url}/a")
    assert materialise((file,), context()) == materialise((file,), context())
    assert read_file("a.csv", ctx=context()) == "яблоко"


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
