"""From arithmetic in words to an expression that `calculate` reads.

A recursive descent parser over words, numbers and signs. Every token must have a meaning, or there is no expression:
what is not understood whole is not understood. Pure functions; any thread; imported by `arithmetic` only.
"""

import re
from typing import NoReturn

from callboard.agent.planner.base import no_fit
from callboard.agent.planner.numbers import SCALES, WORDS, read_number
from callboard.agent.planner.vocabulary import (
    CLOSE,
    FUNCTION_TABLE,
    FUNCTIONS,
    INFIX_TABLE,
    LIST_TABLE,
    MULTIPLES,
    PERCENT,
    SHARES,
    Table,
    Tokens,
    tokenise,
)

_MAX_DEPTH = 30
_CURRENCY = re.compile(r"[$€£¥]")
_CALLED = re.compile(r"[a-z]\s*\(|\[")
_FRACTION = re.compile(r"\d+ / \d+|\(\d+ / \d+\)")
_CHANGES = {"increase": "+", "raise": "+", "grow": "+", "decrease": "-", "reduce": "-", "lower": "-"}
_NEAREST = {
    "whole number": 0,
    "integer": 0,
    "ten": -1,
    "hundred": -2,
    "thousand": -3,
    "million": -6,
    "tenth": 1,
    "hundredth": 2,
    "thousandth": 3,
}
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
    """Return the expression that lower-case words mean, or None; a number alone is not a question.

    Raises `TaskError` where the words are understood, and a number among them has no one meaning.
    """
    if len(set(_CURRENCY.findall(text))) > 1:
        return None
    # In a list the commas of 100,200,300 stand between numbers; elsewhere they are part of them.
    for listed in (True,) if _CALLED.search(text) else (False, True):
        read = tokenise(text, listed)
        if read is None:
            return None
        try:
            expression = _Phrase(read).parse()
        except _NotArithmetic:
            if "," not in text:
                return None
            continue
        if read.unclear:
            raise no_fit(f"{read.unclear[0].upper()}{read.unclear[1:]}.")
        return expression
    return None


