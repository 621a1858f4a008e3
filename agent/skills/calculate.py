"""The skill `calculate`: arithmetic in a bounded grammar of its own.

The expression is read by a small recursive descent parser rather than by Python's: people write `2^10`, `12 × 7`,
`1,234.5` and `15%`, and long sums must not depend on Python's recursion limit. What a number means as it is written is
for `_written` to say. Any thread.
"""

import re
from fractions import Fraction
from typing import NamedTuple

from callboard.agent.skill import skill
from callboard.agent.skills._numbers import (
    CONSTANTS,
    Number,
    apply,
    divide,
    exact,
    factorial,
    finish,
    floor_divide,
    modulo,
    power,
)
from callboard.agent.skills._written import in_ascii, is_clear, plain

MAX_CHARS = 1000
_MAX_DEPTH = 40

_TOKEN = re.compile(r"\s*(?:((?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|([A-Za-z][A-Za-z0-9]*)|(\*\*|//|[-+*/%^!(),]))")
_APOSTROPHES = re.compile(r"(?<![\w.,'])\d{1,3}(?:'\d{3})+(?![\w,'])")
_HUGE_EXPONENT = re.compile(r"[eE][+-]?\d{4}")
_FACTOR_OPERATORS = {"*": lambda a, b: a * b, "/": divide, "//": floor_divide, "%": modulo}


@skill(replay="pure")
def calculate(expression: str) -> int | float:
    """Work out an arithmetic expression such as `(17 + 4) * 2`, `15% of 80`, `2^10` or `round(sqrt(2), 3)`.

    Knows + - * / // % ** ^ ! and parentheses, pi, e, tau, and sqrt, cbrt, abs, round, floor, ceil, min, max, sum,
    mean, median, gcd, lcm, factorial, exp, ln, log(x, base), log10, log2, sin, cos, tan, asin, acos, atan (radians).
    `15%` is 0.15, and `80 + 15%` is 80 raised by 15%. Exact for whole numbers and fractions; round takes halves away
    from 0. stdev and variance are of a sample, pstdev and pvariance of a whole population. Decimals take a point;
    a comma may group thousands where nothing else can be meant (`1,234.5`).
    Raises ValueError, in a sentence, for what it cannot read and for results beyond its limits.
    """
    if len(expression) > MAX_CHARS:
        raise ValueError(f"The expression has {len(expression)} characters and the limit is {MAX_CHARS}; split it up.")
    try:
        return finish(_Parser(expression).parse())
    except ValueError as error:
        raise ValueError(f"Cannot work out {_shown(expression)}: {error}.") from error.__cause__


