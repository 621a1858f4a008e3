"""What a model has written, read: code to run, an answer in words, or neither. Pure. Imported by `model.py`.

The blocks are found by CommonMark's rules, with markdown-it-py, and beyond those as models break them. Rules: nothing is run
that may have been meant as an example; of several blocks none is chosen by guessing; where it is not plain what is meant, the
model is asked.
"""

import re
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from markdown_it import MarkdownIt

from callboard.agent.planner.base import Plan
from callboard.agent.planner.syntax import MAX_CODE_CHARS, PYTHON, Names, names_in

_PYTHON = PYTHON | {"ipython", "tool_code"}
_CODE_LIKE = re.compile(r"^[ \t]*(?:from skills import |import |print\(|[A-Za-z_]\w* = |def |await )", re.MULTILINE)
_IMPORTS_SKILLS = re.compile(r"^[ \t]*(?:from|import) skills\b", re.MULTILINE)
_MOST_BLOCKS = 50
_MOST_TRIES = 12
"""How many blocks are looked at, and how many ends of one are tried."""

_MOST_LINES = 60_000
"""How many lines are looked at for blocks, again where one is repaired; what stands behind them is words. PERF: up to 14 µs each."""

_ONE_LINE = re.compile(r"^([ \t]*)(`{3,})(python3?|py)[ \t]+([^`\s](?:[^`\n]*[^`\s])?)[ \t]*\2[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"```|~~~")
_INDENTED = re.compile(r"([ \t]+)(`{3,}|~{3,})")
_LANGUAGE = re.compile(r"[{.\s]*([\w+#-]*)")
_WORDS = re.compile(
    r"\b(?:explain|describe|how (?:do|does|to|can|could|would|should)|what (?:does|do) .* (?:do|mean)|write|implement|example|code|"
    r"function|class|script|program|snippet|teach|tutorial|document|syntax|refactor|rewrite)\b",
    re.IGNORECASE,
)
"""What a task that wants code, or words about it, asks for."""

SEVERAL = (
    "Your answer has several blocks of Python, and it is not clear which are meant to be run, so nothing was run. To have code "
    "run, write all of it in one block and nothing after it. To answer in words that show code, say the same again, with words "
    "after the last block."
)
MEANT = (
    "There were words after your code, so it is not clear whether it was the way to an answer or a part of one. Answer the task "
    "now: in words, which may show code and then end in words; or with one block of Python and nothing after it, to be run."
)


@dataclass(frozen=True, slots=True)
class Block:
    """One block of code: its lines in the text, the first and the one behind the last, and whether they are Python."""

    code: str
    start: int
    end: int


def read_answer(
    text: str, *, task: str = "", said: Sequence[str] = (), told: Sequence[str] = (), variables: Collection[str] = ()
) -> Plan:
    """Return what a model wrote as code to run, as the answer, or with what it is to be told.

    `said` and `told` are what it wrote before in this task, and what it was told; `variables` are names that the code may use.
    """
    text = _plain(text)
    lines = text.split("\n")
    blocks = _blocks(text)
    if not blocks:
        return Plan(code=None, intent="answer", text=text.strip())
    code = _one_of([block.code for block in blocks])
    after = re.search(r"\w", "\n".join(lines[blocks[-1].end :])) is not None
    around = after or re.search(r"\w", "\n".join(lines[: blocks[0].start])) is not None
    insists = text in said or any(MEANT in words or SEVERAL in words for words in told)
    python = [names for block in blocks if (names := names_in(block.code)) is not None]
    works = any(_works(block.code, variables) for block in blocks)
    if not works and python and not any(_shows(names) for names in python) and (after or (around and text in said)):
        return Plan(code=None, intent="answer", text=text.strip())  # to run it would come to nothing
    if after and insists and ((not works and code is None) or _WORDS.search(task)):
        return Plan(code=None, intent="answer", text=text.strip())
    if code is None:
        return Plan(code=None, intent="unclear", text=text, again=SEVERAL)
    if (
        after and not insists and any(_IMPORTS_SKILLS.search(block.code) for block in blocks)
    ):  # it may be an example, and what it does cannot be undone
        return Plan(code=None, intent="unclear", text=text, again=MEANT)
    doubt = MEANT if after and not works and not insists else ""
    return Plan(code=code, intent="code", text=text, doubt=doubt)


