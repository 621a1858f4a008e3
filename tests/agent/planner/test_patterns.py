"""No pattern can be made to run for ever by repeating its own words.

A pattern in which a word can be read in two ways takes twice as long for each further word: text of one screen would
stop a worker for years. Such patterns are found by feeding every pattern its own vocabulary.
"""

import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from callboard.agent import planner, skills

REPEATS = 40


def _patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for package in (planner, skills):
        for info in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            for name, value in vars(module).items():
                if not isinstance(value, type):
                    yield from ((f"{info.name}.{name}-{n}", pattern) for n, pattern in enumerate(_inside(value)))


def _inside(value: Any) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _inside(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _inside(inner)


PATTERNS = dict(_patterns())


@pytest.mark.parametrize("name", PATTERNS)
def test_a_patterns_own_words_repeated_do_not_hold_it_up(name: str) -> None:
    pattern = PATTERNS[name]
    words = {*re.findall(r"[a-z]{1,12}", pattern.pattern), "1", "2026-01-01", "1,234", '"', "(", "x1", ":", "?"}
    for word in sorted(words):
        for separator in (" ", ""):
            text = separator.join([word] * REPEATS) + "!"
            started = time.thread_time()
            pattern.match(text)
            pattern.fullmatch(text)
            pattern.search(text)
            assert time.thread_time() - started < 2, text
