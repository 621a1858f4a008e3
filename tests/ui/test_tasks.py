"""Tasks in the console: submitted, watched, cancelled, decided about, listed by the thousand, and shown as text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from bench.browser import PHONE
from bench.long_history import make_history
from bench.provider import Reply
from tests.ui.browser import expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from bench.provider import Provider
    from tests.ui.console import Console

pytestmark = pytest.mark.ui

BEGINNING = "The beginning of a long answer. " * 16
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> \u202egnp.exe\u202c \u2067مرحبا\u2069 "
PAY = "```python\nfrom skills import send_invoice\nsend_invoice('Ada', 120.0)\n```"


def submit(page: Page, task: str) -> None:
    page.get_by_label("Task", exact=True).fill(task)
    page.get_by_role("button", name="Submit task").click()


def status(page: Page) -> Locator:
    return page.locator(".task-head .badge")


def test_a_submitted_tasks_answer_is_seen_while_it_is_written_and_to_its_end(
    serve: Callable[..., Console], visit: Callable[..., Page], provider: Provider
) -> None:
    provider.say(Reply(text=f"{BEGINNING}And its end.", piece_chars=40, fault="dribble", every_s=0.0008))
    page = visit(serve(provider), "#/new")
    submit(page, "Tell me a long story.")
    answer = page.locator(".answer")
    expect(answer).to_contain_text("The beginning of a long answer.")
    expect(status(page)).to_have_text("running")
    expect(answer).not_to_contain_text("And its end.", timeout=1)
    expect(status(page)).to_have_text("completed")
    expect(answer).to_have_text(f"{BEGINNING}And its end.")
    expect(page.locator("pre", has_text="curl ")).to_have_count(1)


def test_a_new_task_begins_in_a_session_of_its_own_whatever_came_before(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    page = visit(serve(), "#/new")
    submit(page, "What is 12 times 7?")
    expect(status(page)).to_have_text("completed")
    page.get_by_role("link", name="Tasks").first.click()
    page.get_by_role("link", name="New task").first.click()
    expect(page.get_by_label("Session", exact=True)).to_have_value("")


def test_files_are_uploaded_under_their_own_names_and_two_of_one_name_are_told_apart(
    serve: Callable[..., Console], visit: Callable[..., Page], tmp_path: Path
) -> None:
    page = visit(serve(), "#/new")
    chips = page.locator(".drop .chip bdi")
    for n, name in enumerate(("Übersicht (1) <b>.csv", "報告 & 'x'.csv", "a/report.csv", "b/report.csv")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"b\n{n}\n")
        page.get_by_label("Attachments").set_input_files(path)
    page.get_by_label("Attachments").set_input_files(tmp_path / "a/report.csv")  # again, which is no other file
    names = ["Übersicht (1) <b>.csv", "報告 & 'x'.csv", "report.csv", "report (2).csv"]
    expect(chips).to_have_count(4)
    expect(page.locator(".drop")).to_contain_text("report (2).csv")
    submit(page, "What is the maximum of b in Übersicht (1) <b>.csv?")
    expect(status(page)).to_have_text("completed")
    expect(page.locator(".answer")).to_have_text("0")
    for name in names:
        expect(page.locator(".chip", has_text=f"{name} (text/csv").first).to_be_visible()
    assert page.locator("main b").count() == 0


def test_a_task_that_runs_can_be_cancelled(
    serve: Callable[..., Console], visit: Callable[..., Page], provider: Provider
) -> None:
    provider.say(Reply(text=f"{BEGINNING}…", piece_chars=len(BEGINNING), fault="stall"))
    console = serve(provider)
    page = visit(console, "#/new")
    submit(page, "Tell me a story without an end.")
    expect(page.locator(".answer")).to_contain_text("The beginning of a long answer.")
    page.get_by_role("button", name="Cancel task").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel task").click()
    expect(status(page)).to_have_text("cancelled")
    expect(page.locator(".answer")).to_contain_text("The task was cancelled.")


@pytest.mark.parametrize(
    ("decision", "outcome"),
    [
        ("approve", "Invoice over 120.00 EUR sent to Ada"),
        ("edit", "Invoice over 99.00 EUR sent to Ada"),
        ("reject", None),
    ],
)
def test_a_paused_task_is_decided_about(
    serve: Callable[..., Console], visit: Callable[..., Page], decision: str, outcome: str | None
) -> None:
    console = serve()
    page = visit(console, f"#/tasks/{console.submit(PAY)}")
    panel = page.locator("main")
    expect(page.get_by_role("heading", name="A call waits for your approval")).to_be_visible()
    panel.get_by_role("button", name=decision.capitalize()).click()
    dialog = page.get_by_role("dialog")
    if decision == "edit":
        arguments = dialog.get_by_label("Arguments, as JSON")
        assert json.loads(arguments.input_value()) == {"customer": "Ada", "amount_eur": 120.0}
        arguments.fill("{oops")
        dialog.get_by_role("button", name="Make the call with these").click()
        expect(dialog.get_by_role("alert")).to_contain_text("This is not JSON")
        arguments.fill('{"customer": "Ada", "amount_eur": 99}')
        dialog.get_by_role("button", name="Make the call with these").click()
    elif decision == "reject":
        dialog.get_by_label("Reason").fill("Twice the same.")
        dialog.get_by_role("button", name="Reject").click()
    expect(status(page)).to_have_text("completed" if outcome else "failed")
    expect(page.locator(".answer")).to_contain_text(outcome or "approval_rejected")


def test_a_call_that_failed_shows_where_in_its_skill_it_was_raised(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    page = visit(serve(), "#/new")
    submit(page, "```python\nfrom skills import exchange_rate\nexchange_rate('DM')\n```")
    expect(page.locator(".call-result")).to_contain_text(re.compile(r"KeyError at office\.py:\d+ in exchange_rate"))


def test_a_task_of_ten_thousand_is_found_by_paging_and_by_searching(
    serve: Callable[..., Console], visit: Callable[..., Page], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    make_history(tmp_path / "data", 10_000)
    page = visit(serve(), "#/tasks")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(50)
    expect(rows.first).to_contain_text("What is 9999 times 7?")
    page.get_by_role("button", name="Older").click()
    expect(rows.first).to_contain_text("What is 9949 times 7?")
    page.get_by_role("button", name="Newer").click()
    expect(rows.first).to_contain_text("What is 9999 times 7?")
    page.get_by_label("Search").fill("what is 12 times")
    expect(rows).to_have_count(1)
    page.get_by_label("Search").fill("")
    page.get_by_label("Status").select_option("failed")
    expect(rows.first).to_contain_text("What is 9990 times 7?")
    assert "status=failed" in page.url


def test_a_new_task_appears_in_the_list_and_changes_its_status_by_itself(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    console = serve()
    page = visit(console, "#/tasks")
    expect(page.locator(".live-state")).to_have_text("live")
    console.submit("What is 12 times 7?", sessionId="alice")
    row = page.get_by_role("row", name="What is 12 times 7?")
    expect(row).to_contain_text("completed")
    row.get_by_role("link", name="What is 12 times 7?").click()
    expect(page.locator(".answer")).to_have_text("84")


@pytest.mark.parametrize("task", ["x" * 30_000, f"{HOSTILE} " * 300], ids=["one word", "markup and directions"])
def test_a_hostile_text_is_shown_as_text_and_breaks_nothing(
    serve: Callable[..., Console], visit: Callable[..., Page], task: str
) -> None:
    console = serve()
    task = task.strip()
    task_id = console.submit(task, sessionId="hostile", labels={"<b>": "<i>x</i>"})
    console.ended(task_id)
    page = visit(console, "#/tasks", size=PHONE)
    for address in ("#/tasks", f"#/tasks/{task_id}", "#/sessions", "#/sessions/hostile"):
        page.goto(f"{console.url}/console/{address}")
        page.wait_for_selector("h1:not(:empty)")
        expect(page.locator(".loading")).to_have_count(0)
        assert page.locator("main script, main img, main b, main i").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), address
    page.goto(f"{console.url}/console/#/tasks/{task_id}")
    asked = page.locator("section", has=page.get_by_role("heading", name="What was asked"))
    expect(asked.locator(".long-text").first).to_contain_text(task[:60])
    asked.get_by_role("button", name="Show all").click()
    assert asked.locator(".long-text").first.inner_text().strip() == task


def test_an_empty_history_says_what_to_do(serve: Callable[..., Console], visit: Callable[..., Page]) -> None:
    console = serve()
    page = visit(console, "#/tasks")
    for address in ("#/tasks", "#/sessions", "#/dead-letters", "#/webhooks"):
        page.goto(f"{console.url}/console/{address}")
        expect(page.locator("main .empty")).to_be_visible()


def test_a_failed_task_says_why_and_can_be_given_again(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    console = serve()
    task_id = console.submit("```python\n1 / 0\n```")
    console.ended(task_id)
    page = visit(console, f"#/tasks/{task_id}")
    expect(page.locator(".answer")).to_contain_text("division by zero")
    page.get_by_role("button", name="Retry").click()
    page.wait_for_url(lambda url: task_id not in url)
    expect(page.locator(".answer")).to_contain_text("division by zero")


def test_a_whole_number_keeps_all_its_digits(serve: Callable[..., Console], visit: Callable[..., Page]) -> None:
    console = serve()
    task = console.submit("```python\n{'account': 2**70 + 1, 'small': 7}\n```")
    console.ended(task)
    page = visit(console, f"#/tasks/{task}")
    expect(page.locator(".answer")).to_contain_text("1180591620717411303425")
    expect(page.locator(".answer")).to_contain_text("7")


def test_the_arguments_of_a_call_that_are_not_edited_keep_their_digits(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    console = serve()
    code = "```python\nfrom skills import send_invoice\nsend_invoice('9007199254740993', 120.0)\n```"
    page = visit(console, f"#/tasks/{console.submit(code)}")
    page.get_by_role("button", name="Edit arguments").click()
    arguments = page.get_by_label("Arguments, as JSON")
    expect(arguments).to_have_value(re.compile(r'"amount_eur": 120\.0\b'))
    with page.expect_request("**/decide") as sent:
        page.get_by_role("button", name="Make the call with these").click()
    assert '"amount_eur":120.0' in (sent.value.post_data or "")


def test_the_whole_log_of_a_long_task_can_be_seen(serve: Callable[..., Console], visit: Callable[..., Page]) -> None:
    console = serve()
    task = console.submit(
        "```python\nfrom skills import exchange_rate\nfor _ in range(300):\n    exchange_rate('USD')\n```"
    )
    page = visit(console, f"#/tasks/{task}")
    expect(status(page)).to_have_text("completed")
    page.locator(".raw-log > summary").click()
    rows = page.locator(".raw > li")
    expect(rows).to_have_count(500)
    page.get_by_role("button", name="more of").click()
    expect(page.get_by_role("button", name="more of")).to_have_count(0)
    assert rows.count() > 600


def test_a_task_that_comes_to_fit_the_filters_is_announced(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    console = serve()
    console.result("```python\n'apples'\n```")
    page = visit(console, "#/tasks?status=completed&q=apples")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator(".live-state")).to_have_text("live")
    console.result("```python\n'pears'\n```")
    console.result("```python\n'more apples'\n```")
    page.get_by_role("button", name="1 new task").click()
    expect(page.locator("tbody tr")).to_have_count(2)


def test_the_form_knows_how_much_the_server_takes(serve: Callable[..., Console], visit: Callable[..., Page]) -> None:
    page = visit(serve(CALLBOARD_MAX_BODY_BYTES="10000000"), "#/new")
    expect(page.get_by_text("Or drop files here.")).to_contain_text("about 7 MB")
