"""A client in Python, made of the server's document by openapi-python-client: without a warning, typed, and at work."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.clients.conftest import HERE, command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.conftest import Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

TYPES = """\
[mypy]
strict = true

[mypy-callboard_client.client]
ignore_errors = true
"""
"""Of what the tool makes, `client.py` is the same for every document, and does not satisfy mypy."""


def test_a_client_in_python_is_made_without_a_warning_is_typed_and_works(
    server: Running, python_tools: Path, tmp_path: Path
) -> None:
    document = (HERE.parent.parent / "docs/api.md").read_text()
    (config,) = re.findall(r"```yaml\n(package_name_override:.*?)```", document, re.DOTALL)
    (tmp_path / "config.yaml").write_text(config)
    (tmp_path / "mypy.ini").write_text(TYPES)
    shutil.copy(HERE / "exercise.py", tmp_path)
    generate = (python_tools / "openapi-python-client", "generate", "--url", f"{server.server.url}/openapi.json")
    how = ("--config", "config.yaml", "--meta", "none", "--output-path", "callboard_client", "--fail-on-warning")
    said = command(*generate, *how, cwd=tmp_path, path=python_tools)
    assert "arning" not in said, said
    typed = (
        "--config-file",
        "mypy.ini",
        "--python-executable",
        python_tools / "python",
        "callboard_client",
        "exercise.py",
    )
    assert "no issues found" in command(sys.executable, "-m", "mypy", *typed, cwd=tmp_path)
    assert "all of it works" in command(python_tools / "python", "exercise.py", server.server.url, cwd=tmp_path)
