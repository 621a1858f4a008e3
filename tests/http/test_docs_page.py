"""The page for people: complete, escaped, and loading nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from callboard.http.docs_page import STYLE, docs_page
from callboard.http.openapi import openapi_document

if TYPE_CHECKING:
    from tests.http.conftest import Running


class _Reader(HTMLParser):
    """Collects tags, and checks that they are closed in order."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_loads_and_runs_nothing_and_its_style_is_the_allowed_one(shared: Running) -> None:
    reply = shared.client.get("/docs")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    reader = _read(reply.text)
    names = {tag for tag, _ in reader.tags}
    assert not names & {"script", "img", "link", "iframe", "object", "form"}
    assert not any(name in ("src", "style") or name.startswith("on") for _, attrs in reader.tags for name in attrs)
    links = [attrs["href"] or "" for tag, attrs in reader.tags if tag == "a"]
    assert all(link.startswith(("#", "/openapi.json")) for link in links)
    (style,) = re.findall(r"<style>(.*?)</style>", reply.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in reply.headers["content-security-policy"]


def test_the_page_tells_every_operation_field_and_error(shared: Running) -> None:
    page = shared.client.get("/docs").text
    document = openapi_document("1")
    for path, item in document["paths"].items():
        assert path in page
        assert all(escape(operation["summary"]) in page for operation in item.values())
    for name, schema in document["components"]["schemas"].items():
        assert f'id="schema-{name}"' in page
        assert all(f"<code>{field}</code>" in page for field in schema.get("properties", {}))


def test_links_within_the_page_lead_somewhere(shared: Running) -> None:
    reader = _read(shared.client.get("/docs").text)
    ids = {attrs["id"] for _, attrs in reader.tags if "id" in attrs}
    targets = {
        (attrs["href"] or "")[1:] for tag, attrs in reader.tags if tag == "a" and (attrs["href"] or "")[:1] == "#"
    }
    assert targets <= ids


def test_whatever_scrolls_can_be_reached_by_the_keyboard_and_has_a_name_of_its_own(shared: Running) -> None:
    reader = _read(shared.client.get("/docs").text)
    scrolling = set(re.findall(r"^([\w.]+) {[^}]*overflow[-xy]*: *(?:auto|scroll)", STYLE, re.MULTILINE))
    assert scrolling == {".scroll"}
    regions = [attrs for _, attrs in reader.tags if attrs.get("class") == "scroll"]
    assert len(regions) == sum(tag == "table" for tag, _ in reader.tags) > 20
    assert all((found["role"], found["tabindex"]) == ("region", "0") for found in regions)
    assert len({found["aria-label"] for found in regions}) == len(regions)


def test_every_text_of_the_document_is_escaped() -> None:
    evil = "<script>alert(1)</script>"
    document: Any = openapi_document("1")

    def poisoned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: poisoned(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [poisoned(inner) for inner in value]
        return value if not isinstance(value, str) or value.startswith(("#", "get", "post", "delete")) else value + evil

    poison = poisoned(document)
    for item, clean in zip(poison["paths"].values(), document["paths"].values(), strict=True):
        for operation, original in zip(item.values(), clean.values(), strict=True):
            operation["responses"] = original["responses"]
    assert evil not in docs_page(poison)
    _read(docs_page(poison))
