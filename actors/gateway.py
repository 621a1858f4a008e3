"""The API gateway: every request, from HTTP or from Python, comes in here and is passed on at once.

It decides whether a task may come in (known skills, known agent, not draining), names it, and has the result
logger commit it; the reply goes from there straight to the asker. Reads go to the history reader, cancels and
waits to the master agent. It never touches SQL, never works on a task and never waits.
"""

from typing import Any

from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.supervision import SupervisedActor
from callboard.agent.catalogue import Catalogue
from callboard.clock import Clock, new_id
from callboard.errors import Unavailable, UnknownAgent
from callboard.messages import (
    AGENTS,
    AwaitEvents,
    AwaitTask,
    CancelTask,
    DeleteSession,
    Drain,
    ExecuteTask,
    GetEvents,
    GetSession,
    GetTask,
    ListTasks,
    NewEvent,
    Ping,
    Pong,
    RecordAcceptance,
    SubmitTask,
    TakeToken,
    TaskRecord,
    Topic,
)


class Gateway(SupervisedActor):
    """Admits tasks and forwards everything else to the actor that can answer it."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        catalogue: Catalogue,
        clock: Clock,
        rate_limiter: Address,
        master_agent: Address,
        result_logger: Address,
        history_reader: Address,
        event_bus: Address,
    ) -> None:
        super().__init__(mailbox)
        self._catalogue = catalogue
        self._clock = clock
        self._rate_limiter = rate_limiter
        self._master_agent = master_agent
        self._result_logger = result_logger
        self._history_reader = history_reader
        self._event_bus = event_bus
        self._draining = False

    def receive(self, message: Any) -> Any:
        forward = self.delivery
        match message:
            case SubmitTask():
                return self._result_logger.forward(forward, self._admit(message))
            case TakeToken():
                return self._rate_limiter.forward(forward, message)
            case GetTask() | ListTasks() | GetEvents() | GetSession():
                return self._history_reader.forward(forward, message)
            case AwaitTask() | CancelTask() | DeleteSession():
                return self._master_agent.forward(forward, message)
            case AwaitEvents():
                return self._event_bus.forward(forward, message)
            case Drain():
                self._draining = True
                return None
            case Ping():
                return Pong()
            case _:
                return super().receive(message)

    def _admit(self, task: SubmitTask) -> RecordAcceptance:
        """Return the task as it will be stored; raise what the caller must change, or `Unavailable` while draining."""
        if self._draining:
            raise Unavailable("The server is shutting down and takes no new tasks; try again shortly.", retry_after_s=5)
        if task.available_skills is not None:
            self._catalogue.require(task.available_skills)
        if task.agent is not None and task.agent not in AGENTS:
            known = ", ".join(sorted(AGENTS))
            raise UnknownAgent(f"There is no agent {task.agent!r}; the known ones are: {known}.")
        record = self._record(task)
        data: dict[str, Any] = {"task": record.task, "sessionId": record.session_id}
        if record.request_id is not None:
            data["requestId"] = record.request_id
        if record.available_skills is not None:
            data["availableSkills"] = list(record.available_skills)
        return RecordAcceptance(
            record=record,
            event=NewEvent(topic=Topic.TASK_EXECUTE, at=record.created_at, data=data),
            wait_s=task.wait_s if isinstance(task, ExecuteTask) else None,
        )

    def _record(self, task: SubmitTask) -> TaskRecord:
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
        )
