"""Test skills that wait for a file: one that can be told to stop, and one that listens to nobody. Loaded by the server."""

import time
from pathlib import Path

from callboard import SkillContext, skill


@skill(replay="safe")
def wait_for_file(path: str, *, ctx: SkillContext) -> str:
    """Wait until a file exists; `<path>.entered` says that somebody waits."""
    Path(f"{path}.entered").touch()
    while not Path(path).exists():
        if ctx.cancel_event.wait(0.01):
            return "cancelled"
    return "found"


@skill(replay="safe")
def deaf(path: str) -> str:
    """Wait until a file exists, whatever the server says."""
    Path(f"{path}.entered").touch()
    while not Path(path).exists():
        time.sleep(0.01)
    return "found"
