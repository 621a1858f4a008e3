"""The commands about tasks that are there: `callboard tasks`, `show`, `cancel` and `retry`.

Each asks a server, in the main thread; those that only look read the data folder where there is none. Registered by main.py.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from callboard.cli.ask import ID_CHARS, Where, as_dict, as_json, asks, with_task
from callboard.cli.decide import parameters_at, pause_in_words, ways_to_decide
from callboard.cli.exit import Exit
from callboard.cli.groups import ListingCommand
from callboard.cli.numbers import Number
from callboard.cli.output import (
    STATUS_COLOURS,
    Column,
    fit_to_print,
    is_terminal,
    print_fields,
    print_json,
    print_list,
    print_some,
)
from callboard.cli.text import ago, call_of, dumps, duration, iso, local, one_line, shown

if TYPE_CHECKING:
    from callboard.client.models import Result, Task

STATUSES = ("pending", "running", "paused", "completed", "failed", "cancelled")
"""`messages.Status`, written again so that `--help` need not load it; a test compares."""


@click.command(cls=ListingCommand)
@click.option("--status", type=click.Choice(STATUSES), help="Only those that stand so.")
@click.option("--session", metavar="ID", help="Only this session's.")
@click.option("--agent", metavar="NAME", help="Only those of this agent.")
@click.option("--search", metavar="TEXT", help="Only those with this in their text or id.")
@click.option("--parent", metavar="TASK_ID", help="Only those that this task has delegated.")
@click.option(
    "--limit", type=Number(1, 1_000_000), default=20, show_default=True, help="How many at most, newest first."
)
@click.option("--all", "every", is_flag=True, help="All there are, however many.")
@as_json
@asks
def tasks(
    status: str | None,
    session: str | None,
    agent: str | None,
    search: str | None,
    parent: str | None,
    limit: int,
    every: bool,
    as_json: bool,
    where: Where,
) -> None:
    """List tasks, newest first; `callboard tasks list` is the same.

    In a pipe: id, status, timestamp, session, milliseconds of work, beginning of the text, and milliseconds from acceptance to
    end, split by tabs.

    \b
    Examples:
      callboard tasks
      callboard tasks --status failed --limit 100
      callboard tasks --session alice --search invoice
      callboard tasks --all | cut -f1
      callboard tasks --json
    """
    with where.history(patient=every) as history:
        found = history.tasks(status=status, session_id=session, agent=agent, q=search, parent_id=parent)
        chosen = status or session or agent or search or parent
        none = "There are no such tasks." if chosen else "There are no tasks yet."
        print_some(_columns(), found, limit=None if every else limit, none=none, json_of=as_dict if as_json else None)


def _columns() -> "tuple[Column[Result], ...]":
    now = datetime.now(UTC)
    took: Column[Result] = Column(
        name="took",
        plain=lambda row: "" if row.elapsed_time is None else row.elapsed_time,
        pretty=lambda row: _took(row, row.timestamp, now),
    )
    text: Column[Result] = Column(name="text", plain=lambda row: row.task, stretches=True)
    return (
        Column(name="task", plain=lambda row: row.task_id, pretty=lambda row: row.task_id[-ID_CHARS:]),
        Column(
            name="status",
            plain=lambda row: row.status,
            style=lambda row: STATUS_COLOURS.get(row.status, ""),
        ),
        Column(name="when", plain=lambda row: iso(row.timestamp), pretty=lambda row: ago(row.timestamp, now)),
        Column(name="session", plain=lambda row: row.session_id, pretty=_short_session),
        Column(
            name="work",
            plain=lambda row: "" if row.execution_time is None else row.execution_time,
            pretty=lambda row: duration(row.execution_time),
        ),
        *((took, text) if is_terminal() else (text, took)),  # in a pipe a new column stands last
    )


def _took(row: "Result", accepted: datetime, now: datetime) -> str:
    """Return how long a task took by the clock, or has taken so far."""
    if row.elapsed_time is not None or row.ended:
        return duration(row.elapsed_time)
    return f"{duration(max(0.0, (now - accepted).total_seconds() * 1000))} so far"


def _short_session(row: "Result") -> str:
    """Return a session's name; nothing for a task that is a session of its own, which is named after it."""
    return "" if row.session_id == row.task_id else one_line(row.session_id, 12)


