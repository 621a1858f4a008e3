"""Letters and words: how many of a letter, backwards, in capitals, in order. Any thread; imported by the offline planner.

The answers are plain Python for the sandbox, or are worked out here; none needs a skill.
"""

import re

from callboard.agent.planner.base import Plan, PlanRequest, no_fit, own_plan
from callboard.agent.planner.reading import Reading, matched
from callboard.agent.skills._units import meanings
from callboard.agent.skills._written import in_ascii, plain
from callboard.agent.skills.durations import UNITS

_MAX_CHARS = 300
_QUOTES = "\"'“”‘’"
_WORD = rf"(?:(?:the )?(?:word|name|string) )?(?P<word>[{_QUOTES}][^{_QUOTES}]{{1,200}}[{_QUOTES}]|[^\W_]+)"
_OPENING = re.compile(
    r"(?:what(?:'s|s| is| are| does)|tell me|give me|show me|find|write|please|convert|can you) ", re.IGNORECASE
)
_LETTER = rf"[{_QUOTES}]?(?P<letter>[a-z])[{_QUOTES}]?(?:['’]?s)?"
_COUNT = (
    rf"(?:how many|count(?: all)?(?: the)?(?: number of)?|(?:the )?number of)(?: the)?(?: letters?)? {_LETTER}(?: letters?)?(?: (?:are|is|do|does))?(?: there| you see| appear| occur| we have)* (?:in|within) {_WORD}",
    rf"(?:how many times|how often) (?:does|do|is)(?: the)?(?: letter)? {_LETTER} (?:appear|occur|come up|used|show up)?(?: in)? {_WORD}",
    rf"how many(?: letters?)? {_LETTER}(?: letters?)? (?:does|has) {_WORD}(?: (?:have|contain|has))?",
    rf"(?:the )?number of times(?: the)?(?: letter)? {_LETTER} (?:appears|occurs) in {_WORD}",
)
_LENGTH = rf"(?:how many|count(?: all)?(?: the)?(?: number of)?|(?:the )?number of) (?P<kind>letters|characters) (?:are |is )?(?:there )?in {_WORD}"
_KINDS = rf"(?:how many|count(?: the)?(?: number of)?|(?:the )?number of) (?P<kind>vowels|consonants) (?:are |is )?(?:there )?in {_WORD}"
_BACKWARDS = (
    rf"reverse(?: the)?(?: letters (?:of|in))?(?: the)? {_WORD}",
    rf"(?:(?:spell|write|say|type|print) )?{_WORD} (?:(?:spelled|written|spelt) )?(?:backwards?|in reverse|reversed)",
)
_TEXT = rf"(?P<text>[{_QUOTES}][^{_QUOTES}]{{1,200}}[{_QUOTES}]|[^\W_]+(?: [^\W_]+){{0,5}})"
_CASE = (
    rf"(?:change |put |turn |make |print |type )?(?:(?:the )?(?:word|text|string) )?{_TEXT} (?:in|to|into) (?:all )?(?P<case>upper|lower)[ -]?case(?: letters)?",
    rf"(?:make |turn )?(?:the )?(?:word |text |string )?{_TEXT} (?P<case>upper|lower)[ -]?case",
    rf"(?P<case>upper|lower)[ -]?case(?: the)?(?: word| text| string)?:? {_TEXT}",
    rf"(?:change |put |turn )?{_TEXT} (?:in|to|into) (?:all )?(?P<case>caps|capitals|capital letters)",
)
_POINTING = frozenset(
    "in to into this that it these those the my your a an all everything each every following above below text word".split()
)
_KNOWN_BY_LETTERS = frozenset("alphabet alphabets name names total sentence paragraph song bible line".split())
_PALINDROME = rf"is {_WORD} (?:a )?palindromes?"
_ANAGRAM = (
    r"are (?P<a>[^\W\d_]+) and (?P<b>[^\W\d_]+) anagrams(?: of each other)?",
    r"is (?P<a>[^\W\d_]+) an anagram of (?P<b>[^\W\d_]+)",
)
_NTH = {
    "first": 0,
    "1st": 0,
    "second": 1,
    "2nd": 1,
    "third": 2,
    "3rd": 2,
    "fourth": 3,
    "4th": 3,
    "fifth": 4,
    "5th": 4,
    "last": -1,
}
_PLACE = rf"(?:the )?(?P<nth>{'|'.join(_NTH)}) (?:letter|character) (?:of|in) {_WORD}"
_SORT = (
    r"(?P<verb>sort|order|arrange|put|alphabeti[sz]e)(?: these| the| following)*(?: words| numbers| names| list| items)?:? (?P<items>[^:]+?)"
    r"(?:,? (?P<how>alphabetically|in (?:reverse )?alphabetical order|(?:in )?(?:ascending|descending|increasing|decreasing|numerical|reverse)(?: order)?|from (?:smallest|lowest|least) to (?:largest|biggest|highest|greatest)|from (?:largest|biggest|highest|greatest) to (?:smallest|lowest|least)|in order|numerically|from a to z|from z to a))?"
)
_FALLING = re.compile(r"descending|decreasing|reverse|from (?:largest|biggest|highest|greatest|z)")
_NOT_A_WORD = frozenset({"this", "that", "these", "those", "it", "them", "everything", "by"})
_ITEM = re.compile(r"[A-Za-z][A-Za-z'-]*")
_VOWELS = "aeiou"


