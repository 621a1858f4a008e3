"""Show what holds when things break: `python -m chaos [SCENARIO …] [--quick] [--seed N] [--record]`.

Runs from the root of a checkout. Everything it starts listens on 127.0.0.1 and is ended by its pid; everything it
writes is in a temporary folder on a disk, and is removed (kept with `--keep`). The exit status is 1 if a figure
misses its target; the seed and the command that replays it are printed.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench import machine
from bench.figures import Figure
from chaos import (
    agent,
    clock,
    crash_storm,
    drain,
    flood,
    hostile_model,
    hostile_skills,
    kill9,
    nth_frame,
    nth_operation,
    orphans,
    overload,
    report,
    skills_from_hell,
    soak,
    storage_figures,
    streams,
)
from chaos.scenario import ChaosError, Run

SCENARIOS: dict[str, Callable[[Run], list[Figure]]] = {
    "kill-9": kill9.measure,
    "nth-operation": nth_operation.measure,
    "nth-frame": nth_frame.measure,
    "orphans": orphans.measure,
    "drain": drain.measure,
    "crash-storm": crash_storm.measure,
    "overload": overload.measure,
    "flood": flood.measure,
    "clock": clock.measure,
    **storage_figures.SCENARIOS,
    "agent": agent.measure,
    "agent-nth-operation": agent.measure_nth_operation,
    "agent-drain": agent.measure_drain,
    "streams": streams.measure,
    "hostile-skills": hostile_skills.measure,
    "skills-from-hell": skills_from_hell.measure,
    "hostile-model": hostile_model.measure,
    "soak": soak.measure,
}
LONG = ("soak",)
"""What runs only when it is named."""


def main() -> int:
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="callboard-chaos-", dir=machine.disk_folder()))
    missed = False
    try:
        for name in options.scenarios or [name for name in SCENARIOS if name not in LONG]:
            missed |= not _run(name, folder, options)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return int(missed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Break the server, and count what is lost.")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--seed", type=int, help="replay the choices of a run")
    parser.add_argument("--quick", action="store_true", help="a short version of each")
    parser.add_argument("--kills", type=int, help="how many times a scenario kills  [default: 200, quick: 10]")
    parser.add_argument("--minutes", type=float, help="how long soak runs  [default: 30, quick: 0.5]")
    parser.add_argument("--record", action="store_true", help="write chaos/results.md and chaos/results.json")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the databases and the logs")
    options = parser.parse_args()
    if unknown := [name for name in options.scenarios if name not in SCENARIOS]:
        parser.error(f"no such scenario: {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    options.seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    return options


def _run(name: str, folder: Path, options: argparse.Namespace) -> bool:
    """Run one scenario and print its figures; return whether all met their targets."""
    run = Run(
        folder=folder,
        seed=options.seed,
        quick=options.quick,
        kills=options.kills or (10 if options.quick else 200),
        minutes=options.minutes or (0.5 if options.quick else 30),
        say=_say,
    )
    command = _command(name, options)
    _say(f"{name}, seed {run.seed}")
    began = time.monotonic()
    try:
        figures = SCENARIOS[name](run)
    except ChaosError as error:
        print(f"\n{name}: {error}\nreplay: {command}\n")
        return False
    print(f"\n{name} ({time.monotonic() - began:.0f} s, seed {run.seed})\n{report.table(figures)}\n", flush=True)
    missed = [figure.name for figure in figures if figure.met is False]
    if missed:
        print(f"missed: {'; '.join(missed)}\nreplay: {command}\n")
    if options.record:
        report.record(
            name, figures, {**_about(folder), "command": command, "took": f"{time.monotonic() - began:.0f} s"}
        )
    return not missed


def _command(name: str, options: argparse.Namespace) -> str:
    given = ["python -m chaos", name, f"--seed {options.seed}", "--quick" if options.quick else ""]
    given += [
        f"--kills {options.kills}" if options.kills else "",
        f"--minutes {options.minutes:g}" if options.minutes else "",
    ]
    return " ".join(filter(None, given))


def _about(folder: Path) -> dict[str, str]:
    found = machine.describe(folder)
    kept = {name: found[name] for name in ("processor", "cores", "memory", "system", "Python", "disk")}
    return {"date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", **kept}


def _say(text: str) -> None:
    print(f"· {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
