"""Whatever a skill raises is that skill's failure; what the host raises through it is not the skill's to hold back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from callboard import AgentSystem, DecideTask, Settings, Status
from callboard.messages.pauses import Decision, PauseReason
from callboard.task_spec import RetryPolicy
from tests.callboard.harness import await_status, code, ended, submit
from tests.template import lay_history

SKILLS = '''
import asyncio
from pathlib import Path

from callboard import RetryableError, SkillContext, errors, skill
from callboard.agent.cancel import Cancelled
from callboard.agent.ledger import Paused
from callboard.agent.skill_answers import WrongAnswer
from callboard.errors import TaskError
from callboard.messages.pauses import PauseReason
from callboard.messages.ledger import CallRecord, CallState

HERE = Path(__file__).parent


class Bare(BaseException):
    pass


class Posing(Exception):
    """Says that it is of another class."""

    __class__ = TaskError


class Asked(Exception):
    @property
    def __class__(self):
        raise errors.Unavailable("who asks?")


class Placeless(Exception):
    @property
    def __traceback__(self):
        raise SystemExit("no place")

    @property
    def __cause__(self):
        raise SystemExit("no cause")


class Wordless(TaskError):
    def __str__(self):
        raise errors.Overloaded("no words")


class Endless(errors.StoreUnavailable):
    def __reduce__(self):
        raise KeyboardInterrupt

    def __repr__(self):
        raise KeyboardInterrupt


def altered(**fields):
    error = TaskError("skill_failed", "altered")
    vars(error).update(fields)
    return error


def row():
    from datetime import UTC, datetime

    return CallRecord(
        number=1, kind="skill", name="raises", replay="never", digest="", effect_id="", attempt=1,
        state=CallState.STARTED, started_at=datetime.now(UTC),
    )


OWN = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.CallboardError) and kind is not TaskError
}
OTHERS = {
    "paused": lambda: Paused(PauseReason.APPROVAL, row()),
    "cancelled": lambda: Cancelled(),
    "wrong": lambda: WrongAnswer("x" * 5_000_000),
    "codes": lambda: TaskError("sandbox_crashed", "dead", retryable=True),
    "internal": lambda: TaskError("internal_error", "dead"),
    "no code": lambda: altered(code="not one of them"),
    "odd code": lambda: altered(code=[1]),
    "odd words": lambda: altered(message=object(), retryable=object(), call=object()),
    "odd details": lambda: TaskError("skill_failed", "odd", details={"exception": object()}),
    "wordless": lambda: Wordless("skill_failed", ""),
    "posing": Posing,
    "asked": Asked,
    "placeless": Placeless,
    "endless": lambda: Endless("x"),
    "bare": Bare,
    "exit": SystemExit,
    "interrupt": KeyboardInterrupt,
    "generator": GeneratorExit,
    "stop": StopIteration,
    "stop async": StopAsyncIteration,
    "asyncio": asyncio.CancelledError,
    "memory": MemoryError,
    "recursion": RecursionError,
    "timeout": TimeoutError,
    "group": lambda: ExceptionGroup("both", [errors.Unavailable("one"), Cancelled()]),
    "bare group": lambda: BaseExceptionGroup("both", [SystemExit(1), KeyboardInterrupt()]),
}


@skill(replay="pure")
def ways() -> list[str]:
    """List the ways of raising."""
    return [*OWN, *OTHERS]


@skill(replay="never")
def raises(how: str) -> str:
    """Raise anything."""
    with (HERE / "raised").open("a") as file:
        file.write(how + "\\n")
    raise OWN[how](how) if how in OWN else OTHERS[how]()


@skill(replay="pure")
def raises_purely(how: str) -> str:
    """Raise anything, with no row in the ledger."""
    raise OWN[how](how) if how in OWN else OTHERS[how]()


@skill(replay="pure")
def again(*, ctx: SkillContext) -> str:
    """Say that it would work later, each time."""
    with (HERE / "again").open("a") as file:
        file.write("1")
    raise RetryableError("down")


@skill(replay="pure", approval=True)
def guarded() -> str:
    """Do what a person has to approve."""
    return "done"


@skill(replay="safe")
def holding(how: str, *, ctx: SkillContext) -> str:
    """Run a script that a person has to be asked for, and keep that back."""
    script = "from skills import guarded\\nguarded()"
    try:
        return ctx.host.run_script(script, [], None)
    except BaseException as error:
        if how == "swallow":
            return "kept back"
        if how == "again":
            raise
        if how == "another":
            raise Cancelled from None
        raise errors.Unavailable("wrapped") from error


@skill(replay="pure")
def scripted(source: str, how: str, *, ctx: SkillContext) -> str:
    """Run a script that fails, and alter its error on the way."""
    try:
        return ctx.host.run_script(source, [], None)
    except TaskError as error:
        error.code = how
        raise
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signals")
    (folder / "signals.py").write_text(SKILLS)
    return folder


@pytest.fixture(scope="module")
def system(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentSystem]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"), port=0, rate_limit_max_requests=0, workers=2, skills_dir=folder
    )
    with AgentSystem.start(lay_history(settings)) as system:
        yield system


def topics(system: AgentSystem, task_id: str) -> list[str]:
    return [str(event.topic) for event in system.events(task_id)]


def test_whatever_a_skill_raises_fails_the_call_once_and_is_told_to_the_script(
    system: AgentSystem, folder: Path
) -> None:
    script = """
