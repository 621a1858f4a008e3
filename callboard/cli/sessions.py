"""The commands about sessions: `callboard sessions list`, `show` and `delete`.

Each asks a server, in the main thread; those that only look read the data folder where there is none. Registered by main.py.
"""

from datetime import UTC, datetime
from shlex import quote
from typing import TYPE_CHECKING

import click

from callboard.cli.ask import Where, as_dict, as_json, asks
from callboard.cli.groups import ListingGroup
from callboard.cli.numbers import Number
from callboard.cli.output import Column, fit_to_print, print_fields, print_json, print_some
from callboard.cli.text import ago, clean, iso, one_line

if TYPE_CHECKING:
    from callboard.client.models import SessionSummary


@click.group(cls=ListingGroup)
def sessions() -> None:
    """List, show and delete sessions; alone it lists.

    \b
    Examples:
      callboard sessions
      callboard sessions show alice
      callboard sessions delete alice
    """


@sessions.command("list")
@click.option(
    "--limit",
    type=Number(1, 1_000_000),
    default=20,
    show_default=True,
    help="How many at most, last used first.",
)
@click.option("--all", "every", is_flag=True, help="All there are, however many.")
@as_json
@asks
def list_sessions(limit: int, every: bool, as_json: bool, where: Where) -> None:
    """List the sessions, last used first.

    In a pipe: name, number of tasks, last use and the beginning of the last question, split by tabs.

    \b
    Examples:
      callboard sessions list
      callboard sessions list --all --json
    """
    now = datetime.now(UTC)
    columns: tuple[Column[SessionSummary], ...] = (
        Column(name="session", plain=lambda row: row.session_id),
        Column(name="tasks", plain=lambda row: row.tasks),
        Column(name="used", plain=lambda row: iso(row.updated_at), pretty=lambda row: ago(row.updated_at, now)),
        Column(name="last question", plain=lambda row: row.preview or "", stretches=True),
    )
    with where.history(patient=every) as history:
        print_some(
            columns,
            history.sessions(),
            limit=None if every else limit,
            none="There are no sessions.",
            json_of=as_dict if as_json else None,
        )


@sessions.command()
@click.argument("session_id")
@click.option("--before", type=Number(1), metavar="NUMBER", help="Only the turns with a lower number.")
@as_json
@asks
def show(session_id: str, before: int | None, as_json: bool, where: Where) -> None:
    """Show what a session remembers: its newest turns and the names of its variables.

    \b
    Examples:
      callboard sessions show alice
      callboard sessions show alice --before 57
    """
    with where.history() as history:
        session = history.session(session_id, before=before)
    if as_json:
        print_json(session.model_dump(by_alias=True, mode="json"))
        return
    print_fields(
        (
            ("session", session.session_id),
            ("tasks", session.tasks),
            ("used", iso(session.updated_at)),
            ("variables", ", ".join(session.variables) or "-"),
        )
    )
    turns = session.conversation
    if turns and session.next_before is None and turns[0].number > 1:
        click.echo(
            f"\nTurns before number {turns[0].number} are forgotten: CALLBOARD_CONVERSATION_TURNS says how many are kept."
        )
    for turn in turns:
        click.echo(
            f"\n{turn.number}  {click.style(one_line(turn.role), bold=True)}\n{clean(fit_to_print(turn.content))}"
        )
    if session.next_before is not None:
        again = f"callboard sessions show {quote(one_line(session_id))} --before {session.next_before}{where.options()}"
        click.echo(f"\nThere are turns before these: `{again}`.")


@sessions.command()
@click.argument("session_id")
@asks
def delete(session_id: str, where: Where) -> None:
    """Forget a session's conversation and variables; its tasks stay in the history.

    \b
    Examples:
      callboard sessions delete alice
    """
    with where.changing("forget a session") as client:
        client.delete_session(session_id)
    click.echo(f"{one_line(session_id)} is forgotten.")
