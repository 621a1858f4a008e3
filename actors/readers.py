"""The history readers behind one name: a router that hands each question to the reader with the least to do.

They stand in two rows, so that a page that takes long, or the catching up of many streams, never stands in front of a question
about one task. A reader that has been given up is passed over. A plain object, called in the thread of whoever forwards.
Imported by the gateway, the result logger, the event bus and the wiring.
"""

from collections.abc import Sequence
from typing import Final, TypeVar, get_args

from callboard.actors.mailbox import Address, Delivery
from callboard.messages.ask import Asked
from callboard.messages.decisions import GetPause
from callboard.messages.deliveries import GetDelivery, ListDeliveries
from callboard.messages.events import AwaitEvents, GetEvents, GetFamilyEvents, ListEvents
from callboard.messages.sessions import GetSession, ListSessions
from callboard.messages.tasks import AwaitTask, GetKeptAnswer, GetTask, ListTasks, RedriveTask, RetryTask
from callboard.messages.usage import GetAgentUsage, GetSkillUsage

R = TypeVar("R")

FOR_ONE: Final = ("history reader 1", "history reader 2")
"""Those who are asked about one task: how it stands, or a page of its log."""

FOR_PAGES: Final = ("history reader 3", "history reader 4")
"""Those who are asked for lists and sums, which look at much."""

QuestionForOne = (
    GetTask
    | AwaitTask
    | GetPause
    | GetKeptAnswer
    | GetDelivery
    | RedriveTask
    | RetryTask
    | GetEvents
    | AwaitEvents
    | GetFamilyEvents
)
QuestionForPages = ListTasks | ListEvents | ListSessions | ListDeliveries | GetSession | GetSkillUsage | GetAgentUsage
Question = QuestionForOne | QuestionForPages
"""What history readers are asked."""

_ABOUT_ONE = get_args(QuestionForOne)


class Readers:
    """Where the gateway, the result logger and the event bus forward questions to."""

    def __init__(self, *, for_one: Sequence[Address[Question]], for_pages: Sequence[Address[Question]]) -> None:
        self._for_one = for_one
        self._for_pages = for_pages

    def forward(self, delivery: Delivery, message: Asked[Question, R]) -> R:
        """Send `message` on behalf of whoever sent `delivery`, who gets the reply; return what stands for it (`Address.forward`).

        Raises `Overloaded` where every reader of the row has as much as it may have, `ActorStopped` where none is left.
        """
        row = self._for_one if isinstance(message, _ABOUT_ONE) else self._for_pages
        there = [reader for reader in row if not reader.mailbox.closed] or row
        return min(there, key=_load).forward(delivery, message)


def _load(reader: Address[Question]) -> int:
    return len(reader.mailbox) + reader.mailbox.busy
