"""A task as every recogniser looks at it: without its courtesies, and apart from the text, code or data it brings.

Pure functions; any thread; imported by the recognisers. Everything here takes time linear in the task.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from callboard.agent.planner.syntax import PYTHON, parses
from callboard.values import unmarked_within

MAX_LINE_CHARS = 500
_MAX_FENCES = 50
_MOST_JOINED = 12
_HEAD_CHARS = 300
_TAIL_CHARS = 120

_COURTESY = re.compile(
    r"(?:hi|hello|hey|greetings|good (?:morning|afternoon|evening))(?: there| callboard| again| all)?(?:[,!.]+\s*|\s+)"
    r"|(?:please|kindly|ok|okay|so|now|well)[,]?\s+"
    r"|(?:can|could|would|will) (?:you|u) (?:please )?(?:help me (?:to )?)?"
    r"|help me (?:to )?"
    r"|i(?:'d| would)? (?:want|need|like) (?:you )?to ",
    re.IGNORECASE,
)
_TAG = re.compile(r"[\w+#.\-]{0,20}")
_COLON = re.compile(r":(?!\d|//)\s*|\n\s*")
_QUOTES = {'"': '"', "“": "”", "'": "'", "‘": "’", "«": "»", "`": "`"}
_OPENING = re.compile(r"(?<!\w)[\"“'‘«`](?=\S)")
_CLOSING_WORDS = ("please", "thanks", "thank you", "for me")


@dataclass(frozen=True, slots=True)
class Fence:
    """A block between ``` marks, and the language named after the first."""

    tag: str
    content: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One task, read.

    `text` is the task, `ask` the task without greeting and politeness, `outside` that without fenced blocks.
    `line` is `outside` in lower case on one line without closing marks, or empty if it is longer than a question is.
    """

    text: str
    ask: str
    outside: str
    line: str
    fences: tuple[Fence, ...]


def read(task: str) -> Reading:
    text = unmarked_within(task).strip()
    ask = _without_courtesy(text)
    fences, outside = _fences(ask) if "```" in ask else ((), ask)
    line = " ".join(outside.lower().replace("’", "'").split()) if len(outside) <= MAX_LINE_CHARS else ""
    return Reading(text, ask, outside, _without_closing(line), fences)


def _without_courtesy(text: str) -> str:
    position = 0
    for _ in range(5):
        found = _COURTESY.match(text, position)
        if not found:
            break
        position = found.end()
    return text[position:].strip() or text


def _without_closing(line: str) -> str:
    line = line.rstrip(" ?.!")
    for words in _CLOSING_WORDS:
        if line.endswith(words):
            line = line.removesuffix(words).rstrip(" ?.!,")
    return line


def _fences(ask: str) -> tuple[tuple[Fence, ...], str]:
    """Return the fenced blocks, and the rest; a block that is never closed goes to the end."""
    parts = _whole(ask.split("```", 2 * _MAX_FENCES))
    blocks = [_fence(part) for part in parts[1::2]]
    return tuple(block for block in blocks if block.content.strip()), " ".join(
        part.strip() for part in parts[0::2]
    ).strip()


def _whole(parts: list[str]) -> list[str]:
    """Return the parts, blocks at odd places, with Python put together where a string in it holds a fence."""
    found: list[str] = []
    at = 0
    while at < len(parts):
        end = at + 1
        if len(found) % 2 and _fence(parts[at]).tag in PYTHON and not parses(_fence(parts[at]).content):
            longer = range(at + 3, min(len(parts), at + 2 * _MOST_JOINED) + 1, 2)
            end = next((end for end in longer if parses(_fence("```".join(parts[at:end])).content)), end)
        found.append("```".join(parts[at:end]))
        at = end
    return found


def _fence(part: str) -> Fence:
    first, newline, rest = part.partition("\n")
    if newline:
        tag = first.strip()
        return Fence(tag.lower(), rest.rstrip()) if _TAG.fullmatch(tag) else Fence("", part.strip())
    word, _, rest = part.strip().partition(" ")
    known = word.lower() in ("python", "py", "python3", "javascript", "js", "typescript", "ts", "json", "csv", "java")
    return Fence(word.lower(), rest.strip()) if known and rest.strip() else Fence("", part.strip())


@dataclass(frozen=True, slots=True)
class Material:
    """What a task is about, and the words of the request before and after it.

    `marked`: a fence or quotes say where it begins and ends, so that no word of the request is in it.
    """

    before: str
    content: str
    after: str = ""
    marked: bool = False


def find_material(reading: Reading, start: int) -> Material | None:
    """Return the text that a request brings along, `start` being where its first words end in `outside`.

    That is a fenced block, what stands in quotes, or what follows a colon or the first line; None if there is none.
    """
    rest = reading.outside[start:]
    if reading.fences:
        return Material(rest[:_HEAD_CHARS], "\n\n".join(fence.content for fence in reading.fences), marked=True)
    mark, quote = _COLON.search(rest, 0, _HEAD_CHARS), _OPENING.search(rest, 0, _HEAD_CHARS)
    if quote and (not mark or quote.start() < mark.start()):
        closing = rest.rfind(_QUOTES[quote[0]], quote.end())
        if closing > quote.end() and len(rest) - closing <= _TAIL_CHARS:
            return Material(rest[: quote.start()], rest[quote.end() : closing], rest[closing + 1 :], marked=True)
    if not mark or not rest[mark.end() :].strip():
        return None
    content = rest[mark.end() :].strip()
    unquoted = _unquoted(content)
    return Material(rest[: mark.start()], unquoted, marked=unquoted != content)


def quoted(material: Material) -> Material:
    """Return the material without what stands behind its quotes, where it begins with some: `"a b" in five words`."""
    text = material.content
    close = _QUOTES.get(text[:1])
    if material.marked or close is None or text.count(close) != 1 + (close == text[0]):
        return material
    end = text.index(close, 1)
    return replace(material, content=text[1:end], after=text[end + 1 :], marked=True)


def _unquoted(text: str) -> str:
    closing = _QUOTES.get(text[0])
    inside = text[1:-1]
    return inside.strip() if closing and len(text) > 2 and text[-1] == closing and closing not in inside else text


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def matched(patterns: Iterable[str], text: str) -> re.Match[str] | None:
    """Return what the first of the patterns that fits the whole text has found.

    PERF: each is compiled when it is first tried: those of dates and durations would take a start 60 ms of its 800.
    """
    return next((found for pattern in patterns if (found := _compiled(pattern).fullmatch(text))), None)
