"""The console's files: served as they are in the package, strictly, where the setting says so, and nothing else."""

from __future__ import annotations

import re
from configparser import ConfigParser
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from callboard.http.console import POLICY
from tests.http.test_docs_page import _read

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.http.conftest import RawAnswer, Running

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "http" / "console"
FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file())
SCRIPTS = [name for name in FILES if name.endswith(".js")]
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def test_the_address_leads_to_the_page_also_below_a_proxys_path(shared: Running) -> None:
    reply = shared.client.get("/console")
    assert (reply.status_code, reply.headers["location"]) == (308, "console/")
    page = shared.client.get("/console/")
    assert page.status_code == 200
    assert "<title>Callboard</title>" in page.text


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_served_as_it_is_with_its_type_and_the_strict_policy(shared: Running, name: str) -> None:
    reply = shared.client.get(f"/console/{name}")
    assert reply.status_code == 200
    assert reply.content == (FOLDER / name).read_bytes()
    assert reply.headers["content-type"] == TYPES[Path(name).suffix]
    assert reply.headers.get_list("content-security-policy") == [POLICY]
    assert reply.headers.get_list("cache-control") == ["no-cache"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["x-frame-options"] == "DENY"


def test_a_browser_that_has_a_file_is_not_sent_it_again(shared: Running) -> None:
    etag = shared.client.get("/console/app.js").headers["etag"]
    reply = shared.client.get("/console/app.js", headers={"If-None-Match": f'W/"other", {etag}'})
    assert (reply.status_code, reply.content, reply.headers["etag"]) == (304, b"", etag)
    other = shared.client.get("/console/app.js", headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


def test_head_is_answered_like_get_without_the_body(shared: Running) -> None:
    reply = shared.client.head("/console/app.js")
    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["content-length"] == str((FOLDER / "app.js").stat().st_size)


def test_any_accept_header_is_good_enough_for_a_file(shared: Running) -> None:
    assert shared.client.get("/console/style.css", headers={"Accept": "text/css"}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/console/../app.py",
        "/console/%2e%2e/app.py",
        "/console/..%2fapp.py",
        "/console/pages/../../app.py",
        "/console//etc/passwd",
        "/console/%00",
        "/console/nothing.js",
        "/console/pages",
        "/console/pages/",
        "/console/../agent/agents",
    ],
)
def test_what_is_not_one_of_the_files_is_not_there(
    shared: Running, path: str, assert_problem: Callable[[RawAnswer, int, str], dict[str, Any]]
) -> None:
    answer = shared.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert_problem(answer, 404, "route_not_found")


def test_the_files_need_no_key_and_are_not_limited_but_the_data_is(start_server: Callable[..., Running]) -> None:
    running = start_server(api_key=("a-key-of-the-tests",), rate_limit_max_requests=1)
    for _ in range(3):
        assert running.client.get("/console/app.js").status_code == 200
    assert running.client.get("/agent/results").status_code == 401


@pytest.mark.parametrize(
    ("settings", "served"),
    [
        ({"env": "development"}, True),
        ({"env": "production"}, False),
        ({"env": "production", "console": "on"}, True),
        ({"env": "development", "console": "off"}, False),
    ],
)
def test_the_setting_says_whether_it_is_served(
    start_server: Callable[..., Running],
    assert_problem: Callable[..., dict[str, Any]],
    settings: dict[str, Any],
    served: bool,
) -> None:
    client = start_server(**settings).client
    for path in ("/console", "/console/", "/console/app.js"):
        reply = client.get(path)
        if served:
            assert reply.status_code in (200, 308)
        else:
            assert "CALLBOARD_CONSOLE" in assert_problem(reply, 404, "route_not_found")["message"]


def test_the_page_has_no_script_or_style_of_its_own_and_loads_only_from_here() -> None:
    reader = _read((FOLDER / "index.html").read_text())
    for tag, attributes in reader.tags:
        assert tag != "style"
        assert not any(name == "style" or name.startswith("on") for name in attributes)
        if tag == "script":
            assert attributes["src"]
        for name in ("src", "href"):
            assert not re.match(r"[a-z]+:|/", attributes.get(name) or ""), attributes


@pytest.mark.parametrize("name", SCRIPTS)
def test_text_reaches_the_page_as_text_only(name: str) -> None:
    code = (FOLDER / name).read_text()
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTML|DOMParser|srcdoc"
    assert not re.search(forbidden, code)
    assert not re.search(r"""["'`]https?://(?!www\.w3\.org/2000/svg)""", code)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_script_imports_is_there(name: str) -> None:
    code = (FOLDER / name).read_text()
    for target in re.findall(r"""(?:from|import\()\s*["'](\.[^"']+)["']""", code):
        assert ((FOLDER / name).parent / target).is_file(), target


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_has_one_subject_and_says_which(name: str) -> None:
    lines = (FOLDER / name).read_text().splitlines()
    assert lines[0].startswith("// ")
    assert len(lines) <= 450


def test_each_route_of_the_console_has_its_page() -> None:
    pages = re.findall(r'page: "([a-z-]+)"', (FOLDER / "app.js").read_text())
    assert len(pages) >= 10
    for page in pages:
        code = (FOLDER / "pages" / f"{page}.js").read_text()
        assert re.search(r"^export const title\b|^export function title\b", code, re.MULTILINE)
        assert re.search(r"^export async function render\(", code, re.MULTILINE)


def test_the_package_data_names_every_file() -> None:
    """The wheel itself is built, installed and asked for each of them by .ci/wheel."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    patterns = config["options.package_data"]["callboard.http"].split(",")
    # setuptools reads the patterns with this very function.
    matched = {path for one in patterns for path in glob(one.strip(), root_dir=ROOT / "http", recursive=True)}  # noqa: PTH207
    assert {f"console/{name}" for name in FILES} <= matched


REACHED = {
    ".block": 'class: "block", tabindex: "0"|class: "block", dir, tabindex: "0"',
    ".chart-numbers": "made.tabIndex = 0",
    ".table-wrap": r"new ResizeObserver\(\(\) => reachable\(wrap, caption\)\)",
    ".choices": 'class: "choices',  # of checkboxes
    ".drawer": 'class="drawer"',  # of links
}
"""What of the console scrolls, and how it is written that the keyboard reaches it: by itself, or by what is in it."""


def test_whatever_scrolls_in_the_console_is_reached_by_the_keyboard() -> None:
    style = "".join(file.read_text() for file in FOLDER.rglob("*.css"))
    assert set(re.findall(r"^ *([\w.-]+) {[^}]*overflow[-xy]*: *(?:auto|scroll)", style, re.MULTILINE)) == set(REACHED)
    sources = "".join(file.read_text() for file in [*FOLDER.rglob("*.js"), FOLDER / "index.html"])
    assert all(re.search(written, sources) for written in REACHED.values())
    assert len(re.findall(r'"pre"', sources)) == len(re.findall(REACHED[".block"], sources))
