"""A server that notes when it has its workers' lock, which is when it begins to take over: `python -m chaos.noting_server FILE`.

It is the ordinary `callboard serve`; FILE gets a line with its process and the time (unix) as soon as it has the lock.
"""

import fcntl
import os
import sys
import time
from pathlib import Path
from typing import Any

NOTES = Path(sys.argv[1])


def main() -> None:
    lock = fcntl.flock

    def noted(file: Any, operation: int) -> None:
        lock(file, operation)
        number = file if isinstance(file, int) else file.fileno()
        if operation & fcntl.LOCK_EX and Path(os.readlink(f"/proc/self/fd/{number}")).name.startswith("workers"):  # noqa: PTH115
            with NOTES.open("a") as notes:
                notes.write(f"{os.getpid()} {time.time()}\n")

    fcntl.flock = noted
    from callboard.cli.main import main as callboard

    callboard(["serve"])


if __name__ == "__main__":
    main()
