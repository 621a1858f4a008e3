"""What `code_analysis` looks for in Python, with Python's own parser.

Pure functions but for the lock below; any thread; imported by `code_analysis` only.
"""

import ast
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from callboard.agent.python_trees import tree_of
from callboard.agent.skills._rules import Finding

# Guards the process-wide warning filters, which catch_warnings() swaps; an actor cannot, as skills run in workers.
_FILTERS = threading.Lock()
_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.With, ast.AsyncWith, ast.Match)
_MUTABLE_CALLS = frozenset({"list", "dict", "set", "defaultdict", "deque", "Counter"})
_DYNAMIC = frozenset({"eval", "exec"})


def parse(code: str) -> tuple[ast.Module | None, list[Finding]]:
    """Return the tree, or None with the finding that says why there is none; and what the parser warned of."""
    with _FILTERS, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            tree = tree_of(code)
        except SyntaxError as error:
            line, why = min(error.lineno or 1, code.count("\n") + 1), error.msg
            return None, [Finding(max(line, 1), "error", "syntax-error", f"Python cannot read this: {why}.")]
        except (RecursionError, MemoryError, ValueError):
            return None, [Finding(1, "error", "syntax-error", "Python cannot read this: it is nested too deeply.")]
    return tree, [Finding(w.lineno, "warning", "syntax-warning", f"{w.message}.") for w in caught]


def find(tree: ast.Module) -> list[Finding]:
    """Return the findings, in no order."""
    findings = list(_unused_imports(tree))
    for node in ast.walk(tree):
        match node:
            case ast.ExceptHandler():
                findings.extend(_handler(node))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                findings.extend(_defaults(node))
            case ast.Call():
                findings.extend(_call(node))
            case ast.Compare():
                findings.extend(_comparison(node))
            case ast.ImportFrom() if any(alias.name == "*" for alias in node.names):
                findings.append(
                    _at(node, "warning", "star-import", "Hides where names come from; import them by name.")
                )
            case ast.Assert(test=ast.Tuple(elts=[_, *_])):
                findings.append(
                    _at(node, "error", "assert-tuple", "A tuple is always true: the assertion never fails.")
                )
            case ast.Global():
                findings.append(_at(node, "info", "global", "Changes a module's variable from inside a function."))
            case _:  # no rule looks at it
                pass
    return findings


def _at(node: ast.stmt | ast.expr | ast.ExceptHandler, severity: str, rule: str, message: str) -> Finding:
    return Finding(node.lineno, severity, rule, message)  # type: ignore[arg-type]  # literals at every call


def _handler(node: ast.ExceptHandler) -> Iterator[Finding]:
    if node.type is None:
        yield _at(node, "warning", "bare-except", "Catches even KeyboardInterrupt; name the exceptions.")
    elif isinstance(node.type, ast.Name) and node.type.id == "BaseException":
        yield _at(node, "warning", "bare-except", "Catches even KeyboardInterrupt; use Exception or less.")
    if all(isinstance(statement, ast.Pass) for statement in node.body):
        yield _at(node, "warning", "swallowed-exception", "The error disappears without a trace.")


def _defaults(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[Finding]:
    for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]:
        made = (
            isinstance(default, ast.Call) and isinstance(default.func, ast.Name) and default.func.id in _MUTABLE_CALLS
        )
        if made or isinstance(default, ast.List | ast.Dict | ast.Set):
            yield _at(
                default, "warning", "mutable-default", "All calls share this default; use None and make it inside."
            )


def _call(node: ast.Call) -> Iterator[Finding]:
    name = ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) and _plain(node.func) else ""
    if name in _DYNAMIC:
        yield _at(node, "error", "eval", f"{name}() runs text as code; whoever controls the text controls the program.")
    if any(k.arg == "shell" and isinstance(k.value, ast.Constant) and k.value.value is True for k in node.keywords):
        yield _at(node, "error", "shell", "shell=True lets text from outside run commands; pass a list of arguments.")
    if name == "os.system":
        yield _at(node, "warning", "shell", "Runs a shell command; use subprocess.run with a list of arguments.")
    if name in ("pickle.loads", "pickle.load", "marshal.loads"):
        yield _at(node, "warning", "unsafe-load", f"{name}() runs code that the data brings along.")
    if name == "yaml.load" and not any(k.arg == "Loader" for k in node.keywords) and len(node.args) < 2:
        yield _at(node, "warning", "unsafe-load", "yaml.load() can run code; use yaml.safe_load().")
    if any(k.arg == "verify" and isinstance(k.value, ast.Constant) and k.value.value is False for k in node.keywords):
        yield _at(node, "error", "unverified-tls", "verify=False accepts any server's certificate.")


