"""The built-in planner: fixed rules, no model, the same plan for the same task every time.

Families of tasks are tried in the order of `FAMILIES`. First come files that are attached, and what the agent that is
addressed is there for, then
those that a task has to bring something along for (code, Python to run, a text, a table), because what they bring may
look like anything; then arithmetic, durations
and dates, which must understand every word; then the web, small talk and memory. What no family understands is
refused: a wrong answer is worse than none. Any thread. Imported by the wiring.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

from callboard.agent.planner import (
    arithmetic,
    code,
    describe,
    memory,
    python_block,
    security,
    small_talk,
    specialists,
    tables,
    text,
    web,
)
from callboard.agent.planner.base import Plan, PlanRequest, no_fit, script
from callboard.agent.planner.reading import Reading, read
from callboard.agent.planner.unclear import not_understood
from callboard.errors import TaskError

Recognise = Callable[[Reading, PlanRequest], Plan | None]


def _when_asked(family: str) -> Recognise:
    """Return a family that is loaded when the first task comes to it.

    PERF: to compile the patterns of dates and durations takes 60 ms, a tenth of a server's start; what comes with code
    or is arithmetic never asks them, nor does a server with a model.
    """

    def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
        plan: Plan | None = import_module(f"callboard.agent.planner.{family}").recognise(reading, request)
        return plan

    return recognise


def _attached(reading: Reading, request: PlanRequest) -> Plan | None:
    return _when_asked("attachments")(reading, request) if request.files else None


FAMILIES: tuple[Recognise, ...] = (
    _attached,
    specialists.recognise,
    describe.recognise,
    security.recognise,
    code.recognise,
    python_block.recognise,
    text.recognise,
    tables.recognise,
    arithmetic.recognise,
    _when_asked("money"),
    _when_asked("whole_numbers"),
    _when_asked("letters"),
    _when_asked("durations"),
    _when_asked("dates"),
    _when_asked("calendar_facts"),
    _when_asked("units"),
    web.recognise,
    small_talk.recognise,
    memory.recognise,
)

ABLE = (
    "It does arithmetic, sums of everyday life, units, dates and durations, questions on letters and words, summaries, text "
    "statistics, code analysis, security scans, questions on CSV or JSON and descriptions of it, and Python blocks, each "
    "on what the task itself contains or a file that is attached to it."
)

_FIRST_SENTENCE = re.compile(r"[^.!?\n]{3,150}[.!,]\s+(?=\S)")


class OfflinePlanner:
    """Plans by rules; holds no state."""

    name = "offline"
    learns = False

    def plan(self, request: PlanRequest) -> Plan:
        """Return the plan; raise `TaskError` where no family understands the task or its skill is not allowed."""
        if "." in request.task:  # of the session's files those are asked about whose whole name is there
            request = _with_kept(request)
        if request.files:
            return _with_files(request)
        plan = _plan(request) or _after_statement(request)
        if plan is None:
            raise _refusal(request)
        return plan


def _with_kept(request: PlanRequest) -> PlanRequest:
    """Return the request with those files of earlier tasks of its session that the task names."""
    attached = {file["name"] for file in request.files}
    kept = [file for file in request.kept() if file["name"].rpartition("/")[2] not in attached]
    if not kept:
        return request
    from callboard.agent.planner import attachments  # PERF: as `_when_asked`

    named = attachments.named(request.task, [str(file["name"]) for file in kept])
    return replace(request, files=(*request.files, *(file for file in kept if file["name"] in named)))


def _with_files(request: PlanRequest) -> Plan:
    """Plan a task that files came with; what is refused is refused with a word on them."""
    from callboard.agent.planner import attachments  # PERF: as `_when_asked`
    from callboard.agent.planner.files import AboutFile

    request = attachments.looked_at_once(request)
    try:
        plan = _plan(request)
    except TaskError as error:
        plan = _after_statement(request) if isinstance(error, AboutFile) else None
        return plan or attachments.otherwise(request, error)
    return plan or _after_statement(request) or attachments.otherwise(request, _refusal(request))


def _refusal(request: PlanRequest) -> TaskError:
    return no_fit(f"The built-in planner cannot work this task out. {not_understood(read(request.task))} {ABLE}")


def _plan(request: PlanRequest) -> Plan | None:
    reading = read(request.task)
    for recognise in FAMILIES:
        plan = recognise(reading, request)
        if plan is not None:
            return plan
    return None


def _after_statement(request: PlanRequest) -> Plan | None:
    """Plan `My name is Alice. What is 2 + 2?`: keep what is told, and answer what is asked."""
    task = request.task.strip()
    first = _FIRST_SENTENCE.match(task)
    told = memory.remember(read(first[0].rstrip(" ,\n\t")), request) if first else None
    if not first or told is None:
        return None
    rest = replace(request, task=task[first.end() :], variables=request.variables | {memory.VARIABLE})
    asked = _plan(rest)
    return replace(asked, code=script(*told[:-1], asked.code or "")) if asked else None
