"""What commands print: lists as aligned tables on a terminal and as tab-separated lines in a pipe, JSON, fields, notices.

Results go to standard output, what is said about them to standard error. A terminal gets colour unless `NO_COLOR` is
set, a pipe never does. Runs in the main thread; imported by the command line only; rich is loaded when it is needed.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

from callboard.cli.text import MOST_CHARS, clean, dumps, one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Row = TypeVar("Row")

_BATCH = 200
_PIPED_CHARS = 200
STATUS_COLOURS = {
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "paused": "magenta",
    "running": "cyan",
    "pending": "blue",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[Row]):
    """A column of a list: what a pipe gets (`plain`), and what a person sees (`pretty`, where that differs).

    `stretches` says that it takes the room that is left, and is cut to it; the others are as wide as what is in them.
    """

    name: str
    plain: Callable[[Row], object]
    pretty: Callable[[Row], object] | None = None
    style: Callable[[Row], str] | None = None
    stretches: bool = False


def console(*, err: bool = False) -> "Console":
    """Return rich's console on one of the streams, with no markup and no guesses at what a text might mean."""
    from rich.console import Console

    return Console(stderr=err, markup=False, highlight=False, emoji=False)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(dumps(value))


def print_list(columns: Sequence[Column[Row]], rows: Iterable[Row], *, none: str) -> None:
    """Print rows as they come: a table on a terminal, else one line each, columns split by a tab, without a head.
    The column that takes a table's room is cut in a line too: a text may be as long as a book.

    `none` is said on standard error where there are no rows.
    """
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        notice(none)
        return
    if is_terminal():
        _print_tables(columns, first, rows)
        return
    for row in chain((first,), rows):
        cells = (one_line(column.plain(row), _PIPED_CHARS if column.stretches else None) for column in columns)
        click.echo("\t".join(cell or "-" for cell in cells))


def print_some(
    columns: Sequence[Column[Row]],
    rows: Iterable[Row],
    *,
    limit: int | None,
    none: str,
    json_of: Callable[[Row], Any] | None = None,
) -> None:
    """Print as many rows as are wanted, all if `limit` is None; where there are more, standard error says so: none hides.

    As `print_list` does, or as one JSON document of what `json_of` makes of them.
    """
    rows = iter(rows)
    some = rows if limit is None else islice(rows, limit)
    if json_of is not None:
        print_json([json_of(row) for row in some])
    else:
        print_list(columns, some, none=none)
    if limit is not None and next(rows, None) is not None:
        notice("There are more; --all shows them, --limit N as many as you say.")


def _print_tables(columns: Sequence[Column[Row]], first: Row, rows: Iterator[Row]) -> None:
    """Print a table for every few hundred rows, so that a long list begins at once; only the first has a head."""
    out, batch = console(), [first, *islice(rows, _BATCH - 1)]
    head = True
    while batch:
        out.print(_table(columns, batch, head=head))
        head, batch = False, list(islice(rows, _BATCH))


def _table(columns: Sequence[Column[Row]], rows: Sequence[Row], *, head: bool) -> "Table":
    from rich.table import Table
    from rich.text import Text

    stretched = any(column.stretches for column in columns)
    table = Table(box=None, pad_edge=False, show_header=head, header_style="bold", expand=stretched)
    for column in columns:
        ratio = 1 if column.stretches else None
        table.add_column(column.name, no_wrap=True, overflow="ellipsis", ratio=ratio)
    for row in rows:
        cells = []
        for column in columns:
            value = (column.pretty or column.plain)(row)
            style = column.style(row) if column.style else ""
            cells.append(Text(one_line(value) or "-", style=style))
        table.add_row(*cells)
    return table


def print_fields(
    fields: Iterable[tuple[str, object]], *, styles: Mapping[str, str | None] | None = None, width: int = 12
) -> None:
    """Print names with their values, one a line; further lines of a value stand beneath its first.

    `styles` has the colour of the values that have one, by name; click takes colour out where there is no terminal.
    """
    for name, value in fields:
        first, *more = clean(str(value)).split("\n")
        colour = (styles or {}).get(name)
        click.echo(f"{click.style(name.ljust(width), dim=True)} {click.style(first, fg=colour)}".rstrip())
        for line in more:
            click.echo(f"{'':{width}} {line}".rstrip())


def fit_to_print(text: str) -> str:
    """Return a text as `show` prints it: whole in a pipe, on a terminal of a long one the beginning and how much more there is."""
    if len(text) <= MOST_CHARS or not is_terminal():
        return text
    return f"{text[:MOST_CHARS]}\n… {len(text) - MOST_CHARS:,} more characters; --json shows all"


def notice(message: str) -> None:
    """Say something about the command on standard error."""
    click.echo(clean(message), err=True)


def is_terminal(*, err: bool = False) -> bool:
    """Say whether a stream is a terminal."""
    return (sys.stderr if err else sys.stdout).isatty()
