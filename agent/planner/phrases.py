"""From arithmetic in words to an expression that `calculate` reads.

A recursive descent parser over words, numbers and signs. Every token must have a meaning, or there is no expression:
what is not understood whole is not understood. Pure functions; any thread; imported by `arithmetic` only.
"""

import re
from collections.abc import Mapping
from typing import NoReturn

from callboard.agent.planner.numbers import SCALES, WORDS, read_number

_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?"
_WORD_OR_SIGN = r"(log10|log2|[a-z]+(?:'[a-z]+)?)|(\*\*|//|[-+*/%^!()\[\],√])"
_GROUPED = re.compile(rf"\s*(?:[$€£¥]?(\d{{1,3}}(?:,\d{{3}})+(?!\d)(?:\.\d+)?|{_NUMBER})|{_WORD_OR_SIGN})")
_UNGROUPED = re.compile(rf"\s*(?:[$€£¥]?({_NUMBER})|{_WORD_OR_SIGN})")
_MAX_DEPTH = 30
_FUNCTIONS = {
    "sqrt": "sqrt", "√": "sqrt", "square root": "sqrt", "squareroot": "sqrt", "root": "sqrt", "cbrt": "cbrt", "cube root": "cbrt",
    "cubic root": "cbrt", "factorial": "factorial", "abs": "abs", "absolute value": "abs", "sin": "sin", "sine": "sin",
    "cos": "cos", "cosine": "cos", "tan": "tan", "tangent": "tan", "ln": "ln", "natural log": "ln",
    "natural logarithm": "ln", "log": "log", "log10": "log10", "log2": "log2", "exp": "exp", "floor": "floor",
    "ceil": "ceil", "round": "round", "min": "min", "max": "max", "sum": "sum", "mean": "mean", "gcd": "gcd",
    "lcm": "lcm", "asin": "asin", "acos": "acos", "atan": "atan",
}  # fmt: skip
_LISTS = {
    "sum": "sum", "total": "sum", "average": "mean", "mean": "mean", "largest": "max", "biggest": "max", "maximum": "max",
    "max": "max", "highest": "max", "smallest": "min", "minimum": "min", "min": "min", "lowest": "min", "gcd": "gcd",
    "greatest common divisor": "gcd", "greatest common factor": "gcd", "highest common factor": "gcd", "lcm": "lcm",
    "least common multiple": "lcm", "lowest common multiple": "lcm", "product": "*", "quotient": "/", "difference": "-",
}  # fmt: skip
_INFIX = {
    "plus": "+", "added to": "+", "+": "+", "minus": "-", "less": "-", "take away": "-", "-": "-", "times": "*",
    "multiplied by": "*", "multiplied with": "*", "x": "*", "*": "*", "divided by": "/", "over": "/", "/": "/", "//": "//",
    "mod": "%", "modulo": "%", "modulus": "%", "%": "%", "^": "^", "**": "^", "to the power of": "^", "to the power": "^",
    "raised to the power of": "^", "raised to the power": "^", "raised to": "^",
}  # fmt: skip
_PERCENT = ("%", "percent", "per cent", "pct")
_SHARES = {"half": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fifth": 5, "fifths": 5, "tenth": 10}
_MULTIPLES = {"double": 2, "twice": 2, "triple": 3, "thrice": 3, "quadruple": 4}
_KNOWN = frozenset({"log10", "log2"}) | frozenset(
    word
    for phrase in (*_FUNCTIONS, *_LISTS, *_INFIX, *_PERCENT, *_SHARES, *_MULTIPLES, *WORDS)
    for word in phrase.split()
) | frozenset(
    "the a an of and to by from is what percentage as change increase decrease raise reduce lower add subtract "
    "multiply divide with between numbers than more halve negative pi e tau th st nd rd squared cubed square cube base "
    "remainder when on off tip tax vat discount degrees power into per cent difference grow".split()
)

_CURRENCY = re.compile(r"[$€£¥]")
_CALLED = re.compile(r"[a-z]\s*\(|\[")

Table = dict[str, list[tuple[list[str], str]]]


def _table(phrases: Mapping[str, str]) -> Table:
    """Arrange phrases by their first word, the longest first, with what each stands for."""
    table: Table = {}
    for phrase in sorted(phrases, key=len, reverse=True):
        words = phrase.split()
        table.setdefault(words[0], []).append((words, phrases[phrase]))
    return table


_FUNCTION_TABLE, _LIST_TABLE, _INFIX_TABLE = _table(_FUNCTIONS), _table(_LISTS), _table(_INFIX)


class _NotArithmetic(Exception):
    pass


def to_expression(text: str) -> str | None:
    """Return the expression that lower-case words mean, or None; a number alone is not a question."""
    if len(set(_CURRENCY.findall(text))) > 1:
        return None
    # In a list the commas of 100,200,300 stand between numbers; elsewhere they are read as thousands first.
    for grouped in (False,) if _CALLED.search(text) else (True, False):
        tokens = _tokens(text, grouped)
        if tokens is None:
            return None
        try:
            return _Phrase(tokens).parse()
        except _NotArithmetic:
            if "," not in text:
                return None
    return None


def _tokens(text: str, grouped: bool) -> list[str] | None:
    tokens, position, pattern = [], 0, _GROUPED if grouped else _UNGROUPED
    while position < len(text):
        found = pattern.match(text, position)
        if not found or (found[2] and found[2] not in _KNOWN):
            return None
        tokens.append(found[1].replace(",", "") if found[1] else found[2] or found[3])
        position = found.end()
    return tokens


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
        self.fail()

    def command(self) -> str:
        """Read `add 3 to 4`, `increase 80 by 15%` and the like."""
        self.operations = 1
        verb = self.need("add", "subtract", "multiply", "divide", "increase", "raise", "grow", "decrease", "reduce", "lower", "halve")
        first = self.operand()
        if verb == "halve":
            return f"{first} / 2"
        if verb == "raise" and self.take("to the power of", "to the power"):
            return f"{first} ^ {self.operand()}"
        if verb in ("increase", "raise", "grow", "decrease", "reduce", "lower"):
            self.need("by")
            return f"{first} {'+' if verb in ('increase', 'raise', 'grow') else '-'} {self.operand()}"
        joint = self.need(*{"subtract": ("from",), "add": ("to", "and", ","), "multiply": ("by", "and", "with"), "divide": ("by",)}[verb])
        second = self.operand()
        if verb == "add":
            numbers = [second, first] if joint == "to" else [first, second]
            while joint != "to" and not self.at_end():
                self.need(",", "and")
                self.take("and")
                numbers.append(self.operand())
            return " + ".join(numbers)
        return {"subtract": f"{second} - {first}", "multiply": f"{first} * {second}", "divide": f"{first} / {second}"}[verb]

    def percentage(self) -> str:
        """Read `what percent of 80 is 20`, `percentage change from 80 to 92`, `20% off 50`, `5 less than 12`."""
        self.operations = 1
        self.take("the")
        if self.take("what percentage of", "what percent of", "percentage of", "percent of"):
            whole = self.operand()
            self.need("is")
            return f"{self.operand()} / {whole} * 100"
        if self.take("percentage change from", "percent change from", "percentage increase from", "percent increase from", "percentage decrease from", "percent decrease from"):
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
        if self.take("is what percentage of", "is what percent of", "as a percentage of", "as a percent of", "as percentage of"):
            return f"{first} / {self.operand()} * 100"
        sign = {"more than": "+", "less than": "-"}[self.need("more than", "less than")]
        return f"{self.operand()} {sign} {first}"

    def of_list(self) -> str:
        """Read `the average of 3, 4 and 5`."""
        self.operations = 1
        self.take("the")
        name = self.take_of(_LIST_TABLE) or self.fail()
        self.need("of", "between")
        self.take("the numbers", "the", "numbers")
        bracket = self.take("[", "(")
        items = [self.operand()]
        while self.take(",", "and"):
            self.take("and")
            items.append(self.operand())
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
        while not self.at_end() and self.now() not in (")", ","):
            operator = self.take_of(_INFIX_TABLE)
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
            self.operations += token != "e"
            return token
        for read in (self.share, self.spelled, self.function):
            value = read()
            if value is not None:
                return value
        self.fail()

    def share(self) -> str | None:
        """Read `half of 90`, `two thirds of 90`, `double 21`."""
        start = self.index
        if self.now() in _MULTIPLES:
            self.operations += 1
            self.index += 1
            self.take("of", "the")
            return f"({_MULTIPLES[self.tokens[start]]} * {self.operand()})"
        count = 1
        if not self.take("a", "an"):
            found = read_number(self.tokens, self.index)
            if found:
                count, self.index = found
        name = self.now()
        if name in _SHARES:
            self.index += 1
            if not self.take("of") and name != "half":
                self.fail()
            self.operations += 1
            return f"({count} / {_SHARES[name]} * {self.operand()})"
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
        name = self.take_of(_FUNCTION_TABLE)
        if not name:
            return None
        self.operations += 1
        if self.take("("):
            arguments = [self.sequence()]
            while self.take(","):
                arguments.append(self.sequence())
            self.need(")")
            return f"{name}({', '.join(arguments)})"
        self.take("of")
        value = self.operand()
        angle = " * pi / 180" if name in ("sin", "cos", "tan") and self.take("degrees") else ""
        return f"{name}({value}{angle})"

    def postfix(self, value: str) -> str:
        while True:
            if self.take("!", "factorial"):
                value += "!"
            elif self.take("squared"):
                value += "^2"
            elif self.take("cubed"):
                value += "^3"
            elif self.now() in ("%", "percent", "per", "pct") and self.is_percent():
                self.need(*_PERCENT)
                return self.of_percent(value)
            else:
                return value
            self.operations += 1

    def is_percent(self) -> bool:
        """Tell `15% of` from the remainder `17 % 5` by what follows."""
        if self.now() != "%":
            return True
        after = self.tokens[self.index + 1] if self.index + 1 < len(self.tokens) else ""
        return not (after[:1].isdigit() or after in ("(", "-", "√") or after in WORDS or after in _FUNCTIONS)

    def of_percent(self, value: str) -> str:
        self.take("tip", "tax", "vat", "discount")
        if self.take("of", "on"):
            self.operations += 1
            return f"{value}% * {self.operand()}"
        if self.take("off"):
            self.operations += 1
            return f"({self.operand()} - {value}%)"
        return f"{value}%"
