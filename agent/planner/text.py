"""Texts that the task brings along: summaries and counts.

A text has to be marked off by a fence, quotes, a colon or a line of its own, so that `how many words are in the
Bible?` is not taken for one. Any thread; imported by the offline planner.
"""

import re
from typing import Any, NoReturn

from callboard.agent.planner.base import Plan, PlanRequest, call_plan, no_fit
from callboard.agent.planner.numbers import whole_number
from callboard.agent.planner.reading import Material, Reading, find_material, quoted
from callboard.agent.planner.wishes import beside_text
from callboard.errors import TaskError

_SUMMARY = re.compile(
    r"(?:briefly )?summari[sz]e\b|sum(?:ming)? up\b|tl;? ?dr\b|condense\b|shorten\b|give (?:me )?(?:a|an|the) (?:[\w-]+ ){0,3}(?:summary|tl;?dr)\b"
    r"|(?:(?:write|make|create|provide|produce|i need) )?(?:a |an |the )?(?:[\w-]+ ){0,2}summary\b(?= (?:of|for|about)|:|\n)"
    r"|(?:what are|list|give me|extract) the (?:main|key|most important) (?:points|ideas|sentences)\b|key points\b(?= of| in|:)"
    r"|make (?:this|it|the (?:following )?text) (?:much )?shorter\b|what(?:'s| is) the gist of\b",
    re.IGNORECASE,
)
_TAIL_CHARS = 150
_SUMMARY_LAST = re.compile(
    r"(?:\n\s*|[.!?:]\s+)(?:please )?(?:(?:can|could) you )?(?:summari[sz]e|tl;? ?dr|sum up)\b([^\n]{0,100})$",
    re.IGNORECASE,
)
_SENTENCES = re.compile(
    r"\b(?:in|into|to|using|with|of)?\s*(?:about |at most |no more than |up to |max(?:imum)? |only |exactly )?(\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten)[ -](?:single |short |key |simple )?sentences?\b",
    re.IGNORECASE,
)
_MOST_SENTENCES = 20
_MOST_REQUEST_CHARS = 500
_SUMMARY_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SUMMARY_WORDS = frozenset(
    "summarize summarise summarizing summarising sum summing up tl dr tldr condense shorten summary short shorter brief briefly concise "
    "concisely quick quickly key main most important points ideas sentences sentence gist a an the of for about to in "
    "into from what what's is are give me write make create provide produce extract list i need much it this that "
    "these those following above below my our here here's read consider given please thanks thank you can could "
    "text texts article paragraph paragraphs passage email document story report paper essay post blog news chapter "
    "section message letter note notes piece content contents few".split()
)
_ADDRESS = re.compile(r"\S{1,10}://\S+")
_INTRODUCTION = re.compile(r"(?:here(?:'s| is)|this is|consider|read|given)\b[^:\n]{0,60}:\s*", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?](?:\s|$)")
_WHOLE_TEXT_WORDS = 25

