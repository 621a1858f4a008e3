"""The configuration file: what it may say, what is filled in, and how broken entries are reported."""

import json
from pathlib import Path
from typing import Any

import pytest

from callboard.agent.mcp import McpConfig, ServerConfig, load_config
from callboard.errors import ConfigurationError
from callboard.settings import environment


def load(tmp_path: Path, entries: dict[str, Any], environment: dict[str, str] | None = None) -> McpConfig:
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"mcpServers": entries}))
    return load_config(path, environment or {})


def one(tmp_path: Path, entry: dict[str, Any], environment: dict[str, str] | None = None) -> ServerConfig:
    config = load(tmp_path, {"files": entry}, environment)
    assert config.problems == ()
    return config.servers[0]


def test_a_command_and_an_address_are_both_servers(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        {
            "files": {"command": "files-server", "args": ["--root", "/srv"], "env": {"MODE": "ro"}, "timeoutS": 5},
            "Web Search": {"type": "http", "url": "https://search.internal/mcp", "headers": {"X-Key": "k"}},
        },
    )
    assert config.problems == ()
    files, web = config.servers
    assert (files.prefix, files.command, files.args, files.env, files.timeoutS) == (
        "files",
        "files-server",
        ["--root", "/srv"],
        {"MODE": "ro"},
        5.0,
    )
    assert (web.prefix, web.url, web.headers, web.timeoutS) == (
        "web-search",
        "https://search.internal/mcp",
        {"X-Key": "k"},
        60.0,
    )


def test_variables_are_filled_in(tmp_path: Path) -> None:
    entry = {"command": "${HOME}/bin/x", "args": ["--mode=${MODE:-fast}"], "env": {"TOKEN": "${TOKEN}"}}
    server = one(tmp_path, entry, {"HOME": "/home/a", "TOKEN": "s3cret-token"})
    assert (server.command, server.args, server.env) == ("/home/a/bin/x", ["--mode=fast"], {"TOKEN": "s3cret-token"})


def test_the_environment_comes_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "x")
    assert environment()["SOME_TOKEN"] == "x"


def test_a_folder_counts_from_the_files_own(tmp_path: Path) -> None:
    assert one(tmp_path, {"command": "x", "cwd": "work"}).cwd == str(tmp_path / "work")
    assert one(tmp_path, {"command": "x", "cwd": "/srv"}).cwd == "/srv"


def test_a_disabled_server_is_left_out(tmp_path: Path) -> None:
    assert load(tmp_path, {"files": {"command": "x", "disabled": True}}) == McpConfig()


BROKEN: list[tuple[str, Any, str]] = [
    ("files", {}, "give either command (a program) or url (an address)"),
    ("files", {"command": "x", "url": "http://127.0.0.1/"}, "give either command"),
    ("files", "x", "it is not an object"),
    ("files", {"command": "x", "args": "--root /"}, "args: Input should be a valid list"),
    ("files", {"command": "x", "args": [1]}, "args.0: Input should be a valid string"),
    ("files", {"command": "x", "env": {"A": 1}}, "env.A: Input should be a valid string"),
    ("files", {"command": "x", "env": {"A": "${NOWHERE}"}}, "env.A: the variable NOWHERE is not set or empty; set it"),
    ("files", {"command": "x", "aproval": ["*"]}, "aproval: there is no such field; mend it or take it out"),
    ("files", {"command": "x", "secrets": []}, "secrets: there is no such field"),
    ("files", {"command": "x", "replay": {"a": "pure"}}, "replay.a: Input should be 'safe', 'keyed' or 'never'"),
    ("files", {"command": "x", "timeoutS": 0}, "timeoutS: Input should be greater than 0"),
    ("files", {"command": "x", "startTimeoutS": 3601}, "startTimeoutS: Input should be less than or equal to 3600"),
    ("files", {"command": "x", "headers": {"A": "b"}}, "headers does not go with command; leave it out"),
    ("files", {"url": "http://127.0.0.1/", "env": {"A": "b"}}, "env does not go with url; leave it out"),
    ("files", {"url": "ftp://127.0.0.1/"}, "url: is not an address; write one such as http://127.0.0.1:8000/mcp"),
    (
        "files",
        {"url": "http://127.0.0.1/", "headers": {"A": "b\r\nC: d"}},
        "headers: has a header that HTTP cannot carry",
    ),
    ("files", {"url": "http://127.0.0.1/", "type": "sse"}, "type: the transport sse is not supported"),
    ("files", {"url": "http://127.0.0.1/", "type": "stdio"}, "type stdio does not go with url; leave type out"),
    ("1files", {"command": "x"}, "its name must begin with a letter"),
    ("日本", {"command": "x"}, "its name must begin with a letter"),
    ("f" * 33, {"command": "x"}, "its name must begin with a letter and have at most 32"),
]


@pytest.mark.parametrize(("name", "entry", "said"), BROKEN, ids=[said for _, _, said in BROKEN])
def test_a_broken_entry_is_reported_and_the_others_stay(tmp_path: Path, name: str, entry: Any, said: str) -> None:
    config = load(tmp_path, {name: entry, "good": {"command": "x"}})
    assert [server.name for server in config.servers] == ["good"]
    (problem,) = config.problems
    assert said in problem
    assert repr(name) in problem
    assert str(tmp_path / "mcp.json") in problem


def test_names_that_come_to_the_same_are_reported(tmp_path: Path) -> None:
    config = load(tmp_path, {"web_search": {"command": "x"}, "webSearch": {"command": "y"}})
    assert [server.name for server in config.servers] == ["web_search"]
    assert "its tools would have the names of those of 'web_search'; rename one of them" in config.problems[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", r"is not JSON \(line 1, column 2\)"),
        ("[]", 'has no object "mcpServers" in it'),
        ('{"mcpServers": []}', 'has no object "mcpServers" in it'),
        ("[" * 100_000, "is not JSON"),
        (" " * 1_000_001, "is larger than 1,000,000 bytes"),
    ],
)
def test_a_file_that_is_none_is_an_error_of_the_start(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=said):
        load_config(path, {})


def test_a_missing_file_is_an_error_of_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"CALLBOARD_MCP_CONFIG names .* cannot be read"):
        load_config(tmp_path / "none.json", {})


def test_no_message_and_no_repr_holds_a_secret(tmp_path: Path) -> None:
    secret = "s3cret-token"
    entries = {
        "one": {"command": "x", "env": {"A": "${TOKEN}"}, "timeoutS": "${TOKEN}"},
        "two": {"url": "http://127.0.0.1/", "headers": {"Authorization": f"Bearer {secret}\n"}},
        "three": {"command": "x", "args": ["${TOKEN}"], "replay": {"a": "${TOKEN}"}},
        "good": {"command": "x", "args": ["--token=${TOKEN}"], "env": {"A": secret}},
    }
    config = load(tmp_path, entries, {"TOKEN": secret})
    assert len(config.problems) == 3
    assert secret not in "".join(config.problems) + repr(config)


def test_secrets_are_taken_out_of_what_others_say(tmp_path: Path) -> None:
    url = "http://me:password1@127.0.0.1/mcp?key=abcdefgh"
    server = one(
        tmp_path, {"url": url, "headers": {"Authorization": "Bearer ${TOKEN}", "X": "short"}}, {"TOKEN": "tok-12345"}
    )
    assert server.hide(f"tok-12345 {url} short") == "[hidden] http://me:[hidden]@127.0.0.1/mcp?[hidden] short"
