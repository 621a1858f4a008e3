"""What credentials look like: the forms that their makers give them, and names that stand before values.

Patterns are bounded in every repetition, so each takes time linear in the text. Pure functions; any thread; imported by
`find_secrets` and `security_scan`.
"""

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from callboard.agent.cancel import let_go
from callboard.agent.skills._security import Level, Weakness

_HARD_CODED = 798
"""The CWE of hard-coded credentials."""
_ENTROPY = 3.0
"""Bits a character of what is taken for made by chance; words of a language have about 2.5 at such lengths."""
_REMEDY = "read it from the environment or a vault, and replace it, since it may be known by now."


class _Rule(NamedTuple):
    name: str
    what: str
    severity: Level
    confidence: Level
    pattern: re.Pattern[str]


def _rule(name: str, what: str, severity: Level, confidence: Level, pattern: str) -> _Rule:
    return _Rule(name, what, severity, confidence, re.compile(pattern))


# The group, where there is one, is the secret itself; it is looked at for being a placeholder.
_FORMS = (
    _rule("private-key", "A private key", "high", "high", r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
    _rule("aws-access-key", "An AWS access key id", "high", "high", r"(?<![A-Za-z0-9])((?:AKIA|ASIA)[A-Z0-9]{16})(?![A-Za-z0-9])"),
    _rule("github-token", "A GitHub token", "high", "high", r"(?<![A-Za-z0-9])(gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})"),
    _rule("gitlab-token", "A GitLab token", "high", "high", r"(?<![A-Za-z0-9])(gl(?:pat|ptt|dt|rt|cbt)-[\w-]{20,255})"),
    _rule("slack-token", "A Slack token", "high", "high", r"(?<![A-Za-z0-9])(xox[abeprs]-[A-Za-z0-9-]{10,250})"),
    _rule("slack-webhook", "A Slack webhook", "high", "high", r"hooks\.slack\.com/(?:services|workflows)/([A-Za-z0-9/_-]{20,200})"),
    _rule("stripe-key", "A live Stripe key", "high", "high", r"(?<![A-Za-z0-9])((?:sk|rk)_live_[A-Za-z0-9]{16,200})"),
    _rule("google-api-key", "A Google API key", "high", "high", r"(?<![\w-])(AIza[\w-]{35})(?![\w-])"),
    _rule("anthropic-key", "An Anthropic API key", "high", "high", r"(?<![\w-])(sk-ant-[\w-]{20,200})"),
    _rule("openai-key", "An OpenAI API key", "high", "medium", r"(?<![\w-])(sk-(?!ant-)(?:[a-z]{2,10}-)?[A-Za-z0-9_]{20,250})"),
    _rule("huggingface-token", "A Hugging Face token", "high", "high", r"(?<![A-Za-z0-9_])(hf_[A-Za-z0-9]{34})(?![A-Za-z0-9])"),
    _rule("npm-token", "An npm token", "high", "high", r"(?<![A-Za-z0-9_])(npm_[A-Za-z0-9]{36})(?![A-Za-z0-9])"),
    _rule("pypi-token", "A PyPI token", "high", "high", r"(?<![A-Za-z0-9])(pypi-AgEIcHlwaS5vcmc[\w-]{50,500})"),
    _rule("sendgrid-key", "A SendGrid key", "high", "high", r"(?<![\w-])(SG\.[\w-]{16,32}\.[\w-]{16,64})(?![\w-])"),
    _rule("azure-storage-key", "A key of an Azure storage account", "high", "high", r"AccountKey=([A-Za-z0-9+/]{40,200}={0,2})"),
    _rule("json-web-token", "A JSON web token", "medium", "medium", r"(?<![\w-])(eyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,2000})"),
    _rule("password-in-address", "A password in an address", "high", "medium", r"(?<![\w+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s:/@\"'<>]{0,100}:([^\s/@\"'<>]{1,200})@"),
    _rule("authorization-header", "Credentials in an Authorization header", "high", "medium", r"(?i)\bauthorization[\"']?\s{0,5}[:=]\s{0,5}[\"']?(?:bearer|basic|token)\s{1,5}([\w+/=.~-]{8,2000})"),
)  # fmt: skip

# PERF: it begins with the word itself and not with what may stand before that, which would be tried at every place.
_NAMED = re.compile(
    r"(?i)(?:passw(?:or)?d|passphrase|pwd|secret|api[_-]?key|access[_-]?key|private[_-]?key|(?:auth|access|refresh|bearer|api|bot)[_-]?token)"
    r"[A-Za-z0-9_-]{0,20}[\"'\]]{0,2}[ \t]{0,5}(?::=|=>|[=:])[ \t]{0,5}"
    r"(?:\"(?P<double>[^\"\n]{4,200})\"|'(?P<single>[^'\n]{4,200})'|(?P<bare>[^\s\"'`,;(){}\[\]<>$]{6,200}+)(?=[ \t]{0,5}(?:$|[#;,])))",
    re.MULTILINE,
)
_NAME = re.compile(r"[\w.-]{0,40}\Z")
_NAME_END = re.compile(r"[\w-]{1,60}")
_PLACEHOLDER = re.compile(
    r"(?i)^[^A-Za-z0-9]*$|^[<{$%\[]|[>}%\]]$|\$\{|\{\{|^(.)\1*$|\byour|\*{3}|\.{3}|…|x{4}|example|placeholder|change[_-]?me|replace[_-]?me|dummy|redacted"
    r"|^(?:true|false|null|none|undefined|required|optional|string|text|password|secret|token|key|value|test|todo)$"
)
_REFERENCE = re.compile(
    r"(?i)(?:env|os|process|config|settings|self|this|args|secrets|vault|var|local|data|input)\.[\w.]{1,100}"
)


def find_known(text: str) -> Iterator[Weakness]:
    """Yield the credentials that their own form gives away."""
    yield from (weakness for _, _, weakness in _known(text, _line_starts(text)))


def find_all(text: str) -> Iterator[Weakness]:
    """Yield those, and values that a name such as `password` stands before."""
    starts = _line_starts(text)
    known = list(_known(text, starts))
    yield from (weakness for _, _, weakness in known)
    spans = sorted((begin, end) for begin, end, _ in known)
    for found in _NAMED.finditer(text):
        let_go()
        group = next(name for name in ("double", "single", "bare") if found[name])
        if _is_secret(found[group], quoted=group != "bare") and not _overlaps(spans, *found.span(group)):
            confidence: Level = "medium" if group != "bare" or _entropy(found[group]) >= _ENTROPY else "low"
            message = f"A value stands behind the name {_name(text, found.start())!r}; {_REMEDY}"
            yield Weakness(_line(starts, found.start()), "named-secret", "medium", confidence, message, _HARD_CODED)


def _known(text: str, starts: list[int]) -> Iterator[tuple[int, int, Weakness]]:
    for rule in _FORMS:
        for found in rule.pattern.finditer(text):
            if found.re.groups and _PLACEHOLDER.search(found[1]):
                continue
            message = f"{rule.what} stands in the text; {_REMEDY}"
            line = _line(starts, found.start())
            yield (*found.span(), Weakness(line, rule.name, rule.severity, rule.confidence, message, _HARD_CODED))


def _is_secret(value: str, *, quoted: bool) -> bool:
    """Tell a value from a placeholder, a sentence, a type, or the name of where the value is."""
    if _PLACEHOLDER.search(value) or _REFERENCE.match(value):
        return False
    if quoted:
        return " " not in value.strip()
    # what is not in quotes may be code, where a name stands for a value; letters alone are taken for one
    return bool(re.search(r"\d|[^\w.]", value)) and not value.startswith(("//", "/", "."))


def _name(text: str, offset: int) -> str:
    """Return the whole name that has a telling word in it at `offset`."""
    before, after = _NAME.search(text[max(0, offset - 40) : offset]), _NAME_END.match(text, offset)
    return (before[0] if before else "") + (after[0] if after else "")


def _entropy(value: str) -> float:
    total = len(value)
    return -sum(count / total * math.log2(count / total) for count in Counter(value).values())


def _overlaps(spans: list[tuple[int, int]], begin: int, end: int) -> bool:
    index = bisect_right(spans, (end, 0)) - 1
    return any(b < end and e > begin for b, e in spans[max(0, index - 1) : index + 2])


def _line_starts(text: str) -> list[int]:
    return [0, *accumulate(len(line) + 1 for line in text.split("\n"))]


def _line(starts: list[int], offset: int) -> int:
    return bisect_right(starts, offset)
