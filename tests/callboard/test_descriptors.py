"""How many connections the system's limit of descriptors leaves room for; the limit itself is a fake, since it is the process's."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from callboard import descriptors

if TYPE_CHECKING:
    from collections.abc import Callable

INFINITE = -1


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[int, int]]]:
    """Return a function that has the system allow so many, and returns the list of what it was asked for."""

    def limit(soft: int, hard: int, error: OSError | None = None) -> list[tuple[int, int]]:
        asked: list[tuple[int, int]] = []

        def setrlimit(_what: int, limits: tuple[int, int]) -> None:
            asked.append(limits)
            if error is not None:
                raise error

        fake = SimpleNamespace(
            RLIMIT_NOFILE=7, RLIM_INFINITY=INFINITE, getrlimit=lambda _what: (soft, hard), setrlimit=setrlimit
        )
        monkeypatch.setattr(descriptors, "resource", fake)
        return asked

    return limit


@pytest.mark.parametrize(
    ("soft", "hard", "allowed", "asked"),
    [
        (1024, 4096, 2000, [(3512, 4096)]),
        (1024, INFINITE, 2000, [(3512, INFINITE)]),
        (8192, 8192, 2000, []),
        (INFINITE, INFINITE, 2000, []),
        (1024, 1024, 341, [(1024, 1024)]),
        (256, 256, 64, [(256, 256)]),
    ],
)
def test_as_many_are_asked_for_as_are_needed_and_as_the_system_allows(
    limited: Callable[..., list[tuple[int, int]]],
    soft: int,
    hard: int,
    allowed: int,
    asked: list[tuple[int, int]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = limited(soft, hard)
    with caplog.at_level(logging.WARNING, "callboard"):
        assert descriptors.allow(2000) == allowed
    assert found == asked
    assert ("CALLBOARD_MAX_CONNECTIONS is 2000" in caplog.text) is (allowed < 2000)


def test_a_system_that_allows_less_than_it_says_is_believed(limited: Callable[..., list[tuple[int, int]]]) -> None:
    limited(1024, 10_000, OSError("not permitted"))
    assert descriptors.allow(2000) == 341


def test_where_there_is_no_such_limit_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "resource", None)
    assert descriptors.allow(2000) == 2000
