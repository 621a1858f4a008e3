"""The tree keeps its shape: folders import each other in one direction only, and nothing hides the standard library."""

import ast
import inspect
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from callboard.persistence.reads import SqlReader
from callboard.persistence.store import Reader, SqlStore, Writer

ROOT = Path(__file__).parents[1]

ALLOWED = {
    "core": set(),
    "agent": {"core"},
    "persistence": {"core"},
    "abilities": {"core", "agent"},
    "workers": {"core", "agent", "abilities"},
    "actors": {"core", "agent", "persistence", "workers"},
    "system": {"core", "agent", "persistence", "actors", "abilities", "workers"},
    "http": {"core", "agent", "system"},
    "client": {"core"},
    "cli": {"core", "agent", "persistence", "http", "system", "client"},
}
"""Which folder may import which. `core` is callboard/ without the wiring, the client and the command line."""

# What http/ may take from agent/: the types of what it shows.
NARROW = {("http", "agent"): {"callboard.agent.skill", "callboard.agent.catalogue", "callboard.agent.roster"}}


TOGETHER = pytest.mark.xdist_group("architecture")
"""PERF: the tests that look at every module's imports share its tree, which takes 4 ms; there are 440 of them."""


def _layer(module: str) -> str:
    parts = module.split(".")
    if len(parts) > 1 and parts[1] in ("actors", "agent", "http", "persistence", "workers"):
        return parts[1]
    if len(parts) > 1 and parts[1] == "client":
        return "client"
    if len(parts) > 1 and parts[1] in ("system", "wiring", "workforce", "head_start"):
        return "system"
    if len(parts) > 1 and parts[1] == "abilities":
        return "abilities"
    if len(parts) > 1 and parts[1] in ("cli", "__main__"):
        return "cli"
    return "core"


