"""The load keeps to how many tasks may be open: a backlog that grows is not what a scenario means to measure."""

import threading

import pytest

from chaos.load import Load
from chaos.scenario import Run
from chaos.server import Server
from chaos.work import Mix, plain, session

pytestmark = pytest.mark.slow

MOST_OPEN = 6


def test_no_more_tasks_are_open_than_may_be_however_many_are_posted_in_sessions(run: Run) -> None:
    with Server(run.new_folder("load")) as server:
        load = Load(server.port, run, most_open=MOST_OPEN, mix=Mix(kinds={session: 3, plain: 1}))
        server.start()
        most, looks = 0, threading.Event()
        try:
            load.start()
            while len(load.memory.accepted) < 60:
                most = max(most, len(load.memory.open()))
                looks.wait(0.002)
            load.stop_posting()
            load.wait_until_ended(60)
        finally:
            load.close()
    assert 1 < most <= MOST_OPEN
