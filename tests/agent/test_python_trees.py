"""What is too much for Python's own parser: it is said, and what is near it is read as ever."""

from __future__ import annotations

import ast

import pytest

from callboard.agent.python_trees import MAX_DOTS, MAX_FIELDS, too_much_in, tree_of


@pytest.mark.parametrize(
    "code",
    [
        "import a" + ".b" * (MAX_DOTS + 1),
        "from a" + " . \\\n b" * (MAX_DOTS + 1) + " import c",
        "from " + "." * (MAX_DOTS + 1) + " import c",
        "f'" + "{a}" * (MAX_FIELDS + 1) + "'",
        "1 + len(Rf'''" + "{a!r:>{b}}\n" * (MAX_FIELDS // 2 + 1) + "''')",
        "# '\nf'\\'" + "{{{a}}}" * (MAX_FIELDS + 1) + "'",
    ],
)
def test_code_that_would_take_too_long_is_an_error_that_names_the_limit(code: str) -> None:
    with pytest.raises(SyntaxError, match=r"more than 100 dots|more than 1,000 fields in braces"):
        tree_of(code)


@pytest.mark.parametrize(
    "code",
    [
        "import a" + ".b" * MAX_DOTS,
        "import a\nx" + ".b" * 300,
        "'" + "from here. " * 1_000 + "'",
        "f'" + "{a}" * MAX_FIELDS + "'",
        "print(f'{a}')\nx = '" + "{a}" * 3_000 + "'",
        "x = [" + "{1: 2}, " * 3_000 + "]  # f'",
        "f'" + "{{}}" * 3_000 + "'",
    ],
)
def test_long_code_of_other_kinds_is_read(code: str) -> None:
    assert too_much_in(code) is None
    assert ast.dump(tree_of(code)) == ast.dump(ast.parse(code))
