"""The history reader: answers questions about tasks, events and sessions from the store.

A thread of its own, so that a slow page delays no admission. It never writes. Reached through the gateway.
"""

from typing import Any

from callboard.actors.mailbox import Mailbox
from callboard.actors.supervision import SupervisedActor
from callboard.messages import GetEvents, GetSession, GetTask, ListTasks, Ping, Pong
from callboard.persistence.store import Store


class HistoryReader(SupervisedActor):
    """Reads the store for the gateway."""

    def __init__(self, mailbox: Mailbox, *, store: Store) -> None:
        super().__init__(mailbox)
        self._store = store

    def receive(self, message: Any) -> Any:
        match message:
            case GetTask(task_id=task_id):
                return self._store.task(task_id)
            case ListTasks():
                return self._store.tasks(message)
            case GetEvents(task_id=task_id, after=after, limit=limit):
                return self._store.events(task_id, after, limit)
            case GetSession(session_id=session_id):
                return self._store.session(session_id)
            case Ping():
                return Pong()
            case _:
                return super().receive(message)
