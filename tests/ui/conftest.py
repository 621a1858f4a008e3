"""The console's tests: the real server as a process, the real browser, and a scripted provider of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bench.browser import WIDE, Scheme, launched, open_page, why_not
from bench.provider import Provider, running
from tests.ui.browser import Watch
from tests.ui.console import Console
from tests.ui.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser, shared: each page has a context of its own. Skips where there is none."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with launched() as started:
        yield started


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider of models; a test says what it answers."""
    with running() as one:
        yield one


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Console]]:
    """Return a function that starts a server on this test's own folder; it can be stopped and started again."""
    consoles: list[Console] = []

    def start(provider: Provider | None = None, **settings: str) -> Console:
        consoles.append(Console(tmp_path, provider, **settings))
        consoles[-1].start()
        return consoles[-1]

    yield start
    for one in consoles:
        one.stop()


@pytest.fixture(scope="session")
def world(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server that has done all kinds of things, for tests that only look."""
    with World.made(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Return a function that opens the console at an address such as `#/tasks`.

    The test fails if anything goes wrong on the page beyond what it lists in `expected`.
    """
    watches: dict[Page, Watch] = {}

    def go(
        console: Console | World,
        address: str = "",
        *,
        scheme: Scheme = "light",
        size: tuple[int, int] = WIDE,
        expected: tuple[str, ...] = (),
        **more: Any,
    ) -> Page:
        page = open_page(browser, scheme=scheme, size=size, **more)
        watches[page] = Watch(page, console.url)
        watches[page].expected.extend(expected)
        page.goto(f"{console.url}/console/{address}")
        return page

    yield go
    problems = [problem for watch in watches.values() for problem in watch.problems()]
    for page in watches:
        page.context.close()
    assert not problems, "\n".join(problems)
