"""The API gateway: every request, from HTTP or from Python, comes in here and is passed on at once.

It has `admission.py` decide whether a task may come in (known skills, known agent, usable files, not draining) and name it,
and the result logger commit it; the reply goes from there straight to the asker. Reads go to the history reader, cancels,
waits and decisions to the master agent, what is to be sent again to the courier, questions about the last hour to the statistics. It never touches SQL, never works
on a task and never waits.
"""

from typing import Any

from callboard.actors.admission import Admission
from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.supervision import SupervisedActor
from callboard.clock import Clock
from callboard.deliveries import GetDelivery, ListDeliveries, Redeliver
from callboard.feeds import GetFamilyEvents, ListEvents
from callboard.messages import (
    AwaitEvents,
    AwaitTask,
    CancelTask,
    DecideTask,
    DeleteSession,
    GetEvents,
    GetKeptAnswer,
    GetSession,
    GetSkillUsage,
    GetTask,
    KeepRefusal,
    ListTasks,
    Ping,
    Pong,
    RedriveTask,
    SubmitTask,
    TakeToken,
)
from callboard.questions import GetAgentUsage, GetPause, GetStatistics, ListSessions, RetryTask
from callboard.records import Idempotency, RecordRefusal


class Gateway(SupervisedActor):
    """Admits tasks and forwards everything else to the actor that can answer it."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        admission: Admission,
        clock: Clock,
        rate_limiter: Address,
        master_agent: Address,
        result_logger: Address,
        history_reader: Address,
        event_bus: Address,
        courier: Address,
        statistics: Address,
    ) -> None:
        super().__init__(mailbox)
        self._admission = admission
        self._clock = clock
        self._rate_limiter = rate_limiter
        self._master_agent = master_agent
        self._result_logger = result_logger
        self._history_reader = history_reader
        self._event_bus = event_bus
        self._courier = courier
        self._statistics = statistics

    def receive(self, message: Any) -> Any:
        forward = self.delivery
        match message:
            case SubmitTask():
                return self._result_logger.forward(forward, self._admission.admit(message))
            case TakeToken():
                return self._rate_limiter.forward(forward, message)
            case (
                GetTask()
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
                return self._history_reader.forward(forward, message)
            case RedriveTask() | RetryTask():
                self._admission.require_open()
                return self._history_reader.forward(forward, message)
            case KeepRefusal():
                return self._result_logger.forward(forward, self._refusal(message))
            case AwaitTask() | CancelTask() | DecideTask() | DeleteSession():
                return self._master_agent.forward(forward, message)
            case GetStatistics():
                return self._statistics.forward(forward, message)
            case Redeliver():
                return self._courier.forward(forward, message)
            case AwaitEvents():
                return self._event_bus.forward(forward, message)
            case Ping():
                return Pong()
            case _:
                return super().receive(message)

    def _refusal(self, message: KeepRefusal) -> RecordRefusal:
        asked = Idempotency(caller=message.caller, key=message.key, fingerprint=message.fingerprint)
        return RecordRefusal(idempotency=asked, at=self._clock.now(), answer=message.answer)
