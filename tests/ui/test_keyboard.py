"""The console without a mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.browser import PHONE
from tests.ui.browser import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.ui.console import Console
    from tests.ui.world import World

pytestmark = pytest.mark.ui


def tab_to(page: Page, words: str, *, most: int = 60) -> None:
    """Press Tab until something with these words has the focus; it must be seen to have it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        text = page.evaluate("(document.activeElement.labels?.[0] ?? document.activeElement).innerText ?? ''")
        if words in text:
            style = "getComputedStyle(document.activeElement)"
            row = "document.activeElement.closest('tr') ? getComputedStyle(document.activeElement.closest('tr')) : null"
            seen = page.evaluate(
                f"[{style}, {row}].some(one => one && one.outlineStyle !== 'none' && one.outlineWidth !== '0px')"
            )
            assert seen, f"{words} has the focus and nobody can see it"
            return
    raise AssertionError(f"Tab does not reach {words}")


def test_a_task_is_given_and_its_answer_opened_with_the_keyboard_alone(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    page = visit(serve(), "#/tasks")
    expect(page.locator("main .empty")).to_be_visible()
    tab_to(page, "Skip to content")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_be_focused()
    tab_to(page, "New task")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Task", exact=True)).to_be_focused()
    page.keyboard.type("What is 12 times 7?")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".answer")).to_have_text("84")
    tab_to(page, "Open the task", most=120)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_be_focused()
    expect(page.locator("h1")).to_have_text("What is 12 times 7?")
    expect(page.locator(".answer")).to_have_text("84")


def test_every_link_of_the_navigation_is_reached_and_moves_the_focus(world: World, visit: Callable[..., Page]) -> None:
    page = visit(world)
    expect(page.locator("tbody tr").first).to_be_visible()
    for label in ("Sessions", "Skills", "Agents", "Health", "Dead letters", "Webhooks"):
        page.locator("#skip").focus()
        tab_to(page, label)
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text(label)
        expect(page.locator("h1")).to_be_focused()


def test_a_row_opens_with_enter_and_a_dialog_closes_with_escape(world: World, visit: Callable[..., Page]) -> None:
    page = visit(world, "#/sessions")
    expect(page.locator("tbody tr").first).to_be_visible()
    tab_to(page, "lisbon-trip")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Session lisbon-trip")
    expect(page.get_by_role("button", name="Delete session")).to_be_visible()
    tab_to(page, "Delete session")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Delete session")).to_be_focused()


def test_the_menu_of_a_phone_opens_and_closes_with_the_keyboard(world: World, visit: Callable[..., Page]) -> None:
    page = visit(world, "#/health", size=PHONE)
    expect(page.get_by_role("heading", name="Healthy")).to_be_visible()
    tab_to(page, "Menu")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Webhooks")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Webhooks")).to_be_hidden()
    expect(page.get_by_role("button", name="Menu")).to_be_focused()
