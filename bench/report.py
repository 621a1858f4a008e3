"""The figures as a table on the terminal, and as bench/results.md and bench/results.json."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.figures import Figure

HERE = Path(__file__).parent
HEADINGS = ("measure", "value", "unit", "target", "met", "promised", "note")
_RIGHT = {"value", "target", "promised"}


def number(value: float) -> str:
    """Return a value with as many digits as mean something."""
    if value == int(value) and abs(value) < 1000:
        return f"{value:.0f}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.4f}"


def cells(figure: Figure) -> tuple[str, ...]:
    target = ""
    if figure.at_most is not None:
        target = f"≤ {figure.at_most:g}"
    elif figure.at_least is not None:
        target = f"≥ {figure.at_least:.2f}"
    met = {True: "yes", False: "NO", None: ""}[figure.met]
    promised = "" if figure.promised is None else f"≤ {figure.promised:g}"
    return (figure.name, number(figure.value), figure.unit, target, met, promised, figure.note)


def table(figures: Sequence[Figure]) -> str:
    """Return the table for a terminal."""
    rows = [HEADINGS, *map(cells, figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    widths[-1] = 0  # the last one may be as long as it is
    lines = []
    for row in rows:
        parts = [
            text.rjust(width) if heading in _RIGHT else text.ljust(width)
            for text, width, heading in zip(row, widths, HEADINGS, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    lines.insert(1, "-" * max(map(len, lines[:1])))
    return "\n".join(lines)


def record(figures: Sequence[Figure], about: dict[str, str]) -> list[Path]:
    """Write results.md and results.json beside this file; return their paths."""
    markdown, data = HERE / "results.md", HERE / "results.json"
    markdown.write_text(_markdown(figures, about), encoding="utf-8")
    content: dict[str, Any] = {"about": about, "figures": [figure.as_dict() for figure in figures]}
    data.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return [markdown, data]


def _markdown(figures: Sequence[Figure], about: dict[str, str]) -> str:
    lines = ["# Speed and size", "", _INTRODUCTION, "", "## Where", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in about.items()]
    lines += [
        "",
        "## Figures",
        "",
        _row(HEADINGS),
        "|" + "|".join("---:" if h in _RIGHT else "---" for h in HEADINGS) + "|",
    ]
    lines += [_row(cells(figure)) for figure in figures]
    lines += ["", "`promised` is the looser figure that was promised first for the same step.", "", _HOW, ""]
    return "\n".join(lines)


def _row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(texts) + " |"


_INTRODUCTION = """\
Written by `python -m bench --record`; do not edit. Absolute figures move with the machine and with what else it does;
the ratios were taken side by side in one run and move far less."""

_HOW = """\
## How

    make bench                          # everything, about eight minutes; the table only
    make bench ARGS=--quick             # short rounds and 100,000 tasks, about three minutes
    make bench ARGS=--record            # everything, and write this file and results.json
    make bench ARGS='--only throughput' # or growth, hops, micro, footprint, agent, reading, console, history
    python -m bench profile accept      # where the time goes, if py-spy is installed (or: profile run)

- **Ceiling**: a bare Falcon app on waitress (16 threads, `poll`) that parses the same POST and answers a small JSON.
- **Load**: a process of its own with 16 keep-alive connections; every request is another task ("What is 17 times 19?").
- **accept**: `POST /agent/execute` as it is sent without a preference. The reply goes out after the commit (SQLite on a
  disk, WAL, `synchronous=FULL`), and the accepted tasks are worked off *during* the load: their cost is in the figure. What
  is left is worked off after it, which `until all are worked off` and the processor time have in them.
- **run to result**: the same with `Prefer: wait=30`: planned, type-checked, run in the sandbox with one skill call,
  events and result committed, then answered.
- The server is `callboard serve` with its defaults, request log included (JSON, to a file), the rate limiter off and
  the backlog unlimited. Each load meets a fresh data folder and a warmed-up process, and stands between two loads of
  the ceiling, beside one of FastAPI with Celery and one of an older Callboard where these are there (README.md has the setting).
- **Processor time** and **thread switches** are those of all processes of a server, by the tasks that have ended.
- Every answer was a 200. After each load the history held every accepted task, none that was not sent, and the right
  product for every task that had ended; wrk cuts off up to 16 requests when its time is up, so a few more tasks may
  be stored than were answered.
- **A round with one skill call**: a model in this process that answers at once writes code that calls one journaled
  skill, 20 times in each task; a round goes from one `agent.step.started` in the log to the next. Beside a whole task of
  one round, in turns, the same script is posted as it is: the ratio is what asking a model adds.
- **100 skills at the start**: `AgentSystem.start` in a fresh process, with 100 Agent Skills folders, with 100 Python
  files and without, in turns; imports of the interpreter and of Callboard not counted.
- **1,000 paused tasks**: scripts with a call that needs approval, posted to `callboard serve`; memory and threads at rest
  before and after, then some are approved and must come to the right result.
- **Time to the first event**: a new connection, `POST /agent/execute` with `Accept: text/event-stream`, one after the other.
- **500 open streams**: read by one process beside the server; each follows one of 8 tasks whose logs grow by one event a
  second. Memory against the same server before they opened; a stream with a gap or a repeat fails the run.
- **serve is ready** when `GET /health` is 200 and a first task's result has come. **Idle memory together** is the PSS of all
  processes, three seconds after that.
- **Histories** are made by SQL, tasks without events; a session has 20 tasks, every tenth task failed. Short and long
  are asked in turns, deep pages and sessions at random places."""
