"""What is too much for Python's own parser: it is said, and what is near it is read as ever."""

from __future__ import annotations

import ast
import gc
import threading

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


def test_two_threads_make_their_trees_one_after_the_other() -> None:
    """Each is stopped in the middle of its tree, by a collection of garbage, until the other one has come as far."""
    reached = {name: threading.Event() for name in ("one", "other")}
    over = threading.Event()
    made: list[ast.Module] = []
    names: dict[int, str] = {}  # by their numbers: to ask for the current thread while it begins would make another one

    def stop(phase: str, _: dict[str, int]) -> None:
        name = names.get(threading.get_ident())
        if phase == "start" and name is not None and not reached[name].is_set():
            reached[name].set()
            (reached["other"] if name == "one" else over).wait(0.2)

    def work(name: str) -> None:
        names[threading.get_ident()] = name
        made.append(tree_of(CODE))
        over.set()

    threads = [threading.Thread(target=work, args=(name,)) for name in reached]
    before = gc.get_threshold()
    gc.callbacks.append(stop)
    gc.set_threshold(1)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(stop)
    assert len(made) == 2


CODE = "\n".join(f"x{n} = [[[(a + b * (c - d))]]]" for n in range(50))
