"""The sandbox: Python written by a planner or a model, type-checked and run in a worker process by pydantic-monty.

Each run has a process of its own for as long as it lasts, with limits on time, memory, recursion, output and calls,
and no files, network, environment or host objects. A call of a skill pauses the interpreter; `call_skill` answers
it in the host.

Type checks go to one process that stays warm: a fresh session needs 12 ms for its first check, a warm one 0.3 ms
(# PERF: measured with pydantic-monty 1.4, 1,000 different scripts). It never runs the code: each snippet is fed
behind a line that the type checker lets pass and that fails when it runs, so nothing after it is reached.

Threads: worker threads call `run` in parallel; a lock makes `check` one at a time. Imported by the runner and health.
"""

import contextlib
import importlib.util
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pydantic_monty
from pydantic_monty import (
    ExternalModule,
    FunctionSnapshot,
    FutureSnapshot,
    Monty,
    MontyComplete,
    MontyCrashedError,
    MontyError,
    MontyRuntimeError,
    MontySession,
    MontySyntaxError,
    MontyTypingError,
    NameLookupSnapshot,
)

from callboard.agent.cancel import CancelToken
from callboard.errors import TaskError
from callboard.settings import Settings
from callboard.values import storable

INTERPRETER = f"monty-{pydantic_monty.__version__}"
"""Names the interpreter whose dumps can be loaded."""

CallSkill = Callable[[str, tuple[Any, ...], dict[str, Any]], Any]
"""`call_skill(python_name, args, kwargs)` returns a value of JSON's types or raises."""

_STOP = "from typing import Any as _Any; _any: _Any = [][0]"
"""The line in front of checked code: fine for the type checker, an `IndexError` when run."""

_STOPPED = "IndexError"
_CHECKS_PER_SESSION = 5000
_POSITION = re.compile(r"^main\.py:(\d+):(\d+): ", re.MULTILINE)
_LIMITS = {
    "time limit exceeded": "time_limit",
    "memory limit exceeded": "memory_limit",
    "maximum recursion depth exceeded": "recursion_limit",
    "suspension limit": "call_limit",
}
_SANDBOX_HINT = (
    "The sandbox runs a subset of Python: no class inheritance, no yield, no files, no network; of the standard "
    "library it has re, json, math, datetime, csv, itertools, collections, random, decimal and a few more."
)


