"""What web pages can have a browser do at a server: other names, other origins, with and without keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from callboard import Settings
from callboard.errors import ConfigurationError
from callboard.http.cross_origin import AllowedHosts
from callboard.http.listening import listen

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import RawAnswer, Running

LOOPBACK = ["localhost", "LocalHost:3000", "localhost.", "app.localhost:1", "127.0.0.1", "127.8.9.10:80", "[::1]:3000"]
FOREIGN = [
    "rebound.example",
    "rebound.example:3000",
    "localhost.example",
    "127.0.0.1.example",
    "evillocalhost",
    "0.0.0.0:3000",
    "192.168.1.5",
    "[::2]",
    "",
]
MALFORMED = [
    "evil.example#.localhost",
    "evil.example/.localhost",
    "localhost:evil",
    "user@localhost",
    "localhost@rebound.example",
    "localhost, rebound.example",
    "127.0.0.1\t.example",
]


def get(running: Running, path: str, host: str | None, version: str = "1.1") -> RawAnswer:
    line = f"Host: {host}\r\n" if host is not None else ""
    return running.raw(f"GET {path} HTTP/{version}\r\n{line}Connection: close\r\n\r\n".encode())


def submit(running: Running, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return running.client.post("/agent/execute", json={"task": "What is 1 + 1?"}, headers=named).status_code


@pytest.mark.parametrize("host", LOOPBACK)
def test_without_keys_a_server_answers_to_the_names_of_loopback(shared: Running, host: str) -> None:
    assert get(shared, "/agent/skills", host).status == 200


@pytest.mark.parametrize("path", ["/agent/skills", "/agent/results", "/", "/openapi.json", "/docs", "/console", "/x"])
@pytest.mark.parametrize("host", FOREIGN)
def test_without_keys_a_server_answers_to_no_other_name(shared: Running, host: str, path: str) -> None:
    answer = get(shared, path, host)
    assert (answer.status, answer.json()["code"]) == (421, "host_not_allowed")
    assert "CALLBOARD_ALLOWED_HOSTS" in answer.json()["message"]


@pytest.mark.parametrize("path", ["/agent/skills", "/health"])
@pytest.mark.parametrize("host", MALFORMED)
def test_what_is_no_host_is_refused_wherever_it_is_sent(shared: Running, host: str, path: str) -> None:
    answer = get(shared, path, host)
    assert (answer.status, answer.json()["code"]) == (400, "malformed_request")


@pytest.mark.parametrize("host", FOREIGN[:-1])
def test_a_name_in_the_target_counts_like_one_in_the_header(shared: Running, host: str) -> None:
    assert get(shared, f"http://{host}/agent/skills", "localhost").status == 421
    assert get(shared, f"http://{host}/health/live", "localhost").status == 200


@pytest.mark.parametrize("host", LOOPBACK)
def test_a_name_in_the_target_counts_before_the_one_in_the_header(shared: Running, host: str) -> None:
    assert get(shared, f"HTTP://{host}/agent/skills", "rebound.example").status == 200


def test_a_change_must_come_from_the_origin_that_the_target_names(shared: Running) -> None:
    head = "POST http://localhost:{}/agent/tasks/x/cancel HTTP/1.1\r\nHost: a\r\nOrigin: http://{}\r\nConnection: close\r\n\r\n"
    port = shared.server.port
    assert shared.raw(head.format(port, f"localhost:{port}").encode()).status == 404
    assert shared.raw(head.format(port, "a").encode()).status == 403


def test_a_request_without_a_name_is_answered_about_health_only(shared: Running) -> None:
    assert get(shared, "/agent/skills", None, "1.0").status == 421
    for path in ("/health", "/health/live", "/health/ready"):
        assert get(shared, path, None, "1.0").status == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_whoever_asks_for_health_may_do_so_by_any_name(shared: Running, host: str) -> None:
    assert {get(shared, path, host).status for path in ("/health", "/health/live", "/health/ready")} == {200}
    assert get(shared, "/healthy", host).status == 421


def test_names_in_the_setting_are_answered_to(start_server: Callable[..., Running]) -> None:
    running = start_server(allowed_hosts=("agents.example", "*.lan", "10.1.2.3", "[2001:db8::5]"))
    for host in ("agents.example", "Agents.Example.:8080", "box.lan", "a.b.lan", "10.1.2.3:3000", "[2001:DB8::5]"):
        assert get(running, "/agent/skills", host).status == 200, host
    for host in ("lan", "x.agents.example", "10.1.2.30", "[2001:db8::6]"):
        assert get(running, "/agent/skills", host).status == 421, host


def test_with_keys_any_name_does(start_server: Callable[..., Running]) -> None:
    running = start_server(api_key=("k",))
    assert get(running, "/", "agents.example").status == 200


def test_the_address_that_is_listened_on_is_a_name() -> None:
    assert "192.0.2.7:3000" in AllowedHosts(("192.0.2.7",))


@pytest.mark.parametrize("value", ["*", "a.example:3000", "http://a.example", "*.", "a b", "[::1"])
def test_a_name_that_is_none_stops_the_start(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_ALLOWED_HOSTS", value)
    with pytest.raises(ConfigurationError, match="CALLBOARD_ALLOWED_HOSTS"):
        Settings.load()


# --- changes ---


def test_programs_send_neither_header_and_pass(shared: Running) -> None:
    assert submit(shared) == 200


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_servers_own_pages_pass(shared: Running, site: str) -> None:
    assert submit(shared, Sec_Fetch_Site=site, Origin=shared.server.url) == 200
    assert submit(shared, Sec_Fetch_Site=site, Origin="null") == 200  # a page without referrers says so of itself


def test_an_older_browser_is_known_by_its_origin(shared: Running) -> None:
    assert submit(shared, Origin=shared.server.url) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Origin": "http://127.0.0.1:8888"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec_Fetch_Site": ""},
        {"Sec_Fetch_Site": "same-origin, cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:8888"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://[::1"},
    ],
    ids=str,
)
def test_pages_of_other_origins_change_nothing(shared: Running, headers: dict[str, str]) -> None:
    task_id = shared.result("What is 2 + 2?")["taskId"]
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    for method, path in [
        ("POST", "/agent/execute"),
        ("POST", f"/agent/tasks/{task_id}/cancel"),
        ("POST", f"/agent/tasks/{task_id}/retry"),
        ("POST", f"/agent/tasks/{task_id}/decide"),
        ("POST", "/agent/dead-letters/x/redrive"),
        ("DELETE", "/agent/sessions/x"),
    ]:
        reply = shared.client.request(method, path, headers=named)
        assert (reply.status_code, reply.json()["code"]) == (403, "cross_origin"), (method, path)
        assert "access-control-allow-origin" not in reply.headers
    assert shared.client.get("/agent/results", headers=named).status_code == 200  # which no foreign page can read


def test_no_foreign_page_may_read_answers_of_a_server_without_keys(shared: Running) -> None:
    reply = shared.client.get("/agent/results", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in reply.headers


def test_without_keys_a_star_stands_for_no_origin(start_server: Callable[..., Running]) -> None:
    running = start_server(allowed_origins=("*", "https://app.example"))
    assert submit(running, Origin="https://evil.example") == 403
    reply = running.client.get("/agent/skills", headers={"Origin": "https://app.example"})
    assert reply.headers["access-control-allow-origin"] == "https://app.example"
    assert submit(running, Origin="https://app.example", Sec_Fetch_Site="cross-site") == 200


@pytest.mark.parametrize("keyed", [True, False])
def test_named_origins_may_change_things_and_no_others(start_server: Callable[..., Running], keyed: bool) -> None:
    running = start_server(allowed_origins=("https://app.example",), api_key=("k",) if keyed else ())
    key = {"X-API-Key": "k"} if keyed else {}
    assert submit(running, Origin="https://app.example", Sec_Fetch_Site="cross-site", **key) == 200
    assert submit(running, Origin="https://evil.example", Sec_Fetch_Site="cross-site", **key) == 403
    assert submit(running, Origin="https://evil.example", **key) == 403


def test_with_keys_and_a_star_any_page_that_knows_a_key_may_ask(start_server: Callable[..., Running]) -> None:
    running = start_server(api_key=("k",))
    headers = {"Origin": "https://anywhere.example", "Sec_Fetch_Site": "cross-site", "X_API_Key": "k"}
    assert submit(running, **headers) == 200


# --- the address ---


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_server_without_keys_does_not_listen_for_other_machines_unless_told(host: str) -> None:
    with pytest.raises(ConfigurationError, match="CALLBOARD_ALLOW_KEYLESS"):
        listen(Settings(host=host, port=0))


@pytest.mark.parametrize("settings", [{"allow_keyless": True}, {"api_key": ("k",)}])
def test_it_does_if_it_is_told_or_has_keys(settings: dict[str, Any]) -> None:
    listen(Settings(host="0.0.0.0", port=0, **settings)).close()


def test_the_refusals_are_in_the_document(shared: Running) -> None:
    paths = json.loads(shared.client.get("/openapi.json").content)["paths"]
    assert "421" not in paths["/health"]["get"]["responses"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            assert path.startswith("/health") or "421" in operation["responses"], path
            assert method == "get" or "403" in operation["responses"], path
