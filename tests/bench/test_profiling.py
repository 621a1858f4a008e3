"""What py-spy writes of a server and the processes below it is read as stacks of threads."""

import pytest

from bench.profiling import stack_of

SERVER = 'process 12:"/bin/python callboard serve"'


@pytest.mark.parametrize(
    ("line", "stack"),
    [
        (
            f"{SERVER};thread (0x7F): Gateway;receive (gateway.py:9)",
            ("thread (0x7F): Gateway", "receive (gateway.py:9)"),
        ),
        (
            f'{SERVER};process 13:"/bin/python worker";thread (13);run (a.py:1)',
            ("worker process: thread (13)", "run (a.py:1)"),
        ),
        ("thread (0x7F): Gateway;receive (gateway.py:9)", ("thread (0x7F): Gateway", "receive (gateway.py:9)")),
    ],
)
def test_a_stack_begins_with_its_thread_which_says_whether_it_is_a_worker_s(line: str, stack: tuple[str, ...]) -> None:
    assert stack_of(line) == stack
