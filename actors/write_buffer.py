"""What the result logger has been told and has not committed yet, and whether it can be told of a new task.

It belongs to the wiring, so that it outlives a crash of the logger. Imported by the logger and the wiring.
"""

from dataclasses import dataclass, field

from callboard.actors.mailbox import Delivery
from callboard.errors import Overloaded, StorageFull, StoreUnavailable, Unavailable
from callboard.messages.records import Record
from callboard.messages.tasks import Task
from callboard.shares import may_take

Fault = StoreUnavailable | StorageFull
"""Why the store takes no transactions."""


@dataclass(slots=True)
class Buffer:
    """What has been told and not yet committed; changed by the logger's thread only.

    `fault` is why the store refuses, None while it takes transactions; `live` counts the tasks that have not ended, and
    `live_of` those of each caller. They are replaced as a whole, or by entries, so any thread may read them.
    Invariant: while there is a fault, a tick is on its way.
    """

    entries: list[tuple[Record, Delivery | None]] = field(default_factory=list)
    flush_told: bool = False
    fault: Fault | None = None
    doubtful: int = 0
    """How many of the first entries may have been committed; they are written again just so, and nobody is told."""
    live: int = 0
    live_of: dict[str, int] = field(default_factory=dict)

    def refusal(self, max_backlog: int, caller: str | None) -> Unavailable | None:
        """Return why a new task of a caller (None: this process) cannot be taken now, None if it can; any thread."""
        if (fault := self.fault) is not None:
            return anew(fault)
        if self.live >= max_backlog:
            return Overloaded(
                f"The backlog holds its limit of {max_backlog} tasks; try again when some have ended.", retry_after_s=2
            )
        held = self.live_of.get(caller, 0) if caller else 0
        if not may_take(held, max_backlog - self.live):
            return Overloaded(
                f"You have {held} of the {max_backlog} tasks that the backlog holds, and those that are left are kept for "
                "other callers; try again when some have ended.",
                retry_after_s=2,
            )
        return None

    def count(self, task: Task, more: int) -> None:
        """Count a task in that has been taken, or out that has ended or was not taken after all."""
        self.live += more
        caller = task.caller or ""
        left = self.live_of.get(caller, 0) + more
        if left > 0:
            self.live_of[caller] = left
        else:
            self.live_of.pop(caller, None)


def anew(fault: Fault) -> Fault:
    """Return the same refusal without the frames, and the records in them, that the first one refers to."""
    return type(fault)(fault.message, retry_after_s=fault.retry_after_s)
