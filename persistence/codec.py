"""Records to rows and back.

`Rows` makes what the writer binds; the functions below it read rows whose values SQLAlchemy's types have
decoded. Pure functions; any thread; imported within `persistence/` only.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, get_type_hints

from pydantic import TypeAdapter
from sqlalchemy import Dialect, TypeDecorator
from sqlalchemy.types import TypeEngine

from callboard.arguments import Arguments, Binding
from callboard.budget import Account, Budget, Usage
from callboard.conversation import SessionRecord, Turn
from callboard.figures import of_today
from callboard.messages.deliveries import DeliveryState, WebhookDelivery, receiver_of
from callboard.messages.events import NewEvent, TaskEvent, Topic
from callboard.messages.ledger import CallEffects, CallRecord, CallState
from callboard.messages.pauses import Pause
from callboard.messages.tasks import AttachedFile, Idempotency, KeptAnswer, Status, Task, TaskRecord, TaskState
from callboard.persistence import bounds
from callboard.persistence.statements import Row
from callboard.persistence.tables import dump_json, tasks, time_number
from callboard.task_spec import KeptSpec, RetryPolicy, kept_spec
from callboard.values import mend_text

STATUSES = {status.value: status for status in Status}
UNENDED = frozenset(status.value for status in Status if not status.ended)
TOPICS = {topic.value: topic for topic in Topic}


def _aware(moment: datetime) -> Any:
    """Return the time, which must have a zone: PostgreSQL would take a naive one for local time."""
    if moment.tzinfo is None:
        raise TypeError(f"the time {moment} has no zone")
    return moment


class Rows:
    """Rows to bind, in the order of the columns in tables.py."""

    def __init__(self, dialect: Dialect) -> None:
        self.at: Callable[[datetime], Any] = time_number if dialect.name == "sqlite" else _aware

    def _at(self, moment: datetime | None) -> Any:
        return None if moment is None else self.at(moment)

    def task(self, task: Task, state: TaskState) -> Row:
        t, w, s = task, task.spec, state
        return (
            *(t.task_id, t.session_id, s.status._value_, s.attempt, w.priority),
            *(self.at(t.created_at), self._at(s.started_at), self._at(s.ended_at)),
            *(s.execution_time_ms, w.timeout_ms, w.agent, s.error_code, t.request_id, t.caller),
            *(s.owner, s.crashes, s.failures, self._at(s.not_before), t.redrive_of, s.redriven_as),
            *(t.parent_id, t.root_id, t.depth, w.callback_url),
            None if w.retry is None else dump_json(w.retry.model_dump()),
            None if w.budget is None else dump_json(w.budget.model_dump(exclude_none=True)),
            *(_pause(s.pause), dump_json(t.attachments) if t.attachments else None),
            None if w.available_skills is None else dump_json(w.available_skills),
            *(_later(w), _object(w.labels), _object(s.metadata), s.error, _json(s.output), w.system_prompt, w.task),
        )

    def event(self, task_id: str, seq: int, position: int, event: NewEvent, data: str) -> Row:
        # PERF: an enum's `_value_` takes 0.01 µs and its `value` 0.1 µs, nine times a task.
        return (task_id, seq, event.topic._value_, self.at(event.at), position, data, event.caller)

    def changed(self, task_id: str, s: TaskState) -> Row:
        """Return what a task's row is changed to."""
        return (
            *(task_id, s.status._value_, s.attempt, self._at(s.started_at), s.owner, s.crashes, s.failures),
            *(self._at(s.not_before), _pause(s.pause)),
            *(self._at(s.ended_at), s.execution_time_ms, s.error_code),
            *(_object(s.metadata), s.error, _json(s.output)),
        )

    def call(self, task_id: str, c: CallRecord) -> Row:
        return (
            *(task_id, c.number, c.kind, c.name, c.replay, c.digest, c.effect_id, c.attempt, c.state._value_),
            *(self.at(c.started_at), self._at(c.ended_at), _json(bounds.call_error(c.error))),
            *(_arguments(c.arguments), _json(c.result), _effects(c.effects)),
        )

    def file(self, task_id: str, position: int, file: AttachedFile) -> Row:
        return (task_id, position, file.name, file.media_type, file.url, file.data)

    def spent(self, account: Account, u: Usage) -> Row:
        return (
            *(account.scope, account.name, account.day, u.model_calls, u.input_tokens, u.output_tokens),
            *(float(u.cost_usd), u.skill_calls, u.failures, float(u.wall_ms), u.tasks),
        )

    def answer(self, asked: Idempotency, at: datetime, kept: KeptAnswer) -> Row:
        return (asked.caller, asked.key, self.at(at), kept.fingerprint, kept.task_id, dump_json(kept.answer))

    def delivery(self, d: WebhookDelivery) -> Row:
        return (
            *(d.delivery_id, d.task_id, d.state._value_, d.topic._value_, d.attempts, self.at(d.created_at)),
            *(self.at(d.expires_at), self._at(d.next_at), self._at(d.ended_at), d.status_code),
            *(receiver_of(d.url), bounds.delivery_error(d.error), d.url, d.site, d.caller),
        )

    def session(self, r: SessionRecord) -> Row:
        return (r.session_id, self.at(r.created_at), self.at(r.updated_at), r.tasks)

    def turn(self, session_id: str, number: int, task_id: str, turn: Turn) -> Row:
        return (session_id, number, turn.role, task_id, mend_text(turn.content))

    def interpreter(self, r: SessionRecord) -> Row:
        return (r.session_id, bounds.held(r.variables)[1], r.interpreter)


