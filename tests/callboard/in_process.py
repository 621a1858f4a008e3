"""`callboard` in the process of the tests, with pipes at its three ends: what it says and how it ends, without the start
of an interpreter, which takes half a second of a processor.

It goes through the entry point of the program and its exit statuses. What a shell, a signal, a closed pipe or a terminal
sees of a command is for terminal.py, which starts it as a process.
"""

import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from callboard.cli.main import main
from callboard.logs import QUIET
from tests.docs.serving import environment


def in_process(
    *words: str, home: Path, given: str | None = None, **settings: str
) -> "subprocess.CompletedProcess[str]":
    """Run `callboard` as `terminal.piped` does, in this process; a defect is raised and no traceback is printed."""
    out, err = _pipe(), _pipe()
    surroundings = environment(home, **{"CALLBOARD_DATA_DIR": str(home / "data"), **settings})
    with (
        _put_back(),
        patch.dict(os.environ, surroundings, clear=True),
        patch.object(sys, "stdin", _pipe(given or "")),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        status = _status(words)
    return subprocess.CompletedProcess([*words], status, _text(out), _text(err))


def _status(words: tuple[str, ...]) -> int:
    """Run the entry point; return what the interpreter would make of how it ends."""
    with pytest.raises(SystemExit) as end:
        main.main(list(words), prog_name="callboard")
    assert end.value.code is None or isinstance(end.value.code, int), "the interpreter would print it, and end with 1"
    return int(end.value.code or 0)


def _pipe(text: str = "") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8", write_through=True)


def _text(pipe: io.TextIOWrapper) -> str:
    pipe.seek(0)
    return pipe.read()


@contextmanager
def _put_back() -> Iterator[None]:
    """Put back what a command changes for the whole of its process, which ends with it elsewhere: signals and logging."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    root = logging.getLogger()
    loggers = {logger: logger.level for logger in (root, *map(logging.getLogger, QUIET))}
    before = list(root.handlers)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for logger, level in loggers.items():
            logger.setLevel(level)
        root.handlers[:] = before
