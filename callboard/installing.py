"""The command that installs one of Callboard's extras where this very installation runs.

Callboard is on no package index: its bare name would find nothing there, or another project. What was installed is named by where it came from: the clone, the wheel's file, the repository. Where that is gone, the extra's own
packages are named, which are on the index. Any thread; imported by whoever finds that a package is missing.
"""

import importlib.util
import json
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from shlex import join
from urllib.parse import unquote, urlsplit

from callboard._checkout import root


def install_command(extra: str) -> str:
    """Return a command for a shell that installs an extra, such as `mcp`, into the environment that this runs in."""
    pip = [sys.executable, "-m", "pip", "install"]
    if importlib.util.find_spec("pip") is None:  # an environment that uv has made
        pip = ["uv", "pip", "install", "--python", sys.executable]
    return join([*pip, *_what(extra)])


def _what(extra: str) -> list[str]:
    if (checkout := root()) is not None:
        return ["-e", f"{checkout}[{extra}]"]
    try:
        found = distribution("callboard")
    except PackageNotFoundError:  # run from a copy of the package; the index has what it needs
        return []
    return _origin(found, extra) or [
        requirement.partition(";")[0].strip()
        for requirement in found.requires or ()
        if f'extra == "{extra}"' in requirement.replace("'", '"')
    ]


def _origin(found: Distribution, extra: str) -> list[str]:
    """Return what to install to have this extra as well, from where the installation came from; nothing where that is not known."""
    try:
        told = json.loads(found.read_text("direct_url.json") or "{}")
        address = urlsplit(told["url"])
        if address.scheme != "file":
            vcs = told["vcs_info"]
            return [f"callboard[{extra}] @ {vcs['vcs']}+{told['url']}@{vcs['commit_id']}"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    path = Path(unquote(address.path))
    return [f"{path}[{extra}]"] if path.exists() else []
