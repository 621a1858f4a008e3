"""Scripts of skills, run as the programs that they were written as: `sys.argv`, `sys.exit`, `sys.stdin`, `sys.stdout`.

The sandbox's `sys` has none of them. So imports of `sys` are exchanged, in place and with lines that stay what they are,
for an object that `prelude` defines in code that is run before the script; and what a program needs that the sandbox lacks
is an error that says what to write instead. Pure functions; called by worker threads; imported by hosting and by the
validation.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from callboard.agent.gap_hints import advice_on
from callboard.agent.python_trees import tree_of
from callboard.errors import TaskError

_SYS = "_callboard_sys"
_EXIT_CALL = "_callboard_SystemExit"
_MAX_PRINTED = 1_000
_PRELUDE = """\
import sys as _callboard_real
_callboard_print = print
class _callboard_Out:
    def __init__(self, file): self.file = file
    def write(self, text):
        _callboard_print(text, end="", file=self.file)
        return len(text)
    def writelines(self, lines):
        for line in lines: self.write(line)
    def flush(self): pass
    def isatty(self): return False
    def reconfigure(self, **_options): pass
class _callboard_In:
    def __init__(self): self.buffer = self
    def isatty(self): return True
    def _none(self): raise RuntimeError("scripts have no standard input; take the text from sys.argv")
    def read(self, *_size): self._none()
    def readline(self, *_size): self._none()
    def readlines(self, *_size): self._none()
    def __iter__(self): self._none()
def _callboard_SystemExit(code=None):
    if code is None or code == 0: return SystemExit()
    return SystemExit(str(code))
class _callboard_Sys:
    def __init__(self, argv):
        for name in ("byteorder", "float_info", "hexversion", "maxsize", "maxunicode", "platform", "version", "version_info"):
            setattr(self, name, getattr(_callboard_real, name))
        self.argv, self.path, self.stdin = argv, [], _callboard_In()
        self.stdout, self.stderr = _callboard_Out(_callboard_real.stdout), _callboard_Out(_callboard_real.stderr)
    def exit(self, code=None): raise _callboard_SystemExit(code)
    def getdefaultencoding(self): return "utf-8"
    def setrecursionlimit(self, _limit): pass
def print(*values, sep=" ", end="\\n", file=None, flush=False):
    if file is None: file = _callboard_real.stdout
    if isinstance(file, _callboard_Out): file = file.file
    _callboard_print(*values, sep=sep, end=end, file=file)
def map(function, *iterables): return iter([function(*values) for values in zip(*iterables)])
def filter(function, values): return iter([value for value in values if (value if function is None else function(value))])
def input(prompt=""): raise RuntimeError("scripts have no standard input; take the text from sys.argv")
"""
_INSTEAD = {
    "argparse click docopt fire getopt optparse typer": "take the arguments from sys.argv",
    "subprocess multiprocessing shutil threading": "do with skills what other programs would do",
    "glob io tempfile zipfile": "there are no files; take texts from sys.argv",
    "logging": "print to sys.stderr",
    "dotenv": "there are no environment variables; take values from sys.argv",
    "yaml": "take JSON, and read it with json",
}
"""What a program writes in another way than a task's code does; agent/gaps.py has the rest."""

_MODULE = re.compile(r"No module named '([\w.]+)'")
_EXIT = re.compile(r"The code raised SystemExit(?:: (.*))?", re.DOTALL)
_FRAME = 'File "<python-input-1>"'  # the prelude is what was run before
_LACKS = {
    "PermissionError": "Scripts have no files: take texts from sys.argv.",
    "environ' is not supported": "Scripts have no environment variables: take values from sys.argv.",
    "getenv' is not supported": "Scripts have no environment variables: take values from sys.argv.",
}

_Edit = tuple[int, int, str]
"""From and to, in bytes of the code, and the text that comes in their place."""


def prelude(name: str, arguments: Sequence[str]) -> str:
    """Return the code to run before a script of this name: `argv` has the arguments, `sys.argv` the name in front."""
    given = list(arguments)
    return f"{_PRELUDE}argv = {given!r}\n{_SYS} = _callboard_Sys({[name, *given]!r})\nexit = quit = {_SYS}.exit\n"


