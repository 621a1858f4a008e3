"""The protocol's official servers, as they are published, behind a real Callboard.

They are installed into pytest's cache the first time, at the versions that stand here; what cannot be installed, as
without a network, is skipped. docs/mcp.md names them.
"""

import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callboard import AgentSystem, Settings
from callboard.agent.mcp import McpServers, load_config
from tests.template import lay_history

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NPM = [
    "@modelcontextprotocol/server-everything@2026.8.31",
    "@modelcontextprotocol/server-filesystem@2026.8.31",
    "@modelcontextprotocol/server-memory@2026.8.31",
    "@modelcontextprotocol/server-sequential-thinking@2026.8.31",
]
PIP = ["mcp-server-git==2026.10.19", "mcp-server-time==2026.10.19", "mcp-server-fetch==2026.10.24"]
INSTALL_S = 240

TOOLS = {"everything": 12, "filesystem": 14, "memory": 9, "thinking": 1, "git": 12, "time": 2, "fetch": 1}
"""How many skills each has; `simulate-research-query` of everything can only be called as an MCP task."""


class Page(http.server.BaseHTTPRequestHandler):
    """A page for the server that fetches pages."""

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        body = b"<html><body><h1>Notice</h1><p>The board shows the calls.</p></body></html>"
        self.send_response(200 if self.path == "/page" else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/page"
    server.shutdown()
    server.server_close()
    thread.join()


def install(folder: Path, packages: list[str], *commands: list[str]) -> None:
    """Run what installs the packages into the folder, unless that was done before; skip the test where it fails."""
    done = folder / "installed.json"
    if done.exists() and json.loads(done.read_text()) == packages:
        return
    for command in commands:
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"the official servers cannot be installed: {error}")
        if ran.returncode != 0:
            pytest.skip(f"the official servers cannot be installed: {(ran.stderr or ran.stdout).strip()[-300:]}")
    done.write_text(json.dumps(packages))


