"""Health: signs of life, counts, and the figures of the last hour. All are immutable."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from callboard.messages.ask import Ask
from callboard.messages.tasks import (
    Status,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping(Ask["Pong"]):
    """Ask an actor whether it is alive; the reply is `Pong`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """An actor's sign of life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time has passed; sent by an actor's own inbox to actors that ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Tell the courier to send no more: the server stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """The result logger's word to itself: commit what has been buffered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts over the whole history, pruned tasks included; `live` tasks have not ended, cancelled ones add no time."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    execution_ms: float = 0.0
    elapsed_ms: float = 0.0
    live: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How many tasks wait to be worked on, and how many are being worked on."""

    pending: int
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """A process that works on tasks: whether it has loaded what it needs, and how many tasks it has."""

    pid: int
    ready: bool
    tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersReport:
    """The processes that work on tasks, none where threads of the server do; and how many have died by themselves since its start.

    `can_work` is False where no process has become ready, be it since the start or for a while.
    """

    processes: tuple[WorkerState, ...] = ()
    deaths: int = 0
    can_work: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """How the server is; `problems` are sentences, empty when all is well, `warnings` those that change nothing of that."""

    status: str
    services: Mapping[str, bool]
    totals: Totals
    problems: tuple[str, ...]
    at: datetime
    warnings: tuple[str, ...] = ()
    workers: WorkersReport = WorkersReport()


@dataclass(frozen=True, slots=True, kw_only=True)
class GetStatistics(Ask["StatisticsReport"]):
    """Ask for the `StatisticsReport` of the last hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a task ended, the milliseconds it was worked on (None: nobody did), and those since its acceptance."""

    at: datetime
    status: Status
    worked_ms: float | None
    elapsed_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsPoint:
    """One minute, from `at` on: tasks accepted and ended, percentiles of their milliseconds, of work and by the clock.

    A percentile is None where no task with a known time ended; `queued` and `running` are as they were when they were
    last looked at in that minute, None where nobody looked.
    """

    at: datetime
    accepted: int
    completed: int
    failed: int
    cancelled: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    p50_elapsed_ms: float | None
    p95_elapsed_ms: float | None
    p99_elapsed_ms: float | None
    queued: int | None
    running: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsReport:
    """The last hour, oldest minute first; the last one is under way."""

    points: tuple[StatisticsPoint, ...]
    step_s: int = 60
