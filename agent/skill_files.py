"""Skills in Python files: importing a file, and the skills that a module has defined.

Importing runs the file, which is the operator's own code. Imported by the loader and by the validation of skills.
"""

import hashlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from callboard.agent.skill import Skill

MAX_TOLD_CHARS = 300


def skills_of(module: ModuleType | Any) -> list[Skill[..., Any]]:
    """Return the skills defined in a module, not those it imports."""
    name = getattr(module, "__name__", None)
    found = (
        [value for value in vars(module).values() if isinstance(value, Skill)] if isinstance(module, ModuleType) else []
    )
    return list({skill.name: skill for skill in found if skill.function.__module__ == name}.values())


def import_file(path: Path) -> ModuleType:
    """Import a file under a name that no package and no other file has."""
    name = f"callboard_skill_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("Python cannot import it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def told(error: BaseException) -> str:
    """Return what was raised as one short line."""
    where = f" at line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}{where}"[:MAX_TOLD_CHARS]


def line_of(error: BaseException, path: Path) -> int | None:
    """Return the line of the file at which importing it failed, if it is known."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None
