"""Numbers as people write them: the one place that says what `1,250`, `0,125` or `１２` mean.

The rule, for every sentence and expression (cells of tables have a column to go by, and rules of their own):

- Decimals take a point: `1.25`, `.5`. A comma is never a decimal point: `0,125` and `12,5` are refused.
- A comma stands before groups of three digits, the first group of one to three without a leading zero: `1,250,000`,
  `1,250.50`. An apostrophe may stand there as well: `1'250.50`.
- A single group alone, `1,250`, may also be 1.25 as much of the world writes it. It is refused, unless it follows a
  sign of dollars, pounds or yen, or another number of the same text shows which way its writer writes.
- A point before a single group of three digits, `1.200`, is a decimal point, but beside euros and francs, whose countries write
  thousands so: there it is refused.
- Digits of any script are digits, of one script a number; full-width signs are signs.

Pure functions; any thread; imported by `calculate`, the skills of durations and units, and the planner.
"""

import re
import unicodedata

RUN = r"(?:\d(?:[\d.,']*\d)?|\.\d+)(?:e[+-]?\d+(?![\d.,]))?"
"""A pattern for a number with all that is written close to its digits; `plain` says what it means, or why nothing."""

_SIGNS = {
    "×": "*", "·": "*", "∙": "*", "⋅": "*", "✕": "*", "✖": "*", "÷": "/", "∕": "/", "⁄": "/", "➗": "/", "−": "-", "–": "-",
    "‐": "-", "‑": "-", "﹣": "-", "➖": "-", "➕": "+", "π": "pi", "’": "'", "٪": "%", "﹪": "%", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
}  # fmt: skip
_TRANSLATION = str.maketrans(_SIGNS | {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)})
_SUPERSCRIPT = re.compile("([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_FRACTION = re.compile(r"(?:(?<![\w.,'^])(\d+) ?)?([¼½¾⅐-⅞])(?![\w.,'])")
_DIGITS = re.compile(r"\d+")

_PLAIN = re.compile(r"(?:\d+(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?")
_GROUPS = re.compile(r"[1-9]\d{0,2}(?:(?:,\d{3})+|(?:'\d{3})+)(?:\.\d+)?")
_EITHER = re.compile(r"[1-9]\d{0,2},\d{3}")
_CLEAR = re.compile(r"\d+\.(?!\d{3}(?!\d))\d+|[1-9]\d{0,2}(?:,\d{3}){2,}(?:\.\d+)?|[1-9]\d{0,2},\d{3}\.\d+")
_RUNS = re.compile(r"(?:\d[\d.,']*\d|\d)")


def in_ascii(text: str) -> str:
    """Return a text with digits, signs, superscripts and fractions such as ½ as a keyboard has them."""
    if text.isascii():
        return text
    text = _SUPERSCRIPT.sub(
        lambda found: f"^{_signed(found[1].translate(_SUPERSCRIPTS))}", text.translate(_TRANSLATION)
    )
    text = _FRACTION.sub(_spelled, text)
    return _DIGITS.sub(lambda found: _digits(found[0]), text)


def _signed(exponent: str) -> str:
    return f"({exponent})" if exponent[0] in "+-" else exponent


def _spelled(found: re.Match[str]) -> str:
    top, bottom = unicodedata.normalize("NFKC", found[2]).split("⁄")
    return f"({found[1]}+{top}/{bottom})" if found[1] else f"({top}/{bottom})"


def _digits(run: str) -> str:
    """Return digits of one script in ASCII; those of several stay, and are refused by `plain`."""
    if run.isascii():
        return run
    zeros = {ord(digit) - unicodedata.decimal(digit) for digit in run}
    return "".join(str(unicodedata.decimal(digit)) for digit in run) if len(zeros) == 1 else run


def is_clear(text: str) -> bool:
    """Tell whether a number in the text shows that its writer groups by commas and takes a point for decimals."""
    return any(_CLEAR.fullmatch(run) for run in _RUNS.findall(text))


def plain(written: str, *, clear: bool = False, money: bool = False) -> str:
    """Return a written number in digits and a point, as Python reads it; raise `ValueError` where it has no one meaning.

    `clear`: the text around it has passed `is_clear`; `money`: a sign of a currency stands before it that groups by
    commas.
    """
    if _PLAIN.fullmatch(written) and written.isascii():
        return written
    if not written.isascii():
        raise ValueError(f"{_shown(written)} mixes digits of several scripts; write it in those of one")
    if not _GROUPS.fullmatch(written):
        raise ValueError(
            f"{_shown(written)} is not a number that can be read for certain: decimals take a point, as in 0.5, and a "
            "comma stands before groups of three digits only"
        )
    digits = written.replace(",", "").replace("'", "")
    if _EITHER.fullmatch(written) and not clear and not money:
        either = written.replace(",", ".")
        raise ValueError(f"{_shown(written)} can be read as {digits} or as {either}; write it without the comma")
    return digits


_POINTED = re.compile(r"(?<![\w.,'])[1-9]\d{0,2}\.\d{3}(?![\w.,'])")
_OF_POINTS = re.compile(r"€|\b(?:eur|euros?|chf|francs?)\b", re.IGNORECASE)


def check_points(text: str) -> None:
    """Raise `ValueError` where a text speaks of euros or francs and has a number such as `1.200`."""
    found = _POINTED.search(text) if _OF_POINTS.search(text) else None
    if found:
        whole = found[0].replace(".", "")
        raise ValueError(
            f"{found[0]!r} can be read as {whole} or as {found[0]}; write {whole}, or more or fewer decimals"
        )


def _shown(written: str) -> str:
    return repr(written if len(written) <= 40 else written[:37] + "...")
