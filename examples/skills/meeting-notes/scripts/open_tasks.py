"""Return the open tasks in the notes of a meeting: `argv[0]` is the notes, the last value is the answer."""

import re

TASK = re.compile(r"\s*(?:TODO|ACTION):?\s+(?:([A-Z]\w+):\s+)?(.+?)(?:\s+by\s+(\w+))?\.?\s*$")


def tasks(notes: str) -> list[dict[str, str | None]]:
    found = []
    for line in notes.splitlines():
        match = TASK.match(line)
        if match:
            found.append({"who": match.group(1), "what": match.group(2), "due": match.group(3)})
    return found


tasks(argv[0])  # noqa: F821  # Callboard gives argv
