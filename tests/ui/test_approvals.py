"""What a person decides on in the console: whole, or saying that it is not, and never other than what is shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.ui.browser import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.ui.console import Console

pytestmark = pytest.mark.ui

LONG = """```python
from skills import send_invoice
# pay \u202e0.1
send_invoice('Ad\\u200ba', 120.0, note='\\u202ereverse' + 'раy ' * 5000 + 'The end.')
```"""


def test_shortened_arguments_say_so_are_shown_whole_and_edited_whole(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    console = serve()
    task_id = console.submit(LONG)
    console.await_topic(task_id, "agent.task.paused")
    page = visit(console, f"#/tasks/{task_id}")
    panel = page.get_by_role("region", name="Decision")
    expect(panel).to_contain_text("Shortened here: it is called with 3")
    expect(panel).to_contain_text("Ad\\u200ba")
    panel.get_by_role("button", name="Show all arguments").click()
    expect(panel).to_contain_text("раy The end.")
    expect(panel).to_contain_text("\\u202ereverse")
    expect(panel).not_to_contain_text("Shortened here")
    panel.get_by_role("button", name="Escape what is not ASCII").click()
    expect(panel).to_contain_text("\\u0440\\u0430y The end.")
    assert "\u202e" not in page.locator("main .timeline").inner_text()
    panel.get_by_role("button", name="Edit arguments").click()
    dialog = page.get_by_role("dialog")
    arguments = dialog.get_by_label("Arguments, as JSON")
    text = arguments.input_value()
    assert '"amount_eur": 120.0' in text
    note = "\u202ereverse" + "раy " * 5000 + "The end."
    assert json.loads(text) == {"customer": "Ad\u200ba", "amount_eur": 120.0, "note": note}
    arguments.fill(text.replace("The end.", "An edit."))
    with page.expect_request("**/decide") as sent:
        dialog.get_by_role("button", name="Make the call with these").click()
    body = json.loads(sent.value.post_data or "")
    assert body["arguments"]["note"] == note.replace("The end.", "An edit.")
    with console.client() as client:
        events = client.get(f"/agent/tasks/{task_id}/events").json()["events"]
    asked = next(event["data"] for event in events if event["topic"] == "agent.task.paused")
    assert body["digest"] == asked["digest"]
    expect(page.locator(".answer")).to_contain_text("Invoice over 120.00 EUR")


def test_what_is_approved_is_what_was_seen(serve: Callable[..., Console], visit: Callable[..., Page]) -> None:
    console = serve()
    task_id = console.submit("```python\nfrom skills import send_invoice\nsend_invoice('Ada', 120.0)\n```")
    page = visit(console, f"#/tasks/{task_id}")
    panel = page.get_by_role("region", name="Decision")
    expect(panel).to_contain_text("Left to their defaults:")
    expect(panel).to_contain_text('"note": ""')
    with page.expect_request("**/decide") as sent:
        panel.get_by_role("button", name="Approve").click()
    assert len(json.loads(sent.value.post_data or "")["digest"]) == 64
    expect(page.locator(".answer")).to_contain_text("Invoice over 120.00 EUR sent to Ada")


def test_a_decision_about_other_arguments_than_were_seen_is_refused_in_the_console(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    console = serve()
    task_id = console.submit("```python\nfrom skills import send_invoice\nsend_invoice('Ada', 120.0)\n```")
    page = visit(console, f"#/tasks/{task_id}", expected=("409",))
    page.route("**/decide", lambda route: route.continue_(post_data=altered(route.request.post_data or "")))
    panel = page.get_by_role("region", name="Decision")
    panel.get_by_role("button", name="Approve").click()
    expect(panel.get_by_role("alert")).to_contain_text("decision_outdated")
    with console.client() as client:
        assert client.get(f"/agent/tasks/{task_id}").json()["status"] == "paused"


def altered(body: str) -> str:
    return json.dumps({**json.loads(body), "digest": "0" * 64})