def _json(value: Any) -> str | None:
    return None if value is None else bounds.held(value)[1]


def _pause(p: Pause | None) -> str | None:
    return None if p is None else _json(p.data())


def _arguments(a: Arguments | None) -> str | None:
    if a is None:
        return None
    bound = [] if a.binding is None else [a.binding.defaults, a.binding.digest]
    return _json([a.args, a.kwargs, a.digest, a.edited, *bound])


def _effects(e: CallEffects | None) -> str | None:
    if e is None or e == CallEffects():
        return None
    return _json({"restricted": e.restricted, "notes": e.notes, "calls": e.calls, "rows": e.rows})


def _object(value: Any) -> str:
    return bounds.held(value)[1] if value else "{}"


OWN_COLUMN = frozenset(
    {
        *("task", "session_id", "system_prompt", "available_skills", "agent", "labels"),
        *("timeout_ms", "priority", "retry", "callback_url", "budget"),
    }
)
_TYPES = get_type_hints(KeptSpec)  # without the rules: what was stored by older ones is read
_LATER = {
    name: (TypeAdapter[Any](_TYPES[name]), field.get_default(call_default_factory=True))
    for name, field in KeptSpec.model_fields.items()
    if name not in OWN_COLUMN
}
"""The other fields of a spec: they share the column `spec`, so that a new one needs neither a column nor a migration."""


def _later(spec: KeptSpec) -> str | None:
    if not _LATER:
        return None
    said = {
        name: adapter.dump_python(value, mode="json")
        for name, (adapter, default) in _LATER.items()
        if (value := getattr(spec, name)) != default
    }
    return dump_json(said) if said else None


def _later_from(stored: Mapping[str, Any] | None) -> dict[str, Any]:
    said = stored or {}
    return {
        name: adapter.validate_python(said[name]) if name in said else default
        for name, (adapter, default) in _LATER.items()
    }


def task_from_row(row: Sequence[Any]) -> TaskRecord:
    """Return the task in a row of all columns of `tasks`."""
    written = {
        "task": row[35],
        # as it was written: who names none gets one that bears the task's id
        "session_id": None if row[1] == row[0] else row[1],
        "system_prompt": row[34],
        "available_skills": None if row[28] is None else tuple(row[28]),
        "agent": row[10],
        "labels": row[30],
        "timeout_ms": row[9],
        "priority": row[4],
        "retry": None if row[24] is None else RetryPolicy(**row[24]),
        "callback_url": row[23],
        "budget": None if row[25] is None else Budget(**row[25]),
    }
    if _LATER:
        written |= _later_from(row[29])
    task = Task(
        task_id=row[0],
        created_at=row[5],
        spec=kept_spec(written),
        attachments=() if row[27] is None else tuple(row[27]),
        caller=row[13],
        request_id=row[12],
        redrive_of=row[18],
        parent_id=row[20],
        root_id=row[21],
        depth=row[22],
    )
    state = TaskState(
        status=STATUSES[row[2]],
        attempt=row[3],
        started_at=row[6],
        owner=row[14],
        crashes=row[15],
        failures=row[16],
        not_before=row[17],
        pause=None if row[26] is None else Pause.read(row[26]),
        redriven_as=row[19],
        ended_at=row[7],
        execution_time_ms=row[8],
        error_code=row[11],
        metadata=of_today(row[31]),
        error=row[32],
        output=row[33],
    )
    return TaskRecord(task=task, state=state)


