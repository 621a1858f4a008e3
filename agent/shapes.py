"""Shapes of the built-in planner's code that have passed the type check: its templates, checked once for all literals.

Of most literals the type alone matters to the checker. So a template is checked with a name of the type `str`, `int` or `float`
in the place of each; where no such name will do, since a parameter takes certain values only (`Literal`), the literal's own
value becomes part of the shape. What passes so passes with any literals, and is not checked again. All else is left to the
check of the code as it stands, which also says what is wrong with it.

# Invariant: the code of users and models never comes here. A few things are found by a literal's value alone, such as
`"ab"[5]` and `a, b = "abc"`, and no template of the planner's has one: tests/agent/planner/test_shapes.py compares.

Any number of workers at once. Imported by the sandbox.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate

from callboard.agent.cancel import CancelToken
from callboard.agent.checker import Checker, Modules
from callboard.agent.gap_hints import unseen

_MOST_SHAPES = 500
_SHAPE_CHARS = 2000

_TYPES = '__text, __int, __float = f"{_any}", "".__len__(), 0.5'
"""The names in the place of literals. `str(…)` would not do: a session may have a variable of that name."""

_LITERAL = re.compile(
    r"""(?<![\w.'"\\])(
        (?:"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+'|f"(?:[^"\\\n{}]|\\.|{{|}})*+"|f'(?:[^'\\\n{}]|\\.|{{|}})*+')(?!['"])
        |(?<!::)(?<!::-)(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?(?![\w.])
    )""",
    re.VERBOSE,
)
"""A text or a number that stands by itself, as `repr` and the planner's `literal` write them; the step of a slice is none: 0 is
an error."""

_NO_SHAPE = re.compile(r"""["'\\#]|__""")
"""What is beside literals where there is something that `_LITERAL` does not know, or a name as ours."""

_BEGINS = re.compile(r"^line (\d+), column (\d+): ", re.MULTILINE)

_NESTED = 190
_LOOKED_THROUGH_BYTES = 3500


class Shapes:
    """The shapes that are known to pass where certain modules may be imported: so many at most, and none of other modules."""

    def __init__(self, checker: Checker, modules: Modules) -> None:
        self._checker = checker
        self._modules = modules
        # No lock: each step is one of a dict or a set, and what two threads find out of one shape is right for both.
        self._by_value: dict[tuple[str, frozenset[str]], frozenset[int]] = {}
        self._passed: set[tuple[str, frozenset[str]]] = set()

    def passes(self, code: str, variables: Collection[str], token: CancelToken) -> bool:
        """Whether code of the planner's own passes by its shape; False where only a check of it as it stands can tell.

        Raises what `Checker.findings` does. PERF: of a shape that is known, a twentieth of a check (`python -m bench --only
        micro`); of a new one, a check, and another one where it has a literal whose value matters.
        """
        pieces = _LITERAL.split(code)  # the odd ones are the literals
        template = "".join(pieces[::2])
        if (
            len(template) > _SHAPE_CHARS
            or _NO_SHAPE.search(template)
            or _may_be_refused(code, template, pieces[1::2], variables)
        ):
            return False
        named = frozenset(name for name in variables if name in template)
        shape = (_filled(pieces), named)
        by_value = self._by_value.get(shape, frozenset())
        if ((_filled(pieces, by_value) if by_value else shape[0]), named) in self._passed:
            return True
        return self._learn(shape, pieces, by_value, token)

    def _learn(
        self, shape: tuple[str, frozenset[str]], pieces: Sequence[str], by_value: frozenset[int], token: CancelToken
    ) -> bool:
        """Check a shape; as long as literals are found whose type is not enough, once more with those as they stand."""
        named = shape[1]
        while True:
            filled = _filled(pieces, by_value)
            findings = self._checker.findings(f"{_TYPES}\n{filled}", named, token, self._modules)
            if findings is None:
                break
            more = _blamed(findings, filled, pieces, by_value)
            if more <= by_value:
                return False
            by_value |= more
        if unseen(filled, named, None) is not None:
            return False
        if len(self._passed) >= _MOST_SHAPES:
            self._passed.clear()
            self._by_value.clear()
        self._by_value[shape] = by_value
        self._passed.add((filled, named))
        return True


def _filled(pieces: Sequence[str], by_value: Collection[int] = ()) -> str:
    """Return the code with names for its literals, but for those that are part of the shape."""
    return "".join(
        piece if not number % 2 or number in by_value else _name(piece) for number, piece in enumerate(pieces)
    )


def _name(literal: str) -> str:
    if literal[-1] in "\"'":
        return "__text"
    return "__float" if "." in literal else "__int"


def _may_be_refused(code: str, template: str, literals: Iterable[str], variables: Iterable[str]) -> bool:
    """Tell whether code may be refused for what a text in it looks like: as deeply nested, although it is a text.

    The checker of pydantic-monty 1.4 takes a string without escapes for an annotation, which with the code around it may be
    nested 200 deep. And it looks through source of 4,096 bytes, with the line that stands in front of it, for whatever looks
    nested so deep, in all strings but f-strings.
    """
    room = _NESTED - 2 * sum(map(template.count, "([{"))  # twice, since a bracket may hold a lambda or a condition
    texts = [literal for literal in literals if literal[0] in "\"'"]
    size = sum(len(part.encode("utf-8", "surrogatepass")) + len(" = ") for part in (code, *variables))
    if size > _LOOKED_THROUGH_BYTES:
        return sum(map(len, texts)) > room
    return any(len(text) > room and "\\" not in text for text in texts)


def _blamed(findings: str, filled: str, pieces: Sequence[str], by_value: Collection[int]) -> frozenset[int]:
    """Return the literals that findings are about: each begins at one, or at its argument's name right in front of it."""
    ends = list(
        accumulate(len(piece) if not n % 2 or n in by_value else len(_name(piece)) for n, piece in enumerate(pieces))
    )
    starts = ends[:-1:2]  # of each literal: where the piece before it ends
    lines = [0, *accumulate(len(line) + 1 for line in filled.split("\n"))]
    places = (lines[int(line) - 2] + int(column) - 1 for line, column in _BEGINS.findall(findings))
    return frozenset(2 * index + 1 for place in places if (index := bisect_left(starts, place)) < len(starts))
