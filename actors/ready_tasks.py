"""The tasks that may start, in the order in which they do, and those that wait for a time; deadlines that are watched.

Plain objects inside the master agent; only its thread touches them. Times are seconds of its clock's `monotonic`.
"""

import heapq
import itertools
from collections import defaultdict
from collections.abc import Collection, Iterator

from callboard.messages.tasks import Task
from callboard.shares import FairOrder

Entry = tuple[int, int, int, int, str, int]


class ReadyTasks:
    """Higher priority first; then the parts of a task before other tasks, since somebody waits for them; then in turn by caller.

    Those of one caller start in the order of their arrival, and a thousand of them delay another caller's one by one. A
    task is put in with the number of its turn, and whoever takes it out compares: an entry of an earlier turn means
    nothing any more. `max_priority` holds for tasks from before it was set, too.
    """

    def __init__(self, max_priority: int) -> None:
        self._max_priority = max_priority
        self._heap: list[Entry] = []
        self._held: list[Entry] = []
        self._orders: dict[tuple[int, int], FairOrder] = defaultdict(FairOrder)  # of each priority and depth
        self._later: list[tuple[float, str, int]] = []
        self._arrivals = itertools.count()

    def add(self, task: Task, turn: int) -> None:
        rank = (-min(task.spec.priority, self._max_priority), -task.depth)
        place = self._orders[rank].turn_of(task.caller or "")
        heapq.heappush(self._heap, (*rank, place, next(self._arrivals), task.task_id, turn))

    def add_at(self, at_s: float, task: Task, turn: int) -> None:
        """Keep a task until a time; `due` gives it back then."""
        heapq.heappush(self._later, (at_s, task.task_id, turn))

    def take(self, *, held: bool = True) -> Entry | None:
        """Take the first one out, of those that are held back too if these may start now; None where there is none.

        An entry is what `hold_back` and `starts` take; its last two items are the task's id and turn.
        """
        heaps = [heap for heap in (self._heap, self._held if held else []) if heap]
        if not heaps:
            return None
        return heapq.heappop(min(heaps, key=lambda heap: heap[0]))

    def starts(self, entry: Entry) -> None:
        """Take note that one that was taken out starts: it was its caller's turn."""
        self._orders[entry[:2]].reached(entry[2])

    def hold_back(self, entry: Entry) -> None:
        """Put one back that may not start now; it keeps its place, and costs the others nothing while it waits."""
        heapq.heappush(self._held, entry)

    def due(self, now_s: float) -> Iterator[tuple[str, int]]:
        """Take out the tasks whose time has come: ids and turns."""
        while self._later and self._later[0][0] <= now_s:
            _, task_id, turn = heapq.heappop(self._later)
            yield task_id, turn

    @property
    def next_s(self) -> float | None:
        """When the next task is due, None if no task waits for a time."""
        return self._later[0][0] if self._later else None


class Deadlines:
    """When tasks have to be over. Most end long before, so entries of ended tasks are thrown out now and then."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []

    def add(self, deadline_s: float, task_id: str, live: Collection[str]) -> bool:
        """Watch a deadline; True if it is now the first one."""
        if len(self._heap) > 1000 + 2 * len(live):
            self._heap = [entry for entry in self._heap if entry[1] in live]
            heapq.heapify(self._heap)
        heapq.heappush(self._heap, (deadline_s, task_id))
        return self._heap[0][1] == task_id

    def passed(self, now_s: float) -> Iterator[tuple[float, str]]:
        """Take out the deadlines that have passed."""
        while self._heap and self._heap[0][0] <= now_s:
            yield heapq.heappop(self._heap)

    @property
    def next_s(self) -> float | None:
        return self._heap[0][0] if self._heap else None
