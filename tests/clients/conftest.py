"""A server for clients that are made from its document, and the tools that make them, in a folder of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from callboard import AgentSystem, Settings
from tests.http.conftest import BLOCKING_SKILL, Running, run

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
PAY = '''
from callboard import skill


@skill(replay="never", approval=True)
def pay(amount: int) -> str:
    """Pay somebody."""
    return f"paid {amount}"
'''
PYTHON_TOOLS = ("openapi-python-client==0.29.1", "httpx==0.28.1")
NODE_TOOLS = ("openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9.3")
PATIENCE_S = 150
"""How long a registry is waited for."""


def command(*words: str | Path, cwd: Path | None = None, path: Path | None = None) -> str:
    """Run a program to its end and return what it says; fail with that where it fails."""
    environment = None if path is None else {"PATH": f"{path}:/usr/bin:/bin"}
    done = subprocess.run(
        [*map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, f"{words[:3]}: {done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def install(what: str, *words: str | Path, cwd: Path | None = None) -> None:
    """Install tools; skip where no registry gives them."""
    try:
        done = subprocess.run(
            [*map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{what}: the registry did not give them within {PATIENCE_S} s")
    if done.returncode != 0:
        pytest.skip(f"{what}: they cannot be installed here: {done.stderr[-300:]}")


@pytest.fixture(scope="session")
def python_tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with what makes a client in Python."""
    folder = tmp_path_factory.mktemp("python-tools")
    install("openapi-python-client", sys.executable, "-m", "venv", folder)
    quiet = ("--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "20")
    install("openapi-python-client", folder / "bin/python", "-m", "pip", "install", *quiet, *PYTHON_TOOLS)
    return folder / "bin"


@pytest.fixture(scope="session")
def node_tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what makes a client in TypeScript."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("openapi-typescript: there is no node, or no npm, here")
    folder = tmp_path_factory.mktemp("node-tools")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=30000")
    install("openapi-typescript", "npm", "install", *quiet, *NODE_TOOLS, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a skill that needs approval and one that waits until its task is cancelled."""
    skills = tmp_path_factory.mktemp("skills")
    (skills / "pay.py").write_text(PAY)
    (skills / "wait_for_file.py").write_text(BLOCKING_SKILL)
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        port=0,
        rate_limit_max_requests=0,
        skills_dir=skills,
        log_level="warning",
    )
    with AgentSystem.start(settings) as system:
        running = run(system)
        dispatcher = running.server._waitress.task_dispatcher
        dispatcher.set_thread_count(len(dispatcher.threads) + 4)  # those that streams will want, which stay
        yield running
        running.stop()
