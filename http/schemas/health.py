"""Answers about the server itself."""

from typing import Literal

from pydantic import Field

from callboard.http.schemas.base import Answer, Timestamp


class StatisticsPoint(Answer):
    """One minute. Percentiles are of the times of the tasks that completed or failed in it, at most 5 % off."""

    at: Timestamp = Field(description="When the minute began.")
    accepted: int
    completed: int
    failed: int
    cancelled: int
    p50_ms: float | None = Field(description="null: no task that was worked on ended.")
    p95_ms: float | None
    p99_ms: float | None
    p50_elapsed_ms: float | None = Field(description="From acceptance to end; null: no such task ended.")
    p95_elapsed_ms: float | None
    p99_elapsed_ms: float | None
    queued: int | None = Field(description="Tasks that waited, when that was last looked at; null: it was not.")
    running: int | None = Field(description="Tasks that were worked on, when that was last looked at.")


class WorkerProcess(Answer):
    """A process that works on tasks."""

    pid: int
    ready: bool = Field(description="Whether it has loaded what it needs: skills, agents, the sandbox.")
    tasks: int = Field(description="How many it has.")


class WithWorkers(Answer):
    """An answer that says who works on tasks."""

    workers: list[WorkerProcess] = Field(
        description="The processes that work on tasks; none where threads of the server do."
    )
    worker_deaths: int = Field(description="How many of them have died by themselves since the server's start.")


class StatisticsReply(WithWorkers):
    """The last hour, oldest minute first; the last one is under way."""

    success: Literal[True]
    step_s: int = Field(description="Seconds from one point to the next.")
    points: list[StatisticsPoint]


class HealthMetrics(Answer):
    """Counts over the whole history."""

    total_tasks: int
    successful_tasks: int
    failed_tasks: int
    average_execution_time: float = Field(description="Milliseconds of work, of the tasks that completed or failed.")
    average_elapsed_time: float = Field(description="Milliseconds from acceptance to end, of the same tasks.")
    cancelled_tasks: int
    live_tasks: int


class Health(WithWorkers):
    """How the server is."""

    status: Literal["healthy", "degraded", "unhealthy"]
    version: str
    uptime: float = Field(description="Seconds.")
    timestamp: Timestamp
    services: dict[str, bool] = Field(description="`api`, `agent`, `sandbox`, `llm` and more.")
    metrics: HealthMetrics
    problems: list[str] = Field(description="What does not work or is not there, though configured.")
    warnings: list[str] = Field(
        description="What else an operator may want to know; the status has nothing to do with it."
    )


class Liveness(Answer):
    status: Literal["live"]


class Readiness(Answer):
    status: Literal["ready", "draining", "unhealthy", "no_worker"]


class Index(Answer):
    """Where to go from here."""

    name: str
    version: str
    links: dict[str, str]