def _files() -> list[tuple[str, Path]]:
    found = [(f"callboard.{path.stem}", path) for path in sorted((ROOT / "callboard").glob("*.py"))]
    for path in sorted((ROOT / "callboard").glob("*/*.py")):
        found.append((f"callboard.{path.parent.name}.{path.stem}", path))
    for folder in ("actors", "agent", "http", "persistence", "workers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                found.append((".".join(("callboard", *path.relative_to(ROOT).with_suffix("").parts)), path))
    return found


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def _imports(path: Path) -> set[str]:
    found = set()
    tree = _tree(path)
    type_checking = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in type_checking:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("callboard"):
            found |= {node.module} if node.module != "callboard" else {f"callboard.{a.name}" for a in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("callboard")}
    return found


def _may_import(mine: str, imported: str) -> bool:
    other = _layer(imported)
    return (other == mine or other in ALLOWED[mine]) and imported in NARROW.get((mine, other), {imported})


@TOGETHER
def test_a_folder_imports_only_what_it_may() -> None:
    imports = [(module, imported) for module, path in _files() for imported in sorted(_imports(path))]
    assert len(imports) > 1000
    wrong = [f"{module} imports {name}" for module, name in imports if not _may_import(_layer(module), name)]
    assert [line for line in wrong if " imports callboard.__" not in line] == []


def _third_party(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
    return names


HOMES = {
    "falcon": {"http"},
    "waitress": {"http"},
    "greenlet": {"http"},
    "sqlalchemy": {"persistence"},
    "alembic": {"persistence"},
    "pykka": {"actors"},
    "pydantic_monty": {"agent"},
    "limits": {"actors", "system"},
    "click": {"cli"},
    "rich": {"cli"},
    "openai": {"agent"},
    "anthropic": {"agent"},
    "httpx_sse": {"client", "agent"},
    "markdown_it": {"agent"},
    "httpx2": {"agent"},
    "httpcore2": {"agent"},
    "tenacity": {"agent"},
    "genai_prices": {"agent"},
    "mcp": {"agent"},
}


@TOGETHER
def test_a_library_is_used_in_its_home_only() -> None:
    used = [(module, library) for module, path in _files() for library in sorted(_third_party(path) & HOMES.keys())]
    assert len(used) > 50
    assert [f"{module} imports {name}" for module, name in used if _layer(module) not in HOMES[name]] == []


@TOGETHER
def test_no_run_can_sign_since_the_key_stays_with_the_control_side() -> None:
    holders = {module for module, path in _files() if "callboard.agent.signing" in _imports(path)}
    assert {module for module in holders if module.startswith("callboard.agent.")} == {"callboard.agent.sealing"}


def test_the_environment_is_read_in_the_settings_only() -> None:
    readers = [module for module, path in _files() if "os.environ" in path.read_text() or "getenv(" in path.read_text()]
    assert readers == ["callboard.settings", "callboard.agent.gaps"]  # which says that code in the sandbox has none


def _loaded_by(*modules: str) -> set[str]:
    """Return what a fresh interpreter has loaded once it has imported these."""
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(out.stdout.split())


def test_the_control_side_loads_nothing_that_only_runs_need() -> None:
    loaded = _loaded_by("callboard.cli.serve", "callboard.wiring", "callboard.http.server")
    assert {"callboard.workers.processes", "callboard.agent.sealing"} <= loaded
    assert not loaded & {"pydantic_monty", "callboard.agent.runner", "callboard.agent.planner.base", "markdown_it"}


def test_a_worker_loads_what_some_tasks_need_when_one_needs_it() -> None:
    loaded = _loaded_by("callboard.workers.child", "callboard.agent.planner.offline")
    assert "callboard.agent.runner" in loaded
    assert not loaded & {"markdown_it", "callboard.agent.planner.model", "callboard.agent.planner.table_plans"}


@pytest.mark.parametrize("folder", ["actors", "agent", "http", "persistence", "workers", "tests"])
def test_no_folder_of_the_root_is_a_regular_package(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists(), "it would hide a module of that name (LAYOUT: http)"


def test_the_standard_librarys_http_is_found_from_the_root() -> None:
    code = "import http.client; print(http.client.__file__)"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert str(ROOT) not in out.stdout.strip().removeprefix(sys.prefix)
    assert out.stdout.strip().endswith("http/client.py")


def test_no_module_has_outgrown_its_subject() -> None:
    too_long = {module: n for module, path in _files() if (n := len(path.read_text().splitlines())) > 450}
    assert not too_long


def test_an_actor_that_only_reads_cannot_be_given_a_writer() -> None:
    given: dict[tuple[str, str], object] = {}
    for path in sorted((ROOT / "actors").glob("*.py")):
        module = import_module(f"callboard.actors.{path.stem}")
        for name, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == module.__name__ and "__init__" in vars(kind):
                asked = inspect.signature(kind).parameters.values()
                given |= {(name, p.name): p.annotation for p in asked if p.annotation in (Reader, Writer, SqlStore)}
    assert given.pop(("ResultLogger", "writer")) is Writer
    assert given
    assert set(given.values()) == {Reader}
    written = {name for name in vars(Writer) if not name.startswith("_")}
    assert written
    assert not [name for name in written if hasattr(Reader, name) or hasattr(SqlReader, name)]


RECORDED = {
    ("Task", "caller"): "whose the task is, as the history has it",
    ("Task", "request_id"): "the request that it came with, as the history has it",
    ("NewEvent", "caller"): "who asked for what it tells of, as the history has it",
    ("TaskEvent", "caller"): "the same, read",
    ("TaskExecute", "request_id"): "the same, in the task's log",
    ("TaskRequeued", "request_id"): "the request that it was decided with, in the task's log",
    ("TaskFailed", "request_id"): "the same",
    ("TaskCancelled", "request_id"): "the request that it was cancelled with, in the task's log",
    ("Idempotency", "caller"): "whose the key is, as the history has it",
    ("WebhookDelivery", "caller"): "whose task it tells of, for the share of webhooks that are under way",
}
"""Where a message names who asks: what is written, and what is read of that. All else is in the envelope."""


def test_no_message_says_who_asks_since_the_envelope_does() -> None:
    named = set()
    for path in sorted((ROOT / "callboard" / "messages").glob("*.py")):
        module = import_module(f"callboard.messages.{path.stem}")
        for name, kind in inspect.getmembers(module, inspect.isclass):
            fields = inspect.get_annotations(kind).keys() if kind.__module__ == module.__name__ else ()
            named |= {(name, field) for field in fields if field in ("caller", "identity", "principal", "request_id")}
    assert named == RECORDED.keys()


def test_no_resource_asks_the_gateway_but_in_the_name_of_a_request() -> None:
    known = {path.stem for path in (ROOT / "http").glob("*.py") if "system.gateway" in path.read_text()}
    assert known == {"gateway_client"}
