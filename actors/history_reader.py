"""A history reader: answers questions about tasks, events, sessions, skills and deliveries from the store.

There are a few of them, each with a thread of its own, so that a slow page delays no admission and no other question. None
writes: what a redrive or another try needs of the task is read here and passed on to the result logger. Reached through
`readers.py`.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from callboard.actors.admission import Admission
from callboard.actors.mailbox import LATER, Address, Mailbox
from callboard.actors.readers import Question
from callboard.actors.supervision import SupervisedActor
from callboard.actors.waiters import Waiter, Waiters
from callboard.clock import Clock
from callboard.errors import DeadLetterNotFound, TaskNotFound
from callboard.messages.decisions import GetPause
from callboard.messages.deliveries import GetDelivery, ListDeliveries
from callboard.messages.events import AwaitEvents, GetEvents, GetFamilyEvents, ListEvents
from callboard.messages.health import Ping, Pong
from callboard.messages.records import RecordAcceptance, RecordRedrive
from callboard.messages.sessions import GetSession, ListSessions
from callboard.messages.tasks import (
    AwaitTask,
    GetKeptAnswer,
    GetTask,
    KeptAnswer,
    ListTasks,
    RedriveTask,
    RetryTask,
    TaskAccepted,
    TaskRecord,
)
from callboard.messages.usage import GetAgentUsage, GetSkillUsage
from callboard.pauses import whole_pause
from callboard.persistence.batch import conflict
from callboard.persistence.store import Reader

_T = TypeVar("_T")

HistoryReaderMessage = Question | Ping
"""What a history reader understands."""


class HistoryReader(SupervisedActor[HistoryReaderMessage]):
    """Reads the store for the gateway."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        reader: Reader,
        waiters: Waiters,
        clock: Clock,
        admission: Admission,
        result_logger: Address[RecordAcceptance | RecordRedrive],
    ) -> None:
        super().__init__(mailbox)
        self._reader = reader
        self._waiters = waiters
        self._clock = clock
        self._admission = admission
        self._result_logger = result_logger

    def receive(self, message: HistoryReaderMessage) -> Any:
        match message:
            case GetTask(task_id=task_id):
                return self._reader.task(task_id)
            case ListTasks():
                return self._reader.tasks(message)
            case AwaitTask(task_id=task_id, wait_s=wait_s):
                waiter = self._waiters.add(task_id, self.delivery, wait_s, looking=True)
                return self._look(waiter, lambda: self._reader.task(task_id), lambda record: record.status.ended)
            case AwaitEvents(task_id=task_id, after=after, wait_s=wait_s):
                waiter = self._waiters.add(task_id, self.delivery, wait_s, after=after, looking=True)
                return self._look(
                    waiter,
                    lambda: self._reader.events(task_id, after, message.limit),
                    lambda page: page.tells,
                )
            case GetPause(task_id=task_id):
                return whole_pause(self._reader.task(task_id), self._reader.call)
            case GetEvents(task_id=task_id, after=after, limit=limit):
                return self._reader.events(task_id, after, limit)
            case GetFamilyEvents():
                return self._reader.family_events(message)
            case ListEvents():
                return self._reader.feed(message)
            case GetSession(session_id=session_id, before=before):
                return self._reader.session(session_id, before)
            case GetSkillUsage():
                return self._reader.skill_usage()
            case GetAgentUsage():
                return self._reader.agent_usage()
            case ListSessions():
                return self._reader.sessions(message)
            case GetKeptAnswer():
                return self._kept_answer(message)
            case RedriveTask():
                return self._redrive(message)
            case RetryTask():
                return self._retry(message)
            case ListDeliveries():
                return self._reader.deliveries(message)
            case GetDelivery(delivery_id=delivery_id):
                return self._reader.delivery(delivery_id)
            case Ping():
                return Pong()
            case _:
                raise self.unknown(message)

    def _look(self, waiter: Waiter | None, read: Callable[[], _T], tells: Callable[[_T], bool]) -> _T:
        """Return what is read, where it tells something or nobody waits; otherwise the asker, who is registered, is told."""
        later: _T = LATER
        if waiter is None:
            return read()
        while True:
            try:
                found = read()
            except BaseException:
                if self._waiters.take_out(waiter):
                    raise
                return later  # its time was up meanwhile
            if tells(found):
                return found if self._waiters.take_out(waiter) else later
            if self._waiters.looked(waiter):
                return later

    def _kept_answer(self, message: GetKeptAnswer) -> KeptAnswer | None:
        kept = self._reader.kept_answer(self.delivery.principal.id, message.key)
        if kept is not None and kept.fingerprint != message.fingerprint:
            raise conflict(message.key)
        return kept

    def _retry(self, message: RetryTask) -> TaskAccepted | TaskRecord | KeptAnswer:
        ended = self._reader.task(message.task_id)
        files = self._reader.files(ended.task_id) if ended.task.attachments else ()
        return self._result_logger.forward(self.delivery, self._admission.again(ended, files, message, self.delivery))

    def _redrive(self, message: RedriveTask) -> TaskRecord:
        try:
            dead = self._reader.task(message.task_id)
        except TaskNotFound as error:
            raise DeadLetterNotFound(f"There is no dead letter {message.task_id}.") from error
        if dead.state.redriven_as is not None:  # a backlog that is full is no reason not to say so
            return self._reader.task(dead.state.redriven_as)
        # whether it is a dead letter, and has not been redriven before, is decided in the writer's transaction
        return self._result_logger.forward(self.delivery, self._admission.redriven(dead, self.delivery))
