"""Numbers written as words: `twelve`, `two hundred and five`, `a million`.

Pure functions; any thread; imported by the recognisers of arithmetic, dates and texts.
"""

from collections.abc import Sequence

_ONES = dict(
    zip(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen".split(),
        range(20),
        strict=True,
    )
)
_TENS = dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True))
SCALES = {"hundred": 100, "dozen": 12, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
WORDS = frozenset({*_ONES, *_TENS, *SCALES})


def read_number(words: Sequence[str], start: int) -> tuple[int, int] | None:
    """Return the number that begins at `start` and where it ends; None if none begins there."""
    total, group, index = 0, None, start
    if index + 1 < len(words) and words[index] in ("a", "an") and words[index + 1] in SCALES:
        group, index = 1, index + 1
    while index < len(words):
        word = words[index]
        if word in _ONES or word in _TENS:
            value = _ONES[word] if word in _ONES else _TENS[word]
            if not _fits(group, value):
                break
            group = (group or 0) + value
        elif word in SCALES and group:
            scale = SCALES[word]
            if scale < 1000:
                group *= scale
            else:
                total, group = total + group * scale, 0
        elif not (word == "and" and index > start and words[index - 1] in SCALES and _continues(words, index + 1)):
            break
        index += 1
    return (total + (group or 0), index) if index > start and group is not None else None


def _fits(group: int | None, value: int) -> bool:
    """Tell whether a word goes on with the number: `five` after `twenty` or `hundred`, not after `six`."""
    if not group:
        return True
    return group % 100 == 0 or (value < 10 and value > 0 and group % 10 == 0 and group % 100 >= 20)


def _continues(words: Sequence[str], index: int) -> bool:
    return index < len(words) and (words[index] in _ONES or words[index] in _TENS)


def whole_number(text: str) -> int | None:
    """Return the number that a whole text is, in digits or words."""
    if text.isascii() and text.isdigit():
        return int(text) if len(text) <= 15 else None
    if text in ("a", "an"):
        return 1
    words = text.replace("-", " ").split()
    found = read_number(words, 0)
    return found[0] if found and found[1] == len(words) else None


NUMBER = rf"(?:\d{{1,9}}|an?|(?:{'|'.join(sorted(WORDS, key=len, reverse=True))})(?:[ -](?:and )?(?:{'|'.join(sorted(WORDS, key=len, reverse=True))})){{0,6}})"
"""A pattern for a whole number in digits or words; `whole_number` has the last say."""
