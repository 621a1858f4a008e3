"""What every test may use: settings on a folder of its own, a running system, and a watch over leaked threads.

And which tests stay together when several processes share the work: `GROUPS`.
"""

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from callboard import AgentSystem, Settings
from callboard.agent import python_trees
from tests import profiles  # noqa: F401  # registers them
from tests.template import lay_history
from tests.worker_processes import OF_TESTS

GROUPS = {"servers": "docs", "bench": "models"}
"""Fixtures that cost seconds, once in a process, with the name of the group of tests that use them.

`bench` of tests/agent/models has both vendors' clients imported, for two seconds each.
"""

hypothesis.settings.load_profile("test")  # of profiles.py; --hypothesis-profile comes later


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Have no thread of a system parse Python while a failure's source is: CPython 3.11 fails at two at once, and all tests with it."""
    with python_trees._PARSING:
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Have the garbage collector pass over what is there for the whole run: 6,000 tests, and every module that they import.

    PERF: a fifth of a collection, which each process makes, and every full collection of garbage in the tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that share a server in one process, so that it is started once."""
    for item in items:
        group = _group(item)
        if group is not None and not any(item.iter_markers("xdist_group")):
            item.add_marker(pytest.mark.xdist_group(group))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the scores that tests recorded, wherever they ran."""
    reports = [
        report for found in terminalreporter.stats.values() for report in found if hasattr(report, "user_properties")
    ]
    for line in dict.fromkeys(value for report in reports for name, value in report.user_properties if name == "score"):
        terminalreporter.write_line(str(line))


def _group(item: pytest.Item) -> str | None:
    """Return the name of those that share a dear fixture with this test, or its file's if the file has a fixture."""
    made = getattr(item, "_fixtureinfo", None)  # which functions have, and doctests
    if made is None:
        return None
    for name, group in GROUPS.items():
        if name in made.name2fixturedefs:
            return group
    if any(found[-1].scope in ("module", "package") for found in made.name2fixturedefs.values()):
        return f"{item.path.parent.name}/{item.path.name}"
    return None


@pytest.fixture(autouse=True, scope="session")
def nobodys_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests from the history of whoever runs them: the default data folder is an empty one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("nobody")))
        yield


@pytest.fixture(autouse=True, scope="session")
def worker_processes() -> Iterator[None]:
    """Have systems of this process work on tasks as tests/worker_processes.py says."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in OF_TESTS.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(autouse=True)
def no_thread_is_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread of ours running."""
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and t.is_alive()]
    until_s = time.monotonic() + 15  # a busy machine takes its time to end one
    for thread in left:
        thread.join(max(0.0, until_s - time.monotonic()))
    still = [thread.name for thread in left if thread.is_alive()]
    assert not still, f"threads left behind: {still}"


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Put back what configuring the logs has changed in this process: the root logger, and where warnings go."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Return a function that makes settings on this test's own folder, the limiter off unless asked for."""

    def make(**changes: Any) -> Settings:
        return Settings(
            **{"data_dir": tmp_path / "data", "port": 0, "rate_limit_max_requests": 0, "workers": 4, **changes}
        )

    return make


@pytest.fixture
def start_system(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., AgentSystem]]:
    """Return a function that starts a system; all of them are stopped after the test."""
    systems: list[AgentSystem] = []

    def start(**changes: Any) -> AgentSystem:
        systems.append(AgentSystem.start(lay_history(make_settings(**changes))))
        return systems[-1]

    yield start
    for system in systems:
        system.stop()


@pytest.fixture
def system(start_system: Callable[..., AgentSystem]) -> AgentSystem:
    """A running system with the defaults of the tests."""
    return start_system()
