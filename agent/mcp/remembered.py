"""The tools that a server had last time, kept in a file: a server that is down keeps its skills in the catalogue.

One file a server, `mcp-NAME.json` in the data folder, for its owner only. Written in the loop's thread, read at start.
Imported by `servers.py`.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_BYTES = 8_000_000
_FORMAT = 1

Tool = Mapping[str, Any]
"""A tool as `tools/list` has it on the wire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a server offers: its version, and its tools in its own order."""

    version: str
    tools: tuple[Tool, ...]

    def same(self, other: "Listing") -> bool:
        """Whether the other offers the same, in whatever order."""
        return self == other or (self.version == other.version and _sorted(self) == _sorted(other))


def path_of(data_dir: Path, prefix: str) -> Path:
    return data_dir / f"mcp-{prefix}.json"


def keep(path: Path, server: str, listing: Listing) -> None:
    """Write the file as a whole, or leave the old one; raise `OSError`. `server` says which server it is."""
    content = json.dumps(
        {"format": _FORMAT, "server": server, "version": listing.version, "tools": listing.tools}, ensure_ascii=True
    )
    if _read(path) == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    mine = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        mine.touch(mode=0o600)
        mine.write_text(content)
        mine.replace(path)
    finally:
        mine.unlink(missing_ok=True)


def recall(path: Path, server: str) -> Listing | None:
    """Return what was kept; None where there is none, or it is another server's, or the file is spoilt."""
    content = _read(path)
    if content is None:
        return None
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        kept = json.loads(content)
        if kept["format"] == _FORMAT and kept["server"] == server:
            tools = tuple(
                tool for tool in kept["tools"] if isinstance(tool, dict) and isinstance(tool.get("name"), str)
            )
            return Listing(version=str(kept["version"]), tools=tools)
    return None


def _read(path: Path) -> str | None:
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        return path.read_text()
    except (OSError, ValueError):
        return None


def _sorted(listing: Listing) -> list[str]:
    return sorted(json.dumps(tool, sort_keys=True) for tool in listing.tools)