_WHAT = {
    "words": "words", "word": "words", "characters": "characters", "character": "characters", "chars": "characters",
    "letters": "letters", "letter": "letters", "sentences": "sentences", "sentence": "sentences", "paragraphs": "paragraphs",
    "paragraph": "paragraphs", "lines": "lines", "line": "lines", "unique words": "uniqueWords", "distinct words": "uniqueWords",
    "different words": "uniqueWords", "average word length": "averageWordLength", "average sentence length": "averageSentenceLength",
    "reading time": "readingTimeSeconds", "most common words": "mostFrequentWords", "most frequent words": "mostFrequentWords",
    "word frequency": "mostFrequentWords", "word frequencies": "mostFrequentWords",
}  # fmt: skip
_PLURALS = "|".join(sorted((name for name in _WHAT if name.endswith("s")), key=len, reverse=True))
_NOUNS = "text|sentence|phrase|passage|paragraph|string|word|article|essay|quote|line"
_COUNT = re.compile(
    rf"(?:how many|count(?: up)?(?: all)?(?: the)?(?: number of)?|(?:what(?:'s| is) )?(?:the )?number of|the total (?:number )?of) (?P<many>{_PLURALS})\b"
    rf"|(?:what(?:'s| is) the |give me the |get the |the )?(?P<one>word|character|letter|sentence|line|paragraph)[ -]count\b"
    rf"|(?:what(?:'s| is| are) the |give me the |find the |list the |the )?(?P<of>{'|'.join(n for n in _WHAT if ' ' in n)})\b"
    r"|(?:(?:give|show|compute|calculate|get)(?: me)? )?(?:the |some )?(?:text[ -]|basic )?(?:statistics|stats)\b(?P<all>)"
    r"|analy[sz]e (?:this|the(?: following)?|my) (?:text|paragraph|passage|sentence|essay|article)\b(?P<whole>)",
    re.IGNORECASE,
)
# The possessive quantifiers matter: some words here can be read in two ways, which would take time without end.
_JOINING = re.compile(
    rf"\s*(?:(?:are|is|does|do|has|have|there|contained|used|appear|of|in|for|on|about|at|from|this|that|the|my|following|below|given|a|here|we|it"
    rf"|{_NOUNS}|texts?|contain|says?)\b[\s,]*+)*+",
    re.IGNORECASE,
)
_LEAD = re.compile(
    rf"\s*(?:(?:of|for|about|the|this|that|following|below|above|my|given|a|an|in|into|to|short|brief|briefly|please|at|most|only"
    rf"|{_NOUNS}|texts?|email|document|story|report|paper|one|two|three|four|five|\d{{1,3}}|sentences?)\b[\s,]*+)++[?.!:]\s+",
    re.IGNORECASE,
)
_COURTESY = re.compile(r"(?:[,.!?]\s*|\s+|^)(?:please|thanks|thank you|for me)$", re.IGNORECASE)
_ASKED = re.compile(r"\?\s+(?=\S)")
_NAMED = re.compile(
    rf"\s*(?:(?:are|is|there|contained|used)\s+)*(?:of|in|for)\s+the\s+(?P<noun>{_NOUNS})\s+(?P<text>\S.*)",
    re.IGNORECASE | re.DOTALL,
)

_TWO_QUOTED = re.compile(r"""[ ]?(["“'‘])[^"”'’]{1,60}["”'’] [^"“'‘]{1,60}["“'‘]""")


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    return _summary(reading, request) or count(reading, request)


def _summary(reading: Reading, request: PlanRequest) -> Plan | None:
    opening = _SUMMARY.match(reading.outside)
    if opening:
        material = find_material(reading, opening.end()) or _running_on(reading.outside[opening.end() :])
        material = material and quoted(material)
    else:
        last = _SUMMARY_LAST.search(reading.outside, max(0, len(reading.outside) - _TAIL_CHARS))
        if not last:
            return None
        material = (
            find_material(reading, 0)
            if reading.fences
            else Material(last[1], _INTRODUCTION.sub("", reading.outside[: last.start() + 1], count=1))
        )
    if material is None or not material.content.strip() or _ADDRESS.fullmatch(material.content.strip()):
        raise no_fit(
            "There is no text to summarise in this task. Put the text itself behind the request, as in "
            "'Summarize: …', or attach a file; the built-in planner cannot fetch pages or look back at earlier tasks."
        )
    # Around blocks all that is said counts; `before` holds only its beginning.
    request_words = (
        reading.outside if reading.fences else f"{opening[0] if opening else ''} {material.before} | {material.after}"
    )
    limit = _summary_limit(request_words)
    wish = None if material.marked else beside_text(material.content.strip())
    if wish:
        raise _unclear(wish, "summarise")
    return call_plan(request, "summary", "summarize", material.content.strip(), **limit)


def _unclear(wish: str, verb: str) -> TaskError:
    shown = wish if len(wish) <= 80 else wish[:77] + "..."
    return no_fit(
        f"{shown!r} may belong to the text or say how to {verb} it. Put the text between quotes or ``` marks, and "
        "what is wished in front of it."
    )


