"""A process of its own that writes tasks to a store and says which ones were acknowledged.

Arguments: the database's address, the number of transactions (0: without end), a prefix for ids. Prints the id of
each task after the store has taken it; any error ends the process with status 1.
"""

import sys
from datetime import UTC, datetime

from callboard.messages.events import Topic
from callboard.messages.records import RecordAcceptance, RecordResult
from callboard.messages.tasks import Status, Task, TaskRecord
from callboard.persistence.store import SqlStore
from callboard.settings import Settings
from callboard.task_spec import KeptSpec
from tests.samples import sample


def main(address: str, transactions: int, prefix: str) -> None:
    store = SqlStore.open(Settings(database_url=address))
    number = 0
    while not transactions or number < transactions:
        at = datetime.now(UTC)
        spec = KeptSpec(task="Hello", session_id=prefix)
        task = Task(task_id=f"{prefix}-{number:06d}", created_at=at, spec=spec)
        event = sample(Topic.TASK_EXECUTE, at)
        [outcome] = store.writer.write([RecordAcceptance(task=task, event=event)])
        assert outcome.value == TaskRecord(task=task), outcome
        if number % 2:
            last = sample(Topic.TASK_COMPLETED, at)
            end = RecordResult(task_id=task.task_id, attempt=0, status=Status.COMPLETED, at=at, events=(last,))
            [outcome] = store.writer.write([end])
            assert outcome.value.status is Status.COMPLETED, outcome
        print(task.task_id, flush=True)
        number += 1
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
