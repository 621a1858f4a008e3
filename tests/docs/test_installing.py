"""Nothing tells people to install Callboard from an index that does not have it."""

import re

import pytest

from callboard import __version__
from tests.docs.documents import ALL, ROOT

FOLDERS = ("callboard", "actors", "agent", "http", "persistence", "workers", "examples", "bench", "chaos")
TEXTS = [
    *ALL,
    ROOT / "Makefile",
    *(
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".yaml", ".js")
    ),
]
BY_NAME = re.compile(
    r"\b(?:pip3?|pipx|uv|uvx|uv tool)\b[^\n`]*?\b(?:install|run|add)\b[^\n`]*?[\s'\"]callboard(?![\w-]|\[[^\]]*\] @)"
)
WHEEL = re.compile(r"callboard-([\w.]+?)-py3-none-any\.whl")


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("pip install callboard", True), ("pip install 'callboard[mcp]'", True), ("uv pip install callboard[llm]", True),
        ("pipx install callboard", True), ("pip install 'callboard[mcp] @ file:///x.whl'", False),
        ("pip install dist/callboard-0.1.0-py3-none-any.whl", False), ("pip install -e '.[mcp]'", False),
        (".venv/bin/pip install -e '/src/callboard[mcp]'", False),
    ],
)  # fmt: skip
def test_what_counts_as_an_install_by_name(line: str, is_one: bool) -> None:
    assert bool(BY_NAME.search(line)) == is_one


def test_no_document_and_no_message_installs_it_by_name() -> None:
    found = {str(path.relative_to(ROOT)): match[0] for path in TEXTS if (match := BY_NAME.search(path.read_text()))}
    assert not found


def test_documents_name_the_wheel_that_is_built() -> None:
    assert {version for path in ALL for version in WHEEL.findall(path.read_text())} == {__version__}