@pytest.fixture(scope="module")
def entries(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The entries of all servers, installed, on folders of their own."""
    if shutil.which("npx") is None or shutil.which("git") is None:
        pytest.skip("the official servers need npx and git")
    assert request.config.cache is not None
    folder = request.config.cache.mkdir("mcp-official")
    options = ["--prefix", str(folder), "--no-audit", "--no-fund", "--fetch-retries=0"]
    install(folder, NPM, ["npm", "install", *options, *NPM])
    python = folder / "venv"
    pip = [str(python / "bin" / "pip"), "install", "-q", "--retries", "0", *PIP]
    python.mkdir(exist_ok=True)
    install(python, PIP, [sys.executable, "-m", "venv", str(python)], pip)
    work = tmp_path_factory.mktemp("official")
    for name in ("files", "repository"):
        (work / name).mkdir()
    (work / "files" / "note.txt").write_text("a board shows the calls: é\n")
    return _entries(work, folder / "node_modules" / ".bin", python / "bin", folder)


def _entries(work: Path, npm: Path, python: Path, prefix: Path) -> dict[str, Any]:
    repository = str(work / "repository")
    author = ["-c", "user.name=Ada", "-c", "user.email=ada@localhost"]
    for words in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", "Raise the curtain"]):
        subprocess.run(["git", "-C", repository, *words], check=True)
    memory = {"MEMORY_FILE_PATH": str(work / "memory.json")}
    return {
        "everything": {"command": str(npm / "mcp-server-everything"), "args": ["stdio"]},
        "filesystem": {"command": str(npm / "mcp-server-filesystem"), "args": [str(work / "files")]},
        "memory": {"command": "npx", "args": ["--prefix", str(prefix), "--no", "mcp-server-memory"], "env": memory},
        "thinking": {"command": str(npm / "mcp-server-sequential-thinking")},
        "git": {"command": str(python / "mcp-server-git"), "args": ["--repository", repository]},
        "time": {"command": str(python / "mcp-server-time"), "args": ["--local-timezone", "UTC"]},
        "fetch": {"command": str(python / "mcp-server-fetch"), "args": ["--allow-private-ips"]},
    }


@pytest.fixture(scope="module")
def system(entries: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentSystem]:
    """A Callboard with all of them."""
    folder = tmp_path_factory.mktemp("callboard")
    path = folder / "mcp.json"
    path.write_text(json.dumps({"mcpServers": entries}))
    first = McpServers(load_config(path, {}), data_dir=folder / "data", start_s=60)  # so that their tools are known
    first.start()
    assert first.close()
    settings = Settings(data_dir=folder / "data", port=0, rate_limit_max_requests=0, workers=4, mcp_config=path)
    system = AgentSystem.start(lay_history(settings))
    yield system
    system.stop()


def answer(system: AgentSystem, call: str, **values: str) -> Any:
    """Return what a call in code comes to; `$NAME` in it stands for a value."""
    for name, value in values.items():
        call = call.replace(f"${name}", value)
    skill = call.partition("(")[0]
    result = system.execute(f"```python\nfrom skills import {skill}\n{call}\n```", wait_s=60)
    assert result.status == "completed", result
    return result.output


def test_all_their_tools_are_skills(system: AgentSystem) -> None:
    names = list(system.catalogue.skills)
    assert {name: sum(each.startswith(f"{name}-") for each in names) for name in TOOLS} == TOOLS


def holds(*texts: str) -> Callable[[Any], bool]:
    return lambda value: all(text in str(value) for text in texts)


CALLS: list[tuple[str, Any]] = [
    ('everything_echo(message="hé")', "Echo: hé"),
    ("everything_get_sum(a=2, b=3)", "The sum of 2 and 3 is 5."),
    ('everything_get_structured_content(location="Chicago")["conditions"]', holds("rain")),
    ("everything_get_tiny_image()[1]['mediaType']", "image/png"),
    ("everything_trigger_long_running_operation(duration=1, steps=2)", holds("completed")),
    ('filesystem_read_text_file(path="$FILES/note.txt")["content"]', "a board shows the calls: é\n"),
    ('filesystem_list_directory(path="$FILES")["content"]', "[FILE] note.txt"),
    (
        'memory_create_entities(entities=[{"name": "Ada", "entityType": "actor", "observations": ["is on"]}])',
        {"entities": [{"name": "Ada", "entityType": "actor", "observations": ["is on"]}]},
    ),
    ('memory_read_graph()["relations"]', []),
    (
        'thinking_sequentialthinking(thought="one", nextThoughtNeeded=False, thoughtNumber=1, totalThoughts=1)',
        holds("'thoughtHistoryLength': 1"),
    ),
    ('git_git_status(repo_path="$REPOSITORY")', holds("nothing to commit")),
    ('git_git_log(repo_path="$REPOSITORY")', holds("Raise the curtain", "Ada")),
    (
        'time_convert_time(source_timezone="Asia/Kolkata", time="12:00", target_timezone="UTC")["time_difference"]',
        "-5.5h",
    ),
    ('fetch_fetch(url="$PAGE", raw=True)', holds("The board shows the calls.")),
]


@pytest.mark.parametrize(("call", "expected"), CALLS, ids=[call.partition("(")[0] for call, _ in CALLS])
def test_their_tools_answer(system: AgentSystem, entries: dict[str, Any], page: str, call: str, expected: Any) -> None:
    (files,), (_, repository) = entries["filesystem"]["args"], entries["git"]["args"]
    value = answer(system, call, FILES=files, REPOSITORY=repository, PAGE=page)
    assert expected(value) if callable(expected) else value == expected


def test_what_they_refuse_is_said_in_their_words(system: AgentSystem) -> None:
    code = (
        '```python\nfrom skills import filesystem_read_text_file\nfilesystem_read_text_file(path="/etc/hostname")\n```'
    )
    result = system.execute(code, wait_s=60)
    assert (result.status, result.error_code) == ("failed", "skill_failed")
    assert "Access denied - path outside allowed directories" in (result.error or "")
