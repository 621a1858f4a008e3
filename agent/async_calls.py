"""Skill calls that a script awaits: `await skill(…)`, `asyncio.gather(skill(…), skill(…))`.

A skill is one plain function to whoever writes code, and the type checker and the interpreter need to know which calls
are awaited. So the names at such calls are exchanged for those of the skills' asynchronous twins, in place: lines stay
what they are.

# Invariant: the work grows with the code's length and no faster, and nothing here calls itself: what a model wrote may have
# thousands of names, and conditionals in each other by the thousand. tests/agent/test_growth.py holds this.

Pure functions; called by worker threads; imported by the runner.
"""

import ast
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Literal

from callboard.agent.python_trees import tree_of
from callboard.agent.sandbox_run import TWIN

_TAKES_AWAITABLES = frozenset({"gather", "wait_for", "create_task", "ensure_future", "shield", "wait", "run"})

_Place = tuple[int, int, str]
"""Line (from 1), column in UTF-8 bytes, text to put in there."""


def with_twins(code: str) -> str:
    """Return the code with awaited skills under the names of their twins; code that awaits nothing as it stands."""
    if "await" not in code and "asyncio" not in code:
        return code
    try:
        tree = tree_of(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code  # the type check says what is wrong with it
    return _edited(code, sorted(_Twins(tree).edits()))


def _edited(code: str, edits: Iterable[_Place]) -> str:
    """Return the code with texts put in, in the order of their places."""
    lines = [line.encode() for line in code.split("\n")]
    for number, places in groupby(edits, key=lambda place: place[0]):
        line, parts, begin = lines[number - 1], [], 0
        for _, column, text in places:
            parts += [line[begin:column], text.encode()]
            begin = column
        lines[number - 1] = b"".join((*parts, line[begin:]))
    return b"\n".join(lines).decode()


_Step = tuple[Literal["called", "one", "many", "value"], ast.expr]
"""What to look at next: a function that is called and awaited; an expression that is awaited; one whose items are; what a
variable that is awaited is given."""


class _Twins:
    def __init__(self, tree: ast.Module) -> None:
        self._imported: dict[str, tuple[ast.alias, str]] = {}
        self._modules: set[str] = set()
        self._given: dict[str, list[_Step]] = {}
        self._waiting: list[_Step] = []
        for node in ast.walk(tree):
            self._look_at(node)

    def edits(self) -> set[_Place]:
        """Return what to put in where: `async_` before each awaited skill's name, and the twins' names behind the imports'."""
        edits: set[_Place] = set()
        for node in self._awaited():
            if isinstance(node, ast.Name) and node.id in self._imported:
                alias, name = self._imported[node.id]
                edits.add((node.lineno, node.col_offset, TWIN))
                assert alias.end_lineno is not None
                assert alias.end_col_offset is not None
                renamed = f" as {TWIN}{node.id}" if alias.asname else ""
                edits.add((alias.end_lineno, alias.end_col_offset, f", {TWIN}{name}{renamed}"))
            elif (
                isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in self._modules
            ):
                assert node.end_lineno is not None
                assert node.end_col_offset is not None
                edits.add((node.end_lineno, node.end_col_offset - len(node.attr.encode()), TWIN))
        return edits

    def _look_at(self, node: ast.AST) -> None:
        """Note where skills come from, what variables are given or have appended, and what is awaited."""
        match node:
            case ast.ImportFrom(module="skills"):
                self._imported |= {alias.asname or alias.name: (alias, alias.name) for alias in node.names}
            case ast.Import():
                self._modules |= {a.asname or a.name for a in node.names if a.name == "skills"}
            case ast.Await(value=value):
                self._waiting.append(("one", value))
            case ast.Call(func=function) if _last_name(function) in _TAKES_AWAITABLES:
                self._waiting += [("one", argument) for argument in node.args]
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="append"), args=[item]):
                self._given.setdefault(owner, []).append(("one", item))
            case ast.Assign(targets=targets, value=value):
                for name in {target.id for target in targets if isinstance(target, ast.Name)}:
                    self._given.setdefault(name, []).append(("value", value))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                self._given.setdefault(name, []).append(("value", value))
            case _:  # says nothing of that
                pass

    def _awaited(self) -> Iterator[ast.expr]:
        """Yield the functions of calls whose results are awaited."""
        waiting = self._waiting
        while waiting:
            what, node = waiting.pop()
            match what:
                case "called":
                    yield node
                case "one":
                    waiting.extend(self._in_one(node))
                case "many":
                    waiting.extend(self._in_many(node))
                case "value":
                    listed = not isinstance(node, ast.Call) or _last_name(node.func) in ("list", "tuple", "map")
                    waiting.append(("many" if listed else "one", node))

    def _in_one(self, node: ast.expr) -> Iterable[_Step]:
        """Return what to look at in an expression that is awaited."""
        match node:
            case ast.Call(func=function):
                return [("called", function)]
            case ast.Starred(value=value):
                return [("many", value)]
            case ast.Name(id=name):
                return self._given.pop(name, ())
            case ast.IfExp(body=body, orelse=orelse):
                return [("one", body), ("one", orelse)]
            case ast.List() | ast.Tuple() | ast.Set():
                return [("many", node)]
            case _:
                return []

    def _in_many(self, node: ast.expr) -> Iterable[_Step]:
        """Return what to look at in an expression each of whose items is awaited."""
        match node:
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return [("one", item) for item in items]
            case ast.ListComp(elt=item) | ast.GeneratorExp(elt=item) | ast.SetComp(elt=item) | ast.DictComp(value=item):
                return [("one", item)]
            case ast.Call(func=ast.Name(id="map"), args=[function, *_]):
                return [("called", function)]
            case ast.Call(func=ast.Name(id="list" | "tuple"), args=[inner]):
                return [("many", inner)]
            case ast.BinOp(left=left, right=right):
                return [("many", left), ("many", right)]
            case ast.Name(id=name):
                return self._given.pop(name, ())
            case _:
                return []


def _last_name(function: ast.expr) -> str:
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )
