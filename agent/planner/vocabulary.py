"""The words of arithmetic, and what each stands for in an expression.

Pure data and its tokeniser; any thread; imported by `phrases` only.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from callboard.agent.planner.numbers import WORDS
from callboard.agent.skills._written import RUN, is_clear, plain

_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?"
_WORD_OR_SIGN = r"(log10|log2|[a-z]+(?:'[a-z]+)?)|(\*\*|//|[-+*/%^!()\[\],√])"
_WHOLE = re.compile(rf"\s*(?:([$€£¥]?)({RUN})|{_WORD_OR_SIGN})")
_LISTED = re.compile(rf"\s*(?:([$€£¥]?)({_NUMBER})|{_WORD_OR_SIGN})")
_GROUPING = frozenset("$£¥")
FUNCTIONS = {
    "sqrt": "sqrt", "√": "sqrt", "square root": "sqrt", "squareroot": "sqrt", "root": "sqrt", "cbrt": "cbrt", "cube root": "cbrt",
    "cubic root": "cbrt", "factorial": "factorial", "abs": "abs", "absolute value": "abs", "sin": "sin", "sine": "sin",
    "cos": "cos", "cosine": "cos", "tan": "tan", "tangent": "tan", "ln": "ln", "natural log": "ln",
    "natural logarithm": "ln", "log": "log", "log10": "log10", "log2": "log2", "exp": "exp", "floor": "floor",
    "ceil": "ceil", "round": "round", "min": "min", "max": "max", "sum": "sum", "mean": "mean", "median": "median", "gcd": "gcd",
    "lcm": "lcm", "asin": "asin", "acos": "acos", "atan": "atan",
}  # fmt: skip
LISTS = {
    "sum": "sum", "total": "sum", "average": "mean", "mean": "mean", "median": "median", "largest": "max", "biggest": "max", "maximum": "max",
    "max": "max", "highest": "max", "smallest": "min", "minimum": "min", "min": "min", "lowest": "min", "gcd": "gcd",
    "greatest common divisor": "gcd", "greatest common factor": "gcd", "highest common factor": "gcd", "lcm": "lcm",
    "least common multiple": "lcm", "lowest common multiple": "lcm", "mode": "mode", "range": "range", "sample standard deviation": "stdev", "sample variance": "variance", "population standard deviation": "pstdev",
    "population variance": "pvariance", "standard deviation": "", "variance": "", "product": "*", "quotient": "/", "difference": "-",
}  # fmt: skip
INFIX = {
    "plus": "+", "added to": "+", "+": "+", "minus": "-", "less": "-", "take away": "-", "-": "-", "times": "*",
    "multiplied by": "*", "multiplied with": "*", "x": "*", "*": "*", "divided by": "/", "over": "/", "/": "/", "//": "//",
    "mod": "%", "modulo": "%", "modulus": "%", "%": "%", "^": "^", "**": "^", "to the power of": "^", "to the power": "^",
    "raised to the power of": "^", "raised to the power": "^", "raised to": "^",
}  # fmt: skip
PERCENT = ("%", "percent", "per cent", "pct")
SHARES = {
    "half": 2,
    "third": 3,
    "thirds": 3,
    "quarter": 4,
    "quarters": 4,
    "fourth": 4,
    "fifth": 5,
    "fifths": 5,
    "tenth": 10,
}
MULTIPLES = {"double": 2, "twice": 2, "triple": 3, "thrice": 3, "quadruple": 4}
KNOWN = (
    frozenset({"log10", "log2"})
    | frozenset(
        word
        for phrase in (*FUNCTIONS, *LISTS, *INFIX, *PERCENT, *SHARES, *MULTIPLES, *WORDS)
        for word in phrase.split()
    )
    | frozenset(
        "the a an of and to by from is what percentage as change increase decrease raise reduce lower add subtract "
        "multiply divide with between numbers than more halve negative pi e tau th st nd rd squared cubed square cube base "
        "remainder when on off tip tax vat nearest whole number integer ten hundredth thousandth degrees degree radians radian take away decimal decimals places place digits power into per cent difference grow".split()
    )
)


Table = dict[str, list[tuple[list[str], str]]]


def _table(phrases: Mapping[str, str]) -> Table:
    """Arrange phrases by their first word, the longest first, with what each stands for."""
    table: Table = {}
    for phrase in sorted(phrases, key=len, reverse=True):
        words = phrase.split()
        table.setdefault(words[0], []).append((words, phrases[phrase]))
    return table


FUNCTION_TABLE, LIST_TABLE, INFIX_TABLE = _table(FUNCTIONS), _table(LISTS), _table(INFIX)


_CLOSE = re.compile(r"(?<=\d),(?=\d)")
_LIKE_LIST = re.compile(r"\d+(?:,[1-9]\d*){2,}")
CLOSE = ",,"
"""The token of a comma right between two digits: a list's, or one that was meant to stand within a number."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The words, signs and numbers of a text.

    `lists` are the places of numbers such as 100,200,300, which in a list may be several. `unclear` says what is wrong
    with the first number that has no one meaning.
    """

    tokens: list[str]
    lists: frozenset[int]
    unclear: str


def tokenise(text: str, listed: bool) -> Tokens | None:
    """Return the tokens, or None where a word is not known.

    `listed`: commas between digits separate numbers; otherwise they are part of them, and a number that cannot be read
    for certain counts as 1.
    """
    tokens: list[str] = []
    lists: set[int] = set()
    position, unclear, clear = 0, "", is_clear(text)
    pattern = _LISTED if listed else _WHOLE
    while position < len(text):
        found = pattern.match(text, position)
        if not found or (found[3] and found[3] not in KNOWN):
            return None
        if found[2]:
            if _LIKE_LIST.fullmatch(found[2]):
                lists.add(len(tokens))
            try:
                tokens.append(plain(found[2], clear=clear, money=found[1] in _GROUPING))
            except ValueError as error:
                tokens.append("1")
                unclear = unclear or str(error)
        else:
            close = found[4] and _CLOSE.match(text, found.start(4))
            tokens.append(CLOSE if close else found[3] or found[4])
        position = found.end()
    return Tokens(tokens, frozenset(lists), unclear)
