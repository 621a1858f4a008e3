"""Parsing what strangers wrote as Python, in the server's own process. Pure; any thread; imported by whoever looks into code.

Python's own parser takes time that grows with the square of two things: the parts of an imported name, since it joins them
one by one, and the fields of one f-string, since it looks for the place of each from the string's beginning. Nobody can
stop it meanwhile, so code with very many of either is told apart first.
"""

import ast
import re
import threading

MAX_DOTS = 100
"""Most dots in an imported name."""

MAX_FIELDS = 1_000
"""Most replacement fields in one f-string."""

# Guards CPython's maker of trees. An actor can't: it is asked for in the middle of a task, and answers in a moment.
_PARSING = threading.Lock()

# Invariant: no search here fails after it has looked far ahead; a string that has no end ends where the code does.
_DOTTED = re.compile(rf"\b(?:import|from)\b(?:[\s\\]*+\w*+[\s\\]*+\.){{{MAX_DOTS + 1}}}")
_STRING = re.compile(
    r"""#[^\n]*+
    |(?P<prefix>\b[a-zA-Z]{1,2})?(?:
        \"\"\"(?:(?:[^\\"]|\\.|"(?!""))*+)(?:\"\"\"|\\?\Z)
        |'''(?:(?:[^\\']|\\.|'(?!''))*+)(?:'''|\\?\Z)
        |"(?:(?:[^\\"\n]|\\.)*+)"?
        |'(?:(?:[^\\'\n]|\\.)*+)'?
    )""",
    re.DOTALL | re.VERBOSE,
)


def tree_of(code: str) -> ast.Module:
    """Return the code as a tree, which many may look at and none may change.

    Raises what `ast.parse` does: SyntaxError, also for code that would take too long, ValueError, RecursionError, MemoryError.
    """
    if fault := too_much_in(code):
        raise SyntaxError(fault)
    return parse(code)


def parse(code: str) -> ast.Module:
    """Do what `ast.parse` does, in one thread at a time; code of strangers goes through `tree_of`.

    CPython 3.11 counts how deep a tree is in one place for all threads, so two that make one at once get a `SystemError`.
    """
    with _PARSING:
        return ast.parse(code)


def is_expression(code: str) -> bool:
    """Say whether code is one expression."""
    try:
        with _PARSING:
            ast.parse(code, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def too_much_in(code: str) -> str | None:
    """Return what there is too much of in the code for it to be parsed, with the limit; None where it can be."""
    if code.count(".") > MAX_DOTS and _DOTTED.search(code):
        return f"a name that is imported has more than {MAX_DOTS} dots"
    if code.count("{") > MAX_FIELDS and any(map(_is_over, _STRING.finditer(code))):
        return f"an f-string has more than {MAX_FIELDS:,} fields in braces; join shorter ones"
    return None


def _is_over(found: re.Match[str]) -> bool:
    if "f" not in (found["prefix"] or "").lower():
        return False
    text = found[0]
    return text.count("{") - 2 * text.count("{{") > MAX_FIELDS
