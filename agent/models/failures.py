"""Why a try at a model's API failed, in Callboard's codes, and whether another one may help.

# SECURITY: a vendor's error holds the request; a traceback with local variables, or a server that repeats what it was
sent, would show the key. So nothing here is chained to one, and what a server says is redacted and cut.

Pure functions. Imported by `tries.py` and `api_model.py`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from callboard.agent.models.dialect import NoAnswer, field
from callboard.limits import cut
from callboard.retry_after import retry_after_s
from callboard.values import mend_text

_MAX_SAID_CHARS = 500
_MASKED = re.compile(r"\S{0,80}\*{3,}\S{0,80}")  # what some vendors leave of a key
_MOST_READ_CHARS = 4 * _MAX_SAID_CHARS
_HIDDEN = "[hidden]"
_LEAST_KEY_CHARS = 4

_AGAIN = frozenset((408, 409, 429))
_RATE_LIMITED = 429
_REFUSED_WORDS = frozenset(("content_filter", "content_policy_violation", "data_inspection_failed", "1301"))
_NO_MONEY = frozenset(("insufficient_quota", "billing_error", "1113"))
_CONTEXT_WORDS = frozenset(
    (
        "context_length_exceeded",
        "context_window_exceeded",
        "exceed_context_size_error",
        "string_above_max_length",
        "1261",
    )
)
_CONTEXT_STATUSES = frozenset((200, 400, 413, 422, 500))  # 500: some local servers say it so
_CONTEXT = re.compile(
    r"context[ _]?(length|window|size)|maximum prompt length|(prompt|input|request) is too long|too many (input )?tokens"
    r"|tokens? (count|limit).{0,40}exceed|reduce the length of the|exceeds? max length|more than max tokens allowed"
    r"|exceeded model token limit|range of input length|too large for model|exceeds? (the )?context|less than \d+ tokens"
    r"|conversation (is )?too long|超长",
    re.IGNORECASE,
)
"""What APIs say where what was asked is too long for the model: OpenAI and many like it, Anthropic, Bedrock, xAI, Gemini, Groq, Z.ai,
Kimi, Qwen, Mistral."""

_STATUS_OF = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    **dict.fromkeys(("1000", "1001", "1002", "1003", "1004"), 401),
    **dict.fromkeys(("1302", "1303", "1304", "1305"), 429),
    **dict.fromkeys(("1210", "1211", "1212", "1213", "1214", "1215"), 400),
}
"""Errors inside a stream have a type where others have a status (platform.claude.com/docs/en/api/errors); Z.ai has numbers of its
own (docs.z.ai/api-reference/api-code)."""

_HINTS = {
    401: "check {key}",
    402: "the account has no money left",
    403: "check {key}, and whether its account may use the model",
    404: "check {model} and {base_url}",
    413: "what was asked is too long for it",
}


@dataclass(frozen=True, slots=True)
class Names:
    """What an API and its settings are called in messages."""

    host: str
    setting: str = "CALLBOARD_LLM_"

    def of(self, name: str) -> str:
        return f"{self.setting}{name}"


class TryFailed(Exception):
    """One try's failure. `again`: another one may help; `counts`: the API itself is at fault, not this call.

    `spent` are the tokens that were counted, as the API sent them, and what was written for them.
    """

    def __init__(
        self,
        code: str,
        what: str,
        *,
        again: bool = False,
        counts: bool = False,
        retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.again = again
        self.counts = counts
        self.retry_after_s = retry_after_s
        self.status = status
        self.spent: tuple[Mapping[str, Any], str] | None = None


def redact(text: str, key: str) -> str:
    """Return what a server said, on one line, without the key and not too long."""
    if len(key) >= _LEAST_KEY_CHARS:
        text = text.replace(key, _HIDDEN)
    text = text[:_MOST_READ_CHARS]  # PERF: and the pattern looks back 80 characters: with no limits 50,000 took 20 s
    line = " ".join(mend_text(_MASKED.sub(_HIDDEN, text)).split())
    return cut(line, _MAX_SAID_CHARS)


def broken(what: str) -> TryFailed:
    """Return that an answer is not one."""
    return TryFailed("model_bad_reply", what, again=True, counts=True)


def failure_of(error: Exception, names: Names, key: str, answered: bool, now: Callable[[], datetime]) -> TryFailed:
    """Return why a vendor's client raised; `answered` says that the head of an answer had come."""
    status, body = field(error, "status_code"), field(error, "body")
    if isinstance(status, int) or isinstance(body, Mapping):
        return _refused(error, body, names, key, now)
    if isinstance(error, NoAnswer):
        return broken(redact(str(error), key))
    if answered:
        return broken(f"broke its answer off ({_why(error, key)})")
    what = f"cannot be reached at {names.host} ({_why(error, key)})"
    return TryFailed("model_unavailable", what, again=True, counts=True)


