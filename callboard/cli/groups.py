"""The kinds of commands that click does not have: the root, which ends in order, and groups that list when they stand alone.

Runs in the main thread; imported by the command line only.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from callboard.cli.exit import MEANINGS, guarded


class Root(click.Group):
    """The group of all commands: their errors end as a sentence and an exit status, and its help tells those."""

    def invoke(self, ctx: click.Context) -> Any:
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            if getattr(sys, name) is None:  # whoever started us has closed it, as `2>&-` does
                setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # for the whole process
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError):  # a test's own stream
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a character that the locale lacks
        return guarded(lambda: super(Root, self).invoke(ctx))

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> click.Context:
        """Read the words; what `--help` and `--version` write fails like what commands write."""
        made: click.Context = guarded(lambda: super(Root, self).make_context(info_name, args, parent, **extra))
        return made

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command; of what other programs have as one and this one as an option, say so."""
        if args and args[0] in ("version", "help"):
            ctx.fail(f"there is no command {args[0]}; it is `callboard --{args[0]}`.")
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's own
        with formatter.section("Exit status"):
            formatter.write_dl([(str(int(status)), meaning) for status, meaning in MEANINGS.items()])


class ListingCommand(click.Command):
    """A command that lists, called as the groups are too: with `list` behind it; of what stands by itself it says how."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        first = args[0] if args else ""
        if first == "list":
            args = args[1:]
        elif isinstance(root := ctx.find_root().command, click.Group) and first in root.commands:
            ctx.fail(f"it is `callboard {first}`, without `{ctx.info_name}`.")
        return super().parse_args(ctx, args)


class ListingGroup(click.Group):
    """A group that does as `list` where no command is named, with the options of that."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not any(word in ctx.help_option_names for word in args) and (not args or args[0].startswith("-")):
            args = ["list", *args]
        return super().parse_args(ctx, args)