def as_program(code: str) -> str:
    """Return a script with the prelude's `sys` and `SystemExit` in the places of the sandbox's own."""
    code = code.replace("\r\n", "\n").replace("\r", "\n")
    if "sys" not in code and "SystemExit" not in code:
        return code
    try:
        tree = tree_of(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code  # the sandbox says what is wrong with it
    data, parts, done = code.encode(), [], 0
    starts = list(accumulate((len(line) + 1 for line in data.split(b"\n")), initial=0))
    for begin, end, text in sorted(_edits(tree, starts, data)):
        parts += [data[done:begin], text.encode()]
        done = end
    return b"".join((*parts, data[done:])).decode()


def _edits(tree: ast.Module, starts: list[int], data: bytes) -> Iterator[_Edit]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="SystemExit") as function):
                yield (*_place(function, starts), _EXIT_CALL)
            case ast.Import(names=names) if any(alias.name == "sys" for alias in names):
                begin, end = _place(node, starts)
                others = ", ".join(ast.unparse(alias) for alias in names if alias.name != "sys")
                ours = [(alias.asname or "sys", _SYS) for alias in names if alias.name == "sys"]
                yield begin, end, _bound(f"import {others}; " if others else "", ours, data[begin:end].count(b"\n"))
            case ast.ImportFrom(module="sys", names=names) if all(alias.name != "*" for alias in names):
                begin, end = _place(node, starts)
                ours = [(alias.asname or alias.name, f"{_SYS}.{alias.name}") for alias in names]
                yield begin, end, _bound("", ours, data[begin:end].count(b"\n"))


def _bound(before: str, names: list[tuple[str, str]], breaks: int) -> str:
    """Return what binds names to values, in as many lines as the import had."""
    targets, values = "".join(f"{name}, " for name, _ in names), "".join(f"{value}, " for _, value in names)
    return f"{before}{targets}= ({values}" + "\n" * breaks + ")"


def _place(node: ast.expr | ast.stmt, starts: list[int]) -> tuple[int, int]:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset


def imports_of(code: str) -> dict[str, int]:
    """Return the modules that a script cannot do without, each with the line that imports it first."""
    tree = tree_of(code)
    optional = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.Try) for inner in ast.walk(node)}
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if id(node) in optional:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "."]
        else:
            continue
        for name in names:
            found.setdefault(name.partition(".")[0] or "another file", node.lineno)
    return found


def instead_of(module: str) -> str:
    """Return what to write where the sandbox has no such module."""
    own = next((text for names, text in _INSTEAD.items() if module in names.split()), None)
    return own or advice_on(module) or "do without it"


def ended(error: TaskError, name: str, printed: str) -> str:
    """Return what a script printed that has ended itself well; raise what is wrong with one that failed.

    The error names the script, the line, and what to write instead of what the sandbox lacks.
    """
    if error.code != "script_error":
        raise error
    traceback = str((error.details or {}).get("traceback", "")).replace(_FRAME, f'File "{name}"')
    lines = re.findall(rf'File "{re.escape(name)}", line (\d+)', traceback)
    script = f"The script {name}" + (f" (line {lines[-1]})" if lines else "")
    raised = str((error.details or {}).get("raised", error.message))
    message = error.message.replace("The code", script, 1)
    if found := _EXIT.fullmatch(raised):
        if found[1] is None:
            return printed
        how = f"exit status {found[1]}" if found[1].isdigit() else found[1]
        message = f"{script} ended with {how}.{_printed(printed)}"
    elif hint := _hint(raised):
        message = f"{raised.replace('The code', script, 1)}. {hint}"
    raise TaskError(error.code, message, details=_details(error, name, traceback, lines)) from error


def _details(error: TaskError, name: str, traceback: str, lines: list[str]) -> dict[str, Any]:
    """Return what the log of the task says of a script's error: where in its file it was raised."""
    details = {**(error.details or {}), "traceback": traceback}
    if "exception" in details:
        line = int(lines[-1]) if lines else None
        details["exception"] = {"type": details["exception"]["type"], "file": name, "line": line}
    return details


def _printed(text: str) -> str:
    return f" It printed: {text.strip()[-_MAX_PRINTED:]}" if text.strip() else ""


def _hint(message: str) -> str:
    if found := _MODULE.search(message):
        module = found[1].partition(".")[0]
        return f"The sandbox has no {module}, and no other file of the skill can be imported: {instead_of(module)}."
    return next((text for words, text in _LACKS.items() if words in message), "")
