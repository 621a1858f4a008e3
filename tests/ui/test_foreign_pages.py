"""What a page of somebody else's, open in the same browser, can do to a server without keys: nothing."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from bench.browser import ARGUMENTS, find_chromium, open_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    from tests.ui.console import Console

pytestmark = pytest.mark.ui

PAYMENT = '```python\nfrom skills import send_invoice\nsend_invoice("Zoo", 5000.0)\n```'
REBOUND = "rebound.test"
TRY = """async ({url, options}) => {
    try {
        const reply = await fetch(url, options);
        return reply.type === "opaque" ? "opaque" : `${reply.status} ${await reply.text()}`;
    } catch (error) {
        return `failed: ${error}`;
    }
}"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>A harmless page</title><form method=post></form><iframe name=hidden></iframe>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The address of another server on this machine, with a page of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def deceived(browser: Browser) -> Iterator[Browser]:
    """A browser for which a stranger's name points at this machine."""
    rules = f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    # newer browsers ask before a page reaches loopback; older ones, which are meant here, do not
    arguments = [*ARGUMENTS, rules, "--disable-features=LocalNetworkAccessChecks"]
    started = browser.browser_type.launch(executable_path=find_chromium(), args=arguments)
    yield started
    started.close()


def tried(page: Page, url: str, **options: object) -> str:
    said: str = page.evaluate(TRY, {"url": url, "options": options})
    return said


def test_a_page_of_another_origin_reads_nothing_and_changes_nothing(
    serve: Callable[..., Console], deceived: Browser, elsewhere: str
) -> None:
    console = serve()
    console.result("What is 6 * 7?")
    waiting = console.submit(PAYMENT)
    console.await_topic(waiting, "agent.task.paused")
    page = open_page(deceived)
    page.goto(elsewhere)
    decide = f"{console.url}/agent/tasks/{waiting}/decide"
    assert tried(page, f"{console.url}/agent/results").startswith("failed")
    assert tried(page, decide, method="POST", body='{"decision": "approve"}').startswith("failed")
    json = {"Content-Type": "application/json"}
    assert tried(page, f"{console.url}/agent/execute", method="POST", headers=json, body='{"task": "x"}').startswith(
        "f"
    )
    for path in ("decide", "cancel", "retry"):
        tried(page, f"{console.url}/agent/tasks/{waiting}/{path}", method="POST", mode="no-cors")
    with page.expect_response(lambda reply: reply.url.endswith("/cancel")) as answered:
        page.evaluate(
            "url => { const form = document.forms[0]; form.action = url; form.target = 'hidden'; form.submit(); }",
            f"{console.url}/agent/tasks/{waiting}/cancel",
        )
    assert answered.value.status == 403
    with console.client() as client:
        assert client.get(f"/agent/tasks/{waiting}").json()["status"] == "paused"
        assert len(client.get("/agent/results").json()["results"]) == 2


def test_a_name_that_was_pointed_at_this_machine_reaches_nothing(
    serve: Callable[..., Console], deceived: Browser
) -> None:
    console = serve()
    console.result("What is 6 * 7?")
    rebound = console.url.replace("127.0.0.1", REBOUND)
    page = open_page(deceived)
    page.route(f"{rebound}/", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page.goto(f"{rebound}/")  # the stranger's page, from before the name was pointed here
    said = tried(page, f"{rebound}/agent/results")
    assert said.startswith("421"), said
    assert "6 * 7" not in said
    assert tried(page, f"{rebound}/agent/execute", method="POST", body="{}").startswith("421")


def test_the_console_goes_on_working(serve: Callable[..., Console], deceived: Browser) -> None:
    page = open_page(deceived)
    page.goto(f"{serve().url}/console")
    assert tried(page, "/agent/execute", method="POST", body="{}").startswith("415")
