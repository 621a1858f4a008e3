"""A program: Callboard with one more field of a task, `note_to_self`, which stands in callboard/task_spec.py only.

Tasks that were asked with it are done over HTTP, done again, taken over from a server that died, redriven, and read by a
second server; then it prints as JSON what the field was each time. Its argument is a data folder. Run by test_task_fields.py.
"""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

BEHIND = {
    "    callback_url: CallbackUrl | None": '    note_to_self: Prompt | None = Field(default=None, description="Said to oneself.")',
    "    callback_url: str | None": "    note_to_self: str | None",
}
"""The lines of the field, each behind another one of the file: of the model, and of what type checkers are told."""


def add_the_field() -> None:
    """Import the file as it would be with the two lines, before anybody has imported it."""
    spec = find_spec("callboard.task_spec")
    assert spec is not None
    assert spec.origin is not None
    lines = []
    for line in Path(spec.origin).read_text().splitlines():
        lines.append(line)
        lines += [added for before, added in BEHIND.items() if line.startswith(before)]
    sys.modules[spec.name] = module = module_from_spec(spec)
    exec(compile("\n".join(lines), spec.origin, "exec"), module.__dict__)  # our own file and two lines


def main(data_dir: Path) -> dict[str, Any]:
    from callboard import AgentSystem, Client, Settings, SubmitTask
    from callboard.actors.admission import idempotency_of
    from callboard.http.openapi import openapi_document
    from callboard.http.server import Server
    from callboard.principal import PROCESS

    @contextmanager
    def serving() -> Iterator[Client]:
        with AgentSystem.start(Settings(data_dir=data_dir, port=0, rate_limit_max_requests=0)) as system:
            server = Server(system)
            thread = threading.Thread(target=server.run)
            thread.start()
            try:
                with Client(server.url) as client:
                    yield client
            finally:
                server.close()
                thread.join(20)

    def fingerprint(note: str) -> str:
        task = SubmitTask.model_validate({"task": "x", "idempotency_key": "k", "note_to_self": note})
        asked = idempotency_of(task, PROCESS)
        assert asked is not None
        return asked.fingerprint

    _leave_behind(data_dir)
    found: dict[str, Any] = {"fingerprints differ": fingerprint("a") != fingerprint("b")}
    with serving() as client:
        task_id = client.execute("What is 2 + 2?", note_to_self="asked").task_id  # type: ignore[call-arg]
        again_id = client.retry(task_id).task_id
        redriven_id = client.redrive("dead").task_id
        for name, asked_id in (("taken over", "running"), ("done again", again_id), ("redriven", redriven_id)):
            assert list(client.stream(asked_id))[-1].topic == "agent.task.completed"
            found[name] = _note(client, asked_id)
    with serving() as client:
        found["after a restart"] = _note(client, task_id)
        found["on the wire"] = client.task(task_id).model_dump(by_alias=True)["noteToSelf"]
        found["said nothing"] = _note(client, client.execute("What is 2 + 2?").task_id)
    schemas = openapi_document("0")["components"]["schemas"]
    described = [schemas[name]["properties"]["noteToSelf"].get("description") for name in ("TaskSpec", "TaskReport")]
    found["described"] = described
    return found


def _note(client: Any, task_id: str) -> Any:
    return client.task(task_id).note_to_self


def _leave_behind(data_dir: Path) -> None:
    """Have a server that died leave a task that it was at, and a dead letter."""
    from callboard import Settings, Status
    from callboard.messages.event_types import TaskExecute, TaskFailed
    from callboard.messages.records import RecordAcceptance, RecordResult, RecordStart
    from callboard.messages.tasks import Task
    from callboard.persistence.store import SqlStore
    from callboard.task_spec import KeptSpec

    now = datetime.now(UTC)
    last = TaskFailed(at=now, error="It crashed.", error_code="dead_letter")
    store = SqlStore.open(Settings(data_dir=data_dir))
    for task_id in ("running", "dead"):
        spec = KeptSpec.model_validate({"task": "What is 2 + 2?", "note_to_self": task_id})
        store.writer.write(
            [
                RecordAcceptance(
                    task=Task(task_id=task_id, created_at=now, spec=spec),
                    event=TaskExecute(at=now, task=spec.task, session_id=task_id),
                ),
                RecordStart(task_id=task_id, attempt=1, at=now, owner="dead"),
            ]
        )
    dead = {"task_id": "dead", "attempt": 1, "status": Status.FAILED, "error_code": "dead_letter", "owner": "dead"}
    store.writer.write([RecordResult(**dead, at=now, events=(last,))])  # type: ignore[arg-type]
    store.close()


if __name__ == "__main__":
    add_the_field()
    print(json.dumps(main(Path(sys.argv[1]))))
