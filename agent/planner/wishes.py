"""Wishes that stand beside a text, not in it: `… in five words`, `(keep it short)`, `… without stop words`.

Where nothing marks a text off from them, a wish cannot be told from its last or first words: taken as text it would be
counted or summarised, passed over it would be disobeyed. So it is found here, and the task refused. Pure functions; any
thread; imported by the recognisers of texts, code and searches.
"""

import re
from functools import cache

_EDGE_CHARS = 160
_LANGUAGE = (
    "(?:english|german|french|spanish|italian|portuguese|dutch|russian|chinese|mandarin|japanese|korean|arabic|hindi|polish|"
    "turkish|swedish|danish|norwegian|finnish|greek|hebrew|czech|latin|ukrainian|romanian|hungarian|vietnamese|thai|persian|"
    "deutsch|français|español|another language|other languages)"
)
_COUNTED = (
    r"(?:words?|sentences?|characters?|chars|letters?|lines?|bullets?|(?:bullet|key|main)[ -]?points?|points|paragraphs?|"
    r"items|tweets?|syllables|tokens|percent|%)"
)
_SHAPE = (
    r"(?:style|tone|manner|voice|form|format|list|table|json|csv|xml|yaml|html|markdown|nutshell|haiku|limerick|poem|rhymes?|"
    r"verse|headlines?|tweet|title|terms|uppercase|lowercase|caps|capitals|upper[ -]case|lower[ -]case|bold|italics|emojis?|"
    r"outline|(?:reverse |alphabetical |descending |ascending )order|bullets?|detail|brief|short|own words)"
)
_LEFT_OUT = (
    r"(?:stop[ -]?words?|punctuation|(?:white[ -]?)?spaces?|blanks?|duplicates?|repeats|repetitions?|numbers|digits|titles?|"
    r"names|articles|quotes|quotations|capitals?|vowels|consonants|commas|full stops|adjectives|prepositions|jargon|headings?|"
    r"headers?|emojis?|opinions?|details|names?|the words?\b.*|the letters?\b.*|[\"'‘“].*)"
)
_TELL = (
    r"(?:count|translate|summari[sz]e|list|tell|give|explain|show|keep|make|sort|reverse|print|return|write|rewrite|send|save|"
    r"ignore|exclude|skip|omit|compare|fix|describe|answer|shorten|rank|highlight|correct|check|find|analy[sz]e|simplify|"
    r"rephrase|paraphrase|email|post|limit|use|add|remove|replace|convert|turn|open|call)"
)
_IMPERATIVE = (
    r"(?:keep (?:it|this|that|the)|make (?:it|this|that|sure|the)|be (?:very |as )?(?:brief|short|concise|quick|careful|exact|precise|polite|funny)|"
    r"limit (?:it|this|the|your|yourself)|use (?:only |at most |no more than |up to )?(?:[\w-]+ )?(?:bullets?|bullet points|words|sentences|english|markdown|json|emojis?|language|terms|tone)|"
    r"(?:do not|don['’]?t|never) (?:use|include|mention|count|exceed|repeat|add|translate|summari[sz]e|forget|tell|explain|change|answer|write)|"
    r"(?:answer|reply|respond|write|say|put|give|show|return|output|format|phrase|translate|express) (?:it|this|that|them|me|only|in|as|with|the (?:answer|result|summary))|"
    r"(?:translate|summari[sz]e|ignore|exclude|omit|disregard|leave out|count)\b(?! themselves)|include only|focus on|only (?:the|use|count|include)|"
    rf"(?:no|not) (?:more|longer|less|fewer) than|at most|at least|max(?:imum)?\b|in (?:{_LANGUAGE}|\S+ (?:short |simple )?{_COUNTED})|"
    r"(?:short|shorter|brief|briefly|concise|concisely|no|only|without|with|as|bullet)\b(?=[^.!?]{0,20}$|[^.!?]{0,40}\b(?:please|only|points?|words?|sentences?)\b)|"
    r"(?:and|also|then)\b.{0,40}\?|how many (?:words|letters|characters|sentences|lines)|what (?:is|are) the (?:main|key|number)|"
    rf"(?:return|output|print|produce) (?:only )?{_SHAPE}|(?:you have|you get) \S+ {_COUNTED}|(?:tl;?dr|asap)\b|#\w|"
    rf"\S+ {_COUNTED}(?: (?:only|max|please))?[.!]*$|(?:please|pls)\b)"
)
_LEAD = r"(?:(?:and|but|then|also|now|just|so|please|ok|oh|ps|p\.s\.|note)[ ,:]+){0,3}"
_AT_END = (
    rf"(?:^|[\s,;(—-])(?P<wish>"
    rf"(?:(?:but|and|only|all|please)\s+)*(?:in|into|as|using|with|within|under|below|over|max|maximum|most|only|exactly|than|to|of|about|around|by)\s+(?:[\w'-]+\s+){{0,4}}{_COUNTED}(?:\s+(?:or (?:less|fewer|so)|max(?:imum)?|only|each|at most|long|please|total))*"
    rf"|(?:{{N}}|\d+)\s+{_COUNTED}\s+(?:or (?:less|fewer|so)|max(?:imum)?|only|at most|please)"
    rf"|(?:in|into|to)\s+(?:[\w-]+\s+){{0,2}}{_LANGUAGE}"
    rf"|(?:in|as|using|with)\s+(?:(?:a|an|the|your|my)\s+)?(?:[\w-]+\s+){{0,2}}{_SHAPE}"
    rf"|(?:without|with no|no|minus|less|except(?: for)?|but not|and no|not)\s+(?:(?:the|any|all|its|counting|including|using)\s+)*{_LEFT_OUT}"
    rf"|(?:ignoring|excluding|omitting|disregarding|skipping|leaving out|not counting|not including|counting|including only|except for)\s+\S.{{0,60}}"
    rf"|(?:case[ -](?:in)?sensitive(?:ly)?|briefly|concisely|alphabetically|word by word|verbatim)"
    rf"|(?:and|then|but|also)\s+(?:(?:then|also|please|only|not|do not|don['’]t|just)\s+)*{_TELL}\b.{{0,80}}"
    rf")(?:,?\s+(?:please|thanks|thank you|only|too|instead))*[)\s.!?…]*$".replace("{N}", r"(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|fifty)")
)  # fmt: skip
_SENTENCE = rf"{_LEAD}{_IMPERATIVE}"
_BRACKET = rf"[(\[{{](?:{_LEAD}{_IMPERATIVE}|(?:in|as|using|with|without|ignoring|excluding|except|including|not|no|only|max|at|under|up|about)\b|{_TELL}\b|short|brief|\S+ {_COUNTED})[^()\[\]{{}}]{{0,100}}[)\]}}]"
_HEAD = rf"\s*(?:{_LEAD}{_IMPERATIVE}|(?:in|as|using|with|without|ignoring|excluding|except|only|max|at most|under|briefly)\b)[^.!?\n:]{{0,60}}:\s"
_QUESTION = re.compile(
    r"(?:what|who|whom|whose|where|when|why|how|which|is|are|was|were|does|do|did|can|could|would|should|has|have)\b[^.!?]{1,80}\?$",
    re.IGNORECASE,
)
# What counts of a text are asked for in, besides; a text may end so, too.
_BESIDE_COUNT = (
    rf"(?:^|\s|,)(?P<wish>(?:twice|only (?:once|unique)\b.*|unique only|in total|altogether|if (?:you|it|they)\b.*|per \w+|by \w+|in each \w+|for each \w+|"
    rf"(?:that |which )?(?:start|end|begin)(?:s|ing)? with \S.*|(?:longer|shorter|more|less|fewer) than \S.*|(?:of|with) (?:more|less|fewer) than \S.*|"
    rf"except\b.*|and (?:the |its )?(?:{_COUNTED})|as an? (?:number|integer|digit|word)|then \S.*|(?:times|multiplied by|divided by|plus|minus) \S+|[-+*/×÷] ?\d+|"
    rf"ok(?:ay)?\??|right\??))[\s.!?]*$"
)
_END_OF_SENTENCE = re.compile(r"(?:[.!?…]+[\"'”’)]*|[\n;—]|\s-)\s+")
_TRAILING = re.compile(r"(?<=[a-z]{4}[.!?])[\"'”’)]?(?:,|;|\s)\s*(?P<wish>[a-z(][^.!?]{0,120}[.!?]?)$")
_COURTESY_LAST = re.compile(r"(?:^|[\s,.!])(?P<wish>please|pls|thanks|thank you|thx|for me)[\s.!]*$", re.IGNORECASE)
_BESIDE_CODE = (
    rf"\b(?:only|but|except|ignor\w+|exclud\w+|without|skip\w*|omit\w*|instead|\w+n['’]t|dont|not|never|no more than|at most|at least|briefly|"
    rf"top \w+|first \w+ (?:issues?|findings?|problems?)|(?:in|into|to) {_LANGUAGE}|(?:in|as) (?:a |an )?{_SHAPE}|"
    rf"(?:\w+ )?bullet points?|keep it|in (?:\w+ ){{1,3}}{_COUNTED}|translate|rewrite|refactor|explain|optimi[sz]e|"
    rf"fix(?:es)?|(?:and|then|also)\s+(?:(?:then|also|please)\s+)*(?!check|find|review|report|list|analy|show|tell me what|tell me if|count)(?:{_TELL}|run|test|document|improve|refactor|rate)|"
    rf"twice|\d+ times|if (?:it|there)|when|tomorrow|later)\b"
)  # fmt: skip
_BEHIND_CODE = (
    rf"(?:^|[\s,;.)}}])(?P<wish>(?:(?:and|then|but|please|also) )*(?:fix|explain|translate|rewrite|refactor|summari[sz]e|simplify|optimi[sz]e|improve|document|run|ignore|skip) "
    rf"(?:it|this|that|them|the \w+)\b[^\n]{{0,60}}|(?:in|into|to) {_LANGUAGE}|in (?:\w+ ){{1,3}}{_COUNTED}|keep it short|briefly|as (?:a )?{_SHAPE}|without \w+ (?:issues|findings|warnings)|only \w+ (?:issues|findings|errors))[\s.!]*$"
)
_BESIDE_QUERY = rf"\b(?:in (?:\w+ ){{1,3}}(?:words|sentences|lines)|(?:in|as) (?:a )?(?:bullet points?|bullets|list|table|json)|(?:and|then)\s+(?:(?:then|also|please)\s+)*{_TELL}\b.*|(?:top|first|only|at most|just) (?:the )?(?:\w+ )?(?:results?|hits?|links?|pages?)\b.*)$"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return the pattern; PERF: to compile them all takes 15 ms, which the first text pays and no start."""
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


def beside_text(text: str, *, counted: bool = False) -> str | None:
    """Return the wish that an unmarked text seems to begin or end with; None if there is none.

    `counted`: each word of it counts, so that even a `please` may not be taken for one.
    """
    start, end = text[:_EDGE_CHARS], text[-_EDGE_CHARS:]
    if found := _compiled(_HEAD).match(start):
        return found[0].strip()
    if found := _compiled(rf"\s*{_BRACKET}").match(start) or _compiled(rf"{_BRACKET}[\s.!?]*$").search(end):
        return found[0].strip()
    whole = len(text) <= _EDGE_CHARS
    sentences = [part for part in _END_OF_SENTENCE.split(end) if part.strip()]
    first = [part for part in _END_OF_SENTENCE.split(start) if part.strip()][:1]
    # The first of a cut text begins anywhere; the first of a whole one is what the text is.
    asides = sentences[1:] if whole else sentences[1:][-2:]
    if len(sentences) > 1 or not whole:
        asides = [*first, *asides]
    for sentence in asides:
        found = _compiled(_SENTENCE).match(sentence.strip())
        if found and (counted or not _COURTESY_LAST.fullmatch(sentence.strip())):
            return sentence.strip()
    if found := _compiled(_AT_END).search(end) or (_TRAILING.search(end) if text[:1].isupper() else None):
        return found["wish"]
    if counted and (found := _COURTESY_LAST.search(end) or _compiled(_BESIDE_COUNT).search(end)):
        return found["wish"]
    # A question behind statements is put to the planner, or is the last sentence of the text.
    if len(sentences) > 1 and "?" not in text[:-1] and _QUESTION.fullmatch(sentences[-1].strip()):
        return sentences[-1].strip()
    return None


def beside_code(words: str) -> str | None:
    """Return what the words around code ask for beyond looking at it."""
    found = _compiled(_BESIDE_CODE).search(words)
    return found and found[0]


def behind_code(code: str) -> str | None:
    """Return the wish that code without a fence seems to end with."""
    found = _compiled(_BEHIND_CODE).search(code[-_EDGE_CHARS:])
    return found and found["wish"]


def beside_query(query: str) -> str | None:
    """Return what is to be done with the results of a search."""
    found = _compiled(_BESIDE_QUERY).search(query)
    return found and found[0]
