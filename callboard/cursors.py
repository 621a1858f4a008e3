"""The cursors of pages: where a list goes on, as a text whose form the OpenAPI document can say in full.

What a cursor names need not be there: a page goes on below that place. Pure functions; any thread; imported by
`persistence/` and by the document.
"""

import re

from callboard.errors import InvalidRequest

_ID = r"[A-Za-z0-9._:-]{1,128}"
PATTERN = rf"^1:{_ID}$"
"""Of tasks, dead letters and deliveries: an id; of skills and agents: a name."""

SESSION_PATTERN = rf"^2:[0-9]{{1,16}}:{_ID}$"
"""Of sessions: when one was last used, in microseconds since 1970, which are far from the end of 16 digits, and its id."""


def encode_cursor(last: str) -> str:
    """Return the cursor of the page that goes on below a task, a skill or whatever has such an id or name."""
    return f"1:{last}"


def decode_cursor(cursor: str) -> str:
    """Return the id or name that a page goes on below; raise `InvalidRequest` for what `encode_cursor` never made."""
    return _checked(cursor, PATTERN).removeprefix("1:")


def encode_session_cursor(updated: int, session_id: str) -> str:
    """Return the cursor of the page that goes on below a session; ids are unique and times are not."""
    return f"2:{updated}:{session_id}"


def decode_session_cursor(cursor: str) -> tuple[int, str]:
    """Return the last use and the id that a page goes on below; raise `InvalidRequest` as `decode_cursor` does."""
    _, updated, session_id = _checked(cursor, SESSION_PATTERN).split(":", 2)
    return int(updated), session_id


def _checked(cursor: str, pattern: str) -> str:
    if not re.fullmatch(pattern.removeprefix("^").removesuffix("$"), cursor):
        raise InvalidRequest("cursor is not a nextCursor of a page before; leave it out to begin with the first page.")
    return cursor
