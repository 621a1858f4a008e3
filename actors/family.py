"""Tasks that agents have given to agents: who waits for whom, and what the end of one means for the others.

A task that delegates is paused until its agents have ended; then what they answered is written into its ledger and it
goes on. When it ends first, they are cancelled. A part of the master agent; only its thread touches it.
"""

import contextlib
from collections.abc import Callable, Mapping

from callboard.actors.decisions import worked_out
from callboard.actors.live_tasks import Live, ended, requeued
from callboard.actors.mailbox import Address
from callboard.agent.delegation import DELEGATE
from callboard.agent.ledger import bytes_of, room_left
from callboard.agent.spending import Accounts
from callboard.budget import Account, Usage
from callboard.clock import Clock
from callboard.errors import TaskNotFound
from callboard.figures import own
from callboard.messages.event_types import TaskCancelled, TaskRequeued
from callboard.messages.ledger import CallState
from callboard.messages.pauses import PauseReason
from callboard.messages.records import RecordRequeue, RecordResult
from callboard.messages.tasks import Task, TaskRecord
from callboard.pauses import reason_of
from callboard.persistence.store import Reader
from callboard.settings import Settings


class Family:
    """Live tasks by the one that gave them."""

    def __init__(
        self,
        *,
        live: Mapping[str, Live],
        reader: Reader,
        accounts: Accounts,
        settings: Settings,
        clock: Clock,
        result_logger: Address[RecordResult | RecordRequeue],
        stop_work: Callable[[str], None],
    ) -> None:
        self._children: dict[str, set[str]] = {}
        self._live = live
        self._reader = reader
        self._accounts = accounts
        self._settings = settings
        self._clock = clock
        self._result_logger = result_logger
        self._stop_work = stop_work

    def add(self, task: Task) -> None:
        """Note a live task."""
        if (parent_id := _waiting(task)) is not None:
            self._children.setdefault(parent_id, set()).add(task.task_id)

    def look_after(self, record: TaskRecord) -> None:
        """Go on with a task whose agents have all ended; end one that was given by a task that has ended."""
        parent_id = _waiting(record.task)
        if parent_id is not None and parent_id not in self._live:
            self._cancel_below(parent_id)
        elif reason_of(record) is PauseReason.SUBAGENTS and record.task_id not in self._children:
            self._agents_have_ended(record)

    def has_ended(self, record: TaskRecord) -> None:
        """Pass the end of a task, which is not live any more, down to those it has given and up to the one that gave it."""
        self._cancel_below(record.task_id)
        parent_id = _waiting(record.task)
        if parent_id is not None and self._settings.session_budget:
            self._spend(record)
        given = self._children.get(parent_id or "")
        if given is None or parent_id is None:
            return
        given.discard(record.task_id)
        if not given:
            del self._children[parent_id]
        parent = self._live.get(parent_id)
        if parent is not None and parent.job is None and not parent.ending:
            self.look_after(parent.record)

    def _cancel_below(self, task_id: str) -> None:
        for child_id in tuple(self._children.get(task_id, ())):
            live = self._live.get(child_id)
            if live is not None and not live.ending:
                why = f"The task {task_id} that delegated it has ended."
                self._result_logger.tell(ended(child_id, live, TaskCancelled(at=self._clock.now(), reason=why)))
                self._stop_work(child_id)

    def _agents_have_ended(self, record: TaskRecord) -> None:
        """Write what the agents have answered into the ledger of the task that waits, and let it go on."""
        now, calls = self._clock.now(), []
        ledger = self._reader.ledger(record.task_id).calls
        room_bytes = room_left(ledger)
        for row in ledger:
            if row.kind == "agent" and row.state is CallState.WAITING:
                child = self._reader.task(row.effect_id)
                size_bytes = bytes_of(child.output)
                calls.append(worked_out(row, child, now, fits=size_bytes <= room_bytes))
                room_bytes -= size_bytes if size_bytes <= room_bytes else 0
        failures = sum(call.state is CallState.FAILED for call in calls)
        charges = ((Account("skill", DELEGATE), Usage(skill_calls=len(calls), failures=failures)),)
        event = TaskRequeued(at=now, reason="subagents", attempt=record.state.attempt)
        self._result_logger.tell(requeued(record, event, attempt=None, calls=tuple(calls), charges=charges))

    def _spend(self, record: TaskRecord) -> None:
        """Note what a task below another one took on the session of the first of them, as the store has when it ended."""
        first = record.task
        with contextlib.suppress(TaskNotFound):
            while (parent_id := _waiting(first)) is not None:
                live = self._live.get(parent_id)
                first = (self._reader.task(parent_id) if live is None else live.record).task
        if first is not record.task:
            self._accounts.spend(Account("session", first.session_id), own(record.metadata))


def _waiting(task: Task) -> str | None:
    """Return the task that waits for this one, None if no task does.

    The one that gave a dead letter has gone on without it: what is made of that by a redrive stands by itself.
    """
    return None if task.redrive_of is not None else task.parent_id
