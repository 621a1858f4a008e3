"""The tree keeps its shape: folders import each other in one direction only, and nothing hides the standard library."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ALLOWED = {
    "core": set(),
    "agent": {"core"},
    "persistence": {"core"},
    "actors": {"core", "agent", "persistence"},
    "system": {"core", "agent", "persistence", "actors"},
    "http": {"core", "agent", "system"},
    "client": {"core"},
    "cli": {"core", "agent", "persistence", "http", "system", "client"},
}
"""Which folder may import which. `core` is callboard/ without the wiring, the client and the command line."""

# What http/ may take from agent/: the types of what it shows.
NARROW = {("http", "agent"): {"callboard.agent.skill", "callboard.agent.catalogue", "callboard.agent.roster"}}


def _layer(module: str) -> str:
    parts = module.split(".")
    if len(parts) > 1 and parts[1] in ("actors", "agent", "http", "persistence"):
        return parts[1]
    if len(parts) > 1 and parts[1] == "client":
        return "client"
    if len(parts) > 1 and parts[1] in ("system", "abilities"):
        return "system"
    if len(parts) > 1 and parts[1] in ("cli", "__main__"):
        return "cli"
    return "core"


def _files() -> list[tuple[str, Path]]:
    found = [(f"callboard.{path.stem}", path) for path in sorted((ROOT / "callboard").glob("*.py"))]
    for path in sorted((ROOT / "callboard").glob("*/*.py")):
        found.append((f"callboard.{path.parent.name}.{path.stem}", path))
    for folder in ("actors", "agent", "http", "persistence"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                found.append((".".join(("callboard", *path.relative_to(ROOT).with_suffix("").parts)), path))
    return found


def _imports(path: Path) -> set[str]:
    found = set()
    tree = ast.parse(path.read_text())
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


@pytest.mark.parametrize(("module", "path"), _files(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_folder_imports_only_what_it_may(module: str, path: Path) -> None:
    mine = _layer(module)
    for imported in _imports(path):
        if imported.startswith("callboard.__"):
            continue
        other = _layer(imported)
        assert other == mine or other in ALLOWED[mine], f"{module} imports {imported}"
        narrow = NARROW.get((mine, other))
        assert narrow is None or imported in narrow, f"{module} imports {imported}"


def _third_party(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
    return names


HOMES = {
    "falcon": {"http"},
    "waitress": {"http"},
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


@pytest.mark.parametrize(("module", "path"), _files(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_library_is_used_in_its_home_only(module: str, path: Path) -> None:
    for library in _third_party(path) & HOMES.keys():
        assert _layer(module) in HOMES[library], f"{module} imports {library}"


def test_the_environment_is_read_in_the_settings_only() -> None:
    readers = [module for module, path in _files() if "os.environ" in path.read_text() or "getenv(" in path.read_text()]
    assert readers == ["callboard.settings", "callboard.agent.gaps"]  # which says that code in the sandbox has none


@pytest.mark.parametrize("folder", ["actors", "agent", "http", "persistence", "tests"])
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
