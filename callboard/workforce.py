"""Who works on a system's tasks: threads of its process, or processes; and what runs ask the control side for.

Made once, in the thread that starts a system. Imported by the wiring.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from callboard import inheritance
from callboard.abilities import Abilities
from callboard.actors.run_control import RunControl
from callboard.agent.job import Job
from callboard.agent.limits import limits_of
from callboard.agent.purse import Spent
from callboard.agent.signing import Signer
from callboard.agent.spending import Accounts, Limit, holder_of
from callboard.clock import Clock
from callboard.errors import ConfigurationError, StoreUnavailable, UnknownAgent
from callboard.messages.health import WorkersReport, WorkerState
from callboard.one_core import OneCore
from callboard.paths import why_not
from callboard.persistence.store import Reader
from callboard.processes import lockers, who
from callboard.settings import Settings, worker_environment
from callboard.workers.processes import ProcessWorkers
from callboard.workers.protocol import Assignment, Begin, Desk, Listing, Workers

logger = logging.getLogger("callboard.workers")

_WAIT_S = 30.0
_READY_S = 30.0
_LOOK_S = 0.05
_TELL_EVERY_S = 5.0


_MOST_UNASKED = 4
"""Most processes that a server has without being told: each takes some 50 MB."""


def for_serving(settings: Settings) -> Settings:
    """Return the settings of a server that is nothing else: processes work for it, which load its skills from files."""
    processes, one_core = settings.worker_processes, settings.one_core
    if processes is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        processes = max(1, min(_MOST_UNASKED, cores - 1))
    if one_core == "auto" and processes:
        one_core = "on"  # skills, which may want every core, are elsewhere
    return settings.model_copy(update={"worker_processes": processes, "one_core": one_core})


class Workforce:
    """The workers of one system. Processes load while the control side does: they are started first, and given runs last."""

    def __init__(self, settings: Settings, core: OneCore) -> None:
        """Start what processes there are to be; raise `ConfigurationError` where the data folder takes no file."""
        self._settings = settings
        self._listing: object = []
        self._processes: ProcessWorkers | None = None
        self._lock = _opened(settings.require_data_dir() / lock_name(settings.database_url))
        self._end_withholding = inheritance.withhold(lambda: (self._lock,))
        try:
            if settings.worker_processes:
                self._processes = ProcessWorkers(
                    settings.worker_processes,
                    begin=self._begin,
                    environment=worker_environment(),
                    lock=self._lock,
                    calls_at_once=4 + settings.workers * settings.parallel_calls,
                    core=core,
                )
        except BaseException:
            self._let_go()
            raise

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
        _lock_out(self._lock, self._settings)

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
        self._abilities.follow(self._tell)
        return self._processes

    def wait_until_ready(self) -> None:
        """Wait until a process can be given tasks, whose time is not to run while it loads; say so where none gets there."""
        if self._processes is not None and not self._processes.wait_until_ready(_READY_S):
            logger.warning("no worker's process is ready after %g s; tasks wait for one", _READY_S)

    def _tell(self, listing: object) -> None:
        self._listing = listing
        if self._processes is not None:
            self._processes.tell_all(Listing(listing))

    def over(self, job: Job) -> None:
        """Have an attempt that is over spend nothing more."""
        spent = job.progress.spent
        if spent is not None:
            self.accounts.close(holder_of(job.task.task_id, job.attempt), spent.counted_s)

    def close(self) -> None:
        """End the workers that are left, and let go of the lock."""
        self.kill()
        self._let_go()

    def kill(self) -> None:
        """End the workers that are left; any number of times."""
        if self._processes is not None:
            self._processes.kill()

    def _let_go(self) -> None:
        self._end_withholding()
        os.close(self._lock)

    @property
    def report(self) -> WorkersReport:
        """Say how the processes stand, at once; any thread."""
        if self._processes is None:
            return WorkersReport()
        states = tuple(WorkerState(**one) for one in self.described())
        return WorkersReport(processes=states, deaths=self._processes.deaths)

    def described(self) -> list[dict[str, Any]]:
        """Return what there is to say of each process; nothing where threads work."""
        return [] if self._processes is None else self._processes.described()

    def _begin(self) -> Begin:
        return Begin(self._settings.for_workers(), self._listing)

    def _spent_of(self, assignment: Assignment) -> Spent:
        task = assignment.task
        limits: list[Limit] = []
        with contextlib.suppress(UnknownAgent):  # the run says so
            limits = limits_of(task, self._abilities.roster.get(task.spec.agent), self._settings, self._clock.now())
        return Spent(limits, task.task_id, begun=assignment.attempt > 1 or task.redrive_of is not None)


def lock_name(database_url: str) -> str:
    """Return the name of the file in the data folder that the workers of one history have locked."""
    if not database_url:
        return "workers.lock"
    return f"workers-{hashlib.sha256(database_url.encode()).hexdigest()[:12]}.lock"


def _opened(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"{path} can be neither opened nor made ({why_not(error)}); make the folder writable, or set CALLBOARD_DATA_DIR."
        ) from error


def _lock_out(descriptor: int, settings: Settings) -> None:
    """Take the lock that this process and its workers share, once those of a server before are gone.

    They are killed with their server. One that cannot die yet may still be at a call, which is not to be made beside it.
    """
    began_s = told_s = time.monotonic()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            now_s, found = time.monotonic(), os.fstat(descriptor)
        holders = who(lockers(found.st_dev, found.st_ino), otherwise="which one is not told to this user")
        if now_s - began_s > _WAIT_S:
            name = lock_name(settings.database_url)
            raise StoreUnavailable(f"A worker of the server before is still there and has {name} locked: {holders}.")
        if now_s - told_s >= _TELL_EVERY_S or told_s == began_s:
            logger.warning("waiting until the last worker of the server before is gone: %s", holders)
            told_s = now_s
        time.sleep(_LOOK_S)