def _shown(expression: str) -> str:
    text = " ".join(expression.split())
    return repr(text if len(text) <= 80 else text[:77] + "...")


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _Parser:
    """One pass over one expression; each method reads one level of precedence and returns its value."""

    def __init__(self, expression: str) -> None:
        text = _APOSTROPHES.sub(lambda found: found[0].replace("'", ""), in_ascii(expression))
        self.tokens = _tokens(text)
        self.clear = is_clear(text)
        self.index = 0
        self.depth = 0
        self.calls = 0

    def parse(self) -> Number:
        if self.peek().kind == "end":
            raise ValueError("there is nothing in it")
        value = self.sum()
        if self.peek().kind != "end":
            raise self.unexpected()
        return value

    def peek(self, ahead: int = 0) -> _Token:
        return self.tokens[min(self.index + ahead, len(self.tokens) - 1)]

    def take(self, *texts: str) -> str | None:
        token = self.peek()
        if token.text in texts and token.kind != "end":
            self.index += 1
            return token.text
        return None

    def unexpected(self) -> ValueError:
        token = self.peek()
        if token.kind == "end":
            return ValueError("it ends too early")
        if token.kind in ("number", "name") or token.text == "(":
            return ValueError(f"an operator is missing before {token.text!r}, such as *")
        if token.text == ",":
            return ValueError("a comma stands before groups of three digits only, and decimals take a point")
        return ValueError(f"{token.text!r} is not expected there")

    def sum(self) -> Number:
        left, left_percent = self.product()
        while operator := self.take("+", "-"):
            right, percent = self.product()
            if percent and not left_percent:
                right = left * right  # 80 + 15% means 15% of those 80, as on a pocket calculator
            left, left_percent = exact(left + right if operator == "+" else left - right), False
        return left

    def product(self) -> tuple[Number, bool]:
        left, percent = self.signed()
        while True:
            operator = self.take("*", "/", "//", "%") or ("*" if percent and self.take("of") else None)
            if operator is None:
                return left, percent
            close, start = (
                operator == "/" and self.tokens[self.index - 2].end == self.tokens[self.index].start - 1,
                self.index,
            )
            right, of_percent = self.signed()
            if close and of_percent and self.index == start + 2:
                raise ValueError("a percentage right behind '/' can be read in two ways; use parentheses, as in (1/2)%")
            left, percent = exact(_FACTOR_OPERATORS[operator](left, right)), False

    def signed(self) -> tuple[Number, bool]:
        negative = False
        while sign := self.take("+", "-"):
            negative ^= sign == "-"
        base, percent = self.postfixed()
        if self.take("**", "^"):
            self.enter()
            exponent, _ = self.signed()
            self.depth -= 1
            base, percent = exact(power(base, exponent)), False
        return -base if negative else base, percent

    def postfixed(self) -> tuple[Number, bool]:
        value, percent = self.atom(), False
        while True:
            if self.take("!"):
                if self.peek().text == "!":
                    raise ValueError("'!!' can be read in two ways; use parentheses, as in (3!)!")
                value, percent = exact(factorial(value)), False
            elif self.peek().text == "%" and self.is_percent():
                self.index += 1
                value, percent = exact(divide(value, 100)), True
            else:
                return value, percent

    def is_percent(self) -> bool:
        """Tell `15%` from the remainder in `17 % 5` by what follows."""
        after = self.peek(1)
        if after.text == "-" and self.peek(2).start == after.end:
            raise ValueError("'% -' can be read in two ways; use parentheses, as in 17 % (-5) or (17%) - 5")
        return not (after.kind == "number" or after.text == "(" or (after.kind == "name" and after.text != "of"))

    def atom(self) -> Number:
        token = self.peek()
        if token.kind == "number":
            return self.number()
        if token.kind == "name":
            self.index += 1
            return self.named(token.text.lower())
        if self.take("("):
            self.enter()
            value = self.sum()
            self.close()
            return value
        raise self.unexpected()

    def number(self) -> Number:
        token = self.peek()
        self.index += 1
        text, end = token.text, token.end
        # Thousands separators; within a function's parentheses a comma separates arguments.
        while not self.calls and len(text) < MAX_CHARS and self.goes_on(end):
            text, end = f"{text},{self.peek(1).text}", self.peek(1).end
            self.index += 2
        if _HUGE_EXPONENT.search(text):
            raise ValueError(f"{text} has too large an exponent")
        digits = text if text.isascii() and "," not in text else plain(text, clear=self.clear)
        return exact(int(digits) if digits.isdigit() else Fraction(digits))

    def goes_on(self, end: int) -> bool:
        comma, group = self.peek(), self.peek(1)
        return comma.text == "," and comma.start == end == group.start - 1 and group.kind == "number"

    def named(self, name: str) -> Number:
        if name in CONSTANTS and self.peek().text != "(":
            return CONSTANTS[name]
        if not self.take("("):
            return apply(name, ())
        self.enter()
        self.calls += 1
        arguments, close = [self.sum()], set[bool | None]()
        while self.peek().text == ",":
            close.add(self.is_close())
            self.index += 1
            arguments.append(self.sum())
        if {True, False} <= close or (True in close and name == "round" and isinstance(arguments[0], int)):
            raise ValueError("a comma between digits can be read in two ways; put a space behind each that separates")
        self.calls -= 1
        self.close()
        return apply(name, arguments)

    def is_close(self) -> bool | None:
        """Tell whether the comma stands right between two numbers, as one within a number does; None: it could not."""
        before, comma, after = self.tokens[self.index - 1], self.peek(), self.peek(1)
        if before.end != comma.start or comma.end != after.start:
            return False
        return True if before.kind == after.kind == "number" else None

    def enter(self) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ValueError(f"it is nested deeper than {_MAX_DEPTH} levels")

    def close(self) -> None:
        self.depth -= 1
        if not self.take(")"):
            if self.peek().kind == "end":
                raise ValueError("a parenthesis is not closed")
            raise self.unexpected()


def _tokens(expression: str) -> list[_Token]:
    tokens, position, text = [], 0, expression.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found:
            raise ValueError(f"{text[position:].split()[0][:20]!r} is not arithmetic")
        kind = ("number", "name", "operator")[(found.lastindex or 1) - 1]
        tokens.append(_Token(kind, found[found.lastindex or 1], found.start(found.lastindex or 1), found.end()))
        position = found.end()
    return [*tokens, _Token("end", "", len(text), len(text))]
