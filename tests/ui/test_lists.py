"""Sessions, skills, agents, health, dead letters and webhooks, as people see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.provider import Reply
from tests.receiver import answer, receiving
from tests.ui.browser import expect
from tests.ui.test_every_page import violations
from tests.ui.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page, Route

    from bench.provider import Provider
    from tests.ui.console import Console

pytestmark = pytest.mark.ui


def test_a_session_is_a_conversation_that_can_be_continued(world: World, visit: Callable[..., Page]) -> None:
    page = visit(world, "#/sessions")
    page.get_by_role("link", name="lisbon-trip").click()
    said = page.get_by_role("list", name="Conversation").get_by_role("listitem")
    expect(said).to_have_count(6)
    expect(said.nth(0)).to_contain_text("Plan three days in Lisbon")
    expect(said.nth(1)).to_contain_text("Day 1: Alfama on foot")
    expect(page.get_by_role("list", name="Variables")).to_contain_text("hotel_eur")
    expect(page.get_by_role("row", name="What does the hotel cost")).to_contain_text("completed")
    page.get_by_role("link", name="Continue").click()
    expect(page.get_by_role("combobox", name="Session")).to_have_value("lisbon-trip")


def test_the_turns_before_a_page_of_a_conversation_are_fetched_when_asked_for(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    console = serve()
    for number in range(8):
        console.result(f"```python\n# {'é' * 90_000}\n{number}\n```", sessionId="long")
    page = visit(console, "#/sessions/long")
    said = page.get_by_role("list", name="Conversation").get_by_role("listitem")
    expect(said).to_have_count(11)
    expect(said.last).to_contain_text("7")
    page.get_by_role("button", name="Earlier turns").click()
    expect(said).to_have_count(16)
    expect(said.nth(1)).to_contain_text("0")
    expect(page.get_by_role("button", name="Earlier turns")).to_have_count(0)


def test_a_session_grows_while_it_is_looked_at_and_is_deleted_once_that_is_confirmed(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    console = serve()
    console.result("```python\nrate = 0.19\n```", sessionId="bob")
    page = visit(console, "#/sessions/bob", expected=("status of 404",))
    said = page.get_by_role("list", name="Conversation").get_by_role("listitem")
    expect(said).to_have_count(2)
    expect(page.get_by_role("list", name="Variables")).to_have_text("rate")
    console.result("```python\n100 * rate\n```", sessionId="bob")
    expect(said).to_have_count(4)
    page.get_by_role("button", name="Delete session").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(said).to_have_count(4)
    page.get_by_role("button", name="Delete session").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete session").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sessions")
    expect(page.get_by_text("No session yet.")).to_be_visible()
    page.goto(f"{console.url}/console/#/sessions/bob")
    expect(page.get_by_text("Nothing is remembered of this session.")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(2)


def test_a_session_whose_task_runs_is_not_deleted_and_says_why(
    serve: Callable[..., Console], visit: Callable[..., Page], provider: Provider
) -> None:
    provider.say(Reply(text="One."), Reply(text="x" * 500, piece_chars=450, fault="stall"))
    console = serve(provider, CALLBOARD_DRAIN_S="1")
    console.result("Say one.", sessionId="busy")
    console.await_topic(console.submit("Say more.", sessionId="busy"), "agent.model.delta")
    page = visit(console, "#/sessions/busy", expected=("status of 409",))
    page.get_by_role("button", name="Delete session").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete session").click()
    expect(page.locator(".toast")).to_contain_text("busy")
    expect(page.get_by_role("heading", level=1)).to_have_text("Session busy")


def test_skills_show_their_use_their_replay_and_their_declaration(world: World, visit: Callable[..., Page]) -> None:
    page = visit(world, "#/skills")
    page.get_by_label("Search").fill("invoice")
    row = page.locator("tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("each call")
    expect(row).to_contain_text("never")
    row.get_by_role("link", name="send-invoice").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("send-invoice")
    expect(page.locator("pre").first).to_contain_text("def send_invoice(customer: str, amount_eur: float")
    expect(page.get_by_role("row", name="amount_eur")).to_contain_text("number")
    page.get_by_text("JSON Schema").click()
    expect(page.locator("details pre")).to_contain_text('"required"')
    page.go_back()
    page.get_by_label("Search").fill("weekday")
    expect(page.locator("tbody tr")).to_contain_text("1 (100%)")


def test_agents_show_what_they_may_do_and_how_often_they_did(world: World, visit: Callable[..., Page]) -> None:
    page = visit(world, "#/agents")
    reviewer = page.locator(".agent-card", has_text="code-reviewer")
    expect(reviewer).to_contain_text("12 model calls")
    expect(reviewer.locator(".facts > div", has_text="Tasks")).to_contain_text("1")
    expect(reviewer.get_by_role("link", name="security-scan")).to_be_visible()
    reviewer.get_by_role("link", name="Give it a task").click()
    expect(page.get_by_label("Agent")).to_have_value("code-reviewer")


def test_health_shows_services_in_words_and_the_last_hour_in_charts(world: World, visit: Callable[..., Page]) -> None:
    page = visit(world, "#/health")
    expect(page.get_by_role("heading", name="Healthy")).to_be_visible()
    services = page.locator(".service")
    expect(services).to_have_count(5)
    expect(services.nth(0)).to_contain_text("works")
    charts = page.locator("figure.chart")
    expect(charts).to_have_count(4)
    for name in ("Throughput", "Time of work", "Failures", "Queue"):
        chart = page.get_by_role("figure", name=name)
        expect(chart.get_by_role("img", name=name)).to_be_visible()
        expect(chart.locator(".legend li").first).to_be_visible()
        chart.get_by_text("Numbers").click()
        expect(chart.locator("tbody tr")).to_have_count(60)
    throughput = page.get_by_role("figure", name="Throughput")
    expect(throughput.locator(".chart-summary")).to_contain_text("failed")
    assert throughput.locator("rect.bar").count() > 60
    throughput.get_by_role("img").hover(position={"x": 300, "y": 90})
    expect(throughput.locator(".chart-reading")).to_contain_text("completed")


@pytest.mark.parametrize(("status", "word"), [("degraded", "Degraded"), ("unhealthy", "Unhealthy")])
def test_health_says_what_is_wrong(world: World, visit: Callable[..., Page], status: str, word: str) -> None:
    page = visit(world, "#/agents", expected=("status of 503",))

    def ill(route: Route) -> None:
        health = route.fetch().json()
        health |= {"status": status, "problems": ["The model does not answer: <b>timeout</b>"]}
        health["services"] |= {"llm": False}
        route.fulfill(status=503 if status == "unhealthy" else 200, json=health)

    page.route("**/health", ill)
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_role("heading", name=word, exact=True)).to_be_visible()
    expect(page.locator(".problems li")).to_have_text("The model does not answer: <b>timeout</b>")
    expect(page.locator(".service", has_text="Model")).to_contain_text("does not work")
    expect(page.locator(".service", has_text="Store")).not_to_contain_text("does not")
    assert not violations(page)


def test_a_dead_letter_is_redriven_once_that_is_confirmed(tmp_path: Path, visit: Callable[..., Page]) -> None:
    with World.made(tmp_path) as made:
        page = visit(made, "#/dead-letters")
        row = page.locator("tbody tr")
        expect(row).to_contain_text("Unpack the archive of 2019")
        row.get_by_role("button", name="Redrive").click()
        page.get_by_role("dialog").get_by_role("button", name="Redrive").click()
        row.get_by_role("link", name="the new task").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Unpack the archive")
        assert made.tasks["dead"] not in page.url


def test_webhooks_are_filtered_by_their_state_and_sent_again(
    serve: Callable[..., Console], visit: Callable[..., Page]
) -> None:
    console = serve(CALLBOARD_WEBHOOK_ALLOW_PRIVATE="true")
    with receiving(answer(410), answer(200)) as receiver:
        console.result("What is 12 times 7?", callbackUrl=receiver.url)
        receiver.next()
        page = visit(console, "#/webhooks")
        row = page.locator("tbody tr")
        expect(row).to_contain_text("failed")
        expect(row).to_contain_text("410")
        page.get_by_label("State").select_option("delivered")
        expect(page.get_by_text("No such delivery.")).to_be_visible()
        page.get_by_label("State").select_option("")
        row.get_by_role("button", name="Send again").click()
        receiver.next()
        expect(row).to_contain_text("delivered")
