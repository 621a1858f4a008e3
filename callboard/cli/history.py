"""The history of the data folder, read in this process where no server answers, so that what `callboard run` did without one is seen.

It reads only, beside whoever is at work on it, and has the methods of `Client` that read; what they return is what a server
would answer. In the main thread; imported by the command line only, when no server answers.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from callboard.client.models import DeadLetter, Event, Session, SessionSummary, ShortResult, Task
from callboard.errors import InvalidRequest
from callboard.http import views
from callboard.messages.events import GetFamilyEvents
from callboard.messages.sessions import ListSessions
from callboard.messages.tasks import ListTasks, Status
from callboard.paths import NOWHERE
from callboard.pauses import whole_pause
from callboard.persistence.reading import open_reader
from callboard.persistence.reads import SqlReader
from callboard.settings import Settings

_PAGE = 100


class LocalHistory:
    """The history that a data folder holds; closed as a client is."""

    def __init__(self, reader: SqlReader) -> None:
        self._reader = reader

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._reader.close()

    def task(self, task_id: str) -> Task:
        """Return all that is known of a task; raise `TaskNotFound`."""
        return Task.model_validate(views.task(self._reader.task(task_id)))

    def pause(self, task_id: str) -> dict[str, Any]:
        """Return what a paused task waits for, with whole arguments; raise `TaskNotFound` or `TaskNotPaused`."""
        return dict(whole_pause(self._reader.task(task_id), self._reader.call))

    def tasks(
        self,
        *,
        status: str | None = None,
        session_id: str | None = None,
        agent: str | None = None,
        q: str | None = None,
        parent_id: str | None = None,
    ) -> Iterator[ShortResult]:
        """Yield the tasks that fit, newest first."""
        wish: dict[str, Any] = {"session_id": session_id, "agent": agent, "q": q, "parent_id": parent_id}
        for record in self._listed(**wish, status=None if status is None else Status(status)):
            yield ShortResult.model_validate(views.listed(record))

    def dead_letters(self) -> Iterator[DeadLetter]:
        """Yield the dead letters, newest first."""
        for record in self._listed(dead=True):
            yield DeadLetter.model_validate(views.dead_letter(record))

    def sessions(self) -> Iterator[SessionSummary]:
        """Yield the sessions, last used first."""
        cursor: str | None = None
        while True:
            page = self._reader.sessions(ListSessions(limit=_PAGE, cursor=cursor))
            yield from map(SessionSummary.model_validate, views.sessions(page)["sessions"])
            if (cursor := page.next_cursor) is None:
                return

    def session(self, session_id: str, *, before: int | None = None) -> Session:
        """Return what a session remembers; raise `SessionNotFound`."""
        return Session.model_validate(views.session(self._reader.session(session_id, before)))

    def log(self, task_id: str, *, after: int = 0) -> Iterator[Event]:
        """Yield a task's own events behind a number."""
        while True:
            page = self._reader.events(task_id, after, _PAGE)
            for event in page.events:
                after = event.seq
                yield Event.model_validate({**views.event(event), "cursor": str(after)})
            if not page.events:
                return

    def stream(self, task_id: str, *, after: int | str = 0) -> Iterator[Event]:
        """Yield the events of a task and of those below it, behind a number or a cursor, as far as there are any now."""
        seq, position = _place(after)
        while True:
            wish = GetFamilyEvents(task_id=task_id, after=seq, position=position, limit=_PAGE)
            page = self._reader.family_events(wish)
            position = page.position
            for event in page.events:
                position = event.position
                own = event.task_id == task_id
                seq = event.seq if own else seq
                yield Event.model_validate({**views.event(event), "cursor": str(seq) if own else f"{seq}.{position}"})
            if not page.more:
                return

    def _listed(self, **wish: Any) -> Iterator[Any]:
        cursor: str | None = None
        while True:
            page = self._reader.tasks(ListTasks(**wish, limit=_PAGE, cursor=cursor))
            yield from page.tasks
            if (cursor := page.next_cursor) is None:
                return


def open_history(settings: Settings) -> LocalHistory | None:
    """Open the history that the settings name; None where there is none yet. Raises what `open_reader` does."""
    if settings.data_dir == NOWHERE and not settings.database_url:
        return None
    reader = open_reader(settings)
    return None if reader is None else LocalHistory(reader)


def _place(after: int | str) -> tuple[int, int | None]:
    seq, point, position = str(after).partition(".")
    if not seq.isdecimal() or (point and not position.isdecimal()):
        raise InvalidRequest(f"{after!r} is no number of an event, such as 12, and no cursor, such as 12.345.")
    return int(seq), int(position) if point else None
