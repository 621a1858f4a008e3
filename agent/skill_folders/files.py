"""The files of a skill's folder, read as text, and never one outside of it.

Worker threads read while the operator may change the folder. Imported by the skill, discovery and validation.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from callboard.values import decoded

DOCUMENT = "SKILL.md"

MAX_FILE_BYTES = 1_000_000
"""Largest file that is read; a model is shown all of it."""

_MAX_LISTED = 40


def document_among(entries: Iterable["os.DirEntry[str]"]) -> str | None:
    """Return the name of the SKILL.md in a folder, in whatever case it is written; None where there is none."""
    found = [
        entry.name
        for entry in entries
        if entry.name.lower() == DOCUMENT.lower() and (entry.is_symlink() or entry.is_file())
    ]
    return DOCUMENT if DOCUMENT in found else min(found, default=None)


def document_of(folder: Path) -> str | None:
    """Return the same for a folder that has not been looked at."""
    try:
        with os.scandir(folder) as entries:
            return document_among(entries)
    except OSError:
        return None


class FileRefused(Exception):  # the skill and discovery tell it in their own ways
    """The file cannot be given; the message is the rest of a sentence about it. `outside`: it is not in the folder."""

    def __init__(self, message: str, *, outside: bool = False) -> None:
        super().__init__(message)
        self.outside = outside


def read_text(folder: Path, name: str, most: int = MAX_FILE_BYTES) -> str:
    """Return the text of a file of the folder; `folder` has no links in it."""
    path = _inside(folder, name)
    try:
        if not path.is_file():  # a folder, or a pipe, which reading would wait for
            raise FileRefused("is no file" if path.exists() else "is not there")
        size = path.stat().st_size
        if size > most:
            raise FileRefused(f"has {size:,} bytes, {most:,} are the most; split it")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise FileRefused(f"cannot be read: {error.strerror or error}") from error
    return _decoded(data, most)


def _decoded(data: bytes, most: int) -> str:
    if len(data) > most:
        raise FileRefused(f"has more than {most:,} bytes; split it")
    try:
        text = decoded(data)
    except UnicodeDecodeError as error:
        raise FileRefused(f"is no text in UTF-8 (byte {error.start:,})") from error
    if "\0" in text:
        raise FileRefused("is no text: there are zero bytes in it")
    return text


def _inside(folder: Path, name: str) -> Path:
    if not name or "\0" in name or name.startswith("/") or ".." in Path(name).parts:
        raise FileRefused("is no path within the skill's folder, such as references/x.md", outside=True)
    try:
        path = (folder / name).resolve()
    except (OSError, RuntimeError) as error:  # links in a circle
        raise FileRefused("cannot be read: its links lead nowhere") from error
    if not path.is_relative_to(folder):
        raise FileRefused("leads out of the skill's folder", outside=True)
    return path


def files_of(folder: Path) -> list[str]:
    """Return the first files of the folder as they are asked for, those that begin with a dot left out."""
    found: list[str] = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if not any(part.startswith((".", "__pycache__")) for part in parts) and path.is_file():
            found.append("/".join(parts))
            if len(found) == _MAX_LISTED:
                break
    return found
