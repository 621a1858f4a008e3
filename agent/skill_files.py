"""Skills in Python files: importing a file, and the skills that a module has defined.

Importing runs the file, which is the operator's own code. Imported by the loader and by the validation of skills.
"""

import hashlib
import importlib.util
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from callboard.agent.exceptions import MODULE_PREFIX, log_import, text_of
from callboard.agent.skill import Skill

MAX_TOLD_CHARS = 300
_OF_THE_PARSER = (SyntaxError, IndentationError, TabError)
_IS_IMPORT = re.compile(r"^<frozen importlib|\bimportlib\b")


def skills_of(module: ModuleType | Any) -> list[Skill[..., Any]]:
    """Return the skills defined in a module, not those it imports."""
    if not issubclass(type(module), ModuleType):
        return []
    name = getattr(module, "__name__", None)
    # by their types: what a module holds may say of itself that it is anything, or raise where it is asked
    found = [value for value in list(vars(module).values()) if issubclass(type(value), Skill)]
    return list({skill.name: skill for skill in found if skill.function.__module__ == name}.values())


def import_file(path: Path) -> ModuleType:
    """Import a file under a name that no package and no other file has."""
    name = f"{MODULE_PREFIX}{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("Python cannot import it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as raised:
        del sys.modules[name]
        log_import(str(path), raised)
        raise
    return module


def told(error: BaseException) -> str:
    """Return what was raised as one short line; what came of importing a file, with the line of it."""
    if type(error) in _OF_THE_PARSER:
        line, text = error.lineno, f"{type(error).__name__}: {error.msg}"  # type: ignore[attr-defined]
    else:
        line, text = _imported_line(error), text_of(error)
    where = f" at line {line}" if line else ""
    return f"{text[: MAX_TOLD_CHARS - len(where)]}{where}"


def _imported_line(error: BaseException) -> int | None:
    """Return the line at which the file that was imported failed, or what it imports itself."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if not any(map(_IS_IMPORT.search, files)):
        return None
    below = files[next(n for n, name in enumerate(files) if _IS_IMPORT.search(name)) :]
    imported = next((name for name in below if not _IS_IMPORT.search(name)), None)
    return None if imported is None else line_of(error, Path(imported))


def line_of(error: BaseException, path: Path) -> int | None:
    """Return the line of the file at which importing it failed, if it is known."""
    if type(error) in _OF_THE_PARSER and error.filename == str(path):  # type: ignore[attr-defined]
        return error.lineno  # type: ignore[attr-defined,no-any-return]
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None
