"""Our side of changing_server.py: what it lists, whether it answers, how often it was asked."""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

SERVER = str(Path(__file__).parent / "changing_server.py")


def tool(name: str, **arguments: str) -> dict[str, Any]:
    """A tool that must be given arguments of these types."""
    properties = {argument: {"type": kind} for argument, kind in arguments.items()}
    return {"name": name, "inputSchema": {"type": "object", "properties": properties, "required": list(properties)}}


ANNOUNCE, DIE = tool("announce", times="integer"), tool("die")


class Changing:
    """A server that has these tools, in a folder of its own; gated, it is ready when it is let in."""

    def __init__(self, folder: Path, *tools: dict[str, Any], gated: bool = False) -> None:
        self._folder = folder
        folder.mkdir()
        self.has(*tools)
        if gated:
            self.gate()

    @property
    def entry(self) -> dict[str, Any]:
        return {"command": sys.executable, "args": ["-S", "-E", SERVER, str(self._folder)]}

    def gate(self) -> None:
        """Have it wait, from its next start on, until it is let in."""
        os.mkfifo(self._folder / "gate")

    def has(self, *tools: dict[str, Any]) -> None:
        """Have it list these tools from now on."""
        written = self._folder / "tools.new"
        written.write_text(json.dumps(tools))
        written.replace(self._folder / "tools.json")

    def let_in(self) -> None:
        """Have it begin to answer, and not wait again; returns when it is there."""
        (self._folder / "gate").write_text("")
        (self._folder / "gate").unlink()

    def let_go(self) -> None:
        """Have it not wait any longer, if it does."""
        with contextlib.suppress(OSError):  # nobody waits
            os.close(os.open(self._folder / "gate", os.O_WRONLY | os.O_NONBLOCK))

    @property
    def listings(self) -> int:
        """How often it was asked for its tools."""
        with contextlib.suppress(FileNotFoundError):
            return len((self._folder / "listings").read_text())
        return 0
