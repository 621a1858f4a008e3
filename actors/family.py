"""Tasks that agents have given to agents: who waits for whom, and what the end of one means for the others.

A task that delegates is paused until its agents have ended; then what they answered is written into its ledger and it
goes on. When it ends first, they are cancelled. A part of the master agent; only its thread touches it.
"""

from collections.abc import Callable, Mapping, Sequence

from callboard.actors.decisions import worked_out
from callboard.actors.live_tasks import Live, ended, requeued
from callboard.actors.mailbox import Address
from callboard.agent.delegation import DELEGATE
from callboard.agent.ledger import bytes_of, room_left
from callboard.agent.spending import Accounts
from callboard.budget import Account, Charges, Usage
from callboard.clock import Clock
from callboard.figures import told
from callboard.messages import PauseReason, Status, TaskRecord
from callboard.pauses import reason_of
from callboard.persistence.store import Store
from callboard.records import CallRecord, CallState
from callboard.settings import Settings


class Family:
    """Live tasks by the one that gave them."""

    def __init__(
        self,
        *,
        live: Mapping[str, Live],
        store: Store,
        accounts: Accounts,
        settings: Settings,
        clock: Clock,
        result_logger: Address,
        stop_work: Callable[[str], None],
    ) -> None:
        self._children: dict[str, set[str]] = {}
        self._live = live
        self._store = store
        self._accounts = accounts
        self._settings = settings
        self._clock = clock
        self._result_logger = result_logger
        self._stop_work = stop_work

    def add(self, record: TaskRecord) -> None:
        """Note a live task."""
        if (parent_id := _waiting(record)) is not None:
            self._children.setdefault(parent_id, set()).add(record.task_id)

    def look_after(self, record: TaskRecord) -> None:
        """Go on with a task whose agents have all ended; end one that was given by a task that has ended."""
        parent_id = _waiting(record)
        if parent_id is not None and parent_id not in self._live:
            self._cancel_below(parent_id)
        elif reason_of(record) is PauseReason.SUBAGENTS and record.task_id not in self._children:
            self._agents_have_ended(record)

    def has_ended(self, record: TaskRecord) -> None:
        """Pass the end of a task, which is not live any more, down to those it has given and up to the one that gave it."""
        self._cancel_below(record.task_id)
        parent_id = _waiting(record)
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
                told = {"reason": f"The task {task_id} that delegated it has ended."}
                self._result_logger.tell(ended(child_id, live, self._clock.now(), status=Status.CANCELLED, told=told))
                self._stop_work(child_id)

    def _agents_have_ended(self, record: TaskRecord) -> None:
        """Write what the agents have answered into the ledger of the task that waits, and let it go on."""
        now, spent, calls = self._clock.now(), Usage(), []
        ledger = self._store.ledger(record.task_id).calls
        room_bytes = room_left(ledger)
        for row in ledger:
            if row.kind == "agent" and row.state is CallState.WAITING:
                child = self._store.task(row.effect_id)
                size_bytes = bytes_of(child.output)
                calls.append(worked_out(row, child, now, fits=size_bytes <= room_bytes))
                room_bytes -= size_bytes if size_bytes <= room_bytes else 0
                spent += told(child.metadata)
        charges = self._charges(record, calls, spent)
        self._result_logger.tell(requeued(record, "subagents", now, attempt=None, calls=tuple(calls), charges=charges))

    def _charges(self, record: TaskRecord, calls: Sequence[CallRecord], spent: Usage) -> Charges:
        """Return what the end of the calls adds to accounts: the skill's, and the session's if that may have a budget.

        To the task's own account the store has added what each agent spent, when it ended.
        """
        failures = sum(call.state is CallState.FAILED for call in calls)
        charges = [(Account("skill", DELEGATE), Usage(skill_calls=len(calls), failures=failures))]
        if self._settings.session_budget:
            session = Account("session", record.session_id)
            self._accounts.spend(session, spent)
            charges.append((session, spent))
        return tuple(charges)


def _waiting(record: TaskRecord) -> str | None:
    """Return the task that waits for this one, None if no task does.

    The one that gave a dead letter has gone on without it: what is made of that by a redrive stands by itself.
    """
    return None if record.redrive_of is not None else record.parent_id
