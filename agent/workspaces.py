"""The workspaces of all sessions, and doing away with one.

In two steps, because many files take a while to delete: one rename takes the folder out of every session's reach, and
whoever has time deletes it. A server that stops in between finds it later. Imported by the wiring and the janitor.
"""

import contextlib
import shutil
from pathlib import Path

from callboard.agent.skill import folder_of
from callboard.clock import new_id

_ASIDE = "~deleted"
"""No session's folder is called that: `folder_of` makes no name with `~`."""


class Workspaces:
    """The folder that holds a folder for each session that has files; any thread.

    # SECURITY: a session's id becomes one name without separators or dots of its own (`folder_of`), a link is renamed or
    # removed as the link that it is, and `shutil.rmtree` follows none on its way down.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def set_aside(self, session_id: str) -> bool:
        """Take a session's files out of its reach; return whether it had any. Raises `OSError`."""
        aside = self._root / _ASIDE
        with contextlib.suppress(FileNotFoundError):
            folder = self._root / folder_of(session_id)
            folder.lstat()
            aside.mkdir(mode=0o700, exist_ok=True)
            folder.rename(aside / new_id())
            return True
        return False

    def empty(self) -> None:
        """Delete what was set aside, as far as it can be. Raises the first `OSError`, when the rest is gone."""
        failed: OSError | None = None
        with contextlib.suppress(FileNotFoundError):
            for entry in sorted((self._root / _ASIDE).iterdir()):
                try:
                    if entry.is_dir() and not entry.is_symlink():
                        shutil.rmtree(entry)
                    else:
                        entry.unlink()
                except OSError as error:
                    failed = failed or error
        if failed is not None:
            raise failed
