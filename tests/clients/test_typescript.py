"""A client in TypeScript, of openapi-fetch and the types that openapi-typescript makes of the server's document."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.clients.conftest import HERE, command
from tests.docs.documents import blocks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.conftest import Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_a_client_in_typescript_is_made_without_a_warning_is_typed_and_works(server: Running, node_tools: Path) -> None:
    programs = node_tools / "node_modules/.bin"
    said = command(
        programs / "openapi-typescript", f"{server.server.url}/openapi.json", "-o", "callboard.ts", cwd=node_tools
    )
    assert "arning" not in said, said
    shutil.copy(HERE / "exercise.ts", node_tools)
    (node_tools / "globals.d.ts").write_text("declare const process: { argv: string[] };\n")
    strict = ("--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes")
    how = ("--target", "es2022", "--module", "nodenext", "--lib", "es2023,dom", "--outDir", "out")
    command(programs / "tsc", *strict, *how, "exercise.ts", "globals.d.ts", cwd=node_tools)
    (node_tools / "out").joinpath("package.json").write_text('{"type": "module"}')
    assert "all of it works" in command("node", "out/exercise.js", server.server.url, cwd=node_tools)


def test_the_recipe_of_the_documents_is_typed_and_works_in_a_folder_of_its_own(
    server: Running, node_tools: Path
) -> None:
    recipe = [block.code for block in blocks(HERE.parents[1] / "docs/api.md")]
    (main,) = (code for code in recipe if "openapi-fetch" in code and "import " in code)
    (tsc,) = (code for code in recipe if code.startswith("npx tsc "))
    programs = node_tools / "node_modules/.bin"
    command(programs / "openapi-typescript", f"{server.server.url}/openapi.json", "-o", "callboard.ts", cwd=node_tools)
    (node_tools / "main.ts").write_text(main.replace("http://127.0.0.1:3000", server.server.url))
    words = shlex.split(tsc)
    command(programs / "tsc", *words[2 : words.index("&&")], cwd=node_tools)
    assert command("node", "main.js", cwd=node_tools) == "84\n"
