"""The text of a document: HTML, PDF and XLSX through a process of their own, everything else as it stands.

The process (`_reader.py`) has limits of memory and time and none of this server's environment; it is ended when the
task is. In the thread of whoever asks. Imported by the skills that read.
"""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callboard.agent.documents.charsets import NotText, decode

MAX_CHARS = 1_000_000
"""Most text that is taken out of one document."""

READ_TIMEOUT_S = 20.0
_MEMORY_BYTES = 1 << 30
_SLICE_S = 0.1
_READER = Path(__file__).with_name("_reader.py")
_NAMES = {"html": "page", "pdf": "PDF", "xlsx": "workbook"}
PDF = "application/pdf"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
WORKBOOKS = frozenset({XLSX, "application/vnd.ms-excel.sheet.macroenabled.12"})
"""XLSX, and the same with macros, which are not looked at."""

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TEXT = frozenset(
    {
        "application/json",
        "application/xml",
        "application/yaml",
        "application/x-yaml",
        "application/toml",
        "application/csv",
        "application/x-ndjson",
        "application/jsonl",
        "application/javascript",
        "application/sql",
        "application/rtf",
    }
)


class CannotRead(ValueError):
    """A document whose text cannot be had; the message says why, `sheets` are those of a workbook that can be named."""

    def __init__(self, message: str, sheets: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.sheets = sheets


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The text of a document; `cut` says that there was more.

    Of a workbook: the `sheet` whose text it is and the names of all `sheets`; `faults`, cells that hold no value, such as
    `B3 is #DIV/0!`; and `merged`, ranges of cells that are one over several rows, such as `A2:A4`.
    """

    text: str
    title: str | None = None
    cut: bool = False
    sheet: str | None = None
    sheets: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()


def is_textual(media_type: str) -> bool:
    """Say whether what has this type is text as it stands."""
    if media_type in _TEXT or media_type.startswith("text/"):
        return True
    return media_type.startswith("application/") and media_type.endswith(("+json", "+xml", "+yaml"))


def is_readable(media_type: str) -> bool:
    """Say whether `read` can make text of it."""
    return media_type == PDF or is_textual(media_type)


def read(
    data: bytes,
    media_type: str,
    *,
    charset: str | None = None,
    base_url: str | None = None,
    sheet: str | None = None,
    max_chars: int = MAX_CHARS,
    timeout_s: float = READ_TIMEOUT_S,
    stop: threading.Event | None = None,
) -> Document:
    """Return the text of a document; raise `CannotRead`.

    Of HTML it is Markdown, without what stands around the page's subject; links are made whole with `base_url`. Of a workbook
    it is one sheet as CSV, that of the name `sheet` or the only one.
    """
    if media_type == PDF:
        return _apart("pdf", data, base_url, max_chars, timeout_s, stop)
    if media_type in WORKBOOKS:
        return _apart("xlsx", data, None, max_chars, timeout_s, stop, sheet=sheet)
    markup = media_type in _HTML
    try:
        text = decode(data, charset, markup=markup or media_type.endswith("xml"))
    except NotText as error:
        raise CannotRead(f"It says that it is {media_type}, and it is not text.") from error
    if markup:
        return _apart("html", text.encode("utf-8", "replace"), base_url, max_chars, timeout_s, stop)
    return Document(text=text[:max_chars], cut=len(text) > max_chars)


def _apart(
    kind: str,
    data: bytes,
    base_url: str | None,
    max_chars: int,
    timeout_s: float,
    stop: threading.Event | None,
    *,
    sheet: str | None = None,
) -> Document:
    """Have a process of its own read it."""
    asked = {
        "kind": kind,
        "max_chars": max_chars,
        "base_url": base_url,
        "sheet": sheet,
        "cpu_s": max(1, round(timeout_s)),
        "memory_bytes": _MEMORY_BYTES + 20 * len(data),
        "path": sys.path,
    }
    said = _answer(json.dumps(asked).encode() + b"\n" + data, time.monotonic() + timeout_s, stop)
    if said is None:
        raise CannotRead(f"The {_NAMES[kind]} cannot be read within {timeout_s:.3g} s and a gigabyte of memory.")
    if said.get("sheets") and "error" in said:
        raise CannotRead(f"The workbook {said['error']}.", tuple(said["sheets"]))
    if "error" in said:
        raise CannotRead(f"The {_NAMES[kind]} cannot be read: {said['error']}.")
    return Document(
        text=said["text"],
        title=said["title"],
        cut=said["cut"],
        sheet=said.get("sheet"),
        sheets=tuple(said.get("sheets", ())),
        faults=tuple(said.get("faults", ())),
        merged=tuple(said.get("merged", ())),
    )


def _answer(asked: bytes, until_s: float, stop: threading.Event | None) -> Mapping[str, Any] | None:
    """Return what the process says; None where it died, or did not end in time."""
    command = [sys.executable, "-I", "-X", "utf8", str(_READER)]
    # SECURITY: without this server's environment, which holds keys; the process is not trusted with what it reads
    process = subprocess.Popen(  # noqa: S603  # our own program
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
        process_group=0,  # Ctrl-C is for the server, which lets the reading end
    )
    try:
        given: bytes | None = asked
        while time.monotonic() < until_s and not (stop is not None and stop.is_set()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                out, _ = process.communicate(given, timeout=_SLICE_S)
                return None if process.returncode else _parsed(out)
            given = None  # it keeps what is not written yet
        return None
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what was not written yet
                pipe.close()
    process.wait()


def _parsed(out: bytes) -> Mapping[str, Any] | None:
    try:
        said = json.loads(out)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
