"""Whether an answer says anything, and whether it ends in the middle of code. Pure. Imported by `tries.py`."""

import re
import unicodedata

_END_MARKS = (
    "</s>",
    "<｜end▁of▁sentence｜>",
    *(f"<|{name}|>" for name in ("im_end", "endoftext", "eot_id", "end", "return", "end_of_text")),
)
_END_MARK = re.compile("|".join(map(re.escape, _END_MARKS)))
_LONGEST_END_MARK = max(map(len, _END_MARKS))
_FENCES_ALONE = re.compile(r"\s*+(?:`{3,}+|~{3,}+)[\w+-]*+\s*+(?:(?:`{3,}+|~{3,}+)\s*+)?")
_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})(.*)")
_UNSEEN = frozenset("\u115f\u1160\u2800\u3164\ufe0f\uffa0\ufffd")


def without_end_marks(text: str) -> str:
    """Return a text without the marks that end a turn, which some servers leave in it."""
    end, found = len(text), _END_MARK.fullmatch
    while True:
        # PERF: what is left is not copied for each mark, of which a text may have thousands
        bare = end
        while bare and text[bare - 1].isspace():
            bare -= 1
        begin = text.rfind("<", max(0, bare - _LONGEST_END_MARK), bare)
        if begin < 0 or found(text, begin, bare) is None:
            return text[:end]
        end = begin
        while end and text[end - 1].isspace():
            end -= 1


def says_nothing(text: str) -> bool:
    """Tell whether a reader would see nothing: blanks, marks that are not seen, a fence with nothing in it."""
    if _FENCES_ALONE.fullmatch(text):
        return True
    return all(unicodedata.category(character)[0] in "ZC" or character in _UNSEEN for character in text)


def ends_in_code(text: str) -> bool:
    """Tell whether a block of code is open at the end of a text."""
    fence, lines = "", text.splitlines()
    for line in lines:
        if (mark := _FENCE.match(line)) is None:
            continue
        if not fence:
            fence = mark[1] if mark[1][0] not in mark[2] else ""
        elif mark[1].startswith(fence) and not mark[2].strip():
            fence = ""
    return bool(fence) and not lines[-1].rstrip().endswith(fence)
