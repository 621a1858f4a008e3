"""`web-search` against a real HTTP server on this machine, well-behaved and not."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from callboard import SkillContext
from callboard.agent.skills.web_search import web_search
from callboard.errors import TaskError

Answer = Callable[[BaseHTTPRequestHandler], None]
RESULTS = [
    {"title": f"Title {n}", "url": f"https://example.org/{n}", "content": f"Text\n {n}", "engine": "x"}
    for n in range(30)
]


class Server:
    """A search server that answers as the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = lambda request: reply(request, json.dumps({"results": RESULTS}).encode())
        self.asked: list[str] = []
        self.over = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                server.answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = False
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def stop(self) -> None:
        self.over.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def reply(request: BaseHTTPRequestHandler, body: bytes, status: int = 200) -> None:
    request.send_response(status)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    made = Server()
    yield made
    made.stop()


def context(url: str | None, **changes: Any) -> SkillContext:
    settings = {} if url is None else {"searxng_url": url}
    return SkillContext(**{"task_id": "t", "session_id": "s", "effect_id": "e", "settings": settings, **changes})


def search(url: str | None, query: str = "actors", limit: int = 5, **changes: Any) -> list[dict[str, Any]]:
    return web_search(query, limit, ctx=context(url, **changes))


def test_the_best_results_come_as_title_url_and_snippet(server: Server) -> None:
    found = search(server.url, "actor & systems", 2)
    assert found == [
        {"title": "Title 0", "url": "https://example.org/0", "snippet": "Text 0"},
        {"title": "Title 1", "url": "https://example.org/1", "snippet": "Text 1"},
    ]
    asked = urlsplit(server.asked[0])
    assert asked.path == "/search"
    assert parse_qs(asked.query) == {"q": ["actor & systems"], "format": ["json"]}


def test_an_address_may_end_with_a_slash_and_have_a_path(server: Server) -> None:
    search(f"{server.url}/searx/")
    assert server.asked[0].startswith("/searx/search?")


@pytest.mark.parametrize("url", [None, "", "  "])
def test_without_an_address_the_error_names_the_setting(url: str | None) -> None:
    with pytest.raises(TaskError, match="set CALLBOARD_SKILL_SEARXNG_URL to the address of a SearXNG server") as caught:
        search(url)
    assert caught.value.code == "skill_not_configured"


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(TaskError, match="must begin with http") as caught:
        search("file:///etc/passwd")
    assert caught.value.code == "skill_not_configured"


@pytest.mark.parametrize(("query", "limit"), [("", 5), ("  ", 5), ("x" * 501, 5), ("x", 0), ("x", 21)])
def test_a_senseless_query_is_refused_before_anything_is_sent(server: Server, query: str, limit: int) -> None:
    with pytest.raises(ValueError, match="Give a query of 1 to 500 characters"):
        search(server.url, query, limit)
    assert server.asked == []


def failing(server: Server, answer: Answer, **changes: Any) -> str:
    server.answer = answer
    with pytest.raises(TaskError) as caught:
        search(server.url, **changes)
    assert caught.value.code == "skill_failed"
    return caught.value.message


@pytest.mark.parametrize(
    ("status", "reason"),
    [(403, "must list json under search.formats"), (429, "limits how often"), (500, "status 500"), (302, "status 302")],
)
def test_a_refusal_says_what_the_operator_can_do(server: Server, status: int, reason: str) -> None:
    assert reason in failing(server, lambda request: reply(request, b"", status))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"results": 1}',
        b'{"results": null}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'"results"',
    ],
)
def test_garbage_is_told_from_results(server: Server, body: bytes) -> None:
    assert "is it SearXNG?" in failing(server, lambda request: reply(request, body))


def test_results_without_an_address_or_of_odd_types_are_left_out(server: Server) -> None:
    odd = [1, None, {"title": "no url"}, {"url": 3}, {"url": "https://a", "title": None, "content": "x" * 5000}]
    server.answer = lambda request: reply(request, json.dumps({"results": odd}).encode())
    assert search(server.url) == [{"title": "", "url": "https://a", "snippet": "x" * 1000}]


def test_no_results_are_an_empty_list(server: Server) -> None:
    server.answer = lambda request: reply(request, b'{"results": []}')
    assert search(server.url) == []


def test_a_server_that_is_not_there_is_an_error_that_names_the_setting() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(TaskError, match=r"cannot be reached .*check CALLBOARD_SKILL_SEARXNG_URL") as caught:
        search(url)
    assert caught.value.code == "skill_failed"


def test_an_answer_without_end_is_cut_off(server: Server) -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while not server.over.is_set():
                request.wfile.write(b" " * 65_536)
        except OSError:
            pass

    assert "sent more than 2000000 bytes" in failing(server, endless)


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_a_server_that_never_answers_costs_no_more_than_the_tasks_time(server: Server) -> None:
    def silent(_request: BaseHTTPRequestHandler) -> None:
        server.over.wait(10)

    assert "did not answer within" in failing(server, silent, deadline=soon(0.3))


def test_an_answer_in_drips_costs_no_more_than_the_tasks_time(server: Server) -> None:
    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while not server.over.wait(0.05):
                request.wfile.write(b" ")
                request.wfile.flush()
        except OSError:
            pass

    assert "did not finish its answer in time" in failing(server, drip, deadline=soon(0.4))


def test_a_task_whose_time_is_up_does_not_ask(server: Server) -> None:
    assert "was not asked" in failing(server, lambda request: None, deadline=soon(-1))
    stop = threading.Event()
    stop.set()
    assert "was not asked" in failing(server, lambda request: None, cancel_event=stop)
    assert server.asked == []


def test_a_connection_that_breaks_off_is_an_error(server: Server) -> None:
    def break_off(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        request.wfile.write(b"{")

    assert "cannot be reached" in failing(server, break_off)
