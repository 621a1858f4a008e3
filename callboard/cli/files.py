"""Files that come with a task, as `callboard run --file` names them.

Runs in the main thread; imported by `run.py`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from callboard.cli.output import notice
from callboard.cli.text import one_line


class File(click.Path):
    """The path of a file that can be attached: it is there, may be read, and is not a folder, a pipe or a device."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, readable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "-":
            self.fail("'-' stands for standard input as TASK only; write what comes in into a file.", param, ctx)
        from callboard.client.spec import name_of
        from callboard.file_names import fault_of

        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if (fault := fault_of(name_of(path))) is not None:
            self.fail(f"{str(path)!r} {fault}: give the file another name.", param, ctx)
        if not path.is_file():
            self.fail(
                f"{str(value)!r} is a pipe or a device; write what it gives into a file, and attach that.", param, ctx
            )
        return path


def attached(paths: Sequence[Path], *, quiet: bool) -> list[Path]:
    """Return the files, each once; say what those are called in the task whose name another one has."""
    from callboard.client.spec import name_of
    from callboard.file_names import one_form, told_apart

    files: dict[tuple[int, int], Path] = {}
    for path in paths:
        found = path.stat()
        files.setdefault((found.st_dev, found.st_ino), path)
    once = list(files.values())
    names = [name_of(path) for path in once]
    for path, name, used in zip(once, names, told_apart(names), strict=True):
        if one_form(name) != one_form(used) and not quiet:
            notice(f"callboard: {one_line(str(path))} is {used!r} in the task, beside another file of its name")
    return once
