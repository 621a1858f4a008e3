"""The public `@skill` decorator: what it refuses, and the stub, schema and calls it makes of a signature."""

import ast
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from callboard import SkillContext, skill
from callboard.errors import TaskError

CTX = SkillContext(task_id="t1", session_id="s/1", effect_id="t1:1")


@skill(replay="pure")
def repeat(text: str, times: int = 2, *, loud: bool = False) -> str:
    """Repeat a text.

    This part is for people who read the source.
    """
    return text.upper() * times if loud else text * times


@skill(name="charge-card", replay="keyed")
def charge(amount: float, *, ctx: SkillContext) -> str:
    """Charge the card on file."""
    return f"{amount} {ctx.effect_id}"


def test_a_skill_is_still_a_function() -> None:
    assert repeat("ab", 3) == "ababab"


def test_its_names_come_from_the_function_or_the_decorator() -> None:
    @skill
    def two_words(n: int) -> int:
        """Return n."""
        return n

    assert (two_words.name, two_words.python_name, two_words.replay) == ("two-words", "two_words", "never")
    assert (charge.name, charge.python_name, charge.replay) == ("charge-card", "charge_card", "keyed")


def test_its_description_is_the_first_paragraph_of_the_docstring() -> None:
    assert repeat.description == "Repeat a text."


def test_the_stub_shows_types_and_hides_the_context() -> None:
    assert repeat.stub == (
        'def repeat(text: str, times: int = ..., *, loud: bool = ...) -> str:\n    """Repeat a text."""\n    ...'
    )
    assert charge.stub.startswith("def charge_card(amount: float) -> str:")


def test_the_stub_of_every_kind_of_type_is_python() -> None:
    @skill
    def everything(
        a: list[dict[str, int | None]],
        b: Literal["x", "y"],
        c: Annotated[int, Field(ge=1)],
        d: tuple[int, ...],
        e: Path,
        f: Any,
    ) -> dict[str, Any]:
        """Do \"\"\"all\"\"\" of it \\ and more."""
        return {}

    ast.parse(everything.stub)
    assert (
        "a: list[dict[str, int | None]], b: Literal['x', 'y'], c: int, d: tuple[int, ...], e: Any, f: Any"
        in everything.stub
    )


def test_the_schema_lists_the_arguments_and_what_is_required() -> None:
    schema = repeat.schema
    assert schema["required"] == ["text"]
    assert schema["properties"]["times"]["default"] == 2
    assert schema["properties"]["times"]["type"] == "integer"
    assert set(charge.schema["properties"]) == {"amount"}


def test_a_call_binds_positions_names_and_defaults() -> None:
    assert repeat.call(("ab",), {}, CTX) == "abab"
    assert repeat.call(("ab", 1), {"loud": True}, CTX) == "AB"


def test_a_call_gives_the_context_to_a_skill_that_wants_it() -> None:
    assert charge.takes_context
    assert not repeat.takes_context
    assert charge.call((2,), {}, CTX) == "2.0 t1:1"


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "reason"),
    [
        ((), {}, TypeError, "text"),
        (("a",), {"colour": "red"}, TypeError, "colour"),
        (("a", 1, True), {}, TypeError, "too many"),
        (("a",), {"times": "many"}, ValueError, r"repeat\(\) argument times"),
        ((["a"],), {}, ValueError, r"repeat\(\) argument text"),
        (("a",), {"ctx": None}, TypeError, "ctx"),
    ],
)
def test_arguments_that_do_not_fit_are_named(
    args: tuple[Any, ...], kwargs: dict[str, Any], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        repeat.call(args, kwargs, CTX)


def no_docstring(text: str) -> str:
    return text


def no_type(text) -> str:  # type: ignore[no-untyped-def]  # what is tested
    """Say."""
    return str(text)


def many(*texts: str) -> str:
    """Say."""
    return "".join(texts)


def anything(**options: str) -> str:
    """Say."""
    return str(options)


def only_by_position(text: str, /) -> str:
    """Say."""
    return text


async def later(text: str) -> str:
    """Say."""
    return text


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (no_docstring, "has no docstring"),
        (no_type, "'text' .* has no type"),
        (many, "named parameters only"),
        (anything, "named parameters only"),
        (only_by_position, "named parameters only"),
        (later, "is async"),
    ],
)
def test_a_function_that_cannot_be_a_skill_is_refused_with_the_reason(
    function: Callable[..., Any], reason: str
) -> None:
    with pytest.raises(TypeError, match=reason):
        skill(function)


@pytest.mark.parametrize("name", ["Upper", "two words", "a_b", "-a", "a-", "a--b", "", "x" * 65, "1st", "é"])
def test_a_name_that_cannot_be_called_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match="name"):
        skill(name=name or " ")(repeat.function)


def test_an_unknown_replay_policy_is_refused() -> None:
    with pytest.raises(TypeError, match="use one of pure, safe, keyed, never"):
        skill(replay="sometimes")(repeat.function)  # type: ignore[call-overload]  # what is tested


def test_the_context_knows_the_time_left_and_whether_to_stop() -> None:
    stop = threading.Event()
    soon = SkillContext(
        task_id="t",
        session_id="s",
        effect_id="e",
        deadline=datetime.now(UTC) + timedelta(seconds=60),
        cancel_event=stop,
    )
    assert CTX.remaining_s is None
    assert 50 < (soon.remaining_s or 0) <= 60
    assert not soon.cancelled
    stop.set()
    assert soon.cancelled
    late = SkillContext(task_id="t", session_id="s", effect_id="e", deadline=datetime(2020, 1, 1, tzinfo=UTC))
    assert late.remaining_s == 0


def test_the_workspace_is_the_sessions_own_folder_inside_the_root(tmp_path: Path) -> None:
    ctx = SkillContext(task_id="t", session_id="../../etc", effect_id="e", workspace_root=tmp_path)
    assert ctx.workspace.is_dir()
    assert ctx.workspace.parent == tmp_path


def test_without_a_workspace_root_the_error_says_so() -> None:
    with pytest.raises(TaskError, match="workspace") as caught:
        _ = CTX.workspace
    assert caught.value.code == "skill_not_configured"
