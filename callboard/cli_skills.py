"""The commands about skills: `callboard skills list`, `show`, `validate` and `add`. None of them needs a server.

Runs in the main thread; registered by cli.py. What they need is imported when they run, so that the others start fast.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from callboard.errors import ConfigurationError
from callboard.settings import Settings

if TYPE_CHECKING:
    from callboard.agent.catalogue import Catalogue
    from callboard.agent.skill import AnySkill
    from callboard.agent.skill_validation import Report

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_PATH = click.argument("path", type=click.Path(path_type=Path))
_COLOURS = {"error": "red", "note": "yellow"}


@click.group()
def skills() -> None:
    """List, show, check and add skills. MCP servers' tools are not among them: ask a running server for those."""


@skills.command("list")
@_JSON
def list_skills(as_json: bool) -> None:
    """List the skills that a server with these settings would load.

    \b
    callboard skills list
    CALLBOARD_SKILLS_DIR=skills callboard skills list --json
    """
    catalogue = _catalogue()
    rows = [_row(skill, catalogue) for skill in catalogue.skills.values()]
    if as_json:
        click.echo(json.dumps({"skills": rows, "problems": catalogue.problems}, indent=2))
        return
    columns = ("name", "kind", "replay", "approval", "version", "origin")
    cells = [columns, *([_shown(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    for problem in catalogue.problems:
        click.echo(f"{click.style('problem', 'red')} {problem}", err=True)


@skills.command()
@click.argument("name")
@_JSON
def show(name: str, as_json: bool) -> None:
    """Show one skill: its declaration, where it comes from, and what may happen to its calls.

    \b
    callboard skills show calculate
    """
    catalogue = _catalogue()
    skill = catalogue.get(name)
    shown = {**_row(skill, catalogue), "stub": skill.stub, "schema": dict(skill.schema)}
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    for key in ("name", "description", "kind", "version", "origin", "replay", "approval", "permissions"):
        click.echo(f"{key:12} {_shown(shown[key])}".rstrip())
    click.echo(f"\n{skill.stub}")


@skills.command()
@_PATH
@_JSON
def validate(path: Path, as_json: bool) -> None:
    """Check a Python file, a SKILL.md, a skill's folder, or a folder of those. Exit status 1 if something is wrong.

    A Python file is imported, which runs it.

    \b
    callboard skills validate skills/pdf-forms
    """
    from callboard.agent.skill_validation import validate as examine

    reports = examine(path)
    if as_json:
        found = [_report(report) for report in reports]
        click.echo(json.dumps({"valid": all(report.valid for report in reports), "reports": found}, indent=2))
    else:
        for report in reports:
            _print(report)
    raise SystemExit(0 if all(report.valid for report in reports) else 1)


@skills.command()
@_PATH
@click.option("--force", is_flag=True, help="Replace what is there under that name.")
@_JSON
def add(path: Path, force: bool, as_json: bool) -> None:
    """Copy a Python file or a skill's folder into CALLBOARD_SKILLS_DIR, if it is valid.

    \b
    callboard skills add downloads/pdf-forms
    """
    from callboard.agent.skill_install import install
    from callboard.agent.skill_validation import validate as examine

    folder = Settings.load().skills_dir
    if folder is None:
        raise ConfigurationError("CALLBOARD_SKILLS_DIR is not set; let it name the folder to add skills to.")
    reports = examine(path)
    for report in reports:
        if not as_json or not report.valid:
            _print(report, err=True)
    if not all(report.valid for report in reports):
        raise SystemExit(1)
    names = [name for report in reports for name in report.skills]
    target = install(path, folder, names, force=force)
    if as_json:
        click.echo(json.dumps({"added": str(target), "skills": names}, indent=2))
    else:
        click.echo(f"added {', '.join(names)} as {target}; restart the server to load it")


def _catalogue() -> "Catalogue":
    from callboard.agent.catalogue import Catalogue

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


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value) or "-"


def _report(report: "Report") -> dict[str, Any]:
    findings = [{"level": f.level, "line": f.line, "message": f.message} for f in report.findings]
    return {"path": str(report.path), "valid": report.valid, "skills": list(report.skills), "findings": findings}


def _print(report: "Report", *, err: bool = False) -> None:
    state = click.style("ok", "green") if report.valid else click.style("broken", "red")
    click.echo(f"{state} {report.path}" + (f" ({', '.join(report.skills)})" if report.skills else ""), err=err)
    for finding in report.findings:
        where = f":{finding.line}" if finding.line else ""
        level = click.style(f"{finding.level:5}", _COLOURS[finding.level])
        click.echo(f"  {level} {report.path.name}{where} {finding.message}", err=err)
