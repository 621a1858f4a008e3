"""A media type as people and programs write it, in the one form that is kept (RFC 9110, section 8.3.1).

Pure functions; any thread; imported by the model of a task, the attachments and what fetches.
"""

import re

PATTERN = r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+[ \t]*(;[^\x00-\x1f\x7f]*)?$"
"""A type, a subtype and parameters, which are not looked at more closely than this."""

_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([A-Za-z0-9._:+-]+)", re.IGNORECASE)


def split(text: str) -> tuple[str, str | None]:
    """Return a type in lower case and the charset that it names, of `Text/CSV; charset="UTF-8"`: text/csv and UTF-8."""
    kind, _, _ = text.partition(";")
    charset = _CHARSET.search(text)
    return kind.strip().lower(), charset[1] if charset else None


def joined(kind: str, charset: str | None) -> str:
    """Return a type with its charset; every other parameter is left out."""
    return kind if charset is None else f"{kind}; charset={charset.lower()}"
