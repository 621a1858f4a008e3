"""The skill `text-statistics`: counts of a text. Any thread."""

from collections import Counter
from typing import Any

from callboard.agent.skill import skill
from callboard.agent.skills._words import PARAGRAPH_BREAK, check_length, sentences, words

WORDS_PER_MINUTE = 200
MAX_CHARS = 500_000
_MOST_FREQUENT = 10


@skill(replay="pure")
def text_statistics(text: str) -> dict[str, Any]:
    """Count a text: keys characters, charactersWithoutSpaces, letters, words, uniqueWords, sentences, paragraphs, lines, averageWordLength, averageSentenceLength, readingTimeSeconds and mostFrequentWords (word and count).

    Words are compared without regard to case; reading time is at 200 words a minute. An empty text counts 0.
    Raises ValueError for more than 500,000 characters.
    """
    check_length(text, MAX_CHARS)
    found = words(text)
    frequent = Counter(word.casefold() for word in found)
    sentence_count = len(sentences(text))
    return {
        "characters": len(text),
        "charactersWithoutSpaces": sum(not character.isspace() for character in text),
        "letters": sum(character.isalpha() for character in text),
        "words": len(found),
        "uniqueWords": len(frequent),
        "sentences": sentence_count,
        "paragraphs": sum(bool(part.strip()) for part in PARAGRAPH_BREAK.split(text)),
        "lines": len(text.splitlines()),
        "averageWordLength": round(sum(map(len, found)) / len(found), 2) if found else 0,
        "averageSentenceLength": round(len(found) / sentence_count, 2) if sentence_count else 0,
        "readingTimeSeconds": round(len(found) * 60 / WORDS_PER_MINUTE),
        "mostFrequentWords": [{"word": word, "count": n} for word, n in frequent.most_common(_MOST_FREQUENT)],
    }
