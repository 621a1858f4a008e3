"""Answers about what happened: the log of a task, and the feed of all."""

from typing import Any, Literal

from pydantic import Field

from callboard.http.schemas.base import Answer, Timestamp
from callboard.messages.events import MOST_POSITION


class Event(Answer):
    """One entry of a task's log."""

    task_id: str
    seq: int = Field(description="Counts 1, 2, 3, … without a gap within the task.")
    topic: str
    timestamp: Timestamp
    data: dict[str, Any]


class EventPage(Answer):
    """Some of a task's log, oldest first."""

    success: Literal[True]
    events: list[Event]
    ended: bool = Field(description="The task has ended and these are the last.")
    next_after: int = Field(description="The `after` of the next page.")


class FeedEntry(Event):
    """One event of the feed."""

    session_id: str = Field(description="The session of its task.")
    position: int = Field(
        ge=1, le=MOST_POSITION, description="Goes up over all events, in the order of their commits; it may have gaps."
    )


class FeedPage(Answer):
    """Some events of all tasks, in the order of their commits."""

    success: Literal[True]
    events: list[FeedEntry]
    next_after: int = Field(description="The `after` of the next page; it may go up although no event fits.")
