"""What a skill has raised: in words for its task, by file and line for the task's log, whole for the server's own log.

An exception is anybody's code: its text may be huge, or fail to be made. Threads: whichever called the skill. Imported by
the skill calls and whoever loads skills.
"""

import inspect
import logging
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

from callboard.agent import skill as _skill_module
from callboard.agent.skill import AnySkill, Skill
from callboard.agent.skill_answers import WrongAnswer
from callboard.errors import TaskError
from callboard.limits import CAUSE_CHARS, CAUSES, EXCEPTION_CHARS, TRACE_CHARS, TRACE_FRAMES, cut, cut_middle, left_out
from callboard.unstorable import bare_name, exact, type_name
from callboard.values import mend_text, recordable

logger = logging.getLogger("callboard.skills")

MODULE_PREFIX = "callboard_skill_"
"""What the names of modules begin with that are files of skills."""

_MAX_NAME_CHARS = 200
_OURS = frozenset({_skill_module.__file__, str(Path(__file__).with_name("skill_calls.py"))})
"""The files that stand above a skill in every traceback of a call."""

_Frame = tuple[str, int, str]
_CHECKS_ARGUMENTS = Skill._checked.__name__  # below it, nothing is the skill's own code


def text_of(raised: BaseException, most_chars: int = EXCEPTION_CHARS) -> str:
    """Return `Type: text`, cut where it is longer, whatever the exception's own `__str__` does."""
    name = bare_name(type(raised))
    try:
        text = exact(str(raised))
    except BaseException as failed:  # noqa: BLE001  # it is anybody's code
        return mend_text(f"{name}: its text cannot be shown, since its __str__ raised {bare_name(type(failed))}")
    return mend_text(f"{name}: {cut_middle(text, most_chars - len(name) - 2)}" if text else name)


def report(raised: BaseException, skill: AnySkill, call: int, task_id: str) -> dict[str, Any] | None:
    """Return what a call's event says of where it failed; the whole traceback goes into the server's log."""
    try:
        told = told_of(raised, skill)
        if told is None:
            return None
        log(raised, skill, call, task_id)
    except BaseException as failed:  # noqa: BLE001  # its class may have made properties of what every exception has
        why = bare_name(type(failed))
        logger.warning("the skill %s failed in call %d of the task %s and cannot be asked where: %s", skill.name, call, task_id, why)  # fmt: skip
        return None
    return told


def told_of(raised: BaseException, skill: AnySkill) -> dict[str, Any] | None:
    """Return an exception for the log of a task: its type, file and line, what it came from; no path of this machine.

    `file`, `line` and `function` are the last place in the skill's own file, `innermost` the deepest one where that is
    another. None where it is what the skill says to its caller and nothing went wrong in its code: refusals of built-in
    skills and of MCP servers, and arguments that do not fit, for which nothing of the skill's own code has run.
    """
    if issubclass(type(raised), TaskError):
        known = recordable(((raised.details or {}) if isinstance(raised, TaskError) else {}).get("exception"))
        return known if isinstance(known, dict) else None
    if not isinstance(skill, Skill) or (skill.origin == "builtin" and isinstance(raised, ValueError)):
        return None
    frames = _frames(raised)
    if isinstance(raised, WrongAnswer):
        code = code_of(skill)
        frames = [(code.co_filename, code.co_firstlineno, code.co_name)]
    return _told(raised, frames, skill) if frames else None


def _told(raised: BaseException, frames: list[_Frame], skill: Skill[..., Any]) -> dict[str, Any]:
    own = code_of(skill).co_filename
    in_own_file = [frame for frame in frames if frame[0] == own]
    place = in_own_file[-1] if in_own_file else frames[-1]
    told: dict[str, Any] = {"type": type_name(raised), **_place(place, skill)}
    if place is not frames[-1]:
        told["innermost"] = _place(frames[-1], skill)
    causes = [] if isinstance(raised, WrongAnswer) else list(_causes(raised))
    if causes:
        told["causes"] = causes
    if isinstance(raised, BaseExceptionGroup):
        told["exceptions"] = [text_of(inner, CAUSE_CHARS) for inner in raised.exceptions[:CAUSES]]
        if (more := len(raised.exceptions) - CAUSES) > 0:
            told["exceptions"].append(left_out(more, "exceptions"))
    return told


def log(raised: BaseException, skill: AnySkill, call: int, task_id: str) -> None:
    """Write the traceback into the server's log, once a call that failed; without values, which may be secrets."""
    if isinstance(raised, TaskError):  # of a script, whose traceback is that in the sandbox
        text = str((raised.details or {}).get("traceback"))
    elif isinstance(raised, WrongAnswer) and isinstance(skill, Skill):  # its traceback has nothing of the skill
        text = f'File "{code_of(skill).co_filename}", line {code_of(skill).co_firstlineno}\n{raised}'
    else:
        text = _traceback(raised)
    logger.warning(
        "the skill %s (%s) failed in call %d of the task %s\n%s",
        skill.name, skill.origin, call, task_id, mend_text(cut_middle(text.rstrip(), TRACE_CHARS)),
    )  # fmt: skip


