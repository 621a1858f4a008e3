"""The public `@skill` decorator: a typed Python function becomes something a task's code can call.

The stub that the type checker reads, the JSON schema on the wire and the validation of arguments are all made
from the function's signature. Skills are called by worker threads, several at once, and must be safe for that.
Imports nothing of the project but its errors and what its arguments and answers are checked with.
"""

import hashlib
import inspect
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from callboard.agent.binding import exact_binding
from callboard.agent.skill_answers import Answers
from callboard.arguments import Binding
from callboard.errors import TaskError
from callboard.unstorable import bare_name

Replay = Literal["pure", "safe", "keyed", "never"]
P = ParamSpec("P")
R = TypeVar("R")

SCRIPT = "script.py"
"""What a script is called that has no name."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MAX_FOLDER_CHARS = 200
_PLAIN_TYPES = (str, int, float, bool, bytes, object, type(None))


class RetryableError(Exception):
    """Raise it from a skill when nothing was done and trying again later may work.

    The task's retry policy then applies; without one, or when its tries are used up, the task fails with
    `skill_unavailable`.
    """


class SkillHost(Protocol):
    """What the run that a call belongs to can do for a skill; in the thread of the call."""

    def ask_model(self, prompt: str, *, system: str = "") -> str | None:
        """Return what the model answers, counted and on record like every call of it; None where there is no model."""

    def run_script(
        self, source: str, arguments: Sequence[str], allowed: frozenset[str] | None, name: str = SCRIPT
    ) -> Any:
        """Run a program in a sandbox of its own; return its value or what it printed.

        `argv` is the list of its arguments, `sys.argv` the same with its name in front, which errors have too. It may call the skills that the task may, of those in `allowed` (None: all of them). Raises `TaskError`.
        """

    def restrict(self, allowed: frozenset[str]) -> None:
        """Let the task's code call no other skills from here on than these, and those of earlier restrictions."""

    def note(self, name: str, value: Any) -> None:
        """Put something about the answer into the task's metadata, in `notes` under a name; see `SkillContext.note`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillContext:
    """What a skill may know of the call it serves; given to a parameter named `ctx` annotated with this class.

    `effect_id` names this one call and stays the same if the call is repeated: use it as an idempotency key.
    `deadline` (UTC) is when the task will be ended; `settings` holds every `CALLBOARD_SKILL_…` variable, names
    in lower case without the prefix.
    """

    task_id: str
    session_id: str
    effect_id: str
    deadline: datetime | None = None
    deadline_s: float | None = None
    """The deadline in seconds of `time.monotonic`, which no change of the wall clock moves."""
    settings: Mapping[str, str] = field(default_factory=dict)
    workspace_root: Path | None = None
    fetch_allow_private: bool = False
    max_file_bytes: int = 10_000_000
    host: SkillHost | None = field(default=None, repr=False)
    cancel_event: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def cancelled(self) -> bool:
        """Whether the task has been cancelled or has passed its deadline: a long skill should look and return."""
        return self.cancel_event.is_set()

    def note(self, name: str, value: Any) -> None:
        """Say something about the answer in the task's metadata: `notes` has it under the name, objects are joined.

        It does nothing where the skill is called outside of a task.
        """
        if self.host is not None:
            self.host.note(name, value)

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the deadline, at least 0; None without one."""
        if self.deadline_s is not None:
            return max(0.0, self.deadline_s - time.monotonic())
        return None if self.deadline is None else max(0.0, (self.deadline - datetime.now(UTC)).total_seconds())

    @property
    def workspace(self) -> Path:
        """The session's own folder, made when first asked for."""
        if self.workspace_root is None:
            raise TaskError("skill_not_configured", "This skill needs a workspace folder and the system has none.")
        folder = self.workspace_root / folder_of(self.session_id)
        for one in (self.workspace_root, folder):  # its owner's alone, whatever the umask
            one.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder


def folder_of(session_id: str) -> str:
    """Return a folder's name that no other session has: letters, digits, _ and - stand, the rest is `.` and hexadecimal.

    A longer one than file systems take is `=` and a digest.
    """
    name = re.sub(
        r"[^A-Za-z0-9_-]",
        lambda found: "".join(f".{byte:02x}" for byte in found[0].encode("utf-8", "surrogatepass")),
        session_id,
    )
    return name if 0 < len(name) <= _MAX_FOLDER_CHARS else f"={hashlib.sha256(name.encode()).hexdigest()}"


