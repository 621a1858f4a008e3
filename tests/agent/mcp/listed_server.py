"""An MCP server over standard input that lists whatever tools the file of its argument holds, and echoes its calls."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool


async def list_tools(_ctx: Any, _params: Any) -> ListToolsResult:
    listed = json.loads(Path(sys.argv[1]).read_text())
    return ListToolsResult(tools=[Tool.model_validate(tool) for tool in listed])


async def call_tool(_ctx: Any, params: CallToolRequestParams) -> CallToolResult:
    text = json.dumps({"name": params.name, "arguments": params.arguments}, sort_keys=True)
    return CallToolResult(content=[TextContent(type="text", text=text)])


async def main() -> None:
    server = Server("listed", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (reads, writes):
        await server.run(reads, writes, server.create_initialization_options())


asyncio.run(main())
