"""Files that are attached, asked about as if what they hold stood in the task: `average of b in x.csv`.

The file is looked at before the plan is made, because its columns are needed to understand the question; the code reads it
once more, by `read-file`. A file that is named is what the task is about; one that is there alone is tried first. What comes
of neither is left to the other families, and what they refuse is refused with a word on the file. Any thread; imported by
the offline planner.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from callboard.agent.planner import code, describe, memory, python_block, security, specialists, tables, text
from callboard.agent.planner.base import MODELS, Plan, PlanRequest, call
from callboard.agent.planner.file_mentions import HERE, generic, mentions, other_name, ways_to_say
from callboard.agent.planner.files import AboutFile, File, described, listed, looked_at, refused
from callboard.agent.planner.reading import Fence, Reading, find_material, read
from callboard.agent.python_trees import is_expression
from callboard.errors import TaskError

_SKILL = "read-file"
_MAX_WORDS_CHARS = 2000
_LEAST_OWN_WORDS, _LEAST_TEXT_WORDS = 4, 12
_RUN = re.compile(rf"(?:run|execute|start|launch|eval(?:uate)?)\b[^.?!]{{0,40}}{HERE}", re.IGNORECASE)
_CAN = {
    "table": (
        "Of a table can be asked a count, sum, average, median, minimum or maximum of a column, by another column or where a "
        "column has some value, and a description: 'Describe {name}'."
    ),
    "text": "Of a text can be asked a summary, how many words, sentences or lines it has, and secrets in it: 'Summarize {name}'.",
    "code": "Code can be reviewed and searched for weaknesses and secrets, and is not run from a file: 'Review {name}'.",
}

Recognise = Callable[[Reading, PlanRequest], Plan | None]
_FAMILIES: dict[str, tuple[tuple[Recognise, tuple[str, ...]], ...]] = {
    "table": (
        (specialists.recognise, ("table",)),
        (describe.recognise, ("table", "data")),
        (security.recognise, ("file", "text")),
        (tables.recognise, ("table",)),
        (text.count, ("text",)),
    ),
    "text": (
        (specialists.recognise, ("text",)),
        (security.recognise, ("file", "text")),
        (text.recognise, ("text", "document")),
    ),
    "code": (
        (specialists.recognise, ("code",)),
        (security.recognise, ("code", "file", "script")),
        (code.recognise, ("code", "script")),
        (text.count, ("text",)),
    ),
}
"""Whom the words are given to, and what they call the file then."""


def looked_at_once(request: PlanRequest) -> PlanRequest:
    """Return the request with a look that reads each file once, however many ways to understand the task are tried."""
    return request if request.look is None else replace(request, look=lru_cache(maxsize=16)(request.look))


def named(task: str, names: list[str]) -> set[str]:
    """Return those files that a task outside of its blocks names whole."""
    reading = read(task)
    head = "" if reading.fences else _head(reading)
    # PERF: a session may have a thousand files, and a pattern for each takes a second to make
    said = _letters(head)
    ways, whole = mentions(head, [name for name in names if _letters(name.rpartition("/")[2]) in said])
    return {name for name, _ in ways} if whole else set()


def _letters(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFC", text).casefold() if char.isalnum())


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    if not request.files or reading.fences or python_block.recognise(reading, request) is not None:
        return None
    names = _names(request)
    ways, whole = mentions(_head(reading), names)
    if ways:
        _check_allowed(request, [name for name, _ in ways])
        if whole and len(ways) > 1:
            several = ", ".join(name for name, _ in ways)
            raise refused(f"One file can be asked about at a time, and the task names {several}.")
        if not whole and len(names) == 1:
            ways.append((names[0], _head(reading)))  # a name without its ending may be a word of the question
        try:
            return _of_ways(ways, request)
        except AboutFile:
            if memory.remember(reading, request) is None:
                raise
            return None  # to be remembered, with the file's name
    ways = _unnamed(reading, names)
    if not ways or _SKILL not in request.skills or _brings_material(reading, named=HERE in ways[0][1]):
        return None
    try:
        return _of_ways(ways, request)
    except TaskError as error:
        if HERE in ways[0][1]:
            raise
        del error  # the task may be about something else: the other families are asked, then `otherwise`
        return None


def _head(reading: Reading) -> str:
    return reading.ask if len(reading.ask) <= _MAX_WORDS_CHARS else ""


def _names(request: PlanRequest) -> list[str]:
    return [str(file["name"]) for file in request.files]


def _unnamed(reading: Reading, names: list[str]) -> list[tuple[str, str]]:
    """Return the ways to read words that name no file: `this file` is one, and so is the only file there is."""
    head = _head(reading)
    ways = [(names[0], head)] if head and len(names) == 1 else []
    known = generic(head, names)
    return ways if known is None else [known, *ways]


def _brings_material(reading: Reading, *, named: bool) -> bool:
    """Tell whether the task has a table or a text of its own; behind `this file:` only what is longer than a request."""
    if tables.find_data(reading) is not None:
        return True
    material = find_material(reading, 0)
    return material is not None and len(material.content.split()) >= (_LEAST_TEXT_WORDS if named else _LEAST_OWN_WORDS)


def _of_ways(ways: list[tuple[str, str]], request: PlanRequest) -> Plan:
    """Return the plan that the ways to read the task come to; raise a refusal where they come to none, or to several."""
    plans: dict[str | None, Plan] = {}
    errors: list[TaskError] = []
    for name, words in ways:
        try:
            plan = _asked(name, words, request)
        except TaskError as error:
            errors.append(error)
        else:
            plans.setdefault(plan.code, plan)
    if len(plans) == 1:
        return next(iter(plans.values()))
    if plans:
        raise refused(
            f"It is not clear whether a file or what is in it is meant; write the whole name of the file, such as {ways[0][0]}."
        )
    raise errors[0]


def _asked(name: str, words: str, request: PlanRequest) -> Plan:
    """Return the plan for words about one file, `HERE` standing for it where they speak of it; raise a refusal."""
    other = other_name(words)
    try:
        file, words = looked_at(name, words, request)
        missing = other is not None and other.lower() not in file.content.lower()  # a cell may name a file
    except AboutFile:
        if other is None:
            raise
        missing = True
    if missing:
        raise refused(f"No file {other} is attached; attached is {listed(request)}.")
    if file.kind == "code" and _RUN.match(words):
        raise refused(
            f"Code from a file is not run. {name} can be reviewed; to run it, put it into the task, between ```python marks."
        )
    try:
        plan = _first_plan(file, words, request)
    except TaskError as error:
        if error.code == "no_skill_fits":
            raise _spoken_of(file, error.message.removesuffix(MODELS).strip()) from error
        raise
    if plan is None:
        raise _spoken_of(file, "")
    if file.merged:
        raise _spoken_of(
            file,
            f"Its cells {', '.join(file.merged)} are merged over several rows, of which only the first has the value: unmerge "
            "them and fill each row.",
        )
    return plan


def _first_plan(file: File, words: str, request: PlanRequest) -> Plan | None:
    fence = Fence(file.tag, file.content)
    request = replace(request, written={file.content.strip(): file.expression}, files=())
    first: TaskError | None = None
    for family, nouns in _FAMILIES[file.kind]:
        # PERF: a question that is not understood may cost a look at all cells, 0.2 s where there are many
        pointing = family is not tables.recognise
        ways = (way for noun in nouns for way in ways_to_say(words, noun, pointing=pointing))
        for way in dict.fromkeys(ways):
            try:
                plan = family(replace(read(way), fences=(fence,)), request)
            except TaskError as error:
                if error.code != "no_skill_fits":
                    raise
                first = first or error
                continue
            if plan is not None:
                return _reading_it(plan, file)
    if first is not None:
        raise first
    return None


def _reading_it(plan: Plan, file: File) -> Plan:
    """Return the plan with the import of what reads the file, which is read once however often it is used."""
    source = plan.code or ""
    uses = source.count(file.expression)
    if not uses:
        return plan
    first, newline, rest = source.partition("\n")
    first = f"{first}, read_file"
    if uses > 1 and is_expression(rest):
        rest = f"(lambda text: {rest.replace(file.expression, 'text')})({file.expression})"
    return replace(plan, code=f"{first}{newline}{rest}")


def otherwise(request: PlanRequest, error: TaskError) -> Plan:
    """Return the plan for a task that no family works out and that is about its file after all; else raise, speaking of it."""
    if not request.files or isinstance(error, AboutFile) or error.code != "no_skill_fits":
        raise error
    names = _names(request)
    _check_allowed(request, names)
    reading = read(request.task)
    ways = _unnamed(reading, names)
    if reading.fences or tables.find_data(reading) is not None:
        raise refused(f"{error.message.removesuffix(MODELS).strip()} Attached: {listed(request)}.") from error
    if not ways:
        several = len(names) > 1
        raise refused(
            f"Several files are attached, {listed(request)}, and which one is meant is not clear: name it, such as 'Describe {names[0]}'."
            if several
            else f"{error.message.removesuffix(MODELS).strip()} Attached: {listed(request)}."
        ) from error
    return _of_ways(ways, request)


def _check_allowed(request: PlanRequest, names: list[str]) -> None:
    try:
        call(request, _SKILL, names[0])
    except TaskError as error:
        raise AboutFile(
            error.code, f"To ask about {', '.join(names)}: {error.message}", details=error.details
        ) from error


def _spoken_of(file: File, why: str) -> AboutFile:
    """Return a refusal that says what the file is, why nothing is made of the task, and what can be asked."""
    can = "" if why else f"What is asked of it is not understood. {_CAN[file.kind].format(name=file.name)}"
    return refused(f"{described(file)} {why or can}")
