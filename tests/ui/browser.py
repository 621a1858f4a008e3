"""What a test expects of a page, and what must not happen on it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Locator, Page, Request
    from playwright.sync_api._generated import LocatorAssertions


def expect(what: Locator) -> LocatorAssertions:
    """Return playwright's waiting assertions about an element."""
    from playwright.sync_api import expect as waiting

    return waiting(what)


class Watch:
    """What must not happen on a page: errors, refusals by the content policy, requests to elsewhere.

    `expected` are patterns of console errors that belong to the test, such as a request that is to be refused.
    """

    def __init__(self, page: Page, origin: str) -> None:
        self.expected: list[str] = []
        self._seen: list[str] = []
        self._origin = origin
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._seen.append(f"uncaught: {error}"))
        page.on("request", self._on_request)

    def problems(self) -> list[str]:
        return [one for one in self._seen if not any(re.search(pattern, one) for pattern in self.expected)]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._seen.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _on_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("data", "blob") and f"{url.scheme}://{url.netloc}" != self._origin:
            self._seen.append(f"a request to elsewhere: {request.method} {request.url}")
