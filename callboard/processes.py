"""Processes of this machine, told by what they hold: who listens on a port, who has locked a file.

Linux says it in /proc, of processes of other users and of other containers to root alone; elsewhere nothing is found here,
and whoever asks makes do without. Nothing is opened but what is in /proc, so no lock of ours is lost over a look. Any thread.
"""

import contextlib
import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_PROC = Path("/proc")
_LISTENS = "0A"
_SHOWN_CHARS = 80
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process, what was typed to start it, and when that was; `command` is empty and `since` None where nobody says."""

    pid: int
    command: str = ""
    since: datetime | None = None

    def __str__(self) -> str:
        command = f" ({self.command})" if self.command else ""
        since = f", since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        return f"process {self.pid}{command}{since}"


def process(pid: int) -> Process:
    """Return what is known of a process."""
    command, since = "", None
    with contextlib.suppress(OSError, ValueError):
        words = _PROC.joinpath(str(pid), "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        command = " ".join(shlex.join(word.decode("utf-8", "replace") for word in words).split())
        command = "".join(sign if sign.isprintable() else "?" for sign in command)
        if len(command) > _SHOWN_CHARS:
            command = f"{command[:_SHOWN_CHARS]}…"
        since = datetime.fromtimestamp(_booted() + fields(pid).started / os.sysconf("SC_CLK_TCK"), UTC)
    return Process(pid=pid, command=command, since=since)


def who(pids: Iterable[int], *, otherwise: str) -> str:
    """Return who they are and how each is ended, as the end of a sentence; `otherwise` where there are none."""
    found = list(pids)
    if not found:
        return otherwise
    if found == [os.getpid()]:
        return "it is this process itself, in another part of the program, which has to stop that first"
    names = "; ".join(f"it is {process(pid)}, which `kill {pid}` ends" for pid in found[:_SHOWN])
    return names + (f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")


def listeners(port: int) -> list[int]:
    """Return the processes that listen on a port of this machine, at whichever address."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in _PROC.joinpath("net", table).read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == _LISTENS and int(words[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{words[9]}]")
    return _having(lambda link, _found: link in sockets) if sockets else []


def lockers(device: int, inode: int) -> list[int]:
    """Return the processes that have a file open and hold a lock on that opening of it; a fork's child does as well."""

    def locked(link: Path) -> bool:
        with contextlib.suppress(OSError):
            return "\nlock:" in link.parent.with_name("fdinfo").joinpath(link.name).read_text()
        return False

    return _having(lambda _link, found: found == (device, inode), and_also=locked)


def descriptors(pid: "int | str" = "self") -> Iterator[tuple[Path, os.stat_result]]:
    """Yield a process's open descriptors, as links, and what they lead to."""
    with contextlib.suppress(OSError):
        for link in _PROC.joinpath(str(pid), "fd").iterdir():
            with contextlib.suppress(OSError):
                yield link, link.stat()


def _having(
    wanted: Callable[[str, tuple[int, int]], bool], and_also: Callable[[Path], bool] = lambda _link: True
) -> list[int]:
    found = []
    for pid in pids():
        for link, it in descriptors(pid):
            with contextlib.suppress(OSError):
                if wanted(os.readlink(link), (it.st_dev, it.st_ino)) and and_also(link):  # noqa: PTH115
                    found.append(pid)
                    break
    return found


def pids() -> list[int]:
    """Return every process there is."""
    with contextlib.suppress(OSError):
        return sorted(int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())
    return []


@dataclass(frozen=True, slots=True)
class Fields:
    """Of what /proc says about a process: its state, its parent, and when it began, in ticks since the machine's start."""

    state: str
    parent: int
    started: int


def fields(pid: int) -> Fields:
    """Return how a process stands; raise `OSError` where it is gone."""
    words = _PROC.joinpath(str(pid), "stat").read_bytes().rpartition(b")")[2].split()
    return Fields(words[0].decode(), int(words[1]), int(words[19]))


def _booted() -> float:
    return float(
        next(line.split()[1] for line in (_PROC / "stat").read_text().splitlines() if line.startswith("btime"))
    )
