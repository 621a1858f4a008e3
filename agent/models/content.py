"""What stands in a message's content, whatever its shape: text, or a list of parts of several kinds. Pure.

Imported by the adapters.
"""

from typing import Any

from callboard.agent.models.dialect import Part, field, text_field

_SAID = frozenset(("", "text", "output_text"))
_THOUGHT = ("thinking", "reasoning")
_THOUGHT_FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")


def read_content(content: Any) -> Part:
    """Return the text, the thoughts and the refusal in a content; other kinds of parts have none of them."""
    said, thought, refused = [], [], []
    for item in content if isinstance(content, list) else [content]:
        kind = text_field(item, "type")
        if isinstance(item, str):
            said.append(item)
        elif kind.startswith(_THOUGHT):
            thought.append(_flat(item))
        elif kind == "refusal":
            refused.append(_flat(item))
        elif kind in _SAID:
            said.append(_flat(item))
    return Part(text="".join(said), thoughts="".join(thought), refusal="".join(refused))


def read_thoughts(message: Any) -> str:
    """Return the thoughts that stand in a field of their own; several fields hold the same ones."""
    for name in _THOUGHT_FIELDS:
        if found := _flat(field(message, name)):
            return found
    return ""


def _flat(value: Any, depth: int = 0) -> str:
    """Return the text in a value: itself, in the fields that have it, in the parts of a list."""
    if isinstance(value, str):
        return value
    if depth > 3:
        return ""
    if isinstance(value, list):
        return "".join(_flat(item, depth + 1) for item in value)
    if isinstance(value, dict):
        names = ("text", "thinking", "reasoning", "refusal", "content", "summary", "value")
        return next((text for name in names if (text := _flat(value.get(name), depth + 1))), "")
    return ""
