"""Reads an Agent Skills folder: the front matter of its SKILL.md.

Runs at start, in the thread of the wiring or of the command line. Imported by the loader and by the validation.
"""

from dataclasses import dataclass
from pathlib import Path

from callboard.agent.findings import Finding, error
from callboard.agent.skill_folders.document import read_document
from callboard.agent.skill_folders.files import DOCUMENT, FileRefused, document_of, read_text
from callboard.agent.skill_folders.skill import FolderSkill


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFolder:
    """A folder's skill, None where it is broken, and what there is to say about it."""

    skill: FolderSkill | None
    findings: tuple[Finding, ...]

    @property
    def why(self) -> str:
        """Why there is no skill, in the middle of a sentence."""
        return "; ".join(str(finding) for finding in self.findings if finding.level == "error")


def read_folder(path: Path, top: Path | None = None, name: str | None = None) -> ReadFolder:
    """Read the front matter of a skill's folder; every problem is a finding.

    `top` is the folder that was searched. The operator may have linked what stands right in it; a collection that came
    from elsewhere must not lead out of itself. `name` is the folder's where `path` does not end in it, as behind a link.
    """
    try:
        folder = path.resolve(strict=True)
        if top is not None and not folder.is_relative_to(_home(path, top)):
            return ReadFolder(skill=None, findings=(error("its folder is a link that leads out of its collection"),))
        file = document_of(folder) or DOCUMENT
        text = read_text(folder, file)
    except FileRefused as refused:
        return ReadFolder(skill=None, findings=(error(f"it {refused}"),))
    except (OSError, RuntimeError) as raised:
        return ReadFolder(skill=None, findings=(error(f"its folder cannot be read ({raised})"),))
    document, findings = read_document(text, name or path.name)
    skill = None if document is None else FolderSkill(document=document, folder=folder, origin=str(path), file=file)
    return ReadFolder(skill=skill, findings=tuple(findings))


def _home(path: Path, top: Path) -> Path:
    """Return the folder that a skill must lie in: what stands right in the folder that was searched, without links."""
    return (top / Path(*path.relative_to(top).parts[:1])).resolve()
