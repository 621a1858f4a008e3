"""The commands about the data: `callboard backup` and `callboard doctor`. Both work beside a running server.

Runs in the main thread; registered by main.py. What they need is imported when they run, so that the others start fast.
"""

from dataclasses import asdict
from pathlib import Path

import click

from callboard.cli.ask import as_json
from callboard.cli.exit import Ended, Exit
from callboard.cli.output import print_json
from callboard.cli.text import clean
from callboard.errors import ConfigurationError

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
def backup(path: Path) -> None:
    """Copy the history to PATH, checked and whole, while a server runs or not.

    Where a table, a column or an index was dropped, the copy is written as the history is, and the exit status is 1.

    \b
    Examples:
      callboard backup /backups/callboard-monday.db
    """
    from callboard.persistence.backup import back_up
    from callboard.settings import Settings

    settings = Settings.load()
    made = back_up(settings, path.absolute())
    checked = "integrity_check ok" if made.lacks is None else "not whole"
    click.echo(
        f"wrote {made.path}: {made.tasks:,} {'task' if made.tasks == 1 else 'tasks'}, {made.size_bytes:,} bytes, {checked}"
    )
    if not settings.secret_key:
        click.echo(f"keep {settings.data_dir / 'secret.key'} with it: it signs the interpreters' snapshots")
    if not settings.webhook_secret:
        click.echo(f"keep {settings.data_dir / 'webhook.secret'} with it: it signs the webhooks")
    click.echo(f"keep {settings.data_dir / 'workspaces'} with it: the folders of the sessions")
    if made.lacks is not None:  # last, and with a status that a nightly job stops at
        raise Ended(Exit.FAILED, f"the copy lacks what the history lacks, so keep the earlier ones. {made.lacks}")


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Look at the data folder and the history, and say what to do. Exit status 1 if something is wrong.

    \b
    Examples:
      callboard doctor
      callboard doctor --json
    """
    from callboard.persistence.doctor import examine
    from callboard.persistence.findings import Finding
    from callboard.settings import Settings

    status = Exit.DONE
    try:
        found = list(examine(Settings.load()))
    except ConfigurationError as error:
        if not as_json:
            raise
        found, status = [Finding(level="error", check="settings", message=error.message)], Exit.CONFIGURATION
    sound = all(finding.level != "error" for finding in found)
    if as_json:
        print_json({"ok": sound, "findings": [asdict(finding) for finding in found]})
    else:
        for finding in found:
            click.echo(f"{click.style(f'{finding.level:8}', _COLOURS[finding.level])}{clean(finding.message)}")
            if finding.advice:
                click.echo(f"{'':8}{clean(finding.advice)}")
    raise SystemExit(status or (Exit.DONE if sound else Exit.FAILED))
