"""The guarded GET against real servers on this machine; names are resolved by the tests."""

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callboard.agent.fetch.client import Fetched, FetchFailed, FetchLimits, fetch
from callboard.agent.fetch.target import FetchRefused, parse_url
from tests.agent.pages import Names, Site, drip, drip_head, endless, page, serving, silent, to, zipped, zipped_zeros
from tests.at_once import LATE_S


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as running:
        yield running


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


@pytest.fixture(autouse=True)
def hostile_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that nobody listens on: what goes through it fails."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:1")


def get(url: str, **changes: Any) -> Fetched:
    return fetch(url, FetchLimits(**{"max_bytes": 100_000, "timeout_s": 20.0, "allow_private": True, **changes}))


def test_a_page_comes_with_its_type_and_its_charset(site: Site) -> None:
    site.pages["/a?b=c"] = page("Größe", 'Text/HTML; charset="UTF-8"')
    found = get(f"{site.url}/a?b=c#part")
    assert (found.status, found.media_type, found.charset, found.body.decode()) == (200, "text/html", "UTF-8", "Größe")
    assert found.url == f"{site.url}/a?b=c"
    assert site.asked[0]["host"] == f"127.0.0.1:{site.port}"
    assert not site.asked[0].keys() & {"cookie", "authorization", "referer"}


def test_redirects_are_followed_to_where_they_lead(site: Site) -> None:
    site.pages |= {"/a": to("/b"), "/b": to(f"{site.url}/c", 308), "/c": page("here")}
    found = get(f"{site.url}/a")
    assert (found.url, found.body) == (f"{site.url}/c", b"here")


def test_a_cookie_is_not_sent_back(site: Site) -> None:
    site.pages |= {"/a": page(b"", status=302, Location="/b", Set_Cookie="a=b"), "/b": page("x")}
    get(f"{site.url}/a")
    assert "cookie" not in site.asked[1]


def test_five_redirects_are_followed_and_no_sixth(site: Site) -> None:
    site.pages |= {f"/{n}": to(f"/{n + 1}") for n in range(1, 7)} | {"/7": page("x")}
    assert get(f"{site.url}/2").body == b"x"
    with pytest.raises(FetchFailed, match="redirects more than 5 times"):
        get(f"{site.url}/1")


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/",
        "http://[fd00:ec2::254]/",
        "http://metadata.google.internal/",
        "http://0.0.0.0/",
    ],
)
def test_a_redirect_to_a_metadata_service_is_refused_even_where_private_ones_are_allowed(
    site: Site, location: str
) -> None:
    site.pages["/a"] = to(location)
    with pytest.raises(FetchRefused):
        get(f"{site.url}/a")


