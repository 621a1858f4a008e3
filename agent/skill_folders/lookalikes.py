"""Tells what looks like a skill and is none: a text that lies loose, an archive, a folder without a SKILL.md.

Whoever put it there waits for it in vain, so it is an error; what else lies beside skills is a note, for the validation.
Imported by the search, and by the validation for a path that is no skill.
"""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from callboard.agent.findings import Finding, Report, error, note
from callboard.agent.skill_folders.files import DOCUMENT

COLLECTION = "skills"
"""The name of a folder that holds nothing but skills, in repositories."""

_TEXTS = (".md", ".markdown", ".mdx", ".mdc")
_ARCHIVES = (".skill", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
_PROGRAMS = (".py", ".sh", ".js", ".mjs", ".ts", ".rb")
_OF_A_REPOSITORY = frozenset(
    {".claude-plugin", ".github", ".gitignore", "LICENSE", "README.md", "package.json", "pyproject.toml"}
)
_PARTS = frozenset({"assets", "references", "scripts"})
_MISSPELT = re.compile(r"skill(\.md)?\.(md|markdown|mdx|mdc|txt)", re.IGNORECASE)
_MISSPELT_ENDS = ("skill.markdown", "skill.mdx", "skill.mdc", "skill.txt", "skill.md.md", "skill.md.txt")
_HEAD = re.compile(r"\ufeff?---[ \t]*\r?\n(.*\n)*?(name|description)[ \t]*:")
_IMPORTS_CALLBOARD = re.compile(r"^[ \t]*(from|import)[ \t]+callboard\b", re.MULTILINE)
_HEAD_BYTES = 16_384
_MAX_READ = 300
_MAX_NOTES = 100


class Lookalikes:
    """Collects, folder by folder, what looks like a skill; `reports` has what is to be said once all were seen."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._collections: set[Path] = set()
        self._bare: list[Path] = []  # they have a skill's parts, and perhaps skills below
        self._reports: list[Report] = []
        self._notes = self._read = 0

    def see(self, folder: Path, entries: Sequence["os.DirEntry[str]"], *, is_skill: bool) -> None:
        """Look at what lies in a folder that was searched, its parent before it."""
        if not is_skill and self._is_collection(folder, {entry.name for entry in entries}):
            self._collections.add(folder)
        elif not is_skill and folder.parent in self._collections and self._has_parts(entries):
            self._bare.append(folder)
        awaited, at_top = folder in self._collections, folder == self._top
        for entry in entries:
            # PERF: most names are told by themselves, and cost a microsecond each
            if awaited or at_top or entry.name.lower().endswith((".py", *_MISSPELT_ENDS)):
                finding = self._finding(entry, folder, awaited=awaited, at_top=at_top, is_skill=is_skill)
                if finding is not None and (finding.level == "error" or self._notes < _MAX_NOTES):
                    self._notes += finding.level == "note"
                    self._reports.append(Report(path=folder / entry.name, findings=(finding,)))

    def reports(self, skills: Iterable[Path]) -> list[Report]:
        """Return what there is to say; a folder with a skill below it needs no SKILL.md of its own."""
        told = {report.path.parent for report in self._reports if not report.valid}
        told.update(parent for skill in skills for parent in skill.parents)
        why = error(f"it looks like a skill, and has no {DOCUMENT}; write one, with a name and a description")
        return [*self._reports, *(Report(path=folder, findings=(why,)) for folder in self._bare if folder not in told)]

    def _is_collection(self, folder: Path, names: set[str]) -> bool:
        """Whether what lies in a folder is there to be skills; in a repository's root much else is."""
        repository = ".git" in names or (COLLECTION in names and bool(names & _OF_A_REPOSITORY))
        return not repository and (folder == self._top or folder.name == COLLECTION)

    def _has_parts(self, entries: Sequence["os.DirEntry[str]"]) -> bool:
        if any(entry.name in _PARTS and entry.is_dir() for entry in entries):
            return True
        texts = [entry for entry in entries if entry.name.lower().endswith(_TEXTS) and entry.is_file()]
        programs = any(entry.name.endswith(_PROGRAMS) for entry in entries)
        return (bool(texts) and programs) or any(self._begins(entry, _HEAD) for entry in texts)

    def _finding(
        self, entry: "os.DirEntry[str]", folder: Path, *, awaited: bool, at_top: bool, is_skill: bool
    ) -> Finding | None:
        name = entry.name
        if name.startswith("."):
            return None
        if entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110  # PERF: no Path for each entry
            stray = awaited and name.endswith((".py", *([name] if "." not in name else [])))
            return error("it is a link that leads nowhere; mend or remove it") if stray else None
        if not entry.is_file():
            return None
        if name.endswith(".py"):
            return self._of_python(entry, folder, at_top=at_top, is_skill=is_skill)
        if not is_skill and (finding := named_amiss(name)):
            return finding
        if awaited and name.lower().endswith(_TEXTS) and self._begins(entry, _HEAD):
            return loose(folder / name)
        if awaited and (finding := archive(name)):
            return finding
        if at_top and not is_skill:
            return note(f"it is neither a Python file nor a folder with a {DOCUMENT}, and not read")
        return None

    def _of_python(self, entry: "os.DirEntry[str]", folder: Path, *, at_top: bool, is_skill: bool) -> Finding | None:
        if at_top:
            hidden = entry.name.startswith("_") and not is_skill
            return note("its name begins with _, so it is not loaded") if hidden else None
        if self._begins(entry, _IMPORTS_CALLBOARD):
            return error(
                f"it lies in a folder below, and Python skills are loaded right in {self._top} only; move it there"
            )
        beside = folder.parent == self._top and not is_skill
        return note("it lies in a folder below, and is not loaded") if beside else None

    def _begins(self, entry: "os.DirEntry[str]", pattern: re.Pattern[str]) -> bool:
        """Whether a file has the pattern near its beginning. PERF: 0.03 ms a file, so of some hundred files only."""
        self._read += 1
        return self._read <= _MAX_READ and begins(entry.path, pattern)


def begins(path: str | Path, pattern: re.Pattern[str]) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # PERF: no Path for each entry
            text = file.read(_HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return False
    return (pattern.match if pattern is _HEAD else pattern.search)(text) is not None


def imports_callboard(path: Path) -> bool:
    """Say whether a Python file may hold skills, without running it."""
    return begins(path, _IMPORTS_CALLBOARD)


def why_no_skill(path: Path) -> Finding:
    """Return why a file by itself is not loaded; it is no Python file, and no SKILL.md."""
    if (finding := named_amiss(path.name) or archive(path.name)) is not None:
        return finding
    if path.name.lower().endswith(_TEXTS) and begins(path, _HEAD):
        return loose(path)
    return error(f"it is neither a Python file nor a {DOCUMENT}")


def named_amiss(name: str) -> Finding | None:
    if name.lower().endswith(".py"):
        return error("it is not read under that name; have it end in .py")
    return error(f"it is not read under that name; call it {DOCUMENT}") if _MISSPELT.fullmatch(name) else None


def loose(path: Path) -> Finding:
    return error(f"it lies loose, and a skill is a folder; move it to {path.parent / path.stem.lower() / DOCUMENT}")


def archive(name: str) -> Finding | None:
    packed = name.lower().endswith(_ARCHIVES)
    return error("it is an archive, which is not opened; unpack it here and remove it") if packed else None
