"""Runs Bandit on one file, in a process of its own: started by `security_scan` as a script, imported by nobody.

    python -I _scanner.py code.py

Writes a JSON object to stdout: Bandit's own report, or `{"unreadable": REASON, "line": N}`. In a process of its own,
because what it reads is hostile: there its time and memory have a limit that the operating system keeps, a crash of the
parser is its own, and what Bandit changes in a process (the format of warnings, its plugins' cache) stays there.
"""

import ast
import contextlib
import json
import resource
import sys
import warnings
from pathlib import Path

CPU_S = 20
MEMORY_BYTES = 1024 * 1024 * 1024


def main(path: str) -> int:
    _limit()
    problem = _unreadable(Path(path).read_bytes())
    if problem is not None:
        sys.stdout.write(json.dumps(problem))
        return 0
    from bandit.cli.main import main as scan

    # a comment that says `nosec` is the author's word, and an audit does not take it
    sys.argv = ["bandit", "--quiet", "--format", "json", "--ignore-nosec", path]
    scan()
    return 0


def _limit() -> None:
    for what, most in ((resource.RLIMIT_CPU, CPU_S), (resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # some systems have no such limit, or a lower one
            resource.setrlimit(what, (most, most))


def _unreadable(code: bytes) -> dict[str, object] | None:
    """Return why Python cannot read the code, if it cannot."""
    warnings.simplefilter("ignore")
    try:
        ast.parse(code)
    except SyntaxError as error:
        return {"unreadable": error.msg, "line": error.lineno}
    except (RecursionError, MemoryError):
        return {"unreadable": "it is nested too deeply", "line": None}
    except ValueError as error:
        return {"unreadable": str(error), "line": None}
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
