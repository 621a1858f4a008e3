"""The servers that the documents are run against, and the notebook that runs their blocks."""

from collections import UserDict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, blocks
from tests.docs.notebook import Notebook
from tests.docs.serving import VARIANTS, Served


class Servers(UserDict[str, Served]):
    """Variants of the server by their name, in one folder with the documents' files; those that have been asked for.

    A server takes a second of a processor to start, and who runs one document needs one or two of them.
    """

    def __init__(self, folder: Path, data: Path) -> None:
        super().__init__()
        self._folder = folder
        self._data_folder = data

    def start(self, *names: str) -> None:
        """Start those of these that are not running, at the same time."""
        new = {name: self._begin(name) for name in dict.fromkeys(names) if name not in self}
        self.update(new)
        for served in new.values():
            served.wait_until_ready()

    def _begin(self, name: str) -> Served:
        return Served(self._folder, self._data_folder / name.replace(" ", "-"), **VARIANTS[name])


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The servers, none of them started, in a folder with the documents' files."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "skills").mkdir()
    for block in (block for path in DOCUMENTS for block in blocks(path) if "file" in block.notes):
        target = folder / block.notes["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.code)
    servers = Servers(folder, tmp_path_factory.mktemp("data"))
    yield servers
    for served in servers.values():
        served.stop()


@pytest.fixture(scope="session")
def served(servers: Servers) -> Served:
    """The server with the defaults."""
    servers.start("default")
    return servers["default"]


@pytest.fixture(scope="module")
def document(request: pytest.FixtureRequest, servers: Servers) -> Path:
    """The document that the test is told of, its servers started."""
    path: Path = request.param
    servers.start(*(block.server for block in blocks(path) if block.is_run))
    return path


@pytest.fixture(scope="session")
def notebook(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Notebook:
    """What runs the blocks of documents in their order."""
    return Notebook(servers, Path(tmp_path_factory.mktemp("shell")))