class AnySkill(Protocol):
    """Something that a task's code can call as `from skills import <python_name>`: a function, a folder, an MCP tool.

    `name` is what the wire calls it (`charge-card`), `python_name` what code calls it (`charge_card`).
    `origin` says where it was found: `builtin`, the file, the package, the server. `kind` is `python`, `folder` or
    `mcp`. `permissions` says what it reaches (`network`, `files`, …), for people; `approval`, that a person must approve
    each call. `stub` is its declaration in Python with its docstring, `schema` the JSON schema of its arguments.
    """

    @property
    def name(self) -> str: ...
    @property
    def python_name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def stub(self) -> str: ...
    @property
    def schema(self) -> Mapping[str, Any]: ...
    @property
    def replay(self) -> Replay: ...
    @property
    def origin(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def permissions(self) -> tuple[str, ...]: ...
    @property
    def approval(self) -> bool: ...

    def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], ctx: SkillContext) -> Any:
        """Check the arguments, make the call, in a worker's thread, and return the answer as plain JSON.

        Raises `TypeError` or `ValueError` naming the argument that does not fit.
        """

    def binding(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Binding:
        """Return what the skill would get of arguments, plain JSON, that a person is to decide on; make no call.

        Raises `TypeError` or `ValueError` naming the argument that does not fit, or that the skill would get as another one.
        """


@dataclass(frozen=True)
class Skill(Generic[P, R]):
    """A function as a skill; itself still callable. See `AnySkill` for the fields."""

    function: Callable[P, R]
    name: str
    replay: Replay
    origin: str = "builtin"
    approval: bool = False
    permissions: tuple[str, ...] = ()
    version: str = ""
    kind = "python"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    @property
    def python_name(self) -> str:
        return self.name.replace("-", "_")

    @cached_property
    def description(self) -> str:
        """The first paragraph of the function's docstring."""
        return " ".join((inspect.getdoc(self.function) or "").split("\n\n")[0].split())

    @cached_property
    def stub(self) -> str:
        """The declaration that the type checker and a model read, such as `def calculate(expression: str) -> float: ...`."""
        shown = [p.replace(annotation=_Shown(self._hints.get(p.name, Any))) for p in self._parameters]
        shown = [p if p.default is p.empty else p.replace(default=_ELLIPSIS) for p in shown]
        arguments = str(inspect.Signature(shown))
        return f"def {self.python_name}{arguments} -> {_shown_type(self._hints.get('return', Any))}:\n    {docstring(self.description)}\n    ..."

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        return self._arguments.model_json_schema()

    @cached_property
    def answers(self) -> Answers:
        """What makes answers of what the function returns; raises `TypeError` where its return type has no JSON form."""
        return Answers(self.name, self.returns)

    @property
    def returns(self) -> Any:
        """The type that the function is declared to return, `Any` where it does not say."""
        return self._hints.get("return", Any)

    @cached_property
    def takes_context(self) -> bool:
        return "ctx" in inspect.signature(self.function).parameters

    def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], ctx: SkillContext) -> Any:
        """Validate the arguments, call the function, and return its answer as plain JSON.

        Raises `TypeError` or `ValueError` naming the argument that does not fit, `WrongAnswer` where what the function
        returned is not what its signature says, and whatever the function raises.
        """
        values = self._checked(args, kwargs)
        if self.takes_context:
            values["ctx"] = ctx
        return self.answers.answer(self.function(**values))  # type: ignore[call-arg]  # built from the signature

    def binding(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Binding:
        try:
            given = self._signature.bind(*args, **kwargs).arguments
            got = self._checked(args, kwargs)
        except (TypeError, ValueError):
            raise
        except BaseException as raised:  # a validator is the skill's own code, and may raise anything
            raise ValueError(
                f"{self.python_name}() fails to check its arguments: {bare_name(type(raised))}"
            ) from raised
        defaults = {p.name: p.default for p in self._parameters if p.name not in given}
        return exact_binding(self.python_name, given, got, defaults)

    def _checked(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        bound = self._signature.bind(*args, **kwargs).arguments
        try:
            checked = self._arguments.model_validate(bound)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"{self.python_name}() argument {where}: {first['msg']}") from error
        return {name: getattr(checked, name) for name in bound}

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.function, include_extras=True)

    @cached_property
    def _parameters(self) -> list[inspect.Parameter]:
        return [p for p in inspect.signature(self.function).parameters.values() if p.name != "ctx"]

    @cached_property
    def _signature(self) -> inspect.Signature:
        return inspect.Signature(self._parameters)

    @cached_property
    def _arguments(self) -> type[BaseModel]:
        fields: dict[str, Any] = {
            p.name: (self._hints[p.name], ... if p.default is p.empty else Field(default=p.default))
            for p in self._parameters
        }
        title = "".join(part.title() for part in self.name.split("-"))
        return create_model(title, __config__=ConfigDict(extra="forbid"), **fields)


