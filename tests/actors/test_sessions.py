"""Which sessions stay in memory, and the order of their tasks."""

from callboard.actors.sessions import MOST_IDLE, Sessions
from callboard.clock import Clock
from callboard.conversation import SessionRecord
from callboard.messages.tasks import Task
from tests.tasks import make_task

NOW = Clock().now()


def task(task_id: str, session_id: str) -> Task:
    return make_task(task_id, session_id=session_id)


def kept(session_id: str) -> SessionRecord:
    return SessionRecord(session_id=session_id, created_at=NOW, updated_at=NOW)


def test_a_sessions_tasks_start_one_after_the_other() -> None:
    sessions = Sessions()
    one, two = task("1", "s"), task("2", "s")
    assert sessions.queue(one, 0)
    assert not sessions.queue(two, 0)
    assert sessions.release(one, kept("s"), 1) == two
    assert sessions.busy("s")
    assert sessions.release(two, kept("s"), 2) is None
    assert not sessions.busy("s")


def test_a_waiting_task_that_ends_leaves_the_running_one_alone() -> None:
    sessions = Sessions()
    one, two, three = task("1", "s"), task("2", "s"), task("3", "s")
    for each in (one, two, three):
        sessions.queue(each, 0)
    assert sessions.release(two, None, 1) is None
    assert sessions.release(one, None, 1) == three


def test_a_session_that_was_made_up_for_one_task_does_not_stay_in_memory() -> None:
    sessions = Sessions()
    for number in range(100):
        one = task(str(number), str(number))
        sessions.queue(one, 0)
        sessions.release(one, kept(str(number)), 0)
    assert len(sessions) == 0


def test_idle_sessions_leave_memory_by_age_and_by_number_and_busy_ones_stay() -> None:
    sessions = Sessions()
    for number in range(MOST_IDLE + 20):
        one = task(f"t{number}", f"s{number}")
        sessions.queue(one, number)
        sessions.release(one, kept(f"s{number}"), number)
    sessions.queue(task("busy", "old"), 0)
    sessions.evict(unused_since_s=0)
    assert len(sessions) == MOST_IDLE + 1
    assert sessions.record("s0") is None
    assert sessions.record(f"s{MOST_IDLE + 19}") is not None
    sessions.evict(unused_since_s=MOST_IDLE + 19)
    assert len(sessions) == 2
    assert sessions.busy("old")
