"""The statistics: what the last hour was like, minute by minute, for charts.

It hears of tasks from the event bus and looks at the backlog every few seconds. At the first question it reads from the
history what came before it began, so a restart does not empty the charts; nothing is read at start. A chart and no
ledger: where its inbox is full it misses events (the bus says so in the log), and of a very busy hour before it began
it reads the newest tasks only. Nothing here slows a task.
"""

import logging
from datetime import timedelta

from callboard.actors.mailbox import Mailbox
from callboard.actors.minutes import MINUTES, STEP, Minutes
from callboard.actors.supervision import SupervisedActor
from callboard.clock import Clock
from callboard.errors import StoreUnavailable
from callboard.messages.event_types import TaskEnd, read
from callboard.messages.events import ENDS, EventsCommitted, TaskEvent, Topic
from callboard.messages.health import Ending, GetStatistics, Ping, Pong, StatisticsReport, Tick
from callboard.messages.tasks import Status
from callboard.persistence.store import Reader

logger = logging.getLogger("callboard.statistics")

TOPICS = frozenset({Topic.TASK_EXECUTE, *ENDS})
"""What it has to hear of."""

SAMPLE_EVERY_S = 5.0

_STATUS_OF = {
    Topic.TASK_COMPLETED: Status.COMPLETED,
    Topic.TASK_FAILED: Status.FAILED,
    Topic.TASK_CANCELLED: Status.CANCELLED,
}

StatisticsMessage = EventsCommitted | GetStatistics | Tick | Ping
"""What the statistics understand."""


class Statistics(SupervisedActor[StatisticsMessage]):
    """Counts what happens and answers with the last hour."""

    def __init__(self, mailbox: Mailbox, *, reader: Reader, clock: Clock) -> None:
        super().__init__(mailbox)
        self._reader = reader
        self._clock = clock
        # Invariant: what happened before `_began` is read from the history, what happened later is heard of.
        self._began = clock.now()
        self._has_past = False
        self._minutes = Minutes()
        mailbox.unhurried = True  # PERF: commits need not wake this thread

    def setup(self) -> None:
        self.wake_in(SAMPLE_EVERY_S)

    def receive(self, message: StatisticsMessage) -> StatisticsReport | Pong | None:
        match message:
            case EventsCommitted(events=events):
                for event in events:
                    self._count(event)
            case GetStatistics():
                return self._report()
            case Tick():
                self._sample()
                self._minutes.forget(self._clock.now())
                self.wake_in(SAMPLE_EVERY_S)
            case Ping():
                return Pong()
            case _:
                raise self.unknown(message)
        return None

    def _count(self, event: TaskEvent) -> None:
        if event.at < self._began:
            return  # committed late, or heard of by the instance before: the history has it
        if event.topic is Topic.TASK_EXECUTE:
            self._minutes.accept(event.at)
        elif (status := _STATUS_OF.get(event.topic)) is not None:
            end = read(event)
            assert isinstance(end, TaskEnd)
            took = {"worked_ms": end.execution_time, "elapsed_ms": end.elapsed_time}
            self._minutes.end(Ending(at=event.at, status=status, **took))

    def _report(self) -> StatisticsReport:
        if not self._has_past:
            self._read_past()
        self._sample()
        return StatisticsReport(points=self._minutes.points(self._clock.now()), step_s=int(STEP.total_seconds()))

    def _read_past(self) -> None:
        """Add the hour before the beginning. PERF: 0.25 s for 50,000 tasks of each kind, once, and others wait for none of it."""
        since = self._began - timedelta(minutes=MINUTES)
        accepted = self._reader.accepted_between(since, self._began)
        ended = self._reader.ended_between(since, self._began)
        for at in accepted:
            self._minutes.accept(at)
        for one in ended:
            self._minutes.end(one)
        self._has_past = True

    def _sample(self) -> None:
        """Note how long the queue is; a store that is away leaves a gap in the chart."""
        try:
            backlog = self._reader.backlog()
        except StoreUnavailable as error:
            logger.debug("the backlog is not known: %s", error)
            return
        self._minutes.sample(self._clock.now(), backlog)