def _summary_limit(words: str) -> dict[str, Any]:
    """Return the number of sentences that the request asks for; raise `TaskError` if it asks for anything else."""
    if len(words) > _MOST_REQUEST_CHARS:
        raise _no_such_summary("the request is too long")
    asked = [whole_number(number.lower()) or 0 for number in _SENTENCES.findall(words)]
    unknown = [word for word in _SUMMARY_WORD.findall(_SENTENCES.sub(" ", words)) if word.lower() not in _SUMMARY_WORDS]
    if unknown:
        raise _no_such_summary(f"{unknown[0][:40]!r} is not understood")
    if len(asked) > 1 or not all(1 <= number <= _MOST_SENTENCES for number in asked):
        raise _no_such_summary("the number of sentences is not one of these")
    return {"max_sentences": asked[0]} if asked else {}


def _no_such_summary(reason: str) -> TaskError:
    return no_fit(
        f"A summary here is the most telling sentences of the text as they stand, 1 to {_MOST_SENTENCES} of them, and "
        f"nothing else can be asked of it: {reason}. Write it like 'Summarize in 2 sentences: …'."
    )


def _running_on(rest: str) -> Material | None:
    """Take a text that follows without any mark for one if it is clearly longer than an instruction."""
    sentences = len(_SENTENCE_END.findall(rest[:2000]))
    if sentences >= 2 or len(rest[:2000].split()) >= _WHOLE_TEXT_WORDS:
        lead = _LEAD.match(rest)
        text = rest[lead.end() :] if lead else rest.lstrip(" ,-")
        if not lead and text[:1].islower():
            raise no_fit("Where the text to summarise begins is not clear. Put a colon in front of it: 'Summarize: …'.")
        return Material(lead[0] if lead else "", text)
    return None


def count(reading: Reading, request: PlanRequest) -> Plan | None:
    """Plan the counts of a text, and nothing else."""
    opening = _COUNT.match(reading.outside)
    if not opening or _TWO_QUOTED.match(
        reading.outside, opening.end()
    ):  # of `letters "a" in "banana"` neither is the text
        return None
    text = _counted(reading, opening.end())
    if text is None:
        return None
    what = opening["many"] or opening["one"] or opening["of"]
    key = f"[{_WHAT[' '.join(what.lower().split())]!r}]" if what else ""
    return call_plan(request, "text-statistics", "text-statistics", text, then=key)


def _counted(reading: Reading, start: int) -> str | None:
    """Return the text to count; raise `TaskError` where words beside it are not understood."""
    material = find_material(reading, start)
    material = material and quoted(material)
    if material and reading.fences:
        return material.content if _only_joins(reading.outside[start:]) else _not_understood(reading.outside[start:])
    if material and _only_joins(material.before.rstrip(" ?.!:\n")):
        if material.marked:
            return material.content if _only_joins(material.after) else _not_understood(material.after)
        return _unmarked(material.content)
    joins = _JOINING.match(reading.outside, start)
    asked = _ASKED.match(reading.outside, joins.end()) if joins else None
    if asked:
        return _unmarked(reading.outside[asked.end() :])
    named = _NAMED.fullmatch(reading.outside, start)
    if not named or len(named["text"]) > 2000:
        return None
    text = named["text"].strip().rstrip("?").rstrip()
    return _unmarked(text) if named["noun"].lower() != "word" or " " not in text else None


def _unmarked(text: str) -> str:
    wish = beside_text(text.strip(), counted=True)
    if wish:
        raise _unclear(wish, "count")
    return text


def _not_understood(words: str) -> NoReturn:
    shown = " ".join(words.split()).strip(" :?.,!")
    raise no_fit(f"Beside the text to count stands {shown[:80]!r}, which is not understood.")


def _only_joins(words: str) -> bool:
    return bool(_JOINING.fullmatch(_COURTESY.sub("", words.strip(" :?.,!\n\t")).strip(" :?.,!\n\t")))
