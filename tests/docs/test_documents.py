"""Every example of the documents runs, and answers what the document shows."""

from pathlib import Path

import pytest

from tests.docs.documents import ANSWERS, DOCUMENTS, RUN, Block, blocks
from tests.docs.notebook import Notebook, compare, missing_program

BLOCKS = [block for path in DOCUMENTS for block in blocks(path)]


def example(block: Block) -> object:
    """Return a block as a case of a test.

    A document's blocks share their variables, and all documents the servers: they are run in one process, but for those
    of the API's, which are half of them all.
    """
    group = pytest.mark.xdist_group("doc:api" if block.path.name == "api.md" else "docs")
    return pytest.param(block.path, block, id=block.name, marks=group)


@pytest.mark.parametrize(
    ("document", "block"), [example(block) for block in BLOCKS if block.is_run], indirect=["document"]
)
def test_the_example_runs_and_answers_as_shown(document: Path, block: Block, notebook: Notebook) -> None:
    program = missing_program(block)
    if program is not None:
        pytest.skip(f"{program} is not installed")
    ran = notebook.run(block)
    assert ran.status == 0, f"exit status {ran.status}\n{ran.out}\n{ran.err}"
    if block.answer is not None:
        compare(block.answer, ran)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language in RUN and not b.is_run], ids=lambda b: b.name)
def test_an_example_that_is_not_run_says_why(block: Block) -> None:
    assert len(block.notes["not run"]) > 10


def test_no_example_hides_behind_another_name_of_its_language() -> None:
    # What is neither run nor an answer is configuration of other programs.
    assert {block.language for block in BLOCKS} <= {*RUN, *ANSWERS, "ini", "markdown", "nginx", "yaml"}