def log_import(origin: str, raised: BaseException) -> None:
    """Write the traceback of a file or package that cannot be loaded; what is said of it elsewhere is one sentence."""
    logger.info("%s cannot be loaded\n%s", origin, mend_text(cut_middle(_traceback(raised), TRACE_CHARS)))


def _traceback(raised: BaseException) -> str:
    """Return what Python would print of an exception, bounded: its text, its notes, its causes and its members may be of any size."""
    try:
        return _whole(raised)
    except BaseException as failed:  # noqa: BLE001  # the exceptions' own code runs in it
        return f"{text_of(raised)} (the rest cannot be shown: {bare_name(type(failed))})"


def _whole(raised: BaseException) -> str:
    told, after = [_alone(raised)], raised
    for before in _chain(raised):
        if isinstance(before, str):
            return "\n".join([before, *told])
        why = (
            "The above exception was the direct cause of the following exception:"
            if after.__cause__ is before
            else "During handling of the above exception, another exception occurred:"
        )
        told[:0], after = [_alone(before), f"{why}\n"], before
    return "\n".join(told)


def _alone(raised: BaseException) -> str:
    told = ["Traceback (most recent call last):\n", *_frame_lines(raised), _last_line(raised), *_notes(raised)]
    if isinstance(raised, BaseExceptionGroup):
        for number, inner in enumerate(raised.exceptions[:CAUSES], start=1):
            told += [f"--- member {number} ---\n", *_frame_lines(inner), _last_line(inner), *_notes(inner)]
        if (more := len(raised.exceptions) - CAUSES) > 0:
            told.append(f"{left_out(more, 'exceptions')}\n")
    return "".join(told)


def _frame_lines(raised: BaseException) -> list[str]:
    try:
        lines = traceback.format_tb(raised.__traceback__)
    except Exception:  # noqa: BLE001  # a file's name may be one that no file can have
        frames = traceback.walk_tb(raised.__traceback__)
        lines = [f'  File "{f.f_code.co_filename}", line {line}, in {f.f_code.co_name}\n' for f, line in frames]
    half = TRACE_FRAMES // 2
    if len(lines) > TRACE_FRAMES:
        lines[half:-half] = [f"  {left_out(len(lines) - 2 * half, 'frames')}\n"]
    return lines


def _last_line(raised: BaseException) -> str:
    if type(raised) is SyntaxError:  # Python's own, whose place is no frame
        return "".join(cut(line, CAUSE_CHARS) for line in traceback.format_exception_only(raised))
    return f"{text_of(raised)}\n"


def _notes(raised: BaseException) -> Iterator[str]:
    notes = getattr(raised, "__notes__", None)
    if isinstance(notes, list):  # it may have been set to anything
        yield from (f"{cut(exact(note), CAUSE_CHARS)}\n" for note in notes[:CAUSES] if isinstance(note, str))
        if len(notes) > CAUSES:
            yield f"{left_out(len(notes) - CAUSES, 'notes')}\n"


def code_of(skill: Skill[..., Any]) -> CodeType:
    """Return the code that the author wrote, behind whatever decorates it."""
    code: CodeType = inspect.unwrap(skill.function).__code__
    return code


def shown_file(filename: str, skill: Skill[..., Any]) -> str:
    """Return a file's name as others may see it: from the skills' folder, or from where Python finds modules."""
    roots = sorted({str(place).rstrip("/") for place in sys.path} - {""}, key=len, reverse=True)
    if skill.function.__module__.startswith(MODULE_PREFIX):
        roots.insert(0, str(Path(code_of(skill).co_filename).parent))
    for root in roots:
        if filename.startswith(f"{root}/"):
            return mend_text(filename[len(root) + 1 :])[-_MAX_NAME_CHARS:]
    return mend_text(Path(filename).name)[-_MAX_NAME_CHARS:]


def _frames(raised: BaseException) -> list[_Frame]:
    """Return file, line and function of each frame from the skill's own code on; none where that was not reached."""
    frames = [
        (frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in traceback.walk_tb(raised.__traceback__)
    ]
    ours = 0
    while ours < len(frames) and frames[ours][0] in _OURS:
        if frames[ours][2] == _CHECKS_ARGUMENTS:
            return []
        ours += 1
    return frames[ours:]


def _place(frame: _Frame, skill: Skill[..., Any]) -> dict[str, Any]:
    filename, line, function = frame
    return {"file": shown_file(filename, skill), "line": line, "function": mend_text(function)[:_MAX_NAME_CHARS]}


def _causes(raised: BaseException) -> Iterator[str]:
    """Yield what the exception came from, the nearest first."""
    for cause in _chain(raised):
        yield text_of(cause, CAUSE_CHARS) if isinstance(cause, BaseException) else cause


def _chain(raised: BaseException) -> Iterator[BaseException | str]:
    """Yield the exceptions that one came from, the nearest first; where there are too many, a mark at last."""
    seen = {id(raised)}
    for _ in range(CAUSES + 1):
        cause = raised.__cause__ or (None if raised.__suppress_context__ else raised.__context__)
        if cause is None or id(cause) in seen:
            return
        if len(seen) > CAUSES:
            yield "… [more causes left out]"
            return
        seen.add(id(cause))
        yield cause
        raised = cause