class _Phrase:
    """One pass over the tokens; `operations` counts what there is to work out."""

    def __init__(self, read: Tokens) -> None:
        self.tokens = read.tokens
        self.lists = read.lists
        self.index = 0
        self.depth = 0
        self.operations = 0
        self.reaches = ""

    # --- tokens ---

    def take(self, *phrases: str) -> str | None:
        """Step over the first of the phrases that stands here. PERF: most begin with another word, and are not taken apart."""
        if not (now := self.now()):
            return None
        for phrase in phrases:
            if not phrase.startswith(now):
                continue
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
            self.reaches = ""
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
            return f"{first} {_CHANGES[verb]} {self.not_of_percent(first, self.operand())}"
        joint = self.need(*_JOINTS[verb])
        if verb == "add" and joint != "to":
            return " + ".join([first, *self.items()])
        sign = {"add": "+", "multiply": "*", "divide": "/"}.get(verb, "-")
        second = self.operand()
        return f"{first} {sign} {second}" if verb in ("multiply", "divide") else f"{second} {sign} {first}"

    def items(self) -> list[str]:
        """Read `4, 5 and 6`, also with nothing but spaces, or nothing but commas and no spaces between.

        `1,5 and 2,5` or `1 234 and 5` may be two numbers or more: between those of a list stands one sort of gap.
        """
        start = self.index
        self.take("and")
        found, gaps = [self.operand()], set[str]()
        while (gap := self.take(",", "and", CLOSE)) or self.now()[:1].isdigit():
            gaps.add("," if gap == "and" else gap or " ")
            self.take("and")
            found.append(self.operand())
        if len(gaps) > 1 or (CLOSE in gaps and len(found) < 3):
            self.fail()
        if not self.lists.isdisjoint(range(start, self.index)):
            self.fail()
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
        return f"{self.not_of_percent(first, self.operand())} {sign} {first}"

    def not_of_percent(self, one: str, other: str) -> str:
        """Return the second operand; 5% more than 20% may be 21% or 25%."""
        if "%" in one and "%" in other:
            self.fail()
        return other

    def of_list(self) -> str:
        """Read `the average of 3, 4 and 5`."""
        self.operations = 1
        self.take("the")
        name = self.take_of(LIST_TABLE)
        if name is None:
            self.fail()
        self.need("of", "between")
        self.take("the numbers", "the", "numbers")
        bracket = self.take("[", "(")
        items = self.items()
        if bracket:
            self.need("]" if bracket == "[" else ")")
        if len(items) < 2 or (name in ("-", "/") and len(items) != 2):
            self.fail()
        if not name:
            raise no_fit(
                "A standard deviation or variance is that of a sample or of a whole population, and they differ: say "
                "'sample standard deviation of …' or 'population standard deviation of …'."
            )
        if name == "range":
            return f"max({', '.join(items)}) - min({', '.join(items)})"
        if name == "-":
            return f"abs({items[0]} - {items[1]})"
        return f" {name} ".join(items) if name in ("*", "/") else f"{name}({', '.join(items)})"

    # --- expressions ---

    def of(self, *, far: bool = True) -> bool:
        """Step over an `of`; what follows has no end but the next sign or word, unless it is in parentheses.

        `20% of 50 + 5` is read as a pocket calculator does; `square root of 16 + 9` is not read at all.
        """
        found = self.take("of", "on") is not None
        if (found or far) and self.now() != "(":
            self.reaches = "far" if far else self.reaches or "words"
        return found

    def sequence(self) -> str:
        parts = [self.operand()]
        while not self.at_end() and self.now() not in (")", ",", CLOSE, "degrees", "degree", "radians", "radian"):
            reaches, before = self.reaches, self.now()
            operator = self.take_of(INFIX_TABLE)
            if operator and (reaches == "far" or (reaches and len(before) > 1 and before.isalpha())):
                raise no_fit(
                    f"Whether what stands behind {before!r} is a part of what stands before it is not clear: write "
                    "parentheses, as in sqrt(16) + 9 or sqrt(16 + 9)."
                )
            if operator == "^" and self.tokens[self.index - 1].isalpha() and self.now() != "(":
                self.reaches = "far"
            if not operator and _FRACTION.fullmatch(" ".join(parts[-3:])) and len(parts) < 4 and self.take("of"):
                operator = "*"  # 3/4 of 80
            if operator:
                self.operations += 1
                parts += [operator, self.operand()]
                if operator == "/" and "%" in parts[-1] and parts[-1][0] != "(":
                    self.fail()  # 1/2% of 200
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
            positive = self.operand()
            if self.tokens[self.index - 1] in ("squared", "cubed"):
                self.fail()  # of -5 or of 5
            return f"-{positive}"
        if token[:1].isdigit() or token[:1] == ".":
            self.index += 1
            if self.now() not in SCALES:
                return token
            self.index += 1
            return f"({token} * {SCALES[self.tokens[self.index - 1]]})"
        if self.take("("):
            outer, self.reaches = self.reaches, ""
            inner = self.sequence()
            self.need(")")
            self.reaches = outer
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
            self.of()
            self.take("the")
            return f"({MULTIPLES[self.tokens[start]]} * {self.operand()})"
        count = 1
        if not self.take("a", "an"):
            found = read_number(self.tokens, self.index)
            if found:
                count, self.index = found
        name = self.now()
        if name in SHARES:
            self.index += 1
            if not self.of() and name != "half":
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
            self.of()
            return f"({self.operand()})^{power}"
        if self.take("log base", "logarithm base"):
            base = self.operand()
            if not self.of():
                self.fail()
            self.operations += 1
            return f"log({self.operand()}, {base})"
        name = self.take_of(FUNCTION_TABLE)
        if not name:
            return None
        self.operations += 1
        if self.take("("):
            outer, self.reaches = self.reaches, ""
            angle = self.sequence()
            arguments = [angle + self.degrees(name, angle)]
            gaps = set[str]()
            while gap := self.take(",", CLOSE):
                gaps.add(gap)
                self.reaches = ""
                arguments.append(self.sequence())
            self.reaches = outer
            self.need(")")
            if len(gaps) > 1 or (CLOSE in gaps and name == "round" and arguments[0].isdigit()):
                self.fail()
            return f"{name}({', '.join(arguments)})"
        if name in _SEVERAL:
            self.fail()
        if name != "sqrt" or self.tokens[self.index - 1] != "√":
            self.of()
        value = self.operand()
        if name == "round" and self.take("to the nearest"):
            return f"round({value}, {_NEAREST[self.need(*_NEAREST)]})"
        if name == "round" and self.take("to"):
            places = self.operand()
            self.need("decimal places", "decimals", "places", "digits", "decimal place")
            return f"round({value}, {places})"
        return f"{name}({value}{self.degrees(name, value)})"

    def degrees(self, name: str, value: str) -> str:
        """Return what turns degrees into radians; raise `TaskError` where an angle may be in either."""
        if name not in ("sin", "cos", "tan") or self.take("radians", "radian"):
            return ""
        if self.take("degrees", "degree"):
            return " * pi / 180"
        if "pi" in value or value == "0":
            return ""
        raise no_fit(
            f"Whether {value} is in degrees or in radians is not said: write '{name} {value} degrees' or '… radians'."
        )

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
        self.take("tip", "tax", "vat")
        if self.of(far=False):
            self.operations += 1
            return f"{value}% * {self.operand()}"
        if self.take("off"):
            self.operations += 1
            return f"({self.operand()} - {value}%)"
        return f"{value}%"