from skills import raises, raises_purely, ways
told = 0
for how in ways():
    for skill in (raises, raises_purely):
        try:
            skill(how)
        except RuntimeError:
            told += 1
[ways(), told]
"""
    task = ended(system, submit(system, code(script), retry=RetryPolicy(max_attempts=5, backoff_ms=1)))
    assert task.status is Status.COMPLETED, task.error
    listed, told = task.output
    assert (told, task.state.attempt) == (2 * len(listed), 1)
    assert len(listed) > 40
    assert (folder / "raised").read_text().splitlines() == listed
    ends = [e.data for e in system.events(task.task_id) if e.topic == "agent.skill.completed" and not e.data["ok"]]
    assert {data["errorCode"] for data in ends} == {"skill_failed"}
    assert all(len(data["error"]) < 2300 for data in ends)


@pytest.mark.parametrize("how", ["Unavailable", "SkillNotReady", "paused", "cancelled", "codes", "exit", "asked"])
def test_what_the_script_lets_out_ends_the_task_as_the_skills_failure(system: AgentSystem, how: str) -> None:
    task = ended(system, submit(system, code(f"from skills import raises_purely\nraises_purely({how!r})")))
    assert (task.status, task.error_code, task.state.attempt) == (Status.FAILED, "skill_failed", 1)
    assert (task.error or "").startswith("The skill raises-purely failed: ")
    assert topics(system, task.task_id).count("agent.task.requeued") == 0


def test_calls_that_are_made_at_once_fail_each_by_themselves(system: AgentSystem) -> None:
    listed = ["Unavailable", "paused", "cancelled", "exit", "interrupt", "asyncio", "stop"]
    calls = ", ".join(f"raises_purely({how!r})" for how in listed)
    script = f"import asyncio\nfrom skills import raises_purely\nawait asyncio.gather({calls})"
    task = ended(system, submit(system, code(script)))
    assert (task.error_code, task.state.attempt) == ("skill_failed", 1)
    assert topics(system, task.task_id).count("agent.skill.completed") == len(listed)


def test_a_skill_that_can_always_be_tried_again_is_tried_as_often_as_the_policy_says(
    system: AgentSystem, folder: Path
) -> None:
    policy = RetryPolicy(max_attempts=3, backoff_ms=1)
    task = ended(system, submit(system, code("from skills import again\nagain()"), retry=policy))
    assert (task.error_code, (folder / "again").read_text(), task.state.attempt) == ("skill_unavailable", "111", 3)


@pytest.mark.parametrize("how", ["swallow", "again", "another", "wrap"])
def test_a_skill_cannot_keep_a_pause_inside_it_to_itself(system: AgentSystem, how: str) -> None:
    task_id = submit(system, code(f"from skills import holding\nholding({how!r})"))
    paused = await_status(system, task_id, Status.PAUSED)
    assert paused.state.pause is not None
    assert paused.state.pause.reason is PauseReason.APPROVAL
    system.gateway.ask(DecideTask(task_id=task_id, decision=Decision.APPROVE), timeout_s=30)
    assert ended(system, task_id).output == "done"


def test_the_code_of_an_error_that_only_passed_through_a_skill_is_the_hosts(system: AgentSystem) -> None:
    task = ended(system, submit(system, code("from skills import scripted\nscripted('1/0', 'internal_error')")))
    assert task.error_code == "script_error"
    assert "ZeroDivisionError" in (task.error or "")
