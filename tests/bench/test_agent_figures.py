"""What the agent's figures are measured with: the model that answers at once, and the hundred skills."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import many_skills
from bench.agent_round import InstantModel
from callboard.agent.cancel import CancelToken
from callboard.agent.catalogue import Catalogue
from callboard.agent.models.base import Message, ModelCall
from callboard.agent.planner.answers import read_answer


def asked(*texts: str) -> tuple[str, list[str | None]]:
    """Return what the model says after these turns of the user, and the pieces in which it came."""
    heard: list[str | None] = []
    messages = tuple(Message(role="user", text=text) for text in texts)
    call = ModelCall(
        messages=messages, max_tokens=100, deadline_s=time.monotonic() + 5, token=CancelToken(), hear=heard.append
    )
    return InstantModel().complete(call).text, heard


def test_a_task_of_one_round_is_answered_with_code_whose_value_is_the_product() -> None:
    text, heard = asked("17, 19")
    assert read_answer(text).code == "from skills import product\n(product(17, 19))"
    assert "".join(filter(None, heard)) == text
    assert len(heard) > 1


def test_a_task_of_several_rounds_is_asked_about_again_until_the_last() -> None:
    assert (read_answer(asked("17, 19 in 2")[0]).code or "").endswith("print(product(17, 19))")
    assert (read_answer(asked("17, 19 in 2", "The code printed: 323")[0]).code or "").endswith("\n(product(17, 19))")


@pytest.mark.parametrize("write", [many_skills.write_folders, many_skills.write_files])
def test_every_one_of_the_hundred_skills_can_be_loaded(write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path)
    catalogue = Catalogue.load(tmp_path)
    assert catalogue.problems == ()
    assert sum(skill.origin.startswith(str(tmp_path)) for skill in catalogue.skills.values()) == many_skills.SKILLS
