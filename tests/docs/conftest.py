"""The servers that the documents are run against, and the notebook that runs their blocks."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, blocks
from tests.docs.notebook import Notebook
from tests.docs.serving import VARIANTS, Served


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Served]]:
    """Every variant of the server by its name, started at the same time in one folder with the documents' files."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "skills").mkdir()
    for block in (block for path in DOCUMENTS for block in blocks(path) if "file" in block.notes):
        target = folder / block.notes["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.code)
    with ExitStack() as stack:
        found = {}
        for name, settings in VARIANTS.items():
            found[name] = Served(folder, tmp_path_factory.mktemp("data"), **settings)
            stack.callback(found[name].stop)
        for served in found.values():
            served.wait_until_ready()
        yield found


@pytest.fixture(scope="session")
def served(servers: Mapping[str, Served]) -> Served:
    """The server with the defaults."""
    return servers["default"]


@pytest.fixture(scope="session")
def notebook(servers: Mapping[str, Served], tmp_path_factory: pytest.TempPathFactory) -> Notebook:
    """What runs the blocks of documents in their order."""
    return Notebook(servers, Path(tmp_path_factory.mktemp("shell")))
