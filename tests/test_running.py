"""How the tests are run: `make test-times` names those that take too long, and processes share the others rightly."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = """
import time

import pytest

TAKES_S = 0.3


@pytest.fixture(scope="module")
def shared():
    time.sleep(TAKES_S)


@pytest.fixture
def own():
    time.sleep(TAKES_S)


def test_with_a_shared_fixture(shared): ...
def test_with_its_own(own): ...
def test_that_is_long(): time.sleep(TAKES_S)
def test_that_is_short(): ...
@pytest.mark.slow
def test_that_is_marked(): time.sleep(TAKES_S)
"""


def run(file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:schemathesis", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "-c", ROOT / "setup.cfg", "--rootdir", file.parent, *words, file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_what_takes_too_long_is_named_and_fails_the_run(tmp_path: Path) -> None:
    file = tmp_path / "test_some.py"
    file.write_text(TESTS)
    done = run(file, "-p", "tests.times", "--longest-s", "0.2")
    named = {
        line.split()[2:][-1].split("::")[1]: line.split()[2] for line in done.stdout.splitlines() if " s  " in line
    }
    assert named == {"test_with_its_own": "set-up", "test_that_is_long": "call"}
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "5 passed" in done.stdout


def test_a_run_in_which_nothing_takes_too_long_passes(tmp_path: Path) -> None:
    file = tmp_path / "test_some.py"
    file.write_text(TESTS)
    assert run(file, "-p", "tests.times", "--longest-s", "30").returncode == pytest.ExitCode.OK


@pytest.mark.slow
def test_a_process_that_dies_is_a_failure_with_the_name_of_its_test(tmp_path: Path) -> None:
    file = tmp_path / "test_some.py"
    file.write_text("import os\n\n\ndef test_that_dies(): os._exit(0)\n\n\ndef test_that_lives(): ...\n")
    done = run(file, "-n", "2", "--dist", "loadgroup", "--max-worker-restart", "0")
    assert done.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    assert "crashed while running 'test_some.py::test_that_dies'" in done.stdout


SHARING = """
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def shared():
    (Path(__file__).parent / f"made-{os.getpid()}").touch()


@pytest.mark.parametrize("number", range(8))
def test_that_shares(shared, number): ...
"""


@pytest.mark.slow
def test_the_tests_that_share_a_modules_fixture_stay_in_one_process(tmp_path: Path) -> None:
    file = tmp_path / "test_some.py"
    file.write_text(SHARING)
    done = run(file, "-p", "tests.conftest", "-n", "2", "--dist", "loadgroup")
    assert "8 passed" in done.stdout, done.stdout
    assert len(list(tmp_path.glob("made-*"))) == 1
