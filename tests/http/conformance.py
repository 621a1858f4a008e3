"""Holds answers against the OpenAPI document: status, headers, media type, body. `Running.client` does so with every one."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import msgpack  # type: ignore[import-untyped]

from callboard import __version__
from callboard.http.openapi import openapi_document
from callboard.http.security_headers import security_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

DOCUMENT = openapi_document(__version__)

EVERYWHERE = {
    # HTTP's own, of whatever is answered
    *("content-type", "content-length", "date", "connection", "server", "via", "transfer-encoding"),
    # what browsers are told, the same with every answer
    *(name.lower() for name in security_headers(production=True)),
    # to pages of other origins that are allowed, by Falcon
    *("access-control-allow-origin", "access-control-expose-headers", "vary"),
}
"""Headers that the document does not list for each operation; docs/api.md has them."""

UNDESCRIBED = re.compile(r"/docs|/console(/.*)?")
"""Pages, which are for people."""


def check_documented(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes | None) -> None:
    """Raise `AssertionError` where an answer is not what the document says; `body` None: of a stream, or of HEAD."""
    found = _operation(method, path)
    if found is None:
        return
    what = f"{method} {path} {status}"
    response = found["responses"].get(str(status))
    assert response is not None, f"{what} is not in the document"
    response = _resolved(response)
    known = {name.lower() for name in response.get("headers", ())} | EVERYWHERE
    assert not (unknown := {name.lower() for name in headers} - known), f"{what} has {unknown}"
    kinds = response.get("content", {})
    kind = headers.get("content-type", "").partition(";")[0]
    assert not kinds or kind in kinds or (status == 302 and not body), f"{what} is {kind}, not {[*kinds]}"
    if not body or kind not in kinds or not kind.endswith(("json", "msgpack")):
        return
    value = jsonschema_rs_value(kind, body)
    for error in _validator(kinds[kind]["schema"].get("$ref", "")).iter_errors(value):
        raise AssertionError(f"{what}: {error}")


def check_response(response: httpx.Response) -> None:
    """Hold a response of httpx against the document; of a stream all but its body."""
    method, path = response.request.method, response.request.url.path
    is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
    body = None if is_stream or method == "HEAD" else response.read()
    check_documented(method, path, response.status_code, response.headers, body)


def jsonschema_rs_value(kind: str, body: bytes) -> Any:
    import json

    return json.loads(body) if kind.endswith("json") else msgpack.unpackb(body)


@cache
def _validator(reference: str) -> Any:
    schema = {"$ref": reference} if reference else {"type": "object"}
    return jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def _resolved(part: Any) -> Any:
    while "$ref" in part:
        _, *names = part["$ref"].split("/")
        part = DOCUMENT
        for name in names:
            part = part[name]
    return part


_PATHS = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", template)), item) for template, item in DOCUMENT["paths"].items()]


def _operation(method: str, path: str) -> Any:
    """Return what the document says of a method, of HEAD what it says of GET; None where it does not speak of it."""
    for pattern, item in sorted(_PATHS, key=lambda entry: "[^" in entry[0].pattern):
        if pattern.fullmatch(path):
            return item.get("get" if method == "HEAD" else method.lower())
    return None
