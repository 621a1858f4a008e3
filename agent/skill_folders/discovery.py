"""Finds Agent Skills folders, and reads the front matter of each.

Runs at start, in the thread of the wiring or of the command line. Imported by the loader and by the validation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from callboard.agent.skill_folders.document import read_document
from callboard.agent.skill_folders.files import FileRefused, read_text
from callboard.agent.skill_folders.findings import Finding, error
from callboard.agent.skill_folders.skill import DOCUMENT, FolderSkill

_NOT_SKILLS = ("__pycache__", "node_modules")
_COLLECTION = "skills"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFolder:
    """A folder's skill, None where it is broken, and what there is to say about it."""

    skill: FolderSkill | None
    findings: tuple[Finding, ...]

    @property
    def why(self) -> str:
        """Why there is no skill, in the middle of a sentence."""
        return "; ".join(str(finding) for finding in self.findings if finding.level == "error")


def skill_folders(folder: Path) -> Iterator[Path]:
    """Yield the folders with a SKILL.md: those in the folder, and those in the collections in it.

    A collection is a folder without a SKILL.md whose own folders are skills, or one with its skills in `skills/`, as
    public repositories have them.
    """
    for path in _subfolders(folder):
        if _is_skill(path):
            yield path
            continue
        yield from (inner for inner in _subfolders(path) if _is_skill(inner))
        if path.name != _COLLECTION and not _is_skill(path / _COLLECTION):
            yield from (inner for inner in _subfolders(path / _COLLECTION) if _is_skill(inner))


def read_folder(path: Path, top: Path | None = None) -> ReadFolder:
    """Read the front matter of a skill's folder; every problem is a finding.

    `top` is the folder that was searched. The operator may have linked what stands right in it; a collection that came
    from elsewhere must not lead out of itself.
    """
    try:
        folder = path.resolve(strict=True)
        if top is not None and not folder.is_relative_to((top / path.relative_to(top).parts[0]).resolve()):
            return ReadFolder(skill=None, findings=(error("its folder is a link that leads out of its collection"),))
        text = read_text(folder, DOCUMENT)
    except FileRefused as refused:
        return ReadFolder(skill=None, findings=(error(f"it {refused}"),))
    except (OSError, RuntimeError) as raised:
        return ReadFolder(skill=None, findings=(error(f"its folder cannot be read ({raised})"),))
    document, findings = read_document(text, path.name)
    skill = None if document is None else FolderSkill(document=document, folder=folder, origin=str(path))
    return ReadFolder(skill=skill, findings=tuple(findings))


def _is_skill(path: Path) -> bool:
    return (path / DOCUMENT).is_file() or (path / DOCUMENT).is_symlink()


def _subfolders(folder: Path) -> list[Path]:
    try:
        found = [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []
    return sorted(path for path in found if not path.name.startswith(".") and path.name not in _NOT_SKILLS)
