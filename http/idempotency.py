"""What makes a repeated POST the same one: the `Idempotency-Key` and the fingerprint of the body.

What a key was first answered with is decided and kept by the store, in the transaction of the acceptance; nothing
is remembered here. Pure functions in the request's waitress thread; imported within `http/` only.
"""

import hashlib
import json
import re

import falcon

from callboard.errors import CallboardError, InvalidRequest
from callboard.http.codec import decode_body, respond
from callboard.http.errors import UnsupportedMediaType, problem_of, status_line
from callboard.http.request import Request
from callboard.messages.tasks import IDEMPOTENCY_KEY_PATTERN, KeptAnswer
from callboard.values import Json, storable

FINAL = (InvalidRequest, UnsupportedMediaType)
"""Errors of the body, which are the answer to it for good: they are kept.

What says "try again" (429, 503, 507), a defect (500) and a missing or wrong key (401, 403) are not: the same request
may be accepted later. 413 is answered before a body has been read, by its size alone.
"""

MOST_KEY_CHARS = 255
_KEY = re.compile(IDEMPOTENCY_KEY_PATTERN.removeprefix("^").removesuffix("$"))


def check_key(key: str) -> str:
    """Return an `Idempotency-Key` as it was sent, quotes and all; raise `InvalidRequest`."""
    if not _KEY.fullmatch(key):
        held = f"has {len(key)} characters" if len(key) > MOST_KEY_CHARS else "is empty or holds others"
        raise InvalidRequest(
            f"The Idempotency-Key {held}; it can be 1 to {MOST_KEY_CHARS} printable ASCII characters, such as a UUID."
        )
    return key


def fingerprint_of(body: bytes, content_type: str | None) -> str:
    """Return the SHA-256 of what a body says, the same in JSON and in msgpack; of its bytes if it says nothing."""
    try:
        canonical = json.dumps(decode_body(body, content_type), sort_keys=True, separators=(",", ":")).encode()
    except (CallboardError, RecursionError):
        canonical = (content_type or "").encode() + b"\n" + body
    return hashlib.sha256(canonical).hexdigest()


def refusal_of(error: CallboardError) -> dict[str, Json]:
    """Return what is kept of an error: all but the id of the request."""
    problem = problem_of(error, "")
    body = {name: value for name, value in problem.body.items() if name != "requestId"}
    kept: dict[str, Json] = storable({"status": problem.status, "body": body})
    return kept


def replay_refusal(req: Request, resp: falcon.Response, kept: KeptAnswer) -> None:
    """Answer an error as it was answered first, under the id of this request."""
    mark_replayed(resp)
    resp.status = status_line(kept.answer["status"])
    respond(resp, {**kept.answer["body"], "requestId": req.request_id}, req.reply_type)


def mark_replayed(resp: falcon.Response) -> None:
    resp.set_header("Idempotent-Replayed", "true")
