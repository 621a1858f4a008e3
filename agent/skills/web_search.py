"""The skill `web-search`: results of a SearXNG server that the operator names.

The address is the setting CALLBOARD_SKILL_SEARXNG_URL, and there is no default: a server that nobody chose is not
asked. httpx is imported at the first call, because it costs memory that not everyone needs. Any thread.
"""

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from callboard.agent.skill import SkillContext, skill
from callboard.errors import TaskError

if TYPE_CHECKING:
    import httpx

MAX_RESULTS = 20
MAX_QUERY_CHARS = 500
MAX_BYTES = 2_000_000
TIMEOUT_S = 15.0
_TEXT_CHARS = 1000


@skill(name="web-search", replay="safe")
def web_search(query: str, limit: int = 5, *, ctx: SkillContext) -> list[dict[str, Any]]:
    """Search the web: a list of results with the keys title, url and snippet, the best first.

    Raises TaskError `skill_not_configured` without a server's address, `skill_failed` when the server does not answer.
    """
    address = ctx.settings.get("searxng_url", "").strip().rstrip("/")
    if not address:
        raise TaskError(
            "skill_not_configured",
            "web-search has no search server: set CALLBOARD_SKILL_SEARXNG_URL to the address of a SearXNG server, "
            "such as http://127.0.0.1:8080, and restart.",
        )
    if urlsplit(address).scheme not in ("http", "https"):
        raise TaskError("skill_not_configured", "CALLBOARD_SKILL_SEARXNG_URL must begin with http:// or https://.")
    query = " ".join(query.split())
    if not 1 <= len(query) <= MAX_QUERY_CHARS or not 1 <= limit <= MAX_RESULTS:
        raise ValueError(f"Give a query of 1 to {MAX_QUERY_CHARS} characters and a limit of 1 to {MAX_RESULTS}.")
    return _results(_ask(address, query, ctx), limit)


def _ask(address: str, query: str, ctx: SkillContext) -> bytes:
    import httpx

    budget_s = TIMEOUT_S if ctx.remaining_s is None else min(TIMEOUT_S, ctx.remaining_s)
    if budget_s <= 0 or ctx.cancelled:
        raise _failed("was not asked: the task's time is up")
    try:
        with (
            httpx.Client(timeout=budget_s, headers={"Accept": "application/json"}) as client,
            client.stream("GET", f"{address}/search", params={"q": query, "format": "json"}) as response,
        ):
            _check_status(response)
            return _body(response, time.monotonic() + budget_s, ctx)
    except httpx.TimeoutException as error:
        raise _failed(f"did not answer within {budget_s:.0f} s", retryable=True) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _failed(
            f"cannot be reached ({type(error).__name__}); check CALLBOARD_SKILL_SEARXNG_URL", retryable=True
        ) from error


def _check_status(response: "httpx.Response") -> None:
    if response.status_code == 403:
        raise _failed("refused (403): its settings.yml must list json under search.formats")
    if response.status_code == 429:
        raise _failed("refused (429): it limits how often it is asked; try again later", retryable=True)
    if response.status_code != 200:
        what = f"answered with status {response.status_code}; check CALLBOARD_SKILL_SEARXNG_URL"
        raise _failed(what, retryable=response.status_code >= 500)


def _body(response: "httpx.Response", until_s: float, ctx: SkillContext) -> bytes:
    """Read the reply in pieces, because a server may send without end or a byte at a time."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > MAX_BYTES:
            raise _failed(f"sent more than {MAX_BYTES} bytes")
        if time.monotonic() > until_s or ctx.cancelled:
            raise _failed("did not finish its answer in time", retryable=True)
    return bytes(body)


def _results(body: bytes, limit: int) -> list[dict[str, Any]]:
    try:
        found = json.loads(body)["results"]
        return [
            {"title": _text(item, "title"), "url": _text(item, "url"), "snippet": _text(item, "content")}
            for item in found
            if isinstance(item, dict) and _text(item, "url")
        ][:limit]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _failed("sent something that is not a list of results; is it SearXNG?") from error


def _text(item: dict[str, Any], key: str) -> str:
    value = item.get(key)
    return " ".join(value.split())[:_TEXT_CHARS] if isinstance(value, str) else ""


def _failed(what: str, *, retryable: bool = False) -> TaskError:
    return TaskError("skill_failed", f"The search server {what}.", retryable=retryable)