def recognise(reading: Reading, _request: PlanRequest) -> Plan | None:
    if reading.fences or len(reading.text) > _MAX_CHARS or "\n" in reading.text:
        return None
    texts: dict[str, None] = {}
    for whole in (reading.text, reading.ask):  # a greeting may be the word that is asked about: hello backwards
        ask = re.sub(r",? (?:please|thanks|for me)$", "", whole.rstrip(" ?.!"), flags=re.IGNORECASE)
        opening = _OPENING.match(ask)
        texts |= dict.fromkeys((ask, ask[opening.end() :]) if opening else (ask,))
    for text in texts:
        for read in (_letters, _backwards, _case, _compared, _sorted):
            code = read(text)
            if code:
                return own_plan(code, "text")
    return None


def _match(text: str, *patterns: str) -> re.Match[str] | None:
    return matched((f"(?i:{pattern})" for pattern in patterns), text)


def _word(found: re.Match[str], *, one: bool = False) -> str | None:
    """Return the word without its quotes; None for what may not be one, or has letters that count in two ways."""
    word = str(found["word"])
    bare = word.strip(_QUOTES)
    if word == bare and bare.lower() in _POINTING:
        return None
    return None if not bare.isascii() or (one and " " in bare) else bare


def _letters(text: str) -> str | None:
    if found := _match(text, *_COUNT):
        word, letter = _word(found), found["letter"].lower()
        if word is None or (_is_unit(letter) and _is_unit(found["word"])):
            return None  # how many m in km
        return f"{word.lower()!r}.count({letter!r})"
    if found := _match(text, _LENGTH):
        word = _word(found, one=True)
        if word is None or (word == found["word"] and (word.istitle() or word.lower() in _KNOWN_BY_LETTERS)):
            return None  # how many letters are in English, or in the alphabet
        return repr(len(word) if found["kind"].lower() == "characters" else sum(map(str.isalpha, word)))
    if found := _match(text, _KINDS):
        word = _word(found)
        if word is None or (word == found["word"] and word.istitle() and "word" not in text.lower()):
            return None  # how many vowels are in English
        letters = [character for character in word.lower() if character.isalpha()]
        if "y" in letters:
            raise no_fit(
                f"In {word!r}, y may count as a vowel or as a consonant. Count the letter itself: 'how many y in {word}'."
            )
        vowels = sum(letter in _VOWELS for letter in letters)
        return repr(vowels if found["kind"].lower() == "vowels" else len(letters) - vowels)
    if found := _match(text, _PLACE):
        word = _word(found, one=True)
        place = _NTH[found["nth"].lower()]
        return repr(word[place]) if word and -1 <= place < len(word) else None
    return None


def _is_unit(name: str) -> bool:
    return bool(meanings(name)) or name.lower() in UNITS


def _backwards(text: str) -> str | None:
    found = _match(text, *_BACKWARDS)
    word = found and _word(found, one=True)
    return f"{word!r}[::-1]" if word else None


def _case(text: str) -> str | None:
    found = _match(text, *_CASE)
    if not found:
        return None
    words = found["text"]
    bare = words.strip(_QUOTES)
    if not bare.isascii() or (words == bare and not _POINTING.isdisjoint(bare.lower().split())):
        return None
    return f"{bare!r}.{'lower' if found['case'].lower() == 'lower' else 'upper'}()"


def _compared(text: str) -> str | None:
    if found := _match(text, _PALINDROME):
        word = _word(found)
        letters = [character for character in word.lower() if character.isalnum()] if word else []
        return repr(letters == letters[::-1]) if letters else None
    found = _match(text, *_ANAGRAM)
    if not found or not (found["a"] + found["b"]).isascii():
        return None
    return repr(sorted(found["a"].lower()) == sorted(found["b"].lower()) and found["a"].lower() != found["b"].lower())


def _sorted(text: str) -> str | None:
    found = _match(text, _SORT)
    if not found:
        return None
    items = [item for item in re.split(r"\s*,\s+(?:and\s+)?|\s+and\s+", found["items"].strip()) if item]
    spaced = len(items) == 1
    if spaced:
        items = re.split(r",|\s+", items[0]) if items[0].count(",") != 1 else items
    falling = bool(_FALLING.search((found["how"] or "").lower()))
    if len(items) < 2 or (found["verb"].lower() in ("order", "put") and not found["how"]):
        return None
    try:
        return f"sorted([{', '.join(map(_literal, items))}]{', reverse=True' if falling else ''})"
    except ValueError:
        words = not spaced and all(_ITEM.fullmatch(item) and item.lower() not in _NOT_A_WORD for item in items)
        return repr(sorted(items, key=str.lower, reverse=falling)) if words else None


def _literal(item: str) -> str:
    """Return a number as Python writes it; raise `ValueError` for what is none, or has no one meaning."""
    written = in_ascii(item)
    number = plain(written.removeprefix("-"))
    return f"{'-' if written.startswith('-') else ''}{int(number) if number.isdigit() else number}"
