"""Tasks made by hand, for tests that need one which nobody has submitted."""

from datetime import UTC, datetime
from typing import Any

from callboard.messages.tasks import Task
from callboard.task_spec import KeptSpec

NOW = datetime(2026, 1, 8, tzinfo=UTC)


def make_task(task_id: str = "t", task: str = "Work.", *, created_at: datetime = NOW, **fields: Any) -> Task:
    """Return a task; `fields` are those of the spec and of `Task`."""
    written = {name: fields.pop(name) for name in tuple(fields) if name in KeptSpec.model_fields}
    return Task(task_id=task_id, created_at=created_at, spec=KeptSpec.model_construct(task=task, **written), **fields)
