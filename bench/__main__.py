"""Measure speed and size: `python -m bench [--quick] [--only NAME] [--beside CHECKOUT] [--record]`, or `python -m bench profile accept`.

Runs from the root of a checkout. Everything it starts listens on 127.0.0.1 and is ended by its pid; everything it
writes is in a temporary folder on a disk, and is removed.
"""

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import (
    agent,
    first_paint,
    footprint,
    growth,
    history,
    hops,
    machine,
    micro,
    profiling,
    reading,
    report,
    throughput,
)
from bench.figures import BenchError, Figure, Run
from bench.load import CLIENTS, chosen

SUITES = {
    "throughput": throughput.measure,
    "growth": growth.measure,
    "micro": micro.measure,
    "footprint": footprint.measure,
    "agent": agent.measure,
    "hops": hops.measure,
    "history": history.measure,
    "reading": reading.measure,
    "console": first_paint.measure,
}


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="callboard-bench-", dir=machine.disk_folder()) as folder:
        run = Run(folder=Path(folder), quick=options.quick, client=options.client, say=_say, beside=options.beside)
        try:
            if options.command == "profile":
                print(profiling.profile(run, options.path))
                return 0
            return _measure(run, options)
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Callboard's speed and size.")
    parser.add_argument("command", nargs="?", choices=("measure", "profile"), default="measure")
    parser.add_argument("path", nargs="?", choices=("accept", "run"), default="accept", help="what to profile")
    parser.add_argument("--quick", action="store_true", help="short rounds and a history of 100,000 tasks")
    parser.add_argument("--only", choices=SUITES, action="append", help="one part; may be given several times")
    parser.add_argument("--client", choices=CLIENTS, default="auto", help="who makes the load")
    parser.add_argument(
        "--beside", type=_checkout, help="an older checkout, after its `make setup`: throughput in turns with it"
    )
    parser.add_argument("--record", action="store_true", help="write bench/results.md and bench/results.json")
    parser.add_argument("--note", default="", help="a sentence to record with the figures")
    return parser.parse_args()


def _checkout(text: str) -> Path:
    checkout = Path(text).resolve()
    if not (checkout / ".venv" / "bin" / "callboard").exists():
        raise argparse.ArgumentTypeError(f"{checkout} holds no .venv/bin/callboard; run `make setup` there first")
    return checkout


def _measure(run: Run, options: argparse.Namespace) -> int:
    began = time.monotonic()
    about = {"date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", **machine.describe(run.folder)}
    about["load"] = "wrk -t1 -c16" if chosen(run.client) == "wrk" else "bench/client.py, 16 connections"
    figures: list[Figure] = []
    for name in options.only or SUITES:
        figures += SUITES[name](run)
    about["command"] = "python -m bench " + " ".join(_flags(options))
    about["duration"] = f"{time.monotonic() - began:.0f} s"
    if options.note:
        about["note"] = options.note
    print("\n".join(f"{name}: {value}" for name, value in about.items()), end="\n\n")
    print(report.table(figures))
    if options.record:
        for path in report.record(figures, about):
            _say(f"wrote bench/{path.name}")
    return 0


def _flags(options: argparse.Namespace) -> list[str]:
    only = [f"--only {name}" for name in options.only or ()]
    # of the other checkout its name only: where it lies is nobody's business
    beside = [f"--beside {options.beside.name}"] if options.beside else []
    return [*(["--quick"] if options.quick else []), *only, *beside, *(["--record"] if options.record else [])]


def _say(text: str) -> None:
    print(f"· {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
