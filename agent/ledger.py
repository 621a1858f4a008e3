"""The ledger of one task: every call of a model or of a skill that is not `pure`, in order, with what became of it.

A call is written before it is made and again after it. What an earlier attempt has finished is answered from here
and never made again; what it had only begun follows the call's replay policy. One `Ledger` an attempt, in the
worker's thread; the pure functions beside it make the snapshots that are written with a call. Imported by the runner.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgpack  # type: ignore[import-untyped]
from pydantic_core import to_json

from callboard.agent.sandbox import INTERPRETER
from callboard.agent.signing import Signer
from callboard.errors import TaskError
from callboard.records import CallRecord, CallState, TaskLedger
from callboard.values import storable


class Paused(Exception):  # a signal to the runner, not an error of a task
    """A call may or may not have happened, and must not happen twice: a person has to decide.

    `arguments` are those of the call, for the person, where the script has come to it.
    """

    def __init__(self, call: CallRecord) -> None:
        super().__init__(call.name)
        self.call = call
        self.arguments: Mapping[str, Any] = {}


class Ledger:
    """The calls that earlier attempts at a task have left, and those that this attempt adds."""

    def __init__(self, task_id: str, attempt: int, left: TaskLedger) -> None:
        self._task_id = task_id
        self._attempt = attempt
        self._left = list(left.calls)
        self._made: dict[int, CallRecord] = {}
        self._resumed_at: int | None = None
        self._next = max((call.number for call in left.calls), default=0) + 1

    def skip_to(self, number: int) -> None:
        """Forget the calls before one: the interpreter stands at that very call and will not come to them again."""
        self._left = [call for call in self._left if call.number >= number]
        self._resumed_at = number

    def unknown(self) -> CallRecord | None:
        """Return a call that must not be repeated and whose outcome nobody knows, if there is one."""
        return next((call for call in self._left if _is_unknown(call)), None)

    def take(self, kind: str, name: str, arguments: Any) -> CallRecord | None:
        """Return what an earlier attempt has left of this very call: the first one not yet taken, or None.

        Found by name and arguments and not by place, so that a script which takes another way, after a retry or with
        another time of day, still repeats nothing.
        """
        at, self._resumed_at = self._resumed_at, None
        digest = digest_of(name, arguments)
        for index, call in enumerate(self._left):
            # the call that the interpreter stood at is known by its number, however its arguments are written today
            if call.number == at or (call.kind == kind and call.name == name and call.digest == digest):
                self._made[call.number] = call  # one that failed may have to be reopened, whoever made it
                return self._left.pop(index)
        return None

    def begin(
        self, kind: str, name: str, replay: str, arguments: Any, at: datetime, known: CallRecord | None
    ) -> CallRecord:
        """Return the row to write before the call is made, a new one or that of an earlier attempt at it.

        Raises `Paused` where the earlier attempt may have made it and it must not be made twice.
        """
        if known is None:
            number, self._next = self._next, self._next + 1
            known = CallRecord(
                number=number,
                kind=kind,
                name=name,
                replay=replay,
                digest=digest_of(name, arguments),
                effect_id=f"{self._task_id}:{number}",
                attempt=self._attempt,
                state=CallState.STARTED,
                started_at=at,
            )
        elif _is_unknown(known):
            raise Paused(known)
        row = replace(known, attempt=self._attempt, state=CallState.STARTED, started_at=at, ended_at=None, error=None)
        self._made[row.number] = row
        return row

    def done(self, row: CallRecord, result: Any, at: datetime) -> CallRecord:
        """Return the row to write after a call that returned."""
        return self._ended(replace(row, state=CallState.DONE, result=result, ended_at=at))

    def failed(self, row: CallRecord, error: TaskError, at: datetime) -> CallRecord:
        """Return the row to write after a call that raised."""
        told = {"code": error.code, "message": error.message, "retryable": error.retryable}
        return self._ended(replace(row, state=CallState.FAILED, error=told, ended_at=at))

    def reopened(self, number: int) -> CallRecord | None:
        """Return the row of a failed call, to be made again by the next attempt."""
        row = self._made.get(number)
        return None if row is None else replace(row, state=CallState.OPEN, error=None)

    def _ended(self, row: CallRecord) -> CallRecord:
        self._made[row.number] = row
        return row


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
    return hashlib.sha256(to_json([name, storable(arguments)])).hexdigest()


def _is_unknown(call: CallRecord) -> bool:
    return call.state is CallState.STARTED and call.replay == "never"


# --- snapshots ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A script paused at a call: the interpreter's dump, and what the runner must know to go on.

    `skill_calls` counts the calls before this one.
    """

    number: int
    code: str
    intent: str
    printed: str
    skill_calls: int
    dump: bytes


def pack(snapshot: Snapshot, effect_id: str, signer: Signer) -> bytes:
    """Return the snapshot signed for one call, behind the interpreter's name and the call's number in clear."""
    fields = [getattr(snapshot, name) for name in Snapshot.__slots__]
    signed = signer.sign(msgpack.packb(fields), effect_id)
    return b"%s\n%d\n" % (INTERPRETER.encode(), snapshot.number) + signed


def unpack(data: bytes, calls: tuple[CallRecord, ...], signer: Signer) -> Snapshot:
    """Return a snapshot that may be loaded; raise `ValueError` saying why it must not be.

    # SECURITY: Monty does not authenticate dumps, so nothing of one is read before its signature is verified.
    """
    interpreter, _, rest = data.partition(b"\n")
    number, _, signed = rest.partition(b"\n")
    if interpreter != INTERPRETER.encode():
        made_by = interpreter[:40].decode("ascii", "replace")
        raise ValueError(f"it was made by {made_by} and this server runs {INTERPRETER}")
    row = next((call for call in calls if str(call.number).encode() == number), None)
    packed = signer.open(signed, row.effect_id) if row is not None else None
    if packed is None:
        raise ValueError("its signature is not this server's")
    return Snapshot(**dict(zip(Snapshot.__slots__, msgpack.unpackb(packed), strict=True)))
