"""The ledger of one task: every call of a model or of a skill that is not `pure`, in order, with what became of it.

A call is written before it is made and again after it. What an earlier attempt has finished is answered from here
and never made again; what it had only begun follows the call's replay policy. One `Ledger` an attempt, in the
worker's thread and those of calls that are made at once; the pure functions beside it make the snapshots that are
written with a call. Imported by the runner.
"""

import hashlib
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgpack  # type: ignore[import-untyped]
from pydantic_core import to_json

from callboard.agent.delegation import Delegated
from callboard.agent.sealing import Left, Unsealed
from callboard.arguments import Arguments, Binding
from callboard.errors import TaskError
from callboard.limits import LEDGER_BYTES
from callboard.messages.ledger import CallEffects, CallRecord, CallState
from callboard.messages.pauses import PauseReason
from callboard.values import recordable

ENDED = (CallState.DONE, CallState.FAILED)


class Paused(Exception):  # a signal to the runner, not an error of a task
    """The script cannot go on now: a person has to decide about a call, or agents that it has delegated to have to end.

    `calls` are the rows to be written with the pause, `arguments` those of the call, for the person, where the script
    has come to it; `children` are the tasks to be accepted with it.
    """

    def __init__(
        self,
        reason: PauseReason,
        call: CallRecord,
        *,
        calls: tuple[CallRecord, ...] = (),
        snapshot: Unsealed | None = None,
        children: tuple[Delegated, ...] = (),
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(call.name)
        self.reason = reason
        self.call = call
        self.calls = calls
        self.snapshot = snapshot
        self.children = children
        self.arguments = arguments or {}


class Ledger:
    """The calls that earlier attempts at a task have left, and those that this attempt adds."""

    def __init__(self, task_id: str, attempt: int, left: Left) -> None:
        self._task_id = task_id
        self._attempt = attempt
        self._left = list(left.calls)
        self._made: dict[int, CallRecord] = {}
        self._next = max((call.number for call in left.calls), default=0) + 1
        self._room_bytes = room_left(left.calls)
        # Guards all of the above: calls that a script makes at once run in threads of their own, and a skill may ask a
        # model, which is a call as well. An actor can't: it would cost each call a round trip to another thread.
        self._lock = threading.Lock()

    @property
    def passed(self) -> list[int]:
        """The numbers of the calls that the script has come to so far."""
        with self._lock:
            return sorted(self._made)

    def skip(self, passed: Collection[int]) -> None:
        """Forget the calls that the script has behind it, or a call that is answered from here: it will not come to them again."""
        with self._lock:
            self._made |= {call.number: call for call in self._left if call.number in passed}
            self._left = [call for call in self._left if call.number not in passed]

    def unknown(self) -> CallRecord | None:
        """Return a call that must not be repeated and whose outcome nobody knows, if there is one."""
        return next((call for call in self._left if _is_unknown(call)), None)

    def take(self, kind: str, name: str, arguments: Any, number: int | None = None) -> CallRecord | None:
        """Return what an earlier attempt has left of this very call: the first one not yet taken, or None.

        Found by name and arguments and not by place, so that a script which takes another way, after a retry or with
        another time of day, still repeats nothing. `number` is that of the call which the interpreter stood at: it is
        known by it, however its arguments are written today.
        """
        digest = digest_of(name, arguments)
        with self._lock:
            for index, call in enumerate(self._left):
                if call.number == number or (
                    number is None and call.kind == kind and call.name == name and call.digest == digest
                ):
                    self._made[call.number] = call  # one that failed may have to be reopened, whoever made it
                    return self._left.pop(index)
        return None

    def without_skill(
        self, name: str, arguments: Any, number: int | None, told: Mapping[str, Any]
    ) -> CallRecord | None:
        """Return the row of a call whose skill is there no more, if it has ended: what was done stands.

        Raises `Paused` with the arguments as they are `told` where it may have been done and must not be done twice.
        """
        known = self.take("skill", name, arguments, number)
        if known is not None and _is_unknown(known):
            raise Paused(PauseReason.OUTCOME_UNKNOWN, known, calls=(known,), arguments=told)
        return known if known is not None and known.state in ENDED else None

    def begin(
        self,
        kind: str,
        name: str,
        replay: str,
        arguments: Any,
        at: datetime,
        known: CallRecord | None,
        *,
        effect_id: str | None = None,
        state: CallState = CallState.STARTED,
        whole: tuple[Sequence[Any], Mapping[str, Any]] | None = None,
        binding: Binding | None = None,
    ) -> CallRecord:
        """Return the row to write before the call is made, a new one or that of an earlier attempt at it.

        `whole` are the arguments as plain JSON where they are kept for a person, who may have edited those of a row that is known,
        and have been admitted where none is; `binding` is what the skill gets of them, where that person is asked before the call.
        Raises `Paused` where the earlier attempt may have made it and it must not be made twice.
        """
        with self._lock:
            is_new = known is None
            if known is None:
                known = self._new_row(kind, name, replay, digest_of(name, arguments), at)
            elif _is_unknown(known):
                if known.arguments is None and whole is not None:
                    known = replace(known, arguments=Arguments.of(name, known.effect_id, *whole))
                raise Paused(PauseReason.OUTCOME_UNKNOWN, known, calls=(known,))
            effect_id = effect_id or known.effect_id
            kept = known.arguments
            if whole is not None and (kept is None or effect_id != known.effect_id):
                edited, bound = (None, binding) if kept is None else (kept.edited, kept.binding)
                kept = Arguments.of(name, effect_id, *whole, edited, bound)
                self._room_bytes -= 0 if is_new else bytes_of(whole)
            anew = replace(known, attempt=self._attempt, state=state, started_at=at, effect_id=effect_id)
            row = replace(anew, ended_at=None, error=None, effects=None, arguments=kept)
            self._made[row.number] = row
            return row

    def _new_row(self, kind: str, name: str, replay: str, digest: str, at: datetime) -> CallRecord:
        """Return a row with the next number; under the lock."""
        number, self._next = self._next, self._next + 1
        return CallRecord(
            number=number,
            kind=kind,
            name=name,
            replay=replay,
            digest=digest,
            effect_id=f"{self._task_id}:{number}",
            attempt=self._attempt,
            state=CallState.STARTED,
            started_at=at,
        )

    def admit(self, whole: tuple[Sequence[Any], Mapping[str, Any]] | None = None) -> TaskError | None:
        """Set room aside for what a new call is given, where that is kept; return why it cannot be made.

        # Invariant: here and in `done`, so that calls which are made at once see one another.
        """
        size_bytes = 0 if whole is None else bytes_of(whole)
        with self._lock:
            if self._room_bytes <= 0 or size_bytes > self._room_bytes:
                return TaskError("ledger_limit", f"The call is not made: {_BEYOND}.")
            self._room_bytes -= size_bytes
        return None

    def done(self, row: CallRecord, result: Any, at: datetime, effects: CallEffects | None = None) -> CallRecord:
        """Return the row to write after a call that returned; raise `TaskError` where there is no room for what it returned."""
        size_bytes = bytes_of(result) + _bytes_noted(effects)
        with self._lock:
            if size_bytes > self._room_bytes:
                told = f"The call of {row.name} was made, but what it returned, {size_bytes:,} bytes, cannot be kept: {_BEYOND}."
                raise TaskError("ledger_limit", told)
            self._room_bytes -= size_bytes
        return self._ended(replace(row, state=CallState.DONE, result=result, ended_at=at, effects=effects))

    def failed(self, row: CallRecord, error: TaskError, at: datetime, effects: CallEffects | None = None) -> CallRecord:
        """Return the row to write after a call that raised; without its notes where there is no room for them."""
        told = {"code": error.code, "message": error.message, "retryable": error.retryable}
        size_bytes = _bytes_noted(effects)
        with self._lock:
            if effects is not None and size_bytes > self._room_bytes:
                effects, size_bytes = replace(effects, notes={}), 0
            self._room_bytes -= size_bytes
        return self._ended(replace(row, state=CallState.FAILED, error=told, ended_at=at, effects=effects))

    def reopened(self, number: int) -> tuple[CallRecord, ...]:
        """Return the rows of a failed call and of those that failed inside it or beside it, for the next attempt to make.

        All of them can be retried; one left as it is would have the next attempt fail for what it did not do.
        """
        row = self._made.get(number)
        if row is None:
            return ()
        meanwhile = [
            call
            for call in self._made.values()
            if call.number != number
            and (call.attempt, call.state) == (self._attempt, CallState.FAILED)
            and (call.error or {}).get("retryable")
            and call.ended_at is not None
            and call.ended_at >= row.started_at
        ]
        return tuple(replace(call, state=CallState.OPEN, error=None) for call in (row, *meanwhile))

    def _ended(self, row: CallRecord) -> CallRecord:
        self._made[row.number] = row
        return row


_BEYOND = (
    f"the calls of one task may be given and return {LEDGER_BYTES:,} bytes in all; have skills write what is large to files of the workspace "
    "and return their names, or make several tasks of it"
)


def bytes_of(result: Any) -> int:
    """Return how much of a task's ledger a result takes."""
    return len(to_json(result, inf_nan_mode="strings", fallback=dict))


def room_left(calls: Iterable[CallRecord]) -> int:
    """Return how many bytes the calls of a task may still be given, where that is kept, and return."""
    return LEDGER_BYTES - sum(map(_size_bytes, calls))


def _size_bytes(call: CallRecord) -> int:
    whole = call.arguments
    given = 0 if whole is None else bytes_of([whole.args, whole.kwargs])
    given += _bytes_noted(call.effects)
    return given + (0 if call.result is None else bytes_of(call.result))


def _bytes_noted(effects: CallEffects | None) -> int:
    return 0 if effects is None or not effects.notes else bytes_of(effects.notes)


def answer_of(call: CallRecord) -> Any:
    """Return what a finished call returned, or raise what it raised."""
    if call.state is CallState.DONE:
        return call.result
    error: Mapping[str, Any] = call.error or {}
    raise TaskError(
        error.get("code", "skill_failed"),
        error.get("message", f"The call of {call.name} failed."),
        retryable=bool(error.get("retryable")),
        call=call.number,
    )


def digest_of(name: str, arguments: Any) -> str:
    """Return the SHA-256 of a call's name and arguments, in hexadecimal."""
    return hashlib.sha256(to_json([name, recordable(arguments)])).hexdigest()


def _is_unknown(call: CallRecord) -> bool:
    return call.state is CallState.STARTED and call.replay == "never"


# --- snapshots ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A script paused at a call, or at several: the interpreter's dump, and what the runner must know to go on.

    `number` is the row that it is signed for; `pending` are the calls it stands at, each `[call id, name, args, kwargs,
    number in the ledger or None]`, with those it has begun and not awaited, and `passed` the numbers of those it has
    behind it. `counted` is what the task's result says of it so far, with `skillCalls` before these. `rounds` is what was
    said in the rounds before, `[role, text]`, `variables` are the names that their code and the session's have bound,
    `printed_before` is how many characters of `printed` are theirs. `restricted` are the only skills that it may still
    call, None: all that the task may.
    """

    number: int
    code: str
    intent: str
    text: str
    printed: str
    counted: Mapping[str, Any]
    pending: Sequence[Sequence[Any]]
    passed: Sequence[int]
    rounds: Sequence[Sequence[str]]
    variables: Sequence[str]
    printed_before: int
    restricted: Sequence[str] | None
    dump: bytes


def pack(snapshot: Snapshot, effect_id: str) -> Unsealed:
    """Return the snapshot as it is handed over, to be signed for one call."""
    fields = [getattr(snapshot, name) for name in Snapshot.__slots__]
    return Unsealed(number=snapshot.number, effect_id=effect_id, packed=msgpack.packb(fields))


def unpack(packed: bytes) -> Snapshot:
    """Return a snapshot whose signature was verified; raise `ValueError` where a server before has packed other fields."""
    return Snapshot(**dict(zip(Snapshot.__slots__, msgpack.unpackb(packed), strict=True)))


def stands_at(snapshot: Snapshot) -> frozenset[int]:
    """Return the numbers of the calls that a script stands at."""
    return frozenset(number for *_, number in snapshot.pending if number is not None)
