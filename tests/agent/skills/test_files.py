"""The file skills, called as a task's code calls them."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from callboard import SkillContext
from callboard.agent.skills.files import delete_file, list_files, read_file, write_file
from callboard.agent.skills.query_table import query_table
from callboard.errors import TaskError
from tests.agent.documents.pdfs import pdf


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


def test_a_picture_is_told_from_text(ctx: SkillContext) -> None:
    (ctx.workspace / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    with pytest.raises(ValueError, match=r"a\.png is image/png, not text"):
        call(read_file, ctx, "a.png")


def test_a_task_that_has_ended_writes_nothing_more(ctx: SkillContext) -> None:
    stop = threading.Event()
    stop.set()
    ended = SkillContext(
        task_id="t", session_id="s", effect_id="e", workspace_root=ctx.workspace_root, cancel_event=stop
    )
    with pytest.raises(TaskError, match="has been ended"):
        call(write_file, ended, "a", "x")
    assert call(list_files, ctx) == []
