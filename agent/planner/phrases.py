"""From arithmetic in words to an expression that `calculate` reads.

A recursive descent parser over words, numbers and signs. Every token must have a meaning, or there is no expression:
what is not understood whole is not understood. Pure functions; any thread; imported by `arithmetic` only.
"""

import re
from typing import NoReturn

from callboard.agent.planner.numbers import SCALES, WORDS, read_number
from callboard.agent.planner.vocabulary import (
    FUNCTION_TABLE,
    FUNCTIONS,
    INFIX_TABLE,
    LIST_TABLE,
    MULTIPLES,
    PERCENT,
    SHARES,
    Table,
    tokenise,
)

_MAX_DEPTH = 30
_CURRENCY = re.compile(r"[$€£¥]")
_CALLED = re.compile(r"[a-z]\s*\(|\[")
_CHANGES = {"increase": "+", "raise": "+", "grow": "+", "decrease": "-", "reduce": "-", "lower": "-"}
_SEVERAL = frozenset({"sum", "mean", "median", "min", "max", "gcd", "lcm"})
_JOINTS: dict[str, tuple[str, ...]] = {
    "add": ("to", "and", ","),
    "subtract": ("from",),
    "take away": ("from",),
    "take": ("from",),
    "multiply": ("by", "and", "with"),
    "divide": ("by",),
}


class _NotArithmetic(Exception):
    pass


def to_expression(text: str) -> str | None:
    """Return the expression that lower-case words mean, or None; a number alone is not a question."""
    if len(set(_CURRENCY.findall(text))) > 1:
        return None
    # In a list the commas of 100,200,300 stand between numbers; elsewhere they are read as thousands first.
    for grouped in (False,) if _CALLED.search(text) else (True, False):
        tokens = tokenise(text, grouped)
        if tokens is None:
            return None
        try:
            return _Phrase(tokens).parse()
        except _NotArithmetic:
            if "," not in text:
                return None
    return None


