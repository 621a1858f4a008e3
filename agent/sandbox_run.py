"""One run of one script in one process of the sandbox, from its first step to its value.

In the worker's thread. Imported by sandbox.py, and what passes between it and the host by whoever answers calls.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_monty import (
    FunctionSnapshot,
    FutureSnapshot,
    MontyComplete,
    MontyCrashedError,
    MontyError,
    MontyRuntimeError,
    MontySession,
    NameLookupSnapshot,
)

from callboard.agent.cancel import Cancelled, CancelToken
from callboard.agent.sandbox_errors import error_of
from callboard.agent.sandbox_values import (
    described,
    form_of,
    given,
    no_data,
    question_about,
    read,
    room_left,
    shows_an_object,
)
from callboard.errors import TaskError
from callboard.settings import Settings
from callboard.unstorable import Unstorable
from callboard.values import mend_text, storable

TWIN = "async_"
"""What the name of a skill's asynchronous twin begins with; agent/async_calls.py has scripts use them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A skill call that a script waits for; `call_id` is the interpreter's own, 0 for a call that is not awaited.

    `number` is that of its row in the ledger, where an earlier attempt stood at this very call.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    call_id: int = 0
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Dump:
    """Called, returns the interpreter as it stands, paused at a call; 0.1 to 0.2 ms and about 4 KB for a small script.

    None where its memory limit leaves no room for that. `later` are calls that the script has begun and not awaited yet.
    """

    step: FunctionSnapshot | FutureSnapshot
    later: tuple[Asked, ...]

    def __call__(self) -> bytes | None:
        try:
            return self.step.dump()
        except MontyRuntimeError:
            return None


AnswerCalls = Callable[[list[Asked], Dump], "list[Any | TaskError]"]
"""`answer(calls, dump)` returns for each call a value of JSON's types, or the error to raise at it in the script.

Several calls are those that the script awaits at once. What it raises ends the run.
"""


class SnapshotRefused(Exception):  # the runner starts the round again
    """The interpreter does not take a snapshot, though its signature is good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxResult:
    """What a run left: the value of the last expression, what was printed, and the dump of its variables."""

    value: Any
    printed: str
    state: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What is run: code that was checked, after `state` is loaded, or what is left of it after `snapshot`; both dumps verified.

    `before` is code of ours that defines names for it, and is run first. `pending` are the calls that the snapshot stands at,
    or has begun, `calls` how many came before. `time_s` is what is left until the task's deadline, at which whoever keeps it sets
    the token. `keep_state` asks for a dump of the variables. `allowed` are the skills to name in hints (None: all).
    """

    code: str
    before: str = ""
    state: bytes | None = None
    snapshot: bytes | None = None
    pending: tuple[Asked, ...] = ()
    calls: int = 0
    time_s: float | None = None
    keep_state: bool = True
    allowed: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """What is fed to the interpreter of a script's code, line for line, and the functions that are bound before it."""

    code: str
    functions: Mapping[str, Callable[..., Any]]