def call_from_row(row: Sequence[Any]) -> CallRecord:
    """Return the call in a row of all columns of `calls`."""
    return CallRecord(
        number=row[1],
        kind=row[2],
        name=row[3],
        replay=row[4],
        digest=row[5],
        effect_id=row[6],
        attempt=row[7],
        state=CallState(row[8]),
        started_at=row[9],
        ended_at=row[10],
        error=row[11],
        arguments=_arguments_from(row[12], row[3], row[6]),
        result=row[13],
        effects=_effects_from(row[14]),
    )


def _arguments_from(stored: Any, skill: str, effect_id: str) -> Arguments | None:
    if isinstance(stored, dict):  # edited ones, of a server before whole arguments were kept
        return Arguments.of(skill, effect_id, (), {}, stored)
    if stored is None:
        return None
    args, kwargs, digest, edited, *bound = stored
    binding = Binding(defaults=bound[0], digest=bound[1]) if bound else None  # a server before kept none
    return Arguments(args=tuple(args), kwargs=kwargs, digest=digest, edited=edited, binding=binding)


def _effects_from(stored: Mapping[str, Any] | None) -> CallEffects | None:
    if stored is None:
        return None
    restricted = stored["restricted"]
    only = None if restricted is None else tuple(restricted)
    return CallEffects(restricted=only, notes=stored["notes"], calls=stored["calls"], rows=tuple(stored["rows"]))


def file_from_row(row: Sequence[Any]) -> AttachedFile:
    """Return the file in a row of all columns of `files`."""
    data = None if row[5] is None else bytes(row[5])
    return AttachedFile(name=row[2], media_type=row[3], url=row[4], data=data)


def usage_from_row(row: Sequence[Any]) -> tuple[Account, Usage]:
    """Return the account in a row of all columns of `usage`, and what was spent."""
    spent = Usage(
        model_calls=row[3],
        input_tokens=row[4],
        output_tokens=row[5],
        cost_usd=row[6],
        skill_calls=row[7],
        failures=row[8],
        wall_ms=row[9],
        tasks=row[10],
    )
    return Account(row[0], row[1], row[2]), spent


def delivery_from_row(row: Sequence[Any]) -> WebhookDelivery:
    """Return the delivery in a row of all columns of `deliveries`."""
    return WebhookDelivery(
        delivery_id=row[0],
        task_id=row[1],
        state=DeliveryState(row[2]),
        topic=TOPICS[row[3]],
        attempts=row[4],
        created_at=row[5],
        expires_at=row[6],
        next_at=row[7],
        ended_at=row[8],
        status_code=row[9],
        error=row[11],
        url=row[12],
        site=row[13],
        caller=row[14],
    )


def raw_decoder(of_type: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any]:
    """Return what decodes a value that came straight from the driver; only our own types change it."""
    own = isinstance(of_type, TypeDecorator)
    return (of_type.dialect_impl(dialect).result_processor(dialect, None) if own else None) or _itself


def _itself(value: Any) -> Any:
    return value


def raw_task_decoder(dialect: Dialect) -> Callable[[Row], TaskRecord]:
    """Return what makes a task of a row that came straight from the driver, by the columns' types."""
    decoders = [raw_decoder(column.type, dialect) for column in tasks.c]

    def decode(row: Row) -> TaskRecord:
        return task_from_row([decoder(value) for decoder, value in zip(decoders, row, strict=True)])

    return decode


def event_from_row(row: Sequence[Any]) -> TaskEvent:
    """Return the event in a row of all columns of `events`."""
    return TaskEvent(
        task_id=row[0], seq=row[1], topic=TOPICS[row[2]], at=row[3], position=row[4], data=row[5], caller=row[6]
    )
