"""`callboard decide`, and how other commands tell people to use it.

Runs in the main thread; registered by main.py.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from shlex import quote
from typing import Any

import click

from callboard.cli.ask import Where, as_json, asks, with_task
from callboard.cli.output import print_json
from callboard.cli.text import clean, dumps, one_line
from callboard.errors import CallboardError
from callboard.limits import SHOWN_ENTRIES
from callboard.values import unmarked

DECISIONS = ("retry", "assume_done", "fail", "approve", "reject", "edit")
"""`messages.Decision`, written again so that `--help` need not load it; a test compares."""

Parameters = Callable[[str], Sequence[str]]
"""Returns the names of a skill's parameters in their order, none where they cannot be known."""

_CUT = re.compile(r"(…|\[[\d,]+ more \w+ left out\])$")
_MORE = {
    "edit": ' --arguments \'{"name": "value"}\'',
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
    """Yield the commands that decide about a pause, one for each decision there is."""
    call = pause.get("call")
    about = f" --call {call}" if isinstance(call, int) else ""
    for decision in pause.get("decisions") or ():
        if decision in DECISIONS:
            given = _arguments(pause, parameters) if decision == "edit" else None
            more = _MORE.get(decision, "") if given is None else f" --arguments {quote(dumps(given, indent=None))}"
            yield f"callboard decide {quote(one_line(task_id))} {decision}{about}{more}{where.options()}"


def _arguments(pause: Mapping[str, Any], parameters: Parameters) -> dict[str, Any] | None:
    """Return the arguments of the call by name, as an edit gives them; None where they are not all known in full."""
    if pause.get("edited") is not None:
        given = dict(pause["edited"])
    else:
        args, given = list(pause.get("args") or ()), dict(pause.get("kwargs") or {})
        names = parameters(str(pause.get("skill"))) if args else ()
        if len(names) < len(args):
            return None
        given = {**dict(zip(names, args, strict=False)), **given}
    return None if not given or _is_cut(given) else given


def _is_cut(value: Any) -> bool:
    """Say whether a log holds only the beginning of a value; what was cut must not be sent back as if it were whole."""
    if isinstance(value, str):
        return bool(_CUT.search(value))
    if isinstance(value, Mapping):
        return any(map(_is_cut, value.values()))
    return isinstance(value, list) and (len(value) >= SHOWN_ENTRIES or any(map(_is_cut, value)))


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
@click.option("--arguments", help="With edit: all arguments of the call by name, as a JSON object.")
@click.option(
    "--call", type=int, help="The call that it is about, as the task's pause numbers it; refused if another waits."
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
    reason: str | None,
    as_json: bool,
    where: Where,
) -> None:
    """Decide about the call that a paused task waits with.

    A call that needs approval: approve it, reject it, or edit its arguments. A call that may have been made before a
    crash: retry it, go on as if it were done (assume_done), or fail. DECISION is one of those words.

    \b
    Examples:
      callboard decide TASK_ID approve
      callboard decide TASK_ID edit --arguments '{"card": "tok_1", "cents": 500}'
      callboard decide TASK_ID reject --reason "too much"
      callboard decide TASK_ID retry
      callboard decide TASK_ID assume_done --result '{"charged": true}'
      callboard decide TASK_ID fail --reason "the card was not charged"
    """
    more: dict[str, Any] = {"call": call, "reason": reason}
    for name, text in (("result", result), ("arguments", arguments)):
        if text is not None:
            more[name] = from_json(text, f"--{name}")
    if arguments is not None and not isinstance(more["arguments"], dict):
        raise click.BadParameter("is no JSON object", param_hint="--arguments")
    with where.changing("go on with a task that is paused") as client:
        done = with_task(client, task_id, lambda meant: client.decide(meant, decision, **more))
    if as_json:
        print_json(done.model_dump(by_alias=True, mode="json"))
    else:
        click.echo(f"{clean(done.message)}; the task is {done.status}.")


def from_json(text: str, option: str) -> Any:
    """Return the value of an option that is JSON; what is none is a mistake in the command line."""
    try:
        return json.loads(unmarked(text))
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"is not JSON: {error}", param_hint=option) from error
