"""Says what to write instead, where code uses what the sandbox's Python lacks.

By the words of the type checker, of the parser or of the interpreter; and in the code itself, for what the checker lets
pass: that is found before anything runs. The table is agent/gaps.py.
Pure functions; any thread. Imported by the sandbox.
"""

import ast
import builtins
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, datetime

from callboard.agent import gaps
from callboard.agent.gaps import Advice, BySkill
from callboard.agent.python_trees import tree_of

SANDBOX_HINT = (
    "The sandbox runs a subset of Python: no class inheritance, no yield, no files, no network; of the standard library it "
    f"has {', '.join(gaps.STANDARD_LIBRARY)}, most of them in part."
)

_MOST_HINTS = 5
_MOST_PARTS = 3
"""How many attributes deep a name of the table goes, such as `datetime.datetime.utcnow`."""

_NAMES = re.compile(r"[Nn]ame [`'](\w+)[`'] (?:used when not|is not) defined")
_MODULES = re.compile(r"Cannot resolve imported module `([\w.]+)`|No module named '([\w.]+)'")
_MEMBERS = (
    re.compile(r"Module `(?P<of>[\w.]+)` has no member `(?P<name>\w+)`"),
    re.compile(r"cannot import name '(?P<name>\w+)' from '(?P<of>[\w.]+)'"),
    re.compile(r"module '(?P<of>[\w.]+)' has no attribute '(?P<name>\w+)'"),
    re.compile(r"'(?P<of>os)\.(?P<name>\w+)' is not supported in this"),
)
_ATTRIBUTES = re.compile(r"(?:'([\w.]+)' object|type object '([\w.]+)') has no attribute '(\w+)'")
_UNSUPPORTED = re.compile(r"does not yet support (.+)|(Wildcard imports)")
_LACKING = re.compile(r"Cannot resolve imported|Module `(?!skills`)[\w.]+` has no member|not yet support|not supported")
_AS_KEY = re.compile(r"\bkey\s*=\s*([a-z_]\w*)\.(\w+)\s*[,)]")
_OF_A_TYPE = tuple(f"{name}." for name in ("str", "bytes", "list", "dict", "set", "tuple", "int", "float"))
_OF_THE_TYPE_ITSELF = frozenset({"dict.fromkeys", "bytes.fromhex"})
_APART = {ord(c): " " for c in map(chr, range(128)) if not (c.isalnum() or c == "_")}
_TYPES: Mapping[str, type] = {
    **{kind.__name__: kind for kind in (str, bytes, list, dict, set, frozenset, tuple, int, float, range)},
    "bool": int,
    "datetime.date": date,
    "datetime.datetime": datetime,
}


def with_hints(message: str, code: str, allowed: Collection[str] | None) -> str:
    """Return an error's message with what to write instead behind it; `allowed` are the skills that may be called, None: all."""
    found = list(dict.fromkeys(_hints(message, code, allowed)))[:_MOST_HINTS]
    if not found and _LACKING.search(message):
        found = [SANDBOX_HINT]
    return "\n".join([message, *found])


