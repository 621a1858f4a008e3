"""`callboard completion`: what a shell runs to complete commands, options and their words.

Runs in the main thread; registered by main.py. The script is click's; the shell asks `callboard` itself for the words.
"""

import click
from click.shell_completion import get_completion_class

_INSTALL = {
    "bash": "echo 'eval \"$(callboard completion bash)\"' >> ~/.bashrc",
    "zsh": 'callboard completion zsh > "${fpath[1]}/_callboard"',
    "fish": "callboard completion fish > ~/.config/fish/completions/callboard.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(tuple(_INSTALL)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script with which a shell completes commands and options, and how to install it.

    \b
    Examples:
      eval "$(callboard completion bash)"
      callboard completion zsh > "${fpath[1]}/_callboard"
      callboard completion fish > ~/.config/fish/completions/callboard.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click has these three"
    script = kind(ctx.find_root().command, {}, "callboard", "_CALLBOARD_COMPLETE").source().strip()
    # the note comes last: the first line of a script for zsh's fpath has to be its own
    click.echo(
        f"{script}\n\n# To install it: {_INSTALL[shell]}\n# A shell that runs already takes it at its next start."
    )
