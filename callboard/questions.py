"""What people who watch a server ask beside `callboard.messages`: sessions, one more try, agents' counts, statistics, health.

All are immutable, because Pykka does not copy. Imported by whoever asks, by the actors and by `persistence/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from callboard.messages import Status, Totals

MOST_WORDS = 200
"""Characters that tasks can be searched for (`ListTasks.q`); SQLite's own limit for a pattern is 50,000 bytes."""

# --- requests ---


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSessions:
    """Ask for a `SessionPage`, last used first; `cursor` is the `next_cursor` of the page before."""

    limit: int = 10
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryTask:
    """Ask that what an ended task was asked be done again, from the beginning and with a budget of its own.

    The reply is the new task's `TaskAccepted`, sent after the commit. Raises `TaskNotFound`, `TaskNotEnded`, and
    whatever submitting the task now would. With an idempotency key it is done once.
    """

    task_id: str
    caller: str | None = None
    request_id: str | None = None
    idempotency_key: str | None = None

    @property
    def fingerprint(self) -> str:
        """What makes a request with the same key the same one; no body of another kind has such a one."""
        return f"retry:{self.task_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GetPause:
    """Ask what a paused task waits for, with the whole arguments of the call; the reply is a dict like `TaskRecord.pause`.

    Raises `TaskNotFound` or `TaskNotPaused`.
    """

    task_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAgentUsage:
    """Ask how many tasks agents have ended and how many of them failed; the reply is a `dict[str, Usage]` by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetStatistics:
    """Ask for the `StatisticsReport` of the last hour."""


# --- replies ---


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """A session in a list; `preview` is the beginning of the last thing it was asked, None where that is not known."""

    session_id: str
    created_at: datetime
    updated_at: datetime
    tasks: int
    preview: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPage:
    """Some sessions, last used first, and where the next page begins (None: there is none)."""

    sessions: tuple[SessionSummary, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How many tasks wait to be worked on, and how many are being worked on."""

    pending: int
    running: int


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
class Ending:
    """How a task ended, the milliseconds it was worked on (None: nobody did), and those since its acceptance."""

    at: datetime
    status: Status
    worked_ms: float | None
    elapsed_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsReport:
    """The last hour, oldest minute first; the last one is under way."""

    points: tuple[StatisticsPoint, ...]
    step_s: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """How the server is; `problems` are sentences, empty when all is well, `warnings` those that change nothing of that."""

    status: str
    services: Mapping[str, bool]
    totals: Totals
    problems: tuple[str, ...]
    at: datetime
    warnings: tuple[str, ...] = ()