def _plain(text: str) -> str:
    """Return the text with plain ends of lines, and without marks that nobody sees before a line's first character."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _ONE_LINE.sub(r"\1\2\3\n\1\4\n\1\2", re.sub(r"^[\ufeff\u200b]+", "", text, flags=re.MULTILINE))


def _one_of(codes: list[str]) -> str | None:
    """Return what to run of several blocks: the one there is, or all where each goes on from the ones before; else None."""
    codes = list(dict.fromkeys(codes))
    bound: set[str] = set()
    for number, code in enumerate(codes):
        names = names_in(code)
        if number and (names is None or not names.unbound & bound):
            return None
        bound |= set() if names is None else names.bound
    return "\n\n".join(codes)


def _blocks(text: str) -> list[Block]:
    found = list(islice(_python_in(text), _MOST_BLOCKS))
    if not found and (dedented := _dedented(text)) != text:
        # a fence that is indented by four or more is none in CommonMark; lines stay where they are
        found = list(islice(_python_in(dedented), _MOST_BLOCKS))
    return [block for block in found if block.code.strip()]


def _dedented(text: str) -> str:
    """Return the text with every indented fence, and the lines up to its end, moved to the left."""
    lines: list[str] = []
    indent = fence = ""
    for line in text.split("\n"):
        if not fence and (found := _INDENTED.match(line)) is not None:
            indent, fence = found[1], found[2]
            lines.append(line.removeprefix(indent))
            continue
        line = line.removeprefix(indent) if fence else line
        lines.append(line)
        if fence and line.strip() == fence:
            indent = fence = ""
    return "\n".join(lines)


def _python_in(text: str) -> Iterator[Block]:
    if not _FENCE.search(text):
        return
    # PERF: only blocks are wanted; without the rules for what is within a line a megabyte takes a third of the time, and
    # without those that read each paragraph again, as a heading or as a link's address, half of that
    parser = MarkdownIt("commonmark").disable(["inline", "lheading", "reference"])
    lines, at, left = text.split("\n"), 0, _MOST_LINES
    while left > 0:
        looked_at = lines[at : at + left]
        left -= len(looked_at)
        for token in parser.parse("\n".join(looked_at)):
            if token.type == "fence" and token.map is not None and _is_python(token.info, token.content):
                start = at + token.map[0]
                block = _repaired(Block(token.content, start, at + token.map[1]), token.markup, lines)
                yield Block(textwrap.dedent(block.code).rstrip(), start, block.end)
                if block.end != at + token.map[1]:
                    at = block.end
                    break
        else:
            return


def _is_python(info: str, code: str) -> bool:
    found = _LANGUAGE.match(info)
    language = found[1].lower() if found else ""
    return language in _PYTHON or (not language and bool(_CODE_LIKE.search(code)) and names_in(code) is not None)


def _repaired(block: Block, fence: str, lines: list[str]) -> Block:
    """Return the block as it was meant, where it ends too early or too late to be Python.

    Too late: the closing fence stands at the end of a line of code. Too early: a string in the code holds a fence.
    """
    if len(block.code) > MAX_CODE_CHARS or names_in(block.code) is not None:
        return block
    for found in (*_ends_within(block, fence), *_ends_behind(block, fence, lines)):
        if found.code.strip() and names_in(found.code) is not None:
            return found
    return block


def _ends_within(block: Block, fence: str) -> Iterator[Block]:
    code = block.code.split("\n")
    ends = [number for number, line in enumerate(code) if line.rstrip().endswith(fence) and line.strip() != fence]
    for number in ends[:_MOST_TRIES]:
        last = code[number].rstrip().rstrip(fence[0])
        yield Block("\n".join([*code[:number], last]), block.start, block.start + number + 2)


def _ends_behind(block: Block, fence: str, lines: list[str]) -> Iterator[Block]:
    indent = re.match(r"[ \t>]*", lines[block.start])
    prefix = indent[0] if indent else ""
    closing = re.compile(rf"[ \t>]*{re.escape(fence)}{re.escape(fence[0])}*[ \t]*")
    ends = [number for number in range(block.end, len(lines)) if closing.fullmatch(lines[number])]
    for number in ends[:_MOST_TRIES]:
        code = "\n".join(line.removeprefix(prefix) for line in lines[block.start + 1 : number])
        if len(code) > MAX_CODE_CHARS:
            return
        yield Block(code, block.start, number + 1)


# --- what code does ---


def _works(code: str, variables: Collection[str]) -> bool:
    """Tell whether code is there to be run: it imports skills, or goes on with what earlier code has bound."""
    if _IMPORTS_SKILLS.search(code):
        return True
    names = names_in(code)
    return names is not None and not names.unbound.isdisjoint(variables)


def _shows(names: Names) -> bool:
    """Tell whether something is seen of the code when it has run: a value, or what is printed."""
    return names.has_value or "print" in names.called
