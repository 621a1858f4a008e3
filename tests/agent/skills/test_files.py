"""The file skills, called as a task's code calls them."""

import gzip
import io
import json
import mimetypes
import re
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from callboard import SkillContext
from callboard.agent.skills.files import delete_file, list_files, read_file, write_file
from callboard.agent.skills.query_table import query_table
from callboard.errors import TaskError
from tests.agent.documents.pdfs import pdf
from tests.agent.documents.workbooks import xlsx


@pytest.fixture
def ctx(tmp_path: Path) -> SkillContext:
    return SkillContext(task_id="t", session_id="s", effect_id="e", workspace_root=tmp_path)


def call(skill: Any, ctx: SkillContext, *args: Any, **kwargs: Any) -> Any:
    return skill.call(args, kwargs, ctx)


def test_a_file_is_written_listed_read_and_deleted(ctx: SkillContext) -> None:
    assert call(write_file, ctx, "out/report.md", "# Größe") == {"name": "out/report.md", "size": 9}
    (listed,) = call(list_files, ctx)
    assert {**listed, "modified": ""} == {
        "name": "out/report.md",
        "size": 9,
        "mediaType": "text/markdown",
        "modified": "",
    }
    json.dumps(listed)
    assert call(read_file, ctx, "out/report.md") == "# Größe"
    call(delete_file, ctx, "out/report.md")
    call(delete_file, ctx, "out/report.md")
    assert call(list_files, ctx) == []


def test_a_call_that_is_repeated_after_a_crash_comes_to_the_same(ctx: SkillContext) -> None:
    for skill in (list_files, read_file, write_file, delete_file):
        assert skill.replay == "safe"
        assert skill.permissions == ("files",)
    assert call(write_file, ctx, "a", "x") == call(write_file, ctx, "a", "x")


def test_another_session_sees_nothing_of_it(ctx: SkillContext, tmp_path: Path) -> None:
    call(write_file, ctx, "a.txt", "mine")
    other = SkillContext(task_id="t", session_id="s2", effect_id="e", workspace_root=tmp_path)
    assert call(list_files, other) == []
    with pytest.raises(TaskError, match="leads out of") as refused:
        call(read_file, other, "../s/a.txt")
    assert refused.value.code == "path_refused"


def test_a_table_in_a_file_is_asked_as_one_in_the_task(ctx: SkillContext) -> None:
    rows = "".join(f"{n},{n % 7}\n" for n in range(60_000))
    call(write_file, ctx, "data.csv", f"id,amount\n{rows}")
    assert query_table(call(read_file, ctx, "data.csv"), "sum", "amount") == sum(n % 7 for n in range(60_000))


def test_a_table_from_a_spreadsheet_of_the_west_is_read(ctx: SkillContext) -> None:
    (ctx.workspace / "data.csv").write_bytes("Größe;Preis\nüber 10;3\n".encode("cp1252"))
    assert query_table(call(read_file, ctx, "data.csv"), "sum", "Preis") == 3


def test_a_part_of_a_file_is_read_by_its_offset(ctx: SkillContext) -> None:
    call(write_file, ctx, "a", "0123456789")
    assert call(read_file, ctx, "a", 3, 4) == "3456"
    assert call(read_file, ctx, "a", offset=8) == "89"
    assert call(read_file, ctx, "a", offset=99, max_chars=5) == ""


def test_a_file_too_long_for_one_answer_is_not_cut_but_refused(ctx: SkillContext) -> None:
    call(write_file, ctx, "long.csv", "x" * 1_000_001)
    with pytest.raises(ValueError, match=r"more than 1,000,000 characters; read it in parts"):
        call(read_file, ctx, "long.csv")
    assert call(read_file, ctx, "long.csv", 1_000_000, 10) == "x"


@pytest.mark.parametrize(("offset", "most"), [(-1, None), (0, 0), (0, 1_000_001)])
def test_a_senseless_part_is_refused(ctx: SkillContext, offset: int, most: int | None) -> None:
    call(write_file, ctx, "a", "x")
    with pytest.raises(ValueError, match="Give an offset"):
        call(read_file, ctx, "a", offset, most)


