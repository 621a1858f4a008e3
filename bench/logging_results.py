"""A result logger over a real store, with nobody behind it who would start the tasks."""

from types import TracebackType
from typing import Any

from callboard import Settings
from callboard.actors.event_bus import EventBus
from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.readers import Readers
from callboard.actors.result_logger import ResultLogger
from callboard.actors.subscriptions import Subscriptions
from callboard.actors.supervision import SupervisedActor, Supervisor
from callboard.actors.waiters import Waiters
from callboard.actors.write_buffer import Buffer
from callboard.agent.workspaces import Workspaces
from callboard.clock import Clock, new_id
from callboard.conversation import SessionRecord, SessionUpdate, turn_of
from callboard.messages.event_types import StepCompleted, TaskCompleted, TaskExecute
from callboard.messages.records import RecordAcceptance, RecordResult, RecordStart
from callboard.messages.tasks import Status, Task
from callboard.persistence.store import SqlStore
from callboard.task_spec import KeptSpec

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
        readers, waiters = Readers(for_one=(), for_pages=()), Waiters()
        start(
            at["event bus"],
            lambda mailbox: EventBus(
                mailbox, readers=readers, subscribers={}, subscriptions=Subscriptions(), waiters=waiters
            ),
        )
        start(at["master agent"], _Nobody)
        start(at["courier"], _Nobody)
        start(at["janitor"], _Nobody)
        start(
            at["result logger"],
            lambda mailbox: ResultLogger(
                mailbox,
                reader=self._store.reader,
                writer=self._store.writer,
                readers=readers,
                waiters=waiters,
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
        task = Task(task_id=task_id, created_at=now, spec=KeptSpec(task="What is 12 times 7?"))
        event = TaskExecute(at=now, task=task.spec.task, session_id=task_id)
        self._ask(RecordAcceptance(task=task, event=event))
        self._ask(RecordStart(task_id=task_id, attempt=1, at=now))
        return task_id

    def log_result(self, task_id: str) -> None:
        """Have the result of a task stored, with its last events and its session."""
        now = self._clock.now()
        step = StepCompleted(at=now, step=1, duration_ms=1.2, ok=True, printed="")
        turns = (turn_of("user", "What is 12 times 7?"), turn_of("assistant", "84"))
        self._ask(
            RecordResult(
                task_id=task_id,
                attempt=1,
                status=Status.COMPLETED,
                at=now,
                events=(step, TaskCompleted(at=now, output=84)),
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
