"""`callboard` as a process, at the end of pipes or on a terminal of its own, and a server to ask."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.docs.serving import environment

COMMAND = (sys.executable, "-m", "callboard")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\].*?(?:\x07|\x1b\\)|\r")
_PATIENCE_S = 30.0


def piped(*words: str, home: Path, given: str | None = None, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run `callboard` with pipes at its three ends."""
    return subprocess.run(
        [*COMMAND, *words],
        env=environment(home, **{"CALLBOARD_DATA_DIR": str(home / "data"), **settings}),
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        text=True,
        timeout=60,
    )


def interruptible() -> None:
    """Have Ctrl-C end this process, as it does for a person: what a shell runs in the background ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _on_a_terminal() -> None:
    interruptible()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C is a signal


def spawned(*words: str, home: Path, **settings: str) -> "subprocess.Popen[str]":
    """Start `callboard` with pipes at its ends; the test reads and ends it."""
    return subprocess.Popen(
        [*COMMAND, *words],
        env=environment(home, CALLBOARD_DATA_DIR=str(home / "data"), **settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )


class Terminal:
    """`callboard` on a pseudo-terminal of its own, 100 columns wide; `out` is a file for its standard output instead."""

    def __init__(self, *words: str, home: Path, out: Any = None, **settings: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self._process = subprocess.Popen(
            [*COMMAND, *words],
            env=environment(home, CALLBOARD_DATA_DIR=str(home / "data"), **{"TERM": "xterm-256color", **settings}),
            stdin=slave,
            stdout=slave if out is None else out,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_on_a_terminal,
        )
        os.close(slave)
        self.raw = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(20)
        os.close(self._master)

    @property
    def text(self) -> str:
        """What has been written so far, without escape sequences."""
        return ESCAPES.sub("", self.raw)

    def read_until(self, wanted: str) -> str:
        """Read until this has been written; return all of it so far."""
        deadline = time.monotonic() + _PATIENCE_S
        while wanted not in self.text:
            assert time.monotonic() < deadline, f"{wanted!r} did not come in time:\n{self.text[-2000:]}"
            assert self._read(deadline), f"it ended without {wanted!r}:\n{self.text[-2000:]}"
        return self.text

    def press_ctrl_c(self) -> None:
        os.write(self._master, b"\x03")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> int:
        """Read to the end; return the exit status."""
        deadline = time.monotonic() + _PATIENCE_S
        while self._read(deadline):
            pass
        return self._process.wait(20)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nothing came in time:\n{self.text[-2000:]}"
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # Linux says so when the last process has closed its side
            return False
        self.raw += data.decode(errors="replace")
        return bool(data)
