"""What a server's processes take, all of them together: it may be one, or several with sandboxes and workers below it.

A server is named by the ids of the processes that were started for it; whatever comes from them counts. Processor time holds what
has ended meanwhile as well, since a parent that waits for its child takes up the child's account. Voluntary context switches are
Linux' alone to tell, and of threads that have ended it says nothing. Used by the suites here and by `chaos/soak.py`.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

SANDBOX = "monty"
"""The program of the sandbox's processes."""

_MIB = 2**20
_SWITCHES = "\nvoluntary_ctxt_switches:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What has been used up to one moment; `switches` by thread, empty where the system does not tell."""

    cpu_s: float
    switches: Mapping[Path, int]

    def switches_since(self, before: "Usage") -> int:
        """Return the voluntary context switches since then, of the threads that are there still."""
        return sum(count - before.switches.get(thread, 0) for thread, count in self.switches.items())


def members(pids: Iterable[int]) -> list[psutil.Process]:
    """Return these processes and all that come from them; those that have ended are left out."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(pid)
            found |= {one.pid: one for one in (first, *first.children(recursive=True))}
    return list(found.values())


def without_sandbox(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return those that are not the sandbox's, of which there stay as many as were ever at work at once."""
    kept = []
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if one.name() != SANDBOX:
                kept.append(one)
    return kept


def usage(pids: Iterable[int]) -> Usage:
    total, switches = 0.0, dict[Path, int]()
    for one in members(pids):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(
                one.cpu_times()[:4]
            )  # its own, in the program and in the kernel, and that of children it has waited for
            switches |= _switches(one.pid)
    return Usage(cpu_s=total, switches=switches)


def _switches(pid: int) -> dict[Path, int]:
    found: dict[Path, int] = {}
    for thread in Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(OSError):
            _, _, counted = thread.read_text().partition(_SWITCHES)
            found[thread] = int(counted.split(maxsplit=1)[0])
    return found


def resident_mb(processes: Iterable[psutil.Process]) -> float:
    """Return resident memory in MB (2^20 bytes)."""
    return _sum_mb(processes, lambda one: one.memory_info().rss)


def proportional_mb(processes: Iterable[psutil.Process]) -> float:
    """Return memory with each shared page divided by its users (PSS), in MB; 0 where the system does not tell."""
    return _sum_mb(processes, lambda one: getattr(one.memory_full_info(), "pss", 0))


def private_mb(processes: Iterable[psutil.Process]) -> float:
    """Return memory that would come back if these processes ended, in MB."""
    return _sum_mb(processes, lambda one: one.memory_full_info().uss)


def _sum_mb(processes: Iterable[psutil.Process], of: Callable[[psutil.Process], int]) -> float:
    total = 0
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += of(one)
    return total / _MIB
