"""How many calls of a task are made at once."""

import threading

from callboard.agent.parallel import Helpers


def test_calls_inside_calls_have_the_threads_of_one_task() -> None:
    """All threads are at work when each call makes four more inside: it makes them by itself."""
    helpers, together = Helpers(2), threading.Barrier(3, timeout=20)

    def inside() -> bool:
        together.wait()
        found = helpers.run_all([threading.current_thread] * 4)
        together.wait()
        return set(found) == {threading.current_thread()}

    for _ in range(2):  # the second time they are free again
        assert helpers.run_all([inside] * 3) == [True] * 3


def test_without_a_free_thread_calls_are_made_one_after_the_other_and_errors_are_answers() -> None:
    done: list[int] = []

    def call(number: int) -> int:
        done.append(number)
        if number == 1:
            raise ValueError(number)
        return number

    zero, one, two = Helpers(0).run_all([lambda n=n: call(n) for n in range(3)])  # type: ignore[misc]
    assert (zero, two, done) == (0, 2, [0, 1, 2])
    assert isinstance(one, ValueError)