def _plain(node: ast.expr) -> bool:
    """Tell a dotted name of at most three parts; longer chains are not worth unparsing."""
    for _ in range(3):
        if isinstance(node, ast.Name):
            return True
        if not isinstance(node, ast.Attribute):
            return False
        node = node.value
    return False


def _comparison(node: ast.Compare) -> Iterator[Finding]:
    for operator, right in zip(node.ops, node.comparators, strict=True):
        constant = right.value if isinstance(right, ast.Constant) else ...
        if isinstance(operator, ast.Eq | ast.NotEq) and constant is None:
            yield _at(node, "warning", "none-comparison", "Compare with None by `is` or `is not`.")
        elif isinstance(operator, ast.Eq | ast.NotEq) and isinstance(constant, bool):
            yield _at(node, "info", "bool-comparison", f"Comparing with {constant} is not needed.")
        elif (
            isinstance(operator, ast.Is | ast.IsNot)
            and isinstance(constant, str | int)
            and not isinstance(constant, bool)
        ):
            yield _at(node, "error", "identity-comparison", "`is` compares identity, not value; use ==.")


def _unused_imports(tree: ast.Module) -> Iterator[Finding]:
    imported: dict[str, ast.Import | ast.ImportFrom] = {}
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and not (
            isinstance(node, ast.ImportFrom) and node.module == "__future__"
        ):
            for alias in node.names:
                if alias.name != alias.asname:  # `import a as a` says that it is imported for others
                    imported[(alias.asname or alias.name).split(".")[0]] = node
        elif isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            used.add(node.value)  # __all__, and annotations in quotes
    for name, where in imported.items():
        if name not in used and name != "*":
            yield _at(where, "warning", "unused-import", f"{name} is imported and not used.")


def functions(tree: ast.Module) -> list[dict[str, Any]]:
    """Return each function with its lines, cyclomatic complexity (McCabe), parameters and nesting, in their order."""
    found: list[dict[str, Any]] = []
    # PERF: a list instead of recursion, because code may be nested as deep as the parser allows.
    waiting: list[tuple[ast.AST, dict[str, Any], int]] = [(tree, {"complexity": 1, "nesting": 0, "name": ""}, 0)]
    while waiting:
        node, function, depth = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            function, depth = _entered(node, function["name"]), 0
            if not isinstance(node, ast.ClassDef):
                found.append(function)
        depth += isinstance(node, _BLOCKS)
        function["complexity"] += _branches(node)
        function["nesting"] = max(function["nesting"], depth)
        for child in ast.iter_child_nodes(node):
            chained = isinstance(node, ast.If) and node.orelse == [child] and isinstance(child, ast.If)
            waiting.append((child, function, depth - chained))
    return sorted(found, key=lambda function: function["line"])


def _entered(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, outer: str) -> dict[str, Any]:
    arguments = node.args if not isinstance(node, ast.ClassDef) else ast.arguments([], [], None, [], [], None, [])
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return {
        "name": f"{outer}.{node.name}" if outer else node.name,
        "line": node.lineno,
        "lines": (node.end_lineno or node.lineno) - node.lineno + 1,
        "complexity": 1,
        "parameters": len(named) + bool(arguments.vararg) + bool(arguments.kwarg),
        "nesting": 0,
    }


def _branches(node: ast.AST) -> int:
    """Return how many more ways through the code a node opens."""
    match node:
        case ast.BoolOp():
            return len(node.values) - 1
        case ast.comprehension():
            return 1 + len(node.ifs)
        case ast.If() | ast.IfExp() | ast.For() | ast.AsyncFor() | ast.While() | ast.ExceptHandler() | ast.Assert():
            return 1
        case ast.match_case():
            return 0 if isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None else 1
        case _:
            return 0
