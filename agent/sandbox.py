"""The sandbox: Python written by a planner or a model, type-checked and run in a worker process by pydantic-monty.

Each run has a process of its own for as long as it lasts, with limits on time, memory, recursion, output and calls,
and no files, network, environment or host objects. A call of a skill pauses the interpreter, and so does waiting for
several at once (`asyncio.gather`); `answer` answers them in the host.

Type checks go to processes of their own (agent/checker.py) before anything runs.

Threads: worker threads call `check` and `run` in parallel. Imported by the runner and health.
"""

import contextlib
import copy
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from pydantic_monty import (
    ExternalModule,
    Monty,
    MontyError,
    MontySession,
)

from callboard.agent.cancel import Cancelled, CancelToken
from callboard.agent.checker import Checker, CheckerCancelled, Modules, skip_failing_imports, told_of
from callboard.agent.gap_hints import unseen, with_hints
from callboard.agent.sandbox_run import TWIN, AnswerCalls, Asked, SandboxResult, Script, ScriptRun, Start
from callboard.agent.shapes import Shapes
from callboard.agent.signals_held import signals_held
from callboard.errors import Overloaded, TaskError
from callboard.settings import Settings

_LACKS = re.compile(r"Module `skills` has no member `(\w+)`")
_TWINS = re.compile(rf"\b{TWIN}([a-z]\w*)")
_IMPORT = re.compile(r"from skills import ([a-z]\w*(?:, [a-z]\w*)*)$", re.ASCII | re.MULTILINE)
_AFTER_DEADLINE_S = 1.0
"""How long after its task's deadline code is stopped if nobody has: before it, the limit of the code would be blamed."""


def missing_modules(names: Iterable[str]) -> set[str]:
    """Return those modules that the sandbox does not have; starts a process of it for that, which takes 0.1 s."""
    missing = set()
    with Monty(min_processes=1, max_processes=1) as pool, pool.checkout() as session:
        for name in names:
            try:
                session.feed_run(f"import {name}")
            except MontyError:
                missing.add(name)
    return missing


