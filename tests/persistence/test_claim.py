"""One server at a time works on a history, and a dead one's hold is gone with it."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from callboard import AgentSystem, Settings
from callboard.errors import ConfigurationError
from callboard.persistence.claim import claim

HOLDER = """
import sys
from callboard import Settings
from callboard.persistence.claim import claim
let_go = claim(Settings(data_dir=sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_server_on_the_same_history_is_refused_and_touches_nothing(
    start_system: Callable[..., AgentSystem], make_settings: Callable[..., Settings]
) -> None:
    first = start_system()
    task_id = first.execute("What is 2 + 2?").task_id
    with pytest.raises(ConfigurationError, match=r"Another server is at work on the history .*callboard\.db; stop it"):
        AgentSystem.start(make_settings())
    assert first.execute("What is 3 + 3?").output == 6
    assert [event.seq for event in first.events(task_id)] == [1, 2, 3, 4, 5, 6]


def test_the_hold_ends_with_an_ordered_stop(make_settings: Callable[..., Settings]) -> None:
    claim(make_settings())()
    claim(make_settings())()


def test_the_hold_of_a_killed_process_ends_with_it(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(settings.data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConfigurationError):
            claim(settings)
        holder.kill()
    claim(settings)()


def test_different_histories_are_held_at_once(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    other = make_settings(database_url=f"sqlite:///{settings.data_dir / 'other.db'}")
    let_go, let_go_of_other = claim(settings), claim(other)
    let_go()
    let_go_of_other()
