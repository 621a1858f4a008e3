"""Copies a skill into the folder that a server loads skills from.

The copy is made beside its place and then renamed, so that a server which starts meanwhile finds all of it or nothing.
Imported by the command line.
"""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from callboard.agent.catalogue import Catalogue
from callboard.agent.skill_validation import is_skill_folder, located
from callboard.errors import InvalidRequest

_NOT_COPIED = shutil.ignore_patterns(".git", "__pycache__", "*.pyc", ".DS_Store")


def install(source: Path, skills_dir: Path, names: Iterable[str], *, force: bool) -> Path:
    """Copy a Python file or a skill's folder and return where it is now; raise `InvalidRequest` saying why not.

    The source has been validated, and `names` are the skills in it.
    """
    source = located(source)
    if source.is_dir() and not is_skill_folder(source):
        raise InvalidRequest(
            f"{source} is a folder of skills; add them one by one, or let CALLBOARD_SKILLS_DIR name it."
        )
    target = skills_dir.resolve() / source.name
    if target.resolve() == source.resolve():
        raise InvalidRequest(f"{source} is in CALLBOARD_SKILLS_DIR already.")
    there = target.exists() or target.is_symlink()
    if there and not force:
        raise InvalidRequest(f"{target} is there already; give --force to replace it.")
    _refuse_links_outward(source)
    _refuse_names_of_others(names, skills_dir, target)
    skills_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adding-", dir=skills_dir) as place:
        made = Path(place) / source.name
        try:
            if source.is_dir():
                shutil.copytree(source, made, symlinks=True, ignore=_NOT_COPIED)
            else:
                shutil.copyfile(source, made)
        except OSError as error:
            raise InvalidRequest(f"{source} cannot be copied ({error}); mend it and add it again.") from error
        if there:
            target.rename(Path(place) / "replaced")
        made.rename(target)
    return target


def _refuse_links_outward(source: Path) -> None:
    for path in source.rglob("*") if source.is_dir() else ():
        if path.is_symlink() and not path.resolve().is_relative_to(source.resolve()):
            raise InvalidRequest(f"{path} is a link that leads out of the skill's folder; put the file in its place.")


def _refuse_names_of_others(names: Iterable[str], skills_dir: Path, target: Path) -> None:
    """Refuse a skill whose name one has that stays: the server would leave one of the two out."""
    there = Catalogue.load(skills_dir if skills_dir.is_dir() else None).skills
    for name in names:
        if name in there and not Path(there[name].origin).is_relative_to(target):
            raise InvalidRequest(f"the skill {name!r} is there already, in {there[name].origin}; remove it first.")
