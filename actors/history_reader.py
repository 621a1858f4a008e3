"""The history reader: answers questions about tasks, events, sessions, skills and deliveries from the store.

A thread of its own, so that a slow page delays no admission. It never writes: what a redrive or another try needs of the
task is read here and passed on to the result logger. Reached through the gateway.
"""

from typing import Any

from callboard.actors.admission import Admission, redrive_of
from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.supervision import SupervisedActor
from callboard.clock import Clock
from callboard.deliveries import GetDelivery, ListDeliveries
from callboard.errors import DeadLetterNotFound, TaskNotFound
from callboard.feeds import GetFamilyEvents, ListEvents
from callboard.messages import (
    GetEvents,
    GetKeptAnswer,
    GetSession,
    GetSkillUsage,
    GetTask,
    ListTasks,
    Ping,
    Pong,
    RedriveTask,
)
from callboard.pauses import whole_pause
from callboard.persistence.batch import conflict
from callboard.persistence.store import Store
from callboard.questions import GetAgentUsage, GetPause, ListSessions, RetryTask
from callboard.records import KeptAnswer


class HistoryReader(SupervisedActor):
    """Reads the store for the gateway."""

    def __init__(
        self, mailbox: Mailbox, *, store: Store, clock: Clock, admission: Admission, result_logger: Address
    ) -> None:
        super().__init__(mailbox)
        self._store = store
        self._clock = clock
        self._admission = admission
        self._result_logger = result_logger

    def receive(self, message: Any) -> Any:
        match message:
            case GetTask(task_id=task_id):
                return self._store.task(task_id)
            case ListTasks():
                return self._store.tasks(message)
            case GetPause(task_id=task_id):
                return whole_pause(self._store.task(task_id), self._store.call)
            case GetEvents(task_id=task_id, after=after, limit=limit):
                return self._store.events(task_id, after, limit)
            case GetFamilyEvents():
                return self._store.family_events(message)
            case ListEvents():
                return self._store.feed(message)
            case GetSession(session_id=session_id, before=before):
                return self._store.session(session_id, before)
            case GetSkillUsage():
                return self._store.skill_usage()
            case GetAgentUsage():
                return self._store.agent_usage()
            case ListSessions():
                return self._store.sessions(message)
            case GetKeptAnswer():
                return self._kept_answer(message)
            case RedriveTask():
                return self._redrive(message)
            case RetryTask():
                return self._retry(message)
            case ListDeliveries():
                return self._store.deliveries(message)
            case GetDelivery(delivery_id=delivery_id):
                return self._store.delivery(delivery_id)
            case Ping():
                return Pong()
            case _:
                return super().receive(message)

    def _kept_answer(self, message: GetKeptAnswer) -> KeptAnswer | None:
        kept = self._store.kept_answer(message.caller, message.key)
        if kept is not None and kept.fingerprint != message.fingerprint:
            raise conflict(message.key)
        return kept

    def _retry(self, message: RetryTask) -> Any:
        ended = self._store.task(message.task_id)
        files = self._store.files(ended.task_id) if ended.attachments else ()
        return self._result_logger.forward(self.delivery, self._admission.again(ended, files, message))

    def _redrive(self, message: RedriveTask) -> Any:
        try:
            dead = self._store.task(message.task_id)
        except TaskNotFound as error:
            raise DeadLetterNotFound(f"There is no dead letter {message.task_id}.") from error
        # whether it is a dead letter, and has not been redriven before, is decided in the writer's transaction
        return self._result_logger.forward(self.delivery, redrive_of(dead, message, self._clock.now()))
