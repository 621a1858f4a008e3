"""The words of arithmetic, and what each stands for in an expression.

Pure data and its tokeniser; any thread; imported by `phrases` only.
"""

import re
from collections.abc import Mapping

from callboard.agent.planner.numbers import WORDS

_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?"
_WORD_OR_SIGN = r"(log10|log2|[a-z]+(?:'[a-z]+)?)|(\*\*|//|[-+*/%^!()\[\],√])"
_GROUPED = re.compile(rf"\s*(?:[$€£¥]?(\d{{1,3}}(?:,\d{{3}})+(?!\d)(?:\.\d+)?|{_NUMBER})|{_WORD_OR_SIGN})")
_UNGROUPED = re.compile(rf"\s*(?:[$€£¥]?({_NUMBER})|{_WORD_OR_SIGN})")
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
    "least common multiple": "lcm", "lowest common multiple": "lcm", "product": "*", "quotient": "/", "difference": "-",
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
        "remainder when on off tip tax vat discount degrees degree take away decimal decimals places place digits power into per cent difference grow".split()
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


def tokenise(text: str, grouped: bool) -> list[str] | None:
    tokens, position, pattern = [], 0, _GROUPED if grouped else _UNGROUPED
    while position < len(text):
        found = pattern.match(text, position)
        if not found or (found[2] and found[2] not in KNOWN):
            return None
        tokens.append(found[1].replace(",", "") if found[1] else found[2] or found[3])
        position = found.end()
    return tokens
