"""`callboard run`: one task, from its text to its output.

Runs in the main thread; registered by main.py. Where the task is worked on is for `places.py`, what is seen meanwhile
for `progress.py`.
"""

import math
import re
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import click

from callboard.cli.ask import Where, as_json, asks
from callboard.cli.connection import Connection, given_up
from callboard.cli.decide import pause_in_words, ways_to_decide
from callboard.cli.exit import Ended, Exit, Terminated, leave_at_the_next_interrupt, raise_on_sigterm
from callboard.cli.files import File, attached
from callboard.cli.numbers import Number
from callboard.cli.output import console, is_terminal, notice, print_json
from callboard.cli.text import call_of, one_line, shown, spent
from callboard.errors import CallboardError
from callboard.values import decoded, unmarked

if TYPE_CHECKING:
    from callboard.cli.places import Place
    from callboard.cli.progress import Progress
    from callboard.client.models import Accepted, Event, Result

_BY_STATUS = {"completed": Exit.DONE, "failed": Exit.FAILED, "cancelled": Exit.CANCELLED}


@click.command()
@click.argument("task")
@click.option("--session", metavar="ID", help="Session whose conversation and variables the task shares.")
@click.option("--skill", multiple=True, metavar="NAME", help="Skill the task may call; several: the only ones.")
@click.option("--agent", metavar="NAME", help="Agent to address.")
@click.option(
    "--file",
    multiple=True,
    type=File(),
    help="File that comes with the task; may be given several times.",
)
@click.option("--label", multiple=True, metavar="NAME=VALUE", help="Label that is kept with the task.")
@click.option("--system", metavar="TEXT", help="Instructions for the model.")
@click.option(
    "--timeout", type=Number(0.001, whole=False), metavar="SECONDS", help="The task ends within this time, or fails."
)
@click.option("--priority", type=Number(-100, 100), help="Higher starts first among waiting tasks.")
@click.option("--budget", metavar="LIMITS", help="What it may spend, such as 'modelCalls=20, costUsd=0.5'.")
@click.option("--local", is_flag=True, help="Work on the task in this process, whatever server there is.")
@click.option("--detach", is_flag=True, help="Print the task's id once it is accepted, and leave.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@click.option(
    "--on-pause",
    type=click.Choice(("wait", "exit")),
    help="When a person has to decide: wait for it, or exit with status 5.  [default: wait on a terminal, else exit]",
)
@as_json
@asks
def run(task: str, local: bool, detach: bool, quiet: bool, on_pause: str | None, as_json: bool, where: Where, **given: Any) -> None:  # fmt: skip
    """Run a task and print its output; TASK is its text, or - to read it from standard input.

    At the server that --url or CALLBOARD_URL name, else at that of CALLBOARD_HOST and CALLBOARD_PORT, or the one that runs on the
    data folder, or the default address. Where nothing is named by one of the first two and no server answers, or with
    --local, in this process. Progress is shown on standard error if that is a terminal. Ctrl-C cancels the task.

    \b
    Examples:
      callboard run "What is 12 times 7?"
      # the next three need a model: CALLBOARD_LLM_PROVIDER
      callboard run "Which customers owe us most?" --file debts.csv --session alice
      callboard run "Review this change." --agent code-reviewer --file change.diff --budget costUsd=0.5
      git log -20 | callboard run - --system "Write release notes."
      callboard run "What is 12 times 7?" --json | jq .metadata
      callboard events --follow "$(callboard run --detach "What is 12 times 7?")"
    """
    from callboard.cli.places import place_of

    if detach and local:
        raise click.UsageError("--detach needs a server that goes on with the task; leave out --local.")
    if local and where.url:
        raise click.UsageError("--local works in this process and --url names a server; leave one of them out.")
    spec = _spec(given | {"file": attached(given["file"], quiet=quiet)})
    text = _standard_input() if task == "-" else unmarked(task)
    if not text.strip():
        raise click.BadParameter("the task is empty", param_hint="TASK")
    waits = on_pause == "wait" if on_pause else is_terminal(err=True)
    connection = Connection(None if quiet else notice)
    with place_of(where, connection, local=local) as place:
        if detach and place.is_local:
            raise Ended(Exit.NO_SERVER, "--detach needs a server, and none answers; start it with `callboard serve`.")
        waits = waits and not place.is_local
        _Run(place, where, connection, waits=waits, quiet=quiet, as_json=as_json).go(text, spec, detach=detach)


