"""The commands about the data: `callboard backup` and `callboard doctor`. Both work beside a running server.

Runs in the main thread; registered by cli.py. What they need is imported when they run, so that the others start fast.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from callboard.errors import CallboardError, ConfigurationError
from callboard.settings import Settings

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
def backup(path: Path) -> None:
    """Copy the history to PATH, checked and whole, while a server runs or not.

    \b
    callboard backup /backups/callboard-monday.db
    """
    from callboard.persistence.backup import back_up

    settings = Settings.load()
    try:
        made = back_up(settings, path.absolute())
    except CallboardError as error:
        raise SystemExit(_fail(error)) from error
    click.echo(f"wrote {made.path}: {made.tasks:,} tasks, {made.size_bytes:,} bytes, integrity_check ok")
    if not settings.secret_key:
        click.echo(f"keep {settings.data_dir / 'secret.key'} with it: it signs the interpreters' snapshots")
    if not settings.webhook_secret:
        click.echo(f"keep {settings.data_dir / 'webhook.secret'} with it: it signs the webhooks")
    click.echo(f"keep {settings.data_dir / 'workspaces'} with it: the folders of the sessions")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Look at the data folder and the history, and say what to do. Exit status 1 if something is wrong.

    \b
    callboard doctor
    callboard doctor --json
    """
    from callboard.persistence.doctor import examine
    from callboard.persistence.findings import Finding

    status = 0
    try:
        found = list(examine(Settings.load()))
    except ConfigurationError as error:
        if not as_json:
            raise
        found, status = [Finding(level="error", check="settings", message=error.message)], os.EX_CONFIG
    sound = all(finding.level != "error" for finding in found)
    if as_json:
        click.echo(json.dumps({"ok": sound, "findings": [asdict(finding) for finding in found]}, indent=2))
    else:
        for finding in found:
            click.echo(f"{click.style(f'{finding.level:8}', _COLOURS[finding.level])}{finding.message}")
            if finding.advice:
                click.echo(f"{'':8}{finding.advice}")
    raise SystemExit(status or (0 if sound else 1))


def _fail(error: CallboardError) -> int:
    click.echo(f"callboard: {error.message}", err=True)
    return 1
