"""What runs ask the control side for, answered from the store; of dumps they are given only what was verified.

Workers' threads. Imported by the wiring.
"""

from dataclasses import dataclass

from callboard.agent.sealing import Left, OpenSession, open_session, opened
from callboard.agent.signing import Signer
from callboard.errors import TaskNotFound
from callboard.messages.tasks import AttachedFile
from callboard.persistence.store import Reader


@dataclass(frozen=True, slots=True)
class RunControl:
    """A `Control` over a store."""

    reader: Reader
    signer: Signer

    def session(self, session_id: str) -> OpenSession | None:
        record = self.reader.session_of_task(session_id)
        return None if record is None else open_session(record, self.signer)

    def left(self, task_id: str) -> Left:
        return opened(self.reader.ledger(task_id), self.signer)

    def files(self, task_id: str) -> tuple[AttachedFile, ...]:
        return self.reader.files(task_id)

    def workspace_of(self, task_id: str) -> str | None:
        try:
            return self.reader.task(task_id).session_id
        except TaskNotFound:
            return None