def test_the_text_of_a_pdf_is_read_whatever_its_name(ctx: SkillContext) -> None:
    (ctx.workspace / "invoice").write_bytes(pdf("Total 42", "Thank you"))
    assert call(read_file, ctx, "invoice") == "Total 42\n\nThank you"
    assert call(read_file, ctx, "invoice", 6, 2) == "42"
    (ctx.workspace / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    with pytest.raises(ValueError, match=r"broken\.pdf cannot be read as text\. The PDF cannot be read"):
        call(read_file, ctx, "broken.pdf")


def archive(*names: str, stored: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name in names:
            packed.writestr(name, stored or b"x")
    return out.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100)
ODS = archive("mimetype", stored=b"application/vnd.oasis.opendocument.spreadsheet")


UNREADABLE = [
    ("a.png", b"\x89PNG\r\n\x1a\n\0\0", "a PNG picture (.png)"),
    ("photo", b"\xff\xd8\xff\xe0\0", "a JPEG picture (.jpg)"),
    ("a.docx", archive("[Content_Types].xml", "word/document.xml"), "a Word document (.docx)"),
    ("a", archive("word/document.xml", "word/embeddings/a.xlsx", stored=xlsx({"S": [[1]]})), "a Word document (.docx)"),
    ("a.pptx", archive("ppt/presentation.xml"), "a PowerPoint presentation (.pptx)"),
    ("a.ods", ODS, "an OpenDocument spreadsheet (.ods)"),
    ("a.xlsb", archive("xl/worksheets/sheet1.bin", "xl/workbook.bin"), "a binary Excel workbook (.xlsb)"),
    ("a.zip", archive("a.txt"), "a zip archive (.zip)"),
    ("a.xls", OLE + "Workbook".encode("utf-16-le"), "an old Excel workbook (.xls)"),
    ("a.doc", OLE, "an old Word document (.doc)"),
    ("a", OLE, "a file of an old Office format (.xls, .doc, .ppt)"),
    ("a.xlsx", OLE + "EncryptedPackage".encode("utf-16-le"), "a workbook or document with a password"),
    ("a.parquet", b"PAR1\0\0PAR1", "a Parquet file (.parquet)"),
    ("a.parquet", b"\0\1", "a Parquet file (.parquet)"),
    ("a.gz", gzip.compress(b"x"), "a gzip archive (.gz)"),
    ("a.heic", b"\0\0\0\x18ftypheic", "a HEIC picture (.heic)"),
    ("a", b"\0\1", "neither text nor of a kind that is known"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data", "what"), UNREADABLE, ids=[f"{name} is {what}" for name, _, what in UNREADABLE]
)
def test_a_file_that_cannot_be_read_is_called_what_it_is_with_what_to_do(
    ctx: SkillContext, name: str, data: bytes, what: str
) -> None:
    (ctx.workspace / name).write_bytes(data)
    with pytest.raises(ValueError, match=rf"{re.escape(name)} is {re.escape(what)}, which cannot be read; \w+"):
        call(read_file, ctx, name)


def test_what_a_file_is_called_for_is_the_same_on_every_machine(
    ctx: SkillContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mimetypes, "guess_type", None)  # which reads the machine's own table
    office = "application/vnd.openxmlformats-officedocument."
    kinds = {
        "a.xlsx": f"{office}spreadsheetml.sheet",
        "B.XLSX": f"{office}spreadsheetml.sheet",
        "a.docx": f"{office}wordprocessingml.document",
        "a.ods": "application/vnd.oasis.opendocument.spreadsheet",
        "a.parquet": "application/vnd.apache.parquet",
        "a.jpg": "image/jpeg",
        "a.zip": "application/zip",
        "a.csv": "text/csv",
        "csv": "application/octet-stream",
        "a.nobody-knows": "application/octet-stream",
    }
    for name in kinds:
        call(write_file, ctx, name, "x")
    assert {entry["name"]: entry["mediaType"] for entry in call(list_files, ctx)} == kinds


def test_a_task_that_has_ended_writes_nothing_more(ctx: SkillContext) -> None:
    stop = threading.Event()
    stop.set()
    ended = SkillContext(
        task_id="t", session_id="s", effect_id="e", workspace_root=ctx.workspace_root, cancel_event=stop
    )
    with pytest.raises(TaskError, match="has been ended"):
        call(write_file, ended, "a", "x")
    assert call(list_files, ctx) == []
