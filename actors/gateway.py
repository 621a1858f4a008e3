"""The API gateway: every request, from HTTP or from Python, comes in here and is passed on at once.

It has `admission.py` decide whether a task may come in (known skills, known agent, usable files, not draining) and name it,
and the result logger commit it; the reply goes from there straight to the asker. Reads and waits go to the history readers, cancels
and decisions to the master agent, what is to be sent again to the courier, questions about the last hour to the statistics. It never touches SQL, never works
on a task and never waits.
"""

from typing import Any

from callboard.actors.admission import Admission
from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.readers import Question, Readers
from callboard.actors.supervision import SupervisedActor
from callboard.clock import Clock
from callboard.messages.decisions import DecideTask, GetPause
from callboard.messages.deliveries import GetDelivery, ListDeliveries, Redeliver
from callboard.messages.events import AwaitEvents, GetEvents, GetFamilyEvents, ListEvents
from callboard.messages.health import GetStatistics, Ping, Pong
from callboard.messages.records import RecordAcceptance, RecordRefusal
from callboard.messages.sessions import DeleteSession, GetSession, ListSessions
from callboard.messages.tasks import (
    AwaitTask,
    CancelTask,
    ExecuteTask,
    GetKeptAnswer,
    GetTask,
    Idempotency,
    KeepRefusal,
    ListTasks,
    RedriveTask,
    RetryTask,
    SubmitOnce,
    SubmitTask,
)
from callboard.messages.usage import GetAgentUsage, GetSkillUsage, TakeToken

GatewayMessage = (
    SubmitTask
    | SubmitOnce
    | ExecuteTask
    | CancelTask
    | DecideTask
    | KeepRefusal
    | DeleteSession
    | Redeliver
    | GetStatistics
    | TakeToken
    | Question
    | Ping
)
"""What the gateway understands: all that anybody may ask of a system."""


class Gateway(SupervisedActor[GatewayMessage]):
    """Admits tasks and forwards everything else to the actor that can answer it."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        admission: Admission,
        clock: Clock,
        rate_limiter: Address[TakeToken],
        master_agent: Address[CancelTask | DecideTask | DeleteSession],
        result_logger: Address[RecordAcceptance | RecordRefusal],
        readers: Readers,
        courier: Address[Redeliver],
        statistics: Address[GetStatistics],
    ) -> None:
        super().__init__(mailbox)
        self._admission = admission
        self._clock = clock
        self._rate_limiter = rate_limiter
        self._master_agent = master_agent
        self._result_logger = result_logger
        self._readers = readers
        self._courier = courier
        self._statistics = statistics

    def receive(self, message: GatewayMessage) -> Any:
        forward = self.delivery
        match message:
            case SubmitTask() | SubmitOnce() | ExecuteTask():
                return self._result_logger.forward(forward, self._admission.admit(message, forward))
            case TakeToken():
                return self._rate_limiter.forward(forward, message)
            case (
                GetTask()
                | AwaitTask()
                | AwaitEvents()
                | ListTasks()
                | GetEvents()
                | GetPause()
                | GetFamilyEvents()
                | ListEvents()
                | GetSession()
                | GetKeptAnswer()
                | GetSkillUsage()
                | GetAgentUsage()
                | ListSessions()
                | ListDeliveries()
                | GetDelivery()
            ):
                return self._readers.forward(forward, message)
            case RedriveTask() | RetryTask():
                self._admission.require_open()
                return self._readers.forward(forward, message)
            case KeepRefusal():
                return self._result_logger.forward(forward, self._refusal(message))
            case CancelTask() | DecideTask() | DeleteSession():
                return self._master_agent.forward(forward, message)
            case GetStatistics():
                return self._statistics.forward(forward, message)
            case Redeliver():
                return self._courier.forward(forward, message)
            case Ping():
                return Pong()
            case _:
                raise self.unknown(message)

    def _refusal(self, message: KeepRefusal) -> RecordRefusal:
        asked = Idempotency(caller=self.delivery.principal.id, key=message.key, fingerprint=message.fingerprint)
        return RecordRefusal(idempotency=asked, at=self._clock.now(), answer=message.answer)
