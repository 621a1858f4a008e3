"""The command line, wired: every command of `callboard` is added here; each stands in the module of its subject.

Runs in the main thread. Nothing imports this module but `__main__`, what starts a server in chaos, and the tests. What a command needs is imported when
it runs, so that `callboard --help` and shell completion load click and little else.
"""

import json
import os
import sys

import click

from callboard import __version__
from callboard.cli.agents import agents
from callboard.cli.approvals import approvals
from callboard.cli.completion import completion
from callboard.cli.data import backup, doctor
from callboard.cli.decide import decide
from callboard.cli.events import events
from callboard.cli.groups import Root
from callboard.cli.run import run
from callboard.cli.serve import serve
from callboard.cli.server import dead_letters, health
from callboard.cli.sessions import sessions
from callboard.cli.skills import skills
from callboard.cli.tasks import cancel, retry, show, tasks


@click.group(
    cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, no_args_is_help=True
)
@click.version_option(__version__, prog_name="callboard")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Callboard: a self-hosted, durable agent task server made of actors.

    Settings are environment variables; docs/configuration.md lists them. docs/cli.md tells of every command.

    \b
    Examples:
      callboard serve
      callboard run "What is 12 times 7?"
      callboard tasks --status failed
      callboard show 019b9d6b
    """
    from callboard.settings import environment

    # PERF: httpx imports a command line of its own where it can, with rich and pygments: 70 of the 450 ms of `callboard tasks`
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # how Python marks a module that is not there
    os.umask(os.umask(0o022) | 0o022)  # a shell without one would have others write what is made here, skills among it
    surroundings = environment()
    if surroundings.get("NO_COLOR") or surroundings.get("TERM") == "dumb":
        ctx.color = False  # rich sees to it itself, click does not


@click.command()
def openapi() -> None:
    """Print the OpenAPI 3.1 document.

    \b
    Examples:
      callboard openapi > openapi.json
    """
    from callboard.http.openapi import openapi_document

    click.echo(json.dumps(openapi_document(__version__), indent=2))


for _command in (
    serve, run, tasks, show, events, cancel, approvals, decide, retry, sessions, skills, agents, health, dead_letters, doctor,
    backup, openapi, completion,
):  # fmt: skip
    main.add_command(_command)

if __name__ == "__main__":
    main()
