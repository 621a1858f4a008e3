"""The command that a message gives for a missing package: it names what was installed, and no index's `callboard`."""

import json
import re
import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

from callboard import _checkout
from callboard.installing import install_command
from tests.docs.documents import ROOT

PIP = f"{sys.executable} -m pip install"


class Installed(Distribution):
    """An installation that came from somewhere."""

    requires = ["click>=8.1,<9", 'mcp>=2.3,<3; extra == "mcp"', "anyio >=4.10,<5 ; extra == 'mcp'", 'x; extra == "ui"']

    def __init__(self, told: object = None) -> None:
        self.told = told

    def read_text(self, filename: str) -> str | None:
        return json.dumps(self.told) if filename == "direct_url.json" and self.told else None

    def locate_file(self, path: Any) -> Any:
        return path


def test_in_a_clone_the_clone_is_installed_with_the_extra() -> None:
    assert install_command("mcp") == f"{PIP} -e '{ROOT}[mcp]'"


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["llm", "mcp"])
def test_the_command_of_a_clone_works(extra: str) -> None:
    more = "--dry-run --disable-pip-version-check"
    done = subprocess.run(f"{install_command(extra)} {more}", shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"Would install .*callboard", done.stdout)


@pytest.mark.parametrize(
    ("told", "installs"),
    [
        ({"url": "file://{here}/some%20wheel.whl", "archive_info": {}}, "'{here}/some wheel.whl[mcp]'"),
        ({"url": "file://{here}/clone", "dir_info": {}}, "'{here}/clone[mcp]'"),
        (
            {"url": "https://git.example/c.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "'callboard[mcp] @ git+https://git.example/c.git@abc'",
        ),
        ({"url": "file://{here}/gone.whl", "archive_info": {}}, "'mcp>=2.3,<3' 'anyio >=4.10,<5'"),
        ({"url": "https://files.example/c.whl", "archive_info": {}}, "'mcp>=2.3,<3' 'anyio >=4.10,<5'"),
        (None, "'mcp>=2.3,<3' 'anyio >=4.10,<5'"),
    ],
    ids=["wheel", "folder", "repository", "a wheel that is gone", "an archive elsewhere", "not known"],
)
def test_elsewhere_it_is_installed_from_where_it_came_from_or_the_packages_themselves_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: dict[str, Any] | None, installs: str
) -> None:
    (tmp_path / "some wheel.whl").touch()
    (tmp_path / "clone").mkdir()
    found = json.loads(json.dumps(told).replace("{here}", str(tmp_path)))
    monkeypatch.setattr(_checkout, "_ROOT", tmp_path)
    monkeypatch.setattr("callboard.installing.distribution", lambda _name: Installed(found))
    assert install_command("mcp") == f"{PIP} {installs.replace('{here}', str(tmp_path))}"
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)  # as in an environment that uv has made
    assert install_command("mcp").startswith(f"uv pip install --python {sys.executable} ")
