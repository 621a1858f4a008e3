"""The commands about skills: `callboard skills list`, `show`, `validate` and `add`. None of them needs a server; the first
two ask one where there is one.

Runs in the main thread; registered by main.py. What they need is imported when they run, so that the others start fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from callboard.cli.ask import Where, as_json, asks
from callboard.cli.exit import Exit
from callboard.cli.groups import ListingGroup
from callboard.cli.output import Column, print_fields, print_json, print_list
from callboard.cli.reports import end_with, here, print_problems, print_reports, say_whose, server_of
from callboard.cli.text import clean
from callboard.errors import ConfigurationError

if TYPE_CHECKING:
    from callboard.agent.catalogue import Catalogue
    from callboard.agent.loadable import Loadable
    from callboard.agent.skill import AnySkill
    from callboard.client.models import SkillInfo

_PATH = click.argument("path", type=click.Path(path_type=Path))


@click.group(cls=ListingGroup)
def skills() -> None:
    """List, show, check and add skills; alone it lists.

    \b
    Examples:
      callboard skills
      callboard skills show calculate
      callboard skills validate skills/pdf-forms
    """


@skills.command("list")
@here
@as_json
@asks
def list_skills(as_json: bool, local: bool, where: Where) -> None:
    """List the skills that the server has; where none answers, or with --local, those that it would load.

    What could not be loaded is said on standard error. Without a server, MCP servers' tools are left out. In a pipe:
    name, kind, replay, approval, version and origin, and of a server calls and failures, split by tabs.

    \b
    Examples:
      callboard skills list
      CALLBOARD_SKILLS_DIR=skills callboard skills list --local --json
      callboard skills list --url http://127.0.0.1:3000
    """
    columns = tuple(_column(name) for name in ("name", "kind", "replay", "approval", "version", "origin"))
    client = server_of(where, local=local)
    if client is not None:
        with client:
            listed = client.skill_list()
        rows, problems = [_row_of_server(skill) for skill in listed.skills], listed.problems
        columns += (_column("calls"), _column("failures"))
    else:
        there = _loadable(where)
        rows = [_row(skill, there.catalogue) for skill in there.catalogue.skills.values()]
        problems = list(there.skill_problems)
    url = None if client is None else client.url
    say_whose("skills", url, local=local)
    if as_json:
        print_json({"server": url, "skills": rows, "problems": problems})
        return
    print_list(columns, rows, none="There are no skills.")
    print_problems(problems)


def _column(name: str) -> Column[dict[str, Any]]:
    return Column(name=name, plain=lambda row: _shown(row[name]), stretches=name == "origin")


@skills.command()
@click.argument("name")
@here
@as_json
@asks
def show(name: str, as_json: bool, local: bool, where: Where) -> None:
    """Show one skill: its declaration, where it comes from, and what may happen to its calls.

    As the server has it; where none answers, or with --local, as it would load it.

    \b
    Examples:
      callboard skills show calculate
    """
    client = server_of(where, local=local)
    if client is not None:
        with client:
            info = client.skill(name)
        shown, stub = {**_row_of_server(info), "stub": info.stub, "schema": info.json_schema}, info.stub
    else:
        catalogue = _loadable(where).catalogue
        skill = catalogue.get(name)
        shown, stub = {**_row(skill, catalogue), "stub": skill.stub, "schema": dict(skill.schema)}, skill.stub
    say_whose("skill", None if client is None else client.url, local=local)
    if as_json:
        print_json(shown)
        return
    fields = ("name", "description", "kind", "version", "origin", "replay", "approval", "permissions")
    print_fields((key, _shown(shown[key])) for key in fields)
    click.echo(f"\n{clean(stub)}")


@skills.command()
@click.argument("path", type=click.Path(path_type=Path), required=False)
@as_json
def validate(path: Path | None, as_json: bool) -> None:
    """Say what a server would load of PATH: a Python file, a SKILL.md, a skill's folder, or a folder of those.

    Without PATH, of the folder that CALLBOARD_SKILLS_DIR names. Exit status 1 if something would not be loaded that
    looks like a skill, 4 if there is none. A Python file is imported, which runs it.

    \b
    Examples:
      callboard skills validate skills/pdf-forms
      callboard skills validate skills --json
    """
    from callboard.agent.skill_validation import validate as examine
    from callboard.settings import Settings

    path = path or Settings.load().skills_dir
    if path is None:
        raise ConfigurationError("CALLBOARD_SKILLS_DIR is not set; give the path of what to validate.")
    end_with(examine(path), "skills", as_json=as_json)


@skills.command()
@_PATH
@click.option("--force", is_flag=True, help="Replace what is there under that name.")
@as_json
def add(path: Path, force: bool, as_json: bool) -> None:
    """Copy a Python file or a skill's folder into CALLBOARD_SKILLS_DIR, if it is valid.

    \b
    Examples:
      callboard skills add downloads/pdf-forms
      callboard skills add downloads/pdf-forms --force
    """
    from callboard.agent.skill_install import install
    from callboard.agent.skill_validation import validate as examine
    from callboard.settings import Settings

    folder = Settings.load().skills_dir
    if folder is None:
        raise ConfigurationError("CALLBOARD_SKILLS_DIR is not set; let it name the folder to add skills to.")
    reports = examine(path)
    print_reports((report for report in reports if not as_json or not report.valid), err=True)
    if not all(report.valid for report in reports):
        raise SystemExit(Exit.FAILED)
    names = [name for report in reports for name in report.names]
    target = install(path, folder, names, force=force)
    if as_json:
        print_json({"added": str(target), "skills": names})
    else:
        click.echo(f"added {', '.join(names)} as {target}; restart the server to load it")


def _loadable(where: Where) -> "Loadable":
    from callboard.agent.loadable import Loadable

    return Loadable(where.settings())


def _row(skill: "AnySkill", catalogue: "Catalogue") -> dict[str, Any]:
    return {
        "name": skill.name,
        "description": skill.description,
        "kind": skill.kind,
        "version": skill.version,
        "origin": skill.origin,
        "replay": skill.replay,
        "approval": catalogue.needs_approval(skill.name),
        "permissions": list(skill.permissions),
    }


def _row_of_server(skill: "SkillInfo") -> dict[str, Any]:
    names = (
        "name",
        "description",
        "kind",
        "version",
        "origin",
        "replay",
        "approval",
        "permissions",
        "calls",
        "failures",
    )
    return {name: getattr(skill, name) for name in names}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value) or "-"
