"""Bodies in and out: strict JSON or msgpack, chosen by Content-Type and Accept.

Strict means what every parser agrees on (RFC 8259 and the names rule of RFC 7493): UTF-8, no NaN, no name twice,
nothing after the value. Where an answer may be in either form, it is in the form of the request's body.
Pure functions in the request's waitress thread; imported within `http/` only.
"""

import json
from codecs import BOM_UTF8
from functools import lru_cache
from typing import Any, NoReturn

import falcon
import msgpack  # type: ignore[import-untyped]
from falcon.request import Request as FalconRequest
from falcon.util.mediatypes import best_match, quality

from callboard.http.errors import BodyTooLarge, MalformedBody, UnsupportedContentEncoding, UnsupportedMediaType
from callboard.limits import VALUE_DEPTH
from callboard.values import mend_text

JSON = falcon.MEDIA_JSON
HTML = "text/html"
MSGPACK = falcon.MEDIA_MSGPACK
MSGPACK_TYPES = (MSGPACK, "application/x-msgpack", "application/vnd.msgpack")
_JSON_FIRST = (JSON, *MSGPACK_TYPES)
_MSGPACK_FIRST = (*MSGPACK_TYPES, JSON)
_MAX_ITEMS = 10_000
TASKS_PATH = "/agent/execute"
_READABLE = f"send {JSON} or {MSGPACK}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # SECURITY: parsers differ in which of two equal names wins, so one that checks and one that acts could disagree.
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the name {shown(twice)} stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# PERF: made once; `json.dumps` with options builds an encoder at every call, and `loads` a decoder.
_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_from_json = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant).decode


def shown(value: Any, limit: int = 64) -> str:
    """Return a short, storable, one-line picture of something the client sent."""
    text = repr(value if not isinstance(value, str) else value[: limit + 1])
    return mend_text(text if len(text) <= limit + 2 else text[:limit] + "…")


def encode(value: Any, media_type: str) -> bytes:
    """Return `value` as JSON or msgpack."""
    if media_type == JSON:
        return _to_json(value).encode()
    packed: bytes = msgpack.packb(value)
    return packed


def respond(resp: falcon.Response, value: Any, media_type: str) -> None:
    """Set the body of an answer."""
    if media_type == JSON:  # also the app's default type: no header to set
        resp.data = _to_json(value).encode()
    else:
        resp.content_type = media_type
        resp.data = msgpack.packb(value)


def reply_type_of(req: FalconRequest) -> str | None:
    """Return the media type to answer in, or None if the client accepts none of ours."""
    accept = req.env.get("HTTP_ACCEPT", "*/*")
    sent = req.content_type
    if sent == JSON and accept in ("*/*", JSON):
        return JSON
    return _negotiate(accept[:500], "msgpack" in (sent or "")) or None


@lru_cache(maxsize=256)
def _negotiate(accept: str, body_is_msgpack: bool) -> str:
    try:
        return best_match(_MSGPACK_FIRST if body_is_msgpack else _JSON_FIRST, accept)
    except ValueError:  # not a list of media ranges at all
        return ""


def may_prefer_text(accept: str) -> bool:
    """Say whether an Accept header may prefer text of some kind, a stream of events say, to JSON and msgpack."""
    return "text/" in accept


def prefers(req: FalconRequest, media_type: str) -> bool:
    """Say whether the client would have this type, which is text, rather than JSON or msgpack."""
    accept = req.env.get("HTTP_ACCEPT", "*/*")
    return may_prefer_text(accept) and _negotiate_with(accept[:500], media_type)


@lru_cache(maxsize=256)
def _negotiate_with(accept: str, media_type: str) -> bool:
    try:
        return best_match((*_JSON_FIRST, media_type), accept) == media_type
    except ValueError:
        return False


@lru_cache(maxsize=256)
def wants_page(accept: str) -> bool:
    """Say whether an Accept header is a browser's: it would have HTML rather than JSON, or names HTML and JSON by `*/*` only."""
    accept = accept[:500].lower()
    named = {media_type.partition(";")[0].strip() for media_type in accept.split(",")}
    try:
        page, data = quality(HTML, accept), max(quality(kind, accept) for kind in _JSON_FIRST)
    except ValueError:
        return False
    return HTML in named and (page > data or (page == data > 0 and not named.intersection(_JSON_FIRST)))


def read_body(req: FalconRequest, limit_bytes: int) -> Any:
    """Return the decoded body; raise what names the fault.

    waitress has refused bodies over the limit already; the check here is for other servers.
    """
    return decode_body(read_bytes(req, limit_bytes), req.content_type)


