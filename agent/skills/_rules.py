"""What `code_analysis` looks for line by line, in any language, and how deep code is nested.

The rules look at code with comments and strings blanked, so that they find calls and not mentions of them. Pure
functions; any thread.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Literal, NamedTuple

from callboard.agent.skills._languages import Language, mask

Severity = Literal["error", "warning", "info"]


class Finding(NamedTuple):
    """One remark; lines count from 1."""

    line: int
    severity: Severity
    rule: str
    message: str


class _Rule(NamedTuple):
    name: str
    severity: Severity
    languages: frozenset[str]
    pattern: re.Pattern[str]
    message: str


def _rule(name: str, severity: Severity, languages: str, pattern: str, message: str) -> _Rule:
    return _Rule(name, severity, frozenset(languages.split()), re.compile(pattern, re.MULTILINE), message)


_WEB = "javascript typescript"
_RULES = (
    _rule("eval", "error", f"{_WEB} php ruby perl lua", r"(?<![\w.$>])(?:eval|new Function)\s*\(", "Runs text as code; whoever controls the text controls the program."),
    _rule("inner-html", "warning", _WEB, r"\.(?:innerHTML|outerHTML)\s*\+?=(?!=)", "Puts text into the page as HTML; use textContent, or sanitise it."),
    _rule("document-write", "warning", _WEB, r"\bdocument\.write(?:ln)?\s*\(", "document.write blocks the page and lets scripts in."),
    _rule("loose-equality", "info", _WEB, r"[^=!<>](?:==|!=)(?!=)(?!\s*null\b)", "Compares with type conversion; use === or !==."),
    _rule("var", "info", _WEB, r"(?<![\w.$])var\s+[\w$]", "var is scoped to the function; use const or let."),
    _rule("console-log", "info", _WEB, r"(?<![\w.$])console\.log\s*\(", "A leftover of debugging?"),
    _rule("explicit-any", "info", "typescript", r":\s*any\b", "any switches the type checker off."),
    _rule("empty-catch", "warning", f"{_WEB} java csharp kotlin php swift scala cpp", r"\bcatch\s*+(?:\([^()\n]*+\)\s*+)?\{\s*+\}", "Swallows every error without a trace."),
    _rule("broad-catch", "info", "java csharp kotlin", r"\bcatch\s*\(\s*(?:final\s+)?(?:Exception|Throwable)\b", "Catches everything; name the exceptions that can be handled."),
    _rule("print-stack-trace", "info", "java kotlin", r"\.printStackTrace\s*\(", "Prints to the console; use the logger."),
    _rule("unsafe-function", "error", "c cpp objectivec", r"(?<![\w.])(?:gets|strcpy|strcat|sprintf|vsprintf)\s*\(", "Writes without a bound and can overrun the buffer."),
    _rule("shell", "warning", "c cpp php perl ruby lua", r"(?<![\w.>:])(?:system|shell_exec|passthru|popen|exec)\s*\(", "Runs a shell command; text from outside must not get into it."),
    _rule("unwrap", "info", "rust", r"\.unwrap\(\)", "Panics when there is no value; handle the error or use expect()."),
    _rule("unsafe-block", "warning", "rust", r"\bunsafe\s*\{", "The compiler's guarantees end here; say why it is sound."),
    _rule("ignored-error", "warning", "go", r"^[ \t]*(?:\w+, *)?_ *:?= *\w[\w.]*\(", "The error is thrown away."),
    _rule("force-unwrap", "info", "kotlin", r"!!", "Fails when the value is null."),
    _rule("force-try", "warning", "swift", r"\btry!", "Crashes when the call throws."),
    _rule("sql-in-php", "error", "php", r"\bmysql_query\s*\(", "mysql_query is gone since PHP 7; use prepared statements."),
)  # fmt: skip

_SECRET = re.compile(
    r"(?i)(?<![a-z])[\w.$\[\]]{0,40}?(?:passw(?:or)?d|passphrase|secret|api_?key|access_?key|private_?key|auth_?token|access_?token)"
    r"[a-z0-9_]{0,20}[\"'\]]{0,2}\s*(?::\s*[\w&?]{1,20}\s*)?(?::=|=>|=|:)\s*[\"'`]([^\"'`\n]{4,})[\"'`]"
)
_NOT_SECRET = re.compile(r"(?i)\s|^\W*$|^[<{$%]|\byour|^x+$|\*{3}|example|placeholder|changeme_")
_REMINDER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
_BLOCK = re.compile(r"[;{}()]")
_CONTROL = re.compile(
    r"\b(?:if|for|foreach|while|switch|catch|else|try|do|match|loop|guard|when|select|unless|until)\b"
)
_LONG_LINE = 120
_MAX_OF_A_KIND = 20


def find(code: str, language: Language) -> tuple[list[Finding], str]:
    """Return the findings that need no parser, by line, and the masked code."""
    masked, comments = mask(code, language)
    starts = [0, *accumulate(len(line) for line in code.splitlines(keepends=True))]
    hits = [*_by_rule(masked, language), *_secrets(code, comments), *_reminders(comments)]
    findings = [Finding(bisect_right(starts, offset), severity, rule, text) for offset, severity, rule, text in hits]
    findings.extend(_long_lines(code))
    return sorted(set(findings)), masked


_Hit = tuple[int, Severity, str, str]


def _by_rule(masked: str, language: Language) -> Iterator[_Hit]:
    for rule in _RULES:
        if language.name not in rule.languages:
            continue
        for count, found in enumerate(rule.pattern.finditer(masked)):
            if count == _MAX_OF_A_KIND:
                break
            # Patterns may begin with line breaks or one character before what they are about.
            offset = found.start() + len(found[0]) - len(found[0].lstrip())
            yield offset, rule.severity, rule.name, rule.message


def _secrets(code: str, comments: list[tuple[int, str]]) -> Iterator[_Hit]:
    hidden = [(start, start + len(text)) for start, text in comments]
    for line_start, line in _lines(code):
        found = _SECRET.search(line[:1000])
        if not found or _NOT_SECRET.search(found[1]):
            continue
        offset = line_start + found.start()
        index = bisect_right(hidden, (offset, len(code))) - 1
        if index < 0 or offset >= hidden[index][1]:
            yield offset, "error", "hard-coded-secret", "A secret stands in the code; read it from the environment."


def _lines(code: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in code.splitlines(keepends=True):
        yield start, line
        start += len(line)


def _reminders(comments: list[tuple[int, str]]) -> Iterator[_Hit]:
    for start, text in comments:
        for found in _REMINDER.finditer(text[:5000]):
            yield start + found.start(), "info", "todo", f"{found[1]} left in a comment."


def _long_lines(code: str) -> list[Finding]:
    long = [n for n, line in enumerate(code.splitlines(), 1) if len(line) > _LONG_LINE]
    return [Finding(n, "info", "long-line", f"Longer than {_LONG_LINE} characters.") for n in long[:_MAX_OF_A_KIND]]


def block_depths(masked: str) -> list[int]:
    """Return, for each line, how many control blocks in braces are open in it at most."""
    depths = [0] * (masked.count("\n") + 1)
    stack: list[tuple[bool, int]] = []
    begin = line = counted = control = parens = 0
    for found in _BLOCK.finditer(masked):
        line += masked.count("\n", counted, found.start())
        counted = found.start()
        match found[0]:
            case "(" | ")":
                parens = max(0, parens + (1 if found[0] == "(" else -1))
                continue
            case ";" if parens:  # as in for (;;)
                continue
            case "{":
                controls = bool(_CONTROL.search(masked, max(begin, found.start() - 500), found.start()))
                stack.append((controls, parens))
                control, parens = control + controls, 0
                depths[line] = max(depths[line], control)
            case "}" if stack:
                controls, parens = stack.pop()
                control -= controls
        begin = found.end()
    return depths
