"""`callboard events`: a task's log, or the feed of everything, as it is or followed.

Asks a server, or reads what the data folder holds where there is none, in the main thread; registered by main.py.
"""

from collections.abc import Iterable, Iterator
from shlex import quote
from typing import TYPE_CHECKING

import click

from callboard.cli.ask import Where, as_json, asks, with_task
from callboard.cli.connection import Connection, given_up
from callboard.cli.exit import Ended, Exit
from callboard.cli.text import dumps, one_line
from callboard.cli.topics import describe

if TYPE_CHECKING:
    from callboard.client.models import Event

_UNENDED = "the task {0} is {1}, and no server works on it; start `callboard serve` and it goes on: `callboard events --follow {0}` shows it."
_COLOURS = {"completed": "green", "failed": "red", "cancelled": "yellow", "paused": "magenta"}


@click.command()
@click.argument("task_id", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on until the task has ended; without TASK_ID, for ever.")
@click.option("--after", metavar="N", help="Only events behind this number; of the feed, behind this position.")
@click.option("--topic", multiple=True, metavar="TOPIC", help="Of the feed: only these, such as 'agent.task.*'.")
@click.option("--session", metavar="ID", help="Of the feed: only this session's.")
@click.option("--agent", metavar="NAME", help="Of the feed: only this agent's.")
@as_json
@asks
def events(
    task_id: str | None,
    follow: bool,
    after: str | None,
    topic: tuple[str, ...],
    session: str | None,
    agent: str | None,
    as_json: bool,
    where: Where,
) -> None:
    """Print a task's events, or with --follow and no TASK_ID those of all tasks from now on.

    A broken connection is made again, also across a restart of the server: nothing is missed and nothing comes twice.
    A followed task's events have those of the tasks that it delegates among them. In a pipe: task, number, timestamp,
    topic and what happened, split by tabs. With --json: one JSON document a line.

    \b
    Examples:
      callboard events 019b9d6b-5b10-7d19-b48c-1f18f2dc055f
      callboard events TASK_ID --follow
      callboard events TASK_ID --after 12 --json
      callboard events --follow --topic 'agent.task.*'
    """
    from callboard.client import Client

    if task_id is None:
        if not follow:
            raise click.UsageError("Name a task, or --follow the events of all.")
        _follow_all(where, after, topic, session, agent, as_json=as_json)
        return
    if task_id == "list":
        raise click.UsageError("There is no list of all events; name a task, or --follow the events of all.")
    if topic or session or agent:
        raise click.UsageError("--topic, --session and --agent are for the feed of all tasks; leave out TASK_ID.")
    with where.history() as history:
        task = with_task(history, task_id, history.task)
        if not follow:
            _print(history.log(task.task_id, after=_number(after)), as_json=as_json)
            return
        if not isinstance(history, Client):
            _print(history.stream(task.task_id, after=after or 0), as_json=as_json)
            if not task.ended:
                raise Ended(Exit.NO_SERVER, _UNENDED.format(task.task_id, task.status))
            return
    with where.client(patient=True, on_connection=Connection().tell) as client:
        seen = _Seen(f"{quote(task.task_id)}", after, where)
        with given_up(seen.look_again):
            _print(seen.of(client.stream(task.task_id, after=after or 0)), as_json=as_json)


def _follow_all(
    where: Where, after: str | None, topic: tuple[str, ...], session: str | None, agent: str | None, *, as_json: bool
) -> None:
    position = None if after is None else _number(after)
    with where.client(patient=True, on_connection=Connection().tell) as client:
        feed = client.events(after=position, topic=topic or None, session_id=session, agent=agent)
        chosen = [("topic", one) for one in topic] + [("session", session), ("agent", agent)]
        seen = _Seen(" ".join(f"--{name} {quote(value)}" for name, value in chosen if value), after, where)
        with given_up(seen.look_again):
            _print(seen.of(feed), as_json=as_json)


class _Seen:
    """How far a stream was printed, and the command that goes on behind it."""

    def __init__(self, what: str, after: str | None, where: Where) -> None:
        self._what = what
        self._after = after
        self._where = where

    def of(self, found: "Iterable[Event]") -> "Iterator[Event]":
        for event in found:
            self._after = event.cursor or self._after
            yield event

    def look_again(self) -> str:
        after = f" --after {quote(one_line(self._after))}" if self._after else ""
        words = f"callboard events --follow {self._what}".rstrip()
        return f"Go on with `{words}{after}{self._where.options()}`."


def _number(after: str | None) -> int:
    try:
        return int(after or 0)
    except ValueError as error:
        raise click.BadParameter(f"{after!r} is no number.", param_hint="--after") from error


def _print(found: "Iterable[Event]", *, as_json: bool) -> None:
    for event in found:
        if as_json:
            click.echo(dumps(event.model_dump(by_alias=True, mode="json"), indent=None))
        else:
            click.echo(_line(event))


def _line(event: "Event") -> str:
    from callboard.cli.output import is_terminal
    from callboard.cli.text import iso, local

    topic, what = one_line(event.topic), describe(event.topic, event.data)
    if not is_terminal():
        return "\t".join((one_line(event.task_id), str(event.seq), iso(event.timestamp), topic, what or "-"))
    colour = _COLOURS.get(topic.rpartition(".")[2]) if event.data.get("ok") is not False else "red"
    clock = local(event.timestamp)
    name = click.style(topic.removeprefix("agent.").ljust(16), fg=colour)
    return f"{click.style(f'{clock} {one_line(event.task_id)[-8:]} {event.seq:>4}', dim=True)}  {name} {what}"
