"""Answers about deliveries of webhooks."""

from typing import Literal

from pydantic import Field

from callboard.http.schemas.base import Answer, Timestamp
from callboard.messages.deliveries import DeliveryState
from callboard.messages.events import Topic


class Delivery(Answer):
    """One message of one webhook."""

    delivery_id: str = Field(description="Also the `webhook-id` of every attempt.")
    task_id: str
    url: str
    type: Topic = Field(description="What the message tells of.")
    state: DeliveryState
    attempts: int = Field(description="Since it was made, or sent again by hand.")
    status_code: int | None = Field(description="What the receiver answered last.")
    error: str | None = Field(description="Why the last attempt was none, a sentence.")
    created_at: Timestamp
    next_at: Timestamp | None = Field(description="When it is tried next; null once it is over.")
    expires_at: Timestamp = Field(description="When it is given up.")
    ended_at: Timestamp | None


class DeliveryReply(Answer):
    success: Literal[True]
    delivery: Delivery


class DeliveryList(Answer):
    """Some deliveries, newest first."""

    success: Literal[True]
    count: int
    deliveries: list[Delivery]
    next_cursor: str | None = Field(description="The `cursor` of the next page; null on the last.")
