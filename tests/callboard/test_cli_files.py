"""`callboard run --file`: files as people have them, and what cannot be one."""

import os
from pathlib import Path

import pytest

from tests.callboard.conftest import python
from tests.callboard.in_process import in_process
from tests.callboard.test_cli_run import SERVER_AND_LOCAL, place, task_of
from tests.docs.serving import Served

CSV = "a,b\n1,2\n3,4\n"


@SERVER_AND_LOCAL
def test_a_file_is_taken_and_asked_about_however_people_name_it(served: Served, tmp_path: Path, local: bool) -> None:
    names = (
        ("report (1).csv", "Übersicht.csv", "报告 100% & mehr, Bob's #1.CSV")
        if not local
        else ("U\u0308bersicht (1).csv",)
    )
    for name in names:
        (tmp_path / name).write_text(CSV)
        words = ("run", f"average of b in {name}", "--file", str(tmp_path / name))
        done = in_process(*words, *place(served, local=local), home=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


def test_two_files_of_one_name_are_both_kept_and_the_second_ones_name_is_told(served: Served, tmp_path: Path) -> None:
    for folder, text in (("a", "1"), ("b", "2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "report.txt").write_text(text)
    task = python("from skills import read_file\n[read_file('report.txt'), read_file('report (2).txt')]")
    files = [word for folder in ("a", "b", "a") for word in ("--file", str(tmp_path / folder / "report.txt"))]
    done = in_process("run", task, *files, "--url", served.url, home=tmp_path)
    assert (done.returncode, done.stdout) == (0, '[\n  "1",\n  "2"\n]\n')
    assert done.stderr == (
        f"callboard: {tmp_path}/b/report.txt is 'report (2).txt' in the task, beside another file of its name\n"
    )
    attachments = task_of(served, task)["attachments"]
    assert attachments == [  # the one that was named twice came along once
        {"name": "report.txt", "mediaType": "text/plain", "size": 1},
        {"name": "report (2).txt", "mediaType": "text/plain", "size": 1},
    ]


def test_a_name_that_is_not_utf_8_comes_with_a_sign_in_the_place_of_what_cannot_be_read(
    served: Served, tmp_path: Path
) -> None:
    path = os.fsencode(tmp_path) + b"/d\xe9cembre.csv"
    try:
        Path(os.fsdecode(path)).write_text(CSV)
    except OSError:
        pytest.skip("this file system takes no such name")
    done = in_process("run", "average of b", "--file", os.fsdecode(path), "--url", served.url, home=tmp_path)
    assert (done.returncode, done.stdout) == (0, "3\n")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere.csv", "does not exist"),
        ("folder", "is a directory"),
        ("pipe", "is a pipe or a device; write what it gives into a file"),
        ("/dev/zero", "is a pipe or a device; write what it gives into a file"),
        ("-", "stands for standard input as TASK only"),
        ("a\u202ecsv.exe", "has a character that cannot be seen, U+202E (RIGHT-TO-LEFT OVERRIDE)"),
        ("a\nb.csv", "has a character that cannot be seen, U+000A"),
        ("back\\slash.csv", "has a backslash"),
        ("huge.csv", "Larger than 75,000,000 bytes; give its address"),
        ("large.csv", "is larger than the limit"),
        ("word.docx", "is a Word document (.docx), which cannot be read; save it as PDF or as text"),
    ],
)
def test_what_cannot_be_attached_is_said(served: Served, tmp_path: Path, name: str, why: str) -> None:
    path = tmp_path / name
    match name:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "huge.csv":
            path.touch()
            os.truncate(path, 75_000_001)
        case "large.csv":
            path.write_bytes(b"x" * 3_000_000)
        case "word.docx":
            path.write_bytes(b"PK\3\4" + bytes(26) + b"PK\1\2" + bytes(42) + b"word/document.xml")
        case "-" | "nowhere.csv":
            pass
        case _ if not name.startswith("/"):
            path.write_text(CSV)
        case _:  # an absolute path, which is there
            pass
    file = name if name == "-" else str(path)
    done = in_process("run", "6*7", "--file", file, "--url", served.url, home=tmp_path)
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (
        1 if name in ("large.csv", "word.docx") else 2,
        "",
        False,
    )
    assert why in " ".join(done.stderr.split())
