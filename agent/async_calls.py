"""Skill calls that a script awaits: `await skill(…)`, `asyncio.gather(skill(…), skill(…))`.

A skill is one plain function to whoever writes code, and the type checker and the interpreter need to know which calls
are awaited. So the names at such calls are exchanged for those of the skills' asynchronous twins, in place: lines stay
what they are. Pure functions; called by worker threads; imported by the runner.
"""

import ast
from collections.abc import Iterator

from callboard.agent.sandbox import TWIN

_TAKES_AWAITABLES = frozenset({"gather", "wait_for", "create_task", "ensure_future", "shield", "wait", "run"})

_Place = tuple[int, int, str]
"""Line (from 1), column in UTF-8 bytes, text to put in there."""


def with_twins(code: str) -> str:
    """Return the code with awaited skills under the names of their twins; code that awaits nothing as it stands."""
    if "await" not in code and "asyncio" not in code:
        return code
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code  # the type check says what is wrong with it
    return _edited(code, sorted(_Twins(tree).edits(), reverse=True))


def _edited(code: str, edits: list[_Place]) -> str:
    lines = [line.encode() for line in code.split("\n")]
    for line, column, text in edits:
        lines[line - 1] = lines[line - 1][:column] + text.encode() + lines[line - 1][column:]
    return b"\n".join(lines).decode()


class _Twins:
    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._imported: dict[str, tuple[ast.alias, str]] = {}
        self._modules: set[str] = set()
        self._seen: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "skills":
                self._imported |= {alias.asname or alias.name: (alias, alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                self._modules |= {a.asname or a.name for a in node.names if a.name == "skills"}

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

    def _awaited(self) -> Iterator[ast.expr]:
        """Yield the functions of calls whose results are awaited."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Await):
                yield from self._one(node.value)
            elif isinstance(node, ast.Call) and _last_name(node.func) in _TAKES_AWAITABLES:
                for argument in node.args:
                    yield from self._one(argument)

    def _one(self, node: ast.expr) -> Iterator[ast.expr]:
        """Yield what is called in an expression that is awaited."""
        match node:
            case ast.Call(func=function):
                yield function
            case ast.Starred(value=value):
                yield from self._many(value)
            case ast.Name(id=name):
                yield from self._assigned(name)
            case ast.IfExp(body=body, orelse=orelse):
                yield from self._one(body)
                yield from self._one(orelse)
            case ast.List() | ast.Tuple() | ast.Set():
                yield from self._many(node)

    def _many(self, node: ast.expr) -> Iterator[ast.expr]:
        """Yield what is called in the items of an expression, each of which is awaited."""
        match node:
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                for item in items:
                    yield from self._one(item)
            case ast.ListComp(elt=item) | ast.GeneratorExp(elt=item) | ast.SetComp(elt=item):
                yield from self._one(item)
            case ast.DictComp(value=item):
                yield from self._one(item)
            case ast.Call(func=ast.Name(id="map"), args=[function, *_]):
                yield function
            case ast.Call(func=ast.Name(id="list" | "tuple"), args=[inner]):
                yield from self._many(inner)
            case ast.BinOp(left=left, right=right):
                yield from self._many(left)
                yield from self._many(right)
            case ast.Name(id=name):
                yield from self._assigned(name)

    def _assigned(self, name: str) -> Iterator[ast.expr]:
        """Yield what is called in the values that a variable is given, or that are appended to it."""
        if name in self._seen:
            return
        self._seen.add(name)
        for node in ast.walk(self._tree):
            match node:
                case ast.Assign(targets=targets, value=value) if any(_is(target, name) for target in targets):
                    yield from self._value(value)
                case ast.AnnAssign(target=target, value=ast.expr() as value) if _is(target, name):
                    yield from self._value(value)
                case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="append"), args=[item]) if (
                    owner == name
                ):
                    yield from self._one(item)

    def _value(self, value: ast.expr) -> Iterator[ast.expr]:
        if isinstance(value, ast.Call) and _last_name(value.func) not in ("list", "tuple", "map"):
            yield from self._one(value)
        else:
            yield from self._many(value)


def _is(target: ast.expr, name: str) -> bool:
    return isinstance(target, ast.Name) and target.id == name


def _last_name(function: ast.expr) -> str:
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )
