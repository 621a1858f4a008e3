"""An MCP server of the older protocol, by hand: no `server/discover`, a handshake, a few tools.

It starts in a thirtieth of the time that the SDK's takes: for whoever needs a server that goes on while others do not.
The argument `chatty` has it write log lines on its standard output, as no server should.
"""

import json
import os
import signal
import sys
from typing import Any

NOTHING = {"type": "object", "properties": {}}
TOOLS = [
    {"name": "pong", "inputSchema": NOTHING},
    {"name": "process", "inputSchema": NOTHING},
    {"name": "die", "inputSchema": NOTHING},
    {"name": "die_reading", "inputSchema": NOTHING, "annotations": {"readOnlyHint": True}},
    {"name": "wait", "inputSchema": NOTHING},
    {
        "name": "add",
        "inputSchema": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "default": 2}},
            "required": ["a"],
        },
    },
]


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """Return the result of a request, None if there is no such method."""
    arguments = params.get("arguments") or {}
    match method, params.get("name"):
        case "initialize", _:
            info = {"name": "plain", "version": "0.9"}
            return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list", _:
            return {"tools": TOOLS}
        case "tools/call", "add":
            return _structured(arguments["a"] + arguments.get("b", 2))
        case "tools/call", "process":
            return _structured(os.getpid())
        case "tools/call", "die" | "die_reading":
            os.kill(os.getpid(), signal.SIGKILL)
            return None
        case "tools/call", _:
            return {"content": [{"type": "text", "text": "pong"}]}
        case _:
            return None


def _structured(result: int) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": str(result)}], "structuredContent": {"result": result}}


if "chatty" in sys.argv:
    print("starting up", flush=True)
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message or (message.get("params") or {}).get("name") == "wait":
        continue  # who calls `wait` is not answered
    found = answer(message["method"], message.get("params") or {})
    body = {"error": {"code": -32601, "message": "Method not found"}} if found is None else {"result": found}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **body}), flush=True)
