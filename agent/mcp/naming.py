"""Names: of a tool on the wire and of its parameters in code, made from whatever a server calls them.

Pure functions; any thread. Imported by the configuration, the stubs and the tools.
"""

import hashlib
import keyword
import re
from collections.abc import Container

MAX_CHARS = 64
_HASH_CHARS = 8


def hyphenated(text: str) -> str:
    """Return the text in the letters of a skill's name: `getUser_byID` becomes `get-user-by-id`; may be empty."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", text)
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def skill_name(prefix: str, tool: str) -> str:
    """Return `SERVER-TOOL`, at most 64 characters; what is cut off, or has no letter to show, becomes a hash."""
    plain = hyphenated(tool)
    full = f"{prefix}-{plain}" if plain else prefix
    if plain and len(full) <= MAX_CHARS:
        return full
    digest = hashlib.sha256(tool.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
    return f"{full[: MAX_CHARS - _HASH_CHARS - 1].rstrip('-')}-{digest}"


def parameter_name(wire_name: str, taken: Container[str]) -> str:
    """Return what code calls an argument.

    A name that is no identifier of ASCII letters has an underscore where other characters stand; one that would begin with
    a digit, or be empty, begins with `arg_`; a keyword ends in an underscore; one that is taken ends in a number.
    """
    name = re.sub(r"[^A-Za-z0-9_]+", "_", wire_name)[:MAX_CHARS]
    if not name.strip("_") or name[0].isdigit():
        name = f"arg_{name.strip('_')}".rstrip("_")
    if keyword.iskeyword(name):
        name += "_"
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
