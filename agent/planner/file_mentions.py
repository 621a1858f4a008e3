"""Where a task speaks of its attached files: by name, as `this file`, and which sheet of a workbook.

A mention is cut out of the words and `HERE` stands for it. Pure functions; any thread; imported by `attachments`.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

HERE = "\ue000"
"""Stands in the words for the file that is asked about; a character of no language."""

_SHEET = "\ue001"
_QUOTE = r"[\"'`“”„‟‘’‚‛«»‹›「」『』]"
_KINDS = {
    "csv": "csv", "tsv": "tsv", "json": "json", "jsonl": "jsonl|json lines", "xlsx": "xlsx|excel|spread ?sheet|workbook", "pdf": "pdf",
    "html": "html|web ?page|page", "md": "markdown", "txt": "text|txt", "py": "python|py",
}  # fmt: skip
_KIND = "|".join(_KINDS.values())
_THING = rf"(?:{_KIND}|files?|attachment|document|data ?set|data|table|script|code|source|report|sheet|log)"
_WHICH = r"(?:the|this|that|my|our|these|given|following|attached|uploaded|enclosed|provided)"
_AROUND = rf"(?:\b(?:{_WHICH}\s+)*(?:{_THING}\s+){{0,2}}(?:(?:named|called)\s+)?)?"
_AFTER = r"(?:\s+(?:files?|attachment|spread ?sheet|workbook|document)\b)?"
_NO_FILES = frozenset({"node.js", "next.js", "nuxt.js", "vue.js", "react.js", "express.js", "three.js", "d3.js"})
_VERBS = "|".join(
    rf"(?<=\b{verb} )"
    for verb in (
        *("describe", "profile", "explore", "inspect", "summarize", "summarise", "analyze", "analyse", "examine"),
        *("review", "check", "audit", "scan", "lint"),
    )
)
_PATH = r"(?:[\w.~:-]{0,40}[/\\]){0,8}"
_GENERIC = re.compile(
    rf"\b(?:(?:{_WHICH}\s+)+(?:(?:{_KIND})\s+)?(?:files?|attachment|document|spread ?sheet|workbook|csv|tsv|json|excel|xlsx|pdf)"
    rf"|(?:{_WHICH}\s+)*(?:attached|uploaded)\s+(?:{_KIND}|files?|document|data|table|report|log)"
    rf"|what (?:is|i) attached)\b(?:\s+(?:attached|above|below))?",
    re.IGNORECASE,
)
_OTHER_NAME = re.compile(
    r"(?<![\w.@/])[\w()-][\w ()-]{0,60}?\.(?:csv|tsv|jsonl?|ndjson|xlsx?|xlsm|ods|txt|md|pdf|html?|py|js|ts|xml|ya?ml|docx?|log)(?!\w)",
    re.IGNORECASE,
)
_LEAD = re.compile(
    rf"(?:(?:here(?:'s| is| are)|this is|i (?:have|attached|have attached|uploaded)|i've (?:got|attached)|attached (?:is|are)|see|given|look(?:ing)? at|open|read|load|take|use"
    rf"|using|in|from|for|with|based on|according to|about|regarding)\s+)?{HERE}(?:['’]s)?(?:\s+(?:is\s+)?attached)?\s*[,.:;!?–-]*\s*(?:(?:and|to|then)\s+)?(?=\w)",
    re.IGNORECASE,
)
_CONTAINS = re.compile(rf"what\s+does\s+{HERE}\s+(?:contain|hold)\b", re.IGNORECASE)
_POINTS = re.compile(r"\b(?:it|this|that)\b(?!\s+(?:is|are|has)\b)", re.IGNORECASE)
_SPARE = re.compile(r"[\w'’.,:;?!-]+")


def mentions(text: str, names: Sequence[str]) -> tuple[list[tuple[str, str]], bool]:
    """Return each way to read the words as being about a file that they name, and whether they name it whole.

    A way is the file's name and the words with `HERE` for it. A name without its ending may be a word of the question too.
    """
    text = unicodedata.normalize("NFC", text)
    whole = [name for name in names if _named(name).search(text)]
    # of `data.csv` and `my data.csv` the longer one is meant where both fit, of two in folders that whose path is there
    whole = [name for name in whole if not any(name != other and name in other.rpartition("/")[2] for other in whole)]
    whole = [name for name in whole if "/" in name and name in text] or whole
    if whole:
        return [(name, _tidy(_named(name).sub(HERE, text))) for name in whole], True
    ways = []
    for name in names:
        stem = name.rpartition("/")[2].rpartition(".")[0]
        if stem and (words := _stem(stem).sub(HERE, text)) != text:
            ways.append((name, _tidy(words)))
    return ways, False


def generic(text: str, names: Sequence[str]) -> tuple[str, str] | None:
    """Return the file that words such as `this file` or `the PDF` mean, and the words with `HERE` for them."""
    for found in _GENERIC.finditer(text):
        meant = list(names)
        if len(names) > 1:
            said = found[0].lower()
            meant = [
                name
                for name in names
                if (kind := _KINDS.get(name.rpartition(".")[2].lower())) and re.search(rf"\b(?:{kind})\b", said)
            ]
        if len(meant) == 1:
            return meant[0], _tidy(f"{text[: found.start()]}{HERE}{text[found.end() :]}")
    return None


def other_name(words: str) -> str | None:
    """Return the name of a file that the words speak of, beside those that were found in them."""
    names = (found[0].split()[-1] for found in _OTHER_NAME.finditer(words))
    return next((name for name in names if name.lower() not in _NO_FILES), None)


def sheet_in(words: str, sheets: Sequence[str]) -> tuple[str | None, str]:
    """Return the sheet that is named, and the words with the file in its place."""
    for name in sorted(sheets, key=len, reverse=True):
        pattern = rf"{_QUOTE}?{re.escape(name)}{_QUOTE}?"
        named = rf"(?:the\s+)?(?:work)?(?:sheet|tab)\s+(?:(?:named|called)\s+)?{pattern}(?!\w)|(?:the\s+)?(?<!\w){pattern}\s+(?:work)?(?:sheet|tab)\b"
        near = rf"(?<!\w){pattern}\s+(?=(?:of|in|from)\s+{HERE})|(?<={HERE})\s*[(!,:]\s*{pattern}(?!\w)\)?"
        found = re.search(f"{named}|{near}", words, re.IGNORECASE)
        if found:
            text = f"{words[: found.start()]} {_SHEET} {words[found.end() :]}"
            text = re.sub(rf"{_SHEET}\s*(?:(?:of|in|from)\s+|[,(]\s*)?{HERE}\)?", HERE, text)
            text = re.sub(rf"{HERE}\s*(?:(?:on|in)\s+|[,(!:]\s*)?{_SHEET}\s*\)?", HERE, text)
            return name, _tidy(text.replace(_SHEET, HERE))
    return None, words


def ways_to_say(words: str, noun: str, *, pointing: bool = True) -> Iterator[str]:
    """Yield the words with a noun for the file, and as they are where they only lead to it or mean it without a word.

    `pointing` adds the noun to words that are too short without one, such as `describe it` and `find secrets`.
    """
    words = _CONTAINS.sub(f"what is in {HERE}", words)
    bare = [words]
    if (lead := _LEAD.match(words)) is not None:
        bare.append(words[lead.end() :])
    for text in bare:
        if HERE in text:
            yield text.replace(HERE, f"this {noun}")
            continue
        yield text
        if not pointing:
            continue
        if (found := _POINTS.search(text)) is not None:
            yield f"{text[: found.start()]}this {noun}{text[found.end() :]}"
        elif len(_SPARE.findall(text)) <= 5:
            plain = text.rstrip(" ?.!")
            yield from (f"{plain}{joint} this {noun}" for joint in ("", " of", " in"))


@lru_cache(maxsize=256)
def _named(name: str) -> re.Pattern[str]:
    """Return what finds a file's name as people write it: in any case, with spaces and signs that its name has not."""
    name = unicodedata.normalize("NFC", name).rpartition("/")[2]
    return re.compile(rf"{_AROUND}{_QUOTE}?(?<![\w.]){_PATH}{_loose(name)}{_QUOTE}?(?!\w|\.\w){_AFTER}", re.IGNORECASE)


