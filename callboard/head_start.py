"""What a server starts before all else: the processes that work for it, and the lock that says whether they are gone.

PERF: they load for as long as the control side does, so this module loads little itself. Made once, in the thread that starts a system;
imported by the command line, `system.py` and `workforce.py`.
"""

import fcntl
import hashlib
import logging
import os
import time
from pathlib import Path

from callboard import inheritance
from callboard.errors import ConfigurationError, StoreUnavailable
from callboard.one_core import OneCore
from callboard.paths import why_not
from callboard.processes import lockers, who
from callboard.settings import Settings, worker_environment
from callboard.workers.processes import ProcessWorkers
from callboard.workers.protocol import Begin, Listing

logger = logging.getLogger("callboard.workers")

_WAIT_S = 30.0
_LOOK_S = 0.05
_TELL_EVERY_S = 5.0

_MOST_UNASKED = 4
"""Most processes that a server has without being told: each takes some 50 MB."""


def for_serving(settings: Settings) -> Settings:
    """Return the settings of a server that is nothing else: processes work for it, which load its skills from files."""
    if settings.worker_processes is not None:
        return settings
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return settings.model_copy(update={"worker_processes": max(1, min(_MOST_UNASKED, cores - 1))})


class HeadStart:
    """The workers' processes of one system, where it is to have any, and the lock that it shares with them."""

    def __init__(self, settings: Settings) -> None:
        """Start them; raise `ConfigurationError` where the data folder takes no file."""
        self._settings = settings
        self._listing: object = []
        self.core = OneCore(wanted=settings.one_core and bool(settings.worker_processes))
        self.processes: ProcessWorkers | None = None
        self._lock = _opened(settings.require_data_dir() / lock_name(settings.database_url))
        self._end_withholding = inheritance.withhold(lambda: (self._lock,))
        try:
            if settings.worker_processes:
                self.processes = ProcessWorkers(
                    settings.worker_processes,
                    begin=lambda: Begin(settings.for_workers(), self._listing),
                    environment=worker_environment(),
                    lock=self._lock,
                    calls_at_once=4 + settings.workers * settings.parallel_calls,
                    core=self.core,
                )
        except BaseException:
            self._let_go()
            raise

    def lock_out(self) -> None:
        """Wait until no worker of a server before is left; raise `StoreUnavailable` where one does not end."""
        _lock_out(self._lock, self._settings)

    def tell(self, listing: object) -> None:
        """Have all processes know these tools of servers, those to come too."""
        self._listing = listing
        if self.processes is not None:
            self.processes.tell_all(Listing(listing))

    def kill(self) -> None:
        """End the processes that are left; any number of times."""
        if self.processes is not None:
            self.processes.kill()

    def close(self) -> None:
        """End the processes that are left, and let go of the lock."""
        self.kill()
        self._let_go()

    def _let_go(self) -> None:
        self._end_withholding()
        os.close(self._lock)


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
