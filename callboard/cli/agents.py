"""The commands about agents: `callboard agents list`, `show` and `validate`. None of them needs a server; the first two
ask one where there is one.

Runs in the main thread; registered by main.py. What they need is imported when they run, so that the others start fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from callboard.cli.ask import Where, as_json, asks
from callboard.cli.exit import Ended, Exit
from callboard.cli.groups import ListingGroup
from callboard.cli.output import Column, print_fields, print_json, print_list
from callboard.cli.reports import end_with, here, print_problems, say_whose, server_of
from callboard.errors import ConfigurationError

if TYPE_CHECKING:
    from callboard.client.models import AgentInfo, AgentList


@click.group(cls=ListingGroup)
def agents() -> None:
    """List, show and check agents; alone it lists.

    \b
    Examples:
      callboard agents
      callboard agents show code-reviewer
      callboard agents validate agents/bookkeeper.yaml
    """


@agents.command("list")
@here
@as_json
@asks
def list_agents(as_json: bool, local: bool, where: Where) -> None:
    """List the agents that the server has; where none answers, or with --local, those that it would load.

    With how often they were used and have failed, which only a server knows. What could not be loaded is said on
    standard error. In a pipe: name, tasks, failures, model and description, split by tabs.

    \b
    Examples:
      callboard agents list
      callboard agents list --json
      CALLBOARD_AGENTS_DIR=agents callboard agents list --local
    """
    columns: tuple[Column[AgentInfo], ...] = (
        Column(name="agent", plain=lambda row: row.name),
        Column(name="tasks", plain=lambda row: row.tasks),
        Column(name="failures", plain=lambda row: row.failures),
        Column(name="model", plain=lambda row: row.model or ""),
        Column(name="description", plain=lambda row: row.description, stretches=True),
    )
    found, url = _found(where, local=local)
    say_whose("agents", url, local=local)
    if as_json:
        print_json([row.model_dump(by_alias=True, mode="json") for row in found.agents])
    else:
        print_list(columns, found.agents, none="There are no agents.")
    print_problems(found.problems)


@agents.command()
@click.argument("name")
@here
@as_json
@asks
def show(name: str, as_json: bool, local: bool, where: Where) -> None:
    """Show one agent: what it is for, what it may call and spend, and where it comes from.

    As the server has it; where none answers, or with --local, as it would load it.

    \b
    Examples:
      callboard agents show code-reviewer
    """
    listed, url = _found(where, local=local)
    rows = {row.name: row for row in listed.agents}
    found = rows.get(name)
    if found is None:
        known = ", ".join(sorted(rows))
        raise Ended(Exit.NOT_FOUND, f"There is no agent {name[:100]!r}; the known ones are: {known}.")
    say_whose("agent", url, local=local)
    if as_json:
        print_json(found.model_dump(by_alias=True, mode="json"))
        return
    skills = "all there are" if found.skills is None else ", ".join(found.skills) or "none"
    budget = ", ".join(f"{key} {value}" for key, value in (found.budget or {}).items() if value is not None)
    fields = {
        "name": found.name,
        "description": found.description,
        "origin": found.origin,
        "skills": skills,
        "model": found.model or "the server's own",
        "budget": budget or "the server's own",
        "max rounds": found.max_rounds or "the server's own",
        "tasks": found.tasks,
        "failures": found.failures,
    }
    print_fields(fields.items())


@agents.command()
@click.argument("path", type=click.Path(path_type=Path), required=False)
@as_json
def validate(path: Path | None, as_json: bool) -> None:
    """Say what a server would load of PATH: an agent's YAML file, or a folder of those.

    Without PATH, of the folder that CALLBOARD_AGENTS_DIR names. The skills that agents name are looked up among those of
    a server with these settings. Exit status 1 if something would not be loaded as it is written, 4 if there is no agent.

    \b
    Examples:
      callboard agents validate agents/bookkeeper.yaml
      callboard agents validate agents --json
    """
    from callboard.agent.agent_validation import validate as examine
    from callboard.settings import Settings

    settings = Settings.load()
    path = path or settings.agents_dir
    if path is None:
        raise ConfigurationError("CALLBOARD_AGENTS_DIR is not set; give the path of what to validate.")
    end_with(examine(path, settings), "agents", as_json=as_json)


def _found(where: Where, *, local: bool) -> "tuple[AgentList, str | None]":
    """Return the agents and what could not be loaded, and the URL of the server that said so, if one did."""
    if (client := server_of(where, local=local)) is not None:
        with client:
            return client.agent_list(), client.url
    from callboard.agent.loadable import Loadable
    from callboard.budget import Usage
    from callboard.client.models import AgentInfo, AgentList
    from callboard.http.views import agent as agent_view

    there = Loadable(where.settings())
    told = (agent_view(one, max_rounds=there.settings.max_rounds, usage=Usage()) for one in there.roster)
    agents = [AgentInfo.model_validate(view) for view in told]
    return AgentList(agents=agents, problems=list(there.agent_problems)), None
