"""What the pool of workers makes of an attempt that cannot begin, told by what it sends to the result logger."""

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.task_pool import TaskPool
from callboard.agent.job import Job
from callboard.agent.signing import Signer
from callboard.clock import Clock
from callboard.errors import StoreUnavailable
from callboard.messages.records import RecordRequeue, RecordResult, RecordStart
from callboard.messages.tasks import Status
from callboard.task_spec import RetryPolicy
from callboard.workers.threads import ThreadWorkers
from tests.tasks import make_task

AT = datetime(2026, 1, 8, tzinfo=UTC)


class Lacking:
    """A pool whose store is away; `told` is what it says of an attempt."""

    def __init__(self) -> None:
        self.logger = Mailbox("result logger", 100)
        self.pool = TaskPool(
            lambda desk: ThreadWorkers(desk, 1, self.tools, lost=lambda: False),
            clock=Clock(now=lambda: AT),
            most_below=20,
            signer=Signer(b"key"),
            owner="me",
            result_logger=Address(self.logger),
            master_agent=Address(Mailbox("master agent", 100)),
            draining=lambda: False,
            over=lambda _job: None,
        )

    def tools(self) -> Any:
        return SimpleNamespace(roster=SimpleNamespace(get=self.agent))

    def agent(self, _name: str) -> Any:
        raise StoreUnavailable("The database is locked.")

    def told(self, retry: RetryPolicy | None = None) -> RecordRequeue | RecordResult:
        self.pool.submit(Job(task=make_task(retry=retry), attempt=1, session=None, deadline=AT, deadline_s=0.0))
        while True:
            message = self.logger.get().payload
            if not isinstance(message, RecordStart):
                assert isinstance(message, RecordRequeue | RecordResult)
                return message


@pytest.fixture
def lacking() -> Iterator[Lacking]:
    lacking = Lacking()
    yield lacking
    lacking.pool.close(5, hand_back_after_s=5)


def test_a_task_that_the_server_lacks_something_for_is_put_off_longer_each_time_and_fails_in_the_end(
    lacking: Lacking,
) -> None:
    told = [lacking.told() for _ in range(13)]
    waits_s = [
        (one.not_before - AT).total_seconds() for one in told if isinstance(one, RecordRequeue) and one.not_before
    ]
    assert waits_s == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60]
    end = told[-1]
    assert isinstance(end, RecordResult)
    assert (end.status, end.error_code, end.session) == (Status.FAILED, "server_unavailable", None)
    assert "also after 12 tries: The database is locked." in str(end.error)


def test_a_retry_policy_counts_that_as_one_failure(lacking: Lacking) -> None:
    told = [lacking.told(RetryPolicy(max_attempts=2)) for _ in range(13)]
    assert [one.failures for one in told if isinstance(one, RecordRequeue)] == [None] * 12 + [1]
