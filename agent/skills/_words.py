"""Words and sentences of a text in any spacing script, and of Chinese and Japanese sentences.

Pure functions; any thread; imported by the text skills only. Every pattern runs in time linear in the text.
"""

import re

from callboard.agent.cancel import let_go

# A number with its points, commas and colons is one word, and so is an abbreviation such as e.g. or U.S.A.
WORD = re.compile(r"\d+(?:[.,:'’]\d+)+[^\W_]*|(?:[^\W\d_]\.){2,}|[^\W_]+(?:['’\-][^\W_]+)*")
PARAGRAPH_BREAK = re.compile(r"\n[^\S\n]*\n\s*")

# The lookbehind keeps a run of stops from being tried again at each of its characters.
_STOP = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]]*+(?=\s|$)|[。！？]++[」』”]*+")
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘]+$")
_ITEM = re.compile(r"\n(?=[^\S\n]*(?:[-*•]|\d{1,3}[.)])[^\S\n])")
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof sr jr st vs etc e.g i.e cf al fig figs no nos vol pp approx dept est inc ltd co corp gen col "
    "capt sgt rev hon jan feb mar apr jun jul aug sep sept oct nov dec a.m p.m u.s u.k ca eq sec ed".split()
)
_USUALLY_LAST = frozenset({"etc", "a.m", "p.m", "u.s", "u.k", "inc", "ltd", "co", "corp", "al", "jr", "sr", "no"})


def check_length(text: str, limit: int) -> None:
    """Raise `ValueError` for a text that would take too long."""
    if len(text) > limit:
        raise ValueError(f"The text has {len(text)} characters and the limit is {limit}; give it in parts.")


def words(text: str) -> list[str]:
    return WORD.findall(text)


def sentences(text: str) -> list[str]:
    """Return the sentences, each exactly as it stands in the text; list items and paragraphs end one as well."""
    found: list[str] = []
    for paragraph in PARAGRAPH_BREAK.split(text):
        for block in _ITEM.split(paragraph):
            found.extend(_of_block(block))
    return found


def _of_block(block: str) -> list[str]:
    found, start = [], 0
    for stop in _STOP.finditer(block):
        let_go()
        if _ends_sentence(block, start, stop):
            found.append(block[start : stop.end()].strip())
            start = stop.end()
    return [sentence for sentence in [*found, block[start:].strip()] if WORD.search(sentence)]


def _ends_sentence(block: str, start: int, stop: re.Match[str]) -> bool:
    if not stop[0].startswith("."):
        return True
    following = block[stop.end() : stop.end() + 40].lstrip()[:1]
    if following.islower():
        return False
    before = _LAST_WORD.search(block[max(start, stop.start() - 40) : stop.start()])
    word = before[0] if before else ""
    if len(word) == 1 and word.isupper() and word != "I":
        return False  # an initial, as in J. Smith
    if word.isdigit() and block[start : stop.start()].strip() == word:
        return False  # the number of a list item
    plain = word.lower()
    return plain not in _ABBREVIATIONS or (plain in _USUALLY_LAST and following.isupper())