def _why(error: BaseException, key: str) -> str:
    """Return the innermost reason; the vendors' own words are only that there was an error."""
    seen = 0
    while error.__cause__ is not None and seen < 10:
        error, seen = error.__cause__, seen + 1
    return redact(str(error), key) or type(error).__name__


def _refused(error: Exception, body: Any, names: Names, key: str, now: Callable[[], datetime]) -> TryFailed:
    inner = field(body, "error") if isinstance(field(body, "error"), Mapping) else body
    kinds = {text for name in ("type", "code") if (text := _word(field(inner, name)))}
    status = _status(error, inner, kinds)
    said = redact(_said(body) or str(error), key)
    # an answer of status 200 has only its own words for what went wrong
    shown = str(status) if isinstance(field(error, "status_code"), int) or status != _UNKNOWN else "with an error"
    code = ", ".join(sorted(kinds - {str(status)}))
    what = f"answered {shown}: {said}" if said else f"answered {shown}"
    what += f" ({redact(code, key)})" if shown == "with an error" and code and code not in said else ""
    if kinds & _REFUSED_WORDS:
        return TryFailed("model_refused", f"declined to answer: {said}{f' ({code})' if code else ''}", status=status)
    if kinds & _NO_MONEY:
        return TryFailed("model_rate_limited", f"{what} ({_HINTS[402]})", status=status)
    if kinds & _CONTEXT_WORDS or (status in _CONTEXT_STATUSES and _CONTEXT.search(said)):
        return TryFailed("model_context_exceeded", f"{what} ({_HINTS[413]})", status=status)
    if status == _RATE_LIMITED:
        wait_s = _asked_wait_s(error, now)
        return TryFailed("model_rate_limited", what, again=True, retry_after_s=wait_s, status=status)
    if status >= 500 or status in _AGAIN:
        wait_s = _asked_wait_s(error, now)
        return TryFailed("model_unavailable", what, again=True, counts=True, retry_after_s=wait_s, status=status)
    hint = _HINTS.get(
        status, "what was asked is not what it takes" if status >= 400 else "it is not followed; check {base_url}"
    )
    said_hint = hint.format(key=names.of("API_KEY"), model=names.of("MODEL"), base_url=names.of("BASE_URL"))
    return TryFailed("model_rejected", f"{what} ({said_hint})", status=status)


def _word(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


_SAID_IN = ("message", "error", "msg", "detail", "status_msg", "error_msg", "base_resp", "errors")


def _said(body: Any, depth: int = 0) -> str:
    """Return the words of an error, wherever this API puts them."""
    if isinstance(body, str):
        return body
    if isinstance(body, list) and depth < 4:
        return "; ".join(filter(None, (_said(item, depth + 1) for item in body[:3])))
    if isinstance(body, Mapping) and depth < 4:
        # an error within an error is the inner one: what stands beside it is about the request
        names = ("error", *_SAID_IN) if isinstance(body.get("error"), Mapping) else _SAID_IN
        return next((said for name in names if (said := _said(body.get(name), depth + 1))), "")
    return ""


_UNKNOWN = 500


def _status(error: Exception, inner: Any, kinds: set[str]) -> int:
    """Return the status of an answer, or the one that an error within a stream amounts to."""
    status = field(error, "status_code")
    if isinstance(status, int) and status >= 300:
        return status
    for name in ("code", "status"):
        code = field(inner, name)
        if isinstance(code, str) and code.isascii() and code.isdigit():
            code = int(code)
        if isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599:
            return code
    return next((_STATUS_OF[kind] for kind in sorted(kinds) if kind in _STATUS_OF), _UNKNOWN)


def _asked_wait_s(error: Exception, now: Callable[[], datetime]) -> float | None:
    headers = field(error, "response", "headers") or {}
    exact = headers.get("retry-after-ms")  # OpenAI's own, which is more exact
    if exact is not None and (milliseconds := retry_after_s(exact, now())) is not None:
        return milliseconds / 1000
    return retry_after_s(headers.get("retry-after"), now())
