"""What a model thinks, taken apart from what it says.

Rule: thoughts are not speech. Nobody reads them as an answer or as code; the log keeps them beside it. Some APIs have a
field of their own for them, which the adapters read. Others leave them in the text, between marks such as `<think>` and
`</think>`, or with the closing mark alone where the chat template has written the opening one. Pure. Imported by `tries.py`.
"""

import re
from bisect import bisect_right
from itertools import islice

_OPEN = re.compile(r"<(?:think|thinking|thoughts?|seed:think)(?:\s[^<>]{0,200})?>|\[THINK\]|◁think▷", re.IGNORECASE)
_CLOSE = re.compile(r"</(?:think|thinking|thoughts?|seed:think)\s*>|\[/THINK\]|◁/think▷", re.IGNORECASE)
_FRONT = re.compile(rf"{_OPEN.pattern}|<(?:reasoning|reflection|scratchpad|analysis|antthinking)>", re.IGNORECASE)
_FRONT_CLOSE = re.compile(
    rf"{_CLOSE.pattern}|</(?:reasoning|reflection|scratchpad|analysis|antthinking)\s*>", re.IGNORECASE
)
"""Marks that are thoughts' where an answer begins with them; further down they may be what was asked for."""

_OTHER_MARKS = (
    (re.compile(r"<\|start\|>\s*assistant\s*(?=<\|channel)|<\|channel\|>\s*final[^<]{0,40}<\|message\|>"), ""),
    (re.compile(r"<\|channel\|>\s*(?:analysis|commentary)[^<]{0,200}<\|message\|>"), "<think>"),
    (re.compile(r"<\|end\|>"), "</think>"),
    (re.compile(r"<\|(?:begin_of_thought|START_THINKING)\|>|<unused94>(?:thought)?"), "<think>"),
    (re.compile(r"<\|(?:end_of_thought|END_THINKING)\|>|<unused95>"), "</think>"),
    (re.compile(r"<\|(?:begin_of_solution|end_of_solution|START_RESPONSE|END_RESPONSE)\|>"), ""),
    (re.compile(r"\A\s*Thinking\.\.\.\n"), "<think>"),
    (re.compile(r"^\.\.\.done thinking\.$", re.MULTILINE), "</think>"),
    (re.compile(r"\A\s*<details type=\"reasoning\"[^>]{0,100}>"), "<think>"),
)
"""Other ways to mark thoughts: those of gpt-oss, Sky-T1, Command, Gemma, Ollama's own command and Open WebUI."""

_MARK = re.compile(f"(?P<open>{_OPEN.pattern})|(?P<close>{_CLOSE.pattern})", re.IGNORECASE)
_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})(.*)")
_FIRST = "<[◁"
_LONGEST_MARK = 240
_MOST_QUOTED = 50
_NEAR_CHARS = 200
_LONGEST_CLOSE = 16
_BLANK = " \t\r\n\ufeff\u200b"
_BLANKS = re.compile(f"[{_BLANK}]*")
_QUOTES = frozenset("`\"'“”‘’«»()")


def apart(text: str) -> tuple[str, str]:
    """Return what is said and what is thought in a whole text, in that order.

    A mark that is quoted, or stands in a block of code, is what the text speaks of and no mark.
    """
    text = _in_one_way(text)
    if _MARK.search(text) is None and _FRONT.match(text, _behind_blanks(text, 0)) is None:
        return text, ""
    thoughts: list[str] = []
    text = _without_leading(text, thoughts)
    said: list[str] = []
    position, opened = 0, None
    for mark in _real_marks(text):
        if mark["open"] is not None:
            opened = mark if opened is None else opened
        elif opened is not None:
            said.append(text[position : opened.start()])
            thoughts.append(text[opened.end() : mark.start()])
            position, opened = mark.end(), None
        else:  # the opening mark is missing: all before it is thought
            thoughts.append("".join((*said, text[position : mark.start()])))
            said, position = [], mark.end()
    if opened is not None and not _line_around(text, opened)[0].strip(_BLANK):  # thought until it was cut off
        said.append(text[position : opened.start()])
        thoughts.append(text[opened.end() :])
        position = len(text)
    said.append(text[position:])
    return "".join(said).strip(_BLANK), "\n\n".join(filter(None, (thought.strip() for thought in thoughts)))


