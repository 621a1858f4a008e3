"""An MCP server made with the official SDK, with a tool for everything that tests want of one.

`tools_server.py stdio` speaks over its standard input. `tools_server.py http` starts servers over HTTP, each a process of
its own: the SDK takes most of a second to import, and they share that. For a line `start PORT [json]` it prints the new
process and the port that it listens on at 127.0.0.1; for `kill PID`, once that is over, the PID.
The environment variable TOOLS leaves tools out or changes them; TOKEN is a secret that it gives away.
"""

import os
import signal
import socket
import sys
from typing import Any

import anyio
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import (
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)

server = MCPServer("tools", version="1.2.3")
cancelled = anyio.Event()
READ_ONLY = ToolAnnotations(read_only_hint=True)


@server.tool(annotations=READ_ONLY)
def add(a: int, b: int = 2) -> int:
    """Add two numbers.

    Any two.
    """
    return a + b


@server.tool(annotations=ToolAnnotations(read_only_hint=False, idempotent_hint=True))
def put(key: str) -> dict[str, Any]:
    """Put a thing where it belongs."""
    return {"key": key, "nothing": None}


@server.tool(structured_output=False)
def greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello {name}"


@server.tool(structured_output=False)
def picture(mixed: bool = True) -> CallToolResult:
    """Draw."""
    image = ImageContent(type="image", mime_type="image/png", data="aGVsbG8=")
    page = EmbeddedResource(type="resource", resource=TextResourceContents(uri="x://page", text="a page"))
    return CallToolResult(content=[TextContent(type="text", text="drawn"), image, page] if mixed else [])


@server.tool()
def fail() -> str:
    """Fail, and say too much."""
    raise ToolError(f"no such \x1b[31mfile; the token is {os.environ.get('TOKEN')}")


@server.tool(structured_output=False)
def flood(size: int) -> str:
    """Answer a lot."""
    return "x" * size


@server.tool(annotations=READ_ONLY)
async def sleep(seconds: float) -> str:
    """Take a while; remembers to have been cancelled."""
    try:
        await anyio.sleep(seconds)
    except BaseException:
        cancelled.set()
        raise
    return "slept"


@server.tool()
async def work(seconds: float) -> str:
    """Take a while, and change the world."""
    await anyio.sleep(seconds)
    return "worked"


@server.tool()
async def was_cancelled() -> bool:
    """Wait until a call of `sleep` has been cancelled."""
    await cancelled.wait()
    return True


@server.tool()
def die() -> str:
    """End the process in the middle of the call."""
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


@server.tool(name="die_reading", annotations=READ_ONLY)
def die_reading() -> str:
    """End the process in the middle of a call that may be repeated."""
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


@server.tool()
def process() -> int:
    """Say which process this is."""
    return os.getpid()


@server.tool()
def environment() -> list[str]:
    """Say which variables there are."""
    return sorted(os.environ)


@server.tool(structured_output=False)
async def effect_id(ctx: Context) -> str:
    """Say under which id the call was made."""
    meta = ctx.request_context.meta or {}
    return str(meta.get("callboard/effectId"))


@server.tool(structured_output=False)
async def header(name: str, ctx: Context) -> str:
    """Say what a header of the request holds."""
    return str((ctx.headers or {}).get(name))


@server.tool(structured_output=False)
async def grow(ctx: Context) -> str:
    """Add a tool, and say so."""
    server.add_tool(lambda: "", name="grown", description="New.")
    await ctx.notify_tools_changed()
    if ctx.request_context.protocol_version < "2026":
        await ctx.session.send_tool_list_changed()
    return "grown"


if "fewer" in os.environ.get("TOOLS", ""):
    server.remove_tool("greet")


def main() -> None:
    print(f"the token is {os.environ.get('TOKEN')}", file=sys.stderr, flush=True)
    if sys.argv[1] == "stdio":
        server.run("stdio")
        return
    for line in sys.stdin:
        match line.split():
            case "start", port, *words:
                with listening(int(port)) as listener:
                    if (pid := os.fork()) == 0:
                        serve(listener, json="json" in words)
                        os._exit(0)
                    print(pid, listener.getsockname()[1], flush=True)
            case "kill", pid:
                # one that has ended by itself keeps its number, and perhaps its port, until it has been waited for
                os.kill(int(pid), signal.SIGKILL)
                os.waitpid(int(pid), 0)
                print(pid, flush=True)
            case _:
                pass


def listening(port: int) -> socket.socket:
    # the protocol by its name, or asyncio does not turn off what delays each answer by 40 ms
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


def serve(listener: socket.socket, *, json: bool) -> None:
    app = server.streamable_http_app(json_response=json)
    uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1)).run(sockets=[listener])


if __name__ == "__main__":
    main()
