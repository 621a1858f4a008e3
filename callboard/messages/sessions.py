"""Sessions: what is asked and told about them; what one keeps stands in `callboard.conversation`. All are immutable."""

from dataclasses import dataclass
from datetime import datetime

from pydantic.dataclasses import dataclass as request

from callboard.conversation import SessionRecord
from callboard.messages.ask import Ask


@request(frozen=True, slots=True, kw_only=True)
class GetSession(Ask[SessionRecord]):
    """Ask for a `SessionRecord` with its newest turns, or those numbered below `before`; raises `SessionNotFound`."""

    session_id: str
    before: int | None = None


@request(frozen=True, slots=True, kw_only=True)
class ListSessions(Ask["SessionPage"]):
    """Ask for a `SessionPage`, last used first; `cursor` is the `next_cursor` of the page before."""

    limit: int = 10
    cursor: str | None = None


@request(frozen=True, slots=True, kw_only=True)
class DeleteSession(Ask[None]):
    """Forget a session's conversation and variables; its tasks stay in the history.

    The reply is None after the commit; raises `SessionNotFound`, or `SessionBusy` while a task of it is under way.
    """

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """A session in a list; `preview` is the beginning of the last thing it was asked, None where that is not known."""

    session_id: str
    created_at: datetime
    updated_at: datetime
    tasks: int
    preview: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPage:
    """Some sessions, last used first, and where the next page begins (None: there is none)."""

    sessions: tuple[SessionSummary, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesSetAside:
    """A deleted session's files are out of its reach and can be deleted."""