class Sandbox:
    """A pool of interpreter processes, started with `start` and ended with `close`."""

    def __init__(self, settings: Settings, *, stubs: str = "", skills: Iterable[str] = ()) -> None:
        self._settings = settings
        self._functions = _functions(skills)
        self._modules = _modules(self._functions, stubs)
        self._pool = Monty(
            min_processes=1,
            # made on demand: a skill that does not return keeps its process, and another worker stands in for its own
            max_processes=2 * settings.workers + 16,
            checkout_timeout=settings.ask_timeout_s,
            request_timeout=settings.sandbox_time_s + 5,
            max_checkouts_per_worker=1000,
        )
        self._checker = Checker(memory_bytes=settings.sandbox_memory_bytes)
        self._shapes = Shapes(self._checker, self._modules)

    def offering(self, *, stubs: str, skills: Iterable[str]) -> "Sandbox":
        """Return this sandbox, its processes too, for code that may call these skills; of both, only the first is closed."""
        other = copy.copy(self)
        other._functions = _functions(skills)
        other._modules = _modules(other._functions, stubs)
        other._shapes = Shapes(other._checker, other._modules)
        return other

    def start(self) -> None:
        skip_failing_imports()
        with signals_held():  # the pool's own threads as well
            self._pool.__enter__()
        self._checker.start()

    def close(self) -> None:
        """End every process. Runs under way fail."""
        self._checker.close()
        self._pool.__exit__(None, None, None)

    def check(
        self,
        code: str,
        variables: Iterable[str] = (),
        token: CancelToken | None = None,
        *,
        allowed: Collection[str] | None = None,
        own: bool = False,
    ) -> None:
        """Type-check `code` against the skills' stubs, with the session's variables known as `Any`.

        Raises `TaskError` with code `type_check_failed` and the findings, lines counted as in `code`, its detail `lacks` being
        the skills that code names and there are not; or `time_limit`; `Cancelled` when the token was set. What the sandbox
        lacks is found too, with what to write instead, which may be a skill of those `allowed` (None: all). `own` is as in
        `Plan`: such code is checked once a shape.
        """
        variables = frozenset(variables)
        token = token or CancelToken()
        try:
            if own and self._shapes.passes(code, variables, token):
                return
            findings = self._checker.findings(code, variables, token, self._modules)
        except CheckerCancelled:
            raise Cancelled from None
        found = [with_hints(_TWINS.sub(r"\1", told_of(findings)), code, allowed)] if findings else []
        if lacking := unseen(code, variables, allowed):
            found.append(lacking)
        if found:
            told = "\n".join(["The code does not pass the type check:", *found])
            raise TaskError("type_check_failed", told, details={"lacks": {*_LACKS.findall(findings or "")}})

    def probe(self) -> None:
        """Check and run a line of code: the type checker, a process and the way there and back all work."""
        self.check("6 * 7")
        result = self.run(Script(code="6 * 7", keep_state=False), answer=_no_skill, token=CancelToken())
        if result.value != 42:
            raise RuntimeError(f"the sandbox computed {result.value!r} for 6 * 7")

    @contextlib.contextmanager
    def _session(self, **options: Any) -> Iterator[MontySession]:
        checkout = self._pool.checkout(**options)
        try:
            with signals_held():  # where no process is idle, this thread starts one
                session = checkout.__enter__()
        except TimeoutError as error:
            raise Overloaded("Every process of the sandbox is busy; the task is put off.", retry_after_s=1) from error
        with contextlib.ExitStack() as stack:
            stack.push(checkout.__exit__)
            yield session

    def run(
        self,
        script: Script,
        *,
        answer: AnswerCalls,
        token: CancelToken,
        printed: list[str] | None = None,
        keep_failed: Callable[[bytes], None] | None = None,
    ) -> SandboxResult:
        """Run a script. Raise `TaskError` for what its code did, `Cancelled` when the token was set, `SnapshotRefused`.

        `printed` is filled as the code prints, and holds what it had printed before the snapshot. `keep_failed` is given the
        dump of the variables of code that failed, where there can be one.
        """
        limits = self._settings
        time_s = min(limits.sandbox_time_s, (script.time_s or limits.sandbox_time_s) + _AFTER_DEADLINE_S)
        with self._session(
            limits={
                "max_feed_duration_secs": time_s,
                "max_memory": limits.sandbox_memory_bytes,
                "max_recursion_depth": limits.sandbox_recursion,
                "max_suspensions": limits.sandbox_skill_calls + 100,  # imports count as well
            },
            external_modules=self._modules,
        ) as session:
            run = ScriptRun(
                session, script, answer, token, limits, [] if printed is None else printed, self._start_of(script)
            )
            with token.on_stop(run.kill):
                try:
                    return run.drive()
                except TaskError:
                    if keep_failed is not None:
                        run.dump_to(keep_failed)
                    raise

    def _start_of(self, script: Script) -> Start:
        """Return the code to feed, and what is bound before it: skills, where a script that stands alone would begin with their import.

        PERF: an import is a way to the process and back, 23 µs where nobody else wants a core or the lock, and sends all that the
        module has: 95 µs for the built-in skills.
        """
        alone = script.snapshot is None and script.state is None and not script.before and not script.keep_state
        found = _IMPORT.match(script.code) if alone else None
        names = found[1].split(", ") if found is not None and script.code.count("import") == 1 else []
        functions = {name: self._functions[name] for name in names if name in self._functions}
        if found is None or len(functions) < max(len(names), 1):  # where there is no such skill the import says so
            return Start(script.code, {})
        return Start(f"pass{script.code[found.end() :]}", functions)


def _modules(functions: Mapping[str, Callable[..., Any]], stubs: str) -> Modules:
    return {"skills": ExternalModule(dict(functions), stubs=stubs)}


def _functions(skills: Iterable[str]) -> dict[str, Callable[..., Any]]:
    """Return what stands for each skill and its twin in the sandbox, under the name that it has where it is imported."""
    return {name: _named(name) for skill in skills for name in (skill, TWIN + skill)}


def _named(name: str) -> Callable[..., Any]:
    def never_called(*_args: Any, **_kwargs: Any) -> None:
        raise AssertionError("the host answers skill calls before Monty would call this")

    never_called.__name__ = f"skills.{name}"
    return never_called


def _no_skill(asked: list[Asked], _dump: object) -> list[Any]:
    raise AssertionError(f"the probe calls no skill, but asks for {asked}")