class ScriptRun:
    """One run of one script in one process; lives in the worker's thread; `kill` may be called in any."""

    def __init__(
        self,
        session: MontySession,
        script: Script,
        answer: AnswerCalls,
        token: CancelToken,
        settings: Settings,
        printed: list[str],
        start: Start,
    ) -> None:
        self._session = session
        self._start = start
        self._script = script
        self._pending = {asked.call_id: asked for asked in script.pending}
        self._pid = session.worker_pid
        self._answer_calls = answer
        self._token = token
        self._settings = settings
        self._printed = printed
        self._room = settings.sandbox_output_bytes - sum(len(text) for text in printed)
        self._flooded = False
        self._stands_at_a_call = False
        self._calls = script.calls
        self._raised: dict[str, TaskError] = {}

    def kill(self) -> None:
        """End the process at once; any thread."""
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def _begin(self) -> Any:
        """Return the first step: of the code, or of what is left of it after a snapshot."""
        script = self._script
        if script.snapshot is not None:
            try:
                return self._session.load_snapshot(script.snapshot, print_callback=self._print)
            except MontyCrashedError:
                raise
            except (MontyError, RuntimeError, ValueError) as error:
                raise SnapshotRefused(str(error)) from error
        if script.state is not None:
            self._session.load_session(script.state)
        if script.before:
            self._session.feed_run(script.before, print_callback=self._print, skip_type_check=True)
        start = self._start
        return self._session.feed_start(
            start.code, inputs=dict(start.functions), print_callback=self._print, skip_type_check=True
        )

    def drive(self) -> SandboxResult:
        """Run the script from its first step to its value."""
        try:
            step = self._begin()
            while not isinstance(step, MontyComplete):
                step = self._answer_or_stop(step)
            output, value = self._checked_value(step)
            dump = self._session.dump() if self._script.keep_state else None
            self._refuse_objects(output)
        except MontyCrashedError as error:
            raise self._why_crashed(error) from error
        except MontyError as error:
            raise self._why_failed(error) from error
        return SandboxResult(value=value, printed="".join(self._printed), state=dump)

    def dump_to(self, keep: Callable[[bytes], None]) -> None:
        """Keep what failed code has left of its variables; nothing where it is at a call, or the process gone."""
        if self._stands_at_a_call:  # its dump is one to go on from, and none of variables
            return
        with contextlib.suppress(MontyError, RuntimeError):
            keep(self._session.dump())

    def _answer_or_stop(self, step: "FunctionSnapshot | NameLookupSnapshot | FutureSnapshot") -> Any:
        try:
            return self._answer(step)
        except TaskError:  # ours, not the code's
            self._stands_at_a_call = True
            raise

    def _answer(self, step: "FunctionSnapshot | NameLookupSnapshot | FutureSnapshot") -> Any:
        if isinstance(step, FutureSnapshot):
            return self._answer_awaited(step)
        if not isinstance(step, FunctionSnapshot) or step.is_os_function:
            return step.resume_auto()
        name = step.function_name.removeprefix("skills.")
        number = asked.number if (asked := self._pending.pop(0, None)) is not None else None
        self._count()
        try:
            args, kwargs = read(lambda: given(step.args)), read(lambda: given(step.kwargs))
        except Unstorable as error:
            return step.resume({"exc_type": "TypeError", "message": f"{name.removeprefix(TWIN)}() was given {error}"})
        if name.startswith(TWIN):
            name, call_id = name.removeprefix(TWIN), step.call_id
            self._pending[call_id] = Asked(name=name, args=args, kwargs=kwargs, call_id=call_id)
            return step.resume({"future": ...})
        one = Asked(name=name, args=args, kwargs=kwargs, number=number)
        return step.resume(self._as_result(one, self._answer_calls([one], self._dump_of(step))[0]))

    def _answer_awaited(self, step: FutureSnapshot) -> Any:
        """Answer all that the script awaits: `asyncio.gather` has left it with nothing else to do."""
        awaited = [self._pending.pop(call_id) for call_id in sorted(step.pending_call_ids)]
        answers = self._answer_calls(awaited, self._dump_of(step))
        return step.resume(
            {asked.call_id: self._as_result(asked, answer) for asked, answer in zip(awaited, answers, strict=True)}
        )

    def _dump_of(self, step: FunctionSnapshot | FutureSnapshot) -> Dump:
        return Dump(step, tuple(self._pending.values()))

    def _count(self) -> None:
        self._calls += 1
        if self._calls > self._settings.sandbox_skill_calls:
            raise too_many_calls(self._settings.sandbox_skill_calls)

    def _as_result(self, asked: Asked, answer: Any) -> Any:
        if not isinstance(answer, TaskError):
            return {"return_value": answer}
        message = f"{asked.name}: {answer.message}"
        self._raised[message] = _bare(answer)
        return {"exc_type": "RuntimeError", "message": message}

    def _print(self, _stream: str, text: str) -> None:
        self._room -= len(text.encode("utf-8", "replace"))
        if self._room < 0:
            self._flooded = True
            self.kill()  # the process would go on printing until its time is up
            return
        self._printed.append(mend_text(text))

    def _checked_value(self, step: MontyComplete) -> tuple[Any, Any]:
        """Return what the code ended in, as it is and as plain JSON."""
        limit = self._settings.sandbox_output_bytes
        try:
            output = read(lambda: step.output)
            if room_left(output, limit) < 0:  # before it is copied: a list of a million numbers takes 40 MB each time
                raise TaskError("output_limit", f"The answer is larger than the limit of {limit:,} bytes; return less.")
            return output, storable(output, form=form_of)
        except Unstorable as error:
            raise TaskError("script_error", f"The code ended in {error}.") from error

    def _refuse_objects(self, output: Any) -> None:
        """Raise `TaskError` where a text in the answer is Monty's description of an object and not a text of the code's."""
        if output is None and shows_an_object("".join(self._printed)):
            raise TaskError("script_error", f"The code printed {no_data('')}.")
        shown = described(output)
        if shown is None:
            return
        kind = self._kind_in_answer()
        if kind or shows_an_object(shown):
            raise TaskError("script_error", f"The code ended in {no_data(kind or '')}.")

    def _kind_in_answer(self) -> str | None:
        """Ask the interpreter for the type of what is no data in the last value; None where it cannot say."""
        question = question_about(self._script.code)
        if question is None:
            return None
        try:
            step = self._session.feed_start(question, print_callback=lambda *_: None, skip_type_check=True)
            while isinstance(step, NameLookupSnapshot):
                step = step.resume_auto()
        except MontyCrashedError:
            raise
        except MontyError:
            return None
        return str(step.output) if isinstance(step, MontyComplete) else None

    def _why_crashed(self, error: MontyCrashedError) -> Exception:
        if self._token.stopped:
            return Cancelled()
        if self._flooded:
            limit = self._settings.sandbox_output_bytes
            return TaskError("output_limit", f"The code printed more than the limit of {limit:,} bytes; print less.")
        if error.timed_out:
            return TaskError("time_limit", "The code did not stop within its time and its process was ended.")
        return TaskError(
            "sandbox_crashed", f"The sandbox's process died ({error}); the server did not.", retryable=True
        )

    def _why_failed(self, error: MontyError) -> Exception:
        if self._token.stopped:
            return Cancelled()
        text = str(error)
        for message, cause in self._raised.items():
            if text == f"RuntimeError: {message}":
                return _bare(cause)
        return error_of(error, self._script.code, self._script.allowed, self._settings.sandbox_time_s)


def too_many_calls(most: int) -> TaskError:
    """Return why a task may call no further skill."""
    return TaskError("call_limit", f"The code called skills more than {most} times; call fewer, or loop less.")


def _bare(error: TaskError) -> TaskError:
    """Return the error without its traceback.

    The frames there hold the interpreter's step, which holds this run's callback, which holds the run, which holds the
    error: a ring through an object that the garbage collector cannot look into, 20 KB for each call that failed.
    """
    return TaskError(error.code, error.message, retryable=error.retryable, call=error.call)
