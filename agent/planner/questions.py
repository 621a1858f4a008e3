"""Reading a question on a table whole: every word is taken by a rule, and there is one way to understand it.

Words of the question that name a column or a cell may be that; words of grammar may be grammar; each way to read all of
them is followed to its end. One reading that makes sense is the question. None: the word where the rules stop is named.
Several: they are named, and nothing is guessed. Pure; any thread; imported by `tables` only.
"""

import re
from dataclasses import replace

from callboard.agent.planner.table_checks import checked, where_of
from callboard.agent.planner.table_facts import Facts, Table
from callboard.agent.planner.table_forms import Forms
from callboard.agent.planner.table_grammar import NOUNS, TooLongError
from callboard.agent.planner.table_question import NonsenseError, Question
from callboard.agent.planner.table_sums import row_of_sums
from callboard.agent.planner.table_words import Mentions

CLUE = re.compile(
    r"\b(?:averages?|mean|avg|median|mode|max(?:imum)?|min(?:imum)?|sum|totals?|range|highest|lowest|largest|smallest|biggest|"
    r"greatest|cheapest|most|least|oldest|youngest|latest|newest|earliest|how many|how much|count|number of|distinct|unique|different|"
    r"filter|list|show|find|give me|display|select|get|which|who|sort|order|print|return|what are|extract|columns?|fields?|headers?|keys|"
    r"top|bottom|group|what is|what's|whats|percent(?:age)?|share|difference|ratio|rows|where|per|each|above|below|over|under|than|between|"
    r"altogether|combined|add up|together)\b",
    re.IGNORECASE,
)
_MOST_WORDS = 60
_MOST_NAMED = 3
_CAN = (
    "Ask for a count, sum, average, median, mode, minimum or maximum of a column, by another column or where a column has "
    "some value, for rows or values that are listed, or for the top few"
)


class NotUnderstoodError(ValueError):
    """A question that is not understood, or in more than one way; the message says which words, and what can be asked.

    `named`: its words name a column, a cell or rows, so it is on this table at all.
    """

    named = False


def ask(words: str, table: Table) -> Question:
    """Return the question; raise `NotUnderstoodError` where it is not understood whole, or not in one way."""
    facts = Facts(table)
    mentions = Mentions(words, facts)
    forms = Forms(mentions, facts)
    try:
        question = _understood(forms, facts)
        sums = None if question.kind in ("columns", "column_count") else row_of_sums(facts)
        if sums is not None:
            raise _refusal(
                f"The last row of the data ({sums}) is the sum of those above it; leave it out, and ask again.", table
            )
        return question
    except NotUnderstoodError as error:
        error.named = (
            any(mentions.columns.values()) or any(mentions.cells.values()) or not NOUNS.isdisjoint(mentions.low)
        )
        raise


def _understood(forms: Forms, facts: Facts) -> Question:
    table = facts.table
    try:
        readings = forms.questions() if 0 < forms.end <= _MOST_WORDS else []
    except TooLongError:
        raise _refusal("The question on the data can be read in too many ways; make it shorter.", table) from None
    if not readings:
        raise _refusal(_stuck(forms), table)
    sound: dict[Question, None] = {}
    nonsense, unclear = [], []
    for reading in readings:
        try:
            sound[replace(checked(reading, facts), nouns=frozenset(), of_row=False)] = None
        except NonsenseError as error:
            nonsense.append(str(error))
        except ValueError as error:  # that is unclear, or the table's cells say that it cannot be answered
            unclear.append((str(reading), str(error)))
    if sound and not unclear and (len(sound) == 1 or len({_answers(question, facts) for question in sound}) == 1):
        return next(iter(sound))
    if not sound and len({why for _, why in unclear}) == 1:
        raise _refusal(unclear[0][1], table)
    meant = list(dict.fromkeys([*map(str, sound), *(said for said, _ in unclear)]))
    if meant:
        named = "; or ".join(meant[:_MOST_NAMED])
        raise _refusal(f"The question on the data can be understood in {len(meant)} ways: {named}. Say which.", table)
    raise _refusal(nonsense[0], table)


def _answers(question: Question, facts: Facts) -> tuple[Question, tuple[int, ...]]:
    """Return what tells two questions apart: of the same rows, it is all the same how the rows are named."""
    rows = tuple(id(row) for row in facts.rows(where_of(question, facts)))
    return replace(question, where=frozenset(), either=frozenset()), rows


def _stuck(forms: Forms) -> str:
    if not forms.tokens:
        return "There is data, and no question on it."
    if forms.end > _MOST_WORDS:
        return f"The question on the data has {forms.end} words and signs, and the limit is {_MOST_WORDS}."
    left = forms.tokens[forms.far if forms.far < forms.end else forms.whole :] or forms.tokens
    words = forms.mentions.text[left[0].start : left[min(len(left), 4) - 1].end]
    return f"The question on the data is not understood at {words[:60]!r}."


def _refusal(sentence: str, table: Table) -> NotUnderstoodError:
    return NotUnderstoodError(f"{sentence} {_CAN}; the columns are {', '.join(table.columns)[:500]}.")