@overload
def skill(function: Callable[P, R], /) -> Skill[P, R]: ...
@overload
def skill(
    *,
    name: str | None = None,
    replay: Replay = "never",
    approval: bool = False,
    permissions: Sequence[str] = (),
    version: str = "",
) -> Callable[[Callable[P, R]], Skill[P, R]]: ...
def skill(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    replay: Replay = "never",
    approval: bool = False,
    permissions: Sequence[str] = (),
    version: str = "",
) -> Skill[P, R] | Callable[[Callable[P, R]], Skill[P, R]]:
    """Make a skill of a typed function.

    `replay` says what may happen to a call after a crash: `pure` is recomputed, `safe` may be repeated, `keyed`
    may be repeated with the same `ctx.effect_id`, `never` (the default) must not happen twice. With `approval` each call
    waits until a person has approved it; `permissions` says what it reaches, for people (`network`, `files`).
    Every parameter needs a type, and there must be a docstring. Raises `TypeError` naming what is missing.
    """

    def make(target: Callable[P, R]) -> Skill[P, R]:
        wire_name = name or target.__name__.replace("_", "-")
        _check(target, wire_name, replay)
        return Skill(
            function=target,
            name=wire_name,
            replay=replay,
            approval=approval,
            permissions=tuple(permissions),
            version=version,
        )

    return make if function is None else make(function)


def _check(function: Callable[..., Any], name: str, replay: str) -> None:
    if len(name) > 64 or not _NAME.fullmatch(name):
        raise TypeError(f"the skill name {name!r} must be a-z, 0-9 and single hyphens, at most 64 characters")
    if not name.replace("-", "_").isidentifier():
        raise TypeError(f"the skill name {name!r} must not begin with a digit: code calls it by that name")
    if replay not in get_args(Replay):
        raise TypeError(f"the skill {name!r} has replay={replay!r}; use one of {', '.join(get_args(Replay))}")
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"the skill {name!r} is async; write it as a plain function, it has a thread of its own")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"the skill {name!r} yields, and an answer is one value; have it return a list")
    if not inspect.getdoc(function):
        raise TypeError(f"the skill {name!r} has no docstring; its first paragraph is what a model reads")
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"the skill {name!r} takes {parameter}; use named parameters only")
        if parameter.annotation is parameter.empty:
            raise TypeError(f"the parameter {parameter.name!r} of the skill {name!r} has no type")


class _Shown:
    """An annotation that prints as it should read in a stub."""

    def __init__(self, annotation: Any) -> None:
        self._text = _shown_type(annotation)

    def __repr__(self) -> str:
        return self._text


class _Ellipsis:
    def __repr__(self) -> str:
        return "..."


_ELLIPSIS = _Ellipsis()


def _shown_type(annotation: Any) -> str:
    """Return the type as the sandbox's checker can read it; what it cannot becomes `Any`."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shown_type(args[0])
    if origin is Literal:
        return f"Literal[{', '.join(repr(a) for a in args)}]"
    if annotation is None or annotation is type(None):
        return "None"
    if annotation in _PLAIN_TYPES:
        return str(annotation.__name__)
    if str(origin) in ("typing.Union", "<class 'types.UnionType'>"):
        return " | ".join(_shown_type(a) for a in args)
    if origin in (list, dict, tuple, set):
        return f"{origin.__name__}[{', '.join('...' if a is ... else _shown_type(a) for a in args)}]"
    if annotation in (list, dict, tuple, set):
        return str(annotation.__name__)
    return "Any"


def docstring(text: str) -> str:
    """Return the text as a docstring in Python."""
    quoted = text.replace("\\", "\\\\").replace('"""', "'''")
    return f'"""{quoted[:-1]}\\""""' if quoted.endswith('"') else f'"""{quoted}"""'
