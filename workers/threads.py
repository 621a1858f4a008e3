"""Runs worked on in threads of this process: for programs, whose skills are objects of theirs.

Called by the task pool, in any thread. Imported by the wiring.
"""

from collections.abc import Callable

from callboard.agent.cancel import CancelToken
from callboard.agent.job import Progress, Tools
from callboard.workers.protocol import Assignment, Commit, Desk, Ended, Recorded, Reply, Run, TimeLeft, Told
from callboard.workers.work import Work


class ThreadWorkers:
    """Fulfils `Workers`. A run that does not let go keeps its thread; whatever is assigned beside it gets another one."""

    most_alone = 1
    """All threads are of one process, and what kills it kills them all."""

    def __init__(self, desk: Desk, threads: int, tools: Callable[[], Tools], *, lost: Callable[[], bool]) -> None:
        self._tools = tools
        self._work = Work(_Direct(desk), tools, threads=threads, lost=lost)

    def assign(self, assignment: Assignment, token: CancelToken, progress: Progress, *, alone: bool = False) -> None:
        del alone  # see `most_alone`
        self._work.assign(assignment, token, progress)

    def stand_in(self, run: Run) -> None:
        """Do nothing: what is assigned next gets a thread of its own."""

    def probe(self) -> None:
        self._tools().sandbox.probe()

    def close(self, until_s: float) -> bool:
        return self._work.close(until_s)

    def kill(self) -> None:
        """Do nothing: a thread ends with its process."""


class _Direct:
    """The way from one thread to the others."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def tell(self, message: Told | TimeLeft) -> None:
        self._desk.take(message)

    def tell_now(self, message: Recorded | Ended) -> None:
        self._desk.take(message)

    def ask(self, asks: Commit) -> Reply:
        return self._desk.commit(asks)
