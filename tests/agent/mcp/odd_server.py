"""An MCP server by hand that writes what its argument says, byte for byte: for what servers do that no SDK would.

The argument names a file of JSON, its texts bytes in Latin-1: `before` is written at once and `during` before each answer to a call;
`answers` holds by method what is written instead of the answer, with $ID for the request's id; `tools` is listed. A call
is echoed, as a text, in JSON; `once` ends the server after the first, and
`deaf` has it read nothing from the first on.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any

ODD = json.loads(Path(sys.argv[1]).read_text())
ECHO = {"name": "echo", "inputSchema": {"type": "object", "properties": {"x": {}}}}


def write(text: str) -> None:
    sys.stdout.buffer.write(text.encode("latin-1"))
    sys.stdout.buffer.flush()


def result(message: dict[str, Any]) -> dict[str, Any] | None:
    match message["method"]:
        case "initialize":
            info = {"name": "odd", "version": "1"}
            return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            return {"tools": ODD.get("tools", [ECHO])}
        case "tools/call":
            return {"content": [{"type": "text", "text": json.dumps(message["params"]["arguments"])}]}
        case _:
            return None


write(ODD.get("before", ""))
for line in sys.stdin.buffer:
    message = json.loads(line)
    if "id" not in message or "method" not in message:
        continue
    if message["method"] == "tools/call":
        write(ODD.get("during", ""))
        while ODD.get("deaf"):
            signal.pause()
    scripted = ODD.get("answers", {}).get(message["method"])
    if scripted is not None:
        for part in scripted if isinstance(scripted, list) else [scripted]:
            write(part.replace("$ID", str(message["id"])))
        if message["method"] == "tools/call" and ODD.get("once"):
            break
        continue
    found = result(message)
    body = {"error": {"code": -32601, "message": "Method not found"}} if found is None else {"result": found}
    write(json.dumps({"jsonrpc": "2.0", "id": message["id"], **body}) + "\n")
