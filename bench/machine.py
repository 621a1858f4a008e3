"""What a reader must know of the machine to make sense of the figures; nothing that names it."""

import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import psutil

LIBRARIES = (
    "callboard",
    "falcon",
    "waitress",
    "pykka",
    "sqlalchemy",
    "pydantic",
    "pydantic-monty",
    "limits",
    "structlog",
)
_MEMORY_DISKS = ("tmpfs", "ramfs")


def busy_percent(seconds: float) -> float:
    """Return how busy all processors are, over the next `seconds` seconds."""
    return float(psutil.cpu_percent(interval=seconds))


def disk_folder() -> Path:
    """Return a folder for temporary files that is on a disk: SQLite's commits must reach one."""
    for folder in (Path(tempfile.gettempdir()), Path("/var/tmp"), Path.cwd()):
        if folder.is_dir() and filesystem(folder) not in _MEMORY_DISKS:
            return folder
    return Path.cwd()


def filesystem(folder: Path) -> str:
    """Return the type of the file system that holds a folder, such as ext4."""
    mounts = [(p.mountpoint, p.fstype) for p in psutil.disk_partitions(all=True)]
    holding = [(len(at), kind) for at, kind in mounts if folder.resolve().is_relative_to(at)]
    return max(holding, default=(0, "unknown"))[1]


def describe(folder: Path) -> dict[str, str]:
    """Return the machine's description, the disk's included."""
    system = (
        platform.freedesktop_os_release().get("PRETTY_NAME", "") if sys.platform == "linux" else platform.platform()
    )
    return {
        "processor": _processor(),
        "cores": f"{os.cpu_count()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "system": f"{system}, {platform.system()} {_kernel()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "libraries": ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES),
        "disk": f"{filesystem(folder)}, {_drive(folder)}; write and fdatasync of 4 KiB: {sync_ms(folder):.2f} ms",
    }


def _kernel() -> str:
    """Return the kernel's version without what its builder appended."""
    return platform.release().partition("-")[0]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    speed = psutil.cpu_freq()
    return (names[0] if names else platform.machine()) + (f", {speed.current / 1000:.1f} GHz" if speed else "")


def _drive(folder: Path) -> str:
    """Return what the kernel says of the drive under a folder."""
    device = folder.stat().st_dev
    here = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    for place in (here, here.resolve().parent):
        try:
            turns = (place / "queue" / "rotational").read_text().strip()
        except OSError:
            continue
        virtual = "virtual drive " if place.resolve().name.startswith("vd") else "drive "
        return f"{virtual}that reports itself as {'rotational' if turns == '1' else 'solid state'}"
    return "drive of unknown kind"


def sync_ms(folder: Path, writes: int = 50) -> float:
    """Return the median time to append 4 KiB to a file and have it on the disk."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(writes):
            started = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            getattr(os, "fdatasync", os.fsync)(file.fileno())
            took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)
