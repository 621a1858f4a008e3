"""The commands about tasks that wait for a person: `callboard approvals list` and `show`, with whole arguments.

Each asks a server, in the main thread, or reads the data folder where there is none. Registered by main.py.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from callboard.cli.ask import ID_CHARS, Where, as_json, asks, with_task
from callboard.cli.decide import by_name, parameters_at, pause_in_words, ways_to_decide
from callboard.cli.exit import Ended, Exit
from callboard.cli.groups import ListingGroup
from callboard.cli.numbers import Number
from callboard.cli.output import Column, notice, print_fields, print_some
from callboard.cli.text import MOST_CHARS, ago, call_of, dumps, iso, one_line

if TYPE_CHECKING:
    from callboard.cli.history import LocalHistory
    from callboard.client import Client
    from callboard.client.models import Task


@click.group(cls=ListingGroup)
def approvals() -> None:
    """List and show the calls that wait for a person's decision; alone it lists.

    \b
    Examples:
      callboard approvals
      callboard approvals show f2dc055f
    """


@approvals.command("list")
@click.option(
    "--limit", type=Number(1, 1_000_000), default=20, show_default=True, help="How many at most, oldest first."
)
@click.option("--all", "every", is_flag=True, help="All there are, however many.")
@as_json
@asks
def list_approvals(limit: int, every: bool, as_json: bool, where: Where) -> None:
    """List the tasks that wait for a person, oldest first: the time of those is up first.

    In a pipe: id, reason, when it was accepted, the call with its arguments shortened, and their digest, split by tabs.

    \b
    Examples:
      callboard approvals list
      callboard approvals list --json
    """
    now = datetime.now(UTC)
    columns: tuple[Column[Task], ...] = (
        Column(name="task", plain=lambda row: row.task_id, pretty=lambda row: row.task_id[-ID_CHARS:]),
        Column(name="reason", plain=lambda row: _pause(row).get("reason")),
        Column(name="when", plain=lambda row: iso(row.created_at), pretty=lambda row: ago(row.created_at, now)),
        Column(name="waits for", plain=lambda row: call_of(_pause(row)), stretches=True),
        Column(
            name="digest",
            plain=lambda row: _pause(row).get("digest") or "",
            pretty=lambda row: str(_pause(row).get("digest") or "")[:12],
        ),
    )
    with where.history(patient=every) as history:
        print_some(
            columns,
            _waiting(history),
            limit=None if every else limit,
            none="No task waits for a person.",
            json_of=_row if as_json else None,
        )


def _row(task: "Task") -> dict[str, Any]:
    return {"taskId": task.task_id, "sessionId": task.session_id, "pause": task.pause}


def _pause(task: "Task") -> dict[str, Any]:
    return task.pause or {}


def _waiting(history: "Client | LocalHistory") -> "Iterator[Task]":
    """Yield the tasks that somebody has to decide about, oldest first; those that wait for agents are none.

    Only the ids of all are read first, since a list begins with the newest and may be long.
    """
    newest_first = [listed.task_id for listed in history.tasks(status="paused")]
    for task_id in reversed(newest_first):
        task = history.task(task_id)
        if _pause(task).get("decisions"):
            yield task


@approvals.command()
@click.argument("task_id")
@click.option("--full", is_flag=True, help="All of the arguments, however long.")
@click.option(
    "--ascii",
    "ascii_only",
    is_flag=True,
    help="Write whatever is not ASCII as \\uXXXX, to tell letters that look alike.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the arguments by name, whole, as JSON into this file, as `decide edit --arguments @FILE` takes them.",
)
@as_json
@asks
def show(task_id: str, full: bool, ascii_only: bool, output: Path | None, as_json: bool, where: Where) -> None:
    """Show what a paused task waits for, with whole arguments; what would hide on a terminal is written out.

    TASK_ID may be the beginning or the end of an id, if only one task has it.

    \b
    Examples:
      callboard approvals show f2dc055f
      callboard approvals show f2dc055f --full --ascii
      callboard approvals show f2dc055f --output arguments.json
    """
    parameters = parameters_at(where)
    with where.history() as history:
        meant, pause = with_task(history, task_id, lambda meant: (meant, history.pause(meant)))
    given = by_name(pause, parameters)
    if output is not None:
        if given is None:
            raise Ended(Exit.FAILED, "The arguments are not known by name in full; --json has what there is.")
        _write(dumps(given, ascii_only=ascii_only) + "\n", output)
        notice(f"callboard: the arguments are in {output}; their digest is {pause.get('digest')}")
    elif as_json:
        click.echo(dumps(pause, ascii_only=ascii_only))
    else:
        whole = {name: pause[name] for name in ("args", "kwargs", "edited") if pause.get(name)}
        text = dumps(whole if given is None else given, ascii_only=ascii_only)
        cut = not full and len(text) > MOST_CHARS
        print_fields(_fields(meant, pause, len(text) if cut else None))
        if cut:
            look = f"callboard approvals show {quote(one_line(meant))}"
            click.echo(text[:MOST_CHARS])
            click.echo(
                f"… {len(text) - MOST_CHARS:,} more characters. Look at all of it before you decide: `{look} --full{where.options()}` "
                f"shows it, `{look} --output FILE{where.options()}` writes it."
            )
        else:
            click.echo(text)
        if pause.get("defaults"):
            click.echo("left to their defaults:")
            click.echo(dumps(pause["defaults"], ascii_only=ascii_only))
        for way in ways_to_decide(meant, {**pause, "argsTruncated": True}, where, parameters):
            if not way.startswith("callboard approvals"):
                click.echo(way)


def _write(text: str, file: Path) -> None:
    """Write a text into a new file of its owner's; one that is there is not touched."""
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise Ended(
            Exit.FAILED, f"{file} is there already and stays as it is; give --output another name, or remove it."
        ) from error


def _fields(task_id: str, pause: dict[str, Any], cut_chars: int | None) -> Iterator[tuple[str, object]]:
    """Yield what stands above the arguments; `cut_chars` is how long they are where they are not shown whole."""
    yield "task", task_id
    if pause.get("skill"):
        yield "skill", pause["skill"]
    yield "because", pause_in_words(pause)
    if "argsBytes" in pause:
        yield "size", f"{pause['argsBytes']:,} bytes"
    if "digest" in pause:
        yield "digest", pause["digest"]
    if pause.get("argsTruncated"):
        yield "arguments", "shortened: an earlier version, or their size, has kept the server from keeping them whole"
        return
    shown = (
        "whole:" if cut_chars is None else f"the first {MOST_CHARS:,} of {cut_chars:,} characters; --full shows all:"
    )
    yield "arguments", f"edited by a person, {shown}" if "edited" in pause else shown