def test_a_redirect_from_a_public_name_to_a_private_address_is_refused(
    site: Site, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    _let_through(monkeypatch, site)
    names["public.example"] = [["93.184.216.34"]]
    site.pages["/a"] = to(f"http://127.0.0.1:{site.port}/secret")
    site.pages["/secret"] = page("secret")
    with pytest.raises(FetchRefused, match=r"leads to 127\.0\.0\.1, which is not a public address"):
        get(f"http://public.example:{site.port}/a", allow_private=False)
    assert [request["path"] for request in site.asked] == ["/a"]


def _let_through(monkeypatch: pytest.MonkeyPatch, site: Site) -> list[str]:
    """Have connections to public addresses end at the site; return the addresses that were connected to.

    It stands in for the network: the address is noted where the operating system would get it.
    """
    connected: list[str] = []
    real = socket.socket.connect

    class Socket(socket.socket):
        def connect(self, address: Any) -> None:
            connected.append(address[0])
            real(self, ("127.0.0.1", site.port))

    monkeypatch.setattr(socket, "socket", Socket)
    return connected


def test_the_address_that_was_checked_is_connected_to_and_the_name_is_asked_once(
    site: Site, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = _let_through(monkeypatch, site)
    names["rebinding.example"] = [["93.184.216.34"], ["127.0.0.1"]]
    site.pages["/"] = page("x")
    get(f"http://rebinding.example:{site.port}/", allow_private=False)
    assert connected == ["93.184.216.34"]
    assert names.asked == ["rebinding.example"]
    assert site.asked[0]["host"] == f"rebinding.example:{site.port}"
    with pytest.raises(FetchRefused, match=r"rebinding\.example resolves to 127\.0\.0\.1, which is not a public"):
        get(f"http://rebinding.example:{site.port}/", allow_private=False)
    assert connected == ["93.184.216.34"]


def test_of_a_names_addresses_only_the_allowed_are_tried(
    site: Site, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = _let_through(monkeypatch, site)
    names["mixed.example"] = [["10.0.0.1", "169.254.169.254", "93.184.216.34"]]
    site.pages["/"] = page("x")
    get(f"http://mixed.example:{site.port}/", allow_private=False)
    assert connected == ["93.184.216.34"]


@pytest.mark.parametrize("address", ["::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "fd00:ec2::254", "::"])
def test_a_name_that_resolves_to_another_form_of_a_private_address_is_refused(names: Names, address: str) -> None:
    names["some.example"] = [[address]]
    with pytest.raises(FetchRefused, match=r"some\.example resolves to"):
        get("http://some.example/", allow_private=False)


def test_where_private_addresses_are_allowed_a_name_may_still_not_lead_to_metadata(names: Names) -> None:
    names["some.example"] = [["169.254.169.254", "::ffff:169.254.169.254"]]
    with pytest.raises(FetchRefused, match="never fetched"):
        get("http://some.example/")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.com/", "not an http"),
        ("file:///etc/passwd", "not an http"),
        ("//example.com", "not an http"),
        ("example.com", "not an http"),
        ("", "not an http"),
        ("http://user:secret@example.com/", "user name or a password"),
        ("http://@example.com:22/", "port 22"),
        ("http://example.com:6379/", "port 6379"),
        ("http://127.1/", "leads to 127.0.0.1"),
        ("http://0x7f000001/", "leads to 127.0.0.1"),
        ("http://2130706433/", "leads to 127.0.0.1"),
        ("http://[::1]:8080/", "leads to ::1"),
        ("http://[::ffff:10.0.0.1]/", "not a public address"),
        ("http://localhost:3000/health", "leads to localhost"),
        ("http://db.internal/", "not a public name"),
        ("http://METADATA.google.internal./", "metadata service"),
        ("http://100.100.100.200/", "metadata service"),
        ("http://example.com/" + "x" * 4000, "the limit is 4000"),
        ("http://exa mple.com/", "is not an address"),
        ("http://example.com:99999/", "is not an address"),
    ],
)
def test_an_address_that_says_itself_that_it_must_not_be_fetched_is_refused_before_a_name_is_resolved(
    names: Names, url: str, why: str
) -> None:
    with pytest.raises(FetchRefused, match=why) as refused:
        get(url, allow_private=False)
    assert "secret" not in str(refused.value)
    assert names.asked == []


def test_a_name_of_another_script_is_asked_for_in_punycode() -> None:
    assert parse_url("http://bücher.example/ü", allow_private=False).raw_host == b"xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("sent", "limit", "reason"),
    [
        (page(b"x" * 101, "text/plain"), 100, "more than 100 bytes"),
        (page(b"x" * 101, "text/plain", Content_Length=""), 100, "more than 100 bytes"),
        (zipped_zeros(200), 1_000_000, "more than 1000000 bytes"),
        (endless, 1_000_000, "more than 1000000 bytes"),
    ],
    ids=["announced", "not announced", "gzip bomb", "endless"],
)
def test_what_is_too_large_is_given_up(site: Site, sent: Any, limit: int, reason: str) -> None:
    site.pages["/"] = sent
    with pytest.raises(FetchFailed, match=reason) as failed:
        get(site.url, max_bytes=limit)
    assert not failed.value.retryable


def test_a_compressed_page_is_unpacked(site: Site) -> None:
    site.pages["/"] = zipped(b"hello " * 1000)
    assert get(site.url).body == b"hello " * 1000


@pytest.mark.parametrize("sent", [drip, drip_head, silent])
def test_the_time_holds_whatever_a_server_does(site: Site, sent: Any) -> None:
    site.pages["/"] = sent
    started_s = time.monotonic()
    with pytest.raises(FetchFailed, match=r"did not send its whole answer within 0\.5 s") as failed:
        get(site.url, timeout_s=0.5)
    assert 0.4 < time.monotonic() - started_s < 0.5 + LATE_S
    assert failed.value.retryable


@pytest.mark.parametrize("sent", [drip, drip_head, silent])
def test_a_cancel_ends_it_at_once(site: Site, sent: Any) -> None:
    site.pages["/"] = sent
    stop = threading.Event()
    took: list[float] = []

    def cancel() -> None:
        site.begun.wait(10)
        took.append(time.monotonic())
        stop.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(FetchFailed, match="the task has been ended"):
        get(site.url, stop=stop)
    ended_s = time.monotonic()
    thread.join()
    assert ended_s - took[0] < LATE_S


def test_a_connection_that_is_never_accepted_is_given_up_in_time_and_when_told_to(names: Names) -> None:
    """A full queue of connections stands in for an address that answers nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = []
        for _ in range(3):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(("127.0.0.1", port))
        started_s = time.monotonic()
        with pytest.raises(FetchFailed, match="did not send"):
            get(f"http://127.0.0.1:{port}/", timeout_s=0.5)
        assert time.monotonic() - started_s < 0.5 + LATE_S
        for sock in waiting:
            sock.close()


def test_a_type_that_is_of_no_use_is_named_before_it_is_read(site: Site) -> None:
    site.pages["/"] = page(b"x" * 50_000, "image/png")
    with pytest.raises(FetchFailed, match="sends image/png, which cannot be read here"):
        get(site.url, takes=lambda media_type: media_type == "text/html")
    site.pages["/"] = page(b"x", "")
    with pytest.raises(FetchFailed, match="does not name the type of"):
        get(site.url, takes=lambda media_type: media_type == "text/html")


@pytest.mark.parametrize(
    ("status", "reason", "retryable"),
    [
        (404, "status 404, which means that it has no such page", False),
        (401, "wants a login", False),
        (418, "status 418", False),
        (500, "status 500", True),
        (503, "status 503", True),
        (429, "less often", True),
        (204, "status 204", False),
        (304, "status 304", False),
    ],
)
def test_a_status_that_brings_nothing_is_a_failure_that_says_so(
    site: Site, status: int, reason: str, retryable: bool
) -> None:
    site.pages["/"] = page(b"", status=status)
    with pytest.raises(FetchFailed, match=reason) as failed:
        get(site.url)
    assert failed.value.retryable is retryable


def test_without_a_network_the_failure_is_one_sentence(names: Names) -> None:
    names["example.com"] = [[]]
    with pytest.raises(FetchFailed, match=r"^example\.com cannot be reached: .*Name or service not known\.$") as failed:
        get("http://example.com/")
    assert failed.value.retryable


@pytest.mark.parametrize("reply", [b"garbage\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"])
def test_what_is_not_http_or_breaks_off_is_a_failure(site: Site, reply: bytes) -> None:
    site.pages["/"] = lambda handler: handler.wfile.write(reply)
    with pytest.raises(FetchFailed, match="cannot be reached") as failed:
        get(site.url)
    assert failed.value.retryable


def test_over_tls_the_name_is_what_the_certificate_is_checked_against(
    tmp_path: Path, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    site, pair = Site(), _certificate(tmp_path, "secure.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    site.wrap(context)
    site.start()
    try:
        trusting = ssl.create_default_context(cafile=str(pair))
        monkeypatch.setattr("callboard.agent.fetch.wire.ssl_context", lambda: trusting)
        names["secure.example"] = [["127.0.0.1"]]
        names["other.example"] = [["127.0.0.1"]]
        site.pages["/"] = page("x" * 50_000)
        assert get(f"https://secure.example:{site.port}/").body == b"x" * 50_000
        with pytest.raises(FetchFailed, match="certificate verify failed"):
            get(f"https://other.example:{site.port}/")
    finally:
        site.stop()
    assert asked[0] == "secure.example"


def _certificate(folder: Path, name: str) -> Path:
    key, pair = folder / "key.pem", folder / "pair.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(pair)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    pair.write_text(pair.read_text() + key.read_text())
    return pair


def test_a_tls_handshake_that_never_comes_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started_s = time.monotonic()
        with pytest.raises(FetchFailed, match="did not send"):
            get(f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=0.5)
    assert time.monotonic() - started_s < 0.5 + LATE_S


def test_the_clients_of_http_are_not_loaded_before_the_first_request() -> None:
    code = "import sys, callboard.agent.fetch.client, callboard.agent.skills.web_fetch as _; print([m for m in ('httpx', 'httpcore', 'pypdf', 'html_to_markdown', 'charset_normalizer') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