def read_bytes(req: FalconRequest, limit_bytes: int) -> bytes:
    """Return the body as it came, whole, within the limit and not encoded."""
    if (encoding := req.env.get("HTTP_CONTENT_ENCODING")) is not None:
        _refuse_encoded(encoding)
    length = int(req.env.get("CONTENT_LENGTH") or 0)
    if length > limit_bytes:
        raise BodyTooLarge(too_large(limit_bytes, req.path))
    body: bytes = req.stream.read(length) if length else b""
    if len(body) < length:
        raise MalformedBody(f"The body ended after {len(body)} of {length} bytes.")
    return body


def _refuse_encoded(encoding: str) -> None:
    """Raise unless the Content-Encoding says that the body is as it is: its bytes would be read as something else."""
    codings = [coding.strip().lower() for coding in encoding.split(",")]
    if any(coding not in ("", "identity") for coding in codings):
        # SECURITY: not decoded, since a few bytes may become more than the limit on a body allows
        raise UnsupportedContentEncoding(
            f"The body is encoded ({shown(encoding)}), which is not read here; send it as it is, without Content-Encoding."
        )


def too_large(limit_bytes: int, path: str) -> str:
    """Return what is said of a body over the limit; of a task an attachment is what most often makes one."""
    said = f"The body is larger than the limit of {limit_bytes} bytes (CALLBOARD_MAX_BODY_BYTES)"
    if path != TASKS_PATH:
        return f"{said}; send less, or have whoever runs the server raise the limit."
    fits = max(0, limit_bytes - 1000) * 3 // 4  # base64, and a little for the rest of the body
    return f"{said}; attachments of about {fits} bytes in all fit into it, larger ones are given by url."


def decode_body(body: bytes, content_type: str | None) -> Any:
    """Return the value of a body; raise what names the fault."""
    if not body:
        raise MalformedBody("The body is empty; send a JSON object.")
    decode = _decoder(content_type or "")
    try:
        return decode(body)
    except RecursionError:
        raise MalformedBody(f"The body is nested deeper than {VALUE_DEPTH} levels; flatten it.") from None
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8 at byte {error.start}.") from error
    except ValueError as error:
        if "set_int_max_str_digits" in str(error):  # how Python says it, with advice for whoever wrote the program
            raise MalformedBody(
                "The body holds an integer of thousands of digits; send one of at most 64 bits."
            ) from None
        raise MalformedBody(f"The body cannot be read: {mend_text(str(error))[:300]}.") from error


@lru_cache(maxsize=64)
def _media_type(header: str) -> str:
    """Return the type to decode as, or "" for one that cannot be."""
    kind, _, parameters = header.partition(";")
    kind = kind.strip().lower()
    charset = parameters.lower().replace(" ", "").replace('"', "")
    if kind in MSGPACK_TYPES:
        return MSGPACK
    return JSON if kind == JSON and charset in ("", "charset=utf-8", "charset=utf8") else ""


def _decoder(content_type: str) -> Any:
    kind = JSON if content_type == JSON else _media_type(content_type[:200])
    if kind == JSON:
        return decode_json
    if kind == MSGPACK:
        return decode_msgpack
    if not content_type:
        raise UnsupportedMediaType(f"The request has a body and no Content-Type; {_READABLE}.")
    raise UnsupportedMediaType(f"The Content-Type {shown(content_type)} cannot be read; {_READABLE} in UTF-8.")


def decode_json(body: bytes) -> Any:
    """Return the value of a JSON text; raise `ValueError` or `RecursionError`."""
    # RFC 8259 lets a parser pass over the mark that some programs put in front
    return _from_json((body[len(BOM_UTF8) :] if body.startswith(BOM_UTF8) else body).decode())


def decode_msgpack(body: bytes) -> Any:
    """Return the value of a msgpack message; raise `ValueError`.

    # SECURITY: the unpacker allocates what a length promises before it has seen it, and arrays nest, so lengths have
    # a low limit. No extension types (timestamps are one), no binary, string keys only; deep nesting runs into the
    # unpacker's fixed stack.
    """
    try:
        return msgpack.unpackb(
            body,
            raw=False,
            strict_map_key=True,
            object_pairs_hook=_unique,
            max_array_len=_MAX_ITEMS,
            max_map_len=_MAX_ITEMS,
            max_bin_len=0,
            max_ext_len=0,
        )
    except msgpack.ExtraData as error:
        raise ValueError("there is more after the end of the message") from error
    except msgpack.StackError as error:
        raise RecursionError from error
    except msgpack.UnpackException as error:
        raise ValueError(str(error) or type(error).__name__) from error
