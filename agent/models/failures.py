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

from callboard.agent.models.dialect import field, text_field
from callboard.retry_after import retry_after_s
from callboard.values import mend_text

_MAX_SAID_CHARS = 500
_MASKED = re.compile(r"\S*\*{3,}\S*")  # what some vendors leave of a key
_HIDDEN = "[hidden]"
_LEAST_KEY_CHARS = 4

_AGAIN = frozenset((408, 409, 429))
_RATE_LIMITED = 429
_REFUSED_WORDS = frozenset(("content_filter", "content_policy_violation"))
_NO_MONEY = frozenset(("insufficient_quota", "billing_error"))

_STATUS_OF = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
}
"""Errors inside a stream have a type where others have a status (platform.claude.com/docs/en/api/errors)."""

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
    """One try's failure. `again`: another one may help; `counts`: the API itself is at fault, not this call."""

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


def redact(text: str, key: str) -> str:
    """Return what a server said, on one line, without the key and not too long."""
    if len(key) >= _LEAST_KEY_CHARS:
        text = text.replace(key, _HIDDEN)
    line = " ".join(mend_text(_MASKED.sub(_HIDDEN, text)).split())
    return line if len(line) <= _MAX_SAID_CHARS else f"{line[:_MAX_SAID_CHARS]}…"


def broken(what: str) -> TryFailed:
    """Return that an answer is not one."""
    return TryFailed("model_bad_reply", what, again=True, counts=True)


def failure_of(error: Exception, names: Names, key: str, answered: bool, now: Callable[[], datetime]) -> TryFailed:
    """Return why a vendor's client raised; `answered` says that the head of an answer had come."""
    status, body = field(error, "status_code"), field(error, "body")
    if isinstance(status, int) or isinstance(body, Mapping):
        return _refused(error, body, names, key, now)
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
    kinds = {text_field(inner, "type"), text_field(inner, "code")} - {""}
    status = _status(error, inner, kinds)
    said = redact(text_field(inner, "message") or str(error), key)
    what = f"answered {status}: {said}" if said else f"answered {status}"
    if kinds & _REFUSED_WORDS:
        return TryFailed("model_refused", f"declined to answer: {said}", status=status)
    if kinds & _NO_MONEY:
        return TryFailed("model_rate_limited", f"{what} ({_HINTS[402]})", status=status)
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


def _status(error: Exception, inner: Any, kinds: set[str]) -> int:
    """Return the status of an answer, or the one that an error within a stream amounts to."""
    status = field(error, "status_code")
    if isinstance(status, int) and status >= 300:
        return status
    code = field(inner, "code")
    if isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599:
        return code
    return next((_STATUS_OF[kind] for kind in sorted(kinds) if kind in _STATUS_OF), 500)


def _asked_wait_s(error: Exception, now: Callable[[], datetime]) -> float | None:
    headers = field(error, "response", "headers") or {}
    exact = headers.get("retry-after-ms")  # OpenAI's own, which is more exact
    if exact is not None and (milliseconds := retry_after_s(exact, now())) is not None:
        return milliseconds / 1000
    return retry_after_s(headers.get("retry-after"), now())
