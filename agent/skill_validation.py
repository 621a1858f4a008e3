"""Says what a server would load of a path and what not, with everything that is wrong, before it is there.

The loader itself does it, so that both say the same. A Python file is imported, which runs it; a folder is only read.
Imported by the command line.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from callboard.agent.findings import Finding, Report, error, note
from callboard.agent.programs import imports_of, instead_of
from callboard.agent.skill_files import told
from callboard.agent.skill_folders.files import DOCUMENT, FileRefused, document_of, files_of, read_text
from callboard.agent.skill_folders.lookalikes import imports_callboard, why_no_skill
from callboard.agent.skill_folders.skill import FolderSkill
from callboard.agent.skill_loader import SkillLoader
from callboard.errors import SkillNotFound

_SCRIPTS = "scripts/"


def validate(path: Path) -> list[Report]:
    """Examine a Python file, a SKILL.md, a skill's folder, or a folder of any of these; raise `SkillNotFound`.

    A folder is examined as the one that CALLBOARD_SKILLS_DIR names.
    """
    path = located(path)
    loader = SkillLoader()
    loader.add_built_in()
    loader.add_entry_points()
    if path.is_dir():
        loader.add_folder(path)
        if not any(report.names or not report.valid for report in loader.reports):
            raise SkillNotFound(_nothing_in(path, loader.reports))
    elif not path.exists():
        raise SkillNotFound(f"There is nothing at {path}; give a Python file, a skill's folder, or a folder of those.")
    else:
        _add_by_itself(path, loader)
    return list(_with_scripts(loader.reports, loader))


def located(path: Path) -> Path:
    """Return where a skill is: an absolute path, a SKILL.md's folder instead of it."""
    path = Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow links, and a folder's name matters
    return path.parent if path.name.lower() == DOCUMENT.lower() and document_of(path.parent) == path.name else path


def is_skill_folder(path: Path) -> bool:
    return document_of(path) is not None


def _nothing_in(path: Path, reports: list[Report]) -> str:
    there = [str(report.path.relative_to(path.resolve())) for report in reports]
    ignored = f" Not read there: {', '.join(there[:10])}{', …' if len(there) > 10 else ''}." if there else ""
    return f"There is no skill in {path}: neither a Python file nor a folder with a {DOCUMENT}.{ignored}"


def _add_by_itself(path: Path, loader: SkillLoader) -> None:
    """Examine one file, as the server would right in its folder of skills."""
    skill = next((folder for folder in path.parents if is_skill_folder(folder)), None)
    if skill is not None and not (path.parent == skill and path.suffix == ".py" and imports_callboard(path)):
        why = error(f"it is a file of the skill in {skill}, and no skill by itself; validate that folder")
        loader.reports.append(Report(path=path, findings=(why,)))
    elif path.suffix != ".py":
        loader.reports.append(Report(path=path, findings=(why_no_skill(path),)))
    elif path.name.startswith("_"):
        why = error("its name begins with _, so it is not loaded; rename it if it holds skills")
        loader.reports.append(Report(path=path, findings=(why,)))
    else:
        loader.add_file(path)


def _with_scripts(reports: Iterable[Report], loader: SkillLoader) -> Iterator[Report]:
    """Yield the reports; those on folders that are loaded with what there is to say of their scripts."""
    skills = {name: skill for name, skill in loader.skills.items() if isinstance(skill, FolderSkill)}
    scripts = {name: list(_scripts_of(skill)) for name, skill in skills.items()}
    wanted = {module for found in scripts.values() for script in found for module in script.modules}
    # PERF: what the sandbox is made of takes 0.1 s to import
    missing: set[str] = set()
    if wanted - {"skills"}:
        from callboard.agent.sandbox import missing_modules

        missing = missing_modules(sorted(wanted - {"skills"}))
    for report in reports:
        found = scripts.get(report.names[0], []) if len(report.names) == 1 else []
        notes = [finding for script in found for finding in _of_script(script, missing)]
        yield replace(report, findings=(*report.findings, *notes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Script:
    """A file that may be meant to be run: what is wrong with it, or the modules that it imports, with their lines."""

    name: str
    fault: str = ""
    modules: Mapping[str, int] = field(default_factory=dict)


def _scripts_of(skill: FolderSkill) -> Iterator[_Script]:
    for name in files_of(skill.folder):
        if name.endswith(".py"):
            try:
                yield _Script(name=name, modules=imports_of(read_text(skill.folder, name)))
            except FileRefused as refused:
                yield _Script(name=name, fault=str(refused))
            except (SyntaxError, ValueError, RecursionError, MemoryError) as raised:
                yield _Script(name=name, fault=f"cannot be run: {told(raised)}")
        elif name.startswith(_SCRIPTS):
            yield _Script(name=name, fault="cannot be run: the sandbox runs Python only; it can be read")


def _of_script(script: _Script, missing: set[str]) -> Iterator[Finding]:
    if script.fault:
        yield note(f"{script.name} {script.fault}")
    for module, line in script.modules.items():
        if module in missing:
            why = f"the sandbox has no {module}, which it imports at line {line}; {instead_of(module)}"
            yield note(f"{script.name} cannot be run: {why}")