class _Run:
    """One task on its way."""

    def __init__(
        self, place: "Place", where: Where, connection: Connection, *, waits: bool, quiet: bool, as_json: bool
    ) -> None:
        self._place = place
        self._where = where
        self._connection = connection
        self._waits = waits
        self._shows = not quiet and is_terminal(err=True)
        self._as_json = as_json

    def go(self, text: str, spec: Mapping[str, Any], *, detach: bool) -> NoReturn:
        """Submit the task and follow it to its end; ends with the exit status that tells of it."""
        accepted: Accepted | None = None
        raise_on_sigterm()
        try:
            accepted = self._submit(text, spec)
            if detach:
                self._print_accepted(accepted)
                sys.exit(Exit.DONE)
            with given_up(partial(self._look_again, accepted)):
                self._follow(accepted)
                result = self._place.result(accepted.task_id)
        except (KeyboardInterrupt, Terminated) as stop:
            leave_at_the_next_interrupt()
            status = Exit.TERMINATED if isinstance(stop, Terminated) else Exit.INTERRUPTED
            raise Ended(status, self._cancel(accepted)) from stop
        if self._shows:
            notice(spent(result))
        self._print(result)
        sys.exit(_BY_STATUS.get(result.status, Exit.FAILED))

    def _submit(self, text: str, spec: Mapping[str, Any]) -> "Accepted":
        try:
            return self._place.submit(text, spec)
        except OSError as error:  # of an attached file: what the network does is an error of our own tree
            raise click.BadParameter(f"a file cannot be read: {error}", param_hint="--file") from error

    def _follow(self, accepted: "Accepted") -> None:
        """Show the task's events until it has ended; end with status 5 where somebody has to decide, if that is wished."""
        with self._progress(accepted) if self._shows else nullcontext() as progress:
            if progress is not None:
                self._connection.say = progress.say
            for event in self._place.stream(accepted.task_id):
                if progress is not None:
                    progress.tell(event)
                if event.topic == "agent.task.paused" and event.data.get("decisions") and not self._waits:
                    break
            else:
                return
        raise self._paused(accepted, event)

    def _progress(self, accepted: "Accepted") -> "Progress":
        from callboard.cli.progress import Progress

        return Progress(accepted, self._where, console(err=True), waits=self._waits)

    def _paused(self, accepted: "Accepted", event: "Event") -> Ended:
        if self._as_json:
            self._print(self._place.result(accepted.task_id))
        lines = [f"the task {one_line(event.task_id)} is paused: {pause_in_words(event.data)}"]
        if self._place.is_local:
            lines.append("It is kept. Start `callboard serve` with the same settings, then decide with one of")
        else:
            lines.append("Decide with one of")
        if event.data.get("skill"):
            lines.insert(1, f"It waits for  {call_of(event.data)}")
        ways = ways_to_decide(event.task_id, event.data, self._where, self._place.parameters)
        return Ended(Exit.PAUSED, "\n".join([*lines, *(f"  {way}" for way in ways)]))

    def _look_again(self, accepted: "Accepted") -> str:
        task = f"{one_line(accepted.task_id)}{self._where.options()}"
        return f"The task is kept and goes on with its server; look again with `callboard events --follow {task}`."

    def _cancel(self, accepted: "Accepted | None") -> str:
        """Cancel the task; return what is to be said of it."""
        if accepted is None:
            return "interrupted before the task was known to be accepted; `callboard tasks` shows whether it was."
        notice(f"callboard: cancelling the task {one_line(accepted.task_id)} (again: leave at once)")
        try:
            done = self._place.cancel(accepted.task_id)
        except CallboardError as error:
            return f"interrupted; the task {accepted.task_id} could not be cancelled and may go on: {error.message}"
        if done.success:
            return f"interrupted; the task {accepted.task_id} is cancelled."
        return f"interrupted; the task {accepted.task_id} had already ended as {done.status}."

    def _print_accepted(self, accepted: "Accepted") -> None:
        if self._as_json:
            print_json(accepted.model_dump(by_alias=True, mode="json"))
        else:
            click.echo(one_line(accepted.task_id))

    def _print(self, result: "Result") -> None:
        if self._as_json:
            print_json(result.model_dump(by_alias=True, mode="json"))
        elif result.ok:
            click.echo(shown(result.output))
        elif result.status == "failed":
            notice(f"callboard: the task {result.task_id} failed ({result.error_code}): {result.error}")
        else:
            notice(f"callboard: the task {result.task_id} is {result.status}.")


def _spec(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the task that the options give."""
    timeout_s = given["timeout"]
    spec = {
        "session_id": given["session"],
        "available_skills": list(given["skill"]) or None,
        "agent": given["agent"],
        "attachments": given["file"] or None,
        "labels": dict(map(_label, given["label"])) or None,
        "system_prompt": given["system"],
        "timeout_ms": None if timeout_s is None else math.ceil(timeout_s * 1000),
        "priority": given["priority"],
        "budget": _budget(given["budget"]),
    }
    return {name: value for name, value in spec.items() if value is not None}


def _label(text: str) -> tuple[str, str | int | float]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--label")
    return name, _as_number(value)


def _as_number(text: str) -> str | int | float:
    """Return a number where it is written just as this text, else the text: 1.10, 01234 and 1e5 are names of something."""
    for kind, pattern in ((int, r"-?\d{1,15}"), (float, r"-?\d{1,15}\.\d{1,15}")):
        if re.fullmatch(pattern, text) and str(number := kind(text)) == text:
            return number
    return text


def _budget(text: str | None) -> Any:
    from callboard.budget import Budget

    if text is None:
        return None
    try:
        return Budget.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--budget") from error


def _standard_input() -> str:
    """Return the text on standard input: in the encoding that its byte-order mark says, else in UTF-8."""
    data = sys.stdin.buffer.read()
    try:
        text = decoded(data)
    except UnicodeDecodeError as error:
        raise click.BadParameter(
            f"what comes in on standard input is not UTF-8, nor UTF-16 with a byte-order mark: {error}",
            param_hint="TASK",
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
