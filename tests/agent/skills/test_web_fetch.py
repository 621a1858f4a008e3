"""`web-fetch` against real servers on this machine."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from callboard import RetryableError, SkillContext
from callboard.agent.skills.web_fetch import web_fetch
from callboard.errors import TaskError
from tests.agent.documents.pdfs import pdf
from tests.agent.pages import Names, Site, drip, page, serving, to
from tests.at_once import LATE_S


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as running:
        yield running


def get(url: str, *args: Any, **changes: Any) -> Any:
    context = {"task_id": "t", "session_id": "s", "effect_id": "e", "fetch_allow_private": True, **changes}
    return web_fetch.call((url, *args), {}, SkillContext(**context))


def test_a_page_is_readable_text_with_its_title(site: Site) -> None:
    site.pages["/a"] = to("/b/c")
    site.pages["/b/c"] = page(
        "<title>News</title><nav>Menu</nav><h1>Hello</h1><p>See <a href=d>more</a>.</p><script>x()</script>"
    )
    assert get(f"{site.url}/a") == {
        "url": f"{site.url}/b/c",
        "status": 200,
        "title": "News",
        "mediaType": "text/html",
        "text": f"# Hello\n\nSee [more]({site.url}/b/d).",
        "truncated": False,
    }


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (pdf("Hello from a PDF"), "application/pdf", "Hello from a PDF"),
        (b'{"a": 1}', "application/json", '{"a": 1}'),
        ("größer;1".encode("cp1252"), "text/csv", "größer;1"),
        ("日本".encode("shift_jis"), "text/plain; charset=Shift_JIS", "日本"),
        ('<meta charset="koi8-r"><p>Привет'.encode("koi8-r"), "text/html", "Привет"),
        (b"<rss><title>x</title></rss>", "application/rss+xml", "<rss><title>x</title></rss>"),
    ],
    ids=["pdf", "json", "csv", "charset", "meta", "rss"],
)
def test_other_things_that_can_be_read_are(site: Site, body: bytes, kind: str, text: str) -> None:
    site.pages["/"] = page(body, kind)
    assert get(site.url)["text"] == text


def test_a_long_text_is_cut_and_says_so(site: Site) -> None:
    site.pages["/"] = page(b"x" * 30_000, "text/plain")
    found = get(site.url)
    assert (len(found["text"]), found["truncated"]) == (20_000, True)
    assert get(site.url, 40_000)["truncated"] is False


@pytest.mark.parametrize(("kind", "named"), [("image/png", "image/png"), ("application/zip", "application/zip")])
def test_what_cannot_be_read_is_named(site: Site, kind: str, named: str) -> None:
    site.pages["/"] = page(b"x", kind)
    with pytest.raises(TaskError, match=f"sends {named}, which cannot be read here") as failed:
        get(site.url)
    assert failed.value.code == "skill_failed"


def test_a_lie_about_the_type_is_told(site: Site) -> None:
    site.pages["/"] = page(b"\x89PNG\0\0", "text/plain")
    with pytest.raises(TaskError, match="says that it is text/plain, and it is not text"):
        get(site.url)


def test_an_address_of_this_network_is_refused_unless_the_operator_allows_it(site: Site) -> None:
    with pytest.raises(TaskError, match="CALLBOARD_FETCH_ALLOW_PRIVATE") as refused:
        get(site.url, fetch_allow_private=False)
    assert refused.value.code == "address_refused"
    assert site.asked == []


def test_a_missing_page_fails_for_good_and_a_busy_server_may_be_asked_again(site: Site) -> None:
    site.pages |= {"/404": page(b"", status=404), "/503": page(b"", status=503)}
    with pytest.raises(TaskError, match="has no such page"):
        get(f"{site.url}/404")
    with pytest.raises(RetryableError, match="status 503"):
        get(f"{site.url}/503")


def test_a_machine_without_the_internet_says_so_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch)["example.com"] = [[]]
    with pytest.raises(RetryableError, match=r"^example\.com cannot be reached: [^.]*\.$"):
        get("https://example.com/")


def test_it_ends_with_its_task(site: Site) -> None:
    site.pages["/"] = drip
    started_s = time.monotonic()
    with pytest.raises(RetryableError):
        get(site.url, deadline=datetime.now(UTC) + timedelta(seconds=0.5))
    assert time.monotonic() - started_s < 0.5 + LATE_S


def test_a_cancel_ends_it(site: Site) -> None:
    site.pages["/"] = drip
    stop = threading.Event()
    thread = threading.Thread(target=lambda: stop.set() if site.begun.wait(10) else None)
    thread.start()
    with pytest.raises(TaskError, match="has been ended"):
        get(site.url, cancel_event=stop)
    thread.join()


def test_a_page_larger_than_a_file_may_be_is_given_up(site: Site) -> None:
    site.pages["/"] = page(b"x" * 2000, "text/plain")
    with pytest.raises(TaskError, match="more than 1000 bytes"):
        get(site.url, max_file_bytes=1000)


@pytest.mark.parametrize("most", [0, 1_000_001])
def test_a_senseless_length_is_refused_before_anything_is_asked(site: Site, most: int) -> None:
    with pytest.raises(ValueError, match="give 1 to 1,000,000"):
        get(site.url, most)
    assert site.asked == []
