"""A process of its own that writes tasks to a store and says which ones were acknowledged.

Arguments: the database's address, the number of transactions (0: without end), a prefix for ids. Prints the id of
each task after the store has taken it; any error ends the process with status 1.
"""

import sys
from datetime import UTC, datetime

from callboard.messages import Status, TaskRecord, Topic
from callboard.persistence.store import SqlStore
from callboard.records import NewEvent, RecordAcceptance, RecordResult
from callboard.settings import Settings


def main(address: str, transactions: int, prefix: str) -> None:
    store = SqlStore.open(Settings(database_url=address))
    number = 0
    while not transactions or number < transactions:
        at = datetime.now(UTC)
        record = TaskRecord(task_id=f"{prefix}-{number:06d}", session_id=prefix, task="Hello", created_at=at)
        event = NewEvent(topic=Topic.TASK_EXECUTE, at=at, data={})
        [outcome] = store.write([RecordAcceptance(record=record, event=event)])
        assert outcome.value == record, outcome
        if number % 2:
            end = RecordResult(task_id=record.task_id, attempt=0, status=Status.COMPLETED, at=at, events=(event,))
            [outcome] = store.write([end])
            assert outcome.value.status is Status.COMPLETED, outcome
        print(record.task_id, flush=True)
        number += 1
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
