"""Says everything that is wrong with skills before a server loads them, with lines where they are known.

A Python file is imported, which runs it; a folder is only read. Imported by the command line.
"""

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from callboard.agent.skill_files import import_file, line_of, skills_of, told
from callboard.agent.skill_folders.discovery import read_folder, skill_folders
from callboard.agent.skill_folders.files import FileRefused, files_of, read_text
from callboard.agent.skill_folders.findings import Finding, error, note
from callboard.agent.skill_folders.skill import DOCUMENT, FolderSkill
from callboard.agent.skill_loader import SkillLoader, python_files
from callboard.errors import SkillNotFound

_SCRIPTS = "scripts/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What there is to say about one file or folder; `skills` are the names of the skills in it that can be loaded."""

    path: Path
    skills: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def valid(self) -> bool:
        return all(finding.level != "error" for finding in self.findings)


def validate(path: Path) -> list[Report]:
    """Examine a Python file, a SKILL.md, a skill's folder, or a folder of any of these; raise `SkillNotFound`."""
    path = located(path)
    loader = SkillLoader()
    loader.add_built_in()
    loader.add_entry_points()
    if path.is_file():
        return [_of_file(path, loader)]
    if is_skill_folder(path):
        return [_of_folder(path, None, loader)]
    if not path.is_dir():
        raise SkillNotFound(f"There is nothing at {path}; give a Python file, a skill's folder, or a folder of those.")
    reports = [_of_file(file, loader) for file in python_files(path)]
    reports += [_of_folder(folder, path, loader) for folder in skill_folders(path)]
    if not reports:
        raise SkillNotFound(f"There is no skill in {path}: neither a Python file nor a folder with a {DOCUMENT}.")
    return reports


def located(path: Path) -> Path:
    """Return where a skill is: an absolute path, a SKILL.md's folder instead of it."""
    path = Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow links, and a folder's name matters
    return path.parent if path.name == DOCUMENT else path


def is_skill_folder(path: Path) -> bool:
    return (path / DOCUMENT).exists() or (path / DOCUMENT).is_symlink()


def _of_file(path: Path, loader: SkillLoader) -> Report:
    if path.suffix != ".py":
        return Report(path=path, skills=(), findings=(error(f"it is neither a Python file nor a {DOCUMENT}"),))
    try:
        module = import_file(path)
    except (Exception, SystemExit) as raised:  # noqa: BLE001  # the file may raise anything
        return Report(path=path, skills=(), findings=(error(told(raised), line_of(raised, path)),))
    found = skills_of(module)
    findings = [] if found else [error("it has no skill in it; decorate a function with @skill")]
    taken = []
    for skill in found:
        problem = loader.fault(skill)
        if problem:
            line = skill.function.__code__.co_firstlineno
            findings.append(error(f"the skill {skill.name!r} would be left out, since {problem}", line))
        else:
            taken.append(skill.name)
    loader.add_python([skill for skill in found if skill.name in taken], str(path)) if taken else None
    return Report(path=path, skills=tuple(taken), findings=tuple(findings))


def _of_folder(path: Path, top: Path | None, loader: SkillLoader) -> Report:
    read = read_folder(path, top)
    findings = list(read.findings)
    if read.skill is None:
        return Report(path=path / DOCUMENT, skills=(), findings=tuple(findings))
    problem = loader.fault(read.skill)
    if problem:
        findings.append(error(f"it would be left out, since {problem}"))
    else:
        loader.add(read.skill)
    findings.extend(_of_scripts(read.skill))
    return Report(path=path / DOCUMENT, skills=() if problem else (read.skill.name,), findings=tuple(findings))


def _of_scripts(skill: FolderSkill) -> Iterator[Finding]:
    """Say which scripts the sandbox cannot run; whether it has what they import shows when they are run."""
    for name in files_of(skill.folder):
        if name.endswith(".py"):
            try:
                ast.parse(read_text(skill.folder, name))
            except FileRefused as refused:
                yield note(f"{name} {refused}")
            except (SyntaxError, ValueError, RecursionError, MemoryError) as raised:
                yield note(f"{name} cannot be run: {told(raised)}")
        elif name.startswith(_SCRIPTS):
            yield note(f"{name} cannot be run: the sandbox runs Python only; it can be read")
