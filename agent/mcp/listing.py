"""Asks a server for its tools, page by page, however odd some of them are.

Runs in the loop's thread. Imports the SDK; imported by `connection.py`.
"""

from collections.abc import Callable

from mcp import Client, MCPError
from mcp_types import METHOD_NOT_FOUND

from callboard.agent.mcp import pages
from callboard.agent.mcp.remembered import Listing, Tool
from callboard.agent.mcp.stub import clean
from callboard.agent.mcp.wire import Ticket
from callboard.agent.mcp.words import Words

MAX_TOOLS = 500


async def listing(client: Client, ticket: Ticket, words: Words, told: Callable[[str], None]) -> Listing:
    """Return what the server offers; `told` hears in sentences what is left out. Raises what the SDK does."""
    tools: list[Tool] = []
    cursor: str | None = None
    seen: set[str | None] = set()
    while len(tools) <= MAX_TOOLS and cursor not in seen:
        seen.add(cursor)
        try:
            found, cursor = await _page(client, ticket, cursor, told)
        except MCPError:
            if not tools or ticket.said is None:
                raise
            told(f"the list of its tools ends after {len(tools)}: {words.of(ticket.said, 200)}")
            break
        tools += found
        if not found:
            break
    if len(tools) > MAX_TOOLS:
        told(f"it has more than {MAX_TOOLS} tools; the others are left out")
    info = client.server_info
    return Listing(version=clean(info.version, 64) if info else "", tools=tuple(tools[:MAX_TOOLS]))


async def _page(
    client: Client, ticket: Ticket, cursor: str | None, told: Callable[[str], None]
) -> tuple[list[Tool], str | None]:
    """Return tools as the wire has them, and where the list goes on."""
    try:
        listed = await client.list_tools(cursor=cursor)
    except MCPError:
        offers_tools = client.server_capabilities.tools is not None
        if offers_tools or ticket.said is None or ticket.said.code != METHOD_NOT_FOUND:
            raise
        return [], None  # a server of prompts or resources
    assert ticket.answer is not None
    tools, problems = pages.tools_of(ticket.answer)
    taken = {tool.name for tool in listed.tools}
    for tool in tools:
        if tool["name"] not in taken:
            problems.append(f"its tool {tool['name'][:64]!r} is left out: it names a header that the protocol forbids")
    for problem in problems:
        told(problem)
    return [tool for tool in tools if tool["name"] in taken], pages.cursor_of(ticket.answer)
