"""What is Python, by its name and by its grammar. Pure; imported by whoever reads blocks of code in the planner."""

import ast
import builtins
import textwrap
from dataclasses import dataclass
from functools import lru_cache

from callboard.agent.python_trees import tree_of
from callboard.limits import CODE_CHARS

PYTHON = frozenset({"python", "py", "python3", "py3"})
"""What a block of Python is marked with."""

MAX_CODE_CHARS = CODE_CHARS
"""Longest code that is read and run: a model that writes more writes data, or hangs.

PERF: to parse this much takes up to 0.4 s, in which the interpreter does nothing else.
"""

_BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What code binds, what it reads and neither binds nor has built in, what it calls by name, and whether it ends in a value."""

    bound: frozenset[str]
    unbound: frozenset[str]
    called: frozenset[str]
    has_value: bool


def parsed(code: str) -> ast.Module | None:
    """Return the code as a tree, None where it is no Python, or too much to parse."""
    if len(code) > MAX_CODE_CHARS:
        return None
    try:
        return tree_of(textwrap.dedent(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def parses(code: str) -> bool:
    return parsed(code) is not None


@lru_cache(32)  # an answer's blocks are looked at from several sides
def names_in(code: str) -> Names | None:
    """Return the names in code, None where it is no Python."""
    tree = parsed(code)
    if tree is None:
        return None
    bound, read, called = set[str](), set[str](), set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                bound.add(name)
            case ast.Name(id=name, ctx=ast.Load()):
                read.add(name)
            case ast.Call(func=ast.Name(id=name)):
                called.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                bound |= {(alias.asname or alias.name).partition(".")[0] for alias in aliases}
            case ast.arg(arg=name):
                bound.add(name)
            case _:  # names nothing
                pass
    return Names(
        bound=frozenset(bound),
        unbound=frozenset(read - bound - _BUILTINS),
        called=frozenset(called),
        has_value=bool(tree.body) and isinstance(tree.body[-1], ast.Expr),
    )
