"""A result logger over a real store, with nobody behind it who would start the tasks."""

from types import TracebackType
from typing import Any

from callboard import Settings
from callboard.actors.event_bus import EventBus
from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.result_logger import Buffer, ResultLogger
from callboard.actors.supervision import SupervisedActor, Supervisor
from callboard.agent.workspaces import Workspaces
from callboard.clock import Clock, new_id
from callboard.conversation import SessionRecord, SessionUpdate, turn_of
from callboard.messages import Status, TaskRecord, Topic
from callboard.persistence.store import SqlStore
from callboard.records import NewEvent, RecordAcceptance, RecordResult, RecordStart

TIMEOUT_S = 10


class _Nobody(SupervisedActor):
    """Stands where the master agent and the courier would, and does nothing."""

    def receive(self, _message: Any) -> Any:
        return None


class ResultLogging:
    """Accepts tasks, starts them and logs their results, one at a time."""

    def __init__(self, settings: Settings) -> None:
        self._clock = Clock()
        self._store = SqlStore.open(settings)
        self._supervisor = Supervisor()
        names = ("event bus", "master agent", "courier", "janitor", "result logger")
        self._at = at = {name: Address(Mailbox(name, settings.inbox_limit)) for name in names}
        start = self._supervisor.start
        start(at["event bus"], lambda mailbox: EventBus(mailbox, store=self._store, subscribers={}))
        start(at["master agent"], _Nobody)
        start(at["courier"], _Nobody)
        start(
            at["result logger"],
            lambda mailbox: ResultLogger(
                mailbox,
                store=self._store,
                buffer=Buffer(),
                settings=settings,
                clock=self._clock,
                address=at["result logger"],
                master_agent=at["master agent"],
                event_bus=at["event bus"],
                courier=at["courier"],
                janitor=at["janitor"],
                workspaces=Workspaces(settings.data_dir / "workspaces"),
            ),
        )

    def running_task(self) -> str:
        """Have a task stored that is being worked on; return its id."""
        task_id, now = new_id(), self._clock.now()
        task = TaskRecord(task_id=task_id, session_id=task_id, task="What is 12 times 7?", created_at=now)
        event = NewEvent(topic=Topic.TASK_EXECUTE, at=now, data={"task": task.task, "sessionId": task_id})
        self._ask(RecordAcceptance(record=task, event=event))
        self._ask(RecordStart(task_id=task_id, attempt=1, at=now))
        return task_id

    def log_result(self, task_id: str) -> None:
        """Have the result of a task stored, with its last events and its session."""
        now = self._clock.now()
        topics = (Topic.STEP_COMPLETED, Topic.TASK_COMPLETED)
        turns = (turn_of("user", "What is 12 times 7?"), turn_of("assistant", "84"))
        self._ask(
            RecordResult(
                task_id=task_id,
                attempt=1,
                status=Status.COMPLETED,
                at=now,
                events=tuple(NewEvent(topic=topic, at=now, data={"output": 84}) for topic in topics),
                output=84,
                execution_time_ms=1.5,
                metadata={"llmCalls": 0, "skillCalls": 1, "totalTokens": 0},
                session=SessionUpdate(
                    record=SessionRecord(
                        session_id=task_id, created_at=now, updated_at=now, interpreter=bytes(2000), tasks=1
                    ),
                    said=turns,
                    variables_changed=True,
                ),
            )
        )

    def _ask(self, message: Any) -> Any:
        return self._at["result logger"].ask(message, timeout_s=TIMEOUT_S)

    def __enter__(self) -> "ResultLogging":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for address in reversed(self._at.values()):
            self._supervisor.stop(address, timeout_s=TIMEOUT_S)
        self._supervisor.close()
        self._store.close()
