"""Where the time goes: the server and its worker processes under load, watched by py-spy (`pip install py-spy`), by function.

py-spy reads another process's memory; systems that forbid it need root or `kernel.yama.ptrace_scope=0`.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import server
from bench.figures import BenchError, Run
from bench.laps import WAIT
from bench.load import hammer

SECONDS = 8
SAMPLES_A_SECOND = 400
LINES = 40
BELOW = "worker process:"


def profile(run: Run, path: str) -> str:
    """Return a table of the functions whose code, or whose callees' code, ran most while holding the GIL."""
    spy = _py_spy()
    folder = run.new_folder("profile")
    prefer = WAIT if path == "run" else ""
    with server.callboard(folder) as ours, ThreadPoolExecutor(1) as pool:
        hammer(ours.port, 1, client=run.client, prefer=WAIT)
        load = pool.submit(hammer, ours.port, SECONDS + 2, client=run.client, prefer=prefer)
        stacks = _watch(spy, ours.pid, folder / "stacks.txt")
        rate = load.result().rate
    held = f"{path}: {rate:,.0f} requests/s while watched; interpreter locks, one a process, were held {_held(stacks):.0%} of the time"
    return "\n\n".join((held, _by_function(stacks), "share by thread", _by_thread(stacks)))


def _py_spy() -> str:
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise BenchError("py-spy is not installed; install it with: pip install py-spy")
    return found


def _watch(spy: str, pid: int, out: Path) -> Counter[tuple[str, ...]]:
    """Return how often each stack, thread name first, was seen to hold the interpreter lock."""
    options = ["--format", "raw", "--gil", "--threads", "--function", "--rate", str(SAMPLES_A_SECOND), "--nonblocking"]
    options.append("--subprocesses")
    command = [spy, "record", "--pid", str(pid), "--duration", str(SECONDS), "--output", str(out), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 60, check=False)
    if done.returncode or not out.exists():
        raise BenchError(f"py-spy could not watch the server: {done.stderr.strip()[-500:]}")
    stacks: Counter[tuple[str, ...]] = Counter()
    for line in out.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        stacks[stack_of(stack)] += int(count)
    return stacks


def stack_of(line: str) -> tuple[str, ...]:
    """Return a stack without the processes that it begins with, the server's first; one below the server is named so in its thread."""
    parts = line.split(";")
    thread, *functions = (part for part in parts if not part.startswith("process "))
    below = sum(part.startswith("process ") for part in parts) > 1
    return (f"{BELOW} {thread}" if below else thread, *functions)


def _held(stacks: Counter[tuple[str, ...]]) -> float:
    return stacks.total() / (SECONDS * SAMPLES_A_SECOND)


def _by_function(stacks: Counter[tuple[str, ...]]) -> str:
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for stack, count in stacks.items():
        own[stack[-1]] += count
        for function in set(stack[1:]):
            whole[function] += count
    total = stacks.total() or 1
    lines = ["   own  total  function (by total)"]
    lines += [f"{own[f] / total:6.1%} {n / total:6.1%}  {f}" for f, n in whole.most_common(LINES)]
    lines += ["", "   own  total  function (by own)"]
    lines += [f"{n / total:6.1%} {whole[f] / total:6.1%}  {f}" for f, n in own.most_common(LINES // 2)]
    return "\n".join(lines)


def _by_thread(stacks: Counter[tuple[str, ...]]) -> str:
    threads: Counter[str] = Counter()
    for stack, count in stacks.items():
        threads[re.sub(r"thread \(\w+\)(: )?|-\d+$", "", stack[0])] += count
    total = stacks.total() or 1
    return "\n".join(f"{n / total:6.1%}  {thread}" for thread, n in threads.most_common())
