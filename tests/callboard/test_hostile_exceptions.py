"""Whatever an exception of a skill is made of, it is that call's failure, once, and the server goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from callboard import AgentSystem, Settings
from tests.callboard.hostile_exceptions import MAKE
from tests.template import lay_history

SKILLS = '''
from callboard import skill
from tests.callboard.hostile_exceptions import MAKE


@skill(replay="safe")
def raises(what: str) -> str:
    """Raise it."""
    raise MAKE[what]()


@skill(replay="pure")
def raises_at_once(what: str) -> str:
    """Raise it, of which nothing is put on record before."""
    raise MAKE[what]()
'''


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentSystem]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    (folder / "skills").mkdir()
    (folder / "skills" / "raising.py").write_text(SKILLS)
    settings = Settings(data_dir=folder / "data", skills_dir=folder / "skills", workers=2, rate_limit_max_requests=0)
    with AgentSystem.start(lay_history(settings)) as running:
        yield running


# objects that raise as they end are told to Python's hook, of which pytest makes a warning
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

WORST = ("own", "genexit", "cancelled", "strexit", "saystask", "sayspaused", "getattr", "meta", "badtb", "groupbad")


@pytest.mark.parametrize("skill", ["raises", "raises_at_once"])
def test_whatever_an_exception_is_made_of_a_script_can_catch_it(system: AgentSystem, skill: str) -> None:
    code = f"""
from skills import {skill}
caught = []
for what in {list(MAKE)}:
    try:
        {skill}(what)
    except Exception:
        caught.append(what)
caught
"""
    task = system.execute(f"```python{code}```", wait_s=30)
    assert (task.output, task.state.attempt) == (list(MAKE), 1), task.error


@pytest.mark.parametrize("what", WORST)
def test_what_a_script_does_not_catch_fails_its_task_once(system: AgentSystem, what: str) -> None:
    task = system.execute(f"```python\nfrom skills import raises\nraises({what!r})\n```", wait_s=20)
    assert (task.status, task.error_code, task.state.attempt) == ("failed", "skill_failed", 1), task.error
    assert len(str(task.error)) < 5000
