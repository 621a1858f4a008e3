"""Records to rows and back, and the cursors of pages.

`Rows` makes what the writer binds; the functions below it read rows whose values SQLAlchemy's types have
decoded. Pure functions; any thread; imported within `persistence/` only.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Dialect, TypeDecorator
from sqlalchemy.types import TypeEngine

from callboard.arguments import Arguments, Binding
from callboard.budget import Account, Budget, Usage
from callboard.conversation import SessionRecord, Turn
from callboard.deliveries import DeliveryState, WebhookDelivery, receiver_of
from callboard.errors import InvalidRequest
from callboard.figures import of_today
from callboard.messages import AttachedFile, Status, TaskEvent, TaskRecord, Topic
from callboard.persistence import bounds
from callboard.persistence.statements import Row
from callboard.persistence.tables import dump_json, tasks, time_number, time_of
from callboard.records import CallRecord, CallState, Idempotency, KeptAnswer, NewEvent
from callboard.task_spec import RetryPolicy
from callboard.values import mend_text

if TYPE_CHECKING:
    from callboard.persistence.task_state import TaskState

STATUSES = {status.value: status for status in Status}
UNENDED = frozenset(status.value for status in Status if not status.ended)
TOPICS = {topic.value: topic for topic in Topic}

_CURSOR = re.compile(r"1:([A-Za-z0-9._:-]{1,128})")
_SESSION_CURSOR = re.compile(r"2:([0-9]{1,17}):([A-Za-z0-9._:-]{1,128})")


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

    def task(self, r: TaskRecord) -> Row:
        return (
            *(r.task_id, r.session_id, r.status._value_, r.attempt, r.priority),
            *(self.at(r.created_at), self._at(r.started_at), self._at(r.ended_at)),
            *(r.execution_time_ms, r.timeout_ms, r.agent, r.error_code, r.request_id, r.caller),
            *(r.owner, r.crashes, r.failures, self._at(r.not_before), r.redrive_of, r.redriven_as),
            *(r.parent_id, r.root_id, r.depth, r.callback_url),
            None if r.retry is None else dump_json(r.retry.model_dump()),
            None if r.budget is None else dump_json(r.budget.model_dump(exclude_none=True)),
            *(_json(r.pause), dump_json(r.attachments) if r.attachments else None),
            None if r.available_skills is None else dump_json(r.available_skills),
            *(_object(r.labels), _object(r.metadata), r.error, _json(r.output), r.system_prompt, r.task),
        )

    def event(self, task_id: str, seq: int, position: int, event: NewEvent, data: str) -> Row:
        # PERF: an enum's `_value_` takes 0.01 µs and its `value` 0.1 µs, nine times a task.
        return (task_id, seq, event.topic._value_, self.at(event.at), position, data)

    def changed(self, s: "TaskState", ended: TaskRecord | None) -> Row:
        """Return what a task's row is changed to; `ended` has the fields of its end, if it has ended."""
        return (
            *(s.task_id, s.status._value_, s.attempt, self._at(s.started_at), s.owner, s.crashes, s.failures),
            *(self._at(s.not_before), _json(s.pause)),
            *((None, None, None, "{}", None, None) if ended is None else self._end(ended)),
        )

    def _end(self, r: TaskRecord) -> Row:
        return (
            *(self._at(r.ended_at), r.execution_time_ms, r.error_code),
            *(_object(r.metadata), r.error, _json(r.output)),
        )

    def call(self, task_id: str, c: CallRecord) -> Row:
        return (
            *(task_id, c.number, c.kind, c.name, c.replay, c.digest, c.effect_id, c.attempt, c.state._value_),
            *(self.at(c.started_at), self._at(c.ended_at), _json(bounds.call_error(c.error))),
            *(_arguments(c.arguments), _json(c.result)),
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
            *(receiver_of(d.url), bounds.delivery_error(d.error), d.url),
        )

    def session(self, r: SessionRecord) -> Row:
        return (r.session_id, self.at(r.created_at), self.at(r.updated_at), r.tasks)

    def turn(self, session_id: str, number: int, task_id: str, turn: Turn) -> Row:
        return (session_id, number, turn.role, task_id, mend_text(turn.content))

    def interpreter(self, r: SessionRecord) -> Row:
        return (r.session_id, bounds.held(r.variables)[1], r.interpreter)


