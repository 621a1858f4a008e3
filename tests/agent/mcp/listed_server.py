"""An MCP server over standard input that lists whatever tools the file of its argument holds, and echoes its calls.

By hand, as plain_server.py: the SDK would take a second to start, and would not list some of what tests want listed.
"""

import json
import sys
from pathlib import Path
from typing import Any


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """Return the result of a request, None if there is no such method."""
    match method:
        case "initialize":
            info = {"name": "listed", "version": "1"}
            return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            return {"tools": json.loads(Path(sys.argv[1]).read_text())}
        case "tools/call":
            text = json.dumps({"name": params["name"], "arguments": params.get("arguments")}, sort_keys=True)
            return {"content": [{"type": "text", "text": text}]}
        case _:
            return None


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        found = answer(message["method"], message.get("params") or {})
        body = {"error": {"code": -32601, "message": "Method not found"}} if found is None else {"result": found}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **body}), flush=True)
