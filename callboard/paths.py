"""Paths as people write them, and the data folder of a user who has named none.

One rule wherever a path is read: `~` is expanded, what is relative is taken from the working directory, and everything
else means itself, whatever signs it has. Any thread; imported by the settings and by whatever reads paths from files.
"""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from callboard.errors import ConfigurationError

NOWHERE = Path(os.devnull) / "callboard"
"""The data folder of a user who has no home folder: nothing can be made there, and `Settings.require_data_dir` says why."""


def written_path(text: str, environment: Mapping[str, str]) -> Path:
    """Return the full path that somebody has written; raise `ValueError` with what is wrong and what to write."""
    if not text.strip():
        raise ValueError("names no path; unset it, or give it one")
    if text.startswith("~"):
        user, slash, rest = text[1:].partition("/")
        home = _home_of(user) if user else _own_home(environment)
        text = f"{home.rstrip('/')}{slash}{rest}" or "/"
    try:
        path = Path(text).absolute()
    except OSError:
        raise ValueError(
            f"is {shown_path(text)}, and the working directory that it starts from is gone; write the path in full"
        ) from None
    if not is_utf8(str(path)):
        raise ValueError(f"is {shown_path(path)}, which is not in UTF-8; use a folder whose name is")
    return path


def why_not(error: OSError) -> str:
    """Return why a folder, or a file in it, cannot be made; what stands in a folder's place is told plainly."""
    return (
        "there is no folder, but a file or a link"
        if isinstance(error, FileExistsError)
        else error.strerror or str(error)
    )


def readable_folder(path: Path, setting: str) -> Path:
    """Return a folder without links in its path; raise `ConfigurationError` where it is none, or cannot be listed."""
    try:
        if path.is_dir():
            next(path.iterdir(), None)
            return path.resolve()
        why = "is not a folder; make it or unset it"
    except (OSError, RuntimeError) as error:  # the latter of links in a circle
        why = f"cannot be read ({getattr(error, 'strerror', None) or 'its links lead nowhere'}); mend that or unset it"
    raise ConfigurationError(f"{setting} names {path}, which {why}.")


def is_utf8(text: str) -> bool:
    """Say whether a text can be told in answers and kept in a database; what the system gave may hold other bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown_path(path: str | Path) -> str:
    """Return a path for a sentence, with what is no text in it written out, such as \\xe9."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def default_data_dir() -> Path:
    """Return `callboard` in the user's data folder, or `NOWHERE` where that cannot be known."""
    try:
        found = Path(platformdirs.user_data_dir("callboard", appauthor=False))
    except RuntimeError:  # no HOME, and no entry in the user database
        return NOWHERE
    return found if found.is_absolute() and is_utf8(str(found)) else NOWHERE


def _own_home(environment: Mapping[str, str]) -> str:
    home = environment.get("HOME", "")
    if home.startswith("/"):  # as platformdirs has it: an empty or a relative one counts as none
        return home
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        raise ValueError(
            "starts with ~, and this user has no home folder: HOME is no full path, and there is no entry in the user "
            "database; write the path in full"
        ) from None


def _home_of(user: str) -> str:
    try:
        return pwd.getpwnam(user).pw_dir
    except (KeyError, ValueError):
        raise ValueError(
            f"starts with ~{shown_path(user)}, and no user is called that; write the path in full, or ./ in front of "
            "a name that begins so"
        ) from None
