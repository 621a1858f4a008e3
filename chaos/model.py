"""The model of the agent's scenarios: a provider in a process of its own, which outlives the servers that ask it.

A task's text is a part to be played (`chaos/agent_work.py`): it holds what is to be answered in each round, so the
provider knows nothing but how to read it. The round is the number of the request's own turns, and the part must be the
last task among them: a conversation that is torn or doubled is answered with an error. Every request is put on record
when it comes in, so that what was asked twice is counted and not believed.

`python -m chaos.model FILE` writes the record to FILE and prints its port.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load import ROOT
from bench.provider import Provider, Reply, Request

MARK = "Play this part: "
RECALL = "@recall"
"""In place of an answer: what is known of the conversation before, as `conversation_of` has it."""

BEYOND = "The part has no such round."
SLOWEST_S = 0.08
_ROUND = re.compile(r"You are asked for time (\d+) of at most \d+\.")
_SUMMARY = re.compile(r"Summary of (\S+)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request: the round of a task, or the summary of a text (round 0). `at`: unix time."""

    name: str
    round: int
    at: float


def part_text(name: str, rounds: tuple[str, ...]) -> str:
    """Return the task that has these answers given, one a round."""
    return MARK + json.dumps({"name": name, "rounds": rounds})


def part_of(text: str) -> dict[str, Any] | None:
    """Return what a task's text says, None where it is no part."""
    if not text.startswith(MARK):
        return None
    found: dict[str, Any] = json.loads(text.removeprefix(MARK))
    return found


def summary_of(token: str) -> str:
    """Return what the model answers when it is to summarise the text about a token."""
    return f"summary {token}"


def conversation_of(turns: list[tuple[str, str]]) -> str:
    """Return an answer that says what was asked and answered before: `[[name, answer], …]`."""
    said = zip(turns[::2], turns[1::2], strict=True)
    return json.dumps([[(part_of(asked) or {}).get("name"), answer] for (_, asked), (_, answer) in said])


def read(path: Path) -> list[Ask]:
    """Return what was asked, in order."""
    with path.open(encoding="utf-8") as lines:
        return [Ask(**json.loads(line)) for line in lines]


class Scripted:
    """Answers requests by the parts in them; any thread."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __call__(self, request: Request) -> Reply:
        at = time.time()
        try:
            name, number, text = self._read(request)
        except (ValueError, LookupError, AttributeError) as error:
            name, number, text = f"unreadable: {error}", -1, ""
        os.write(self._file, json.dumps({"name": name, "round": number, "at": at}).encode() + b"\n")
        if not text:
            return Reply(status=400, message=name)
        delay_s = zlib.crc32(f"{name} {number}".encode()) % 1000 / 1000 * SLOWEST_S
        return Reply(text=text, delay_s=delay_s)

    def _read(self, request: Request) -> tuple[str, int, str]:
        """Return the part's name, its round and the answer; raise what a request that makes no sense raises."""
        asked = _ROUND.search(request.system)
        if asked is None:
            summary = _SUMMARY.search(request.last)
            assert summary is not None, "neither a round nor a summary"
            return summary[1], 0, summary_of(summary[1])
        number, turns = int(asked[1]), request.turns
        place = len(turns) - (2 * (number - 1) + 1)
        part = part_of(turns[place][1]) if place >= 0 else None
        if part is None:
            raise ValueError(f"round {number} of {len(turns)} turns has no part where it must be")
        rounds = part["rounds"]
        text = rounds[number - 1] if number <= len(rounds) else BEYOND
        return part["name"], number, conversation_of(turns[:place]) if text == RECALL else text


@contextmanager
def scripted(file: Path) -> Iterator[str]:
    """Run the provider in a process of its own; give the address that servers are to ask."""
    command = [sys.executable, "-m", "chaos.model", str(file)]
    popen = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        assert popen.stdout is not None
        yield f"http://127.0.0.1:{int(popen.stdout.readline())}/v1"
    finally:
        popen.send_signal(signal.SIGTERM)
        try:
            popen.wait(20)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait(20)
        assert popen.stdout is not None
        popen.stdout.close()


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # before the threads, which inherit it
    provider = Provider(Scripted(Path(sys.argv[1])), keep=10)
    provider.start()
    try:
        print(provider.port, flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
    finally:
        provider.stop()


if __name__ == "__main__":
    main()
