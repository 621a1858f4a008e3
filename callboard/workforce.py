"""Who works on a system's tasks: threads of its process, or processes; and what runs ask the control side for.

Made once, in the thread that starts a system. Imported by system.py and the wiring.
"""

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from callboard.abilities import Abilities
from callboard.actors.run_control import RunControl
from callboard.agent.job import Job
from callboard.agent.limits import limits_of
from callboard.agent.purse import Spent
from callboard.agent.signing import Signer
from callboard.agent.spending import Accounts, Limit, holder_of
from callboard.clock import Clock
from callboard.errors import UnknownAgent
from callboard.head_start import HeadStart
from callboard.messages.health import WorkersReport, WorkerState
from callboard.persistence.store import Reader
from callboard.settings import Settings
from callboard.workers.protocol import Assignment, Desk, Workers

logger = logging.getLogger("callboard.workers")

_READY_S = 30.0
"""How long a start waits for a process that is ready, and how long a server that had one is thought to have one again soon."""


class Workforce:
    """The workers of one system. Processes load while the control side does: they are started first (head_start.py), and given runs last."""

    def __init__(self, settings: Settings, head_start: HeadStart) -> None:
        self._settings = settings
        self._head_start = head_start
        self._processes = head_start.processes

    def equip(
        self,
        abilities: Abilities,
        reader: Reader,
        *,
        signer: Signer,
        clock: Clock,
        workspace_root: Path,
        lost: Callable[[], bool],
    ) -> None:
        """Wait until no worker of a server before is left, and prepare; raise `StoreUnavailable` where one does not end."""
        self._abilities = abilities
        self._clock = clock
        self._lost = lost
        self.accounts = Accounts(reader.usage)
        self._control = RunControl(reader, signer)
        if self._processes is None:
            abilities.equip(accounts=self.accounts, control=self._control, clock=clock, workspace_root=workspace_root)
        self._head_start.lock_out()

    def workers(self, desk: Desk) -> Workers:
        """Return the workers of this desk, at work."""
        if self._processes is None:
            from callboard.workers.threads import ThreadWorkers  # PERF: with all that runs need

            return ThreadWorkers(desk, self._settings.workers, lambda: self._abilities.tools, lost=self._lost)
        self._processes.attend(
            desk,
            methods={
                "control": self._control,
                "accounts": self.accounts,
                "breakers": self._abilities.breakers,
                "mcp": self._abilities.servers,
            },
            spent_of=self._spent_of,
            gone=self._abilities.breakers.gone,
        )
        self._abilities.follow(self._head_start.tell)
        return self._processes

    def wait_until_ready(self) -> None:
        """Wait until a process can be given tasks, whose time is not to run while it loads; say so where none gets there."""
        if self._processes is not None and not self._processes.wait_until_ready(_READY_S):
            logger.warning("no worker's process is ready after %g s; tasks wait for one", _READY_S)

    def over(self, job: Job) -> None:
        """Have an attempt that is over spend nothing more."""
        spent = job.progress.spent
        if spent is not None:
            self.accounts.close(holder_of(job.task.task_id, job.attempt), spent.counted_s)

    @property
    def report(self) -> WorkersReport:
        """Say how the processes stand, at once; any thread."""
        if self._processes is None:
            return WorkersReport()
        states = tuple(WorkerState(**one) for one in self.described())
        can_work = self._processes.unready_s() < _READY_S
        return WorkersReport(processes=states, deaths=self._processes.deaths, can_work=can_work)

    def described(self) -> list[dict[str, Any]]:
        """Return what there is to say of each process; nothing where threads work."""
        return [] if self._processes is None else self._processes.described()

    def _spent_of(self, assignment: Assignment) -> Spent:
        task = assignment.task
        limits: list[Limit] = []
        with contextlib.suppress(UnknownAgent):  # the run says so
            limits = limits_of(task, self._abilities.roster.get(task.spec.agent), self._settings, self._clock.now())
        return Spent(limits, task.task_id, begun=assignment.attempt > 1 or task.redrive_of is not None)
