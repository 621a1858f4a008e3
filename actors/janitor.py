"""The janitor: deletes the files of sessions that were deleted.

A thread of its own, because a thousand files take a while and nobody waits for it. The result logger has taken the
folder out of the session's reach by then, right after the commit. What a server that died has left is looked for once,
a while after the start.
"""

import logging

from callboard.actors.mailbox import Mailbox
from callboard.actors.supervision import SupervisedActor
from callboard.agent.workspaces import Workspaces
from callboard.messages.health import Ping, Pong, Tick
from callboard.messages.sessions import FilesSetAside

logger = logging.getLogger("callboard.janitor")

FIRST_LOOK_S = 60.0

JanitorMessage = FilesSetAside | Tick | Ping
"""What the janitor understands."""


class Janitor(SupervisedActor[JanitorMessage]):
    """Empties what was set aside."""

    def __init__(self, mailbox: Mailbox, *, workspaces: Workspaces) -> None:
        super().__init__(mailbox)
        self._workspaces = workspaces
        mailbox.unhurried = True

    def setup(self) -> None:
        self.wake_in(FIRST_LOOK_S)

    def receive(self, message: JanitorMessage) -> Pong | None:
        match message:
            case FilesSetAside() | Tick():
                self._empty()
            case Ping():
                return Pong()
            case _:
                raise self.unknown(message)
        return None

    def _empty(self) -> None:
        try:
            self._workspaces.empty()
        except OSError as error:
            logger.warning("the files of a deleted session cannot be deleted, remove them by hand: %s", error)
