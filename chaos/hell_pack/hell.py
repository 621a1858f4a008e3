"""Skills that end, hold or spoil the process that they run in; and such as mean well beside them.

Every call is on record, in one line before it and one after it, of a file that survives whatever it does. Loaded by workers of
`skills-from-hell` and of the tests, so it imports nothing of the harness.
"""

import ctypes
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from callboard import SkillContext, skill


def _write(ctx: SkillContext, token: str, phase: str) -> None:
    line = {"token": token, "phase": phase, "task": ctx.task_id, "pid": os.getpid(), "at": time.time()}
    file = os.open(Path(ctx.settings["hell"]) / "calls.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)


# --- what ends a process ---


def exits() -> None:
    os._exit(3)


def segfaults() -> None:
    ctypes.string_at(0)


def kills_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def closes_everything() -> None:
    os.closerange(3, 256)


def writes_anywhere() -> None:
    """Write what is no frame into whatever is open."""
    for number in range(3, 64):
        try:
            os.write(number, b"\0\0\0\5hello")
        except OSError:
            continue
    time.sleep(3600)


# --- what holds one ---


def sleeps() -> None:
    while True:
        time.sleep(1)


def backtracks() -> None:
    """Hold the interpreter's lock for ever, in the regular expressions' C code."""
    re.match(r"(a+)+$", "a" * 64 + "b")


def computes() -> None:
    """Hold it for ever in the C code of whole numbers."""
    pow(3, 1 << 40)


# --- what spoils one, and answers ---


def eats_memory() -> None:
    found = []
    while True:
        found.append(bytearray(8_000_000))


def forks_and_exits() -> None:
    if (pid := os.fork()) == 0:
        sys.exit(3)
    os.waitpid(pid, 0)


def forks_and_returns() -> None:
    """Have two processes come out of a call."""
    if (pid := os.fork()) != 0:
        os.waitpid(pid, 0)


def forks_and_raises() -> None:
    if (pid := os.fork()) == 0:
        raise ValueError("in the copy")
    os.waitpid(pid, 0)


def leaks_threads() -> None:
    for _ in range(50):
        threading.Thread(target=time.sleep, args=(3600,), daemon=False).start()


def moves_and_redecorates() -> None:
    """Change what is of the whole process: its folder, its environment, its signals, its standard output."""
    os.chdir("/")
    os.environ.clear()
    os.umask(0o777)
    sys.setswitchinterval(0.05)
    ctypes.CDLL(None).signal(signal.SIGTERM, 0)
    print("hello from hell", flush=True)
    os.write(1, b"and once more\n")


_DEEDS: dict[str, Callable[[], None]] = {
    deed.__name__: deed
    for deed in (
        exits, segfaults, kills_itself, closes_everything, writes_anywhere, sleeps, backtracks, computes, eats_memory,
        forks_and_exits, forks_and_returns, forks_and_raises, leaks_threads, moves_and_redecorates,
    )
}  # fmt: skip


def _hell(deed: str, ctx: SkillContext) -> str:
    _write(ctx, deed, "begin")
    _DEEDS[deed]()
    _write(ctx, deed, "end")
    return deed


@skill(replay="pure")
def hell_pure(deed: str, *, ctx: SkillContext) -> str:
    """Do it; may be computed again."""
    return _hell(deed, ctx)


@skill(replay="safe")
def hell_safe(deed: str, *, ctx: SkillContext) -> str:
    """Do it; may be repeated."""
    return _hell(deed, ctx)


@skill(replay="never")
def hell_never(deed: str, *, ctx: SkillContext) -> str:
    """Do it; must not happen twice."""
    return _hell(deed, ctx)


# --- those beside them ---


def _held(token: str, gate: str, ctx: SkillContext) -> str:
    _write(ctx, token, "begin")
    while not (Path(ctx.settings["hell"]) / gate).exists():
        if ctx.cancel_event.wait(0.01):
            break
    _write(ctx, token, "end")
    return token


@skill(replay="pure")
def held_pure(token: str, gate: str, *, ctx: SkillContext) -> str:
    """Wait for the gate."""
    return _held(token, gate, ctx)


@skill(replay="safe")
def held_safe(token: str, gate: str, *, ctx: SkillContext) -> str:
    """Wait for the gate; may be repeated."""
    return _held(token, gate, ctx)


@skill(replay="never")
def held_never(token: str, gate: str, *, ctx: SkillContext) -> str:
    """Wait for the gate; must not happen twice."""
    return _held(token, gate, ctx)
