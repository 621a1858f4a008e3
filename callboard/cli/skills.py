"""The commands about skills: `callboard skills list`, `show`, `validate` and `add`. None of them needs a server, and
`list` can ask one.

Runs in the main thread; registered by main.py. What they need is imported when they run, so that the others start fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from callboard.cli.ask import Where, as_json, asks
from callboard.cli.exit import Exit
from callboard.cli.groups import ListingGroup
from callboard.cli.output import Column, print_fields, print_json, print_list
from callboard.cli.text import clean
from callboard.errors import ConfigurationError

if TYPE_CHECKING:
    from callboard.agent.catalogue import Catalogue
    from callboard.agent.findings import Report
    from callboard.agent.skill import AnySkill
    from callboard.client.models import SkillInfo

_PATH = click.argument("path", type=click.Path(path_type=Path))
_COLOURS = {"error": "red", "note": "yellow", "ok": "green", "skipped": "yellow", "broken": "red"}


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
@as_json
@asks
def list_skills(as_json: bool, where: Where) -> None:
    """List the skills that a server with these settings would load; with --url or CALLBOARD_URL, those of that.

    Without, MCP servers' tools are left out. In a pipe: name, kind, replay, approval, version and origin, and of
    a server calls and failures, split by tabs.

    \b
    Examples:
      callboard skills list
      CALLBOARD_SKILLS_DIR=skills callboard skills list --json
      callboard skills list --url http://127.0.0.1:3000
    """
    columns = tuple(_column(name) for name in ("name", "kind", "replay", "approval", "version", "origin"))
    if not where.named:
        catalogue = _catalogue()
        rows, problems = [_row(skill, catalogue) for skill in catalogue.skills.values()], list(catalogue.problems)
    else:
        with where.client() as client:
            rows, problems = [_row_of_server(skill) for skill in client.skills()], []
        columns += (_column("calls"), _column("failures"))
    if as_json:
        print_json({"skills": rows, "problems": problems})
        return
    print_list(columns, rows, none="There are no skills.")
    for problem in problems:
        click.echo(f"{click.style('problem', 'red')} {clean(problem)}", err=True)


def _column(name: str) -> Column[dict[str, Any]]:
    return Column(name=name, plain=lambda row: _shown(row[name]), stretches=name == "origin")


@skills.command()
@click.argument("name")
@as_json
@asks
def show(name: str, as_json: bool, where: Where) -> None:
    """Show one skill: its declaration, where it comes from, and what may happen to its calls.

    Of the server that --url or CALLBOARD_URL names; without, as a server with these settings would load it.

    \b
    Examples:
      callboard skills show calculate
    """
    if where.named:
        with where.client() as client:
            info = client.skill(name)
        shown, stub = {**_row_of_server(info), "stub": info.stub, "schema": info.json_schema}, info.stub
    else:
        catalogue = _catalogue()
        skill = catalogue.get(name)
        shown, stub = {**_row(skill, catalogue), "stub": skill.stub, "schema": dict(skill.schema)}, skill.stub
    if as_json:
        print_json(shown)
        return
    fields = ("name", "description", "kind", "version", "origin", "replay", "approval", "permissions")
    print_fields((key, _shown(shown[key])) for key in fields)
    click.echo(f"\n{clean(stub)}")


@skills.command()
@_PATH
@as_json
def validate(path: Path, as_json: bool) -> None:
    """Check a Python file, a SKILL.md, a skill's folder, or a folder of those. Exit status 1 if something is wrong.

    A Python file is imported, which runs it.

    \b
    Examples:
      callboard skills validate skills/pdf-forms
      callboard skills validate skills --json
    """
    from callboard.agent.skill_validation import validate as examine

    reports = examine(path)
    if as_json:
        found = [_report(report) for report in reports]
        print_json({"valid": all(report.valid for report in reports), "reports": found})
    else:
        for report in reports:
            _print(report)
    raise SystemExit(Exit.DONE if all(report.valid for report in reports) else Exit.FAILED)


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
    for report in reports:
        if not as_json or not report.valid:
            _print(report, err=True)
    if not all(report.valid for report in reports):
        raise SystemExit(Exit.FAILED)
    names = [name for report in reports for name in report.names]
    target = install(path, folder, names, force=force)
    if as_json:
        print_json({"added": str(target), "skills": names})
    else:
        click.echo(f"added {', '.join(names)} as {target}; restart the server to load it")


def _catalogue() -> "Catalogue":
    from callboard.agent.catalogue import Catalogue
    from callboard.settings import Settings

    settings = Settings.load()
    return Catalogue.load(settings.skills_dir, approve=settings.approve_skills)


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


def _report(report: "Report") -> dict[str, Any]:
    findings = [{"level": f.level, "line": f.line, "message": f.message} for f in report.findings]
    return {"path": str(report.path), "valid": report.valid, "skills": list(report.names), "findings": findings}


def _print(report: "Report", *, err: bool = False) -> None:
    state = ("ok" if report.names else "skipped") if report.valid else "broken"
    state = click.style(state, _COLOURS[state])
    click.echo(
        f"{state} {clean(str(report.path))}" + (f" ({', '.join(report.names)})" if report.names else ""), err=err
    )
    for finding in report.findings:
        where = f":{finding.line}" if finding.line else ""
        level = click.style(f"{finding.level:5}", _COLOURS[finding.level])
        click.echo(f"  {level} {clean(f'{report.path.name}{where} {finding.message}')}", err=err)
