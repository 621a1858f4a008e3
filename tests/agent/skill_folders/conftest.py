"""Folders in the shape of the public collections, and a host that remembers what skills asked of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from callboard import SkillContext
from callboard.agent.skill_folders.discovery import read_folder
from callboard.agent.skill_folders.skill import FolderSkill

FORMS = """---
name: pdf-forms
description: Fill in and flatten PDF forms. Use when somebody mentions a form, a field or a signature in a PDF.
license: Proprietary. LICENSE.txt has the terms
metadata:
  author: someone
  version: 1.10
---

# Forms

Read [the fields](references/fields.md), then run `scripts/count.py`.
"""


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


class Host:
    """Answers as a run would, and remembers what it was asked."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, list[str], frozenset[str] | None]] = []
        self.names: list[str] = []
        self.restricted: list[frozenset[str]] = []

    def ask_model(self, prompt: str, *, system: str = "") -> str | None:
        raise AssertionError("no folder asks a model")

    def run_script(self, source: str, arguments: Sequence[str], allowed: frozenset[str] | None, name: str = "") -> Any:
        self.names.append(name)
        self.ran.append((source, list(arguments), allowed))
        return "ran"

    def restrict(self, allowed: frozenset[str]) -> None:
        self.restricted.append(allowed)

    def note(self, name: str, value: Any) -> None:
        raise AssertionError("skills of folders note nothing")


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def ctx(host: Host) -> SkillContext:
    return SkillContext(task_id="t", session_id="s", effect_id="t:1", host=host)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., FolderSkill]:
    """Return a function that writes the folder `pdf-forms` with more files by their paths, and reads it."""

    def made(document: str = FORMS, files: dict[str, str | bytes] | None = None) -> FolderSkill:
        folder = write(tmp_path / "pdf-forms", {"SKILL.md": document, **(files or {})})
        read = read_folder(folder)
        assert read.skill is not None, read.findings
        return read.skill

    return made
