"""The command line: `callboard serve` runs the server, `callboard openapi` prints its interface.

The commands that ask a running server stand in cli_client.py.
Runs in the main thread, which ends as waitress' loop. Nothing imports this module.
"""

import gc
import json
import os
import signal
from collections.abc import Callable
from socket import gaierror
from typing import Any

import click

from callboard import __version__
from callboard.cli_client import dead_letters, decide
from callboard.cli_data import backup, doctor
from callboard.cli_skills import skills
from callboard.errors import CallboardError, ConfigurationError
from callboard.settings import Settings, unknown_variables

_EXIT_CONFIGURATION = 78
"""sysexits.h's EX_CONFIG: a setting cannot work; starting again will not help."""


class _Commands(click.Group):
    """Commands whose errors end as one sentence and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CallboardError as error:
            raise SystemExit(_fail(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="callboard")
def main() -> None:
    """Callboard: a self-hosted, durable agent task server made of actors.

    Settings are environment variables; docs/configuration.md lists them.
    """


main.add_command(backup)
main.add_command(doctor)


@main.command()
@click.option("--host", help="Address to listen on.  [default: CALLBOARD_HOST or 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help="Port to listen on; 0 takes a free one.  [default: CALLBOARD_PORT or 3000]",
)
def serve(host: str | None, port: int | None) -> None:
    """Run the server until SIGINT or SIGTERM.

    \b
    callboard serve
    callboard serve --port 8080
    API_KEY=secret callboard serve --host 0.0.0.0
    """
    given: dict[str, Any] = {"host": host, "port": port}
    settings = _settings({name: value for name, value in given.items() if value is not None})
    from callboard.logs import configure_logging, get_logger

    configure_logging(settings)
    log = get_logger("callboard.cli")
    for name in unknown_variables():
        log.warning("this variable is no setting of Callboard; see docs/configuration.md", variable=name)
    if settings.llm_provider == "offline" and settings.llm_model:
        log.warning("a model is named, but no provider, so the built-in planner works; set CALLBOARD_LLM_PROVIDER")
    try:
        clean = _serve(settings)
    except CallboardError as error:
        raise SystemExit(_fail(error)) from error
    log.info("stopped", clean=clean)


def _serve(settings: Settings) -> bool:
    """Listen, start the actors, answer until a signal, stop in order; return whether all ended in time."""
    from callboard.http.server import Server, listen
    from callboard.system import AgentSystem

    try:
        listening = listen(settings.host, settings.port)  # first: a server that cannot listen must touch no task
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        step = "set CALLBOARD_HOST" if isinstance(error, gaierror) else "free the port or set CALLBOARD_PORT"
        raise CallboardError(f"cannot listen on {settings.host}:{settings.port}: {why}; {step}.") from error
    closing_s: list[float] = []
    with listening:
        system = AgentSystem.start(settings)
        try:
            server = Server(system, listening=listening)

            def close() -> None:
                closing_s.append(system.clock.monotonic())
                server.close()

            _stop_on_signals(close)
            gc.freeze()  # PERF: what start-up made lives as long as the server; the collector need not look at it
            server.run()
        finally:
            spent_s = system.clock.monotonic() - closing_s[0] if closing_s else 0.0
            clean = system.stop(max(1.0, settings.drain_s - spent_s))
    return clean


@main.command()
def openapi() -> None:
    """Print the OpenAPI 3.1 document.

    \b
    callboard openapi > openapi.json
    """
    from callboard.http.openapi import openapi_document

    click.echo(json.dumps(openapi_document(__version__), indent=2))


main.add_command(dead_letters)
main.add_command(decide)
main.add_command(skills)


def _settings(overrides: dict[str, Any]) -> Settings:
    try:
        return Settings.load(**overrides)
    except ConfigurationError as error:
        raise SystemExit(_fail(error)) from error


def _fail(error: CallboardError) -> int:
    click.echo(f"callboard: {error.message}", err=True)
    return _EXIT_CONFIGURATION if isinstance(error, ConfigurationError) else 1


def _stop_on_signals(close: Callable[[], object]) -> None:
    """End the server on the first SIGINT or SIGTERM, the process on the second."""
    asked = False

    def handle(_number: int, _frame: Any) -> None:
        nonlocal asked
        if asked:
            os._exit(130)
        asked = True
        close()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)


if __name__ == "__main__":
    main()
