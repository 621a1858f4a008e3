"""The commands that ask a running server over HTTP: `callboard dead-letters` and `callboard decide`.

Each is one request or a few, in the main thread. Imported by the command line only.
"""

import json
from collections.abc import Iterator
from typing import IO, Any
from urllib.parse import quote, urlsplit

import click

from callboard.errors import CallboardError, ConfigurationError
from callboard.messages import Decision
from callboard.settings import Settings

_PAGE = 100
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing listens here


class NoServerError(click.ClickException):
    """No Callboard answers at the address."""

    exit_code = 69
    """sysexits.h's EX_UNAVAILABLE."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"callboard: {self.message}", file=file, err=True)


class Client:
    """Asks one server, with the first of the API keys in the settings."""

    def __init__(self, url: str | None) -> None:
        settings = Settings.load()
        self._url = (url or _default_url(settings)).rstrip("/")
        if urlsplit(self._url).scheme not in ("http", "https"):
            raise click.BadParameter(f"{url!r} is no address such as http://127.0.0.1:3000", param_hint="--url")
        self._headers = {"X-API-Key": settings.api_key[0]} if settings.api_key else {}
        self._timeout_s = 2 * settings.ask_timeout_s  # the server's own limit for an answer comes first

    def ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """Return the body of a good answer; raise `CallboardError` for a refusal, `NoServerError` for none."""
        import httpx

        try:
            answer = httpx.request(
                method,
                self._url + path,
                headers=self._headers,
                timeout=self._timeout_s,
                trust_env=False,  # the environment is read in the settings only, proxies too
                **more,
            )
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise NoServerError(
                f"no server answers at {self._url} ({error}); start it with `callboard serve`, or name it with --url."
            ) from error
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or not (answer.is_success or "message" in body):
            raise NoServerError(
                f"what answers at {self._url} is no Callboard (status {answer.status_code}); name it with --url."
            )
        if not answer.is_success:
            raise CallboardError(str(body["message"]))
        return body


def _default_url(settings: Settings) -> str:
    if not settings.port:
        raise ConfigurationError("CALLBOARD_PORT is 0, any free port; name the server's address with --url.")
    host = _ANYWHERE.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


_url = click.option("--url", help="The server's address.  [default: http://CALLBOARD_HOST:CALLBOARD_PORT]")


@click.group("dead-letters")
def dead_letters() -> None:
    """Tasks under which the server died again and again.

    They ask a running server, with the first key of API_KEY.
    """


@dead_letters.command("list")
@_url
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON, with all that is known.")
def list_(url: str | None, as_json: bool) -> None:
    """List the dead letters, newest first."""
    letters = list(_letters(Client(url)))
    if as_json:
        click.echo(json.dumps(letters, indent=2, ensure_ascii=False))
        return
    if not letters:
        click.echo("There are no dead letters.")
    for letter in letters:
        fate = f"redriven as {letter['redrivenAs']}" if letter["redrivenAs"] else "not redriven"
        click.echo(f"{letter['taskId']}  {letter['timestamp']}  {fate}  {_short(letter['task'])}")


def _letters(client: Client) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        params = {"limit": _PAGE} if cursor is None else {"limit": _PAGE, "cursor": cursor}
        page = client.ask("GET", "/agent/dead-letters", params=params)
        yield from page["results"]
        cursor = page["nextCursor"]
        if cursor is None:
            return


def _short(task: str, limit: int = 60) -> str:
    line = " ".join(task.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


@dead_letters.command()
@click.argument("task_id")
@_url
def redrive(task_id: str, url: str | None) -> None:
    """Give a dead letter one more chance, as a new task."""
    task = Client(url).ask("POST", f"/agent/dead-letters/{quote(task_id, safe='')}/redrive")
    click.echo(f"{task_id} goes on as {task['taskId']}, which is {task['status']}.")


@click.command()
@click.argument("task_id")
@click.argument("decision", type=click.Choice([decision.value for decision in Decision]))
@_url
@click.option("--result", help="With assume_done: what the call returned, as JSON.")
@click.option("--arguments", help="With edit: all arguments of the call by name, as a JSON object.")
@click.option(
    "--call", type=int, help="The call that it is about, as the task's pause numbers it; refused if another waits."
)
@click.option("--reason", help="Why, for the task's log.")
def decide(
    task_id: str,
    decision: str,
    url: str | None,
    result: str | None,
    arguments: str | None,
    call: int | None,
    reason: str | None,
) -> None:
    """Decide about the call that a paused task waits with.

    A call that needs approval: approve it, reject it, or edit its arguments. A call that may have been made before a
    crash: retry it, go on as if it were done (assume_done), or fail.

    \b
    callboard decide TASK_ID approve
    callboard decide TASK_ID edit --arguments '{"card": "tok_1", "cents": 500}'
    callboard decide TASK_ID reject --reason "too much"
    callboard decide TASK_ID retry
    callboard decide TASK_ID assume_done --result '{"charged": true}'
    callboard decide TASK_ID fail --reason "the card was not charged"
    """
    body: dict[str, Any] = {"decision": decision}
    for name, text in (("result", result), ("arguments", arguments)):
        if text is not None:
            try:
                body[name] = json.loads(text)
            except ValueError as error:
                raise click.BadParameter(f"is not JSON: {error}", param_hint=f"--{name}") from error
    if call is not None:
        body["call"] = call
    if reason is not None:
        body["reason"] = reason
    answer = Client(url).ask("POST", f"/agent/tasks/{quote(task_id, safe='')}/decide", json=body)
    click.echo(f"{answer['message']}; the task is {answer['status']}.")
