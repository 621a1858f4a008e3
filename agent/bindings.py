"""Which names a script binds at its top level, and which it may reach: what a session keeps between tasks.

Pure functions; called by worker threads; imported by the runner.
"""

import ast
import re
import unicodedata
from collections.abc import Iterable, Iterator

from callboard.agent.python_trees import tree_of

# PERF: parsing takes 40 µs; a script of a skill's import and one expression, the commonest, is told apart in 1 µs
_MAY_BIND = re.compile(r"=|\b(?:def|class|for|with|as)\b|\bimport\b(?<!^from skills import)", re.MULTILINE)

_WORD = re.compile(r"[^\W\d]\w*")
_REACHES_ALL = frozenset({"globals", "locals", "vars", "exec", "eval"})


def bound_names(code: str) -> frozenset[str]:
    """Return the variables, functions, classes and modules that `code` binds, names of skills left out.

    Code that cannot be parsed binds nothing.
    """
    if not _MAY_BIND.search(code):
        return frozenset()
    try:
        tree = tree_of(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    return frozenset(_bound_in(tree))


def mentions(code: str, variables: Iterable[str]) -> bool:
    """Say whether `code` may reach any of the variables; what does not name one can't, so it leaves them as they are."""
    words = set(_WORD.findall(code if code.isascii() else unicodedata.normalize("NFKC", code)))
    return not (words.isdisjoint(variables) and words.isdisjoint(_REACHES_ALL))


def _bound_in(tree: ast.Module) -> Iterator[str]:
    waiting: list[ast.AST] = [tree]
    while waiting:  # by itself it would call itself as deep as conditionals can stand in each other
        node = waiting.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name  # what stands inside is not at the top level
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                pass
            case ast.ImportFrom(module="skills") | ast.Import(names=[ast.alias(name="skills", asname=None)]):
                pass
            case ast.alias(name=name, asname=alias):
                yield alias or name.split(".")[0]
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.ExceptHandler():
                waiting += node.body  # the name of an except clause ends with the clause
            case _:
                waiting += ast.iter_child_nodes(node)
