"""A session's own folder, and no way out of it.

# SECURITY: a path comes from code that a model wrote. It is taken apart here, and each folder on the way is opened by its
name within the one before, without following links (openat, O_NOFOLLOW): there is no moment between a check and a use.

The server's own files here have names that no path names and no list shows (`callboard/file_names.py`). In the thread of a
skill's call; a lock on the folder holds off other writers, of this process and of others, while the limits are looked at.
Imported by the file skills and by the attachments.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from callboard.errors import TaskError
from callboard.file_names import TEMPORARY, fault_of, one_form
from callboard.limits import FILES, FOLDER_DEPTH
from callboard.values import mend_text

TIMES_LARGEST = 20
"""How many times the largest file all files of a workspace may take together."""

_MAX_NOTES = 100
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file; `name` is its path within the workspace."""

    name: str
    size: int
    modified: datetime


class Workspace:
    """The files of one session. `max_file_bytes` is the largest that is read or written."""

    def __init__(self, folder: Path, *, max_file_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_file_bytes

    def files(self, folder: str = "") -> list[FileEntry]:
        """Return the files of a folder and of those below it, by name."""
        parts = parts_of(folder) if folder.strip("/. ") else ()
        with self._opened(parts) as fd:
            found = list(_walk(fd, "".join(f"{part}/" for part in parts), FOLDER_DEPTH - len(parts)))
        return sorted(found, key=lambda entry: entry.name)

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raise `TaskError` `path_refused` for a path that is none of a file in here."""
        *folders, name = parts_of(path)
        with self._opened(folders, path) as folder, _told(path):
            # without waiting, for a pipe that nobody writes to would hold this thread for good
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            with os.fdopen(fd, "rb") as file:
                found = os.fstat(fd)
                if not stat.S_ISREG(found.st_mode):
                    raise _refused(path, "is not a file")
                data = file.read(self._max_bytes + 1)
        if len(data) > self._max_bytes:
            raise self._too_large(path, found.st_size)
        return data

    def write(self, path: str, data: bytes) -> None:
        """Write a file, whole or not at all, and have it on the disk; folders on its way are made."""
        *folders, name = parts_of(path)
        if len(data) > self._max_bytes:
            raise self._too_large(path, len(data))
        with self._locked() as root:
            self._check_room(root, "/".join([*folders, name]), len(data))
            with self._opened(folders, path, make=True) as folder, _told(path):
                self._put(folder, name, data)

    @staticmethod
    def _put(folder: int, name: str, data: bytes) -> None:
        """Write a file into an open folder, under the lock."""
        temporary = f"{TEMPORARY}{secrets.token_hex(8)}"
        fd = os.open(temporary, _NEW, 0o600, dir_fd=folder)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(fd)
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        os.fsync(folder)

    def delete(self, path: str) -> bool:
        """Delete a file; return whether there was one."""
        *folders, name = parts_of(path)
        with self._locked():
            try:
                with self._opened(folders, path) as folder, _told(path):
                    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                        raise _refused(path, "is a folder; delete its files")
                    os.unlink(name, dir_fd=folder)
            except FileMissing:
                return False
            self._remove_empty(folders)
        return True

    def _remove_empty(self, folders: list[str]) -> None:
        with contextlib.suppress(OSError, TaskError):  # of a folder that is not empty
            for depth in range(len(folders), 0, -1):
                with self._opened(folders[: depth - 1]) as folder:
                    os.rmdir(folders[depth - 1], dir_fd=folder)

    def note(self, name: str, data: bytes) -> None:
        """Keep something under a hidden name; of those that begin alike (up to a hyphen) the newest hundred stay."""
        with self._locked() as root:
            self._put(root, name, data)
            begins = name.partition("-")[0]
            with os.scandir(root) as entries:
                alike = [entry for entry in entries if entry.name.startswith(begins)]
            if len(alike) > _MAX_NOTES:
                alike.sort(key=lambda entry: entry.stat(follow_symlinks=False).st_mtime_ns)
                for old in alike[:-_MAX_NOTES]:
                    os.unlink(old.name, dir_fd=root)

    def noted(self, name: str) -> bytes | None:
        """Return what was kept under a hidden name."""
        with self._opened(()) as root:
            try:
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
            except OSError:
                return None
            with os.fdopen(fd, "rb") as file:
                return file.read()

    @contextmanager
    def _opened(self, parts: list[str] | tuple[str, ...], path: str = "", *, make: bool = False) -> Iterator[int]:
        """Open a folder of the workspace, one name after the other."""
        path = path or "/".join(parts)
        fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts:
                with _told(path):
                    if make:
                        with contextlib.suppress(FileExistsError):
                            os.mkdir(part, 0o700, dir_fd=fd)
                    inner = os.open(part, _FOLDER, dir_fd=fd)
                os.close(fd)
                fd = inner
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        with self._opened(()) as root:
            fcntl.flock(root, fcntl.LOCK_EX)  # let go of with the descriptor
            yield root

    def _check_room(self, root: int, name: str, size: int) -> None:
        entries = {entry.name: entry.size for entry in _walk(root, "", FOLDER_DEPTH, clean=True)}
        entries[name] = size
        limit = self._max_bytes * TIMES_LARGEST
        if len(entries) > FILES:
            raise TaskError("skill_failed", f"The workspace would hold more than {FILES} files; delete some.")
        if sum(entries.values()) > limit:
            raise TaskError("skill_failed", f"The workspace would hold more than {limit} bytes; delete some files.")

    def _too_large(self, path: str, size: int) -> TaskError:
        what = f"The file {_shown(path)} has {size} bytes and the limit is {self._max_bytes}"
        return TaskError("skill_failed", f"{what} (CALLBOARD_MAX_FILE_BYTES).")


class FileMissing(TaskError):
    """There is no file of that name."""

    def __init__(self, path: str) -> None:
        super().__init__("skill_failed", f"There is no file {_shown(path)} in the workspace; list_files names them.")


def parts_of(path: str) -> tuple[str, ...]:
    """Return the names that a path within a workspace is made of; raise `TaskError` `path_refused` for any other."""
    if path.startswith("/"):
        raise _refused(path, "is absolute; paths begin in the session's workspace, such as data/a.csv")
    parts = path.split("/")
    if len(parts) > FOLDER_DEPTH:
        raise _refused(path, f"has more than {FOLDER_DEPTH} parts")
    for part in parts:
        fault = _fault(part)
        if fault:
            raise _refused(path, fault)
    return tuple(map(one_form, parts))


def _fault(name: str) -> str | None:
    """Say why a name is none of a file or folder here."""
    if not name:
        return "has an empty part; write it such as data/a.csv"
    if name == "..":
        return "leads out of the session's workspace"
    if "\\" in name:
        return "has a backslash; folders are parted by /"
    fault = fault_of(name)
    return fault and f"has a part that {fault}"


def _walk(fd: int, prefix: str, depth: int, *, clean: bool = False) -> Iterator[FileEntry]:
    """Yield the files below an open folder; `clean`, under the lock: remove what writers left that died."""
    with os.scandir(fd) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        if clean and name.startswith(TEMPORARY):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=fd)
        if _fault(name):
            continue
        try:
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISREG(found.st_mode):
                modified = datetime.fromtimestamp(found.st_mtime, UTC)
                yield FileEntry(name=f"{prefix}{name}", size=found.st_size, modified=modified)
            elif stat.S_ISDIR(found.st_mode) and depth > 1:
                inner = os.open(name, _FOLDER, dir_fd=fd)
                try:
                    yield from _walk(inner, f"{prefix}{name}/", depth - 1, clean=clean)
                finally:
                    os.close(inner)
        except OSError:  # gone meanwhile
            continue


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Turn what the operating system says into an error about the path."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileMissing(path) from error
    except (IsADirectoryError, NotADirectoryError) as error:
        raise _refused(path, "names a folder as a file, or a file as a folder") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _refused(path, "is a link; links are not followed") from error
        raise TaskError("skill_failed", f"The file {_shown(path)}: {error.strerror}.") from error


def _refused(path: str, why: str) -> TaskError:
    return TaskError("path_refused", f"The path {_shown(path)} {why}.")


def _shown(path: str) -> str:
    return repr(mend_text(path)[:200])
