"""What a task says that the planner does not understand, for its refusal to name. Pure functions; any thread."""

import re

from callboard.agent.planner.reading import Reading
from callboard.agent.skills._written import in_ascii, is_clear, plain

_MOST_NAMED = 3
_RUN = re.compile(r"(?<![\w.,])\d[\d.]*,[\d.,]*\d(?![\w.,])")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_COMMON = frozenset(
    "a an the this that these those it its i you we he she they me my your our us is are was were be been am do does did has have "
    "had can could would will should may might must what what's whats which who who's whose when where why how many much long "
    "far old of in on at to from by for with and or as if then than so into out up down over under about "
    "after before until till since between among per each every all any there here please thanks "
    "hello hi hey tell give show get find know work calculate compute count convert write make add number numbers value result "
    "answer question day days week weeks month months year years hour hours minute minutes second seconds date time today "
    "tomorrow yesterday now next last first old word words letter letters text code table sum total average christmas easter leap born someone "
    "prime factor factors divisors divisible binary hex hexadecimal octal roman numeral numerals palindrome anagram anagrams reverse "
    "backwards sort uppercase lowercase vowels consonants split discount interest simple compound compounded price cost bill ratio "
    "simplify weekday weekdays quarter sentence sentences characters summarize person".split()
)


def not_understood(reading: Reading) -> str:
    """Return a clause that names words of the task that no rule here knows, or says that there are none."""
    if not reading.line:
        return "It is longer than a question, and nothing marks off what is asked."
    text = in_ascii(reading.line)
    for run in _RUN.findall(text):
        try:
            plain(run, clear=is_clear(text))
        except ValueError as error:
            return f"{error}."
    words = dict.fromkeys(_WORD.findall(reading.line))
    unknown = [word for word in words if word not in _COMMON and not _is_known(word)]
    if unknown:
        named = ", ".join(repr(word[:40]) for word in unknown[:_MOST_NAMED])
        return f"Not understood: {named}{', …' if len(unknown) > _MOST_NAMED else ''}."
    return "Each word of it is known here, but not what they ask together." if words else "No question is in it."


def _is_known(word: str) -> bool:
    # Only a refusal needs them: to load the units with the planner would slow every start.
    from callboard.agent.planner.vocabulary import KNOWN
    from callboard.agent.skills._calendar import MONTHS, WEEKDAYS
    from callboard.agent.skills._units import meanings

    return word in KNOWN or word in MONTHS or word in WEEKDAYS or bool(meanings(word))
