"""A real browser: the system's Chromium, found and started.

Playwright is imported when a browser is started, so that nothing else needs it to be installed. Imported by
`bench/first_paint.py` and the console's tests.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
Scheme = Literal["light", "dark"]
WIDE, PHONE = (1280, 900), (380, 800)
PATIENCE_MS = 15_000


def find_chromium() -> str | None:
    """Return the path of the Chromium that the variable CHROMIUM names, or else of the system's."""
    named = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, [named] if named else NAMES)), None)


def why_not() -> str | None:
    """Return why no browser can be driven here; None where one can."""
    if find_spec("playwright") is None:
        return "playwright is not installed: `make test-ui` installs it"
    if find_chromium() is None:
        return f"there is no Chromium: install one of {', '.join(NAMES)}, or name it in CHROMIUM"
    return None


@contextmanager
def launched() -> Iterator[Browser]:
    """Run a browser with a profile of its own."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Browser, *, scheme: Scheme = "light", size: tuple[int, int] = WIDE, **more: Any) -> Page:
    """Open an empty page in a context of its own."""
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce", **more
    )
    context.set_default_timeout(PATIENCE_MS)
    return context.new_page()