@click.command()
@click.argument("task_id")
@as_json
@asks
def show(task_id: str, as_json: bool, where: Where) -> None:
    """Show one task: what was asked, how it stands, what came of it, and how to decide if it is paused.

    TASK_ID may be the beginning or the end of an id, if only one task has it.

    \b
    Examples:
      callboard show 019b9d6b-5b10-7d19-b48c-1f18f2dc055f
      callboard show f2dc055f --json
    """
    with where.history() as history:
        task = with_task(history, task_id, history.task)
        if as_json:
            print_json(task.model_dump(by_alias=True, mode="json"))
            return
        print_fields(_fields(task), styles={"status": STATUS_COLOURS.get(task.status), "error": "red"})
        for command in ways_to_decide(task.task_id, task.pause or {}, where, parameters_at(where)):
            click.echo(f"{'':12} {command}")
        delegated = list(history.tasks(parent_id=task.task_id))
    if delegated:
        click.echo()
        print_list(_columns(), delegated, none="")


def _fields(task: "Task") -> Iterator[tuple[str, object]]:
    yield "task", task.task_id
    yield "status", task.status
    if task.session_id != task.task_id:
        yield "session", task.session_id
    time = local if is_terminal() else iso
    told = {name: value for name, value in task.metadata.items() if name != "printed"}
    asked = {
        "agent": task.agent,
        "skills": None if task.available_skills is None else ", ".join(task.available_skills),
        "labels": dumps(task.labels, indent=None) if task.labels else None,
        "budget": dumps(task.budget, indent=None) if task.budget else None,
        "files": ", ".join(str(file.get("name")) for file in task.attachments) or None,
        "parent": task.parent_id,
        "redrive of": task.redrive_of,
        "redriven as": task.redriven_as,
        "attempt": task.attempt if task.attempt > 1 else None,
        "accepted": time(task.created_at),
        "started": time(task.started_at),
        "ended": time(task.ended_at),
        "took": _took(task, task.created_at, datetime.now(UTC)),
        "work": duration(task.execution_time),
        "metadata": fit_to_print(dumps(told, indent=None)) if told else None,
    }
    yield from ((name, value) for name, value in asked.items() if value not in (None, "-"))
    yield "text", fit_to_print(task.task)
    if task.system_prompt:
        yield "system", fit_to_print(task.system_prompt)
    if printed := task.metadata.get("printed"):
        yield "printed", fit_to_print(shown(printed))
    if task.error:
        yield "error", f"{task.error} ({task.error_code})"
    if task.output is not None or task.status == "completed":
        yield "output", fit_to_print(shown(task.output))
    if task.pause:
        if task.pause.get("skill"):
            yield "waits for", call_of(task.pause)
            if isinstance(size := task.pause.get("argsBytes"), int):
                yield (
                    "arguments",
                    f"{size:,} bytes; `callboard approvals show {one_line(task.task_id)}` shows them whole",
                )
            yield "because", pause_in_words(task.pause)
        else:
            yield "waits for", pause_in_words(task.pause)


@click.command()
@click.argument("task_id")
@as_json
@asks
def cancel(task_id: str, as_json: bool, where: Where) -> None:
    """Cancel a task, waiting or running. Exit status 1 if it had ended in another way.

    \b
    Examples:
      callboard cancel 019b9d6b-5b10-7d19-b48c-1f18f2dc055f
    """
    with where.changing("cancel a task") as client:
        done = with_task(client, task_id, client.cancel)
    if as_json:
        print_json(done.model_dump(by_alias=True, mode="json"))
    else:
        click.echo(f"{one_line(done.task_id)}: {one_line(done.message)}.")
    raise SystemExit(Exit.DONE if done.success else Exit.FAILED)


@click.command()
@click.argument("task_id")
@as_json
@asks
def retry(task_id: str, as_json: bool, where: Where) -> None:
    """Submit once more what a task that has ended was asked, as a new task, and print the id of that.

    \b
    Examples:
      callboard retry 019b9d6b-5b10-7d19-b48c-1f18f2dc055f
      callboard events --follow "$(callboard retry f2dc055f)"
    """
    with where.changing("do a task again") as client:
        accepted = with_task(client, task_id, client.retry)
    if as_json:
        print_json(accepted.model_dump(by_alias=True, mode="json"))
    else:
        click.echo(one_line(accepted.task_id))
