"""A server of the older protocol, by hand: no `server/discover`, a handshake, one tool. Log lines on its standard output."""

import json
import sys
from typing import Any

ANSWERS: dict[str, Any] = {
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "old", "version": "0.9"},
    },
    "tools/list": {"tools": [{"name": "pong", "inputSchema": {"type": "object", "properties": {}}}]},
    "tools/call": {"content": [{"type": "text", "text": "pong"}]},
}

print("starting up", flush=True)
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    answer = ANSWERS.get(message["method"])
    body = {"error": {"code": -32601, "message": "Method not found"}} if answer is None else {"result": answer}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **body}), flush=True)
