"""A server with the examples' own skills, and the examples as modules and as programs."""

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from callboard import AgentSystem, Settings
from callboard.http.server import Server

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def load() -> Callable[[str], ModuleType]:
    """Return a function that imports an example as a module of its own."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"example_{Path(name).stem}", EXAMPLES / name)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def start_url(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Return a function that starts a server, with a key if it is given one, and returns its address."""
    running: list[tuple[AgentSystem, Server, threading.Thread]] = []

    def start(*keys: str) -> str:
        system = AgentSystem.start(make_settings(data_dir=tmp_path / f"data {len(running)}", api_key=keys))
        server = Server(system)
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((system, server, thread))
        return server.url

    yield start
    for system, server, thread in running:
        server.close()
        thread.join(20)
        system.stop()


@pytest.fixture
def url(start_url: Callable[..., str]) -> str:
    """The address of a running server that asks for a key."""
    return start_url("the-key")


@pytest.fixture
def run_program(tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs an example as a program and returns what it prints."""

    def run(*command: str, **environment: str) -> str:
        done = subprocess.run(
            command,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CALLBOARD_DATA_DIR": str(tmp_path / "own")}
            | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
