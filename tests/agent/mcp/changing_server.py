"""An MCP server of the older protocol, by hand, whose tools are what a file holds, and which says so whenever it likes.

`changing_server.py FOLDER`: the tools are in FOLDER/tools.json, a list as `tools/list` has it, read at each listing, which
is noted in FOLDER/listings. Where there is a pipe FOLDER/gate, it begins to answer when somebody opens that. It says that its tools have
changed as soon as it is initialized, whether they have or not, and `announce` has it say so many times. `die` ends it; other
tools answer their name and arguments.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])
CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


def send(*messages: Any) -> None:
    sys.stdout.write("".join(json.dumps(message) + "\n" for message in messages))
    sys.stdout.flush()


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """Return the result of a request, None if there is no such method."""
    match method, params.get("name"):
        case "initialize", _:
            info = {"name": "changing", "version": "1"}
            capabilities = {"tools": {"listChanged": True}}
            return {"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info}
        case "tools/list", _:
            tools = json.loads((FOLDER / "tools.json").read_text())
            with (FOLDER / "listings").open("a") as file:
                file.write("x")
            return {"tools": tools}
        case "tools/call", "die":
            os._exit(1)
        case "tools/call", "announce":
            send(*[CHANGED] * params["arguments"]["times"])
            return {"content": [{"type": "text", "text": "announced"}]}
        case "tools/call", name:
            return {"content": [{"type": "text", "text": f"{name} {json.dumps(params.get('arguments'))}"}]}
        case _:
            return None


if (FOLDER / "gate").exists():
    (FOLDER / "gate").read_bytes()
for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "notifications/initialized":
        send(CHANGED)
    if "id" not in message:
        continue
    found = answer(message["method"], message.get("params") or {})
    body = {"error": {"code": -32601, "message": "Method not found"}} if found is None else {"result": found}
    send({"jsonrpc": "2.0", "id": message["id"], **body})
