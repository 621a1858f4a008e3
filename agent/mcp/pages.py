"""What a server lists, read tool by tool, so that an odd one takes no other along.

Pure functions; any thread. Imported by `wire.py` and `connection.py`.
"""

from collections.abc import Mapping
from typing import Any

from callboard.agent.mcp.remembered import Tool
from callboard.agent.mcp.schema_types import is_deeper
from callboard.limits import VALUE_DEPTH

MAX_NAME_CHARS = 256


def tools_of(page: Mapping[str, Any]) -> tuple[list[Tool], list[str]]:
    """Return the tools of an answer to `tools/list` as the wire has them, and in sentences what is left out."""
    listed = page.get("tools")
    if listed is None:  # an empty list, as some languages write it
        return [], []
    if not isinstance(listed, list):
        return [], ["its list of tools is no list, so it has none"]
    tools, told = [], []
    for number, tool in enumerate(listed, 1):
        if (why := _unusable(tool)) is None:
            tools.append(tool)
        else:
            told.append(f"tool {number} of its list is left out: {why}")
    return tools, told


def _unusable(tool: Any) -> str | None:
    if not isinstance(tool, Mapping):
        return "it is not an object"
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        return "it has no name" if name is None or name == "" else "its name is not a text"
    if len(name) > MAX_NAME_CHARS:
        return f"its name is longer than {MAX_NAME_CHARS} characters"
    # a little more than a schema may have: those have their own limit, and their tool's name in the sentence
    return f"it is nested deeper than {VALUE_DEPTH} levels" if is_deeper(tool, 4 * VALUE_DEPTH) else None


def cursor_of(page: Mapping[str, Any]) -> str | None:
    """Return where the list goes on, None where it ends."""
    cursor = page.get("nextCursor")
    return cursor if isinstance(cursor, str) and cursor else None


def for_session(page: Mapping[str, Any]) -> dict[str, Any]:
    """Return a page that the SDK's session takes in any version: names, and the properties that may name headers.

    The session checks each field of each tool, and gives up all of them for one that it does not like.
    """
    tools = [{"name": tool["name"], "inputSchema": _with_properties(tool)} for tool in tools_of(page)[0]]
    read = {"tools": tools, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    return read if (cursor := cursor_of(page)) is None else {**read, "nextCursor": cursor}


def _with_properties(tool: Tool) -> dict[str, Any]:
    schema = tool.get("inputSchema")
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    kept = properties if isinstance(properties, Mapping) else {}
    return {"type": "object", "properties": {name: inner for name, inner in kept.items() if isinstance(inner, dict)}}
