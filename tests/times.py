"""A plugin for `make test-times`: a test that is not marked slow and takes too long fails the run, by name.

    python -m pytest -p tests.times --longest-s 3

What counts is a test's call and its own set-up: a server that a whole module or all tests share is nobody's own.
By the clock on the wall, so to be run alone, in one process.
"""

import time
from collections import defaultdict
from collections.abc import Iterator

import pytest

LONGEST_S = 3.0
_SHARED_S = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--longest-s", type=float, default=LONGEST_S, help="how long an unmarked test may take, in seconds"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Times(config.getoption("longest_s")), "callboard times")


class _Times:
    """Notes how long tests take."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._depth = 0
        self._taken: dict[tuple[str, str], float] = defaultdict(float)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Iterator[None]:
        """Note what shared fixtures take, those within others once."""
        shared = fixturedef.scope != "function"
        started_s = time.monotonic()
        self._depth += shared
        try:
            return (yield)
        finally:
            self._depth -= shared
            if shared and not self._depth:
                stash = request.session.stash
                stash[_SHARED_S] = stash.get(_SHARED_S, 0.0) + time.monotonic() - started_s

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        stash = item.session.stash
        stash[_SHARED_S] = 0.0
        started_s = time.monotonic()
        try:
            return (yield)
        finally:
            self._note(item, "set-up", time.monotonic() - started_s - stash[_SHARED_S])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        started_s = time.monotonic()
        try:
            return (yield)
        finally:
            self._note(item, "call", time.monotonic() - started_s)

    def _note(self, item: pytest.Item, what: str, taken_s: float) -> None:
        if taken_s > self._longest_s and not any(item.iter_markers("slow")):
            self._taken[item.nodeid, what] = taken_s

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._taken and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._taken:
            return
        terminalreporter.section(f"take over {self._longest_s:g} s and are not marked slow", red=True)
        for (name, what), taken_s in sorted(self._taken.items(), key=lambda one: -one[1]):
            terminalreporter.line(f"{taken_s:6.1f} s  {what:6}  {name}")
        terminalreporter.line("Make them quicker, share what they set up, or mark them slow.")
