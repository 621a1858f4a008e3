"""What a tool answered, as a value for the script that called it.

`structuredContent` where there is some, else the texts; pictures, sounds and files become what is known of them, never
their bytes, which neither a script nor the ledger should hold.
Pure functions over the answer as the wire has it; any thread. Imported by the tools.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from callboard.agent.mcp.stub import clean
from callboard.values import storable

MAX_RESULT_BYTES = 1_000_000
MAX_ERROR_CHARS = 1500


class ToolFailed(RuntimeError):  # the skill's own failure: its text goes into the script, and to the model
    """The tool's server says that the call failed, or the call's outcome is not known."""


def value_of(answer: Mapping[str, Any], hide: Callable[[str], str]) -> Any:
    """Return the value; raise `ToolFailed` where the tool says that it failed, or where the answer is too large.

    `hide` takes secrets out of what the tool says of its failure.
    """
    content = _parts(answer)
    if answer.get("isError"):
        raise ToolFailed(clean(hide(_texts(content)), MAX_ERROR_CHARS) or "the tool failed and does not say why")
    if answer.get("structuredContent") is not None:
        value = storable(answer["structuredContent"])
    elif all(_kind(item) == "text" for item in content):
        value = storable(_texts(content)) if content else None
    else:
        value = [storable(_shown(item)) for item in content]
    if (size := len(json.dumps(value, ensure_ascii=False).encode())) > MAX_RESULT_BYTES:
        raise ToolFailed(
            f"the tool was called and answered {size:,} bytes; {MAX_RESULT_BYTES:,} is the limit, so ask it for less"
        )
    return value


def texts_of(answer: Mapping[str, Any]) -> str:
    """Return the texts of an answer, joined by line ends."""
    return _texts(_parts(answer))


def _parts(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the parts of the content; some servers send one alone, or a bare text, or null for none."""
    content = answer.get("content")
    parts = content if isinstance(content, list) else [] if content is None else [content]
    return [part if isinstance(part, Mapping) else {"type": "text", "text": part} for part in parts]


def _kind(item: Mapping[str, Any]) -> Any:
    return item.get("type", "text" if "text" in item else None)


def _texts(content: list[Mapping[str, Any]]) -> str:
    return "\n".join(_text(item) for item in content if _kind(item) == "text")


def _text(item: Mapping[str, Any]) -> str:
    text = item.get("text")
    return text if isinstance(text, str) else "" if text is None else json.dumps(text, ensure_ascii=False)


def _shown(item: Mapping[str, Any]) -> Any:
    """Return one part of a mixed answer: a text as it is, anything else as what is known of it."""
    kind = _kind(item)
    if kind == "text":
        return _text(item)
    if kind in ("image", "audio"):
        return {"type": kind, "mediaType": item.get("mimeType"), "bytes": _decoded_bytes(item.get("data"))}
    inner = item.get("resource") if kind == "resource" else item
    if not isinstance(inner, Mapping):
        return {"type": str(kind)}
    known = {"type": kind, "uri": inner.get("uri"), "name": inner.get("name"), "mediaType": inner.get("mimeType")}
    if "blob" in inner:
        known["bytes"] = _decoded_bytes(inner["blob"])
    known["text"] = inner.get("text")
    return {key: value for key, value in known.items() if value is not None}


def _decoded_bytes(base64_text: Any) -> int:
    text = base64_text if isinstance(base64_text, str) else ""
    return len(text) * 3 // 4 - text[-2:].count("=")
