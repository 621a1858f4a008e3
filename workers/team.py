"""The worker processes that there are, and which of them takes a run. Used by `processes.py` alone, under its lock."""

import time
from collections.abc import Collection

from callboard.workers.process import WorkerProcess
from callboard.workers.protocol import Run

MOST_ALONE = 4
"""Most runs at once that have a process each to themselves, beside those of the others: memory is why, some 35 MB a process."""

SPARE_S = 5.0
"""How long a process that was there for one run alone is kept for the next such run: many are suspects at once, and a start takes a second."""

_MOST_NAMED = 5


class Team:
    """`count` processes, each with as many runs as come; more where one stands in, or runs are to be alone.

    Invariant: a run that is to be alone takes none of the `count`, so that because of it nobody waits for a process to start.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.all: list[WorkerProcess] = []

    @property
    def usable(self) -> list[WorkerProcess]:
        """Those that are not about to end."""
        return [one for one in self.all if one.condemned_s is None and not one.closing]

    @property
    def shared(self) -> list[WorkerProcess]:
        """Those that take any run."""
        return [one for one in self.usable if one.alone is None]

    @property
    def lacks(self) -> int:
        """How many are to be started."""
        return max(0, self._count - len(self.shared))

    def of(self, run: Run) -> WorkerProcess | None:
        """Return the one that has a run."""
        return next((one for one in self.all if run in one.runs), None)

    def taker(self, *, alone: bool) -> WorkerProcess | None:
        """Return the one that takes a run: `alone`, an idle one that is to spare; else that with the least to do. None: start one."""
        shared = sorted(self.shared, key=lambda one: (not one.ready, one.spare_since_s is not None, not one.runs))
        if alone:
            return next((one for one in shared if not one.runs), None) if len(shared) > self._count else None
        return min(shared[: self._count], key=lambda one: (not one.ready, len(one.runs)), default=None)

    def is_to_spare(self, process: WorkerProcess) -> bool:
        """Say whether one that was there for a run alone is idle, and one too many."""
        return process.is_spare and len(self.shared) > self._count

    def may_end(self, process: WorkerProcess) -> bool:
        """Say whether one has been to spare long enough."""
        since_s = process.spare_since_s
        return since_s is not None and self.is_to_spare(process) and time.monotonic() - since_s > SPARE_S


def named(runs: Collection[Run]) -> str:
    """Return the tasks of some runs, the first few of them, for a line of the log."""
    ids = sorted(run.task_id for run in runs)
    more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
    return ", ".join(ids[:_MOST_NAMED]) + more if ids else "none"
