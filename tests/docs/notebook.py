"""Runs the blocks of a document in their order, as a reader would, and compares what they answer.

A document's shell blocks share their variables: each block's are saved for the next. Every block is a process of
its own. Running one block first runs those before it, once.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.docs.documents import Block, blocks
from tests.docs.serving import DEFAULT_ADDRESS, Served

EXACT = frozenset({"success", "status", "output", "error", "errorCode", "code", "topic", "message", "ended", "replay"})
"""Keys whose values must be as documented; of all others only the type is compared."""

EVENT_SOURCE = "--experimental-eventsource"
"""What gives node the EventSource that browsers have."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a block did."""

    status: int
    out: str
    err: str


class Notebook:
    """Remembers what has been run, by document and line."""

    def __init__(self, servers: Mapping[str, Served], folder: Path) -> None:
        self._servers = servers
        self._folder = folder
        self._ran: dict[str, Ran] = {}

    def run(self, wanted: Block) -> Ran:
        """Return what the block did, after those before it in its document have been run."""
        for block in blocks(wanted.path):
            if block.is_run and block.name not in self._ran and missing_program(block) is None:
                self._ran[block.name] = self._run(block)
            if block.name == wanted.name:
                return self._ran[block.name]
        raise AssertionError(f"{wanted.name} is not run")

    def _run(self, block: Block) -> Ran:
        served = self._servers[block.server]
        environment = dict(served.environment)
        environment["CALLBOARD_PORT"] = served.url.rpartition(":")[2]  # so that commands find the server by themselves
        if "AgentSystem.start()" in block.code:  # the served folder is held by its server, as the documents say
            environment["CALLBOARD_DATA_DIR"] = str(self._folder / "program")
        done = subprocess.run(
            self._command(block, block.code.replace(DEFAULT_ADDRESS, served.url)),
            cwd=served.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def _command(self, block: Block, code: str) -> list[str]:
        if block.language == "python":
            return [sys.executable, "-W", "error", "-c", code]
        if block.language == "javascript":
            flags = [EVENT_SOURCE] if "EventSource" in code else []
            return ["node", *flags, "--input-type=module", "-e", code]
        variables = self._folder / f"{block.path.stem}.variables"
        variables.touch()
        return ["bash", "-euo", "pipefail", "-c", f"set -a; . {variables}; {code}\nexport -p > {variables}"]


def compare(answer: Block, ran: Ran) -> None:
    """Assert that a block answered what the document shows."""
    match answer.language:
        case "json":
            compare_json(json.loads(answer.code), json.loads(ran.out), "answer")
        case "http":
            compare_http(answer.code, ran.out)
        case _:
            assert ran.out.strip() == answer.code.strip()


def compare_json(shown: Any, real: Any, where: str) -> None:
    """Assert that objects have the same keys and values the same types, and that stable values are the same."""
    if isinstance(shown, dict):
        assert isinstance(real, dict), f"{where} is {real!r}"
        assert set(real) == set(shown), f"{where} has the keys {sorted(real)}, the document {sorted(shown)}"
        for key, value in shown.items():
            compare_json(value, real[key], f"{where}.{key}")
            if key in EXACT and not isinstance(value, dict | list):
                assert _stable(value) == _stable(real[key]), f"{where}.{key} is {real[key]!r}, not {value!r}"
    elif isinstance(shown, list):
        assert isinstance(real, list), f"{where} is {real!r}"
        assert len(real) >= len(shown), f"{where} has {len(real)} entries, the document {len(shown)}"
        assert shown or not real, f"{where} is not empty: {real!r}"
        for index, value in enumerate(shown):
            compare_json(value, real[index], f"{where}[{index}]")
    else:
        assert _kind(shown) == _kind(real), f"{where} is {real!r}, the document shows {shown!r}"


def _stable(value: Any) -> Any:
    """Return the value as it is compared: times and ids within a sentence may differ, its words may not."""
    return re.sub(r"\d[\da-f-]*", "0", value) if isinstance(value, str) else value


def _kind(value: Any) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__


def compare_http(shown: str, real: str) -> None:
    """Assert that an answer with its head has the documented status line and every documented header and body."""
    shown_head, _, shown_body = shown.strip().partition("\n\n")
    head, _, body = real.replace("\r\n", "\n").partition("\n\n")
    assert head.splitlines()[0].split()[:2] == shown_head.splitlines()[0].split()[:2], head
    missing = _names(shown_head) - _names(head)
    assert not missing, f"the answer has no {sorted(missing)}:\n{head}"
    if shown_body:
        compare_json(json.loads(shown_body), json.loads(body), "answer")


def _names(head: str) -> set[str]:
    return {line.partition(":")[0].lower() for line in head.splitlines()[1:]}


def missing_program(block: Block) -> str | None:
    """Return the program that a block needs and that is not installed, if any."""
    names = re.findall(r"\b(curl|sqlite3)\b", block.code) if block.language == "bash" else []
    names += ["node"] if block.language == "javascript" else []
    absent = next((name for name in names if shutil.which(name) is None), None)
    if absent is None and "EventSource" in block.code and not node_has_event_source():
        return f"node with {EVENT_SOURCE}"
    return absent


@cache
def node_has_event_source() -> bool:
    """Return whether the node that is installed, if any, has an EventSource behind its flag."""
    if shutil.which("node") is None:
        return False
    return subprocess.run(["node", EVENT_SOURCE, "-e", "EventSource"], capture_output=True, check=False).returncode == 0
