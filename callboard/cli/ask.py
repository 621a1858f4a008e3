"""How a command finds its server: `--url`, the settings, the API key; and how it finds a task by a part of its id.

Runs in the main thread; imported by the command line only. The client is loaded when a server is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import wraps
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from callboard.cli.exit import Ended, Exit
from callboard.errors import ConfigurationError
from callboard.values import decoded

if TYPE_CHECKING:
    from callboard.client import Client
    from callboard.settings import Settings

Answer = TypeVar("Answer")

PATIENCE = 40
"""How often in a row what follows a server tries to reach it again, up to 8 s apart: a restart is waited for."""

ID_CHARS = 12
"""How many of an id's characters, its last ones, a list shows on a terminal: enough to name the task, short enough to fit."""

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing listens here
_LEAST_PART = 4
_LOOKED_AT = 300
_ALIKE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The server that a command is to ask, as its options say; `url` None: the one that the settings name."""

    url: str | None
    key_file: Path | None

    def settings(self) -> "Settings":
        from callboard.settings import Settings

        return Settings.load()

    def address(self) -> str:
        """Return the address of the server, from `--url`, CALLBOARD_URL, or CALLBOARD_HOST and CALLBOARD_PORT."""
        settings = self.settings()
        return self.url or settings.url or default_url(settings)

    @property
    def named(self) -> bool:
        """Whether somebody has named a server, by `--url` or CALLBOARD_URL."""
        return bool(self.url or self.settings().url)

    def client(self, *, patient: bool = False) -> "Client":
        """Return a client, to be closed; one that is not `patient` tells of the first thing that goes wrong.

        A patient one bears with a server that restarts; that there is one at all is made sure of here.
        """
        settings = self.settings()
        client = self._client(settings, retries=0)
        if not patient:
            return client
        with client:
            client.health()
        return self._client(settings, retries=PATIENCE)

    def _client(self, settings: "Settings", *, retries: int) -> "Client":
        from callboard.client import Client

        return Client(
            self.address(),
            api_key=self._key(settings),
            timeout_s=2 * settings.ask_timeout_s,  # the server's own limit for an answer comes first
            retries=retries,
        )

    def _key(self, settings: "Settings") -> str | None:
        if self.key_file is None:
            return settings.api_key[0] if settings.api_key else None
        try:
            key = decoded(self.key_file.read_bytes()).strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigurationError(f"The API key cannot be read from {self.key_file}: {why}.") from error
        if not key or not key.isascii() or not key.isprintable():
            raise ConfigurationError(f"{self.key_file} does not hold one API key on one line.")
        return key

    def options(self) -> str:
        """Return the options that lead another command to the same server, with a space in front, or nothing."""
        url = "" if self.url is None else f" --url {quote(self.url)}"
        return url if self.key_file is None else f"{url} --api-key-file {quote(str(self.key_file))}"


def default_url(settings: "Settings") -> str:
    """Return where a server with these settings listens, as seen from this machine."""
    if not settings.port:
        raise ConfigurationError("CALLBOARD_PORT is 0, any free port; name the server's address with --url.")
    host = ANYWHERE.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _address(_ctx: click.Context, _parameter: click.Parameter, url: str | None) -> str | None:
    try:
        parts = urlsplit(url or "")
    except ValueError:
        parts = urlsplit("")
    if url is not None and not (parts.scheme in ("http", "https") and parts.hostname):
        raise click.BadParameter(f"{url!r} is no address such as http://127.0.0.1:3000")
    return url


def asks(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name a server; it gets them as `where`."""

    @click.option(
        "--url",
        callback=_address,
        metavar="URL",
        help="The server's address.  [default: CALLBOARD_URL, or that of CALLBOARD_HOST:PORT]",
    )
    @click.option(
        "--api-key-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File with the API key to send.  [default: the first key of API_KEY]",
    )
    @wraps(command)
    def with_where(*arguments: Any, url: str | None, api_key_file: Path | None, **options: Any) -> Any:
        return command(*arguments, where=Where(url=url, key_file=api_key_file), **options)

    return with_where


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def with_task(client: "Client", given: str, ask: Callable[[str], Answer]) -> Answer:
    """Ask something of the task with this id; where there is none, of the only one whose id begins or ends so."""
    from callboard.client.errors import NotFoundError

    try:
        return ask(given)
    except NotFoundError as error:
        return ask(_meant(client, given, error.message))


def _meant(client: "Client", given: str, message: str) -> str:
    """Return the id of the one task that a part of an id means; end with a hint where that is not plain."""
    if len(given) >= _LEAST_PART:
        found = (task.task_id for task in client.tasks(q=given))
        ids = {task_id for task_id in islice(found, _LOOKED_AT) if task_id.startswith(given) or task_id.endswith(given)}
        if len(ids) == 1:
            return ids.pop()
        if ids:
            some = ", ".join(sorted(ids)[:5])
            raise Ended(Exit.NOT_FOUND, f"{len(ids)} tasks have ids that begin or end with {given!r}: {some}.")
    recent = [task.task_id for task in islice(client.tasks(), _LOOKED_AT)]
    near = get_close_matches(given, recent, n=1, cutoff=_ALIKE)
    raise Ended(Exit.NOT_FOUND, f"{message} Did you mean {near[0]}?" if near else message)
