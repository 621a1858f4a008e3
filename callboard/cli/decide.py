"""`callboard decide`, and how other commands tell people to use it.

Runs in the main thread; registered by main.py.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from callboard.cli.ask import Where, as_json, asks, with_task
from callboard.cli.output import print_json
from callboard.cli.text import clean, dumps, one_line
from callboard.errors import CallboardError
from callboard.values import decoded, unmarked

if TYPE_CHECKING:
    from callboard.client import Client
    from callboard.client.models import Decided

DECISIONS = ("retry", "assume_done", "fail", "approve", "reject", "edit")
"""`messages.Decision`, written again so that `--help` need not load it; a test compares."""

Parameters = Callable[[str], Sequence[str]]
"""Returns the names of a skill's parameters in their order, none where they cannot be known."""

_MORE = {
    "assume_done": " --result '\"what it returned\"'",
    "reject": ' --reason "why not"',
    "fail": ' --reason "why"',
}


def parameters_at(where: Where) -> Parameters:
    """Return a function that asks the server, or where there is none the skills of the settings, for the parameters of a skill."""

    def parameters(skill: str) -> Sequence[str]:
        try:
            return tuple(_schema(where, skill).get("properties", ()))
        except CallboardError:  # the command is shown without them
            return ()

    return parameters


def _schema(where: Where, skill: str) -> Mapping[str, Any]:
    if where.answers():
        with where.client() as client:
            return client.skill(skill).json_schema
    from callboard.agent.catalogue import Catalogue

    return Catalogue.load(where.settings().skills_dir).get(skill).schema


def ways_to_decide(task_id: str, pause: Mapping[str, Any], where: Where, parameters: Parameters) -> Iterator[str]:
    """Yield the commands that decide about a pause, one for each decision there is; first how to see what is shortened."""
    call, digest = pause.get("call"), pause.get("digest")
    about = f" --call {call}" if isinstance(call, int) else ""
    about += f" --digest {one_line(digest)}" if digest else ""
    if pause.get("argsTruncated"):
        yield f"callboard approvals show {quote(one_line(task_id))}{where.options()}"
    for decision in pause.get("decisions") or ():
        if decision in DECISIONS:
            given = by_name(pause, parameters) if decision == "edit" else None
            more = _MORE.get(decision, "") if given is None else f" --arguments {quote(dumps(given, indent=None))}"
            yield f"callboard decide {quote(one_line(task_id))} {decision}{about}{more}{where.options()}"


def by_name(pause: Mapping[str, Any], parameters: Parameters) -> dict[str, Any] | None:
    """Return the arguments of the call by name, as an edit gives them; None where they are not all known in full."""
    if pause.get("argsTruncated", True):
        return None
    if pause.get("edited") is not None:
        given = dict(pause["edited"])
    else:
        args, given = list(pause.get("args") or ()), dict(pause.get("kwargs") or {})
        names = parameters(str(pause.get("skill"))) if args else ()
        if len(names) < len(args):
            return None
        given = {**dict(zip(names, args, strict=False)), **given}
    return given


def pause_in_words(pause: Mapping[str, Any]) -> str:
    """Return what a task waits for, in one line."""
    if pause.get("message"):
        return one_line(pause["message"], 300)
    return one_line(f"{pause.get('reason', 'paused')} {pause.get('skill', '')}")


class _Decision(click.Choice[str]):
    """The decisions; what is misspelt is answered with the one that was meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in DECISIONS:
            near = get_close_matches(str(value), DECISIONS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(DECISIONS)}."
            self.fail(f"there is no decision {value!r}; {hint}", param, ctx)
        return str(value)


@click.command()
@click.argument("task_id")
@click.argument("decision", type=_Decision(DECISIONS), metavar="DECISION")
@click.option("--result", help="With assume_done: what the call returned, as JSON.")
@click.option(
    "--arguments",
    metavar="JSON|@FILE|-",
    help="With edit: all arguments of the call by name, as a JSON object, or where to read it.  [default: an editor]",
)
@click.option(
    "--call", type=int, help="The call that it is about, as the task's pause numbers it; refused if another waits."
)
@click.option(
    "--digest",
    help="That of the arguments that it is about, as the task's pause has it; refused if others wait.  [default: what waits now]",
)
@click.option("--reason", help="Why, for the task's log.")
@as_json
@asks
def decide(
    task_id: str,
    decision: str,
    result: str | None,
    arguments: str | None,
    call: int | None,
    digest: str | None,
    reason: str | None,
    as_json: bool,
    where: Where,
) -> None:
    """Decide about the call that a paused task waits with.

    A call that needs approval: approve it, reject it, or edit its arguments. A call that may have been made before a
    crash: retry it, go on as if it were done (assume_done), or fail. DECISION is one of those words. `edit` alone opens your
    editor ($VISUAL or $EDITOR) with the whole arguments.

    \b
    Examples:
      callboard decide TASK_ID approve
      callboard decide TASK_ID edit
      callboard decide TASK_ID edit --arguments '{"card": "tok_1", "cents": 500}'
      callboard decide TASK_ID edit --arguments @arguments.json
      callboard decide TASK_ID reject --reason "too much"
      callboard decide TASK_ID retry
      callboard decide TASK_ID assume_done --result '{"charged": true}'
      callboard decide TASK_ID fail --reason "the card was not charged"
    """
    more: dict[str, Any] = {"call": call, "digest": digest, "reason": reason}
    if result is not None:
        more["result"] = from_json(result, "--result")
    if arguments is not None:
        more["arguments"] = _object(_text_of(arguments))
    elif decision == "edit" and not sys.stdin.isatty():
        raise click.UsageError("edit needs --arguments: there is no terminal to open an editor on.")
    with where.changing("go on with a task that is paused") as client:
        done = with_task(client, task_id, lambda meant: _decided(client, meant, decision, more, where))
    if as_json:
        print_json(done.model_dump(by_alias=True, mode="json"))
    else:
        click.echo(f"{clean(done.message)}; the task is {done.status}.")


def _decided(client: "Client", task_id: str, decision: str, more: dict[str, Any], where: Where) -> "Decided":
    """Take a decision about what waits, or about what was seen where its digest is given."""
    seen = more["digest"]
    if decision == "edit" and "arguments" not in more:
        pause = client.pause(task_id)
        given = by_name(pause, parameters_at(where))
        if given is None:
            raise click.UsageError("the arguments are not known by name in full; give them all with --arguments.")
        text = click.edit(dumps(given) + "\n", extension=".json")
        if text is None:
            raise click.UsageError("the arguments were not saved in the editor; nothing is decided.")
        more["arguments"] = _object(text)
        seen = seen or pause.get("digest")
    return client.decide(
        task_id, decision, **{**more, "digest": seen or (client.task(task_id).pause or {}).get("digest")}
    )


def _text_of(given: str) -> str:
    """Return what an option says itself, or the text of the file that it names."""
    if given != "-" and not given.startswith("@"):
        return given
    try:
        return decoded(sys.stdin.buffer.read() if given == "-" else Path(given[1:]).read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise click.BadParameter(f"cannot be read from {given}: {why}", param_hint="--arguments") from error


def _object(text: str) -> dict[str, Any]:
    found = from_json(text, "--arguments")
    if not isinstance(found, dict):
        raise click.BadParameter("is no JSON object", param_hint="--arguments")
    return found


def from_json(text: str, option: str) -> Any:
    """Return the value of an option that is JSON; what is none is a mistake in the command line."""
    try:
        return json.loads(unmarked(text))
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"is not JSON: {error}", param_hint=option) from error
