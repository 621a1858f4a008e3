"""One Agent Skills folder as a skill that a task's code can call.

    from skills import pdf_forms
    pdf_forms()                                    # its instructions: the body of SKILL.md
    pdf_forms("references/fields.md")              # the text of a file of it
    pdf_forms("scripts/count.py", ["a", "b"])      # what a Python script of it returns, run in the sandbox

Only the name and the description are in memory; everything else is read when it is asked for. Calls come from worker
threads, several at once. Imported by discovery.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from callboard.agent.findings import Finding
from callboard.agent.skill import Replay, SkillContext, docstring
from callboard.agent.skill_folders.document import Document
from callboard.agent.skill_folders.files import DOCUMENT, FileRefused, files_of, read_text
from callboard.agent.skill_folders.front_matter import split
from callboard.arguments import Binding
from callboard.errors import TaskError

_HOW_TO = "Call it without arguments for its instructions, and do as they say."
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "file": {
            "type": "string",
            "default": DOCUMENT,
            "description": "A file of the skill's folder, such as references/x.md; its instructions if left out.",
        },
        "arguments": {
            "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
            "default": None,
            "description": "Given, even as an empty list: run the file, a Python script, with these as `sys.argv[1:]`.",
        },
    },
    "additionalProperties": False,
}


@dataclass(frozen=True)
class FolderSkill:
    """An Agent Skills folder. See `AnySkill` for the fields; `folder` has no links in it, `file` is its SKILL.md's name.

    The replay policy is `pure`, since reading changes nothing; what a script calls is on record by itself.
    """

    document: Document
    folder: Path
    origin: str
    file: str = DOCUMENT
    kind: ClassVar[str] = "folder"
    replay: ClassVar[Replay] = "pure"
    approval: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def python_name(self) -> str:
        return self.name.replace("-", "_")

    @property
    def description(self) -> str:
        return self.document.description

    @property
    def version(self) -> str:
        return self.document.metadata.get("version", "")

    @property
    def permissions(self) -> tuple[str, ...]:
        """The skills that its `allowed-tools` name; none where it declares no such restriction."""
        return () if self.document.allowed is None else tuple(sorted(self.document.allowed.skills))

    @property
    def allowed(self) -> frozenset[str] | None:
        """What a task that follows its instructions may call, itself among it; None: whatever the task may."""
        return None if self.document.allowed is None else self.document.allowed.skills | {self.name}

    @cached_property
    def stub(self) -> str:
        told = docstring(f"{self.description} {_HOW_TO}")
        return (
            f"def {self.python_name}(file: str = ..., arguments: list[str] | None = ...) -> Any:\n    {told}\n    ..."
        )

    @property
    def schema(self) -> Mapping[str, Any]:
        return {"title": "".join(part.title() for part in self.name.split("-")), **_SCHEMA}

    def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], ctx: SkillContext) -> Any:
        """Return a text of the folder, or what a script of it returned."""
        file, arguments = self._bound(args, kwargs)
        if arguments is not None:
            return self._run(file, arguments, ctx)
        text = self._text(file)
        self._restrict(ctx)
        return text

    def restriction(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> frozenset[str] | None:
        """Return what a task may call that was given what a call with these arguments returns, None for whatever it may."""
        try:
            _, arguments = self._bound(tuple(args), kwargs)
        except (TypeError, ValueError):
            return self.allowed
        return self.allowed if arguments is None else None

    def binding(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Binding:
        file, arguments = self._bound(args, kwargs)
        got = {"file": file, "arguments": arguments}
        left = list(got)[len(args) :]
        return Binding.of(got, {name: got[name] for name in left if name not in kwargs})

    def _bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, list[str] | None]:
        names = ("file", "arguments")
        if len(args) > len(names):
            raise TypeError(f"{self.python_name}() takes at most {len(names)} arguments, {len(args)} were given")
        given = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name not in names or name in given:
                what = "got two values for the" if name in given else "has no"
                raise TypeError(f"{self.python_name}() {what} argument {name!r}")
            given[name] = value
        file, arguments = given.get("file", DOCUMENT), given.get("arguments")
        if not isinstance(file, str):
            raise ValueError(f"{self.python_name}() argument file: give a text, the path of a file in the skill")
        if arguments is None:
            return file, None
        if not isinstance(arguments, list | tuple) or not all(isinstance(one, str) for one in arguments):
            raise ValueError(f"{self.python_name}() argument arguments: give a list of texts")
        return file, list(arguments)

    def _text(self, file: str) -> str:
        is_document = self.folder / file in (self.folder / DOCUMENT, self.folder / self.file)
        try:
            text = read_text(self.folder, self.file if is_document else file)
        except FileRefused as refused:
            self._refuse(file, refused)
        if not is_document:
            return text
        parts = split(text)
        if isinstance(parts, Finding):
            raise TaskError(
                "skill_failed", f"The skill {self.name} has been changed, and {parts}; mend its {self.file}."
            )
        return parts[1]

    def _run(self, file: str, arguments: list[str], ctx: SkillContext) -> Any:
        if not file.endswith(".py"):
            raise TaskError(
                "skill_failed",
                f"The skill {self.name} cannot run {file[:200]!r}: the sandbox runs Python only. Read the file by "
                "leaving `arguments` out, and do in your own code what it does.",
            )
        source = self._text(file)
        if ctx.host is None:
            raise TaskError("skill_not_configured", f"The skill {self.name} cannot run scripts outside of a task.")
        return ctx.host.run_script(source, arguments, self.allowed, file)

    def _restrict(self, ctx: SkillContext) -> None:
        """Hold the task to `allowed-tools`: every text of the folder may tell it what to do, not the body alone."""
        if self.allowed is None:
            return
        if ctx.host is None:
            # SECURITY: instructions are not handed out where nobody can hold the task to what they may use
            raise TaskError(
                "skill_not_configured", f"The skill {self.name} restricts tools, so only a task may read it."
            )
        ctx.host.restrict(self.allowed)

    def _refuse(self, file: str, refused: FileRefused) -> NoReturn:
        if refused.outside:
            raise TaskError("path_refused", f"The skill {self.name}: {file[:200]!r} {refused}.") from refused
        there = ", ".join(files_of(self.folder)) or "none"
        raise TaskError(
            "skill_failed", f"The skill {self.name}: {file[:200]!r} {refused}. Its files: {there}."
        ) from refused
