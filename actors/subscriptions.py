"""Who follows events as they are committed: the event bus's thread puts them in, the followers' threads take them out.

A follower first registers here, then reads the store, then takes from its sink what has been committed since. A sink
holds a bounded number of events: what it cannot hold it drops, and says that something is lost; the follower reads
the store again from where it was. So nobody holds up the bus, nothing is missed and nothing is held without end.
That a commit was never told of, whoever died over it, shows in the positions: what does not join on to what was told before
has everybody read the store.

The registry belongs to the wiring, so that it outlives a crash of the bus. The locks guard what two threads share for
the length of a few appends; an actor between them would be the bus once more. Imported by the event bus, by
`following.py` and by the wiring.
"""

import contextlib
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence

from callboard.errors import ActorStopped
from callboard.limits import HELD_BYTES
from callboard.messages.event_types import TaskExecute
from callboard.messages.events import ListEvents, TaskEvent, Topic

MOST_HELD = 256
"""Events that one sink holds, and `HELD_BYTES` of them at most."""


class Sink:
    """Where one follower waits. `closed`: nothing will come any more; `lost`: something came that is not held."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: deque[TaskEvent] = deque()
        self._held_bytes = 0
        self._lost = False
        self._woken = False
        self._resting = False
        self.closed = False

    def put(self, events: Sequence[TaskEvent]) -> None:
        """Hold events for the follower, or note that they are lost; never waits."""
        with self._changed:
            size_bytes = self._held_bytes + sum(event.size_bytes for event in events)
            if self._lost or len(self._events) + len(events) > MOST_HELD or size_bytes > HELD_BYTES:
                self._let_go()
                self._lost = True
            else:
                self._events.extend(events)
                self._held_bytes = size_bytes
            self._tell()

    def lose(self) -> None:
        """Have the follower read the store again."""
        with self._changed:
            self._let_go()
            self._lost = True
            self._tell()

    def _tell(self) -> None:
        """Wake the follower. PERF: not while it pauses, since it would only look and go on pausing, once for each commit."""
        if not self._resting:
            self._changed.notify()

    def _let_go(self) -> None:
        self._events.clear()
        self._held_bytes = 0

    def wake(self) -> None:
        """End the follower's wait, now or the next one: it looks around."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def close(self) -> None:
        """Say that nothing will come any more."""
        with self._changed:
            self.closed = True
            self._changed.notify()

    def take(self, wait_s: float) -> tuple[list[TaskEvent], bool]:
        """Return what has come and whether something is lost, after `wait_s` seconds at most; the follower's thread."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._lost or self._woken or self.closed, wait_s)
            events, lost = list(self._events), self._lost
            self._let_go()
            self._lost = self._woken = False
            return events, lost

    def pause(self, until_s: float) -> None:
        """Wait until a time of `time.monotonic`, but for being woken or closed; what comes meanwhile stays."""
        with self._changed:
            self._resting = True
            self._changed.wait_for(lambda: self._woken or self.closed, max(0.0, until_s - time.monotonic()))
            self._resting = False


class TaskSink(Sink):
    """A sink for the events of a task and of the tasks below it; `family` are their ids, as far as they are known."""

    def __init__(self, task_id: str) -> None:
        super().__init__()
        self.family = {task_id}


class FeedSink(Sink):
    """A sink for the events of all tasks that fit a query."""

    def __init__(self, query: ListEvents) -> None:
        super().__init__()
        self.query = query


class Subscriptions:
    """All sinks. `publish` and `lose` are called by the bus's thread, the rest by any."""

    def __init__(self, wake_bus: Callable[[], object] = lambda: None) -> None:
        """`wake_bus` has the event bus see that somebody subscribes: commits wake it from then on."""
        self._wake_bus = wake_bus
        self._lock = threading.Lock()  # guards all below
        self._by_task: dict[str, list[TaskSink]] = defaultdict(list)
        self._feeds: list[FeedSink] = []
        self._last = 0  # the highest position that was published
        self._closed = False

    @property
    def empty(self) -> bool:
        return not self._by_task and not self._feeds

    def follow(self, task_id: str) -> TaskSink:
        """Return a sink for a task's events and those of the tasks that it delegates from now on."""
        sink = TaskSink(task_id)
        with self._lock:
            first = self.empty
            self._by_task[task_id].append(sink)
            sink.closed = self._closed
        self._wake(first=first)
        return sink

    def _wake(self, *, first: bool) -> None:
        if not first:
            return  # PERF: the bus knows that somebody follows, or hears of the one before
        with contextlib.suppress(ActorStopped):  # then the store is read at each heartbeat, or all is closed
            self._wake_bus()

    def extend(self, sink: TaskSink, task_ids: Iterable[str]) -> None:
        """Have a sink get the events of more tasks, and of those that they delegate from now on."""
        with self._lock:
            for task_id in task_ids:
                self._extend(sink, task_id)

    def watch(self, query: ListEvents) -> FeedSink:
        """Return a sink for the feed."""
        sink = FeedSink(query)
        with self._lock:
            first = self.empty
            self._feeds.append(sink)
            sink.closed = self._closed
        self._wake(first=first)
        return sink

    def release(self, sink: Sink) -> None:
        """Forget a sink. May be called twice."""
        with self._lock:
            if isinstance(sink, FeedSink):
                if sink in self._feeds:
                    self._feeds.remove(sink)
            elif isinstance(sink, TaskSink):
                for task_id in sink.family:
                    sinks = self._by_task.get(task_id, [])
                    if sink in sinks:
                        sinks.remove(sink)
                    if not sinks:
                        self._by_task.pop(task_id, None)

    def publish(self, events: Sequence[TaskEvent]) -> None:
        """Hand committed events, in the order of their positions, to the sinks that they are for.

        Every commit is to be published, also while nobody follows.
        """
        found: dict[TaskSink, list[TaskEvent]] = defaultdict(list)
        with self._lock:
            joins_on = events[0].position == self._last + 1
            self._last = max(self._last, events[-1].position)
            if joins_on and self._by_task:
                for event in events:
                    if event.topic is Topic.TASK_EXECUTE:
                        self._adopt(event.task_id, TaskExecute.read(event.data, at=event.at).parent_id)
                    for sink in self._by_task.get(event.task_id, ()):
                        found[sink].append(event)
            feeds = tuple(self._feeds)
        if not joins_on:
            self.lose()
            return
        for sink, its in found.items():
            sink.put(its)
        for feed in feeds:
            if wanted := [event for event in events if feed.query.wants(event)]:
                feed.put(wanted)

    def lose(self) -> None:
        """Have everybody read the store again: somebody may have died over a commit."""
        for sink in self._all():
            sink.lose()

    def close(self) -> None:
        """Say to everybody, and to who comes later, that nothing will come any more."""
        with self._lock:
            self._closed = True
        for sink in self._all():
            sink.close()

    def _all(self) -> list[Sink]:
        with self._lock:
            tasks = {sink for sinks in self._by_task.values() for sink in sinks}
            return [*tasks, *self._feeds]

    def _adopt(self, task_id: str, parent_id: str | None) -> None:
        """Have whoever follows the task that has delegated this one follow this one too."""
        for sink in tuple(self._by_task.get(parent_id, ())) if parent_id is not None else ():
            self._extend(sink, task_id)

    def _extend(self, sink: TaskSink, task_id: str) -> None:
        if task_id not in sink.family:
            sink.family.add(task_id)
            self._by_task[task_id].append(sink)