_ENDS = r"(?!\w|[.-]\w)"  # of `data-2.csv` the `data` is no name of a file


@lru_cache(maxsize=256)
def _stem(stem: str) -> re.Pattern[str]:
    loose = _loose(unicodedata.normalize("NFC", stem))
    return re.compile(
        rf"(?:{_WHICH}\s+)*{_QUOTE}{loose}{_QUOTE}(?!\w){_AFTER}"
        rf"|(?:(?:{_WHICH}\s+)+|\b){_THING}\s+(?:(?:named|called)\s+)?{loose}{_ENDS}"
        rf"|(?<=\w\s){_WHICH}\s+{loose}\s+{_THING}\b"
        rf"|(?<!\w){loose}\s+(?:files?|{_KIND})\b"
        rf"|(?:(?<=\bin )|(?<=\bof )|(?<=\bfrom )|(?<=\bfor )|(?<=\bon )|(?<=\bwith )|(?<=\babout )|(?<=\busing ))(?:{_WHICH}\s+)*{loose}{_ENDS}{_AFTER}"
        rf"|(?:{_VERBS}){loose}(?=\s*(?:$|[?.!,]))|^{loose}(?=\s*[:,])",
        re.IGNORECASE,
    )


_SEPARATORS = re.compile(r"([\s_\u2010-\u2014\u2212-]+)")
_ANY_SEPARATORS = (
    r"[\s_\u2010-\u2014\u2212-]++"  # PERF: possessive, since a name of many could be tried in as many ways
)
_ALIKE = {**dict.fromkeys("'’‘ʼ`´", "['’‘ʼ`´]"), **dict.fromkeys("ßẞ", "(?:ß|ss)")}


def _loose(name: str) -> str:
    """Return a pattern of the name as it is typed: for spaces, dashes and underscores any of them, and any apostrophe."""
    parts = _SEPARATORS.split(name)
    words = ["".join(_ALIKE.get(char) or re.escape(char) for char in part) for part in parts[::2]]
    return _ANY_SEPARATORS.join(words)


def _tidy(words: str) -> str:
    """Return the words with one space between, and the file, where it stands apart, joined on."""
    words = " ".join(words.split())
    words = re.sub(rf"\(\s*(?:in\s+|see\s+)?{HERE}\s*\)|[,;]\s*{HERE}(?=\s*[?.!]?$)", f" in {HERE}", words)
    words = re.sub(rf"(?:\b(?:{_WHICH})\s+)+{HERE}", HERE, words, flags=re.IGNORECASE)
    return " ".join(words.split())
