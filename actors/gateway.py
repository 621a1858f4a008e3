"""The API gateway: every request, from HTTP or from Python, comes in here and is passed on at once.

It decides whether a task may come in (known skills, known agent, usable files, not draining), names it, and has the result
logger commit it; the reply goes from there straight to the asker. Reads go to the history reader, cancels,
waits and decisions to the master agent, what is to be sent again to the courier. It never touches SQL, never works
on a task and never waits.
"""

from collections.abc import Callable
from typing import Any

from callboard.actors.admission import first_event, idempotency_of
from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.supervision import SupervisedActor
from callboard.actors.webhook_target import check_callback
from callboard.agent.attachments import check_attachments, described
from callboard.agent.catalogue import Catalogue
from callboard.agent.roster import AgentDefinition, Roster
from callboard.clock import Clock, new_id
from callboard.deliveries import GetDelivery, ListDeliveries, Redeliver
from callboard.errors import Unavailable
from callboard.messages import (
    AttachedFile,
    AwaitEvents,
    AwaitTask,
    CancelTask,
    DecideTask,
    DeleteSession,
    ExecuteTask,
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
    TaskRecord,
)
from callboard.records import Idempotency, RecordAcceptance, RecordRefusal
from callboard.settings import Settings


class Gateway(SupervisedActor):
    """Admits tasks and forwards everything else to the actor that can answer it."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        catalogue: Catalogue,
        roster: Roster,
        clock: Clock,
        rate_limiter: Address,
        master_agent: Address,
        result_logger: Address,
        history_reader: Address,
        event_bus: Address,
        courier: Address,
        settings: Settings,
        takes_images: Callable[[AgentDefinition], bool],
        draining: Callable[[], bool],
    ) -> None:
        super().__init__(mailbox)
        self._catalogue = catalogue
        self._roster = roster
        self._clock = clock
        self._rate_limiter = rate_limiter
        self._master_agent = master_agent
        self._result_logger = result_logger
        self._history_reader = history_reader
        self._event_bus = event_bus
        self._courier = courier
        self._settings = settings
        self._takes_images = takes_images
        self._draining = draining

    def receive(self, message: Any) -> Any:
        forward = self.delivery
        match message:
            case SubmitTask():
                return self._result_logger.forward(forward, self._admit(message))
            case TakeToken():
                return self._rate_limiter.forward(forward, message)
            case (
                GetTask()
                | ListTasks()
                | GetEvents()
                | GetSession()
                | GetKeptAnswer()
                | GetSkillUsage()
                | ListDeliveries()
                | GetDelivery()
            ):
                return self._history_reader.forward(forward, message)
            case RedriveTask():
                self._require_open()
                return self._history_reader.forward(forward, message)
            case KeepRefusal():
                return self._result_logger.forward(forward, self._refusal(message))
            case AwaitTask() | CancelTask() | DecideTask() | DeleteSession():
                return self._master_agent.forward(forward, message)
            case Redeliver():
                return self._courier.forward(forward, message)
            case AwaitEvents():
                return self._event_bus.forward(forward, message)
            case Ping():
                return Pong()
            case _:
                return super().receive(message)

    def _admit(self, task: SubmitTask) -> RecordAcceptance:
        """Return the task as it will be stored; raise what the caller must change, or `Unavailable` while draining."""
        self._require_open()
        if task.available_skills is not None:
            self._catalogue.require(task.available_skills)
        agent = self._roster.get(task.agent)
        if task.callback_url is not None and not self._settings.webhook_allow_private:
            check_callback(task.callback_url)
        files: tuple[AttachedFile, ...] = ()
        if task.attachments:
            files = check_attachments(task.attachments, self._settings, takes_images=self._takes_images(agent))
        record = self._record(task, files)
        return RecordAcceptance(
            record=record,
            files=files,
            event=first_event(record),
            wait_s=task.wait_s if isinstance(task, ExecuteTask) else None,
            idempotency=idempotency_of(task),
        )

    def _require_open(self) -> None:
        if self._draining():
            raise Unavailable("The server is shutting down and takes no new tasks; try again shortly.", retry_after_s=5)

    def _refusal(self, message: KeepRefusal) -> RecordRefusal:
        asked = Idempotency(caller=message.caller, key=message.key, fingerprint=message.fingerprint)
        return RecordRefusal(idempotency=asked, at=self._clock.now(), answer=message.answer)

    def _record(self, task: SubmitTask, files: tuple[AttachedFile, ...]) -> TaskRecord:
        task_id = task.task_id or new_id()
        return TaskRecord(
            task_id=task_id,
            # Invariant: a session that bears its task's id is new with that task; the master agent relies on it
            session_id=task.session_id or task_id,
            task=task.task,
            created_at=self._clock.now(),
            system_prompt=task.system_prompt,
            available_skills=task.available_skills,
            agent=task.agent,
            labels=task.labels,
            timeout_ms=task.timeout_ms,
            priority=task.priority,
            request_id=task.request_id,
            caller=task.caller,
            retry=task.retry,
            callback_url=task.callback_url,
            budget=task.budget,
            attachments=described(files) if files else (),
        )
