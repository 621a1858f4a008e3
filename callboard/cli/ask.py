"""How a command finds its server, or does without one; and how it finds a task by a part of its id.

Runs in the main thread; imported by the command line only. The client is loaded when a server is asked.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import wraps
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

import click

from callboard.addresses import host_and_port, server_url
from callboard.cli import server_file
from callboard.cli.exit import Ended, Exit
from callboard.cli.output import notice
from callboard.client.errors import NoServerError
from callboard.errors import CallboardError, ConfigurationError, NotFound
from callboard.values import decoded

if TYPE_CHECKING:
    from callboard.cli.history import LocalHistory
    from callboard.client import Client
    from callboard.client.models import Model
    from callboard.client.transport import ConnectionChange
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
_PROBE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The address of a server. `certain`: somebody has named it, or a server that lives has written it down.

    Otherwise it is where one would be, and whoever can do without looks first; `url` empty: there is no such place.
    """

    url: str
    certain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The server that a command is to ask, as its options say; `url` None: the one that the settings lead to."""

    url: str | None
    key_file: Path | None

    def settings(self) -> "Settings":
        from callboard.settings import Settings

        return Settings.load()

    def found(self) -> Found:
        """Return the address of the server: of these the first that there is.

        `--url`; CALLBOARD_URL; CALLBOARD_HOST and CALLBOARD_PORT, if one of them is set; that of the server that runs on the data
        folder; the default.
        """
        settings = self.settings()
        if named := self.url or settings.url:
            return Found(url=named, certain=True)
        is_set = settings.port and settings.model_fields_set & {"host", "port"}
        if not is_set and (running := server_file.read(settings.data_dir)) is not None and running.alive:
            return Found(url=running.url, certain=True)
        return Found(url=default_url(settings) if settings.port else "")

    @property
    def named(self) -> bool:
        """Whether somebody has named a server, by `--url` or CALLBOARD_URL."""
        return bool(self.url or self.settings().url)

    def answers(self) -> bool:
        """Say whether there is a server to ask; where that is not certain, a Callboard has to answer there."""
        from callboard.client import Client

        found = self.found()
        if found.certain or not found.url:
            return found.certain
        with Client(found.url, timeout_s=_PROBE_S, retries=0) as client:
            try:
                client.health()
            except NoServerError:
                return False
            except CallboardError:
                return True
        return True

    def _looked_at(self) -> str:
        """Return where no server was found, where `absence` does not say it."""
        url = self.found().url
        return f" at {url}" if url and self.left() is None else ""

    def left(self) -> server_file.ServerFile | None:
        """Return what a server has written down that ran on the data folder and was killed."""
        found = server_file.read(self.settings().data_dir)
        return None if found is None or found.alive else found

    def absence(self) -> str:
        """Return what is to be said where there is no server, as the beginning of a sentence."""
        left = self.left()
        return "No server answers" if left is None else f"The server that was at {left.url} is not running"

    def client(
        self, *, patient: bool = False, on_connection: "Callable[[ConnectionChange], object] | None" = None
    ) -> "Client":
        """Return a client, to be closed; one that is not `patient` tells of the first thing that goes wrong.

        A patient one bears with a server that restarts; that there is one at all is made sure of here.
        """
        client = self._client(retries=0)
        if not patient:
            return client
        with client:
            client.health()
        return self._client(retries=PATIENCE, on_connection=on_connection)

    def history(self, *, patient: bool = False) -> "Client | LocalHistory":
        """Return what reads the history, to be closed: a client, or where no server answers the data folder itself."""
        if not self.answers():
            from callboard.cli.history import open_history

            settings = self.settings()
            if (local := open_history(settings)) is not None:
                notice(f"{self.absence()}{self._looked_at()}; this is the history in {settings.data_dir}.")
                return local
        return self.client(patient=patient)

    @contextmanager
    def changing(self, what: str) -> "Iterator[Client]":
        """Open a client for a command that changes something, which only a server does; where there is none, say so.

        `what` completes: it takes a server to …
        """
        with self.client() as client:
            try:
                yield client
            except NoServerError as error:
                if self.found().certain:
                    raise  # it is away for now
                raise NoServerError(
                    f"{error.message} It takes a server to {what}: only a server changes what is in a history, and goes on with it."
                ) from error

    def _client(self, *, retries: int, on_connection: "Callable[[ConnectionChange], object] | None" = None) -> "Client":
        from callboard.client import Client

        settings = self.settings()
        return Client(
            self.found().url or default_url(settings),
            api_key=self._key(settings),
            timeout_s=2 * settings.ask_timeout_s,  # the server's own limit for an answer comes first
            retries=retries,
            on_connection=on_connection,
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
        raise ConfigurationError(
            f"CALLBOARD_PORT is 0, any free port, and no server runs on {settings.data_dir}; start it with `callboard serve`, or "
            "name its address with --url."
        )
    return seen_from_here(settings.host, settings.port)


def seen_from_here(host: str, port: int) -> str:
    """Return the URL at which a server on this machine, that listens on `host`, can be opened; 0.0.0.0 is none."""
    return f"http://{host_and_port(ANYWHERE.get(host, host), port)}"


def _address(_ctx: click.Context, _parameter: click.Parameter, url: str | None) -> str | None:
    """Refuse what is no address; one that is stays as it was written."""
    try:
        if url is not None:
            server_url(url)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return url


def asks(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name a server; it gets them as `where`."""

    @click.option(
        "--url",
        callback=_address,
        metavar="URL",
        help="The server's address.  [default: CALLBOARD_URL, or that of the server on the data folder]",
    )
    @click.option(
        "--api-key-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File with the API key to send.  [default: the first key of API_KEY]",
    )
    @wraps(command)
    def with_where(*arguments: Any, url: str | None, api_key_file: Path | None, **options: Any) -> Any:
        where = Where(url=url, key_file=api_key_file)
        try:
            return command(*arguments, where=where, **options)
        except NoServerError as error:
            if where.found().certain or where.left() is None:
                raise
            raise NoServerError(f"{where.absence()}. {error.message}") from error

    return with_where


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def as_dict(answer: "Model") -> dict[str, Any]:
    """Return an answer as the HTTP interface has it, for `--json`."""
    return answer.model_dump(by_alias=True, mode="json")


def with_task(client: "Client | LocalHistory", given: str, ask: Callable[[str], Answer]) -> Answer:
    """Ask something of the task with this id; where there is none, of the only one whose id begins or ends so."""
    from callboard.client.errors import NotFoundError

    try:
        return ask(given)
    except (NotFoundError, NotFound) as error:
        return ask(_meant(client, given, error.message))


def _meant(client: "Client | LocalHistory", given: str, message: str) -> str:
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
    if near:
        message += f" Did you mean {near[0]}?"
    elif len(given) < _LEAST_PART:
        message += f" Of an id that begins or ends so, give at least {_LEAST_PART} characters."
    raise Ended(Exit.NOT_FOUND, message)
