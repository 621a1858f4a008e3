"""The skill `web-fetch`: the readable text of one address.

Where it may go and what it may take is `agent/fetch`'s; what is made of it, `agent/documents`'. Both vendors' libraries
are imported at the first call. Any thread.
"""

from typing import Any

from callboard.agent.documents.reading import MAX_CHARS, CannotRead, is_readable, read
from callboard.agent.fetch.client import DEFAULT_TIMEOUT_S, Fetched, FetchFailed, FetchLimits, fetch
from callboard.agent.fetch.target import FetchRefused
from callboard.agent.skill import RetryableError, SkillContext, skill
from callboard.errors import TaskError

_ACCEPT = (
    "text/html,application/xhtml+xml,text/plain,application/json,application/xml,text/csv,application/pdf,*/*;q=0.1"
)


@skill(replay="safe", permissions=("network",))
def web_fetch(url: str, max_chars: int = 20_000, *, ctx: SkillContext) -> dict[str, Any]:
    """Get a page, PDF or text file from the web: a dict with the keys url, status, title, mediaType, text and truncated.

    A page's text is Markdown, without its navigation. Raises TaskError `address_refused` for addresses that are not
    public, `skill_failed` where there is nothing to read.
    """
    if not 1 <= max_chars <= MAX_CHARS:
        raise ValueError(f"max_chars is {max_chars}; give 1 to {MAX_CHARS:,}.")
    found = _fetched(url, ctx)
    try:
        document = read(
            found.body,
            found.media_type,
            charset=found.charset,
            base_url=found.url,
            max_chars=max_chars,
            timeout_s=_seconds(ctx),
            stop=ctx.cancel_event,
        )
    except CannotRead as error:
        raise TaskError("skill_failed", f"{found.url[:300]}: {error}") from error
    return {
        "url": found.url,
        "status": found.status,
        "title": document.title,
        "mediaType": found.media_type,
        "text": document.text,
        "truncated": document.cut,
    }


def _fetched(url: str, ctx: SkillContext) -> Fetched:
    limits = FetchLimits(
        max_bytes=ctx.max_file_bytes,
        timeout_s=_seconds(ctx),
        allow_private=ctx.fetch_allow_private,
        takes=is_readable,
        accept=_ACCEPT,
        stop=ctx.cancel_event,
    )
    try:
        return fetch(url, limits)
    except FetchRefused as error:
        raise TaskError("address_refused", str(error)) from error
    except FetchFailed as error:
        if error.retryable:
            raise RetryableError(str(error)) from error
        raise TaskError("skill_failed", str(error)) from error


def _seconds(ctx: SkillContext) -> float:
    return DEFAULT_TIMEOUT_S if ctx.remaining_s is None else min(DEFAULT_TIMEOUT_S, ctx.remaining_s)
