"""Answers about sessions."""

from typing import Literal

from pydantic import Field

from callboard.http.schemas.base import Answer, Timestamp


class Turn(Answer):
    """One turn; of one beyond 100,000 characters the middle is left out, which is said there."""

    number: int = Field(description="Goes up by one within the session.")
    role: str
    content: str
    task_id: str | None = Field(
        description="Its task, whose result has the whole answer; null: said before that was kept."
    )


class Session(Answer):
    """What a session keeps between tasks."""

    session_id: str
    conversation: list[Turn] = Field(description="The newest turns, oldest first: at most 100 and a megabyte.")
    next_before: int | None = Field(description="The `before` of the turns before these; null: there are none.")
    variables: list[str] = Field(description="Names that the session's code has bound.")
    tasks: int
    created_at: Timestamp
    updated_at: Timestamp


class SessionSummary(Answer):
    """A session in a list."""

    session_id: str
    tasks: int
    created_at: Timestamp
    updated_at: Timestamp = Field(description="When it was last used.")
    preview: str | None = Field(description="How the last question that was answered begins; null: none was yet.")


class SessionList(Answer):
    """Some sessions, last used first."""

    success: Literal[True]
    count: int
    sessions: list[SessionSummary]
    next_cursor: str | None = Field(description="The `cursor` of the next page; null on the last.")


class SessionReply(Answer):
    success: Literal[True]
    session: Session


class SessionDeleted(Answer):
    success: Literal[True]
    message: str
    session_id: str
