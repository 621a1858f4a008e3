"""Which names a script binds at its top level: what a session keeps between tasks.

Pure functions; called by worker threads; imported by the runner.
"""

import ast
import re
from collections.abc import Iterator

# PERF: parsing takes 40 µs; a script of a skill's import and one expression, the commonest, is told apart in 1 µs
_MAY_BIND = re.compile(r"=|\b(?:def|class|for|with|as)\b|\bimport\b(?<!^from skills import)", re.MULTILINE)


def bound_names(code: str) -> frozenset[str]:
    """Return the variables, functions, classes and modules that `code` binds, names of skills left out.

    Code that cannot be parsed binds nothing.
    """
    if not _MAY_BIND.search(code):
        return frozenset()
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    return frozenset(name for statement in tree.body for name in _bound_by(statement))


def _bound_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
            return  # what stands inside is not at the top level
        case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return
        case ast.ImportFrom(module="skills") | ast.Import(names=[ast.alias(name="skills", asname=None)]):
            return
        case ast.alias(name=name, asname=alias):
            yield alias or name.split(".")[0]
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.ExceptHandler():
            for statement in node.body:  # the name of an except clause ends with the clause
                yield from _bound_by(statement)
            return
    for child in ast.iter_child_nodes(node):
        yield from _bound_by(child)
