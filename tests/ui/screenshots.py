"""Take the pictures in docs/screenshots: `make screenshots`, or `python -m tests.ui.screenshots [--only NAME] [FOLDER]`.

Each page in light, some in dark and at a phone's width, from a server on which all that they show has happened.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.browser import PHONE, WIDE, Scheme, launched, open_page, why_not
from tests.ui.browser import expect
from tests.ui.world import NAMES, World

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
TALLEST_PX = 1400
LONG_LISTS = ("tasks", "skills")  # their beginning is enough
DARK = ("tasks", "task", "health")
ON_A_PHONE = ("tasks", "task", "health", "session")


def settled(page: Page) -> None:
    """Return once the page shows what it has: no part of it is still being loaded."""
    page.wait_for_selector("h1:not(:empty)")
    expect(page.locator(".loading")).to_have_count(0)
    page.evaluate("document.fonts.ready")


def take(browser: Browser, world: World, name: str, file: Path, scheme: Scheme, size: tuple[int, int]) -> None:
    page = open_page(browser, scheme=scheme, size=size)
    page.goto(f"{world.url}/console/{world.pages[name]}")
    settled(page)
    whole = int(page.evaluate("document.documentElement.scrollHeight"))
    height = size[1] if name in LONG_LISTS else min(whole, TALLEST_PX)
    page.set_viewport_size({"width": size[0], "height": max(size[1], height)})
    page.screenshot(path=file)
    page.context.close()
    print(f"{file.name}: {file.stat().st_size // 1024} KB")


Picture = tuple[str, str, Scheme, tuple[int, int]]
"""File name, page, scheme and size."""


def pictures(names: list[str]) -> list[Picture]:
    light: list[Picture] = [(f"{name}-light", name, "light", WIDE) for name in names]
    dark: list[Picture] = [(f"{name}-dark", name, "dark", WIDE) for name in names if name in DARK]
    phone: list[Picture] = [(f"{name}-phone", name, "light", PHONE) for name in names if name in ON_A_PHONE]
    return [*light, *dark, *phone]


def in_every_way(names: list[str]) -> list[Picture]:
    schemes: tuple[Scheme, ...] = ("light", "dark")
    return [
        (f"{name}-{scheme}-{size[0]}", name, scheme, size)
        for name in names
        for scheme in schemes
        for size in (WIDE, PHONE)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.ui.screenshots", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--only", action="append", help="a page; may be given several times")
    parser.add_argument("--all", action="store_true", help="every page in every way")
    given = parser.parse_args()
    reason = why_not()
    if reason:
        print(f"no pictures were taken: {reason}", file=sys.stderr)
        return 1
    given.folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in NAMES if not given.only or name in given.only]
    with (
        tempfile.TemporaryDirectory(prefix="callboard-pictures-") as folder,
        World.made(Path(folder)) as world,
        launched() as browser,
    ):
        for file, name, scheme, size in (in_every_way if given.all else pictures)(names):
            take(browser, world, name, given.folder / f"{file}.png", scheme, size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
