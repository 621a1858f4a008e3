"""What the console does when the server is away or wants a key, and where it keeps the key."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from bench.provider import Reply
from tests.ui.browser import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from bench.provider import Provider
    from tests.ui.console import Console

pytestmark = pytest.mark.ui

KEY = "the-key-of-this-test"
AWAY = r"ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED|ERR_SOCKET_NOT_CONNECTED|ERR_CONTENT_LENGTH"
REFUSED = r"status of 40[13]"


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_task_is_watched_to_its_end_across_a_restart(
    serve: Callable[..., Console], visit: Callable[..., Page], provider: Provider, how: str
) -> None:
    beginning = "Half of the answer. " * 25
    provider.say(
        Reply(text=f"{beginning}…", piece_chars=len(beginning), fault="stall"), Reply(text="The whole answer.")
    )
    console = serve(provider, CALLBOARD_DRAIN_S="1")
    page = visit(console, f"#/tasks/{console.submit('Answer in two halves.')}", expected=(AWAY,))
    expect(page.locator(".answer")).to_contain_text("Half of the answer.")
    getattr(console, how)()
    banner = page.locator("#banner")
    expect(banner).to_contain_text("Connection lost")
    expect(page.locator(".live-state")).to_have_text("reconnecting")
    console.start()
    expect(banner).to_be_hidden()
    expect(page.locator(".task-head .badge")).to_have_text("completed")
    expect(page.locator(".answer")).to_have_text("The whole answer.")


def test_lists_and_health_recover_by_themselves(serve: Callable[..., Console], visit: Callable[..., Page]) -> None:
    console = serve()
    page = visit(console, "#/health", expected=(AWAY,))
    expect(page.get_by_role("heading", name="Healthy")).to_be_visible()
    console.kill()
    expect(page.locator("#banner")).to_contain_text("Connection lost")
    expect(page.get_by_role("heading", name="Healthy")).to_be_visible()
    page.get_by_role("link", name="Sessions").click()
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
    console.start()
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.get_by_text("No session yet.")).to_be_visible()


def test_a_key_is_asked_for_and_kept_in_session_storage_alone(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    console = serve(API_KEY=KEY)
    page = visit(console, "#/sessions", expected=(REFUSED,))
    dialog = page.get_by_role("dialog", name="API key")
    expect(dialog).to_contain_text("This server asks for an API key.")
    dialog.get_by_label("Key").fill("a-wrong-one")
    dialog.get_by_role("button", name="Use key").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The server does not know this key.")
    dialog.get_by_label("Key").fill(KEY)
    dialog.get_by_role("button", name="Use key").click()
    expect(page.get_by_text("No session yet.")).to_be_visible()
    stored = page.evaluate("[JSON.stringify(sessionStorage), JSON.stringify(localStorage), document.cookie]")
    assert KEY in stored[0]
    assert stored[1:] == ["{}", ""]
    assert page.context.cookies() == []
    assert KEY not in page.url
    assert KEY not in page.content()
    page.reload()
    expect(page.get_by_text("No session yet.")).to_be_visible()


def test_whoever_has_no_key_is_told_and_may_try_again(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    page = visit(serve(API_KEY=KEY), "#/webhooks", expected=(REFUSED,))
    page.get_by_role("dialog", name="API key").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("This server asks for an API key")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("dialog", name="API key")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_key_that_no_header_can_carry_is_refused_with_its_reason(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    page = visit(serve(API_KEY=KEY), "#/sessions", expected=(REFUSED,))
    dialog = page.get_by_role("dialog", name="API key")
    dialog.get_by_label("Key").fill("ключ")
    dialog.get_by_role("button", name="Use key").click()
    expect(dialog.get_by_role("alert")).to_contain_text("no other characters")
    expect(page.locator("#banner")).to_be_hidden()


def test_a_task_that_is_watched_again_after_a_change_of_the_key_shows_nothing_twice(
    serve: Callable[..., Console], visit: Callable[..., Page], provider: Provider
) -> None:
    provider.say(*[Reply(text=f"{'Half. ' * 90}…", piece_chars=540, fault="stall")] * 2)
    console = serve(provider)
    page = visit(console, f"#/tasks/{console.submit('Answer in two halves.')}", expected=(AWAY, REFUSED))
    expect(page.locator(".answer")).to_contain_text("Half.")
    accepted = page.locator(".mark-title", has_text="Accepted")
    expect(accepted).to_have_count(1)
    console.kill()
    expect(page.locator("#banner")).to_contain_text("Connection lost")
    console.start(API_KEY=KEY)
    dialog = page.get_by_role("dialog", name="API key")
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Try again").click()
    expect(dialog).to_be_visible()
    dialog.get_by_label("Key").fill(KEY)
    dialog.get_by_role("button", name="Use key").click()
    expect(page.locator(".live-state")).to_have_text("live")
    expect(page.locator(".task-view .failure")).to_have_count(0)
    expect(accepted).to_have_count(1)


def test_a_browser_whose_clock_is_wrong_tells_ages_by_the_servers(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    console = serve()
    console.result("```python\n1\n```")
    page = visit(console, "#/tasks")
    page.clock.set_fixed_time(datetime.now(UTC) + timedelta(hours=3))
    page.reload()
    expect(page.locator("tbody time")).to_have_text(re.compile(r"^now$|^\d+s ago$"))


def test_the_console_is_off_in_production_unless_the_setting_says_otherwise(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    production = {"NODE_ENV": "production", "API_KEY": KEY}
    off = serve(**production)
    for path in ("/console", "/console/", "/console/app.js"):
        assert httpx.get(f"{off.url}{path}").status_code == 404, path
    off.stop()
    on = serve(**production, CALLBOARD_CONSOLE="on")
    page = visit(on, "#/health", expected=(REFUSED,))
    expect(page.get_by_role("heading", name="Healthy")).to_be_visible()
