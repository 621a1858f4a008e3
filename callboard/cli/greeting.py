"""What a server says when it is ready: where it is, who plans, what it has loaded and what it could not.

People get it on their terminal, programs as one line of the log. Runs in the main thread; imported by serve.py only.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from callboard import __version__
from callboard.cli.text import one_line

if TYPE_CHECKING:
    from callboard.settings import Settings
    from callboard.system import AgentSystem

OPEN = "no API key is asked for: anybody who reaches this address can run tasks and read the history; set API_KEY"
_MOST_PROBLEMS = 5
_MOST_CHARS = 400
_FIRST_PROBE_S = 3.0
_MCP = "mcp:"


def greet(url: str, system: "AgentSystem", *, is_open: bool) -> None:
    """Say it on standard error, in the form that whoever reads there can use."""
    from callboard.logs import get_logger

    problems = (*system.skill_problems, *system.agent_problems)
    if not sys.stderr.isatty():
        get_logger("callboard.cli").info(
            "loaded",
            planner=_planner(system.settings),
            skills=_counted(_skills(system)),
            agents=_counted(_agents(system)),
            mcp=_mcp(system) or "none",
            problems=len(problems),
        )
        return
    lines = list(_lines(url, system))  # first, so that what is logged meanwhile stands above
    click.echo(f"\n  {click.style(f'Callboard {__version__}', bold=True)}\n", err=True)
    for name, value in lines:
        click.echo(f"  {click.style(f'{name:8}', dim=True)}{value}", err=True)
    _complain(problems)
    if is_open:
        click.secho(f"\n  WARNING: {OPEN}.", fg="red", bold=True, err=True)
    click.echo(err=True)


def _lines(url: str, system: "AgentSystem") -> Iterator[tuple[str, str]]:
    from callboard.http.console import is_on

    settings = system.settings
    yield "server", url
    if is_on(settings):
        yield "console", f"{url}/console"
    yield "API", f"{url}/docs"
    yield "data", str(settings.data_dir)
    yield "keys", "asked of every caller" if settings.api_key else "not asked: set API_KEY to ask for one"
    name = "planner" if settings.llm_provider == "offline" else "model"
    yield name, _planner(settings)
    yield "skills", _summed(_skills(system))
    yield "agents", _summed(_agents(system))
    if servers := _mcp(system):
        yield "MCP", servers
    yield "stop", "Ctrl-C"


def _planner(settings: "Settings") -> str:
    """Return who writes the code, and who does where that one does not answer."""
    if settings.llm_provider == "offline":
        return "built in, without a model"
    first = _model(settings.llm_provider, settings.llm_model, settings.llm_base_url)
    if not settings.llm_fallback_provider:
        return first
    second = _model(settings.llm_fallback_provider, settings.llm_fallback_model, settings.llm_fallback_base_url)
    return f"{first}; else {second}"


def _model(provider: str, model: str, base_url: str) -> str:
    host = urlsplit(base_url.strip()).netloc.rpartition("@")[2]
    return one_line(f"{provider}/{model.strip()}" + (f" at {host}" if host else ""), _MOST_CHARS)


def _skills(system: "AgentSystem") -> Counter[str]:
    """Return how many skills there are of each kind."""
    return Counter(
        {"folder": "skill folders", "mcp": "from MCP"}.get(
            skill.kind, "built in" if skill.origin == "builtin" else "of your own"
        )
        for skill in system.catalogue.skills.values()
    )


def _agents(system: "AgentSystem") -> Counter[str]:
    from callboard.agent.roster import BUILT_IN

    return Counter("built in" if agent.origin == BUILT_IN else "of your own" for agent in system.roster)


def _mcp(system: "AgentSystem") -> str:
    """Return how many MCP servers are ready, and which are not, as the first look at them has found; empty without any."""
    if system.settings.mcp_config is None:
        return ""
    system.wait_until_probed(_FIRST_PROBE_S)
    services = system.health().services
    ready = {name.removeprefix(_MCP): up for name, up in services.items() if name.startswith(_MCP)}
    missing = [name for name, up in ready.items() if not up]
    told = f"{len(ready) - len(missing)} of {len(ready)} servers ready"
    return one_line(f"{told}; not yet: {', '.join(missing)}" if missing else told, _MOST_CHARS)


def _counted(found: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in found.items()) or "none"


def _summed(found: Counter[str]) -> str:
    return f"{found.total()}: {_counted(found)}" if len(found) > 1 else _counted(found)


def _complain(problems: tuple[str, ...]) -> None:
    """Say what could not be loaded, the first few of many."""
    for problem in problems[:_MOST_PROBLEMS]:
        click.echo(f"  {click.style('problem ', fg='yellow')}{one_line(problem, _MOST_CHARS)}", err=True)
    if (more := len(problems) - _MOST_PROBLEMS) > 0:
        click.echo(f"  {click.style('problem ', fg='yellow')}… and {more} more: /health has them all", err=True)
