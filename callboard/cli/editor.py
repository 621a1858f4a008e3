"""The arguments of a call in a person's editor, in a file that stays until the server has taken what was saved.

Runs in the main thread; imported by `decide.py`.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import click

from callboard.cli.exit import Ended, Exit
from callboard.cli.output import notice
from callboard.cli.text import dumps
from callboard.values import decoded, unmarked


@contextmanager
def edited(arguments: Mapping[str, Any], go_on: Callable[[Path, BaseException], str]) -> Iterator[dict[str, Any]]:
    """Open an editor on arguments, and yield what was saved as long as something is done with it.

    Whatever goes wrong from then on, Ctrl-C too, the file stays for its owner alone, and standard error has what `go_on` says of
    it. Raises `Ended` where nothing was changed, or what was saved is no JSON object.
    """
    before = dumps(arguments) + "\n"
    number, name = mkstemp(prefix="callboard-edit-", suffix=".json")
    file = Path(name)
    with os.fdopen(number, "w", encoding="utf-8") as out:
        out.write(before)
    try:
        click.edit(filename=name)
        if file.read_bytes() == before.encode():
            raise Ended(
                Exit.FAILED, "nothing was changed in the editor, so nothing is decided; `approve` takes it as it is."
            )
        yield _saved(file)
    except BaseException as error:
        if file.is_file() and file.read_bytes() != before.encode():
            notice(f"callboard: {go_on(file, error)}")
        else:
            file.unlink(missing_ok=True)
        raise
    file.unlink(missing_ok=True)


def _saved(file: Path) -> dict[str, Any]:
    try:
        return json_object(decoded(file.read_bytes()))
    except UnicodeDecodeError as error:
        why = "is no text in UTF-8"
        raise Ended(Exit.FAILED, f"what was saved in the editor {why}; nothing is decided.") from error
    except ValueError as error:
        raise Ended(Exit.FAILED, f"what was saved in the editor {error}; nothing is decided.") from error


def json_object(text: str) -> dict[str, Any]:
    """Return the object that a text in JSON is; raise `ValueError` with what is wrong with it, without a subject."""
    found = json_value(text)
    if not isinstance(found, dict):
        raise ValueError("is no JSON object, such as {} with all arguments by name")
    return found


def json_value(text: str) -> Any:
    """Return what a text in JSON says; raise `ValueError` with what is wrong with it, without a subject."""
    try:
        return json.loads(unmarked(text))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from error
