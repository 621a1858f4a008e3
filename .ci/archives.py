"""Looks at what was built: `archives.py FOLDER_WITH_WHEEL FOLDER_WITH_BOTH`. Called by .ci/wheel."""

import sys
import tarfile
import zipfile
from pathlib import Path

from packaging.metadata import Metadata

ADDRESSES = {"Documentation", "Changelog", "Source", "Issues"}


def _held(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def main(tree: Path, archive: Path) -> None:
    """Fail where the wheels differ, the metadata lacks something or is invalid, or the source archive has tests."""
    [wheel], [again], [source] = tree.glob("*.whl"), archive.glob("*.whl"), archive.glob("*.tar.gz")
    held, held_again = _held(wheel), _held(again)
    differing = {name for name in held.keys() | held_again.keys() if held.get(name) != held_again.get(name)}
    assert not differing, f"the wheel of the tree and the one of the source archive differ: {sorted(differing)}"

    said = next(text for name, text in held.items() if name.endswith(".dist-info/METADATA"))
    metadata = Metadata.from_email(said, validate=True)
    assert metadata.license_expression == "Apache-2.0"
    assert metadata.license_files == ["LICENSE"]
    assert metadata.author
    assert (metadata.project_urls or {}).keys() == ADDRESSES
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description
    assert not any(one.startswith("License") for one in metadata.classifiers or [])
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in held)

    with tarfile.open(source) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "setup.cfg", "pyproject.toml"} <= names
    strange = {name for name in names if name.startswith("tests") or name.endswith(".pyc") or "__pycache__" in name}
    assert not strange, f"the source archive has {sorted(strange)}"
    if any(".example/" in address for address in (metadata.project_urls or {}).values()):
        print("its addresses lead nowhere yet: set project_urls in setup.cfg before it is published")
    print(
        f"the archives say and hold what they should: {len(held)} files, the same from the tree and from the source archive"
    )


main(Path(sys.argv[1]), Path(sys.argv[2]))