class _Phrase:
    """One pass over the tokens; `operations` counts what there is to work out."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.index = 0
        self.depth = 0
        self.operations = 0

    # --- tokens ---

    def take(self, *phrases: str) -> str | None:
        """Step over the first of the phrases that stands here."""
        for phrase in phrases:
            words = phrase.split()
            if self.tokens[self.index : self.index + len(words)] == words:
                self.index += len(words)
                return phrase
        return None

    def take_of(self, table: Table) -> str | None:
        """Step over a phrase of the table, and return what it stands for."""
        for words, meaning in table.get(self.now(), ()):
            if self.tokens[self.index : self.index + len(words)] == words:
                self.index += len(words)
                return meaning
        return None

    def need(self, *phrases: str) -> str:
        return self.take(*phrases) or self.fail()

    def fail(self) -> NoReturn:
        raise _NotArithmetic

    def at_end(self) -> bool:
        return self.index >= len(self.tokens)

    def now(self) -> str:
        return "" if self.at_end() else self.tokens[self.index]

    # --- whole requests ---

    def parse(self) -> str:
        for request in (self.command, self.percentage, self.of_list, self.sequence):
            self.index = self.operations = self.depth = 0
            try:
                expression = request()
            except _NotArithmetic:
                continue
            if self.at_end() and self.operations:
                return expression
        raise _NotArithmetic

    def command(self) -> str:
        """Read `add 3 to 4`, `increase 80 by 15%` and the like."""
        self.operations = 1
        verb = self.need(*_JOINTS, *_CHANGES, "halve")
        first = self.operand()
        if verb == "halve":
            return f"{first} / 2"
        if verb in _CHANGES:
            if verb == "raise" and self.take("to the power of", "to the power"):
                return f"{first} ^ {self.operand()}"
            self.need("by")
            return f"{first} {_CHANGES[verb]} {self.operand()}"
        joint = self.need(*_JOINTS[verb])
        if verb == "add" and joint != "to":
            return " + ".join([first, *self.items()])
        sign = {"add": "+", "multiply": "*", "divide": "/"}.get(verb, "-")
        second = self.operand()
        return f"{first} {sign} {second}" if verb in ("multiply", "divide") else f"{second} {sign} {first}"

    def items(self) -> list[str]:
        """Read `4, 5 and 6`, also with nothing but spaces between."""
        self.take("and")
        found = [self.operand()]
        while self.take(",", "and") or self.now()[:1].isdigit():
            self.take("and")
            found.append(self.operand())
        return found

    def percentage(self) -> str:
        """Read `what percent of 80 is 20`, `percentage change from 80 to 92`, `20% off 50`, `5 less than 12`."""
        self.operations = 1
        self.take("the")
        if self.take("what percentage of", "what percent of", "percentage of", "percent of"):
            whole = self.operand()
            self.need("is")
            return f"{self.operand()} / {whole} * 100"
        if self.take("what percentage is", "what percent is"):
            part = self.operand()
            self.need("of")
            return f"{part} / {self.operand()} * 100"
        if self.take(
            "percentage change from",
            "percent change from",
            "percentage increase from",
            "percent increase from",
            "percentage decrease from",
            "percent decrease from",
        ):
            falls, old = "decrease" in self.tokens, self.operand()
            self.need("to")
            new = self.operand()
            return f"({old} - {new}) / {old} * 100" if falls else f"({new} - {old}) / {old} * 100"
        if self.take("remainder of", "remainder when"):
            first = self.operand()
            self.take("is")
            self.need("divided by")
            return f"{first} % ({self.operand()})"
        first = self.operand()
        if self.take(
            "is what percentage of", "is what percent of", "as a percentage of", "as a percent of", "as percentage of"
        ):
            return f"{first} / {self.operand()} * 100"
        sign = {"more than": "+", "less than": "-"}[self.need("more than", "less than")]
        return f"{self.operand()} {sign} {first}"

    def of_list(self) -> str:
        """Read `the average of 3, 4 and 5`."""
        self.operations = 1
        self.take("the")
        name = self.take_of(LIST_TABLE) or self.fail()
        self.need("of", "between")
        self.take("the numbers", "the", "numbers")
        bracket = self.take("[", "(")
        items = self.items()
        if bracket:
            self.need("]" if bracket == "[" else ")")
        if len(items) < 2 or (name in ("-", "/") and len(items) != 2):
            self.fail()
        if name == "-":
            return f"abs({items[0]} - {items[1]})"
        return f" {name} ".join(items) if name in ("*", "/") else f"{name}({', '.join(items)})"

    # --- expressions ---

    def sequence(self) -> str:
        parts = [self.operand()]
        while not self.at_end() and self.now() not in (")", ",", "degrees", "degree"):
            operator = self.take_of(INFIX_TABLE)
            if not operator and len(parts) == 3 and parts[1] == "/" and self.take("of"):
                operator = "*"  # 3/4 of 80
            if operator:
                self.operations += 1
                parts += [operator, self.operand()]
            elif self.take("to the"):
                self.operations += 1
                parts += ["^", self.ordinal()]
            else:
                self.fail()
        return " ".join(parts)

    def ordinal(self) -> str:
        number = self.now()
        self.index += 1
        if not number.isdigit() or not self.take("th", "st", "nd", "rd"):
            self.fail()
        self.take("power")
        return number

    def operand(self) -> str:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            self.fail()
        self.take("the")
        value = self.postfix(self.atom())
        self.depth -= 1
        return value

    def atom(self) -> str:
        token = self.now()
        if self.take("-", "minus", "negative"):
            return f"-{self.operand()}"
        if token[:1].isdigit() or token[:1] == ".":
            self.index += 1
            if self.now() not in SCALES:
                return token
            self.index += 1
            return f"({token} * {SCALES[self.tokens[self.index - 1]]})"
        if self.take("("):
            inner = self.sequence()
            self.need(")")
            return f"({inner})"
        if token in ("pi", "e", "tau"):
            self.index += 1
            self.operations += self.tokens[self.index - 1] != "e"
            return token
        for read in (self.share, self.spelled, self.function):
            value = read()
            if value is not None:
                return value
        raise _NotArithmetic

    def share(self) -> str | None:
        """Read `half of 90`, `two thirds of 90`, `double 21`."""
        start = self.index
        if self.now() in MULTIPLES:
            self.operations += 1
            self.index += 1
            self.take("of", "the")
            return f"({MULTIPLES[self.tokens[start]]} * {self.operand()})"
        count = 1
        if not self.take("a", "an"):
            found = read_number(self.tokens, self.index)
            if found:
                count, self.index = found
        name = self.now()
        if name in SHARES:
            self.index += 1
            if not self.take("of") and name != "half":
                self.fail()
            self.operations += 1
            return f"({count} / {SHARES[name]} * {self.operand()})"
        self.index = start
        return None

    def spelled(self) -> str | None:
        found = read_number(self.tokens, self.index)
        if not found:
            return None
        self.index = found[1]
        return str(found[0])

    def function(self) -> str | None:
        if self.take("square of", "cube of"):
            self.operations += 1
            power = 2 if self.tokens[self.index - 2] == "square" else 3
            return f"({self.operand()})^{power}"
        if self.take("log base", "logarithm base"):
            base = self.operand()
            self.need("of")
            self.operations += 1
            return f"log({self.operand()}, {base})"
        name = self.take_of(FUNCTION_TABLE)
        if not name:
            return None
        self.operations += 1
        if self.take("("):
            arguments = [self.sequence() + self.degrees(name)]
            while self.take(","):
                arguments.append(self.sequence())
            self.need(")")
            return f"{name}({', '.join(arguments)})"
        if name in _SEVERAL:
            self.fail()
        self.take("of")
        value = self.operand()
        if name == "round" and self.take("to"):
            places = self.operand()
            self.need("decimal places", "decimals", "places", "digits", "decimal place")
            return f"round({value}, {places})"
        return f"{name}({value}{self.degrees(name)})"

    def degrees(self, name: str) -> str:
        return " * pi / 180" if name in ("sin", "cos", "tan") and self.take("degrees", "degree") else ""

    def postfix(self, value: str) -> str:
        while True:
            if self.take("!", "factorial"):
                value += "!"
            elif self.take("squared"):
                value += "^2"
            elif self.take("cubed"):
                value += "^3"
            elif self.now() in ("%", "percent", "per", "pct") and self.is_percent():
                self.need(*PERCENT)
                return self.of_percent(value)
            else:
                return value
            self.operations += 1

    def is_percent(self) -> bool:
        """Tell `15% of` from the remainder `17 % 5` by what follows."""
        if self.now() != "%":
            return True
        after = self.tokens[self.index + 1] if self.index + 1 < len(self.tokens) else ""
        return not (after[:1].isdigit() or after in ("(", "-", "√") or after in WORDS or after in FUNCTIONS)

    def of_percent(self, value: str) -> str:
        self.take("tip", "tax", "vat", "discount")
        if self.take("of", "on"):
            self.operations += 1
            return f"{value}% * {self.operand()}"
        if self.take("off"):
            self.operations += 1
            return f"({self.operand()} - {value}%)"
        return f"{value}%"
