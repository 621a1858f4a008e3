"""The commands about a server: `callboard health` and `dead-letters`.

Each asks a server, in the main thread; registered by main.py.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from callboard.cli.ask import ID_CHARS, Where, as_json, asks, with_task
from callboard.cli.exit import Exit
from callboard.cli.groups import ListingGroup
from callboard.cli.output import Column, print_fields, print_json, print_list
from callboard.cli.text import ago, duration, iso, one_line, took

if TYPE_CHECKING:
    from callboard.client.models import DeadLetter, Health

_HEALTH_COLOURS = {"healthy": "green", "degraded": "yellow", "unhealthy": "red"}


@click.command()
@as_json
@asks
def health(as_json: bool, where: Where) -> None:
    """Say how the server is. Exit status 1 if it is unhealthy, 69 if there is none.

    \b
    Examples:
      callboard health
      callboard health --json
      callboard health > /dev/null && echo "it works"
    """
    with where.client() as client:
        report = client.health()
        url = client.url
    if as_json:
        print_json(report.model_dump(by_alias=True, mode="json"))
    else:
        print_fields(_health(report, url), styles={"status": _HEALTH_COLOURS.get(report.status)})
    raise SystemExit(Exit.FAILED if report.status == "unhealthy" else Exit.DONE)


def _health(report: "Health", url: str) -> Iterator[tuple[str, object]]:
    metrics = report.metrics
    yield "server", url
    yield "status", report.status
    yield "version", report.version
    yield "up for", duration(report.uptime * 1000)
    yield "services", ", ".join(f"{name} {'up' if up else 'DOWN'}" for name, up in report.services.items())
    yield (
        "tasks",
        (
            f"{metrics.total_tasks:,} in all, {metrics.live_tasks:,} not ended, {metrics.successful_tasks:,} completed, "
            f"{metrics.failed_tasks:,} failed, {metrics.cancelled_tasks:,} cancelled"
        ),
    )
    if report.workers:
        ready = sum(worker.ready for worker in report.workers)
        processes = "1 process" if len(report.workers) == 1 else f"{len(report.workers)} processes"
        died = "1 has died" if report.worker_deaths == 1 else f"{report.worker_deaths:,} have died"
        yield "workers", f"{processes}, {ready} ready, {died}"
    yield "on average", took(metrics.average_elapsed_time, metrics.average_execution_time)
    for problem in report.problems:
        yield "problem", problem
    for warning in report.warnings:
        yield "warning", warning


@click.group("dead-letters", cls=ListingGroup)
def dead_letters() -> None:
    """Tasks under which the server died again and again; alone it lists them.

    \b
    Examples:
      callboard dead-letters
      callboard dead-letters redrive TASK_ID
    """


@dead_letters.command("list")
@as_json
@asks
def list_dead_letters(as_json: bool, where: Where) -> None:
    """List the dead letters, newest first.

    In a pipe: id, timestamp, the task that goes on with it, and text, split by tabs.

    \b
    Examples:
      callboard dead-letters list
      callboard dead-letters list --json
    """
    now = datetime.now(UTC)
    columns: tuple[Column[DeadLetter], ...] = (
        Column(name="task", plain=lambda row: row.task_id, pretty=lambda row: row.task_id[-ID_CHARS:]),
        Column(name="when", plain=lambda row: iso(row.timestamp), pretty=lambda row: ago(row.timestamp, now)),
        Column(name="redriven as", plain=lambda row: row.redriven_as or ""),
        Column(name="text", plain=lambda row: row.task, stretches=True),
    )
    with where.history() as history:
        rows = history.dead_letters()
        if as_json:
            print_json([row.model_dump(by_alias=True, mode="json") for row in rows])
        else:
            print_list(columns, rows, none="There are no dead letters.")


@dead_letters.command()
@click.argument("task_id")
@as_json
@asks
def redrive(task_id: str, as_json: bool, where: Where) -> None:
    """Give a dead letter one more chance, as a new task.

    \b
    Examples:
      callboard dead-letters redrive 019b9d6b-5b10-7d19-b48c-1f18f2dc055f
    """
    with where.changing("give a dead letter one more chance") as client:
        task = with_task(client, task_id, client.redrive)
    if as_json:
        print_json(task.model_dump(by_alias=True, mode="json"))
    else:
        click.echo(f"{one_line(task_id)} goes on as {one_line(task.task_id)}, which is {one_line(task.status)}.")
