"""What a hundred skills more add to the start of a system: as Agent Skills folders, and as Python files.

A system is started and stopped in a process of its own each time, without them and with them in turns, so that nothing
is imported already and the drift of a shared machine meets all alike.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from bench.figures import BenchError, Figure, Run, spread
from bench.load import ROOT
from bench.server import environment

SKILLS = 100
AT_MOST_MS = 100.0
_WITHIN_S = 60
_START = """
import json, sys, time
from callboard import AgentSystem, Settings

settings = Settings.load()
started, cpu = time.perf_counter(), time.process_time()
with AgentSystem.start(settings) as system:
    took = (time.perf_counter() - started) * 1000, (time.process_time() - cpu) * 1000
    print(json.dumps([*took, len(system.catalogue)]))
"""
_DOCUMENT = """\
---
name: {name}
description: Writes the {number}th kind of report from a table. Use it when a report of kind {number} is asked for.
license: Apache-2.0
metadata:
  author: bench
  version: "1.0"
---

# Report {number}

Read [the layout](references/layout.md) first. Then write one paragraph for each column, the largest value first.
"""
_FILE = '''\
"""Skill {number} of a hundred."""

from callboard import skill


@skill
def {function}(text: str, times: int = 1, tags: list[str] | None = None) -> str:
    """Repeat a text {number} times, with its tags behind it.

    text: what is repeated.
    """
    return " ".join([text] * times * {number} + (tags or []))
'''


class Start(NamedTuple):
    """What the start of a system took: time that passed, and of the processor (waiting and other processes left out)."""

    took_ms: float
    cpu_ms: float


def measure(run: Run) -> list[Figure]:
    rounds = 5 if run.quick else 11
    data_dir, folders, files = (run.new_folder(name) for name in ("data", "skill-folders", "skill-files"))
    write_folders(folders)
    write_files(files)
    _started(data_dir, None)  # migrates the database, and compiles what was never imported
    _started(data_dir, folders)
    _started(data_dir, files)
    starts: dict[Path | None, list[Start]] = {None: [], folders: [], files: []}
    for _ in range(rounds):
        for skills_dir, done in starts.items():
            done.append(_started(data_dir, skills_dir))
    without = [start.took_ms for start in starts[None]]
    figures = [
        _figure("Agent Skills folders", starts[folders], starts[None]),
        _figure("Python files", starts[files], starts[None]),
        Figure(
            name="start of a system without skills of its own",
            value=statistics.median(without),
            unit="ms",
            note=f"in a fresh process, its imports not counted; {rounds} starts, {spread(without, '{:.0f}')}",
        ),
    ]
    run.say(f"{SKILLS} skills add {figures[0].value:.0f} ms as folders and {figures[1].value:.0f} ms as files")
    return figures


def write_folders(folder: Path) -> None:
    """Write Agent Skills folders, each with a file besides its SKILL.md."""
    for number in range(1, SKILLS + 1):
        name = f"report-{number}"
        references = folder / name / "references"
        references.mkdir(parents=True)
        (folder / name / "SKILL.md").write_text(_DOCUMENT.format(name=name, number=number), encoding="utf-8")
        (references / "layout.md").write_text("One paragraph a column.\n", encoding="utf-8")


def write_files(folder: Path) -> None:
    """Write Python files of one skill each."""
    for number in range(1, SKILLS + 1):
        text = _FILE.format(number=number, function=f"repeat_{number}")
        (folder / f"repeat_{number}.py").write_text(text, encoding="utf-8")


def _figure(kind: str, with_them: list[Start], without: list[Start]) -> Figure:
    """Compare start with start of the same round."""
    pairs = list(zip(with_them, without, strict=True))
    more = [one.took_ms - other.took_ms for one, other in pairs]
    cpu = statistics.median(one.cpu_ms - other.cpu_ms for one, other in pairs)
    return Figure(
        name=f"{SKILLS} {kind} at the start, more",
        value=statistics.median(more),
        unit="ms",
        at_most=AT_MOST_MS,
        note=f"median of {len(more)} rounds, {spread(more, '{:.0f}')}; {cpu:.0f} ms more processor time",
    )


def _started(data_dir: Path, skills_dir: Path | None) -> Start:
    """Return what a start took; raise `BenchError` unless every skill is there."""
    given: dict[str, str | int | float] = {"data_dir": str(data_dir), "port": 0}
    if skills_dir is not None:
        given["skills_dir"] = str(skills_dir)
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    variables = environment(given) | {"PYTHONPATH": path}
    command = [sys.executable, "-c", _START]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=_WITHIN_S, check=False)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise BenchError(f"a system did not start: {done.stderr.strip()[-500:]}")
    took_ms, cpu_ms, skills = json.loads(lines[-1])
    if skills_dir is not None and skills < SKILLS:
        raise BenchError(f"only {skills} of more than {SKILLS} skills were loaded: {done.stderr.strip()[-500:]}")
    return Start(took_ms, cpu_ms)
