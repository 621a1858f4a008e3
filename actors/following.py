"""Following events without a gap or a repeat: the store first, then what is committed, the store again where that is lost.

A follower belongs to one thread, which asks the gateway, in the name of who follows, and waits at its sink. Made by the wiring
(`AgentSystem.follow`, `AgentSystem.feed`); imported by nobody else.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import TracebackType
from typing import NamedTuple, Self

from callboard.actors.subscriptions import Sink, Subscriptions
from callboard.messages.events import ENDS, FamilyPage, FeedEntry, FeedPage, GetFamilyEvents, ListEvents, TaskEvent

PAGE = 100
"""Events that are read at once; each may be large."""

Turn = Callable[[], AbstractContextManager[None]]
"""What is entered for each read, which may wait for it: a caller with many followers reads a few times at once."""

FEED_EVERY_S = 0.05
"""Shortest time between two turns of one feed that has caught up: what is committed meanwhile is told at once."""


class Followed(NamedTuple):
    """An event of a task's stream, and the place behind it: what the stream is resumed after."""

    place: str
    event: TaskEvent


class Follower:
    """What the two kinds have in common. A context manager: it lets go of its sink."""

    def __init__(self, subscriptions: Subscriptions, sink: Sink, turn: Turn) -> None:
        self.turn = turn
        self._subscriptions = subscriptions
        self._sink = sink
        self._behind = True
        self.over = False
        """Whether there is nothing more to come from here: the task has ended, or the server does."""

    def wake(self) -> None:
        """End `next`'s wait; any thread."""
        self._sink.wake()

    def look_again(self) -> None:
        """Read the store the next time, whatever the sink says."""
        self._behind = True

    def close(self) -> None:
        self._subscriptions.release(self._sink)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class TaskFollower(Follower):
    """The stream of one task and of those below it, behind a place: its own number, and a position if one is given.

    The place of an event of the task's own is its number, such as `12`; that of an event of a task below it is the
    last number before it and the event's position, such as `12.345`.
    """

    def __init__(
        self,
        ask: Callable[[GetFamilyEvents], FamilyPage],
        subscriptions: Subscriptions,
        *,
        task_id: str,
        after: int,
        position: int | None,
        turn: Turn = nullcontext,
    ) -> None:
        self._task_sink = subscriptions.follow(task_id)
        super().__init__(subscriptions, self._task_sink, turn)
        self._ask = ask
        self.task_id = task_id
        self._ended = False
        self._seq = after
        self._position = position
        self.ready: list[Followed] = []
        """What `open` has read."""

    @property
    def ended(self) -> bool:
        """Whether the task has ended and all of its events have been returned."""
        return self._ended and not self.ready

    def open(self) -> None:
        """Read the first events; raise `TaskNotFound`, or what says that the store cannot be asked now."""
        self.ready = self._read()
        self.over = self.over and not self.ready

    def next(self, wait_s: float) -> list[Followed]:
        """Return what has come, or nothing after `wait_s` seconds. Raises what the gateway does."""
        if self.ready or self._ended:
            ready, self.ready = self.ready, []
            self.over = self.over or self._ended
            return ready
        if not self._behind:
            closed = self._sink.closed
            events, lost = self._sink.take(wait_s)
            if not lost and not closed and not self._sink.closed:
                return self._go_on(events)
        return self._read()

    def _read(self) -> list[Followed]:
        closed, self._behind = self._sink.closed, True  # also where this fails: what the sink has lost is not in it
        page = self._page()
        self._position = page.position
        self._seq = min(self._seq, page.last_seq)  # a place that the task has not come to yet: from now on
        self._behind = page.more
        found = self._go_on(page.events)
        if page.ended and not page.more:  # also where the place was none of this task's
            self._ended = True
        self.over = self._ended or (closed and not page.more)
        return found

    def _page(self) -> FamilyPage:
        """Read on. Invariant: when the page is read, the sink gets the events of every task that is in it."""
        while True:
            query = GetFamilyEvents(task_id=self.task_id, after=self._seq, position=self._position, limit=PAGE)
            with self.turn():
                page = self._ask(query)
            if page.family <= self._task_sink.family:
                return page
            self._subscriptions.extend(self._task_sink, page.family)

    def _go_on(self, events: Iterable[TaskEvent]) -> list[Followed]:
        """Return those events that come behind the place, and go there; nothing comes behind the task's end."""
        found: list[Followed] = []
        for event in events:
            if self._ended or event.position <= (self._position or 0):
                continue
            self._position = event.position
            if event.task_id != self.task_id:
                found.append(Followed(f"{self._seq}.{event.position}", event))
            elif event.seq > self._seq:
                self._seq = event.seq
                found.append(Followed(str(event.seq), event))
                self._ended = self.over = event.topic in ENDS
        return found


class FeedFollower(Follower):
    """The feed of all tasks' events, those that fit a query; `position` is the place behind what was returned."""

    def __init__(
        self,
        ask: Callable[[ListEvents], FeedPage],
        subscriptions: Subscriptions,
        *,
        query: ListEvents,
        turn: Turn = nullcontext,
    ) -> None:
        super().__init__(subscriptions, subscriptions.watch(query), turn)
        self._ask = ask
        self._query = query
        self._ready: tuple[FeedEntry, ...] = ()
        self._told_s = 0.0
        self.position = 0

    def open(self) -> None:
        """Read the first events."""
        self._ready = self._read(self._query.after)

    def next(self, wait_s: float) -> tuple[FeedEntry, ...]:
        """Return what has come, or nothing after `wait_s` seconds or before. Raises what the gateway does."""
        if self._ready:
            ready, self._ready = self._ready, ()
            return ready
        if not self._behind:
            self._sink.pause(self._told_s + FEED_EVERY_S)
            closed = self._sink.closed
            events, lost = self._sink.take(wait_s)
            if not lost and not closed and not self._sink.closed:
                return self._go_on(events)
        return self._read(self.position)

    def _go_on(self, events: Iterable[TaskEvent]) -> tuple[FeedEntry, ...]:
        """Return those events that come behind the position, and go there."""
        found = tuple(FeedEntry(event=e, session_id=e.session_id) for e in events if e.position > self.position)
        if found:
            self.position = found[-1].event.position
            self._told_s = time.monotonic()
        return found

    def wait(self, wait_s: float) -> None:
        """Wait until something may have come, `wait_s` seconds at most, and read nothing."""
        self._sink.take(wait_s)

    def _read(self, after: int | None) -> tuple[FeedEntry, ...]:
        closed, self._behind = self._sink.closed, True  # also where this fails: what the sink has lost is not in it
        self._told_s = time.monotonic()
        query = replace(self._query, after=after, limit=min(self._query.limit, PAGE))
        with self.turn():
            page = self._ask(query)
        self.position = page.next_after
        self._behind = page.more
        self.over = closed and not page.more
        return page.entries
