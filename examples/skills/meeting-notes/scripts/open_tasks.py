"""Return the open tasks in the notes of a meeting: `sys.argv[1]` is the notes, the last value is the answer."""

import re
import sys

TASK = re.compile(r"\s*(?:TODO|ACTION):?\s+(?:([A-Z]\w+):\s+)?(.+?)(?:\s+by\s+(\w+))?\.?\s*$")


def tasks(notes: str) -> list[dict[str, str | None]]:
    found = []
    for line in notes.splitlines():
        match = TASK.match(line)
        if match:
            found.append({"who": match.group(1), "what": match.group(2), "due": match.group(3)})
    return found


tasks(sys.argv[1])
