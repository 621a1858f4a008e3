"""What is Python, by its name and by its grammar. Pure; imported by whoever reads blocks of code in the planner."""

import ast
import textwrap

PYTHON = frozenset({"python", "py", "python3", "py3"})
"""What a block of Python is marked with."""


def parsed(code: str) -> ast.Module | None:
    """Return the code as a tree, None where it is no Python."""
    try:
        return ast.parse(textwrap.dedent(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def parses(code: str) -> bool:
    return parsed(code) is not None
