"""What commands say of files that define skills or agents: reports on them, what could not be loaded, whose list it is.

Runs in the main thread; imported by the command line only.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from callboard.cli.exit import Exit
from callboard.cli.output import notice, print_json
from callboard.cli.text import clean

if TYPE_CHECKING:
    from callboard.agent.findings import Report
    from callboard.cli.ask import Where
    from callboard.client import Client

_COLOURS = {"error": "red", "note": "yellow", "ok": "green", "skipped": "yellow", "broken": "red"}

here = click.option(
    "--local", is_flag=True, help="What a server with these settings would load, whatever server there is."
)


def server_of(where: "Where", *, local: bool) -> "Client | None":
    """Return the client of the server that is asked, to be closed; None where its like is loaded here."""
    return where.client() if not local and where.answers() else None


def say_whose(what: str, url: str | None, *, local: bool) -> None:
    """Say on standard error whose skills or agents are shown; `what` names them."""
    if url is not None:
        notice(f"The {what} of the server at {url}.")
    else:
        notice(f"{'' if local else 'No server answers. '}The {what} that a server with these settings would load.")


def print_problems(problems: Iterable[str]) -> None:
    """Say on standard error what could not be loaded."""
    for problem in problems:
        click.echo(f"{click.style('problem', 'red')} {clean(problem)}", err=True)


def end_with(reports: "Sequence[Report]", what: str, *, as_json: bool) -> None:
    """Print reports and leave with status 1 where one is of something that would not be loaded as it should be.

    `what` names in JSON what was found: skills or agents.
    """
    valid = all(report.valid for report in reports)
    if as_json:
        print_json({"valid": valid, "reports": [_as_json(report, what) for report in reports]})
    else:
        print_reports(reports)
    raise SystemExit(Exit.DONE if valid else Exit.FAILED)


def print_reports(reports: "Iterable[Report]", *, err: bool = False) -> None:
    """Print what there is to say of each file or folder."""
    for report in reports:
        state = ("ok" if report.names else "skipped") if report.valid else "broken"
        names = f" ({', '.join(report.names)})" if report.names else ""
        click.echo(f"{click.style(state, _COLOURS[state])} {clean(str(report.path))}{names}", err=err)
        for finding in report.findings:
            where = f":{finding.line}" if finding.line else ""
            level = click.style(f"{finding.level:5}", _COLOURS[finding.level])
            click.echo(f"  {level} {clean(f'{report.path.name}{where} {finding.message}')}", err=err)


def _as_json(report: "Report", what: str) -> dict[str, Any]:
    findings = [{"level": f.level, "line": f.line, "message": f.message} for f in report.findings]
    return {"path": str(report.path), "valid": report.valid, what: list(report.names), "findings": findings}