def unseen(code: str, variables: Collection[str], allowed: Collection[str] | None) -> str | None:
    """Return in lines what code uses that the sandbox lacks and its type checker does not see; None if there is nothing.

    PERF: most code has none of the words, which is known after 10 µs for a script of 500 characters, 2 µs for a line; looking
    at one that has takes 1 ms.
    """
    if _SUSPECT.isdisjoint(code.translate(_APART).split()) and not any(name in code for name in _OF_A_TYPE):
        return None
    try:
        tree = tree_of(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # the checker says what is wrong with it
    lines = [
        f"line {node.lineno}, column {node.col_offset + 1}: "
        + (_lacks(name, table[name], allowed) if name in table else _passed_on(name))
        for node, name, table in _Uses(tree, variables).lacking()
    ]
    return "\n".join(list(dict.fromkeys(lines))[:_MOST_HINTS]) or None


def _lacks(name: str, advice: Advice, allowed: Collection[str] | None) -> str:
    return f"`{name}` is not in the sandbox's Python: {_advice(advice, allowed)}."


def _advice(advice: Advice, allowed: Collection[str] | None) -> str:
    if isinstance(advice, BySkill):
        return advice.advice if allowed is None or advice.skill in allowed else advice.otherwise
    return advice


def _hints(message: str, code: str, allowed: Collection[str] | None) -> Iterator[str]:
    for found in _NAMES.finditer(message):
        if found[1] in gaps.BUILTINS:
            yield _lacks(found[1], gaps.BUILTINS[found[1]], allowed)
        elif allowed is not None and found[1].replace("_", "-") in allowed:
            yield f"`{found[1]}` is a skill: write `from skills import {found[1]}` in front of it."
        elif hasattr(builtins, found[1]):
            yield SANDBOX_HINT
    for found in _MODULES.finditer(message):
        yield _module(found[1] or found[2], allowed)
    for found in (found for words in _MEMBERS for found in words.finditer(message)):
        name = f"{found['of']}.{found['name']}"
        if name in gaps.MEMBERS:
            yield _lacks(name, gaps.MEMBERS[name], allowed)
    for found in _ATTRIBUTES.finditer(message):
        yield from _attribute(found[1] or found[2], found[3], allowed)
    for found in _UNSUPPORTED.finditer(message):
        name, advice = gaps.SYNTAX.get((found[1] or found[2]).strip(), ("", ""))
        if name:
            yield f"The sandbox's Python does not have {name}: {_advice(advice, allowed)}."
    for words, advice in gaps.PHRASES.items():
        if words in message:
            yield f"In the sandbox, {_advice(advice, allowed)}."
    if "No overload of function" in message:
        for found in _AS_KEY.finditer(code):
            yield _passed_on(f"{found[1]}.{found[2]}")


def advice_on(module: str) -> str | None:
    """Return what to write where there is no such module, None where the table does not know it."""
    return None if module not in gaps.MODULES else _advice(gaps.MODULES[module], None)


def _module(name: str, allowed: Collection[str] | None) -> str:
    advice = gaps.MODULES.get(name) or gaps.MODULES.get(name.partition(".")[0])
    if advice is None:
        return f"There is no module {name} in the sandbox; there are {', '.join(gaps.STANDARD_LIBRARY)}."
    return _lacks(name, advice, allowed)


def _attribute(kind: str, name: str, allowed: Collection[str] | None) -> Iterator[str]:
    whole = f"{'int' if kind == 'bool' else kind}.{name}"
    inherited = f"datetime.date.{name}" if kind == "datetime.datetime" else whole
    if whole in gaps.MEMBERS or inherited in gaps.MEMBERS:
        yield _lacks(whole, gaps.MEMBERS.get(whole) or gaps.MEMBERS[inherited], allowed)
    elif kind.rpartition(".")[2] == "TextIOWrapper":
        yield "`sys.stdout` only takes what print gives it: write `print(text, end='')`."
    elif hasattr(_TYPES.get(kind), name) and not name.startswith("_"):
        yield _passed_on(f"{kind}.{name}")


def _passed_on(method: str) -> str:
    owner, _, name = method.rpartition(".")
    if owner in _TYPES:
        return f"A method is called in the sandbox, not passed on: write a lambda such as `lambda one: one.{name}()`."
    return f"A method is called in the sandbox, not passed on: write `lambda one: {method}(one)` for `{method}`."


class _Uses:
    """What a script uses of what it has not made itself, by whole names such as `datetime.datetime.utcnow`."""

    def __init__(self, tree: ast.Module, variables: Collection[str]) -> None:
        self._tree = tree
        self._made = {*variables, *_bound(tree)}
        self._imported: dict[str, str] = {}

    def lacking(self) -> Iterator[tuple[ast.expr | ast.stmt, str, Mapping[str, Advice]]]:
        for node in ast.walk(self._tree):
            for name, table in self._used(node):
                if name in gaps.UNSEEN or table is gaps.CLASS_METHODS or _is_passed_on(name):
                    assert isinstance(node, ast.expr | ast.stmt)
                    yield node, name, table

    def _used(self, node: ast.AST) -> Iterable[tuple[str, Mapping[str, Advice]]]:
        match node:
            case ast.Import(names=names):
                for one in names:
                    self._imported[one.asname or one.name.partition(".")[0]] = (
                        one.name if one.asname else one.name.partition(".")[0]
                    )
                    yield one.name, gaps.MODULES
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield module, gaps.MODULES
                for one in names:
                    self._imported[one.asname or one.name] = f"{module}.{one.name}"
                    yield f"{module}.{one.name}", gaps.MEMBERS
            case ast.Attribute():
                yield self._whole(node) or "", gaps.MEMBERS
            case ast.Name(id=name, ctx=ast.Load()) if name not in self._made and name not in self._imported:
                yield name, gaps.BUILTINS
            case ast.ClassDef(body=body):
                yield from (
                    (one.name, gaps.CLASS_METHODS)
                    for one in body
                    if isinstance(one, ast.FunctionDef) and one.name in gaps.CLASS_METHODS
                )
            case _:  # uses no name
                pass

    def _whole(self, node: ast.expr) -> str | None:
        """Return an attribute's whole name, from the module or type that it is one of; None of other things."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute) and len(parts) < _MOST_PARTS:
            parts.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        own = node.id if node.id in _TYPES and node.id not in self._made else None
        owner = self._imported.get(node.id, own)
        return None if owner is None else ".".join([owner, *parts])


def _is_passed_on(name: str) -> bool:
    """Whether it is a method of a type by the type's own name, such as `str.lower`."""
    owner, _, method = name.rpartition(".")
    return owner in _TYPES and "." not in owner and hasattr(_TYPES[owner], method) and name not in _OF_THE_TYPE_ITSELF


def _bound(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case _:  # binds no name
                pass


_SUSPECT = frozenset(name.rpartition(".")[2] for name in gaps.UNSEEN) | gaps.CLASS_METHODS.keys()
