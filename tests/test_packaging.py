"""What setup.cfg says of the package; .ci/wheel looks at what is built of it."""

from __future__ import annotations

import tomllib
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONFIG = ConfigParser()
CONFIG.read(ROOT / "setup.cfg")
METADATA = CONFIG["metadata"]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_the_licence_is_an_expression_and_a_file_and_no_classifier() -> None:
    assert METADATA["license_expression"] == "Apache-2.0"
    assert METADATA["license_files"] == "LICENSE"
    assert "license" not in METADATA
    assert not any(line.startswith("License") for line in _lines(METADATA["classifiers"]))
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_the_package_says_whose_it_is_and_where_its_documents_are() -> None:
    assert METADATA["author"]
    addresses = dict(line.split(" = ") for line in _lines(METADATA["project_urls"]))
    assert addresses.keys() == {"Documentation", "Changelog", "Source", "Issues"}
    assert all(address.startswith("https://") for address in addresses.values())


def test_what_builds_it_knows_licence_expressions() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert pyproject["build-system"]["requires"] == ["setuptools>=77"]
    assert "project" not in pyproject  # setup.cfg is the place of metadata


def test_every_folder_with_code_is_in_the_package() -> None:
    top = [ROOT / name for name in ("callboard", "actors", "agent", "http", "persistence", "workers")]
    found = {
        ".".join(("callboard", *file.parent.relative_to(ROOT).parts)).replace("callboard.callboard", "callboard")
        for folder in top
        for file in folder.rglob("*.py")
    }
    assert found == set(_lines(CONFIG["options"]["packages"]))


def test_the_source_archive_leaves_the_tests_out() -> None:
    assert "prune tests" in _lines((ROOT / "MANIFEST.in").read_text())