def _without_leading(text: str, thoughts: list[str]) -> str:
    """Take off the blocks that the text begins with: whatever stands in them, the first closing mark ends each."""
    position = _behind_blanks(text, 0)
    while (opened := _FRONT.match(text, position)) is not None:
        closes = list(islice(_FRONT_CLOSE.finditer(text, opened.end()), _MOST_QUOTED))
        closed = next((mark for mark in closes if not _quoted(text, mark)), closes[0] if closes else None)
        thoughts.append(text[opened.end() : closed.start() if closed else None])
        position = _behind_blanks(text, closed.end()) if closed else len(text)
    return text[position:]


def _in_one_way(text: str) -> str:
    if not any(sign in text for sign in ("<|", "<unused9", "Thinking...", "<details")):
        return text
    thought = 'type="reasoning"' in text[:100]
    for pattern, mark in _OTHER_MARKS:
        text = pattern.sub(mark, text)
    return text.replace("</details>", "</think>", 1) if thought else text


def _behind_blanks(text: str, position: int) -> int:
    found = _BLANKS.match(text, position)
    return found.end() if found else position


def _real_marks(text: str) -> list[re.Match[str]]:
    """Return the marks that are meant, in order."""
    fences = _fences(text)
    starts = [start for start, _ in fences]
    found: list[re.Match[str]] = []
    opened_in: set[int] = set()
    for mark in _MARK.finditer(text):
        number = bisect_right(starts, mark.start()) - 1
        fenced = number >= 0 and mark.start() < fences[number][1]
        if not fenced:
            if not _quoted(text, mark):
                found.append(mark)
        elif mark["open"] is not None:
            opened_in.add(number)
        elif number not in opened_in and _is_line(text, mark):
            found.append(mark)  # a draft that was thought may leave a fence open, which seems to hold this mark then
    return found


def _fences(text: str) -> list[tuple[int, int]]:
    """Return where blocks of code begin and end, as CommonMark has it; one that is never closed is none."""
    found: list[tuple[int, int]] = []
    start, fence, position = 0, "", 0
    for line in text.splitlines(keepends=True):
        if (mark := _FENCE.match(line)) is not None:
            if not fence:
                start, fence = position, mark[1]
            elif mark[1].startswith(fence) and not mark[2].strip():
                found.append((start, position + len(line)))
                fence = ""
        position += len(line)
    return found


def _quoted(text: str, mark: re.Match[str]) -> bool:
    before, behind = _line_around(text, mark)
    return (before[-1:] in _QUOTES and behind[:1] in _QUOTES) or (before.count("`") % 2 == 1 and "`" in behind)


def _is_line(text: str, mark: re.Match[str]) -> bool:
    return not any(side.strip(_BLANK) for side in _line_around(text, mark))


def _line_around(text: str, mark: re.Match[str]) -> tuple[str, str]:
    """Return what stands before and behind a mark on its line, as far as that is near."""
    before = text[max(0, mark.start() - _NEAR_CHARS) : mark.start()]
    return before.rpartition("\n")[2], text[mark.end() : mark.end() + _NEAR_CHARS].partition("\n")[0]


class Listener:
    """Tells speech from thoughts while they come, as far as that can be told before the end: by the blocks in front."""

    def __init__(self) -> None:
        self._held = ""
        self._in: str = "front"  # or "thoughts", or "speech"

    def feed(self, text: str) -> tuple[str, str]:
        """Return what of this text, and of what was held back before, is said, and what is thought."""
        self._held += text
        thought = ""
        while True:
            if self._in == "front" and not self._look():
                return "", thought
            if self._in == "speech":
                said, self._held = self._held, ""
                return said, thought
            closed = _CLOSE.search(self._held)
            if closed is None:
                whole = self._without_tail()
                thought, self._held = thought + self._held[:whole], self._held[whole:]
                return "", thought
            thought += self._held[: closed.start()]
            self._held, self._in = self._held[closed.end() :].lstrip(_BLANK), "front"

    def _look(self) -> bool:
        """Find out what the text in front is; return whether that can be known yet."""
        rest = self._held.lstrip(_BLANK)
        if (opened := _OPEN.match(rest)) is not None:
            self._held, self._in = rest[opened.end() :], "thoughts"
            return True
        if not rest:
            self._held = self._held[-_NEAR_CHARS:]  # so that blanks by the million are not looked at again and again
            return False
        if rest[0] in _FIRST and len(rest) < _LONGEST_MARK and not re.search(r"[>\]▷\n]", rest):
            return False
        self._in = "speech"
        return True

    def _without_tail(self) -> int:
        """Return how much of what is held cannot be the beginning of a closing mark."""
        tail = self._held[-_LONGEST_CLOSE:]
        begins = max(tail.rfind(first) for first in _FIRST)
        return len(self._held) - (len(tail) - begins if begins >= 0 else 0)
