"""Query parameters and path parts, read strictly: an unknown or a repeated one is refused by name.

Pure functions in the request's waitress thread; imported within `http/` only.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

import falcon

from callboard.errors import DeliveryNotFound, InvalidRequest, SessionNotFound, TaskNotFound
from callboard.http.codec import shown
from callboard.messages.deliveries import DeliveryState
from callboard.messages.tasks import Status
from callboard.task_spec import SESSION_ID_PATTERN, SESSION_ID_RULE
from callboard.values import INT64_MAX, check_text, unmarked

TASK_ID_PATTERN = r"^[0-9A-Za-z-]{1,64}$"
_TASK_ID = re.compile(TASK_ID_PATTERN.removeprefix("^").removesuffix("$"))
_SESSION_ID = re.compile(SESSION_ID_PATTERN.removeprefix("^").removesuffix("$"))
_DIGITS = re.compile(r"[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")
MOST_SECONDS = 1_000_000_000
"""The longest wait that can be asked for; how long a request is held at most is a setting."""


def query_of(req: falcon.Request, *known: str) -> Mapping[str, str]:
    """Return the query's parameters, each at most once and none but the known ones."""
    if not req.query_string:
        return {}
    try:
        unquote_to_bytes(req.query_string).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(
            f"The query {shown(req.query_string)} is not UTF-8, percent-encoded; send it so."
        ) from None
    found: dict[str, str] = {}
    for name, value in req.params.items():
        if name not in known:
            allowed = f"the known ones are: {', '.join(known)}" if known else "this path takes none"
            raise InvalidRequest(f"Unknown query parameter {shown(name)}; {allowed}.")
        if not isinstance(value, str):
            raise InvalidRequest(f"The query parameter {name} is given {len(value)} times; give it once.")
        found[name] = unmarked(check_text(value, f"the query parameter {name}"))
    return found


def whole_number(query: Mapping[str, str], name: str, default: int, *, least: int, most: int = INT64_MAX) -> int:
    """Return a parameter that is an integer within limits."""
    text = query.get(name)
    if text is None:
        return default
    if not _DIGITS.fullmatch(text) or not least <= int(text) <= most:
        range_ = f"from {least} to {most}" if most != INT64_MAX else f"of {least} or more"
        raise InvalidRequest(f"The query parameter {name} is {shown(text)}; give an integer {range_}.")
    return int(text)


def seconds(query: Mapping[str, str], name: str) -> float:
    """Return a parameter that is a number of seconds, 0 when absent."""
    text = query.get(name, "0")
    if not _NUMBER.fullmatch(text) or not 0 <= float(text) <= MOST_SECONDS:
        raise InvalidRequest(
            f"The query parameter {name} is {shown(text)}; give a number of seconds from 0 to {MOST_SECONDS:,}, such as 20."
        )
    return float(text)


def expect_no_page(query: Mapping[str, str], default_limit: int) -> None:
    """Refuse what only a page can have, unless it is as it would be unsent: clients made from the document send defaults."""
    limit = whole_number(query, "limit", default_limit, least=1, most=default_limit)
    named = [name for name, sent in (("limit", limit != default_limit), ("wait", seconds(query, "wait") > 0)) if sent]
    if named:
        raise InvalidRequest(f"A stream has no {' and no '.join(named)}; leave it out, or ask for a page.")


def status_in(query: Mapping[str, str]) -> Status | None:
    """Return the status to filter by, if one is given."""
    text = query.get("status")
    if text is None:
        return None
    try:
        return Status(text)
    except ValueError:
        known = ", ".join(Status)
        raise InvalidRequest(f"There is no status {shown(text)}; the known ones are: {known}.") from None


def delivery_state_in(query: Mapping[str, str]) -> DeliveryState | None:
    """Return the state of deliveries to filter by, if one is given."""
    text = query.get("state")
    if text is None:
        return None
    try:
        return DeliveryState(text)
    except ValueError:
        known = ", ".join(DeliveryState)
        raise InvalidRequest(f"There is no state {shown(text)}; the known ones are: {known}.") from None


def session_in(query: Mapping[str, str]) -> str | None:
    """Return the session to filter by, if one is given."""
    text = query.get("sessionId")
    if text is not None and not _SESSION_ID.fullmatch(text):
        raise InvalidRequest(f"The query parameter sessionId is {shown(text)}; it {SESSION_ID_RULE}.")
    return text


def parent_in(query: Mapping[str, str]) -> str | None:
    """Return the task whose delegated ones are asked for, if one is given."""
    text = query.get("parentId")
    if text is not None and not _TASK_ID.fullmatch(text):
        raise InvalidRequest(f"The query parameter parentId is {shown(text)}; it must match {TASK_ID_PATTERN}.")
    return text


def task_in(query: Mapping[str, str]) -> str | None:
    """Return the task to filter by, if one is given."""
    text = query.get("taskId")
    if text is not None and not _TASK_ID.fullmatch(text):
        raise InvalidRequest(f"The query parameter taskId is {shown(text)}; it must match {TASK_ID_PATTERN}.")
    return text


def task_id_from(text: str) -> str:
    """Return a task's id from a path or a query; raise `TaskNotFound` for one that no task can have."""
    if not _TASK_ID.fullmatch(text):
        raise TaskNotFound(f"There is no task {shown(text)}.")
    return text


def delivery_id_from(text: str) -> str:
    """Return a delivery's id from a path; raise `DeliveryNotFound` for one that no delivery can have."""
    if not _TASK_ID.fullmatch(text):
        raise DeliveryNotFound(f"There is no delivery {shown(text)}.")
    return text


def session_id_from(text: str) -> str:
    """Return a session's id from a path; raise `SessionNotFound` for one that no session can have."""
    if not _SESSION_ID.fullmatch(text):
        raise SessionNotFound(f"There is no session {shown(text)}.")
    return text