def _json(value: Any) -> str | None:
    return None if value is None else bounds.held(value)[1]


def _arguments(a: Arguments | None) -> str | None:
    if a is None:
        return None
    bound = [] if a.binding is None else [a.binding.defaults, a.binding.digest]
    return _json([a.args, a.kwargs, a.digest, a.edited, *bound])


def _object(value: Any) -> str:
    return bounds.held(value)[1] if value else "{}"


def task_from_row(row: Sequence[Any]) -> TaskRecord:
    """Return the task in a row of all columns of `tasks`."""
    return TaskRecord(
        task_id=row[0],
        session_id=row[1],
        status=STATUSES[row[2]],
        attempt=row[3],
        priority=row[4],
        created_at=row[5],
        started_at=row[6],
        ended_at=row[7],
        execution_time_ms=row[8],
        timeout_ms=row[9],
        agent=row[10],
        error_code=row[11],
        request_id=row[12],
        caller=row[13],
        owner=row[14],
        crashes=row[15],
        failures=row[16],
        not_before=row[17],
        redrive_of=row[18],
        redriven_as=row[19],
        parent_id=row[20],
        root_id=row[21],
        depth=row[22],
        callback_url=row[23],
        retry=None if row[24] is None else RetryPolicy(**row[24]),
        budget=None if row[25] is None else Budget(**row[25]),
        pause=row[26],
        attachments=() if row[27] is None else tuple(row[27]),
        available_skills=None if row[28] is None else tuple(row[28]),
        labels=row[29],
        metadata=of_today(row[30]),
        error=row[31],
        output=row[32],
        system_prompt=row[33],
        task=row[34],
    )


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
    )


def _arguments_from(stored: Any, skill: str, effect_id: str) -> Arguments | None:
    if isinstance(stored, dict):  # edited ones, of a server before whole arguments were kept
        return Arguments.of(skill, effect_id, (), {}, stored)
    if stored is None:
        return None
    args, kwargs, digest, edited, *bound = stored
    binding = Binding(defaults=bound[0], digest=bound[1]) if bound else None  # a server before kept none
    return Arguments(args=tuple(args), kwargs=kwargs, digest=digest, edited=edited, binding=binding)


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
    return TaskEvent(task_id=row[0], seq=row[1], topic=TOPICS[row[2]], at=row[3], position=row[4], data=row[5])


def encode_cursor(task_id: str) -> str:
    """Return the cursor of the page that goes on below a task."""
    return _encoded(f"1:{task_id}")


def decode_cursor(cursor: str) -> str:
    """Return the id that a page goes on below; raise `InvalidRequest` for what `encode_cursor` never made."""
    return _decoded(cursor, _CURSOR)[1]


def encode_session_cursor(updated_at: datetime, session_id: str) -> str:
    """Return the cursor of the page that goes on below a session; ids are unique and times are not."""
    return _encoded(f"2:{time_number(updated_at)}:{session_id}")


def decode_session_cursor(cursor: str) -> tuple[datetime, str]:
    """Return the last use and the id that a page goes on below; raise `InvalidRequest` as `decode_cursor` does."""
    found = _decoded(cursor, _SESSION_CURSOR)
    return time_of(int(found[1])), found[2]


def _encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _decoded(cursor: str, pattern: re.Pattern[str]) -> re.Match[str]:
    try:
        text = urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
    except ValueError:
        text = ""
    found = pattern.fullmatch(text)
    if found is None or _encoded(text) != cursor:
        raise InvalidRequest("cursor is not a nextCursor of a page before; leave it out to begin with the newest.")
    return found
