"""What earlier servers and commands have left in the data folder, looked at when the history has been claimed.

A process that is killed, or meets a full disk, may leave a file that it was writing under another name; nothing reads those, and
they are deleted once their writer is gone. A folder that an earlier version has made as the umask had it becomes its owner's alone.
What goes wrong here stops no start: the log says it. In the thread that starts the system.
"""

import contextlib
import logging
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger("callboard.system")

_BEING_WRITTEN = re.compile(
    r"\.(?:secret\.key|webhook\.secret|server\.json|mcp-.{1,200}\.json)\.([1-9]\d{0,9})\.[0-9a-f]{8}"
)
"""How whoever writes a file here whole calls it before it has its name: by its process, and by chance."""


def tidy(data_dir: Path, workspace_root: Path) -> None:
    """Delete what was left half-written, and make the workspaces their owner's alone."""
    try:
        left = [path for path in _left_behind(data_dir) if _deleted(path)]
        if left:
            names = ", ".join(path.name for path in left[:5])
            logger.warning("%d files were left half-written in %s and are deleted: %s", len(left), data_dir, names)
        mode = stat.S_IMODE(workspace_root.stat().st_mode) if workspace_root.is_dir() else 0
        if mode & 0o077:
            workspace_root.chmod(0o700)
            logger.warning(
                "others could reach %s (its mode was %03o); it is its owner's alone now", workspace_root, mode
            )
    except OSError as error:
        logger.warning("the data folder %s cannot be tidied: %s", data_dir, error)


def _left_behind(data_dir: Path) -> Iterator[Path]:
    for path in data_dir.iterdir():
        written_by = _BEING_WRITTEN.fullmatch(path.name)
        if written_by is not None and not _is_alive(int(written_by[1])):
            yield path


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _deleted(path: Path) -> bool:
    with contextlib.suppress(OSError):
        path.unlink()
        return True
    return False