class Cancelled(Exception):  # a signal between the sandbox and the runner, not an error of a task
    """The task's token was set while its code ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxResult:
    """What a run left: the value of the last expression, what was printed, and the dump of its variables."""

    value: Any
    printed: str
    state: bytes | None


class Sandbox:
    """A pool of interpreter processes, started with `start` and ended with `close`."""

    def __init__(self, settings: Settings, *, stubs: str, skills: Iterable[str]) -> None:
        self._settings = settings
        self._modules = {"skills": ExternalModule(dict.fromkeys(skills, _never_called), stubs=stubs)}
        self._pool = Monty(
            min_processes=1,
            max_processes=settings.workers + 2,  # the checker's own, and one for the health probe
            checkout_timeout=settings.ask_timeout_s,
            request_timeout=settings.sandbox_time_s + 5,
            max_checkouts_per_worker=1000,
        )
        # Guards the one warm checking session. An actor would cost each task two more thread switches.
        self._check_lock = threading.Lock()
        self._checker: MontySession | None = None
        self._checks = 0

    def start(self) -> None:
        _skip_failing_imports()
        self._pool.__enter__()

    def close(self) -> None:
        """End every process. Runs under way fail."""
        with self._check_lock:
            self._drop_checker()
        self._pool.__exit__(None, None, None)

    def check(self, code: str, variables: Iterable[str] = ()) -> None:
        """Type-check `code` against the skills' stubs, with the session's variables known as `Any`.

        Raises `TaskError` with code `type_check_failed` and the checker's findings, lines counted as in `code`.
        """
        known = "".join(f"{name} = " for name in sorted(variables))
        prefix = f"{_STOP}; {known}_any" if known else _STOP
        with self._check_lock:
            try:
                findings = self._feed_checker(f"{prefix}\n{code}")
            except MontyCrashedError as error:
                self._drop_checker()
                raise TaskError("sandbox_crashed", "The type checker's process died; try the task again.") from error
        if findings:
            raise TaskError("type_check_failed", f"The code does not pass the type check:\n{findings}\n{_SANDBOX_HINT}")

    def _feed_checker(self, code: str) -> str | None:
        """Return the findings, or None. Holding the check lock."""
        session = self._warm_checker()
        try:
            session.feed_run(code, print_callback=_discard)
        except MontyTypingError as error:
            return _POSITION.sub(lambda m: f"line {int(m[1]) - 1}, column {m[2]}: ", str(error)).strip()
        except MontySyntaxError as error:
            return str(error)
        except MontyRuntimeError as error:
            # anything else comes from the parser, which refuses what the sandbox's Python lacks
            return None if str(error).startswith(_STOPPED) else str(error)
        # Invariant: `_STOP` always fails; code that got past it must not run in the checker's process again
        self._drop_checker()
        raise TaskError("sandbox_crashed", "The type checker did not stop where it must; try the task again.")

    def _warm_checker(self) -> MontySession:
        self._checks += 1
        if self._checks > _CHECKS_PER_SESSION:  # what the checker remembers of old snippets must not pile up
            self._drop_checker()
        if self._checker is None:
            self._checks = 0
            self._checker = self._pool.checkout(
                limits={"max_memory": self._settings.sandbox_memory_bytes, "max_suspensions": 10**9},
                type_check=True,
                type_check_format="concise",
                external_modules=self._modules,
            )
            self._checker.__enter__()
        return self._checker

    def _drop_checker(self) -> None:
        if self._checker is not None:
            checker, self._checker = self._checker, None
            checker.__exit__(None, None, None)

    def run(
        self,
        code: str,
        *,
        call_skill: CallSkill,
        token: CancelToken,
        state: bytes | None = None,
        keep_state: bool = True,
        time_s: float | None = None,
    ) -> SandboxResult:
        """Run checked code, after loading `state` (a dump whose signature has been verified).

        Raises `TaskError` for what the code did, `Cancelled` when the token was set.
        """
        limits = self._settings
        with self._pool.checkout(
            limits={
                "max_feed_duration_secs": min(limits.sandbox_time_s, time_s or limits.sandbox_time_s),
                "max_memory": limits.sandbox_memory_bytes,
                "max_recursion_depth": limits.sandbox_recursion,
                "max_suspensions": limits.sandbox_skill_calls + 100,  # imports count as well
            },
            external_modules=self._modules,
        ) as session:
            run = _Run(session, call_skill, token, limits)
            with token.on_cancel(run.kill):
                return run.drive(code, state, keep_state=keep_state)


class _Run:
    """One run of one script in one process; lives in the worker's thread."""

    def __init__(self, session: MontySession, call_skill: CallSkill, token: CancelToken, settings: Settings) -> None:
        self._session = session
        self._pid = session.worker_pid
        self._call_skill = call_skill
        self._token = token
        self._settings = settings
        self._printed: list[str] = []
        self._room = settings.sandbox_output_bytes
        self._flooded = False
        self._calls = 0
        self._raised: dict[str, TaskError] = {}

    def kill(self) -> None:
        """End the process at once; any thread."""
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def drive(self, code: str, state: bytes | None, *, keep_state: bool) -> SandboxResult:
        try:
            if state is not None:
                self._session.load_session(state)
            step: Any = self._session.feed_start(code, print_callback=self._print, skip_type_check=True)
            while not isinstance(step, MontyComplete):
                step = self._answer(step)
            value = self._checked_value(step.output)
            dump = self._session.dump() if keep_state else None
        except MontyCrashedError as error:
            raise self._why_crashed(error) from error
        except MontyError as error:
            raise self._why_failed(error) from error
        return SandboxResult(value=value, printed="".join(self._printed), state=dump)

    def _answer(self, step: "FunctionSnapshot | NameLookupSnapshot | FutureSnapshot") -> Any:
        if not isinstance(step, FunctionSnapshot) or step.is_os_function:
            return step.resume_auto()
        self._calls += 1
        name = step.function_name.removeprefix("skills.")
        if self._calls > self._settings.sandbox_skill_calls:
            limit = self._settings.sandbox_skill_calls
            raise TaskError("call_limit", f"The code called skills more than {limit} times; call fewer, or loop less.")
        try:
            value = self._call_skill(name, step.args, step.kwargs)
        except TaskError as error:
            message = f"{name}: {error.message}"
            self._raised[message] = error
            return step.resume({"exc_type": "RuntimeError", "message": message})
        return step.resume({"return_value": value})

    def _print(self, _stream: str, text: str) -> None:
        self._room -= len(text.encode("utf-8", "replace"))
        if self._room < 0:
            self._flooded = True
            self.kill()  # the process would go on printing until its time is up
            return
        self._printed.append(text)

    def _checked_value(self, output: Any) -> Any:
        value = storable(output)
        limit = self._settings.sandbox_output_bytes
        if _size(value) > limit:
            raise TaskError("output_limit", f"The answer is larger than the limit of {limit:,} bytes; return less.")
        return value

    def _why_crashed(self, error: MontyCrashedError) -> Exception:
        if self._token.cancelled:
            return Cancelled()
        if self._flooded:
            limit = self._settings.sandbox_output_bytes
            return TaskError("output_limit", f"The code printed more than the limit of {limit:,} bytes; print less.")
        if error.timed_out:
            return TaskError("time_limit", "The code did not stop within its time and its process was ended.")
        return TaskError("sandbox_crashed", f"The sandbox's process died ({error}); the server did not.")

    def _why_failed(self, error: MontyError) -> Exception:
        if self._token.cancelled:
            return Cancelled()
        text = str(error)
        for message, cause in self._raised.items():
            if text == f"RuntimeError: {message}":
                return cause
        if isinstance(error, MontySyntaxError):
            return TaskError("script_error", f"The code cannot be parsed: {text}")
        if not isinstance(error, MontyRuntimeError):
            return TaskError("script_error", text)
        for words, code in _LIMITS.items():
            if words in text:
                return TaskError(code, f"The code was stopped at its limit: {text}")
        hint = f" {_SANDBOX_HINT}" if "not supported" in text or "not yet support" in text else ""
        return TaskError("script_error", f"The code raised {text}{hint}", details={"traceback": error.display()})


def _size(value: Any) -> int:
    """Return about how many bytes the value takes as JSON, without making it."""
    match value:
        case str():
            return len(value) + 2
        case list():
            return 2 + sum(_size(item) + 1 for item in value)
        case Mapping():
            return 2 + sum(len(key) + 4 + _size(item) for key, item in value.items())
        case _:
            return 8


def _discard(_stream: str, _text: str) -> None:
    """Take what nothing prints."""


def _never_called(*_args: Any, **_kwargs: Any) -> None:
    raise AssertionError("the host answers skill calls before Monty would call this")


def _skip_failing_imports() -> None:
    """Have Monty's look for OpenTelemetry fail at once where it is not installed.

    PERF: Monty 1.4 tries to import it whenever code is fed or resumed by itself, and Python remembers no failed
    import: 200 µs a task, of the 300 µs that a whole run takes.
    """
    if "opentelemetry" not in sys.modules and importlib.util.find_spec("opentelemetry") is None:
        for name in ("opentelemetry", "opentelemetry.context"):
            sys.modules[name] = None  # type: ignore[assignment]  # how Python marks a module that is not there
