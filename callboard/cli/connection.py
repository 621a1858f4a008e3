"""What is said of the connection to a server that is followed: that it is lost, that it is back, that it is given up.

On standard error, one line each; on a terminal the live view says it among its own lines. In the main thread; imported by
the command line only.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from callboard.cli.exit import Ended, status_of
from callboard.cli.output import notice
from callboard.cli.text import duration
from callboard.client.errors import NoServerError, UnavailableError

if TYPE_CHECKING:
    from callboard.client.transport import ConnectionChange


class Connection:
    """Says what happens to a connection; `say` is set to where it is said, None: nowhere."""

    def __init__(self, say: Callable[[str], None] | None = notice) -> None:
        self.say = say

    def tell(self, change: "ConnectionChange") -> None:
        """Say that the connection is lost, or back."""
        if self.say is not None:
            self.say(in_words(change))


def in_words(change: "ConnectionChange") -> str:
    """Return what has happened to a connection, on one line."""
    if change.lost:
        return f"connection to {change.url} lost; trying again…"
    return f"connection to {change.url} is back after {duration(change.away_s * 1000)}"


@contextmanager
def given_up(look_again: Callable[[], str]) -> Iterator[None]:
    """End the command where a server that was followed stays away, with what it said last and the command that `look_again` returns."""
    try:
        yield
    except (NoServerError, UnavailableError) as error:
        raise Ended(status_of(error), f"{error.message} Given up. {look_again()}") from error
