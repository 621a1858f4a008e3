"""`callboard decide`, and how other commands tell people to use it.

Runs in the main thread; registered by main.py.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

import click

from callboard.cli.ask import Where, as_json, asks, with_task
from callboard.cli.editor import edited, json_object, json_value
from callboard.cli.numbers import Number
from callboard.cli.output import notice, print_json
from callboard.cli.text import call_of, clean, dumps, one_line
from callboard.errors import CallboardError, DecisionOutdated
from callboard.values import decoded

if TYPE_CHECKING:
    from callboard.client import Client
    from callboard.client.models import Decided

Answer = TypeVar("Answer")

DECISIONS = ("retry", "assume_done", "fail", "approve", "reject", "edit")
"""`messages.Decision`, written again so that `--help` need not load it; a test compares."""

Parameters = Callable[[str], Sequence[str]]
"""Returns the names of a skill's parameters in their order, none where they cannot be known."""

_DIGEST_CHARS = 64
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
    if pause.get("argsTruncated") or "…" in call_of(pause):  # what stands above the commands is not all of it
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


class _Digest(click.ParamType[str]):
    """The digest of what waits, or as much of its beginning as a list shows."""

    name = "digest"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        digest = str(value).strip().lower()
        if re.fullmatch(r"[0-9a-f]{8,64}", digest) is None:
            self.fail(
                f"{value!r} is no digest; give it as `callboard approvals` shows it, or at least its first 8 characters "
                "(0 to 9 and a to f).",
                param,
                ctx,
            )
        return digest


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
    "--call",
    type=Number(1),
    help="The call that it is about, as the task's pause numbers it; refused if another waits.",
)
@click.option(
    "--digest",
    type=_Digest(),
    metavar="DIGEST",
    help="That of the arguments that it is about, or its first 8 characters or more, as `callboard approvals` shows it; refused if "
    "others wait.  [default: what waits now]",
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
        more["result"] = _json(json_value, result, "--result")
    if arguments is not None:
        more["arguments"] = _json(json_object, _text_of(arguments), "--arguments")
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
    if decision == "edit" and "arguments" not in more:
        return _edited(client, task_id, more, where)
    digest = more["digest"]
    if digest is None:
        digest = (client.task(task_id).pause or {}).get("digest")
    elif len(digest) < _DIGEST_CHARS:
        digest = _whole_digest(task_id, digest, client.pause(task_id))
    try:
        return client.decide(task_id, decision, **{**more, "digest": digest})
    except CallboardError:
        _say_how_to_get_whole(task_id, more.get("arguments"), where)
        raise


def _edited(client: "Client", task_id: str, more: Mapping[str, Any], where: Where) -> "Decided":
    """Have the person edit the arguments of what waits, and decide with what is saved."""
    pause = client.pause(task_id)
    digest = _whole_digest(task_id, more["digest"], pause)
    given = by_name(pause, parameters_at(where))
    if given is None:
        raise click.UsageError("the arguments are not known by name in full; give them all with --arguments.")

    def go_on(file: Path, error: BaseException) -> str:
        command = f"callboard decide {quote(one_line(task_id))} edit"
        outdated = isinstance(error, CallboardError) and error.code == DecisionOutdated.code
        about = {} if outdated else {"call": more["call"], "digest": digest}
        for name, value in {**about, "reason": more["reason"]}.items():
            command += "" if value is None else f" --{name} {quote(one_line(value))}"
        seen = f" when you have seen what waits now with `callboard approvals show {quote(one_line(task_id))}{where.options()}`"
        return (
            f"your edit is kept in {file}; go on{seen if outdated else ''} with: "
            f"{command} --arguments {quote(f'@{file}')}{where.options()}"
        )

    with edited(given, go_on) as arguments:
        try:
            return client.decide(task_id, "edit", **{**more, "arguments": arguments, "digest": digest})
        except CallboardError:
            _say_how_to_get_whole(task_id, arguments, where)
            raise


def _whole_digest(task_id: str, digest: str | None, pause: Mapping[str, Any]) -> str | None:
    """Return the digest of what waits, which has to begin as the one that was given; raise `DecisionOutdated`."""
    waits: str | None = pause.get("digest")
    if digest is not None and not (waits or "").startswith(digest):
        raise DecisionOutdated(
            f"The decision is about arguments with the digest {digest}, and the call {pause.get('call')} of the task {task_id} waits "
            f"with {waits or 'none'}; look at it again with `callboard approvals show {quote(one_line(task_id))}`."
        )
    return waits


def _say_how_to_get_whole(task_id: str, arguments: Mapping[str, Any] | None, where: Where) -> None:
    """Say where the whole arguments are, if those of an edit that was refused have texts that were shortened to be shown."""
    from callboard.arguments import marks

    if any(marks(arguments or {})):
        command = f"callboard approvals show {quote(one_line(task_id))} --output FILE{where.options()}"
        notice(
            f"callboard: there may be shortened texts in the arguments; `{command}` writes the whole ones into a file."
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


def _json(read: Callable[[str], Answer], text: str, option: str) -> Answer:
    """Return the value of an option that is JSON; what is none is a mistake in the command line."""
    try:
        return read(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error
