"""A migrated, empty history for tests to start from: migrating a new file is most of what opening a store costs.

What a first start does of itself (the file, its modes, its tables) is the subject of tests that do not use it.
"""

import tempfile
from functools import cache
from pathlib import Path

from callboard import Settings
from callboard.persistence.database_file import sqlite_path
from callboard.persistence.engine import database_of
from callboard.persistence.store import SqlStore


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        SqlStore.open(settings).close()  # which leaves no log beside the file
        return sqlite_path(database_of(settings)).read_bytes()


def lay_history(settings: Settings) -> Settings:
    """Put a migrated, empty file where these settings keep the history, if it is SQLite and nothing is there yet."""
    url = database_of(settings)
    if url.get_backend_name() == "sqlite":
        path = sqlite_path(url)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(path.parent.glob(f"{path.name}*")):  # nor a log without its file, which is a fault of its own
            path.touch(0o600)
            path.write_bytes(_migrated())
    return settings
