"""What holds on every page of the console: nothing that axe finds, no overflow at a phone's width, its own title."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.browser import PHONE, WIDE, Scheme, open_page
from tests.ui.browser import expect
from tests.ui.world import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page

    from tests.ui.console import Console
    from tests.ui.world import World

pytestmark = pytest.mark.ui

_RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def settled(page: Page) -> None:
    page.wait_for_selector("h1:not(:empty)")
    expect(page.locator(".loading")).to_have_count(0)


def violations(page: Page) -> list[str]:
    """Return what axe finds, each with its rule and where it is."""
    spec = find_spec("axe_playwright_python")
    assert spec is not None
    assert spec.origin is not None
    page.evaluate((Path(spec.origin).parent / "axe.min.js").read_text())
    found: dict[str, Any] = page.evaluate("rules => axe.run(document, {runOnly: rules})", _RULES)
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_no_violation_on_a_page(world: World, visit: Callable[..., Page], name: str, scheme: str) -> None:
    page = visit(world, world.pages[name], scheme=scheme)
    settled(page)
    page.locator("main details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    assert violations(page) == []


@pytest.mark.parametrize("size", [WIDE, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_on_the_page_about_the_api(
    world: World, browser: Browser, scheme: Scheme, size: tuple[int, int]
) -> None:
    page = open_page(browser, scheme=scheme, size=size)
    page.goto(f"{world.url}/docs")
    assert violations(page) == []
    page.context.close()


@pytest.mark.parametrize("size", [PHONE, (768, 1000)])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits_a_phone_and_a_tablet(
    world: World, visit: Callable[..., Page], name: str, size: tuple[int, int]
) -> None:
    page = visit(world, world.pages[name], size=size)
    settled(page)
    width = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width[0] <= width[1]
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_could_not_be_loaded_is_seen_beside_skills_and_agents(
    serve: Callable[..., Console], visit: Callable[..., Page], tmp_path: Path, scheme: str
) -> None:
    (tmp_path / "skills" / "bad").mkdir(parents=True)
    (tmp_path / "skills" / "bad" / "SKILL.md").write_text("no front matter")
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "helper.yaml").write_text("name: [\n")
    console = serve(CALLBOARD_AGENTS_DIR=str(tmp_path / "agents"))
    for address, file in (("#/skills", "bad/SKILL.md"), ("#/agents", "helper.yaml")):
        page = visit(console, address, scheme=scheme)
        settled(page)
        expect(page.get_by_role("region", name="Problems").get_by_role("listitem")).to_contain_text(file)
        assert violations(page) == []


def test_a_dialog_and_the_menu_of_a_phone_have_no_violation(world: World, visit: Callable[..., Page]) -> None:
    page = visit(world, "#/health", size=PHONE)
    settled(page)
    page.get_by_role("button", name="Menu").click()
    assert violations(page) == []
    page.get_by_role("button", name="API key").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []


def test_every_page_of_the_navigation_has_its_title_and_is_marked(world: World, visit: Callable[..., Page]) -> None:
    page = visit(world)
    labels = page.locator("#nav a").all_inner_texts()
    assert labels == ["Tasks", "New task", "Sessions", "Skills", "Agents", "Health", "Dead letters", "Webhooks"]
    for label in labels:
        page.get_by_role("link", name=label, exact=True).first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text(label)
        expect(page.locator("#nav a[aria-current=page]")).to_have_text(label)
        assert page.title() == f"{label} · Callboard"


def test_the_scheme_can_be_chosen_and_is_kept(world: World, visit: Callable[..., Page]) -> None:
    page = visit(world, "#/agents", scheme="light", size=WIDE)
    settled(page)
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_label("Theme").select_option("dark")
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    settled(page)
    assert page.evaluate(background) == dark


def test_an_address_that_is_no_page_says_so(world: World, visit: Callable[..., Page]) -> None:
    page = visit(world, "#/nowhere")
    expect(page.get_by_text("There is nothing at this address.")).to_be_visible()
