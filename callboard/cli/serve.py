"""`callboard serve`: the server, from its settings to the end of its last task.

Runs in the main thread, which ends as waitress' loop; registered by main.py.
"""

import contextlib
import errno
import gc
import os
from ipaddress import ip_address
from socket import gaierror
from typing import TYPE_CHECKING, Any

import click

from callboard import inheritance
from callboard.cli.ask import seen_from_here
from callboard.cli.exit import starting
from callboard.cli.greeting import OPEN, greet
from callboard.cli.numbers import Number
from callboard.cli.server_file import ServerFile, announced, read
from callboard.errors import CallboardError, ConfigurationError
from callboard.processes import listeners, who

if TYPE_CHECKING:
    from callboard.settings import Settings

UNANNOUNCED = "the address cannot be written into the data folder, so commands have to be told it with --url"


@click.command()
@click.option("--host", help="Address to listen on.  [default: CALLBOARD_HOST or 127.0.0.1]")
@click.option(
    "--port",
    type=Number(0, 65_535),
    help="Port to listen on; 0 takes a free one.  [default: CALLBOARD_PORT or 3000]",
)
def serve(host: str | None, port: int | None) -> None:
    """Run the server until SIGINT or SIGTERM; a second one ends it at once.

    \b
    Examples:
      callboard serve
      callboard serve --port 8080
      API_KEY=secret callboard serve --host 0.0.0.0
    """
    from callboard.logs import configure_logging, get_logger
    from callboard.memory import give_back
    from callboard.providers import unread
    from callboard.settings import Settings, environment, foreign_mode, setting_names
    from callboard.variables import doubtful_names, open_names

    given: dict[str, Any] = {"host": host, "port": port}
    settings = Settings.load(**{name: value for name, value in given.items() if value is not None})
    if misses := list(open_names(environment(), setting_names())):
        raise ConfigurationError(f"The server would ask for no key: {'; '.join(misses)}.")
    configure_logging(settings)
    give_back()
    log = get_logger("callboard.cli")
    for name, remedy in {**doubtful_names(environment(), setting_names()), **unread(environment())}.items():
        log.warning(f"this variable is no setting of Callboard; {remedy}", variable=name)
    if (mode := foreign_mode()) is not None:
        log.warning(
            "NODE_ENV is neither development nor production, so it counts for nothing here; set CALLBOARD_ENV",
            node_env=mode,
            env=settings.env,
        )
    if not settings.api_key and "*" in settings.allowed_origins and "allowed_origins" in settings.model_fields_set:
        log.warning("ALLOWED_ORIGINS=* counts for nothing without keys; set API_KEY, or name the origins")
    if settings.llm_provider == "offline" and settings.llm_model:
        log.warning("a model is named, but no provider, so the built-in planner works; set CALLBOARD_LLM_PROVIDER")
    log.info("stopped", clean=_serve(settings))


def _serve(settings: "Settings") -> bool:
    """Listen, start the actors, answer until a signal, stop in order; return whether all ended in time."""
    from callboard.cli.ending import Ending
    from callboard.head_start import HeadStart, for_serving
    from callboard.http.listening import listen
    from callboard.logs import get_logger

    try:
        listening = listen(settings)  # first: a server that cannot listen must touch no task
    except (OSError, UnicodeError) as error:  # the latter of a name that no host can have
        raise CallboardError(
            f"cannot listen on {settings.host}:{settings.port}: {_why_not(error, settings)}."
        ) from error
    ending = Ending(settings.drain_s)
    with listening:
        inheritance.withhold(lambda: (listening.fileno(),))
        with starting(settings):
            settings = for_serving(settings)
            head_start = HeadStart(settings)  # PERF: its processes load while this one does
            from callboard.http.server import Server
            from callboard.system import AgentSystem

            system = AgentSystem.start(settings, head_start=head_start)
        try:
            with starting(settings):
                server = Server(system, listening=listening)
            ending.on_signals(server.close)
            gc.freeze()  # PERF: what start-up made lives as long as the server; the collector need not look at it
            is_open = not settings.api_key and not ip_address(server.host).is_loopback
            if is_open:
                get_logger("callboard.cli").warning(OPEN, host=server.host)
            url = seen_from_here(server.host, server.port)
            with announced(settings.data_dir, url) as fault:
                if fault is not None:
                    get_logger("callboard.cli").warning(UNANNOUNCED, folder=str(settings.data_dir), error=str(fault))
                greet(url, system, is_open=is_open)
                server.run(ending.between)
        finally:
            clean = system.stop(ending.left_s)
    if left := ending.end_processes():  # the sandboxes of skills that hang are among them
        get_logger("callboard.cli").warning("processes that were still there were ended", processes=left)
    return clean


def _why_not(error: OSError | UnicodeError, settings: "Settings") -> str:
    """Return why an address cannot be listened on, and what to do."""
    if isinstance(error, UnicodeError):
        return "that is no name of a host; set CALLBOARD_HOST"
    if isinstance(error, gaierror):
        return f"{error.strerror}; set CALLBOARD_HOST"
    why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    match error.errno:
        case errno.EADDRNOTAVAIL:
            return f"{why}; set CALLBOARD_HOST to an address of this machine"
        case errno.EADDRINUSE:
            port, found = settings.port, listeners(settings.port)
            if (ours := _server_of(settings)) is not None and ours.pid in found:
                return f"the server of this data folder, process {ours.pid}, is at work there already; {_as_it_stands(ours.url)}"
            unknown = (
                f"which process listens there is not told to this user; `sudo ss -ltnp 'sport = :{port}'` names it"
            )
            why = f"{why}: {who(found, otherwise=unknown)}"
        case errno.EACCES:
            return f"{why}; set CALLBOARD_PORT to 1024 or more, or let this user have the port"
        case _:  # the port is what can be changed
            pass
    return f"{why}; free the port or set CALLBOARD_PORT"


def _server_of(settings: "Settings") -> ServerFile | None:
    """Return the server that works on the settings' data folder, None where it is not told."""
    with contextlib.suppress(ConfigurationError, OSError):
        found = read(settings.data_dir) if settings.data_dir is not None else None
        return found if found is not None and found.alive else None
    return None


def _as_it_stands(url: str) -> str:
    """Return what to do about a server that is there, which may be on its way out."""
    import httpx

    with contextlib.suppress(httpx.HTTPError, ValueError):
        if httpx.get(f"{url}/health/ready", timeout=1).json().get("status") == "draining":
            return "it is shutting down: start this one when it has ended, and send it no second signal"
    return f"commands find it at {url}"
